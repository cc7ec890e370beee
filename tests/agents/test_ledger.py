"""The ledger of fires: everything that called an agent, with what became of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.agents.conftest import START, Act, House, TurnableClock

from omniforge.agents import fires as fires_module
from omniforge.agents.content import FireKind, FireStatus
from omniforge.agents.fires import EventFire, Fired, key_of
from omniforge.agents.schemas import Agent, FireList
from omniforge.agents.triggers import Scheduler
from omniforge.core.actor import Actor, Role
from omniforge.core.errors import NotFound
from omniforge.core.paging import Paging
from omniforge.engine.active import StepCall
from omniforge.engine.state import StepResult

HOURLY: dict[str, Any] = {"trigger_type": "scheduled", "schedule": "0 * * * *"}


@pytest.fixture(autouse=True)
async def listening(house: House) -> None:
    """What waits for a run to end hears of it, as in every server."""
    house.engine.events.subscribe("agents.fires", ["run.finished"], house.agents.fires.on_run_finished)


def happening(name: str, at: datetime = START, **event: Any) -> EventFire:
    return EventFire(f"d-{name}", {"id": name, "type": "row.created", **event}, at, "notion")


class Door:
    """What a skill stands in front of until somebody opens it; `passed` are the inputs that came in."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.passed: list[Any] = []

    def act(self) -> Act:
        async def act(call: StepCall) -> StepResult:
            self.passed.append(call.run.input.get("event", {}).get("id"))
            await self.open.wait()
            return StepResult(output={"report": "done"})

        return act


@pytest.fixture
def door(house: House) -> Door:
    made = Door()
    house.script["slow"] = made.act()
    return made


async def slow(house: House, actor: Actor, **fields: Any) -> Agent:
    """An agent whose runs take until the door is opened."""
    return await house.active(actor, "slow", **fields)


async def switch_on_at_the_door(house: House, actor: Actor, door: Door, **fields: Any) -> Agent:
    door.open.set()  # its test goes through
    made = await slow(house, actor, **fields)
    door.open.clear()
    door.passed.clear()
    return made


async def ledger(house: House, actor: Actor, agent: Agent, **page: int) -> FireList:
    return await house.agents.fire_history.list_fires(actor, agent.id, Paging(**page))


async def told(house: House, actor: Actor, agent: Agent) -> list[tuple[str, str]]:
    """(status, time it is about) of every line, oldest time first."""
    found = await ledger(house, actor, agent, limit=200)
    return sorted(((str(f.status), f"{f.logical_time:%H:%M}") for f in found.fires), key=lambda pair: pair[1])


async def fire(house: House, agent: Agent, *names: str) -> list[Fired]:
    events = [happening(name) for name in names]
    return await house.agents.fires.fire_events("default", agent.id, events)


