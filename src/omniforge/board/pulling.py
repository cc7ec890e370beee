"""Which tickets leave the backlog by themselves, and in which order."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, and_, case, exists, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.board.store.projects import ProjectRow
from omniforge.board.store.specs import RequirementRow, SpecRow
from omniforge.board.store.tasks import TaskRow
from omniforge.board.store.tickets import TicketRow
from omniforge.board.vocabulary import (
    ApprovalStatus,
    HoldReason,
    Priority,
    ProjectStatus,
    TaskStatus,
    TicketStatus,
)
from omniforge.core.actor import Actor

URGENCY = case({priority.value: place for place, priority in enumerate(Priority)}, value=TicketRow.priority)
"""Orders tickets by priority, CRITICAL first."""


def _has_work() -> ColumnElement[bool]:
    return exists().where(TaskRow.ticket_id == TicketRow.id, TaskRow.status != TaskStatus.CANCELLED)


def _spec_is_approved() -> ColumnElement[bool]:
    return exists().where(
        SpecRow.id == TicketRow.spec_id, SpecRow.requirements_approved, SpecRow.design_approved
    )


def _wants_to_start() -> ColumnElement[bool]:
    unsaid = and_(TicketRow.start.is_(None), or_(_has_work(), _spec_is_approved()))
    return or_(TicketRow.start.is_(True), unsaid)


def _design_is_missing() -> ColumnElement[bool]:
    """Its spec says what is wanted, but not yet how."""
    asks = exists().where(RequirementRow.spec_id == SpecRow.id)
    return exists().where(SpecRow.id == TicketRow.spec_id, SpecRow.design_approved.is_(False), asks)


async def next_pulls(session: AsyncSession, actor: Actor, project_id: str, limit: int) -> list[str]:
    """Ids of backlog tickets that may be pulled, the most urgent first."""
    query = (
        select(TicketRow.id)
        .where(
            TicketRow.tenant_id == actor.tenant_id,
            TicketRow.project_id == project_id,
            TicketRow.archived.is_(False),
            TicketRow.status == TicketStatus.BACKLOG,
            TicketRow.approval_status == ApprovalStatus.APPROVED,
            TicketRow.is_blocked.is_(False),
            TicketRow.open_dependencies == 0,
            _wants_to_start(),
            ~_design_is_missing(),
        )
        .order_by(URGENCY, TicketRow.rank, TicketRow.created_at)
        .limit(limit)
    )
    return list(await session.scalars(query))


async def why_not_pulled(
    session: AsyncSession, project: ProjectRow, ticket: TicketRow, *, by_hand: bool
) -> HoldReason | None:
    """What keeps an approved, unblocked ticket in the backlog. `by_hand`: somebody asked for it, so that the
    project need not be autonomous."""
    if ticket.open_dependencies:
        return HoldReason.DEPENDENCIES_OPEN
    if project.status != ProjectStatus.ACTIVE or not (project.autonomous or by_hand):
        return HoldReason.NOT_AUTONOMOUS
    query = select(_wants_to_start(), _design_is_missing()).where(TicketRow.id == ticket.id)
    wants, lacks_design = (await session.execute(query)).one()
    if not wants:
        return HoldReason.NOT_AUTONOMOUS
    return HoldReason.GATE_PENDING if lacks_design else None


async def held_for(session: AsyncSession, project_id: str, status: TicketStatus) -> list[TicketRow]:
    """Tickets whose move to this column waits for a place, in the order in which they get one."""
    query = select(TicketRow).where(
        TicketRow.project_id == project_id,
        TicketRow.held_for == status,
        TicketRow.archived.is_(False),
    )
    rows = list(await session.scalars(query))
    return sorted(rows, key=_turn)


def _turn(ticket: TicketRow) -> tuple[int, datetime, str]:
    since = (ticket.pending_transition or {}).get("since")
    waited = datetime.fromisoformat(since) if since else ticket.status_since
    return list(Priority).index(Priority(ticket.priority)), waited, ticket.id
