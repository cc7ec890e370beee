"""The event log: chained without gaps, followed live, delivered at least once."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from omniforge.db import Database
from omniforge.engine.events import Event, EventLog, EventRow, first_broken
from omniforge.engine.stores import event_log

pytestmark = pytest.mark.both_stores

AT = datetime(2026, 1, 5, 8, 30, tzinfo=UTC)


def event(number: int, **more: Any) -> Event:
    return Event("thing.happened", f"thing:{number}", AT, "user:local", {"n": number}, **more)


async def append(db: Database, log: EventLog, tenant: str, *events: Event) -> None:
    async with db.transaction() as session:
        await log.append(session, tenant, *events)


async def test_each_tenant_has_its_own_sequence_without_gaps(database: Database) -> None:
    log = event_log(database)
    await asyncio.gather(*(append(database, log, f"t{n % 3}", event(n)) for n in range(30)))
    for tenant in ("t0", "t1", "t2"):
        assert [row.seq for row in await log.read(tenant)] == list(range(1, 11))
        async with database.read() as session:
            assert await first_broken(session, tenant) is None


async def test_what_is_rolled_back_was_never_told(database: Database) -> None:
    log = event_log(database)

    async def fail_midway() -> None:
        async with database.transaction() as session:
            await log.append(session, "t", event(1))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail_midway()
    await append(database, log, "t", event(2))
    assert [row.entity for row in await log.read("t")] == ["thing:2"]


@pytest.mark.parametrize(
    ("damage", "first"),
    [
        ("UPDATE events SET payload = '{}' WHERE seq = 3", 3),
        ("UPDATE events SET actor = 'user:other' WHERE seq = 5", 5),
        ("DELETE FROM events WHERE seq = 2", 2),
        ("UPDATE events SET seq = seq + 100 WHERE seq = 4", 4),
        ("UPDATE events SET hash = upper(hash) WHERE seq = 1", 1),
    ],
)
async def test_edits_deletions_and_moves_are_found(database: Database, damage: str, first: int) -> None:
    log = event_log(database)
    await append(database, log, "t", *(event(n) for n in range(1, 7)))
    async with database.transaction() as session:
        await (await session.connection()).exec_driver_sql(damage)
    async with database.read() as session:
        assert await first_broken(session, "t") == first


async def test_following_sees_old_and_new_events_once_and_in_order(database: Database) -> None:
    log = event_log(database)
    await append(database, log, "t", event(1), event(2))
    seen: list[int] = []

    async def follow() -> None:
        async for row in log.follow("t", after=1):
            seen.append(row.seq)
            if row.seq == 6:
                return

    task = asyncio.create_task(follow())
    for number in range(3, 7):
        await append(database, log, "other", event(number))
        await append(database, log, "t", event(number))
    async with asyncio.timeout(10):
        await task
    assert seen == [2, 3, 4, 5, 6]


async def test_a_subscriber_goes_on_where_it_stopped_and_survives_its_own_faults(database: Database) -> None:
    log = event_log(database)
    seen: list[int] = []
    done = asyncio.Event()
    failures = 1

    async def subscriber(row: EventRow, tenant_id: str) -> None:
        nonlocal failures
        if row.seq == 2 and failures:
            failures -= 1
            raise ValueError("a passing fault")
        seen.append(row.seq)
        if row.seq % 3 == 0:
            done.set()

    await append(database, log, "t", event(1), event(2), event(3))
    log.subscribe("mine", ["thing.happened"], subscriber)
    async with asyncio.timeout(10):
        await done.wait()
    while True:  # its cursor is written after its work
        async with database.read() as session:
            cursor = (
                await (await session.connection()).exec_driver_sql("SELECT position FROM event_cursors")
            ).first()
        if cursor is not None and cursor.position == 3:
            break
        await asyncio.sleep(0.01)
    await log.close()
    done.clear()
    await append(database, log, "t", event(4), event(5), event(6))
    log.subscribe("mine", ["thing.happened"], subscriber)
    async with asyncio.timeout(10):
        await done.wait()
    await log.close()
    assert seen == [1, 2, 3, 4, 5, 6]


async def test_a_payload_that_is_too_large_is_said_to_be(database: Database) -> None:
    log = event_log(database)
    await append(database, log, "t", Event("thing.happened", "x", AT, "u", {"text": "x" * 20_000}))
    assert json.loads((await log.read("t"))[0].payload)["truncated"] is True
