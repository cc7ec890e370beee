"""Queries about tickets that stand still: since when, and what is in their way."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.board.store.evidence import ApprovalRow, DecisionRow
from omniforge.board.store.projects import ProjectRow
from omniforge.board.store.tasks import AttemptRow, TaskRow
from omniforge.board.store.tickets import TicketEdgeRow, TicketRow
from omniforge.board.vocabulary import ApprovalStatus, ProjectStatus, TaskStatus, TicketStatus
from omniforge.db.base import UtcDateTime

QUIET = timedelta(minutes=30)
"""After this long without progress a ticket is looked at."""
AT_WORK = (TicketStatus.ANALYZING, TicketStatus.BUILDING, TicketStatus.BUILDING_DONE, TicketStatus.TESTING)
MOMENTS = ("created_at", "claimed_at", "started_at", "completed_at", "lease_expires_at")
"""Of a task, when it went on last. Whoever works on it renews its lease, so a lease tells of progress too."""


async def without_progress(
    session: AsyncSession, now: datetime, *conditions: ColumnElement[bool]
) -> list[tuple[TicketRow, datetime]]:
    """Tickets that could go on and have not for `QUIET`, with the moment of their last progress, by id."""
    where = [
        TicketRow.status.in_(AT_WORK),
        TicketRow.archived.is_(False),
        TicketRow.is_blocked.is_(False),
        TicketRow.approval_status == ApprovalStatus.APPROVED,
        TicketRow.status_since <= now - QUIET,
        TicketRow.project_id.in_(select(ProjectRow.id).where(ProjectRow.status == ProjectStatus.ACTIVE)),
        *conditions,
    ]
    tickets = list(await session.scalars(select(TicketRow).where(*where).order_by(TicketRow.id)))
    meant = select(TicketRow.id).where(*where)
    latest: dict[str, datetime] = {ticket.id: ticket.status_since for ticket in tickets}
    columns = [func.max(getattr(TaskRow, name), type_=UtcDateTime()) for name in MOMENTS]
    of_tasks = select(TaskRow.ticket_id, *columns).where(TaskRow.ticket_id.in_(meant))
    ended = func.max(AttemptRow.ended_at, type_=UtcDateTime())
    of_attempts = select(TaskRow.ticket_id, ended).join(AttemptRow, AttemptRow.task_id == TaskRow.id)
    of_attempts = of_attempts.where(TaskRow.ticket_id.in_(meant))
    for query in (of_tasks, of_attempts):
        for ticket_id, *moments in await session.execute(query.group_by(TaskRow.ticket_id)):
            if ticket_id in latest:
                latest[ticket_id] = max([latest[ticket_id], *(one for one in moments if one is not None)])
    return [(ticket, latest[ticket.id]) for ticket in tickets if latest[ticket.id] <= now - QUIET]


async def awaited_tickets(session: AsyncSession, ticket: TicketRow) -> list[TicketRow]:
    """What a ticket waits for and is not done, by ref."""
    query = (
        select(TicketRow)
        .join(TicketEdgeRow, TicketEdgeRow.depends_on_ticket_id == TicketRow.id)
        .where(TicketEdgeRow.ticket_id == ticket.id, TicketRow.status != TicketStatus.DONE)
    )
    return list(await session.scalars(query.order_by(TicketRow.ref)))


async def tasks_by_id(session: AsyncSession, ids: Collection[str]) -> dict[str, TaskRow]:
    """Those of them that are not completed."""
    query = select(TaskRow).where(TaskRow.id.in_(ids), TaskRow.status != TaskStatus.COMPLETED)
    return {row.id: row for row in await session.scalars(query)}


async def last_decision(session: AsyncSession, ticket: TicketRow) -> DecisionRow | None:
    """On the way forward from where the ticket stands since it came there."""
    query = select(DecisionRow).where(
        DecisionRow.ticket_id == ticket.id, DecisionRow.phase_entry == ticket.phase_entry
    )
    return await session.scalar(query.order_by(DecisionRow.created_at.desc(), DecisionRow.id.desc()).limit(1))


async def open_questions(session: AsyncSession, ticket: TicketRow) -> list[tuple[ApprovalRow, str]]:
    """Questions about tasks of a ticket that keep them from going on, with the ref of the task."""
    query = (
        select(ApprovalRow, TaskRow.ref)
        .join(TaskRow, TaskRow.id == ApprovalRow.subject_id)
        .where(
            TaskRow.ticket_id == ticket.id,
            ApprovalRow.tenant_id == ticket.tenant_id,
            ApprovalRow.subject_type == "task",
            ApprovalRow.status == "pending",
            ApprovalRow.blocking.is_(True),
        )
        .order_by(TaskRow.ref, ApprovalRow.id)
    )
    return [(asked, ref) for asked, ref in await session.execute(query)]


async def last_attempt(session: AsyncSession, ticket: TicketRow) -> tuple[AttemptRow, TaskRow] | None:
    query = (
        select(AttemptRow, TaskRow)
        .join(TaskRow, TaskRow.id == AttemptRow.task_id)
        .where(TaskRow.ticket_id == ticket.id)
        .order_by(AttemptRow.claimed_at.desc(), AttemptRow.id.desc())
        .limit(1)
    )
    return next(((attempt, task) for attempt, task in await session.execute(query)), None)
