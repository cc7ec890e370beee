"""Marks tickets as blocked by what cannot go on, and takes that back when it can."""

from __future__ import annotations

from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.board import unblocking
from omniforge.board.log import board_event
from omniforge.board.people import is_ours
from omniforge.board.store.tasks import TaskRow
from omniforge.board.store.tickets import TicketRow
from omniforge.board.tasks import Tasks
from omniforge.board.vocabulary import BlockerType, TaskStatus
from omniforge.engine.events import Event

Json = dict[str, Any]


class Blocking:
    """Everything here is part of the caller's transaction, which has locked the ticket's row; events are the
    caller's to write."""

    def __init__(self, tasks: Tasks) -> None:
        self.tasks = tasks

    async def block_in(  # noqa: PLR0917 - what a block is made of
        self,
        session: AsyncSession,
        ticket: TicketRow,
        blocker_type: BlockerType,
        reason: str | None,
        blockers: list[Json],
        by: str,
    ) -> list[Event]:
        """Block a ticket, or say anew why it is; its waiting tasks leave the queue.

        What the system finds on a ticket that is blocked already stands beside what was found before, and
        never takes the place of what a person said.
        """
        now = self.tasks.clock.now()
        adds = ticket.is_blocked and is_ours(by)
        if not ticket.is_blocked:
            ticket.blocked_at = now
        if not (adds and not is_ours(ticket.blocked_by_actor)):
            ticket.blocker_type, ticket.blocked_reason = blocker_type.value, reason
            ticket.blocked_by_actor = by
        ticket.is_blocked, ticket.blockers = True, _together(ticket.blockers if adds else [], blockers)
        ticket.version, ticket.updated_at = ticket.version + 1, now
        told: Json = {"blocker_type": ticket.blocker_type, "blockers": ticket.blockers}
        if ticket.blocked_reason is not None:
            told["reason"] = ticket.blocked_reason
        judged = await self.tasks.readmit_ticket(session, ticket)
        ids = {"project_id": ticket.project_id, "ticket_id": ticket.id}
        return [board_event("ticket.blocked", ticket.id, now, by, **ids, **told), *judged]

    async def resolved_in(self, session: AsyncSession, task: TaskRow, by: str) -> list[Event]:
        """The task was completed, is tried anew, or got its answer: a block of the system that waits for it
        alone ends, and so does the block that the task was made to end, once it is completed. What a person
        blocked stays otherwise. Completed, it is no hindrance to other tickets either."""
        now = self.tasks.clock.now()
        ticket = await session.get_one(TicketRow, task.ticket_id)
        is_completed = task.status == TaskStatus.COMPLETED
        if ticket.is_blocked and task.unblocks and is_completed:
            events = await unblocking.lift(session, ticket, self.tasks, now, by, "task")
        else:
            events = await unblocking.drop(session, ticket, _about(task), self.tasks, now, by, "task")
        if is_completed:
            resolve = unblocking.resolve_in
            events += await resolve(session, task.tenant_id, "task", task.id, self.tasks, now, by)
        return events


def _about(task: TaskRow) -> unblocking.Named:
    """The task itself, and a question that its worker asked."""
    return lambda one: (
        one.get("id") == task.id or (one.get("kind") == "approval" and one.get("ref") == task.ref)
    )


def _together(known: list[Json], more: list[Json]) -> list[Json]:
    ids = {one.get("id") for one in more}
    return [*(one for one in known if one.get("id") not in ids), *more]
