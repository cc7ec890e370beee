"""What a rule is given, and what it says."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.board.store.tickets import TicketRow
from omniforge.board.vocabulary import GateReadiness
from omniforge.board.workflow import Stage

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Pass or fail, with one sentence of why. `waits`: nothing can be said yet, and this is waited for.

    evidence: id of the artifact it rests on.
    """

    passed: bool
    detail: str
    evidence: str | None = None
    waits: GateReadiness | None = None


@dataclass(frozen=True, slots=True)
class Situation:
    """A ticket that wants to leave a status. `stage` is that of the status; `has_command`: its gate runs a
    command."""

    session: AsyncSession
    ticket: TicketRow
    stage: Stage
    spec_is_approved: bool
    has_command: bool


class Tree(Protocol):
    """The merged work of a ticket: its files, and how they differ from where the work began."""

    async def files(self) -> list[str]: ...
    async def file(self, path: str) -> bytes | None: ...
    async def changed_paths(self) -> list[str]: ...
    async def added_lines(self) -> Iterable[tuple[str, str]]: ...


Rule = Callable[[Situation, Json], Awaitable[Verdict]]
"""Answers from what the board has."""
TreeRule = Callable[[Tree, Json], Awaitable[Verdict]]
"""Answers from the files alone: the same tree gives the same answer."""
