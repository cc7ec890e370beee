"""What people do about tickets that cannot go on: block them, have something mended, unblock them."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.board import unblocking
from omniforge.board.blocking import Blocking
from omniforge.board.errors import PreconditionFailed
from omniforge.board.moves import Moves, system_actor
from omniforge.board.people import is_ours
from omniforge.board.shapes.blocking import BlockGiven
from omniforge.board.store import tickets as store
from omniforge.board.store.tasks import TaskRow
from omniforge.board.store.tickets import TicketRow
from omniforge.board.vocabulary import OPEN_TASKS, TaskType, TicketStatus
from omniforge.board.workflow import stage_of
from omniforge.core.actor import Actor
from omniforge.core.errors import Invalid
from omniforge.db import Database


class Hindrances:
    def __init__(self, db: Database, moves: Moves, blocking: Blocking) -> None:
        self.db, self.moves, self.blocking = db, moves, blocking
        self.tasks, self.events, self.clock = blocking.tasks, moves.events, moves.clock

    async def block(self, actor: Actor, ticket_id: str, given: BlockGiven) -> None:
        """`PreconditionFailed` for a ticket that is done or archived. `remediate`: with new work, which alone
        is admitted meanwhile and whose completion ends the block."""
        actor.require("board:edit")
        async with self.db.transaction() as session:
            ticket = await store.get_ticket(session, actor, ticket_id, lock=True)
            _check(ticket, given)
            named = [one.model_dump(exclude_none=True) for one in given.blockers]
            events = await self.blocking.block_in(
                session, ticket, given.blocker_type, given.reason or None, named, actor.by
            )
            await self.events.append(session, actor.tenant_id, *events)
            if given.remediate:
                await self._remediate(session, actor, ticket, given)

    async def _remediate(
        self, session: AsyncSession, actor: Actor, ticket: TicketRow, given: BlockGiven
    ) -> None:
        """One such task is enough: what was said anew stands on the ticket."""
        open_one = select(TaskRow.id).where(
            TaskRow.ticket_id == ticket.id, TaskRow.unblocks.is_(True), TaskRow.status.in_(OPEN_TASKS)
        )
        if await session.scalar(open_one.limit(1)) is not None:
            return
        kind = given.blocker_type.replace("_", " ")
        reason = given.reason or f"It is blocked: {kind}."
        await self.tasks.create_in(
            session,
            actor,
            ticket,
            title=f"Remove what blocks {ticket.title}"[:500],
            description=reason,
            task_type=TaskType.REMEDIATION,
            phase_id=stage_of(TicketStatus(ticket.status)).admits[0],
            feedback=[{"kind": "block", "text": reason, "by": actor.by}],
            unblocks=True,
        )

    async def unblock(self, actor: Actor, ticket_id: str) -> None:
        """One that is not blocked stays as it is; one that was goes on as far as its state allows."""
        actor.require("board:edit")
        async with self.db.transaction() as session:
            ticket = await store.get_ticket(session, actor, ticket_id, lock=True)
            if not ticket.is_blocked:
                return
            if not is_ours(actor.by):
                ticket.remediations = 0
            now = self.clock.now()
            events = await unblocking.lift(session, ticket, self.tasks, now, actor.by, "person")
            await self.events.append(session, actor.tenant_id, *events)
        await self.moves.advance_ticket(system_actor(actor.tenant_id, "advance"), ticket_id)


def _check(ticket: TicketRow, given: BlockGiven) -> None:
    if ticket.status == TicketStatus.DONE or ticket.archived:
        state = "archived" if ticket.archived else "done"
        raise PreconditionFailed(f"This ticket is {state}; nothing can block it.", status=ticket.status)
    if given.remediate and ticket.status == TicketStatus.BACKLOG:
        field = {
            "field": "remediate",
            "value": True,
            "rule": "not in the backlog, where nobody works",
        }
        raise Invalid("In the backlog there is no work that could end the block.", fields=[field])
