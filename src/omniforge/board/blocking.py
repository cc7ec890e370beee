"""Marks tickets as blocked by what cannot go on, and takes that back when it can."""

from __future__ import annotations

from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.board.log import board_event
from omniforge.board.store.tasks import TaskRow
from omniforge.board.store.tickets import TicketRow
from omniforge.board.tasks import Tasks
from omniforge.board.vocabulary import BlockerType
from omniforge.engine.events import Event


class Blocking:
    """Everything here is part of the caller's transaction; events are the caller's to write."""

    def __init__(self, tasks: Tasks) -> None:
        self.tasks = tasks

    async def block_in(  # noqa: PLR0917 - what a block is made of
        self,
        session: AsyncSession,
        ticket: TicketRow,
        blocker_type: BlockerType,
        reason: str,
        blockers: list[dict[str, Any]],
        by: str,
    ) -> list[Event]:
        """Block a ticket, or say anew why it is; its waiting tasks leave the queue."""
        now = self.tasks.clock.now()
        if not ticket.is_blocked:
            ticket.blocked_at = now
        ticket.is_blocked, ticket.blocker_type = True, blocker_type.value
        ticket.blocked_reason, ticket.blockers, ticket.blocked_by_actor = reason, blockers, by
        ticket.version, ticket.updated_at = ticket.version + 1, now
        told = {"blocker_type": blocker_type.value, "reason": reason, "blockers": blockers}
        judged = await self.tasks.readmit_ticket(session, ticket)
        return [self._event("ticket.blocked", ticket, by, **told), *judged]

    async def resolved_in(self, session: AsyncSession, task: TaskRow, by: str) -> list[Event]:
        """The task was completed, or is tried anew: a block of the system that waits for it alone ends, and
        so does the block that the task was made to end. What a person blocked stays otherwise."""
        ticket = await session.get_one(TicketRow, task.ticket_id)
        if not ticket.is_blocked:
            return []
        left = [one for one in ticket.blockers if one.get("id") != task.id]
        named = len(left) < len(ticket.blockers)
        by_system = (ticket.blocked_by_actor or "").startswith(("system:", "sandbox:"))
        if not (task.unblocks or (named and by_system)):
            return []
        if left and not task.unblocks:
            ticket.blockers = left
            return []
        return await self._unblock(session, ticket, by, "task")

    async def _unblock(self, session: AsyncSession, ticket: TicketRow, by: str, cause: str) -> list[Event]:
        now = self.tasks.clock.now()
        seconds = (now - ticket.blocked_at).total_seconds() if ticket.blocked_at else 0.0
        ticket.is_blocked, ticket.blockers = False, []
        ticket.blocker_type = ticket.blocked_reason = ticket.blocked_at = ticket.blocked_by_actor = None
        ticket.version, ticket.updated_at = ticket.version + 1, now
        told = {"blocked_seconds": round(seconds, 3), "cause": cause}
        judged = await self.tasks.readmit_ticket(session, ticket)
        return [self._event("ticket.unblocked", ticket, by, **told), *judged]

    def _event(self, type_: str, ticket: TicketRow, by: str, **told: Any) -> Event:
        ids = {"project_id": ticket.project_id, "ticket_id": ticket.id}
        return board_event(type_, ticket.id, self.tasks.clock.now(), by, **ids, **told)