async def eventually(question: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not await question():
            await asyncio.sleep(0.005)


async def runs(house: House, actor: Actor, agent: Agent) -> int:
    _, total = await house.agents.executions.list_executions(actor, Paging(), agent_id=agent.id, mode="live")
    return total


# --- events ------------------------------------------------------------------------------------------------


@pytest.mark.both_stores
async def test_an_event_is_one_run_however_often_it_comes(house: House, actor: Actor) -> None:
    made = await house.active(actor)
    (first,) = await fire(house, made, "a")
    (again,) = await fire(house, made, "a")
    assert (first.status, first.duplicate) == (FireStatus.STARTED, False)
    assert again == Fired(FireStatus.STARTED, first.run_id, duplicate=True)
    execution = await house.agents.executions.get(actor, str(first.run_id))
    assert (execution.trigger_type, execution.triggered_by) == ("event_driven", "event:notion")
    view = await house.runs.get_run(actor, str(first.run_id))
    assert '"event":{"id":"a","type":"row.created"}' in view.run.input
    (line,) = (await ledger(house, actor, made)).fires
    assert (line.kind, line.status, line.execution_id) == ("delivery", "started", first.run_id)


async def test_the_same_event_twice_at_once_and_in_one_go_is_one_run(house: House, actor: Actor) -> None:
    made = await house.active(actor)
    found = await asyncio.gather(*(fire(house, made, "a", "b", "a") for _ in range(5)))
    await eventually(lambda: _is(runs(house, actor, made), 2))
    assert sum(not fired.duplicate for batch in found for fired in batch) == 2


async def test_agents_and_tenants_have_their_own_events(house: House, actor: Actor) -> None:
    one, two = await house.active(actor), await house.active(actor)
    for agent in (one, two):
        (fired,) = await fire(house, agent, "a")
        assert not fired.duplicate
    with pytest.raises(NotFound):
        await house.agents.fires.fire_event("other", one.id, happening("a"))


async def test_a_row_is_told_apart_from_a_delivery_and_keys_may_be_anything(
    house: House, actor: Actor
) -> None:
    made = await house.active(actor, settings={"concurrency": 5})
    keys = ["row:db:1:v1", "row:" + "x" * 400, "delivery\x00\ud800", "plain"]
    events = [EventFire(key, {"id": "1"}, START, "notion") for key in keys]
    assert len({key_of(made.id, event) for event in events}) == 4
    assert all(len(key_of("a" * 64, event)) <= 200 for event in events)
    await house.agents.fires.fire_events("default", made.id, events)
    again = await house.agents.fires.fire_events("default", made.id, events)
    assert all(fired.duplicate for fired in again)
    found = (await ledger(house, actor, made)).fires
    assert sorted(str(line.kind) for line in found) == ["delivery", "delivery", "row", "row"]


@pytest.mark.both_stores
async def test_events_during_a_run_wait_and_run_one_after_the_other_in_their_order(
    house: House, actor: Actor, door: Door
) -> None:
    made = await switch_on_at_the_door(house, actor, door)
    (first,) = await fire(house, made, "a")
    later = await fire(house, made, "b", "c")
    later += await fire(house, made, "d", "b")
    assert first.status is FireStatus.STARTED
    assert [(fired.status, fired.duplicate) for fired in later] == [
        (FireStatus.WAITING, False),
        (FireStatus.WAITING, False),
        (FireStatus.WAITING, False),
        (FireStatus.WAITING, True),
    ]
    assert await runs(house, actor, made) == 1
    door.open.set()
    await eventually(lambda: _is(runs(house, actor, made), 4))
    assert door.passed == ["a", "b", "c", "d"]
    assert {line.status for line in (await ledger(house, actor, made)).fires} == {FireStatus.STARTED}


async def test_as_many_run_at_the_same_time_as_the_agent_allows(
    house: House, actor: Actor, door: Door
) -> None:
    made = await switch_on_at_the_door(house, actor, door, settings={"concurrency": 3})
    found = await fire(house, made, "a", "b", "c", "d", "e")
    assert [fired.status for fired in found].count(FireStatus.STARTED) == 3
    door.open.set()
    await eventually(lambda: _is(runs(house, actor, made), 5))


async def test_a_run_somebody_asked_for_is_waited_for_as_well(house: House, actor: Actor, door: Door) -> None:
    made = await switch_on_at_the_door(house, actor, door)
    await house.agents.start_run(actor, made.id)
    (fired,) = await fire(house, made, "a")
    assert fired.status is FireStatus.WAITING
    door.open.set()
    await eventually(lambda: _is(runs(house, actor, made), 2))


async def test_no_more_than_a_thousand_wait_and_what_is_too_much_is_told(
    house: House, actor: Actor, door: Door
) -> None:
    made = await switch_on_at_the_door(house, actor, door, settings={"max_fires_per_hour": 10_000})
    found = await fire(house, made, *(str(number) for number in range(1005)))
    statuses = [fired.status for fired in found]
    assert statuses.count(FireStatus.DROPPED) == 1005 - fires_module.MOST_WAITING
    last = await ledger(house, actor, made, limit=200, offset=900)
    assert last.total == 1005
    page = [line for line in last.fires if line.status is FireStatus.DROPPED]
    assert all(line.reason == "1000 of them waited already." for line in page)
    rows = await house.engine.events.read("default", types=["fire.dropped"])
    assert len(rows) == 1


@pytest.mark.both_stores
async def test_more_than_a_hundred_calls_in_an_hour_pause_the_agent_and_its_owner_is_told(
    house: House, actor: Actor, clock: TurnableClock
) -> None:
    made = await house.active(actor)
    clock.turn(minutes=1)
    await fire(house, made, *(f"early-{number}" for number in range(60)))
    clock.turn(minutes=61)
    await fire(house, made, *(f"late-{number}" for number in range(100)))
    assert (await house.agents.get(actor, made.id)).status == "active"
    (over,) = await fire(house, made, "one-more")
    assert over.status is FireStatus.PAUSED
    assert (await house.agents.get(actor, made.id)).status == "paused"
    items, _ = await house.agents.inbox.list_items(actor, Paging())
    assert [item.title for item in items if item.kind == "notice"] == [f"{made.name} is paused"]
    clock.turn(seconds=1)
    await house.agents.activate(actor, made.id)  # whoever looked at it is not stopped by what came before
    clock.turn(seconds=1)
    (after,) = await fire(house, made, "after")
    assert after.status in (FireStatus.STARTED, FireStatus.WAITING)
    assert (await house.agents.get(actor, made.id)).status == "active"


@pytest.mark.both_stores
async def test_what_comes_to_a_paused_agent_is_put_down_and_never_run(house: House, actor: Actor) -> None:
    made = await house.active(actor)
    await house.agents.pause(actor, made.id)
    (paused,) = await fire(house, made, "a")
    (again,) = await fire(house, made, "a")
    assert (paused, again) == (Fired(FireStatus.PAUSED), Fired(FireStatus.PAUSED, duplicate=True))
    await house.agents.activate(actor, made.id)
    await house.agents.fires.start_all_waiting()
    (still,) = await fire(house, made, "a")
    assert still.duplicate
    assert await runs(house, actor, made) == 0
    (line,) = (await ledger(house, actor, made)).fires
    assert (line.status, line.reason) == (FireStatus.PAUSED, "The agent was paused when it came.")


@pytest.mark.parametrize(("off", "status"), [("pause", "paused"), ("archive", "dropped")])
async def test_what_waits_when_an_agent_is_switched_off_does_not_run_and_is_told(
    house: House, actor: Actor, door: Door, off: str, status: str
) -> None:
    made = await switch_on_at_the_door(house, actor, door)
    await fire(house, made, "a", "b")
    await (house.agents.pause(actor, made.id) if off == "pause" else house.agents.archive(actor, made.id))
    door.open.set()
    if off == "pause":
        await house.agents.activate(actor, made.id)
    assert await house.agents.fires.start_all_waiting() == 0
    assert await runs(house, actor, made) == 1
    lines = (await ledger(house, actor, made)).fires
    assert sorted(str(line.status) for line in lines) == sorted(["started", status])


async def test_an_event_that_no_run_may_get_is_refused_with_the_reason_and_the_next_one_runs(
    house: House, actor: Actor
) -> None:
    made = await house.active(actor)
    bad = happening("bad", text="hidden \u202e text")
    found = await house.agents.fires.fire_events("default", made.id, [bad, happening("good")])
    assert [fired.status for fired in found] == [FireStatus.REFUSED, FireStatus.STARTED]
    lines = {line.status: line.reason for line in (await ledger(house, actor, made)).fires}
    assert "hidden control characters" in lines[FireStatus.REFUSED]


async def test_who_may_no_longer_run_agents_has_them_paused_by_the_next_event(
    house: House, actor: Actor
) -> None:
    user_id = await house.tenants.create_user("default", "Derek", Role.DEVELOPER)
    derek = Actor("default", user_id, Role.DEVELOPER, f"user:{user_id}", actor.permissions)
    made = await house.active(derek)
    await house.tenants.set_role("default", user_id, Role.VIEWER)
    await fire(house, made, "a")
    assert (await house.agents.get(actor, made.id)).status == "paused"
    (line,) = (await ledger(house, actor, made)).fires
    assert line.status is FireStatus.PAUSED
    assert "may no longer run agents" in line.reason


@pytest.mark.both_stores
async def test_a_full_house_delays_an_event_and_does_not_lose_it(house: House, actor: Actor) -> None:
    made = await house.active(actor)
    house.runs.max_unfinished = 0
    (fired,) = await fire(house, made, "a")
    assert fired.status is FireStatus.WAITING
    assert await house.agents.fires.start_all_waiting() == 1
    house.runs.max_unfinished = 10
    assert await house.agents.fires.start_all_waiting() == 0
    assert await runs(house, actor, made) == 1


@pytest.mark.both_stores
async def test_a_death_after_the_run_is_durable_and_before_its_row_is_gone_is_the_same_run(
    house: House, actor: Actor
) -> None:
    made = await house.active(actor)
    event = happening("a")
    async with house.db.transaction() as session:
        await house.agents.fires.take_down(session, "default", made.id, [event])
    run_id = await house.agents.start_run(
        actor,
        made.id,
        {"event": event.event},
        trigger_type="event_driven",
        triggered_by="event:notion",
        idempotency_key=key_of(made.id, event),
    )
    (line,) = (await ledger(house, actor, made)).fires
    assert (line.status, line.execution_id) == (FireStatus.STARTED, run_id)
    assert await house.agents.fires.start_all_waiting() == 0
    assert await runs(house, actor, made) == 1


async def test_what_was_taken_down_before_a_death_starts_when_the_scheduler_does(
    house: House, actor: Actor, clock: TurnableClock
) -> None:
    made = await house.active(actor)
    async with house.db.transaction() as session:
        await house.agents.fires.take_down(session, "default", made.id, [happening("a"), happening("b")])
    loop = asyncio.create_task(Scheduler(house.agents, clock).run())
    await eventually(lambda: _is(runs(house, actor, made), 2))
    loop.cancel()
    await asyncio.gather(loop, return_exceptions=True)


async def test_fires_of_a_transaction_that_fails_were_never_there(house: House, actor: Actor) -> None:
    made = await house.active(actor)

    async def fail() -> None:
        async with house.db.transaction() as session:
            await house.agents.fires.take_down(session, "default", made.id, [happening("a")])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert (await ledger(house, actor, made)).total == 0
    (fired,) = await fire(house, made, "a")
    assert not fired.duplicate


# --- schedules ---------------------------------------------------------------------------------------------


@pytest.mark.both_stores
async def test_of_a_schedules_fires_during_a_run_one_waits_for_all(
    house: House, actor: Actor, clock: TurnableClock, door: Door
) -> None:
    made = await switch_on_at_the_door(house, actor, door, **HOURLY)
    scheduler = Scheduler(house.agents, clock)
    for _ in range(4):
        clock.turn(hours=1)
        assert await scheduler.fire_due() == 0
    assert await told(house, actor, made) == [
        ("started", "11:00"),
        ("waiting", "12:00"),
        ("coalesced", "13:00"),
        ("coalesced", "14:00"),
    ]
    door.open.set()
    await eventually(lambda: _is(runs(house, actor, made), 2))
    assert await told(house, actor, made) == [
        ("started", "11:00"),
        ("started", "12:00"),
        ("coalesced", "13:00"),
        ("coalesced", "14:00"),
    ]
    clock.turn(hours=1)
    await eventually(lambda: _nothing_unfinished(house, actor))
    await scheduler.fire_due()
    assert (await told(house, actor, made))[-1] == ("started", "15:00")


async def test_what_waits_runs_although_the_run_ended_before_it_was_written_down(
    house: House, actor: Actor, clock: TurnableClock, door: Door
) -> None:
    made = await switch_on_at_the_door(house, actor, door, **HOURLY)
    scheduler = Scheduler(house.agents, clock)
    clock.turn(hours=1)
    await scheduler.fire_due()
    clock.turn(hours=1)
    claiming = asyncio.create_task(scheduler.fire_due())
    door.open.set()  # somewhere in the middle of it
    await claiming
    await eventually(lambda: _is(runs(house, actor, made), 2))


@pytest.mark.parametrize(
    ("policy", "grace", "expected"),
    [
        ("skip", None, ["dropped"] * 4),
        ("once", None, ["dropped", "dropped", "dropped", "started"]),
        ("all", None, ["started", "waiting", "waiting", "waiting"]),
        ("all", 2 * 3600 + 60, ["dropped", "dropped", "started", "waiting"]),
        ("once", 60, ["dropped"] * 4),
    ],
)
async def test_late_fires_are_each_in_the_ledger_with_what_became_of_them(
    house: House,
    actor: Actor,
    door: Door,
    *,
    policy: str,
    grace: int | None,
    expected: list[str],
) -> None:
    late = {**HOURLY, "misfire_policy": policy, "misfire_grace_seconds": grace}
    made = await switch_on_at_the_door(house, actor, door, **late)
    house.clock.turn(hours=4, minutes=30)
    await Scheduler(house.agents, house.clock).fire_due()
    found = await told(house, actor, made)
    assert [status for status, _ in found] == expected
    assert [at for _, at in found] == ["11:00", "12:00", "13:00", "14:00"]
    for line in (await ledger(house, actor, made)).fires:
        assert line.reason or line.status is FireStatus.STARTED
        is_old = grace is not None and line.lag_seconds > grace
        assert ("this agent's limit" in line.reason) == (is_old and line.status is FireStatus.DROPPED)


async def test_after_a_long_standstill_the_rest_is_told_in_one_line(
    house: House, actor: Actor, door: Door
) -> None:
    made = await switch_on_at_the_door(
        house, actor, door, trigger_type="scheduled", schedule="*/10 * * * *", misfire_policy="all"
    )
    house.clock.turn(days=7)
    await Scheduler(house.agents, house.clock).fire_due()
    pages = [await ledger(house, actor, made, limit=200, offset=first) for first in (0, 200)]
    lines = [line for page in pages for line in page.fires]
    counts = dict.fromkeys(FireStatus, 0)
    for line in lines:
        counts[line.status] += line.count
    assert counts[FireStatus.STARTED] == 1
    assert (counts[FireStatus.WAITING], counts[FireStatus.COALESCED]) == (98, 1)  # one is due just now
    assert sum(counts.values()) == 7 * 24 * 6
    assert [line.count for line in lines if line.count > 1] == [7 * 24 * 6 - 200]


async def test_a_fire_whose_run_was_durable_before_a_death_is_not_told_as_dropped(
    house: House, actor: Actor, clock: TurnableClock
) -> None:
    made = await house.active(actor, **HOURLY, misfire_policy="skip")
    clock.turn(hours=1)
    await house.agents.start_run(
        actor,
        made.id,
        trigger_type="scheduled",
        logical_time=clock.now(),
        idempotency_key=fires_module.fire_key(made.id, clock.now()),
    )
    clock.turn(minutes=3)
    await Scheduler(house.agents, clock).fire_due()
    assert await told(house, actor, made) == [("started", "11:00")]


async def test_a_run_that_is_its_own_fires_does_not_make_it_wait(
    house: House, actor: Actor, clock: TurnableClock, door: Door
) -> None:
    made = await switch_on_at_the_door(house, actor, door, **HOURLY)
    clock.turn(hours=1)
    await house.agents.start_run(
        actor,
        made.id,
        trigger_type="scheduled",
        logical_time=clock.now(),
        idempotency_key=fires_module.fire_key(made.id, clock.now()),
    )  # its scheduler died before the schedule moved on
    await Scheduler(house.agents, clock).fire_due()
    clock.turn(hours=1)
    await Scheduler(house.agents, clock).fire_due()
    assert await told(house, actor, made) == [("started", "11:00"), ("waiting", "12:00")]


# --- reading -----------------------------------------------------------------------------------------------


async def test_the_ledger_is_paged_newest_first_with_lags_ends_and_what_comes_next(
    house: House, actor: Actor, clock: TurnableClock
) -> None:
    made = await house.active(actor, **{**HOURLY, "timezone": "Europe/Berlin"})
    scheduler = Scheduler(house.agents, clock)
    for _ in range(3):
        clock.turn_to((clock.now() + timedelta(hours=1)).replace(minute=0, second=7))
        await scheduler.fire_due()
        await eventually(lambda: _nothing_unfinished(house, actor))
    await house.agents.start_run(actor, made.id)  # asked for by a person: no fire
    first = await ledger(house, actor, made, limit=2)
    second = await ledger(house, actor, made, limit=2, offset=2)
    lines = [*first.fires, *second.fires]
    assert (first.total, len(first.fires), len(second.fires)) == (3, 2, 1)
    assert [line.logical_time.hour for line in lines] == [13, 12, 11]
    assert {line.lag_seconds for line in lines} == {7.0}
    assert {line.kind for line in lines} == {FireKind.SCHEDULE}
    assert {str(line.execution_status) for line in lines} == {"completed"}
    assert [at.isoformat() for at in first.next] == [
        "2026-11-21T15:00:00+01:00",
        "2026-11-21T16:00:00+01:00",
        "2026-11-21T17:00:00+01:00",
    ]
    await house.agents.pause(actor, made.id)
    assert (await ledger(house, actor, made)).next == []


async def test_an_execution_is_told_as_it_ended_for_people(house: House, actor: Actor) -> None:
    made = await house.active(actor)
    (fired,) = await fire(house, made, "a")
    await house.runs.wait_for(actor, str(fired.run_id))
    await house.settle(str(fired.run_id))
    execution = await house.agents.executions.get(actor, str(fired.run_id))
    (line,) = (await ledger(house, actor, made)).fires
    assert line.execution_status == execution.status


async def test_schedules_are_listed_those_that_fire_next_first(
    house: House, actor: Actor, clock: TurnableClock
) -> None:
    later = await house.active(actor, **{**HOURLY, "schedule": "0 9 * * *", "timezone": "Asia/Kathmandu"})
    soon = await house.active(actor, **HOURLY)
    draft = await house.make(actor, **HOURLY)
    await house.active(actor)
    clock.turn(hours=1, seconds=2)
    await Scheduler(house.agents, clock).fire_due()
    found = await house.agents.fire_history.list_schedules(actor, Paging())
    assert [entry.id for entry in found.schedules] == [soon.id, later.id, draft.id]
    first, second, third = found.schedules
    assert first.last_fire is not None
    assert (first.last_fire.status, first.last_fire.lag_seconds) == (FireStatus.STARTED, 2.0)
    assert first.next_fire_at == datetime(2026, 11, 21, 12, tzinfo=UTC)
    assert (second.last_fire, second.words) == (None, "At 09:00 every day")
    assert (third.next_fire_at, third.status) == (None, "draft")


async def test_who_belongs_elsewhere_sees_nothing(house: House, actor: Actor, foreign_actor: Actor) -> None:
    made = await house.active(actor, **HOURLY)
    with pytest.raises(NotFound):
        await ledger(house, foreign_actor, made)
    assert (await house.agents.fire_history.list_schedules(foreign_actor, Paging())).total == 0


# --- small parts -------------------------------------------------------------------------------------------


async def _is(answer: Awaitable[int], expected: int) -> bool:
    return await answer == expected


async def _nothing_unfinished(house: House, actor: Actor) -> bool:
    _, total = await house.runs.list_runs(actor, status=["queued", "running"])
    return total == 0
