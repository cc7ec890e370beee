"""Queries of lists and boards: which tickets, what hangs on them, and how many stand where."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, String, and_, case, cast, func, or_, select, true, union_all
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from omniforge.board.store.tasks import TaskRow
from omniforge.board.store.tickets import CommitRow, TicketEdgeRow, TicketRow
from omniforge.board.vocabulary import OPEN_TASKS, ApprovalStatus, Priority, TicketStatus
from omniforge.core.actor import Actor
from omniforge.core.paging import Paging


@dataclass(frozen=True, slots=True)
class CardFilter:
    """Which tickets are meant; None means any."""

    project_id: str | None = None
    spec_id: str | None = None
    statuses: Collection[TicketStatus] | None = None
    priority: Priority | None = None
    is_blocked: bool | None = None
    approval_status: ApprovalStatus | None = None
    tag: str | None = None
    search: str | None = None
    archived: bool = False

    @property
    def narrows(self) -> bool:
        """Whether a board shows fewer cards with it than without."""
        return any(value is not None for value in (self.priority, self.tag, self.search))


@dataclass(frozen=True, slots=True)
class Card:
    """A ticket and what is counted on it."""

    ticket: TicketRow
    open_tasks: int
    lines_added: int
    lines_removed: int


@dataclass(frozen=True, slots=True)
class Linked:
    id: str
    ref: str
    title: str
    status: str


@dataclass(slots=True)
class Links:
    """Of one ticket, with others that are not done."""

    blocked_by: list[Linked] = field(default_factory=list[Linked])
    blocks: list[Linked] = field(default_factory=list[Linked])


@dataclass(frozen=True, slots=True)
class Standing:
    """What stands in one column. `oldest` is since when its oldest ticket has stood there."""

    total: int = 0
    matching: int = 0
    blocked: int = 0
    oldest: datetime | None = None


def matching(wanted: CardFilter, now: datetime) -> list[ColumnElement[bool]]:
    """The conditions that narrow a board."""
    where: list[ColumnElement[bool]] = []
    if wanted.spec_id is not None:
        where.append(TicketRow.spec_id == wanted.spec_id)
    if wanted.statuses is not None:
        where.append(TicketRow.status.in_(list(wanted.statuses)))
    if wanted.priority is not None:
        where.append(TicketRow.priority == wanted.priority)
    if wanted.is_blocked is not None:
        where.append(TicketRow.is_blocked.is_(wanted.is_blocked))
    if wanted.approval_status is not None:
        where.append(_approval_is(wanted.approval_status, now))
    if wanted.tag is not None:
        where.append(cast(TicketRow.tags, String).icontains(json.dumps(wanted.tag), autoescape=True))
    if wanted.search:
        fields = (TicketRow.title, TicketRow.description, TicketRow.ref)
        spellings = {wanted.search, wanted.search.lower(), wanted.search.upper(), wanted.search.title()}
        # SQLite folds only ASCII letters, so other letters are asked for in each of their cases.
        spoken = sorted(spellings) if not wanted.search.isascii() else [wanted.search]
        where.append(or_(*(one.icontains(text, autoescape=True) for one in fields for text in spoken)))
    return where


def _approval_is(status: ApprovalStatus, now: datetime) -> ColumnElement[bool]:
    """A review whose deadline has passed counts as timed out."""
    kept = TicketRow.approval_status == status
    deadline, pending = TicketRow.approval_deadline_at, ApprovalStatus.PENDING_REVIEW
    match status:
        case ApprovalStatus.PENDING_REVIEW:
            return and_(kept, or_(deadline.is_(None), deadline > now))
        case ApprovalStatus.TIMED_OUT:
            return or_(kept, and_(TicketRow.approval_status == pending, deadline <= now))
        case _:
            return kept


def _on(actor: Actor, wanted: CardFilter) -> list[ColumnElement[bool]]:
    where = [TicketRow.tenant_id == actor.tenant_id, TicketRow.archived.is_(wanted.archived)]
    if wanted.project_id is not None:
        where.append(TicketRow.project_id == wanted.project_id)
    return where


async def list_tickets(
    session: AsyncSession, actor: Actor, wanted: CardFilter, now: datetime, paging: Paging
) -> tuple[list[Card], int]:
    """Newest first."""
    where = [*_on(actor, wanted), *matching(wanted, now)]
    total = await session.scalar(select(func.count()).select_from(TicketRow).where(*where))
    order = (TicketRow.created_at.desc(), TicketRow.id.desc())
    page = select(TicketRow.id).where(*where).order_by(*order).limit(paging.limit).offset(paging.offset)
    return await _cards(session, page.subquery().select(), *order), total or 0


async def cards_of(session: AsyncSession, actor: Actor, ids: Sequence[str]) -> list[Card]:
    """By id; those of other tenants are not among them."""
    query = select(TicketRow.id).where(TicketRow.tenant_id == actor.tenant_id, TicketRow.id.in_(ids))
    return await _cards(session, query, TicketRow.id)


async def top_cards(
    session: AsyncSession, actor: Actor, wanted: CardFilter, now: datetime, per_column: int
) -> list[Card]:
    """The first cards of each column, by rank: one walk along the index per column."""
    where = [*_on(actor, wanted), *matching(wanted, now)]
    tops = [
        select(TicketRow.id)
        .where(*where, TicketRow.status == status)
        .order_by(TicketRow.rank, TicketRow.id)
        .limit(per_column)
        .subquery()
        .select()
        for status in TicketStatus
    ]
    return await _cards(session, union_all(*tops), TicketRow.rank, TicketRow.id)


async def _cards(session: AsyncSession, ids: Any, *order: Any) -> list[Card]:
    """What the cards show is asked for with them."""
    tasks = (
        select(func.count())
        .select_from(TaskRow)
        .where(TaskRow.ticket_id == TicketRow.id, TaskRow.status.in_(OPEN_TASKS))
        .scalar_subquery()
    )
    added, removed = (
        select(func.coalesce(func.sum(column), 0))
        .where(CommitRow.ticket_id == TicketRow.id)
        .scalar_subquery()
        for column in (CommitRow.insertions, CommitRow.deletions)
    )
    query = select(TicketRow, tasks, added, removed).where(TicketRow.id.in_(ids)).order_by(*order)
    rows = await session.execute(query.execution_options(populate_existing=True))
    return [Card(ticket, int(count), int(plus), int(minus)) for ticket, count, plus, minus in rows]


async def links_of(session: AsyncSession, actor: Actor, ids: Sequence[str]) -> dict[str, Links]:
    """What each of these tickets waits for, and what waits for it; only where the other is not done."""
    links = {ticket_id: Links() for ticket_id in ids}
    first, other = aliased(TicketRow), aliased(TicketRow)
    columns = (first.id, first.ref, first.title, first.status)
    others = (other.id, other.ref, other.title, other.status)
    query = (
        select(*columns, *others)
        .join(TicketEdgeRow, TicketEdgeRow.ticket_id == first.id)
        .join(other, other.id == TicketEdgeRow.depends_on_ticket_id)
        .where(
            TicketEdgeRow.tenant_id == actor.tenant_id,
            or_(TicketEdgeRow.ticket_id.in_(ids), TicketEdgeRow.depends_on_ticket_id.in_(ids)),
        )
        .order_by(other.ref, first.ref)
    )
    for row in await session.execute(query):
        waiting, awaited = Linked(*row[:4]), Linked(*row[4:])
        if waiting.id in links and awaited.status != TicketStatus.DONE:
            links[waiting.id].blocked_by.append(awaited)
        if awaited.id in links and waiting.status != TicketStatus.DONE:
            links[awaited.id].blocks.append(waiting)
    return links


async def counts_by_status(
    session: AsyncSession, actor: Actor, wanted: CardFilter, now: datetime
) -> dict[TicketStatus, Standing]:
    """How many tickets stand in each column, and how many of them match. Walks an index only, unless
    something narrows."""
    narrow = matching(wanted, now) if wanted.narrows else []
    match_count = func.sum(case((and_(true(), *narrow), 1), else_=0)) if narrow else func.count()
    query = select(TicketRow.status, func.count(), match_count).where(*_on(actor, wanted))
    rows = await session.execute(query.group_by(TicketRow.status))
    return {TicketStatus(status): Standing(total, int(match or 0)) for status, total, match in rows}


async def standings(
    session: AsyncSession, actor: Actor, project_id: str | None
) -> dict[TicketStatus, Standing]:
    """Counts, blocked ones and ages of every column."""
    query = select(
        TicketRow.status,
        func.count(),
        func.sum(case((TicketRow.is_blocked, 1), else_=0)),
        func.min(TicketRow.status_since),
    ).where(*_on(actor, CardFilter(project_id=project_id)))
    rows = await session.execute(query.group_by(TicketRow.status))
    return {
        TicketStatus(status): Standing(total, total, int(blocked or 0), oldest)
        for status, total, blocked, oldest in rows
    }
