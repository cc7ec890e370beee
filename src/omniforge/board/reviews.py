"""People look at tickets before anything is spent on them: asked, answered in time, or never."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.board.errors import NotPendingReview
from omniforge.board.log import board_event
from omniforge.board.moves import system_actor
from omniforge.board.moving import ticket_event
from omniforge.board.people import check_approver, is_signed_in
from omniforge.board.projects import settings_of
from omniforge.board.removal import remove_in
from omniforge.board.shapes.reviews import ApprovalState
from omniforge.board.store import projects as project_rows
from omniforge.board.store import tickets as store
from omniforge.board.store.cards import CardFilter, matching
from omniforge.board.store.evidence import ApprovalRow
from omniforge.board.store.projects import ProjectRow
from omniforge.board.store.tickets import TicketRow, approval_of
from omniforge.board.tasks import Tasks
from omniforge.board.vocabulary import ApprovalStatus, ApproverRole
from omniforge.core.actor import Actor
from omniforge.core.clock import new_id, rfc3339
from omniforge.db import Database
from omniforge.engine.events import Event

ROLE = ApproverRole.PRODUCT
SWEEP_SECONDS = 5.0
"""How often `sweep` is to be called; what it writes has counted before."""
AT_ONCE = 100
Disposition = Literal["archive", "delete"]


class Reviews:
    """A review stands on the ticket and in the inbox of approvals; both are decided together."""

    def __init__(self, db: Database, tasks: Tasks) -> None:
        self.db, self.tasks = db, tasks
        self.events, self.clock = tasks.events, tasks.clock

    # --- asked ---------------------------------------------------------------------------------------------

    def wants_review(self, actor: Actor, project: ProjectRow) -> bool:
        """Whoever comes with a key may be an agent."""
        match settings_of(project).ticket_human_review:
            case "all":
                return True
            case "agents":
                return not is_signed_in(actor.by)
            case _:
                return False

    async def request_in(
        self, session: AsyncSession, actor: Actor, project: ProjectRow, ticket: TicketRow
    ) -> list[Event]:
        """Ask for it: sets the ticket's approval and its deadline; the events are the caller's to write."""
        now = self.clock.now()
        deadline = now + timedelta(seconds=settings_of(project).approval_timeout_seconds)
        ticket.approval_status = ApprovalStatus.PENDING_REVIEW.value
        ticket.approval_deadline_at, ticket.requested_by = deadline, actor.by
        asked = ApprovalRow(
            id=new_id("apr"),
            tenant_id=ticket.tenant_id,
            project_id=project.id,
            subject_type="ticket",
            subject_id=ticket.id,
            role=ROLE.value,
            prompt=f"Shall work on {ticket.ref} {ticket.title} begin?",
            description=ticket.description,
            context={"ref": ticket.ref, "title": ticket.title},
            blocking=True,
            status="pending",
            requested_by=actor.by,
            deadline_at=deadline,
            created_at=now,
        )
        session.add(asked)
        await session.flush()
        told = {"subject_type": "ticket", "subject_id": ticket.id, "role": asked.role, "prompt": asked.prompt}
        told |= {"approval_id": asked.id, "deadline_at": rfc3339(deadline)}
        ids = {"project_id": project.id, "ticket_id": ticket.id}
        return [
            ticket_event("ticket.review_requested", ticket, now, actor.by, deadline_at=rfc3339(deadline)),
            board_event("approval.requested", asked.id, now, actor.by, **ids, **told),
        ]

    # --- answered ------------------------------------------------------------------------------------------

    async def approve(self, actor: Actor, ticket_id: str) -> None:
        """`NotPendingReview` when it waits for nobody, also from the second of its deadline on."""
        await self._decide(actor, ticket_id, None)

    async def reject(self, actor: Actor, ticket_id: str, reason: str) -> Disposition:
        """What became of it: archived, or deleted."""
        return await self._decide(actor, ticket_id, reason)

    async def _decide(self, actor: Actor, ticket_id: str, reason: str | None) -> Disposition:
        actor.require("board:approve")
        async with self.db.transaction() as session:
            ticket = await store.get_ticket(session, actor, ticket_id, lock=True)
            project = await project_rows.get_project(session, actor, ticket.project_id)
            check_approver(actor, project, ROLE, ticket.requested_by)
            self._check_pending(ticket)
            decision = "approved" if reason is None else "rejected"
            events = await self._close(session, ticket, decision, actor.by, reason)
            events += await self.decide_in(session, actor, ticket_id, reason)
            await self.events.append(session, actor.tenant_id, *events)
        return settings_of(project).on_reject

    async def decide_in(
        self, session: AsyncSession, actor: Actor, ticket_id: str, rejection_reason: str | None
    ) -> list[Event]:
        """What an answer does to the ticket; None: it is yes. The approval's own row and event are whose door
        it came through. The events are the caller's to write."""
        ticket = await store.get_ticket(session, actor, ticket_id, lock=True)
        self._check_pending(ticket)
        if rejection_reason is not None:
            ticket.rejection_reason = rejection_reason
            return await self._dispose(session, actor, ticket, ApprovalStatus.REJECTED, rejection_reason)
        now = self.clock.now()
        ticket.approval_status, ticket.approval_deadline_at = ApprovalStatus.APPROVED.value, None
        ticket.version, ticket.updated_at = ticket.version + 1, now
        approved = ticket_event("ticket.approved", ticket, now, actor.by)
        return [approved, *await self.tasks.readmit_ticket(session, ticket)]

    def _check_pending(self, ticket: TicketRow) -> None:
        if (status := approval_of(ticket, self.clock.now())) is not ApprovalStatus.PENDING_REVIEW:
            message = f"This ticket does not wait for a review: {status.replace('_', ' ')}."
            raise NotPendingReview(message, ticket_id=ticket.id, approval_status=status.value)

    async def _dispose(
        self,
        session: AsyncSession,
        actor: Actor,
        ticket: TicketRow,
        status: ApprovalStatus,
        reason: str | None = None,
    ) -> list[Event]:
        """Work on it never begins: it leaves the board as the project wants."""
        project = await project_rows.get_project(session, actor, ticket.project_id)
        now, disposition = self.clock.now(), settings_of(project).on_reject
        ticket.approval_status, ticket.archived = status.value, True
        ticket.pending_transition, ticket.held_for = None, None
        ticket.version, ticket.updated_at = ticket.version + 1, now
        told = {"disposition": disposition}
        if status is ApprovalStatus.REJECTED:
            event = ticket_event("ticket.rejected", ticket, now, actor.by, reason=reason, **told)
        else:
            event = ticket_event("ticket.review_timed_out", ticket, now, actor.by, **told)
        if disposition == "delete":
            return [event, *await remove_in(session, actor, ticket, self.tasks, now)]
        return [event, *await self.tasks.readmit_ticket(session, ticket)]

    async def _close(
        self, session: AsyncSession, ticket: TicketRow, status: str, by: str, rationale: str | None
    ) -> list[Event]:
        """The question in the inbox has its answer."""
        query = select(ApprovalRow).where(
            ApprovalRow.tenant_id == ticket.tenant_id,
            ApprovalRow.subject_type == "ticket",
            ApprovalRow.subject_id == ticket.id,
            ApprovalRow.status == "pending",
        )
        now, events = self.clock.now(), list[Event]()
        told = {"decision": DECISIONS[status], "by": by, "rationale": rationale}
        ids = {"project_id": ticket.project_id, "ticket_id": ticket.id}
        for asked in await session.scalars(query.with_for_update()):
            asked.status, asked.decided_by, asked.decided_at = status, by, now
            asked.rationale = rationale
            event = board_event("approval.decided", asked.id, now, by, **ids)
            event.payload |= told
            events.append(event)
        await session.flush()
        return events

    # --- never answered ------------------------------------------------------------------------------------

    async def sweep(self) -> int:
        """Write down which reviews nobody answered in time, and tell of it; how many. They have counted as
        timed out since their deadline. Safe in any number of processes."""
        due = (
            select(TicketRow.tenant_id, TicketRow.id)
            .where(
                TicketRow.approval_status == ApprovalStatus.PENDING_REVIEW,
                TicketRow.approval_deadline_at <= self.clock.now(),
            )
            .order_by(TicketRow.approval_deadline_at, TicketRow.id)
            .limit(AT_ONCE)
        )
        async with self.db.read() as session:
            found = [(row[0], row[1]) for row in await session.execute(due)]
        return sum([await self._time_out(tenant_id, ticket_id) for tenant_id, ticket_id in found])

    async def _time_out(self, tenant_id: str, ticket_id: str) -> bool:
        actor = system_actor(tenant_id, "dispatch")
        async with self.db.transaction() as session:
            ticket = await session.get(TicketRow, ticket_id, with_for_update=True)
            if ticket is None or ticket.approval_status != ApprovalStatus.PENDING_REVIEW:
                return False
            events = await self._close(session, ticket, "expired", actor.by, None)
            events += await self._dispose(session, actor, ticket, ApprovalStatus.TIMED_OUT)
            await self.events.append(session, tenant_id, *events)
        return True

    # --- read ----------------------------------------------------------------------------------------------

    async def state(self, actor: Actor, ticket_id: str) -> ApprovalState:
        actor.require("board:view")
        async with self.db.read() as session:
            ticket = await store.get_ticket(session, actor, ticket_id)
        return ApprovalState(
            ticket_id=ticket.id,
            approval_status=approval_of(ticket, self.clock.now()),
            deadline_at=ticket.approval_deadline_at,
            requested_by=ticket.requested_by,
            rejection_reason=ticket.rejection_reason,
        )

    async def count_pending(self, actor: Actor, project_id: str | None) -> int:
        actor.require("board:view")
        pending = CardFilter(approval_status=ApprovalStatus.PENDING_REVIEW)
        query = select(func.count()).select_from(TicketRow)
        query = query.where(TicketRow.tenant_id == actor.tenant_id, TicketRow.archived.is_(False))
        if project_id is not None:
            query = query.where(TicketRow.project_id == project_id)
        async with self.db.read() as session:
            return await session.scalar(query.where(*matching(pending, self.clock.now()))) or 0


DECISIONS = {"approved": "approve", "rejected": "reject", "expired": "expire"}
"""What the log tells of how a question ended."""
