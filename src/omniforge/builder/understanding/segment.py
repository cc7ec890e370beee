"""A piece of a wish that asks for one thing, and how it hangs together with those before it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Link(StrEnum):
    """How a piece hangs together with what was said before it."""

    AND = "and"
    NEXT = "next"
    """A new sentence or item: after it, unless it can start at once."""
    THEN = "then"
    SAME_TIME = "same_time"
    TOGETHER = "together"
    """After what was said, at the same time as those that follow."""
    ALL = "all"
    """After everything that runs at the same time."""


@dataclass(frozen=True, slots=True)
class Segment:
    """`count` tells how many are waited for ("both"). `condition` is in words, `negated` for "unless"."""

    text: str
    link: Link = Link.AND
    count: int | None = None
    condition: str = ""
    negated: bool = False
    otherwise: bool = False
    triggered: bool = False
    given: bool = False
    """The condition was said with "if", not with "when"."""
    behind: bool = False
    """The condition stands behind what it is for."""
    rest: bool = False
    """It is about what no case before it took ("the others"), if there was one."""
    heads: bool = False
    """It stands before a colon: what follows tells how."""
    states: bool = False
    """It asks for nothing, but tells where something is kept."""
