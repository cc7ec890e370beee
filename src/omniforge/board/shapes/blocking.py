"""Blocks of tickets on the wire, and what is found of tickets that stand still."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field, StringConstraints

from omniforge.board.shapes.words import Given, Id, Reason
from omniforge.board.vocabulary import BlockerType

Word = Annotated[str, StringConstraints(min_length=1, max_length=64, strip_whitespace=True)]


class BlockerGiven(Given):
    """What is waited for."""

    kind: Word
    id: Id
    ref: Word | None = None


class BlockGiven(Given):
    blocker_type: BlockerType
    reason: Reason | None = None
    blockers: list[BlockerGiven] = Field(default_factory=list[BlockerGiven], max_length=100)
    remediate: bool = False


class DetectGiven(Given):
    project_id: Id | None = None
    dry_run: bool = False


class Blocker(BaseModel):
    kind: str
    id: str
    ref: str


class Standstill(BaseModel):
    """A ticket without progress. `stalled`: nothing is known to be in its way."""

    ticket_id: str
    should_block: bool
    blocker_type: BlockerType | None
    blockers: list[Blocker]
    minutes_without_progress: int
    stalled: bool


class Detected(BaseModel):
    """`detected` counts the tickets that are blocked by what was found."""

    detected: int
    results: list[Standstill]
