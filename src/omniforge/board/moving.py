"""The one writer of a ticket's status: every move is checked, written and told here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NoReturn

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.board import arrivals, targets, unblocking
from omniforge.board.errors import (
    GateNoGo,
    GatePending,
    IllegalMove,
    NotApproved,
    TicketBlocked,
    VersionConflict,
    WipLimitReached,
)
from omniforge.board.log import board_event
from omniforge.board.ports import Finish, Gatekeeper, Tasks
from omniforge.board.store import projects as project_rows
from omniforge.board.store import tickets as store
from omniforge.board.store.evidence import DecisionRow
from omniforge.board.store.projects import ColumnRow
from omniforge.board.store.tickets import TicketHistoryRow, TicketRow
from omniforge.board.vocabulary import (
    ApprovalStatus,
    GateReadiness,
    GateVerdict,
    MoveCause,
    TicketStatus,
)
from omniforge.board.workflow import has_gate, is_legal, is_regress, phase_of, targets_of
from omniforge.core.actor import Actor
from omniforge.core.clock import Clock, new_id
from omniforge.core.errors import Conflict, Invalid
from omniforge.engine.events import Event, EventLog

SENT_BACK = "Sent back from testing; nobody said why."


@dataclass(frozen=True, slots=True)
class Step:
    """One move that was allowed, with everything its history tells."""

    to: TicketStatus
    cause: MoveCause
    forced: bool = False
    reason: str | None = None
    feedback: str | None = None
    decision_id: str | None = None
    rank: float | None = None


class Unmerged(Conflict):
    """Nothing stands in the way of being done but that the work is not in the main branch yet. Nobody
    outside hears of this: the work is brought there, outside of transactions, and the move made again."""


class Moving:
    """`gates` None: every gate is shut, because nothing can be shown. `finish` None: there is no work that
    would have to be brought anywhere."""

    def __init__(self, events: EventLog, clock: Clock, tasks: Tasks, gates: Gatekeeper | None = None) -> None:
        self.events, self.clock, self.tasks, self.gates = events, clock, tasks, gates
        self.finish: Finish | None = None

    # --- the writer ----------------------------------------------------------------------------------------

    async def move_ticket(
        self,
        session: AsyncSession,
        actor: Actor,
        ticket: TicketRow,
        to: TicketStatus,
        *,
        cause: MoveCause,
        reason: str | None = None,
        force: bool = False,
        feedback: str | None = None,
        expected_version: int | None = None,
        decision: DecisionRow | None = None,
        rank: float | None = None,
        is_merged: bool = False,
    ) -> list[Event]:
        """Move a ticket in the caller's transaction, or raise and write nothing.

        `force` passes gate and limit, for those who may and say why. `decision`: the gate was judged in this
        transaction. `is_merged`: its work is in the main branch, else a move to done is `Unmerged`. Returns
        the events of the move; they are in the log already, in their order.
        """
        if force:
            require_force(actor, reason)
        ticket = await store.get_ticket(session, actor, ticket.id, lock=True)
        check_version(ticket, expected_version)
        await self._check_standing(session, ticket, to)
        decision = await self._pass_gate(session, actor, ticket, to, force=force, decision=decision)
        if not force:
            await self._take_place(session, actor, ticket, to)
        if to is TicketStatus.DONE and self.finish is not None and not is_merged:
            raise Unmerged("Its work is not in the main branch yet.")
        decision_id = decision.id if decision else None
        step = Step(to, cause, force, reason or None, feedback or None, decision_id, rank)
        return await self._write(session, actor, ticket, step)

    async def _check_standing(self, session: AsyncSession, ticket: TicketRow, to: TicketStatus) -> None:
        """Legal, not blocked, approved: what no force passes."""
        source = TicketStatus(ticket.status)
        if ticket.archived:
            await self._refuse(IllegalMove, "An archived ticket does not move.", session, ticket, to)
        if not is_legal(source, to):
            ways = ", ".join(targets_of(source)) or "nowhere"
            message = f"A ticket does not go from {source} to {to}; from here it goes to {ways}."
            await self._refuse(IllegalMove, message, session, ticket, to)
        if ticket.is_blocked:
            message = "This ticket is blocked; unblock it before it moves."
            await self._refuse(TicketBlocked, message, session, ticket, to, blockers=ticket.blockers)
        if (approval := store.approval_of(ticket, self.clock.now())) is not ApprovalStatus.APPROVED:
            message = f"This ticket is not approved: {approval.replace('_', ' ')}."
            await self._refuse(NotApproved, message, session, ticket, to, approval_status=approval)

    async def _pass_gate(
        self,
        session: AsyncSession,
        actor: Actor,
        ticket: TicketRow,
        to: TicketStatus,
        *,
        force: bool,
        decision: DecisionRow | None,
    ) -> DecisionRow | None:
        """The decision that opens the way, None where none is needed."""
        if force or not has_gate(TicketStatus(ticket.status), to):
            return None
        readiness = await self.readiness(session, ticket)
        if readiness in targets.OPEN_GATES and to is TicketStatus.DONE:
            has_work = await arrivals.has_open_task(session, ticket)
            readiness = GateReadiness.WAITING_TASKS if has_work else readiness
        if readiness is GateReadiness.NOT_CONFIGURED:
            return None
        if readiness is GateReadiness.READY and decision is None and self.gates is not None:
            decision = await self.gates.judge(session, ticket, self.clock.now(), actor.by)
        if readiness is not GateReadiness.READY or decision is None:
            criteria = list(await self.gates.criteria(session, ticket)) if self.gates else []
            message = f"The gate from {ticket.status} to {to} is not passed yet: {readiness}."
            await self._refuse(
                GatePending, message, session, ticket, to, readiness=readiness.value, criteria=criteria
            )
        if decision.decision == GateVerdict.NO_GO:
            message = f"The gate from {ticket.status} to {to} says no; see which checks failed."
            details = {"readiness": readiness.value, "criteria": decision.criteria}
            await self._refuse(GateNoGo, message, session, ticket, to, **details)
        return decision

    async def _take_place(
        self, session: AsyncSession, actor: Actor, ticket: TicketRow, to: TicketStatus
    ) -> None:
        if (full := await self.full_column(session, actor, ticket.project_id, to)) is not None:
            limit, count = full
            message = f"The column {to} is full: {count} of {limit}."
            await self._refuse(WipLimitReached, message, session, ticket, to, limit=limit, count=count)

    async def full_column(
        self, session: AsyncSession, actor: Actor, project_id: str, status: TicketStatus
    ) -> tuple[int, int] | None:
        """(limit, count) where no further ticket fits. Its row stays locked: nobody else takes a place."""
        column = await project_rows.get_column(session, actor, project_id, status, lock=True)
        if column.wip_limit is None:
            return None
        count = await store.count_in_status(session, project_id, status)
        return (column.wip_limit, count) if count >= column.wip_limit else None

    async def _write(self, session: AsyncSession, actor: Actor, ticket: TicketRow, step: Step) -> list[Event]:
        source, now = TicketStatus(ticket.status), self.clock.now()
        goes_back = is_regress(source, step.to)
        ticket.status, ticket.status_since = step.to.value, now
        ticket.phase_entry += 1
        ticket.pending_transition, ticket.held_for = None, None
        ticket.version += 1
        ticket.updated_at = now
        if step.rank is not None:
            ticket.rank = step.rank
        if goes_back:
            ticket.evidence_since = now
        await session.flush()
        written = [await self._tell_move(session, actor, ticket, source, step, now)]
        readmitted = await self.tasks.readmit_ticket(session, ticket)
        await self.events.append(session, actor.tenant_id, *readmitted)
        written += readmitted
        feedback = step.feedback or step.reason or SENT_BACK
        if goes_back:
            await arrivals.make_remediation(session, actor, ticket, self.tasks, feedback)
        else:
            await arrivals.make_opening(session, actor, ticket, self.tasks)
        if step.to is TicketStatus.DONE:
            written += await self._finish(session, actor, ticket)
        session.add(history_row(actor, ticket, source, step, now))
        number_history(session, actor.tenant_id, ticket.id)
        return written

    async def _tell_move(  # noqa: PLR0917 - what an event is made of
        self,
        session: AsyncSession,
        actor: Actor,
        ticket: TicketRow,
        source: TicketStatus,
        step: Step,
        now: datetime,
    ) -> Event:
        told = {
            "from_status": source.value,
            "to_status": step.to.value,
            "from_phase": phase_of(source).value,
            "to_phase": phase_of(step.to).value,
            "cause": step.cause.value,
            "forced": step.forced,
            "phase_entry": ticket.phase_entry,
        }
        said = {"reason": step.reason, "decision_id": step.decision_id}
        told |= {name: value for name, value in said.items() if value is not None}
        event = ticket_event("ticket.transitioned", ticket, now, actor.by, **told)
        await self.events.append(session, actor.tenant_id, event)
        return event

    async def _finish(self, session: AsyncSession, actor: Actor, ticket: TicketRow) -> list[Event]:
        """What a forced end leaves open is cancelled, and what waited for this ticket waits no longer."""
        events = await self.tasks.cancel_open(session, actor, ticket, "the ticket is done")
        for waiting in await arrivals.release_dependents(session, ticket):
            events += await self.tasks.readmit_ticket(session, waiting)
        resolve, now = unblocking.resolve_in, self.clock.now()
        events += await resolve(session, ticket.tenant_id, "ticket", ticket.id, self.tasks, now, actor.by)
        await self.events.append(session, actor.tenant_id, *events)
        return events

    # --- what could be done --------------------------------------------------------------------------------

    async def readiness(self, session: AsyncSession, ticket: TicketRow) -> GateReadiness:
        """Of the gate forward. Without a gatekeeper nothing is ever shown, so it stays shut."""
        if self.gates is None:
            return GateReadiness.WAITING_CHECKS
        return await self.gates.readiness(session, ticket)

    async def legal_targets(self, session: AsyncSession, ticket: TicketRow) -> list[dict[str, Any]]:
        """Every status that may follow, with what stands in the way now; the gate is asked."""
        ways = targets_of(TicketStatus(ticket.status))
        gated = any(has_gate(TicketStatus(ticket.status), way) for way in ways)
        readiness = await self.readiness(session, ticket) if gated else None
        full = await full_columns(session, ticket.project_id, ways)
        return targets.legal_targets(ticket, self.clock.now(), full, readiness)

    async def _refuse(
        self,
        error: type[Conflict],
        message: str,
        session: AsyncSession,
        ticket: TicketRow,
        to: TicketStatus,
        **details: Any,
    ) -> NoReturn:
        ways = await self.legal_targets(session, ticket)
        raise error(message, **{"from": ticket.status, "to": to.value, "legal_targets": ways}, **details)


def require_force(actor: Actor, reason: str | None) -> None:
    """Whoever forces may do so, and says why."""
    actor.require("board:force")
    if not (reason or "").strip():
        field = {"field": "reason", "value": reason, "rule": "needed with force"}
        raise Invalid("Say why this is forced.", fields=[field])


def check_version(ticket: TicketRow, expected: int | None) -> None:
    if expected is not None and expected != ticket.version:
        message = "Somebody changed this ticket meanwhile; look at it again."
        raise VersionConflict(message, version=ticket.version, expected_version=expected)


async def full_columns(
    session: AsyncSession, project_id: str, ways: tuple[TicketStatus, ...]
) -> set[TicketStatus]:
    """Columns among `ways` that have a limit and no free place."""
    standing = (
        select(func.count())
        .select_from(TicketRow)
        .where(
            TicketRow.project_id == project_id,
            TicketRow.archived.is_(False),
            TicketRow.status == ColumnRow.status,
        )
        .scalar_subquery()
    )
    query = select(ColumnRow.status).where(
        ColumnRow.project_id == project_id,
        ColumnRow.status.in_(ways),
        ColumnRow.wip_limit.is_not(None),
        ColumnRow.wip_limit <= standing,
    )
    return {TicketStatus(status) for status in await session.scalars(query)}


def ticket_event(type_: str, ticket: TicketRow, now: datetime, by: str, **payload: Any) -> Event:
    """An event of a ticket, found by its project and itself."""
    return board_event(
        type_, ticket.id, now, by, project_id=ticket.project_id, ticket_id=ticket.id, **payload
    )


def history_row(
    actor: Actor, ticket: TicketRow, source: TicketStatus | None, step: Step, now: datetime
) -> TicketHistoryRow:
    """`source` None: the ticket was made there."""
    return TicketHistoryRow(
        id=new_id("history"),
        tenant_id=actor.tenant_id,
        ticket_id=ticket.id,
        from_status=source.value if source else None,
        to_status=step.to.value,
        from_phase=phase_of(source).value if source else None,
        to_phase=phase_of(step.to).value,
        cause=step.cause.value,
        forced=step.forced,
        reason=step.reason,
        feedback=step.feedback,
        decision_id=step.decision_id,
        by=actor.by,
        created_at=now,
    )


def number_history(session: AsyncSession, tenant_id: str, ticket_id: str) -> None:
    """Write beside the newest move of a ticket, once its event has a place in the log, what place that is."""

    async def number() -> None:
        await arrivals.number_newest(session, tenant_id, ticket_id)

    session.info.setdefault("before_commit", []).append(number)
