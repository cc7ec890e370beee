"""Which agent somebody means by "my weekly report agent" (pure)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol, TypeVar

_WORD = re.compile(r"[^\W_]+")
_EMPTY_WORDS = frozenset(
    {
        "a",
        "about",
        "again",
        "agent",
        "agents",
        "automation",
        "it",
        "my",
        "now",
        "of",
        "one",
        "our",
        "please",
        "run",
        "start",
        "stop",
        "that",
        "the",
        "this",
        "to",
        "you",
        "your",
        "edit",
        "change",
        "show",
        "pause",
        "activate",
        "test",
        "status",
    }
)


class Named(Protocol):
    @property
    def id(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def description(self) -> str: ...
    @property
    def updated_at(self) -> datetime: ...
    @property
    def last_run(self) -> datetime | None: ...


A = TypeVar("A", bound=Named)


def matching(agents: Sequence[A], words: str) -> list[A]:
    """Agents these words can mean, the likeliest first.

    An id or a whole name, said exactly, means that agent alone. Else those that share the most words with
    what was said; among equals the one used or changed last comes first. Words that say nothing ("that
    agent") mean all of them.
    """
    said = words.strip().lower()
    exact = [agent for agent in agents if said in (agent.id.lower(), agent.name.lower())]
    if exact:
        return _by_recency(exact)
    wanted = [word for word in _WORD.findall(said) if word not in _EMPTY_WORDS]
    if not wanted:
        return _by_recency(agents)
    scores = {agent.id: _score(agent, wanted) for agent in agents}
    best = max(scores.values(), default=0)
    hits = [agent for agent in agents if scores[agent.id] > 0 and scores[agent.id] * 2 >= best]
    return sorted(_by_recency(hits), key=lambda agent: -scores[agent.id])


def _by_recency(agents: Sequence[A]) -> list[A]:
    return sorted(agents, key=lambda agent: max(agent.updated_at, agent.last_run or agent.updated_at))[::-1]


def _score(agent: Named, wanted: Sequence[str]) -> int:
    """Three for each word of the name, one for each word of the description only."""
    name = _WORD.findall(f"{agent.name} {agent.id}".lower())
    described = _WORD.findall(agent.description.lower())
    return sum(3 if _has(name, word) else 1 if _has(described, word) else 0 for word in wanted)


def _has(words: Sequence[str], word: str) -> bool:
    return any(_same(other, word) for other in words)


def _same(one: str, other: str) -> bool:
    """Equal, or of one stem as "report" and "reports" are."""
    short, long = sorted((one, other), key=len)
    return short == long or (len(short) >= 4 and long.startswith(short) and len(long) - len(short) <= 3)
