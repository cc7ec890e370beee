"""What a message is about as a whole: a wish, a command, or a question on the side."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from omniforge.builder.understanding.commands import Command, read_command
from omniforge.builder.understanding.days import DAY
from omniforge.builder.understanding.text import normalise, stems, words

__all__ = [
    "Command",
    "Side",
    "Wish",
    "is_new_wish",
    "match_agents",
    "read_command",
    "read_side",
    "read_wish",
    "says_it",
]


class Side(StrEnum):
    """Questions that are answered without losing the open one."""

    SAFE = "safe"
    WORKS = "works"
    SO_FAR = "so_far"
    HOW_LONG = "how_long"
    NEXT = "next"
    HELP = "help"
    ZONE = "zone"


@dataclass(frozen=True, slots=True)
class Wish:
    """`goal` such as `weekly report`; `pain`: work was described, but no product of it named."""

    goal: str | None
    subject: str | None
    pain: bool


_GOAL = re.compile(
    r"\b(?P<noun>reports?|reporting|summar(?:y|ies|i[sz]e[sd]?|i[sz]ing)|digests?|overviews?|round-?ups?|"
    r"recaps?|status updates?|"
    r"brief(?:s|ings?)?|newsletters?|rundowns?|wrap-?ups?|write-?ups?|snapshots?|dashboards?)\b",
    re.IGNORECASE,
)
_SUBJECT = re.compile(
    r"\b(?P<subject>project|team|sales|client|customer|status|progress|product|marketing|finance|hiring|"
    r"task|sprint|engineering|"
    r"operations|support|portfolio|pipeline|design|content|event|budget|risk|leadership|executive|board)s? "
    r"(?:report|summar|digest|overview|round-?up|recap|update|brief|newsletter|rundown|wrap-?up|write-?up)",
    re.IGNORECASE,
)
_CADENCE = (
    ("quarterly", r"\bquarterly\b|\b(?:every|each) quarter\b"),
    ("monthly", r"\bmonthly\b|\b(?:every|each|once a) month\b"),
    (
        "daily",
        r"\bdaily\b|\b(?:every|each) (?:day|morning|evening|afternoon|weekday|workday|night)\b|\beveryday\b",
    ),
    (
        "weekly",
        rf"\bweekly\b|\b(?:every|each|once a|per|a) week\b|\b(?:every|each) (?:{DAY.pattern})|"
        rf"(?:{DAY.pattern}) (?:\w+ ){{0,3}}?(?:report|summar|status|digest|overview|recap|brief|update|"
        rf"write-?up)|\b(?:mon|"
        rf"tues|wednes|thurs|fri|satur|sun)days\b",
    ),
)
_PAIN = re.compile(
    r"\b(?:hours?|manual(?:ly)?|tedious|copy(?:ing)?|paste|pasting|collect(?:ing)?|compil(?:e|ing)|"
    r"gather(?:ing)?|takes? (?:me|us|ages|forever|too)|"
    r"spend(?:ing)?|spent|by hand|every week|chase|chasing|put(?:ting)? together|pull(?:ing)? together|"
    r"keep(?:ing)? track|track(?:ing)?|"
    r"what(?:'s| is| has|'s been)? (?:happening|going on|changed|new)|automat\w+|repetitive|boring|"
    r"updates?|progress|status)\b",
    re.IGNORECASE,
)
_SIDE: tuple[tuple[Side, re.Pattern[str]], ...] = (
    (
        Side.WORKS,
        re.compile(
            r"\bhow (?:will|do|can|would|could|should) (?:i|we|you) (?:know|be sure|tell|check|see|"
            r"verify)\b|\bwill (?:it|this|that) (?:really |actually )?work\b|\bwhat if (?:it|this|"
            r"something|that) (?:fails?|breaks?|goes wrong|doesn't work|stops?)\b|\bhow can i trust\b|"
            r"\bdoes (?:it|this) (?:really |actually )?work\b|\bwhat happens (?:in|during) (?:the|a|"
            r"this) test\b",
            re.I,
        ),
    ),
    (
        Side.SAFE,
        re.compile(
            r"\b(?:safe|secure|security|privacy|private|confidential|gdpr|trustworthy|risky|dangerous)\b|"
            r"\bwho (?:else )?(?:can |will |could )?(?:see|read|access|get|receive)s?\b|\bwhat (?:can|will|"
            r"do) you (?:be able to )?(?:see|read|access|do with)\b|\b(?:delete|change|break|mess up|"
            r"overwrite|edit|"
            r"touch) (?:anything|something|my|our)\b|\bwhere (?:is|does|will) (?:my|our|the) data\b",
            re.I,
        ),
    ),
    (
        Side.SO_FAR,
        re.compile(
            r"\bso far\b|\bwhat (?:have you got|do you have|do you know|did we (?:decide|agree|say)|"
            r"did i (?:say|tell)|have i told)\b|\b(?:show|give|tell) me (?:the |a )?(?:summary|recap|"
            r"overview) (?:again|so far|please)\b|\bwhere are we\b|"
            r"\bremind me(?=\W*$| (?:what|where|which)\b)|\brecap\b(?=[^a-z]*$)|"
            r"\bwhat's (?:missing|included|in it)\b|\bwhat is (?:included|in it)\b",
            re.I,
        ),
    ),
    (Side.HOW_LONG, re.compile(r"\bhow (?:long|much time|quick(?:ly)?|fast)\b", re.I)),
    (Side.ZONE, re.compile(r"\b(?:which|what|whose) (?:time ?zone|zone)\b", re.I)),
    (
        Side.NEXT,
        re.compile(
            r"\bwhat(?:'s| is| happens| will happen| comes| do i do| now| then)*\b (?:next|now|then|"
            r"after that)\b|\bthen what\b|\band now\b|\bwhat do (?:you|i) (?:need|want|have)\b",
            re.I,
        ),
    ),
    (
        Side.HELP,
        re.compile(
            r"^\W*(?:please )?help(?: me)?(?: please)?\W*$|\bwhat (?:else )?can (?:you|i|it|this) do\b|"
            r"\bhow does (?:this|it|that) work\b|\bwhat (?:are you|is this|can i (?:say|ask))\b|"
            r"\bwho are you\b",
            re.I,
        ),
    ),
)
_NEW = re.compile(
    r"\b(?:i (?:also )?(?:want|need|would like)|i'd (?:also )?like|build|create|make|set up|start|"
    r"give) (?:me |us )?(?:a|an|another|one more)\b(?: \w+){0,4}? "
    r"(?:report|summary|digest|overview|agent|round-?up|recap|briefing)|\b(?:another|a second|a new|new|"
    r"one more) (?:\w+ ){0,2}?(?:agent|report|summary|digest|one)\b",
    re.IGNORECASE,
)


def read_wish(message: str) -> Wish:
    text = normalise(message)
    often = next((name for name, pattern in _CADENCE if re.search(pattern, text, re.IGNORECASE)), None)
    goal = _GOAL.search(text)
    noun = (
        "summary"
        if goal and goal["noun"].lower().startswith(("summar", "digest", "overview", "recap"))
        else "report"
    )
    subject = _SUBJECT.search(text)
    return Wish(
        " ".join(part for part in (often, noun) if part) if goal else None,
        subject["subject"].capitalize() if subject else None,
        _PAIN.search(text) is not None,
    )


def is_new_wish(message: str) -> bool:
    """A wish for one more agent, not a change of the one at hand."""
    return _NEW.search(normalise(message)) is not None


def read_side(message: str) -> Side | None:
    text = normalise(message)
    return next((side for side, pattern in _SIDE if pattern.search(text)), None)


_REFERENCE = frozenset(
    words("""
    my the our a an agent agents it that this one now please again run for me report's today right
""")
)


_KINDS: dict[str, str] = dict.fromkeys(
    ("summary", "digest", "overview", "recap", "roundup", "briefing"), "report"
)


def match_agents(target: str, names: list[str]) -> list[int]:
    """Agents whose names hold every telling word said, exact ones alone; all when no word tells one apart."""
    said = {_KINDS.get(word, word) for word in stems(target) if word not in _REFERENCE}
    if not said:
        return list(range(len(names)))
    sets = [{_KINDS.get(word, word) for word in stems(name)} for name in names]
    exact = [i for i, own in enumerate(sets) if said == own]
    return exact or [i for i, own in enumerate(sets) if said <= own]


def says_it(target: str) -> bool:
    return set(words(target)) <= {
        "it",
        "this",
        "that",
        "now",
        "please",
        "the",
        "agent",
        "again",
        "one",
    }
