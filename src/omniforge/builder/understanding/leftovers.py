"""What was named in a wish and is in none of its clauses: better asked about than forgotten."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from omniforge.builder.understanding.clauses import Clause
from omniforge.builder.understanding.held import Held
from omniforge.builder.understanding.places import CHANNEL, find_services

SHORT_ANSWER = 6
"""Words up to which a message may be the answer to a question rather than a wish."""
_THAT_STARTS = re.compile(
    r"\b(?:every|each|any|an?|all|the)? ?(?:single )?(?:new|incoming|fresh|newly) (?:\w+ )?(?:\w+)",
    re.IGNORECASE,
)
"""What the agent is started by, not where something goes."""


def left_over(
    said: Sequence[str], clauses: Sequence[Clause], held: Held, services: Collection[str], whole: str
) -> list[str]:
    """Words with a channel, a service or an address that no clause uses; `said` are the pieces read."""
    if not clauses:
        return [whole[:200]] if CHANNEL.search(whole) and len(whole.split()) > SHORT_ANSWER else []
    places = {clause.place for clause in clauses if clause.operation == "fetch"}
    lost = [kept for kept in held.kept if kept.startswith("http") and kept not in places][:1]
    used = {clause.service for clause in clauses}
    told = " ".join(f"{clause.place} {clause.object} {clause.words}" for clause in clauses)
    for text in said:
        plain = _THAT_STARTS.sub(" ", text)
        named = {m.service for m in find_services(plain, services)} - {"rss", "files", "http"}
        named |= {"slack"} if CHANNEL.search(plain) else set()
        named |= {"email"} if held.of_kind("e", plain) else set()
        if named - used or any(channel not in told for channel in CHANNEL.findall(plain)):
            lost.append(held.restore(text))
    return lost
