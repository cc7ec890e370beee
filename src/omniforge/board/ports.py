"""What the moves of tickets ask of the rooms around them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.board.store.evidence import DecisionRow
from omniforge.board.store.tasks import TaskRow
from omniforge.board.store.tickets import TicketRow
from omniforge.board.vocabulary import GateReadiness, MoveCause
from omniforge.core.actor import Actor
from omniforge.engine.events import Event


class Finish(Protocol):
    """Who brings the work of a ticket to where finished work is. Called outside of transactions, before the
    ticket is done."""

    async def merge(self, actor: Actor, ticket_id: str) -> Sequence[str]:
        """Paths of what does not go together with what is there; none when the work is there now."""
        ...

    async def send_back(self, actor: Actor, ticket_id: str, paths: Sequence[str]) -> None:
        """Have somebody bring together what does not go together."""
        ...


class OpenCounts(Protocol):
    """Tasks of a ticket whose phase its status admits. `completed_since`: after `evidence_since`."""

    @property
    def open(self) -> int: ...
    @property
    def failed(self) -> int: ...
    @property
    def completed_since(self) -> int: ...


class Tasks(Protocol):
    """The work on tickets. Everything happens in the caller's transaction."""

    async def create_in(
        self, session: AsyncSession, actor: Actor, ticket: TicketRow, **fields: Any
    ) -> TaskRow:
        """A task of the ticket, queued where it may be; its events are in the log."""
        ...

    async def readmit_ticket(self, session: AsyncSession, ticket: TicketRow) -> list[Event]:
        """Judge anew which tasks of the ticket are queued; the events are the caller's to write."""
        ...

    async def open_counts(self, session: AsyncSession, ticket: TicketRow) -> OpenCounts: ...

    async def cancel_open(
        self, session: AsyncSession, actor: Actor, ticket: TicketRow, reason: str
    ) -> list[Event]:
        """Cancel every open task of the ticket; the events are the caller's to write."""
        ...


class Gatekeeper(Protocol):
    """Who judges by evidence whether a ticket may go forward from where it stands."""

    async def readiness(self, session: AsyncSession, ticket: TicketRow) -> GateReadiness: ...

    async def judge(
        self, session: AsyncSession, ticket: TicketRow, now: datetime, by: str
    ) -> DecisionRow | None:
        """The decision on a gate that is ready; its row and event are written. The same evidence gives the
        decision that is there already. None: it is not ready."""
        ...

    async def criteria(self, session: AsyncSession, ticket: TicketRow) -> Sequence[dict[str, Any]]:
        """Every check of the gate as it stands: `{key, tier, kind, status}`; for refusals."""
        ...

    async def start_missing(self, ticket_id: str, cause: MoveCause = MoveCause.AUTO) -> bool:
        """See to what a gate waits for: start commands that were not run yet, ask people. Called outside of
        transactions. `cause`: of the moves that follow from it. True: asking the gate again is worth it."""
        ...


class Setback(Protocol):
    """What follows when the evidence of a ticket that moves by itself says no."""

    async def __call__(
        self, session: AsyncSession, actor: Actor, ticket: TicketRow, decision: DecisionRow
    ) -> bool:
        """True when something was done about it: then the ticket is not held."""
        ...
