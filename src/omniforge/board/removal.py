"""A ticket goes for good: nothing was done on it, and nobody waits for it any more."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import delete, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.board import edges, unblocking
from omniforge.board.admission import task_event
from omniforge.board.moving import ticket_event
from omniforge.board.store.evidence import ArtifactRow, ReportRow
from omniforge.board.store.specs import CriterionRow, ImportRefRow
from omniforge.board.store.tasks import TaskEdgeRow, TaskRow
from omniforge.board.store.tickets import (
    CommentRow,
    CommitRow,
    TicketEdgeRow,
    TicketHistoryRow,
    TicketRequirementRow,
    TicketRow,
)
from omniforge.board.tasks import Tasks
from omniforge.core.actor import Actor
from omniforge.engine.events import Event

OF_TICKET: tuple[Any, ...] = (
    ArtifactRow,
    CommentRow,
    CommitRow,
    ReportRow,
    TaskRow,
    TicketEdgeRow,
    TicketHistoryRow,
    TicketRequirementRow,
)
"""Tables whose rows belong to one ticket."""


async def remove_in(
    session: AsyncSession, actor: Actor, ticket: TicketRow, tasks: Tasks, now: datetime
) -> list[Event]:
    """Delete a ticket that is locked, with everything that hangs on it; what the log tells of it stays. The
    events are the caller's to write."""
    events = await tasks.cancel_open(session, actor, ticket, "its ticket is deleted")
    own = list(await session.scalars(select(TaskRow.id).where(TaskRow.ticket_id == ticket.id)))
    events += await _free_tasks(session, actor, ticket, own, tasks, now)
    events += await _free_tickets(session, actor, ticket, tasks, now)
    await session.flush()
    owners = [ticket.id, *own]
    both = or_(TaskEdgeRow.task_id.in_(own), TaskEdgeRow.depends_on_task_id.in_(own))
    await session.execute(delete(TaskEdgeRow).where(both))
    await session.execute(delete(CriterionRow).where(CriterionRow.owner_id.in_(owners)))
    await session.execute(delete(ImportRefRow).where(ImportRefRow.object_id.in_(owners)))
    for table in OF_TICKET:
        await session.execute(delete(table).where(table.ticket_id == ticket.id))
    await session.delete(ticket)
    await session.flush()
    return events


async def _free_tasks(  # noqa: PLR0917 - whose tasks, and what is told
    session: AsyncSession,
    actor: Actor,
    ticket: TicketRow,
    own: Collection[str],
    tasks: Tasks,
    now: datetime,
) -> list[Event]:
    """Tasks of other tickets wait for those of this one no longer."""
    query = (
        select(TaskRow)
        .join(TaskEdgeRow, TaskEdgeRow.task_id == TaskRow.id)
        .where(TaskEdgeRow.depends_on_task_id.in_(own), TaskRow.ticket_id != ticket.id)
        .order_by(TaskRow.id)
    )
    events: list[Event] = []
    for waiting in dict.fromkeys(await session.scalars(query)):
        query = select(TaskEdgeRow.depends_on_task_id).where(
            TaskEdgeRow.task_id == waiting.id, TaskEdgeRow.depends_on_task_id.in_(own)
        )
        removed = sorted(await session.scalars(query))
        await edges.link(session, waiting, (), removed)
        told = {"added": list[str](), "removed": removed, "remaining": waiting.remaining}
        events.append(task_event("task.dependencies_changed", waiting, now, actor.by, **told))
        events += await tasks.readmit(session, waiting)
        events += await unblocking.waits_no_longer(session, waiting, removed, tasks, now, actor.by)
    return events


async def _free_tickets(
    session: AsyncSession, actor: Actor, ticket: TicketRow, tasks: Tasks, now: datetime
) -> list[Event]:
    """Other tickets wait for this one no longer."""
    query = (
        select(TicketRow)
        .join(TicketEdgeRow, TicketEdgeRow.ticket_id == TicketRow.id)
        .where(TicketEdgeRow.depends_on_ticket_id == ticket.id)
        .order_by(TicketRow.id)
        .with_for_update(of=TicketRow)
    )
    waiting_ones = list(await session.scalars(query))
    gone = delete(TicketEdgeRow).where(TicketEdgeRow.depends_on_ticket_id == ticket.id)
    await session.execute(gone)
    events: list[Event] = []
    for waiting in waiting_ones:
        waiting.open_dependencies = max(waiting.open_dependencies - 1, 0)
        told = {"added": list[str](), "removed": [ticket.id]}
        events.append(ticket_event("ticket.dependencies_changed", waiting, now, actor.by, **told))
        events += await tasks.readmit_ticket(session, waiting)
    resolve = unblocking.resolve_in
    return events + await resolve(session, ticket.tenant_id, "ticket", ticket.id, tasks, now, actor.by)
