"""Calls are counted in the database, so that all processes of an installation count together."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from omniforge.db import Database
from omniforge.sandboxes.limits import LIMITS, Ask, take, too_many

NOON = datetime(2026, 11, 21, 12, 0, 7, tzinfo=UTC)


async def taken(db: Database, ask: Ask, now: datetime, times: int = 1, sandbox_id: str = "sbx_1") -> bool:
    async with db.transaction() as session:
        return await take(session, sandbox_id, ask, now, times)


@pytest.mark.both_stores
async def test_two_processes_count_together(database: Database) -> None:
    other = Database(str(database.url.render_as_string(hide_password=False)))
    try:
        calls = [taken(db, Ask.HEARTBEATS, NOON) for db in (database, other) * 8]
        assert sum(await asyncio.gather(*calls)) == LIMITS[Ask.HEARTBEATS]
        assert await taken(other, Ask.OTHER, NOON)
        assert await taken(other, Ask.HEARTBEATS, NOON, sandbox_id="sbx_2")
        assert not await taken(database, Ask.HEARTBEATS, NOON)
        assert await taken(database, Ask.HEARTBEATS, NOON + timedelta(seconds=53))
    finally:
        await other.close()


@pytest.mark.both_stores
async def test_what_does_not_fit_whole_is_not_counted(database: Database) -> None:
    assert await taken(database, Ask.EVENTS, NOON, 80)
    assert not await taken(database, Ask.EVENTS, NOON, 21)
    assert await taken(database, Ask.EVENTS, NOON, 20)
    assert not await taken(database, Ask.EVENTS, NOON, 1)
    assert not await taken(database, Ask.EVENTS, NOON + timedelta(minutes=1), 101)


def test_one_may_come_again_when_the_minute_is_over() -> None:
    assert too_many(Ask.EVENTS, NOON).retry_after == 53
    assert too_many(Ask.EVENTS, NOON.replace(second=59, microsecond=999_999)).retry_after == 1
    assert too_many(Ask.EVENTS, NOON.replace(second=0)).retry_after == 60
