"""The scheduler: every fire exactly one run, whatever happens in between."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from tests.agents.conftest import House, TurnableClock

from omniforge.agents import due
from omniforge.agents.triggers import Scheduler, fire_key
from omniforge.core.actor import Actor, Role
from omniforge.core.errors import RateLimited
from omniforge.core.paging import Paging

HOURLY = {"trigger_type": "scheduled", "schedule": "0 * * * *"}


@pytest.fixture
def scheduler(house: House, clock: TurnableClock) -> Scheduler:
    return Scheduler(house.agents, clock)


async def fired(house: House, actor: Actor, agent_id: str) -> list[str]:
    """Logical times of an agent's live runs, oldest first."""
    executions, _ = await house.agents.executions.list_executions(
        actor, Paging(limit=200), agent_id=agent_id, mode="live"
    )
    return sorted(str(execution.logical_time)[5:16] for execution in executions)


async def dropped(house: House) -> list[dict[str, Any]]:
    rows = await house.engine.events.read("default", types=["fire.dropped"])
    return [json.loads(row.payload) for row in rows]


async def eventually(question: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not await question():
            await asyncio.sleep(0.005)


async def test_a_due_agent_runs_as_its_activator_and_moves_on(
    house: House, scheduler: Scheduler, actor: Actor, clock: TurnableClock
) -> None:
    made = await house.active(actor, **HOURLY)
    assert await scheduler.fire_due() == 0
    assert await fired(house, actor, made.id) == []
    clock.turn(hours=1, seconds=5)
    await scheduler.fire_due()
    await scheduler.fire_due()
    (execution,), _ = await house.agents.executions.list_executions(actor, Paging(), mode="live")
    assert (execution.trigger_type, execution.triggered_by) == ("scheduled", "scheduler")
    assert execution.logical_time == "2026-11-21T11:00:00.000Z"
    assert (await house.agents.get(actor, made.id)).next_fire_at == datetime(2026, 11, 21, 12, tzinfo=UTC)


async def test_paused_archived_and_on_demand_agents_do_not_fire(
    house: House, scheduler: Scheduler, actor: Actor, clock: TurnableClock
) -> None:
    paused, archived = await house.active(actor, **HOURLY), await house.active(actor, **HOURLY)
    plain, draft = await house.active(actor), await house.make(actor, **HOURLY)
    await house.agents.pause(actor, paused.id)
    await house.agents.archive(actor, archived.id)
    clock.turn(hours=3)
    await scheduler.fire_due()
    for agent in (paused, archived, plain, draft):
        assert await fired(house, actor, agent.id) == []
    resumed = await house.agents.activate(actor, paused.id)
    assert resumed.next_fire_at == datetime(2026, 11, 21, 14, tzinfo=UTC)


async def test_a_crash_between_start_and_moving_on_is_the_same_run(
    house: House, scheduler: Scheduler, actor: Actor, clock: TurnableClock
) -> None:
    made = await house.active(actor, **HOURLY)
    clock.turn(hours=1)
    run_id = await house.agents.start_run(
        actor,
        made.id,
        trigger_type="scheduled",
        logical_time=clock.now(),
        idempotency_key=fire_key(made.id, clock.now()),
    )  # what a scheduler did that died before it could move the next fire
    clock.turn(minutes=3)
    await Scheduler(house.agents, clock).fire_due()
    executions, total = await house.agents.executions.list_executions(actor, Paging(), mode="live")
    assert (total, executions[0].id) == (1, run_id)
    assert (await house.agents.get(actor, made.id)).next_fire_at == datetime(2026, 11, 21, 12, tzinfo=UTC)


async def test_two_schedulers_at_once_start_one_run(house: House, actor: Actor, clock: TurnableClock) -> None:
    made = await house.active(actor, **HOURLY)
    clock.turn(hours=1)
    await asyncio.gather(*(Scheduler(house.agents, clock).fire_due() for _ in range(4)))
    assert await fired(house, actor, made.id) == ["11-21T11:00"]


@pytest.mark.parametrize(
    ("policy", "runs", "lost"),
    [
        ("once", ["11-21T14:00"], 3),
        ("skip", [], 4),
        ("all", ["11-21T11:00", "11-21T12:00", "11-21T13:00", "11-21T14:00"], 0),
    ],
)
async def test_after_hours_of_standstill_the_policy_decides_and_what_is_dropped_is_told(
    house: House,
    actor: Actor,
    policy: str,
    runs: list[str],
    lost: int,
) -> None:
    made = await house.active(actor, **HOURLY, misfire_policy=policy)
    house.clock.turn(hours=4, minutes=30)
    await Scheduler(house.agents, house.clock).fire_due()
    assert await fired(house, actor, made.id) == runs
    assert [payload["dropped"] for payload in await dropped(house)] == ([lost] if lost else [])
    assert (await house.agents.get(actor, made.id)).next_fire_at == datetime(2026, 11, 21, 15, tzinfo=UTC)


async def test_on_the_day_the_clocks_go_forward_and_back_it_fires_once(
    house: House, scheduler: Scheduler, actor: Actor, clock: TurnableClock
) -> None:
    nightly = {"trigger_type": "scheduled", "schedule": "30 2 * * *", "timezone": "Europe/Berlin"}
    clock.turn_to(datetime(2027, 3, 27, 12, tzinfo=UTC))
    made = await house.active(actor, **nightly)
    for day in (28, 29):
        clock.turn_to(datetime(2027, 3, day, 12, tzinfo=UTC))
        await scheduler.fire_due()
    assert await fired(house, actor, made.id) == ["03-28T01:00", "03-29T00:30"]
    clock.turn_to(datetime(2027, 10, 30, 12, tzinfo=UTC))
    autumn = await house.active(actor, **nightly)
    for hour in (0, 1, 2, 12):
        clock.turn_to(datetime(2027, 10, 31, hour, 30, tzinfo=UTC))
        await scheduler.fire_due()
    assert await fired(house, actor, autumn.id) == ["10-31T00:30"]


async def test_a_changed_schedule_invents_no_past_fires(
    house: House, scheduler: Scheduler, actor: Actor, clock: TurnableClock
) -> None:
    made = await house.active(actor, **HOURLY)
    clock.turn(minutes=45)
    await house.agents.update(actor, made.id, {"schedule": "*/5 * * * *"})
    await house.switch_on(actor, made.id)
    await scheduler.fire_due()
    assert await fired(house, actor, made.id) == []
    assert (await house.agents.get(actor, made.id)).next_fire_at == datetime(2026, 11, 21, 10, 50, tzinfo=UTC)


async def test_a_fire_looked_at_before_the_schedule_changed_moves_nothing(
    house: House, actor: Actor, clock: TurnableClock
) -> None:
    made = await house.active(actor, **HOURLY)
    async with house.db.read() as session:
        (seen,) = await due.claim_due(session, clock.now() + timedelta(hours=1), 10)
    clock.turn(minutes=1)
    await house.agents.update(actor, made.id, {"schedule": "30 * * * *"})
    changed = await house.switch_on(actor, made.id)
    async with house.db.transaction() as session:
        assert await due.still_due(session, [seen]) == set()
        await due.move_fires(session, [(seen, None)])
    assert (await house.agents.get(actor, made.id)).next_fire_at == changed.next_fire_at


async def test_who_may_no_longer_run_agents_has_them_paused_and_is_told(
    house: House, scheduler: Scheduler, actor: Actor, clock: TurnableClock
) -> None:
    user_id = await house.tenants.create_user("default", "Derek", Role.DEVELOPER)
    derek = Actor("default", user_id, Role.DEVELOPER, f"user:{user_id}", actor.permissions)
    made = await house.active(derek, **HOURLY)
    clock.turn(hours=1)
    await scheduler.fire_due()
    assert await fired(house, actor, made.id) == ["11-21T11:00"]
    await house.tenants.set_role("default", user_id, Role.VIEWER)
    clock.turn(hours=1)
    await scheduler.fire_due()
    assert await fired(house, actor, made.id) == ["11-21T11:00"]
    assert (await house.agents.get(actor, made.id)).status == "paused"
    (item,), _ = await house.agents.inbox.list_items(derek, Paging())
    assert item.title == f"{made.name} is paused"


async def test_who_left_has_their_agents_paused(
    house: House, scheduler: Scheduler, actor: Actor, clock: TurnableClock
) -> None:
    user_id = await house.tenants.create_user("default", "Derek", Role.DEVELOPER)
    derek = Actor("default", user_id, Role.DEVELOPER, f"user:{user_id}", actor.permissions)
    made = await house.active(derek, **HOURLY)
    await house.tenants.disable_user("default", user_id)
    clock.turn(hours=1)
    await scheduler.fire_due()
    assert (await house.agents.get(actor, made.id)).status == "paused"
    assert await fired(house, actor, made.id) == []


async def test_an_agent_that_cannot_start_now_stays_due_and_does_not_hold_up_others(
    house: House, scheduler: Scheduler, actor: Actor, clock: TurnableClock
) -> None:
    blocked = await house.active(actor, **HOURLY)
    other = await house.active(actor, **{**HOURLY, "schedule": "1 11 * * *"})
    clock.turn(minutes=61)
    async with house.db.transaction() as session:  # a version nobody can read: the agent cannot be started
        await session.execute(
            text("UPDATE agent_versions SET snapshot = '{}' WHERE agent_id = :id"), {"id": blocked.id}
        )
    assert await scheduler.fire_due() == 1
    assert await fired(house, actor, other.id) == ["11-21T11:01"]
    assert (await house.agents.get(actor, blocked.id)).next_fire_at == datetime(2026, 11, 21, 11, tzinfo=UTC)


async def test_a_full_house_delays_a_fire_and_does_not_lose_it(
    house: House, scheduler: Scheduler, actor: Actor, clock: TurnableClock
) -> None:
    made = await house.active(actor, **HOURLY)
    clock.turn(hours=1)
    house.runs.max_unfinished = 0
    with pytest.raises(RateLimited):
        await house.agents.start_run(actor, made.id)
    assert await scheduler.fire_due() == 1
    house.runs.max_unfinished = 10
    assert await scheduler.fire_due() == 0
    assert await fired(house, actor, made.id) == ["11-21T11:00"]


async def test_the_loop_wakes_at_the_time_and_when_a_schedule_is_switched_on(
    house: House, scheduler: Scheduler, actor: Actor, clock: TurnableClock
) -> None:
    loop = asyncio.create_task(scheduler.run())
    made = await house.active(actor, **HOURLY)

    async def runs(count: int) -> bool:
        return len(await fired(house, actor, made.id)) == count

    for count in (1, 2):
        clock.turn(hours=1)
        await eventually(lambda count=count: runs(count))
    await house.agents.pause(actor, made.id)
    clock.turn(hours=2)
    await house.agents.activate(actor, made.id)
    clock.turn(hours=1)
    await eventually(lambda: runs(3))
    loop.cancel()
    await asyncio.gather(loop, return_exceptions=True)


async def test_after_a_restart_the_table_says_what_is_due(
    house: House, actor: Actor, clock: TurnableClock
) -> None:
    made = await house.active(actor, **HOURLY, misfire_policy="all")
    for _ in range(3):
        clock.turn_to(clock.now() + timedelta(hours=1))
        await Scheduler(house.agents, clock).fire_due()
    assert await fired(house, actor, made.id) == ["11-21T11:00", "11-21T12:00", "11-21T13:00"]


async def test_when_the_rules_of_a_zone_have_changed_the_next_fires_move_and_what_is_due_stays(
    house: House, actor: Actor, clock: TurnableClock
) -> None:
    """The times of a time-zone database of another year stand in the table."""
    moved = await house.active(actor, **{**HOURLY, "schedule": "0 9 * * *", "timezone": "Asia/Amman"})
    due_now = await house.active(actor, **HOURLY)
    kept = await house.active(actor, **{**HOURLY, "schedule": "0 9 * * *"})
    right = moved.next_fire_at
    assert right is not None
    async with house.db.transaction() as session:
        await session.execute(
            text("UPDATE agent_configs SET next_fire_at = :old WHERE id = :id"),
            {"old": f"{right + timedelta(hours=1):%Y-%m-%d %H:%M:%S.000000}", "id": moved.id},
        )
    clock.turn(hours=1)
    assert await Scheduler(house.agents, clock).follow_rules() == 1
    assert await Scheduler(house.agents, clock).follow_rules() == 0
    assert (await house.agents.get(actor, moved.id)).next_fire_at == right
    assert (await house.agents.get(actor, kept.id)).next_fire_at == kept.next_fire_at
    await Scheduler(house.agents, clock).fire_due()
    assert await fired(house, actor, due_now.id) == ["11-21T11:00"]


async def test_the_rules_are_looked_at_when_the_scheduler_starts(
    house: House, actor: Actor, clock: TurnableClock
) -> None:
    made = await house.active(actor, **HOURLY)
    async with house.db.transaction() as session:
        await session.execute(text("UPDATE agent_configs SET next_fire_at = '2026-11-21 10:30:00.000000'"))

    async def is_right() -> bool:
        return (await house.agents.get(actor, made.id)).next_fire_at == made.next_fire_at

    loop = asyncio.create_task(Scheduler(house.agents, clock).run())
    await eventually(is_right)
    loop.cancel()
    await asyncio.gather(loop, return_exceptions=True)
