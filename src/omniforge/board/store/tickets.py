"""Tables of tickets: cards, what they wait for, history, comments, commits; the first queries on them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Float, Index, Integer, LargeBinary, String, Text, UniqueConstraint, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from omniforge.board.vocabulary import ApprovalStatus, TicketStatus
from omniforge.core.actor import Actor
from omniforge.core.errors import NotFound
from omniforge.core.paging import Paging
from omniforge.db import Base
from omniforge.db.base import TenantRow


class TicketRow(TenantRow, Base):
    """A card of the board. Its phase follows from its status.

    `phase_entry` counts how often it entered a status; evidence counts for one entry. `evidence_since` is
    when evidence began to count anew. `pending_transition` is `{to_status, reason, since}` of a move that is
    held. `start` is whether it may be pulled by itself: None asks the rules.
    """

    __tablename__ = "tickets"
    __table_args__ = (
        UniqueConstraint("project_id", "ref"),
        Index("ix_tickets_board", "project_id", "archived", "status", "rank", "tenant_id"),
        Index("ix_tickets_held", "project_id", "held_for"),
    )

    project_id: Mapped[str] = mapped_column(String(64), index=True)
    spec_id: Mapped[str | None] = mapped_column(String(64), index=True)
    ref: Mapped[str] = mapped_column(String(64))
    title: Mapped[str] = mapped_column(String(500))
    description: Mapped[str | None] = mapped_column(Text)
    status: Mapped[str] = mapped_column(String(16))
    status_since: Mapped[datetime]
    phase_entry: Mapped[int] = mapped_column(Integer, default=1)
    rank: Mapped[float] = mapped_column(Float)
    priority: Mapped[str] = mapped_column(String(16))
    ticket_type: Mapped[str] = mapped_column(String(16))
    estimate: Mapped[str | None] = mapped_column(String(4))
    tags: Mapped[list[str]]
    is_blocked: Mapped[bool] = mapped_column(default=False)
    blocker_type: Mapped[str | None] = mapped_column(String(32))
    blocked_reason: Mapped[str | None] = mapped_column(Text)
    blocked_at: Mapped[datetime | None]
    blocked_by_actor: Mapped[str | None] = mapped_column(String(160))
    blockers: Mapped[list[dict[str, Any]]]
    approval_status: Mapped[str] = mapped_column(String(16))
    approval_deadline_at: Mapped[datetime | None]
    requested_by: Mapped[str | None] = mapped_column(String(160))
    rejection_reason: Mapped[str | None] = mapped_column(Text)
    pending_transition: Mapped[dict[str, Any] | None]
    held_for: Mapped[str | None] = mapped_column(String(16))
    """`to_status` of the move that is held, for finding whom a free place is for."""
    open_dependencies: Mapped[int] = mapped_column(Integer, default=0)
    start: Mapped[bool | None]
    evidence_since: Mapped[datetime]
    remediations: Mapped[int] = mapped_column(Integer, default=0)
    branch_name: Mapped[str | None] = mapped_column(String(255))
    context: Mapped[dict[str, Any]]
    context_summary: Mapped[str | None] = mapped_column(Text)
    embedding: Mapped[bytes | None] = mapped_column(LargeBinary)
    embedder: Mapped[str | None] = mapped_column(String(64))
    archived: Mapped[bool] = mapped_column(default=False)
    version: Mapped[int] = mapped_column(Integer, default=1)
    created_by: Mapped[str] = mapped_column(String(160))
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class TicketEdgeRow(Base):
    """This ticket starts when that one is done."""

    __tablename__ = "ticket_edges"

    ticket_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    depends_on_ticket_id: Mapped[str] = mapped_column(String(64), primary_key=True, index=True)
    tenant_id: Mapped[str] = mapped_column(String(64))


class TicketRequirementRow(Base):
    __tablename__ = "ticket_requirements"

    ticket_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    requirement_id: Mapped[str] = mapped_column(String(64), primary_key=True, index=True)
    tenant_id: Mapped[str] = mapped_column(String(64))


class TicketHistoryRow(TenantRow, Base):
    """Every move. Never changed."""

    __tablename__ = "ticket_history"

    ticket_id: Mapped[str] = mapped_column(String(64), index=True)
    from_status: Mapped[str | None] = mapped_column(String(16))
    to_status: Mapped[str] = mapped_column(String(16))
    from_phase: Mapped[str | None] = mapped_column(String(32))
    to_phase: Mapped[str] = mapped_column(String(32))
    cause: Mapped[str] = mapped_column(String(16))
    forced: Mapped[bool] = mapped_column(default=False)
    reason: Mapped[str | None] = mapped_column(Text)
    feedback: Mapped[str | None] = mapped_column(Text)
    decision_id: Mapped[str | None] = mapped_column(String(64))
    by: Mapped[str] = mapped_column(String(160))
    seq: Mapped[int | None] = mapped_column(Integer)
    """Of its event in the log."""
    created_at: Mapped[datetime]


class CommentRow(TenantRow, Base):
    __tablename__ = "ticket_comments"

    ticket_id: Mapped[str] = mapped_column(String(64), index=True)
    text: Mapped[str] = mapped_column(Text)
    mentions: Mapped[list[str]]
    by: Mapped[str] = mapped_column(String(160))
    edited_at: Mapped[datetime | None]
    created_at: Mapped[datetime]


class CommitRow(TenantRow, Base):
    """A commit that belongs to a ticket. `method`: push, result, manual or sync."""

    __tablename__ = "ticket_commits"
    __table_args__ = (UniqueConstraint("ticket_id", "sha"),)

    project_id: Mapped[str] = mapped_column(String(64), index=True)
    ticket_id: Mapped[str] = mapped_column(String(64), index=True)
    task_id: Mapped[str | None] = mapped_column(String(64))
    sha: Mapped[str] = mapped_column(String(64))
    message: Mapped[str] = mapped_column(Text)
    authored_at: Mapped[datetime | None]
    insertions: Mapped[int] = mapped_column(Integer, default=0)
    deletions: Mapped[int] = mapped_column(Integer, default=0)
    files: Mapped[list[str]]
    method: Mapped[str] = mapped_column(String(16))
    created_at: Mapped[datetime]


def approval_of(ticket: TicketRow, now: datetime) -> ApprovalStatus:
    """As it counts now: a deadline that has passed is over for everybody, also before the row says so."""
    status, deadline = ApprovalStatus(ticket.approval_status), ticket.approval_deadline_at
    if status is ApprovalStatus.PENDING_REVIEW and deadline is not None and deadline <= now:
        return ApprovalStatus.TIMED_OUT
    return status


async def get_ticket(session: AsyncSession, actor: Actor, ticket_id: str, *, lock: bool = False) -> TicketRow:
    """A ticket of the actor's tenant, or NotFound. `lock`: read anew, and nobody else changes it until the
    commit."""
    query = select(TicketRow).where(TicketRow.id == ticket_id, TicketRow.tenant_id == actor.tenant_id)
    if lock:
        await session.flush()
        query = query.with_for_update().execution_options(populate_existing=True)
    row = await session.scalar(query)
    if row is None:
        raise NotFound("There is no such ticket.", ticket_id=ticket_id[:64])
    return row


async def count_in_status(session: AsyncSession, project_id: str, status: TicketStatus) -> int:
    """Tickets of a column, blocked ones too; archived ones stand on no board."""
    query = (
        select(func.count())
        .select_from(TicketRow)
        .where(
            TicketRow.project_id == project_id,
            TicketRow.archived.is_(False),
            TicketRow.status == status,
        )
    )
    return await session.scalar(query) or 0


async def history_of(
    session: AsyncSession, actor: Actor, ticket_id: str, paging: Paging
) -> tuple[list[TicketHistoryRow], int]:
    """Newest first."""
    where = (TicketHistoryRow.tenant_id == actor.tenant_id, TicketHistoryRow.ticket_id == ticket_id)
    total = await session.scalar(select(func.count()).select_from(TicketHistoryRow).where(*where))
    order = (TicketHistoryRow.created_at.desc(), TicketHistoryRow.seq.desc(), TicketHistoryRow.id.desc())
    query = select(TicketHistoryRow).where(*where).order_by(*order)
    return list(await session.scalars(query.limit(paging.limit).offset(paging.offset))), total or 0
