"""Which agent, which people and which version a message means. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches

from omniforge.builder.exchange import AgentSeen, Facts
from omniforge.builder.state import ConversationState
from omniforge.builder.understanding import intent
from omniforge.builder.understanding.references import resolve
from omniforge.builder.understanding.text import NUMBER_WORDS, has_phrase, stems, words
from omniforge.builder.upkeep.matter import Person, last_agent

_FILLERS = frozenset(
    words("""
    my the our a an agent agents it that this one now please again run for me today right version versions
    share with team undo last change back go to of which is each using what does do tell about show pause
    resume switch on off delete archive remove rename status history and all copy copies
""")
)
_PLACES = frozenset(
    words(
        "first second third fourth fifth last one two three four five number a b c d e f 1 2 3 4 5 6 7 8 9 10"
    )
)
_RUN = re.compile(
    r"^\W*(?:(?:please|now|ok|can you)\s+)*(?:run|start|execute|launch)\s+(?P<what>.+?)\W*$", re.IGNORECASE
)
_ALL = (
    "my team", "the team", "our team", "team", "everyone", "everybody", "all of them", "all", "colleagues",
    "my colleagues", "the whole team", "both", "them", "us", "the others",
)  # fmt: skip
_VERSION = re.compile(r"\b(?:version|v)\s*(?:no\.?|number|#)?\s*(?P<n>\d{1,4}|[a-z]+)\b", re.IGNORECASE)
_NAMED = re.compile(
    r"\b(?:to|as|into|called|named|is|be)\s+(?:\"(?P<quoted>[^\"]+)\"|'(?P<single>[^']+)'|(?P<plain>.+?))\W*$",
    re.IGNORECASE,
)


def meant(state: ConversationState, target: str, facts: Facts) -> list[AgentSeen]:
    """Agents the words can mean: one of the list shown, the one talked about, or by name or description.

    Words that name nothing mean the one talked about last; without one, every agent there is.
    """
    agents = list(facts.agents)
    listed = {item.id for item in state.last_list} & {agent.id for agent in agents}
    if listed and len(listed) == len(state.last_list):
        picked = resolve(target, [item.name for item in state.last_list]).positions
        if picked and not [word for word in words(target) if word not in _FILLERS | _PLACES]:
            ids = {state.last_list[i].id for i in picked}
            return [agent for agent in agents if agent.id in ids]
    named = _by_name(target, agents)
    if named:
        return named
    said = [word for word in stems(target) if word not in _FILLERS]
    it = [agent for agent in agents if agent.id == last_agent(state)]
    if it and (not said or intent.says_it(target)):
        return it
    if not said:
        return agents
    return [a for a in agents if set(said) & set(stems(a.description))] if len(said) < 4 else []


def _by_name(target: str, agents: Sequence[AgentSeen]) -> list[AgentSeen]:
    """Agents whose telling words are those said, else those whose name holds all of them."""
    said = " ".join(word for word in words(target) if word not in _FILLERS)
    found = intent.match_agents(said, [agent.name for agent in agents]) if said else []
    return [agents[i] for i in found] if said and found else []


def run_by_name(text: str, facts: Facts) -> str | None:
    """The words for the agent in "run my daily report", where the words of a plan are those of its name."""
    match = _RUN.search(text)
    said = set(stems(match["what"])) - _FILLERS if match else set[str]()
    known = any(said and said <= set(stems(agent.name)) for agent in facts.agents)
    return match["what"] if match and known else None


def in_sentence(state: ConversationState, text: str, facts: Facts) -> list[AgentSeen]:
    """The same where the name stands somewhere in a whole sentence ("share my weekly report with Ana")."""
    said = set(stems(text))
    scored = [(len(own & said) / len(own), agent) for agent in facts.agents if (own := _telling(agent.name))]
    best = max((score for score, _ in scored), default=0)
    named = [agent for score, agent in scored if score == best and score >= 0.5]
    if named:
        return named
    it = [agent for agent in facts.agents if agent.id == last_agent(state)]
    return it or list(facts.agents)


def _telling(name: str) -> set[str]:
    found = set(stems(name))
    return (found - _FILLERS) or found


def nearest(target: str, facts: Facts) -> list[str]:
    """Names that come closest to what was said, else the first few there are."""
    names = [agent.name for agent in facts.agents]
    lower = {name.lower(): name for name in names}
    close = get_close_matches(target.lower(), lower, n=3, cutoff=0.4)
    said = set(stems(target)) - _FILLERS
    shared = [name for name in names if said & set(stems(name))]
    found = list(dict.fromkeys([*shared, *(lower[name] for name in close)]))
    return (found or names)[:5]


def people_in(text: str, people: Sequence[Person]) -> tuple[tuple[Person, ...], bool]:
    """The people a message names, and whether it means everybody."""
    said = text.casefold()
    found: list[Person] = []
    firsts = [person.name.casefold().split()[0] for person in people if person.name.split()]
    for person in people:
        name = person.name.casefold()
        first = name.split()[0] if name.split() else name
        unique = firsts.count(first) == 1
        named = [name, person.email.casefold(), *([first] if unique else [])]
        if any(part and re.search(rf"(?<![\w@.]){re.escape(part)}(?!\w)", said) for part in named):
            found.append(person)
    return tuple(found), not found and has_phrase(text, _ALL)


def version_in(text: str) -> int | None:
    """The number of a version that was said ("version 2", "v3", "version one")."""
    for match in _VERSION.finditer(text):
        number = match["n"].lower()
        if number.isdecimal():
            return int(number)
        if number in NUMBER_WORDS and number not in ("a", "an"):
            return NUMBER_WORDS[number]
    return None


def name_in(text: str) -> str:
    """The new name in "rename it to …"; empty when none was said. Its own capitals are kept."""
    match = _NAMED.search(text)
    found = (match["quoted"] or match["single"] or match["plain"] or "") if match else ""
    return " ".join(found.split()).strip("\"'.!? ")[:255]


def bare_name(text: str) -> str:
    return " ".join(text.split()).strip("\"'.!? ")[:255]


def matching_names(text: str, names: Sequence[str]) -> list[int]:
    """Positions of the names whose telling words are all in the text."""
    said = set(stems(text))
    return [i for i, name in enumerate(names) if _telling(name) and _telling(name) <= said]
