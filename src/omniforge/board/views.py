"""Tickets as they are shown: with what may follow, what they wait for and what was counted on them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.board import targets
from omniforge.board.columns import NOTHING, column_view, columns_for
from omniforge.board.shapes.board import BoardView, ColumnOfCards, ViewQuery
from omniforge.board.shapes.tickets import Ticket
from omniforge.board.store import cards, tickets
from omniforge.board.store.cards import Card, CardFilter, Links
from omniforge.board.store.projects import ColumnRow
from omniforge.board.store.tickets import TicketRow
from omniforge.board.vocabulary import TicketStatus
from omniforge.board.workflow import phase_of
from omniforge.core.actor import Actor
from omniforge.core.clock import Clock
from omniforge.db import Database

FIELDS = frozenset(Ticket.model_fields) & frozenset(column.key for column in TicketRow.__table__.columns)
FullColumns = Collection[tuple[str, TicketStatus]]
"""(project id, status) of columns without a free place."""


def ticket_view(
    card: Card, links: Links, now: datetime, ways: Sequence[Mapping[str, Any]] | FullColumns
) -> Ticket:
    """`ways`: what may follow, or the columns that are full, when the gate is not to be asked."""
    row = card.ticket
    fields = {name: getattr(row, name) for name in FIELDS}
    fields |= {
        "phase_id": phase_of(TicketStatus(row.status)),
        "approval_status": tickets.approval_of(row, now),
        "blocked_by": [_link(one) for one in links.blocked_by],
        "blocks": [_link(one) for one in links.blocks],
        "open_tasks": card.open_tasks,
        "lines_added": card.lines_added,
        "lines_removed": card.lines_removed,
        "legal_targets": ways if isinstance(ways, list) else _ungated(row, now, ways),
    }
    return Ticket.model_validate(fields)


def _ungated(row: TicketRow, now: datetime, full: Any) -> list[dict[str, Any]]:
    here = {status for project_id, status in full if project_id == row.project_id}
    return targets.legal_targets(row, now, here)


def _link(linked: cards.Linked) -> dict[str, str]:
    return {"id": linked.id, "ref": linked.ref, "title": linked.title, "status": linked.status}


async def shown(
    session: AsyncSession, actor: Actor, found: Sequence[Card], now: datetime, full: FullColumns
) -> list[Ticket]:
    """Tickets of a list: without asking each one's gate."""
    links = await cards.links_of(session, actor, [card.ticket.id for card in found])
    return [ticket_view(card, links[card.ticket.id], now, full) for card in found]


async def full_columns(session: AsyncSession, project_ids: Iterable[str]) -> FullColumns:
    """Of several projects, in one query."""
    counted = (
        select(func.count())
        .select_from(TicketRow)
        .where(
            TicketRow.project_id == ColumnRow.project_id,
            TicketRow.archived.is_(False),
            TicketRow.status == ColumnRow.status,
        )
        .scalar_subquery()
    )
    query = select(ColumnRow.project_id, ColumnRow.status).where(
        ColumnRow.project_id.in_(sorted(set(project_ids))),
        ColumnRow.wip_limit.is_not(None),
        ColumnRow.wip_limit <= counted,
    )
    return {(project_id, TicketStatus(status)) for project_id, status in await session.execute(query)}


class BoardViews:
    def __init__(self, db: Database, clock: Clock) -> None:
        self.db, self.clock = db, clock

    async def view(self, actor: Actor, query: ViewQuery) -> BoardView:
        """Every column with its first cards by rank. Four queries, whatever the size."""
        actor.require("board:view")
        now = self.clock.now()
        wanted = CardFilter(
            project_id=query.project_id, priority=query.priority, tag=query.tag, search=query.search
        )
        async with self.db.read() as session:
            columns = await columns_for(session, actor, query.project_id)
            counts = await cards.counts_by_status(session, actor, wanted, now)
            found = await cards.top_cards(session, actor, wanted, now, query.per_column)
            full = {
                (row.project_id, status)
                for status, row in columns
                if row and row.wip_limit is not None and counts.get(status, NOTHING).total >= row.wip_limit
            }
            tickets_shown = await shown(session, actor, found, now, full)
        standing: dict[TicketStatus, list[Ticket]] = {status: [] for status, _ in columns}
        for ticket in tickets_shown:
            standing[ticket.status].append(ticket)
        shown_columns = [
            ColumnOfCards(
                **column_view(status, row, counts.get(status, NOTHING)).model_dump(),
                tickets=standing[status],
                total=counts.get(status, NOTHING).matching,
            )
            for status, row in columns
        ]
        return BoardView(
            project_id=query.project_id,
            columns=shown_columns,
            total=sum(column.total for column in shown_columns),
        )
