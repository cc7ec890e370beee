"""Moves that nobody asks for: tickets go forward as far as their state allows, and free places are filled."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.board import pulling
from omniforge.board.errors import PreconditionFailed
from omniforge.board.moving import Moving, Unmerged, ticket_event
from omniforge.board.ports import Gatekeeper, Setback, Tasks
from omniforge.board.store import projects as project_rows
from omniforge.board.store import tickets as store
from omniforge.board.store.evidence import DecisionRow
from omniforge.board.store.projects import ProjectRow
from omniforge.board.store.tickets import TicketRow
from omniforge.board.targets import OPEN_GATES
from omniforge.board.vocabulary import (
    ApprovalStatus,
    GateReadiness,
    GateVerdict,
    HoldReason,
    MoveCause,
    TicketStatus,
)
from omniforge.board.workflow import has_gate, stage_of
from omniforge.core.actor import Actor, Role
from omniforge.core.clock import Clock, rfc3339
from omniforge.db import Database
from omniforge.engine.events import EventLog

PULLED_AT_ONCE = 20
SHOWN = 20
"""Paths that are named in words."""
MOST_ASKED = 4
"""Times a gate is seen to before it is waited for."""
PERMISSIONS = frozenset({"board:view", "board:edit"})


def system_actor(tenant_id: str, name: str) -> Actor:
    """Somebody of ours who moves tickets of a tenant; it forces and approves nothing."""
    return Actor(tenant_id, "system", Role.VIEWER, f"system:{name}", PERMISSIONS)


@dataclass(frozen=True, slots=True)
class Advance:
    """Where a ticket came to, in order, and why it stopped there; no reason when it was asked for one hop."""

    hops: list[TicketStatus] = field(default_factory=list[TicketStatus])
    reason: HoldReason | None = None


@dataclass(frozen=True, slots=True)
class _Hop:
    to: TicketStatus | None = None
    reason: HoldReason | None = None
    lacks_checks: bool = False


class Moves(Moving):
    """Moves of tickets, asked for and by themselves. `setback` decides what follows a no-go; None: the ticket
    is held."""

    def __init__(  # noqa: PLR0917 - one collaborator per room
        self,
        db: Database,
        events: EventLog,
        clock: Clock,
        tasks: Tasks,
        gates: Gatekeeper | None = None,
        setback: Setback | None = None,
    ) -> None:
        super().__init__(events, clock, tasks, gates)
        self.db, self.setback = db, setback

    async def advance_ticket(
        self,
        actor: Actor,
        ticket_id: str,
        *,
        cause: MoveCause = MoveCause.AUTO,
        hops: int | None = None,
    ) -> Advance:
        """Move a ticket on while its state allows, each hop in a transaction of its own; at most `hops`.

        The same state gives the same answer, so it may be called at any time and any number of times.
        """
        made: list[TicketStatus] = []
        is_merged, asked = False, 0
        while hops is None or len(made) < hops:
            try:
                async with self.db.transaction() as session:
                    hop = await self._hop(session, actor, ticket_id, cause, is_merged=is_merged)
            except Unmerged:
                assert self.finish is not None  # noqa: S101 - it is asked for because of that
                if paths := await self.finish.merge(actor, ticket_id):
                    await self.finish.send_back(actor, ticket_id, paths)
                    return Advance(made, HoldReason.GATE_NO_GO)
                is_merged = True
                continue
            if hop.lacks_checks and self.gates is not None and asked < MOST_ASKED:
                asked += 1
                if await self.gates.start_missing(ticket_id, cause):
                    continue
            if hop.to is None:
                return Advance(made, hop.reason)
            made.append(hop.to)
            asked = 0
        return Advance(made)

    async def merge_first(self, actor: Actor, ticket_id: str) -> None:
        """For a move to done that was asked for: its work comes into the main branch, or
        `PreconditionFailed` names the files, and nothing was changed."""
        if self.finish is None or not (paths := await self.finish.merge(actor, ticket_id)):
            return
        async with self.db.read() as session:
            ticket = await store.get_ticket(session, actor, ticket_id)
            ways = await self.legal_targets(session, ticket)
        details: dict[str, Any] = {"from": ticket.status, "to": TicketStatus.DONE.value}
        details |= {"legal_targets": ways, "paths": list(paths)}
        raise PreconditionFailed(
            "The work does not go together with the main branch: others changed "
            f"{', '.join(paths[:SHOWN])} meanwhile. Let the ticket progress by itself, and it goes back to "
            "building with both versions in these files.",
            **details,
        )

    async def _hop(
        self, session: AsyncSession, actor: Actor, ticket_id: str, cause: MoveCause, *, is_merged: bool
    ) -> _Hop:
        """One hop, or why there is none."""
        ticket = await store.get_ticket(session, actor, ticket_id, lock=True)
        stage = stage_of(TicketStatus(ticket.status))
        if stage.forward is None or ticket.archived:
            return _Hop(reason=HoldReason.TERMINAL)
        if store.approval_of(ticket, self.clock.now()) is not ApprovalStatus.APPROVED:
            return _Hop(reason=HoldReason.NOT_APPROVED)
        if ticket.is_blocked:
            return _Hop(reason=HoldReason.BLOCKED)
        if stage.status is TicketStatus.BACKLOG:
            return await self._leave_backlog(session, actor, ticket, cause)
        counts = await self.tasks.open_counts(session, ticket)
        if counts.open:
            return _Hop(reason=HoldReason.TASKS_OPEN)
        if counts.failed:
            return _Hop(reason=HoldReason.TASKS_FAILED)
        return await self._through_gate(session, actor, ticket, stage.forward, cause, is_merged=is_merged)

    async def _leave_backlog(
        self, session: AsyncSession, actor: Actor, ticket: TicketRow, cause: MoveCause
    ) -> _Hop:
        project = await project_rows.get_project(session, actor, ticket.project_id)
        by_hand = cause is MoveCause.PROGRESS
        reason = await pulling.why_not_pulled(session, project, ticket, by_hand=by_hand)
        if reason is not None:
            return _Hop(reason=reason)
        to = TicketStatus.ANALYZING
        if await self.full_column(session, actor, ticket.project_id, to) is not None:
            return _Hop(reason=HoldReason.WIP_LIMIT)
        caused = cause if by_hand else MoveCause.PULL
        await self.move_ticket(session, actor, ticket, to, cause=caused)
        return _Hop(to)

    async def _through_gate(
        self,
        session: AsyncSession,
        actor: Actor,
        ticket: TicketRow,
        to: TicketStatus,
        cause: MoveCause,
        *,
        is_merged: bool,
    ) -> _Hop:
        decision: DecisionRow | None = None
        if has_gate(TicketStatus(ticket.status), to):
            readiness = await self.readiness(session, ticket)
            if readiness is GateReadiness.READY and self.gates is not None:
                decision = await self.gates.judge(session, ticket, self.clock.now(), actor.by)
            if readiness not in OPEN_GATES or (readiness is GateReadiness.READY and decision is None):
                if readiness is GateReadiness.WAITING_APPROVAL:  # it stands still until a person has looked
                    await self._hold(session, actor, ticket, to, HoldReason.GATE_PENDING)
                lacks_checks = readiness in (GateReadiness.WAITING_CHECKS, GateReadiness.WAITING_APPROVAL)
                return _Hop(reason=HoldReason.GATE_PENDING, lacks_checks=lacks_checks)
            if decision is not None and decision.decision == GateVerdict.NO_GO:
                await self._answer_no_go(session, actor, ticket, to, decision)
                return _Hop(reason=HoldReason.GATE_NO_GO)
        if await self.full_column(session, actor, ticket.project_id, to) is not None:
            await self._hold(session, actor, ticket, to, HoldReason.WIP_LIMIT)
            return _Hop(reason=HoldReason.WIP_LIMIT)
        await self.move_ticket(
            session, actor, ticket, to, cause=cause, decision=decision, is_merged=is_merged
        )
        return _Hop(to)

    async def _answer_no_go(
        self,
        session: AsyncSession,
        actor: Actor,
        ticket: TicketRow,
        to: TicketStatus,
        decision: DecisionRow,
    ) -> None:
        project = await project_rows.get_project(session, actor, ticket.project_id)
        setback = self.setback if project.autonomous else None
        if setback is not None and await setback(session, actor, ticket, decision):
            return
        await self._hold(session, actor, ticket, to, HoldReason.GATE_NO_GO)

    async def regress(self, session: AsyncSession, actor: Actor, ticket: TicketRow, feedback: str) -> bool:
        """Send a ticket back by itself; False: building is full, and it is held until a place is free."""
        to = TicketStatus.BUILDING
        if await self.full_column(session, actor, ticket.project_id, to) is not None:
            await self._hold(session, actor, ticket, to, HoldReason.WIP_LIMIT, feedback)
            return False
        await self.move_ticket(session, actor, ticket, to, cause=MoveCause.REGRESS, feedback=feedback)
        return True

    async def _hold(  # noqa: PLR0917 - what is remembered of a move that waits
        self,
        session: AsyncSession,
        actor: Actor,
        ticket: TicketRow,
        to: TicketStatus,
        reason: HoldReason,
        feedback: str | None = None,
    ) -> None:
        """Remember a move that waits, and say so once."""
        held = ticket.pending_transition or {}
        if (held.get("to_status"), held.get("reason")) == (to.value, reason.value):
            return
        now = self.clock.now()
        waiting = {"to_status": to.value, "reason": reason.value, "since": rfc3339(now)}
        ticket.pending_transition = waiting | ({"feedback": feedback} if feedback else {})
        ticket.held_for = to.value
        ticket.updated_at = now
        event = ticket_event("ticket.held", ticket, now, actor.by, to_status=to.value, reason=reason.value)
        await self.events.append(session, actor.tenant_id, event)

    # --- free places ---------------------------------------------------------------------------------------

    async def release_held(self, project_id: str, status: TicketStatus) -> list[str]:
        """A place in a column may be free: move in whoever waits for it. Ids of those who came in."""
        async with self.db.read() as session:
            tenant_id = await session.scalar(select(ProjectRow.tenant_id).where(ProjectRow.id == project_id))
            waiting = await pulling.held_for(session, project_id, status)
        if tenant_id is None:
            return []
        actor = system_actor(tenant_id, "advance")
        if status is TicketStatus.ANALYZING:
            return await self.pull(actor, project_id)
        came: list[str] = []
        for ticket in waiting:
            moved, is_full = await self._retry(actor, ticket, status)
            if moved:
                came.append(ticket.id)
            if is_full:
                break
        return came

    async def _retry(self, actor: Actor, ticket: TicketRow, status: TicketStatus) -> tuple[bool, bool]:
        """Try a held move again: (it moved, the column is full)."""
        feedback = (ticket.pending_transition or {}).get("feedback")
        if feedback is None:
            done = await self.advance_ticket(actor, ticket.id)
            return status in done.hops, not done.hops and done.reason is HoldReason.WIP_LIMIT
        async with self.db.transaction() as session:
            held = await store.get_ticket(session, actor, ticket.id, lock=True)
            if held.held_for != status or held.is_blocked:
                return False, False
            moved = await self.regress(session, actor, held, feedback)
            return moved, not moved

    async def pull(self, actor: Actor, project_id: str) -> list[str]:
        """Fill the free places of analyzing from the backlog of an autonomous project; ids of who came in."""
        came: list[str] = []
        while True:
            async with self.db.read() as session:
                project = await project_rows.get_project(session, actor, project_id)
                if not project.autonomous or await self._analyzing_is_full(session, actor, project_id):
                    return came
                waiting = await pulling.next_pulls(session, actor, project_id, PULLED_AT_ONCE)
            before = len(came)
            for ticket_id in waiting:
                done = await self.advance_ticket(actor, ticket_id)
                if done.hops:
                    came.append(ticket_id)
                elif done.reason is HoldReason.WIP_LIMIT:
                    return came
            if len(came) == before:
                return came

    async def _analyzing_is_full(self, session: AsyncSession, actor: Actor, project_id: str) -> bool:
        to = TicketStatus.ANALYZING
        column = await project_rows.get_column(session, actor, project_id, to)
        if column.wip_limit is None:
            return False
        return await store.count_in_status(session, project_id, to) >= column.wip_limit
