"""Many schedules due at once: each fire is one run, whatever else happens in that instant."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event, insert, select, text, update
from tests.agents.conftest import House, TurnableClock, saying

from omniforge.agents.schedule import MisfirePolicy, due_fires, next_fire
from omniforge.agents.store import AgentRow, VersionRow
from omniforge.agents.triggers import RETRY_DELAY, Scheduler
from omniforge.core.actor import Actor, Role
from omniforge.engine.state import Waiting
from omniforge.tenants.roles import permissions_of

HOURLY = {"trigger_type": "scheduled", "schedule": "0 * * * *"}
STEPS = (0, 1, 3, 6, 10, 15, 22, 30, 40)
"""Turns of the event loop after which something else happens while schedules are fired."""


class WatchedClock:
    """A clock that tells when somebody begins to sleep by it."""

    def __init__(self, real: TurnableClock) -> None:
        self.real = real
        self.slept = asyncio.Event()

    def now(self) -> datetime:
        return self.real.now()

    async def sleep(self, seconds: float) -> None:
        self.slept.set()
        await self.real.sleep(seconds)

    async def asleep(self) -> None:
        """Wait until somebody has begun to sleep since this was asked last."""
        await self.slept.wait()
        self.slept.clear()


async def copies(house: House, agent_id: str, count: int, schedules: Sequence[str] = ()) -> None:
    """More agents like this one, `copy-0` and so on; with schedules of their own, which are due next."""
    async with house.db.transaction() as session:
        agents = select(AgentRow.__table__).where(AgentRow.tenant_id == "default", AgentRow.id == agent_id)
        agent = (await session.execute(agents)).mappings().one()
        versions = select(VersionRow.__table__).where(
            VersionRow.tenant_id == "default", VersionRow.agent_id == agent_id
        )
        version = (await session.execute(versions)).mappings().one()
        for number in range(count):
            own: dict[str, Any] = {}
            if schedules:
                cron = schedules[number % len(schedules)]
                own = {"schedule": cron, "next_fire_at": next_fire(cron, "UTC", house.clock.now())}
            await session.execute(insert(AgentRow), [{**agent, "id": f"copy-{number}", **own}])
            await session.execute(insert(VersionRow), [{**version, "agent_id": f"copy-{number}"}])


async def fires(house: House) -> Counter[tuple[str, str, str]]:
    """How many scheduled runs there are of each tenant, agent and time."""
    async with house.db.read() as session:
        query = text("SELECT tenant_id, subject, logical_time FROM runs WHERE trigger_type = 'scheduled'")
        found = await session.execute(query)
    return Counter((tenant, subject.removeprefix("agent:"), str(at)[5:16]) for tenant, subject, at in found)


async def lags(house: House) -> list[float]:
    """Seconds from the time each scheduled run is about to its start, as the metric reads them."""
    async with house.db.read() as session:
        query = text("SELECT logical_time, created_at FROM runs WHERE trigger_type = 'scheduled'")
        found = (await session.execute(query)).all()
    return [
        (datetime.fromisoformat(made) - datetime.fromisoformat(due)).total_seconds() for due, made in found
    ]


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def settle_at(house: House, clock: TurnableClock, count: int) -> None:
    """Until so many scheduled runs are there, while the clock stands still."""
    async with asyncio.timeout(20):
        while (await fires(house)).total() < count:
            await asyncio.sleep(0.005)


async def stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def second_tenant(house: House) -> Actor:
    await house.tenants.create_tenant("other", "Other")
    user_id = await house.tenants.create_user("other", "Olga", Role.OWNER)
    return Actor("other", user_id, Role.OWNER, f"user:{user_id}", permissions_of(Role.OWNER))


@pytest.mark.parametrize("batch", [7, 1000])
async def test_all_that_are_due_at_one_tick_fire_once_whatever_the_size_of_a_batch(
    house: House, actor: Actor, clock: TurnableClock, batch: int
) -> None:
    made = await house.active(actor, **HOURLY)
    await copies(house, made.id, 30)
    clock.turn(hours=1)
    scheduler = Scheduler(house.agents, clock, batch)
    assert await scheduler.fire_due() == 0
    assert await scheduler.fire_due() == 0
    found = await fires(house)
    assert len(found) == 31
    assert set(found.values()) == {1}
    async with house.db.read() as session:
        assert set(await session.scalars(select(AgentRow.next_fire_at))) == {
            datetime(2026, 11, 21, 12, tzinfo=UTC)
        }


@pytest.mark.parametrize("steps", STEPS)
async def test_a_scheduler_that_dies_at_any_moment_loses_and_doubles_nothing(
    house: House, actor: Actor, clock: TurnableClock, steps: int
) -> None:
    made = await house.active(actor, **HOURLY)
    await copies(house, made.id, 12)
    clock.turn(hours=1)
    dying = asyncio.create_task(Scheduler(house.agents, clock, 5).fire_due())
    await turns(steps * 4)
    dying.cancel()
    await asyncio.gather(dying, return_exceptions=True)
    assert await Scheduler(house.agents, clock, 5).fire_due() == 0
    found = await fires(house)
    assert len(found) == 13
    assert set(found.values()) == {1}


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("off", ["pause", "archive"])
async def test_nothing_of_an_agent_starts_once_its_pause_or_removal_was_answered(
    house: House, actor: Actor, clock: TurnableClock, off: str, steps: int
) -> None:
    made = await house.active(actor, **HOURLY)
    await copies(house, made.id, 12)
    clock.turn(hours=1)
    firing = asyncio.create_task(Scheduler(house.agents, clock).fire_due())
    asked = asyncio.create_task(house.agents.start_run(actor, made.id))
    await turns(steps)
    await (house.agents.pause(actor, made.id) if off == "pause" else house.agents.archive(actor, made.id))
    answered = clock.now()
    clock.turn(seconds=1)
    await asyncio.gather(firing, asked, return_exceptions=True)
    runs, _ = await house.runs.list_runs(actor, subject=f"agent:{made.id}", mode="live")
    assert [
        view.run.created_at for view in runs if datetime.fromisoformat(view.run.created_at) > answered
    ] == []
    assert len(await fires(house)) in (12, 13)


async def test_a_tenant_that_is_full_does_not_stop_the_fires_of_others(
    house: House, actor: Actor, clock: TurnableClock, caplog: pytest.LogCaptureFixture
) -> None:
    other = await second_tenant(house)
    mine, theirs = await house.active(actor, "slow", **HOURLY), await house.active(other, "quick", **HOURLY)
    house.script["slow"] = saying(Waiting("approval"))
    await copies(house, mine.id, 6)
    house.runs.max_unfinished = 3
    clock.turn(hours=1)
    scheduler = Scheduler(house.agents, clock, 5)
    assert await scheduler.fire_due() > 0
    found = await fires(house)
    assert found["other", theirs.id, "11-21T11:00"] == 1
    assert len(found) == 4
    assert "not fired yet" in caplog.text
    house.runs.max_unfinished = 100
    assert await scheduler.fire_due() == 0
    found = await fires(house)
    assert len(found) == 8
    assert set(found.values()) == {1}


async def test_a_damaged_version_stops_its_own_agent_only_even_among_equal_ones(
    house: House, actor: Actor, clock: TurnableClock
) -> None:
    made = await house.active(actor, **HOURLY)
    await copies(house, made.id, 5)
    async with house.db.transaction() as session:
        await session.execute(
            update(VersionRow).where(VersionRow.agent_id == "copy-0").values(snapshot={"content": 1})
        )
        await session.execute(text("DELETE FROM agent_versions WHERE agent_id = 'copy-1'"))
    clock.turn(hours=1)
    await Scheduler(house.agents, clock).fire_due()
    fired = {agent for _, agent, _ in await fires(house)}
    assert fired >= {made.id, "copy-2", "copy-3", "copy-4"}
    assert "copy-1" not in fired


async def test_an_agent_that_cannot_start_does_not_make_others_late(
    house: House, actor: Actor, clock: TurnableClock
) -> None:
    made = await house.active(actor, **HOURLY)
    await copies(house, made.id, 1, ["1 11 * * *"])
    async with house.db.transaction() as session:
        await session.execute(
            update(VersionRow).where(VersionRow.agent_id == made.id).values(snapshot={"content": 1})
        )
        await session.execute(
            update(VersionRow).where(VersionRow.agent_id == "copy-0").values(content_hash="another")
        )
    clock.turn(hours=1, seconds=55)  # the next try is after the other one's time
    assert clock.now() + RETRY_DELAY > datetime(2026, 11, 21, 11, 1, tzinfo=UTC)
    watched = WatchedClock(clock)
    loop = asyncio.create_task(Scheduler(house.agents, watched).run())
    await watched.asleep()
    clock.turn_to(datetime(2026, 11, 21, 11, 1, tzinfo=UTC))
    await settle_at(house, clock, 1)
    await stop(loop)
    assert await lags(house) == [0.0]


async def test_schedules_spread_over_minutes_are_on_time_and_none_is_missed(
    house: House, actor: Actor, clock: TurnableClock
) -> None:
    made = await house.active(actor, **HOURLY)
    await copies(house, made.id, 60, [f"{minute} * * * *" for minute in (1, 2, 3)])
    watched = WatchedClock(clock)
    loop = asyncio.create_task(Scheduler(house.agents, watched, 8).run())
    for minute in (1, 2, 3):
        await watched.asleep()
        clock.turn_to(datetime(2026, 11, 21, 10, minute, tzinfo=UTC))
        await settle_at(house, clock, minute * 20)
    await stop(loop)
    found = await fires(house)
    assert (len(found), set(found.values())) == (60, {1})
    assert set(await lags(house)) == {0.0}


async def test_a_clock_set_back_or_forward_a_day_doubles_nothing_and_tells_what_is_dropped(
    house: House, actor: Actor, clock: TurnableClock
) -> None:
    made = await house.active(actor, **HOURLY)
    scheduler = Scheduler(house.agents, clock)
    clock.turn(hours=1)
    await scheduler.fire_due()
    clock.turn(days=-1)
    await scheduler.fire_due()
    await house.agents.pause(actor, made.id)
    await house.agents.activate(actor, made.id)  # its next fire is looked for by the clock that was set back
    clock.turn(days=1)
    await scheduler.fire_due()
    clock.turn(days=1)
    await scheduler.fire_due()
    found = await fires(house)
    assert set(found.values()) == {1}
    assert ("default", made.id, "11-21T11:00") in found
    rows = await house.engine.events.read("default", types=["fire.dropped"])
    told = sum(json.loads(row.payload)["dropped"] for row in rows)
    first = datetime(2026, 11, 20, 12, tzinfo=UTC)
    due = int((clock.now() - first) / timedelta(hours=1)) + 1
    again = 1  # 11:00 of that day came twice: the second time it was found to have been run
    assert len(found) - 1 + again + told == due


async def test_while_nothing_is_due_the_table_is_left_alone_unless_other_processes_may_change_it(
    house: House, actor: Actor, clock: TurnableClock
) -> None:
    made = await house.active(actor, **HOURLY)
    await copies(house, made.id, 5)
    watched = WatchedClock(clock)
    loop = asyncio.create_task(Scheduler(house.agents, watched).run())
    await watched.asleep()
    queries: list[str] = []
    tasks = len(asyncio.all_tasks())

    @event.listens_for(house.db.engine.sync_engine, "before_cursor_execute")
    def note(_c: object, _cursor: object, statement: str, *_: object) -> None:  # pyright: ignore[reportUnusedFunction]
        queries.append(statement)

    for _ in range(20):
        clock.turn(seconds=31)
        await watched.asleep()
    assert len(queries) == (0 if house.db.is_sqlite else 2 * 20)
    assert len(asyncio.all_tasks()) <= tasks
    clock.turn(hours=1)
    await settle_at(house, clock, 6)
    await stop(loop)


@pytest.mark.parametrize(
    "cron", ["*/7 * * * *", "30 2 * * *", "0 9 1 1 *", "15 */5 * * MON-FRI", "0 0 29 2 *"]
)
@pytest.mark.parametrize("late", [timedelta(), timedelta(minutes=3), timedelta(days=2)])
def test_what_comes_next_is_the_first_fire_after_now(cron: str, late: timedelta) -> None:
    since = next_fire(cron, "Europe/Berlin", datetime(2027, 3, 27, 12, tzinfo=UTC))
    assert since is not None
    now = since + late
    found = due_fires(cron, "Europe/Berlin", MisfirePolicy.ALL, since, now)
    assert found.next == next_fire(cron, "Europe/Berlin", now)
    assert found.run[0] == since
