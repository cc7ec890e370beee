"""How much a worker may ask of the host in a minute, counted where every process sees it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from math import ceil
from types import MappingProxyType

from sqlalchemy import case, or_
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.core.errors import RateLimited
from omniforge.sandboxes.store import RateRow

MINUTE = 60


class Ask(StrEnum):
    """Kinds of calls that are counted apart."""

    EVENTS = "events"
    HEARTBEATS = "heartbeats"
    POLLS = "polls"
    OTHER = "other"


LIMITS: Mapping[Ask, int] = MappingProxyType(
    {Ask.EVENTS: 100, Ask.HEARTBEATS: 10, Ask.POLLS: 30, Ask.OTHER: 60}
)
"""Of one sandbox in one minute; an event in a batch counts like one alone."""


async def take(session: AsyncSession, sandbox_id: str, ask: Ask, now: datetime, times: int = 1) -> bool:
    """Count this call, in one statement; False, and nothing is counted, when that were too many."""
    minute, limit = int(now.timestamp()) // MINUTE, LIMITS[ask]
    if times > limit:
        return False
    insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    is_same = RateRow.minute == minute
    counted = (
        insert(RateRow)
        .values(sandbox_id=sandbox_id, kind=ask.value, minute=minute, count=times)
        .on_conflict_do_update(
            index_elements=[RateRow.sandbox_id, RateRow.kind],
            set_={"minute": minute, "count": case((is_same, RateRow.count + times), else_=times)},
            where=or_(RateRow.minute != minute, RateRow.count + times <= limit),
        )
        .returning(RateRow.count)
    )
    return await session.scalar(counted.execution_options(synchronize_session=False)) is not None


def too_many(ask: Ask, now: datetime) -> RateLimited:
    """What a worker is told that asked too often; it may go on when the minute is over."""
    message = f"At most {LIMITS[ask]} {ask.value} a minute are taken from one sandbox; send it again later."
    left = MINUTE - now.timestamp() % MINUTE
    return RateLimited(message, retry_after=ceil(left), limit=LIMITS[ask])
