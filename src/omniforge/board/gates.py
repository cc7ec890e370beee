"""Who judges by evidence whether a ticket may go forward."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.board import decisions
from omniforge.board.gate_standing import PENDING, GateStandings, Standing
from omniforge.board.moves import system_actor
from omniforge.board.store import tickets as ticket_rows
from omniforge.board.store.evidence import ApprovalRow, DecisionRow
from omniforge.board.store.gates import GATE_CHECK
from omniforge.board.store.tickets import TicketRow
from omniforge.board.vocabulary import (
    ApproverRole,
    CheckKind,
    GateReadiness,
    MoveCause,
    TicketStatus,
)
from omniforge.board.workflow import GATED, stage_of
from omniforge.db import Database
from omniforge.engine.events import EventLog

Json = dict[str, Any]


class Runs(Protocol):
    """Starts the run that runs the commands of one evaluation."""

    async def start(self, ticket: TicketRow, standing: Standing, cause: MoveCause) -> str:
        """Id of the run, also of the one that is under way already."""
        ...


class Asks(Protocol):
    """The inbox of questions to people."""

    async def request_in(
        self,
        session: AsyncSession,
        *,
        tenant_id: str,
        project_id: str,
        subject_type: str,
        subject_id: str,
        role: ApproverRole,
        prompt: str,
        by: str,
        description: str | None = None,
        context: Json | None = None,
        ticket_id: str | None = None,
    ) -> ApprovalRow: ...


class HostArtifacts(Protocol):
    """What OmniForge itself puts together from what happened."""

    async def assemble_handoff(self, session: AsyncSession, ticket: TicketRow) -> object: ...


class Voids(Protocol):
    async def void_stale(self, session: AsyncSession, ticket: TicketRow, tree_hash: str) -> object:
        """Receipts on other files than these count no more."""
        ...


class Gates:
    """`runs` None: commands are never run here, so that a gate with commands stays shut."""

    def __init__(  # noqa: PLR0917 - one collaborator per room
        self,
        db: Database,
        events: EventLog,
        standings: GateStandings,
        asks: Asks,
        runs: Runs | None = None,
        artifacts: HostArtifacts | None = None,
        receipts: Voids | None = None,
    ) -> None:
        self.db, self.events, self.standings, self.asks = db, events, standings, asks
        self.clock = standings.clock
        self.runs, self.artifacts, self.receipts = runs, artifacts, receipts

    # --- asked by moves ------------------------------------------------------------------------------------

    async def readiness(self, session: AsyncSession, ticket: TicketRow) -> GateReadiness:
        if not is_gated(ticket):
            return GateReadiness.NOT_CONFIGURED
        return (await self.standings.stand(session, ticket)).readiness

    async def judge(
        self, session: AsyncSession, ticket: TicketRow, now: datetime, by: str
    ) -> DecisionRow | None:
        """The decision on a gate that is ready; its row and event are written. The same evidence gives the
        decision that is there already. None: it is not ready."""
        standing = await self.standings.stand(session, ticket)
        if standing.readiness is not GateReadiness.READY:
            return None
        if standing.tree_hash is not None and self.receipts is not None:
            await self.receipts.void_stale(session, ticket, standing.tree_hash)
        return await decisions.decide_in(session, self.events, ticket, standing, now, by)

    async def criteria(self, session: AsyncSession, ticket: TicketRow) -> Sequence[Json]:
        standing = await self.standings.stand(session, ticket)
        return [one.told() for one in standing.checks]

    async def ask(self, session: AsyncSession, ticket: TicketRow, by: str) -> None:
        """Put to people what the gate waits for them to say."""
        standing = await self.standings.stand(session, ticket)
        if standing.readiness is not GateReadiness.WAITING_APPROVAL:
            return
        to = stage_of(standing.from_status).forward
        for one in standing.checks:
            check = one.check
            if check.kind is not CheckKind.APPROVAL or one.status != PENDING:
                continue
            await self.asks.request_in(
                session,
                tenant_id=ticket.tenant_id,
                project_id=ticket.project_id,
                subject_type=GATE_CHECK,
                subject_id=ticket.id,
                role=ApproverRole(check.fields["role"]),
                prompt=check.fields["prompt"],
                description=check.text or ticket.description,
                context={
                    "ticket_id": ticket.id,
                    "ref": ticket.ref,
                    "title": ticket.title,
                    "check_key": check.key,
                    "from_status": standing.from_status.value,
                    "to_status": to.value if to else None,
                    "phase_entry": ticket.phase_entry,
                    "minimum": check.fields["minimum"],
                },
                by=by,
                ticket_id=ticket.id,
            )

    async def start_missing(self, ticket_id: str, cause: MoveCause = MoveCause.AUTO) -> bool:
        """See to what a gate waits for: look at the files, put together what the board itself makes, start
        commands that were not run, ask people. Called outside of transactions.

        True when nothing is under way, so that asking the gate again is worth it.
        """
        async with self.db.read() as session:
            ticket = await session.get(TicketRow, ticket_id)
            if ticket is None or not is_gated(ticket):
                return False
            standing = await self.standings.stand(session, ticket)
        match standing.readiness:
            case GateReadiness.WAITING_CHECKS if standing.missing:
                await self.start(ticket, standing, cause)
                return False
            case GateReadiness.WAITING_CHECKS:
                return await self._assemble(ticket)
            case GateReadiness.WAITING_APPROVAL:
                await self._ask_now(ticket)
                return False
            case readiness:
                return readiness is GateReadiness.READY

    async def start(self, ticket: TicketRow, standing: Standing, cause: MoveCause) -> str | None:
        """The run of the missing commands; None where nothing can be run."""
        return None if self.runs is None else await self.runs.start(ticket, standing, cause)

    async def _assemble(self, ticket: TicketRow) -> bool:
        """Put the hand-over together; False when nobody here can."""
        if self.artifacts is None:
            return False
        async with self.db.transaction() as session:
            fresh = await self._fresh(session, ticket)
            if fresh.phase_entry == ticket.phase_entry:
                await self.artifacts.assemble_handoff(session, fresh)
        return True

    async def _ask_now(self, ticket: TicketRow) -> None:
        async with self.db.transaction() as session:
            await self.ask(session, await self._fresh(session, ticket), "system:host")

    @staticmethod
    async def _fresh(session: AsyncSession, ticket: TicketRow) -> TicketRow:
        actor = system_actor(ticket.tenant_id, "host")
        return await ticket_rows.get_ticket(session, actor, ticket.id, lock=True)


def is_gated(ticket: TicketRow) -> bool:
    return not ticket.archived and TicketStatus(ticket.status) in GATED
