"""The order of cards in a column: numbers with room between them."""

from __future__ import annotations

from sqlalchemy import and_, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.board.store.tickets import TicketRow
from omniforge.board.vocabulary import TicketStatus

STEP = 1024.0
SMALLEST_GAP = 1e-4
"""Below it a column is numbered anew; numbers of this size still differ clearly as floats."""


def between(before: float | None, after: float) -> float | None:
    """A rank between two neighbours (`before` None: at the top); None where there is no room."""
    if before is None:
        return after - STEP
    return (before + after) / 2 if after - before > SMALLEST_GAP else None


async def last_rank(session: AsyncSession, project_id: str, status: TicketStatus) -> float:
    """For a card at the end of the column."""
    last = await session.scalar(
        select(func.max(TicketRow.rank)).where(
            TicketRow.project_id == project_id,
            TicketRow.archived.is_(False),
            TicketRow.status == status,
        )
    )
    return (last or 0.0) + STEP


async def rank_before(session: AsyncSession, target: TicketRow, moved_id: str) -> float:
    """For a card right before `target` in its column, which is numbered anew when there is no room."""
    found = between(await _rank_above(session, target, moved_id), target.rank)
    if found is None:
        await _number_anew(session, target)
        await session.refresh(target, ["rank"])
        found = between(await _rank_above(session, target, moved_id), target.rank)
    return target.rank - STEP / 2 if found is None else found


async def _rank_above(session: AsyncSession, target: TicketRow, moved_id: str) -> float | None:
    query = select(func.max(TicketRow.rank)).where(
        TicketRow.project_id == target.project_id,
        TicketRow.archived.is_(False),
        TicketRow.status == target.status,
        TicketRow.id != moved_id,
        or_(TicketRow.rank < target.rank, and_(TicketRow.rank == target.rank, TicketRow.id < target.id)),
    )
    return await session.scalar(query)


async def _number_anew(session: AsyncSession, target: TicketRow) -> None:
    place = func.row_number().over(order_by=(TicketRow.rank, TicketRow.id))
    places = (
        select(TicketRow.id, place.label("place"))
        .where(
            TicketRow.project_id == target.project_id,
            TicketRow.archived.is_(False),
            TicketRow.status == target.status,
        )
        .subquery()
    )
    await session.execute(
        update(TicketRow)
        .where(TicketRow.id == places.c.id)
        .values(rank=places.c.place * STEP)
        .execution_options(synchronize_session=False)
    )
