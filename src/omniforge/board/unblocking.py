"""How a block ends: lifted as a whole, or because nothing that it names stands in the way any more."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime
from typing import Any

from sqlalchemy import String, cast, exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.board.log import board_event
from omniforge.board.people import is_ours
from omniforge.board.ports import Tasks
from omniforge.board.store.tasks import TaskEdgeRow, TaskRow
from omniforge.board.store.tickets import TicketRow
from omniforge.board.vocabulary import OPEN_TASKS
from omniforge.engine.events import Event

Json = dict[str, Any]
Named = Callable[[Json], bool]
"""Whether an entry of `blockers` is meant."""


async def lift(  # noqa: PLR0917 - whose block, and what is told of its end
    session: AsyncSession, ticket: TicketRow, tasks: Tasks, now: datetime, by: str, cause: str
) -> list[Event]:
    """End the block of a ticket that is locked; its tasks are judged anew. The events are the caller's."""
    seconds = (now - ticket.blocked_at).total_seconds() if ticket.blocked_at else 0.0
    ticket.is_blocked, ticket.blockers = False, []
    ticket.blocker_type = ticket.blocked_reason = ticket.blocked_at = ticket.blocked_by_actor = None
    ticket.version, ticket.updated_at = ticket.version + 1, now
    told: Json = {"blocked_seconds": round(seconds, 3), "cause": cause}
    judged = await tasks.readmit_ticket(session, ticket)
    ids = {"project_id": ticket.project_id, "ticket_id": ticket.id}
    return [board_event("ticket.unblocked", ticket.id, now, by, **ids, **told), *judged]


async def drop(  # noqa: PLR0917 - whose block, and what is told of its end
    session: AsyncSession,
    ticket: TicketRow,
    named: Named,
    tasks: Tasks,
    now: datetime,
    by: str,
    cause: str,
) -> list[Event]:
    """What is named stands in the way no longer: a block of the system that has nothing else to name ends.
    What a person blocked stays. The events are the caller's."""
    left = [one for one in ticket.blockers if not named(one)]
    if not ticket.is_blocked or len(left) == len(ticket.blockers):
        return []
    if not left and is_ours(ticket.blocked_by_actor):
        return await lift(session, ticket, tasks, now, by, cause)
    ticket.blockers, ticket.updated_at = left, now
    await session.flush()
    return []


async def resolve_in(  # noqa: PLR0917 - what is resolved, when and by whom
    session: AsyncSession,
    tenant_id: str,
    kind: str,
    blocker_id: str,
    tasks: Tasks,
    now: datetime,
    by: str,
) -> list[Event]:
    """`drop` for every ticket of the tenant that names this blocker. Call in the transaction in which a
    ticket is done, a task completed or an approval decided."""
    query = (
        select(TicketRow)
        .where(
            TicketRow.tenant_id == tenant_id,
            TicketRow.is_blocked.is_(True),
            cast(TicketRow.blockers, String).contains(blocker_id, autoescape=True),
        )
        .order_by(TicketRow.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    await session.flush()
    events: list[Event] = []
    for ticket in list(await session.scalars(query)):
        named = _is(kind, {blocker_id})
        events += await drop(session, ticket, named, tasks, now, by, kind)
    return events


async def waits_no_longer(  # noqa: PLR0917 - who waited for what, when and by whom
    session: AsyncSession, task: TaskRow, awaited: Collection[str], tasks: Tasks, now: datetime, by: str
) -> list[Event]:
    """A task was taken off what it waited for: its ticket is not blocked by that which none of its open
    tasks waits for. The ticket is locked."""
    ticket = await session.get_one(TicketRow, task.ticket_id)
    if not ticket.is_blocked or not awaited:
        return []
    still = select(TaskEdgeRow.depends_on_task_id).where(
        TaskEdgeRow.depends_on_task_id.in_(awaited),
        exists().where(
            TaskRow.id == TaskEdgeRow.task_id,
            TaskRow.ticket_id == ticket.id,
            TaskRow.status.in_(OPEN_TASKS),
        ),
    )
    own = select(TaskRow.id).where(TaskRow.id.in_(awaited), TaskRow.ticket_id == ticket.id)
    needed = set(await session.scalars(still)) | set(await session.scalars(own))
    return await drop(session, ticket, _is("task", set(awaited) - needed), tasks, now, by, "task")


def _is(kind: str, ids: Collection[str]) -> Named:
    return lambda one: one.get("kind") == kind and one.get("id") in ids
