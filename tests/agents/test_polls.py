"""Polled agents: what was there does not start them, what comes does, once, whatever goes wrong meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from tests.agents.conftest import House
from tests.agents.tracker import OURS, Tracker, event_agent, events_of_runs

from omniforge.agents import hook_store
from omniforge.agents.hook_store import CursorRow
from omniforge.agents.polls import Poller
from omniforge.core.actor import Actor
from omniforge.core.paging import Paging
from omniforge.integrations.errors import (
    ConnectionExpired,
    RateLimitedThere,
    ResourceNotFound,
    ServiceDown,
)
from omniforge.integrations.manifest import Occurrence


@pytest.fixture
def tracker(house: House) -> Tracker:
    return Tracker(house)


@pytest.fixture
def poller(house: House, tracker: Tracker) -> Poller:
    return Poller(house.agents, house.clock)


async def cursor_of(house: House, agent_id: str) -> CursorRow:
    async with house.db.read() as session:
        found = await hook_store.find_cursor(session, "default", agent_id)
    assert found is not None
    return found


async def later(house: House, poller: Poller, minutes: float = 15) -> None:
    """Let the time pass and do what is due then."""
    house.clock.turn(minutes=minutes)
    await poller.poll_due()


async def ids_of_runs(house: House, actor: Actor, agent_id: str) -> list[str]:
    return [event["id"] for event in await events_of_runs(house, actor, agent_id)]


async def notices(house: House) -> list[str]:
    async with house.db.read() as session:
        return list(await session.scalars(text("SELECT title FROM inbox_items WHERE kind = 'notice'")))


async def test_what_is_there_when_it_is_switched_on_does_not_start_it_and_what_comes_does(
    house: House, tracker: Tracker, poller: Poller, actor: Actor
) -> None:
    tracker.add("old")
    house.clock.turn(seconds=20)
    agent_id = await event_agent(house, actor)
    house.clock.turn(seconds=10)
    tracker.add("same-minute", priority="high")
    await later(house, poller)
    await later(house, poller)
    (event,) = await events_of_runs(house, actor, agent_id)
    assert event == {
        "id": "same-minute",
        "type": "ticket.created",
        "at": "2026-11-21T10:00:00.000Z",
        "resource": "board-1",
        "item": {"id": "same-minute", "at": "2026-11-21T10:00:00+00:00", "priority": "high"},
    }
    found, _ = await house.runs.list_runs(actor, subject=f"agent:{agent_id}", mode="live")
    assert (found[0].run.trigger_type, found[0].run.triggered_by) == ("event_driven", "event:tracker")


async def test_it_is_asked_in_its_own_interval_and_fifteen_minutes_without_one(
    house: House, tracker: Tracker, poller: Poller, actor: Actor
) -> None:
    await event_agent(house, actor, "Slow", interval_minutes=60)
    await event_agent(house, actor, "Usual")
    tracker.asked.clear()
    for _ in range(4):
        await later(house, poller)
    assert len(tracker.asked) == 4 + 1


async def test_a_row_that_is_shown_late_still_fires(
    house: House, tracker: Tracker, poller: Poller, actor: Actor
) -> None:
    agent_id = await event_agent(house, actor)
    house.clock.turn(minutes=10)
    tracker.add("prompt")
    await later(house, poller, 5)
    tracker.add("late", at=house.clock.now() - timedelta(minutes=8))
    await later(house, poller)
    assert sorted(await ids_of_runs(house, actor, agent_id)) == ["late", "prompt"]


async def test_a_changed_row_fires_again_and_an_unchanged_one_does_not(
    house: House, tracker: Tracker, poller: Poller, actor: Actor
) -> None:
    agent_id = await event_agent(house, actor, event="ticket.updated")
    house.clock.turn(minutes=1)
    ticket = tracker.add("one", version="a")
    await later(house, poller)
    await later(house, poller)
    ticket.update(version="b", at=house.clock.now().isoformat())
    await later(house, poller)
    assert await ids_of_runs(house, actor, agent_id) == ["one", "one"]


async def test_many_at_once_are_taken_down_together_and_run_one_after_the_other(
    house: House, tracker: Tracker, poller: Poller, actor: Actor
) -> None:
    agent_id = await event_agent(house, actor)
    house.clock.turn(minutes=1)
    for number in range(30):
        tracker.add(f"t{number:02}")
    await later(house, poller)
    for _ in range(40):
        await asyncio.gather(*[house.runs.engine.wait(run) for run in await unfinished(house)])
        await house.agents.fires.start_all_waiting()
    assert sorted(await ids_of_runs(house, actor, agent_id)) == [f"t{number:02}" for number in range(30)]


async def unfinished(house: House) -> list[str]:
    async with house.db.read() as session:
        return list(await session.scalars(text("SELECT id FROM runs WHERE status NOT IN ('completed')")))


async def test_other_boards_filtered_ones_and_our_own_do_not_start_it(
    house: House, tracker: Tracker, poller: Poller, actor: Actor
) -> None:
    agent_id = await event_agent(house, actor, filter="event.item.priority == 'high'")
    house.clock.turn(minutes=1)
    tracker.add("high", priority="high")
    tracker.add("low", priority="low")
    tracker.add("elsewhere", priority="high", board="board-2")
    tracker.add("ours", priority="high", author=OURS)
    tracker.add("without")
    await later(house, poller)
    await later(house, poller)
    assert await ids_of_runs(house, actor, agent_id) == ["high"]
    ledger = await house.agents.fire_history.list_fires(actor, agent_id, Paging())
    assert [(line.status, line.reason) for line in ledger.fires if line.status == "refused"] == [
        ("refused", "The filter could not be computed for this event.")
    ]


async def test_our_own_start_it_when_it_is_said_so(
    house: House, tracker: Tracker, poller: Poller, actor: Actor
) -> None:
    agent_id = await event_agent(house, actor, include_own=True)
    house.clock.turn(minutes=1)
    tracker.add("ours", author=OURS)
    await later(house, poller)
    assert await ids_of_runs(house, actor, agent_id) == ["ours"]


async def test_who_we_are_is_learned_later_when_it_is_not_said_at_once(
    house: House, tracker: Tracker, poller: Poller, actor: Actor
) -> None:
    tracker.identity_trouble = ServiceDown("Tracker isn't answering.", retryable=True)
    agent_id = await event_agent(house, actor)
    house.clock.turn(minutes=1)
    tracker.add("ours", author=OURS)
    tracker.add("anns")
    await later(house, poller)
    assert await ids_of_runs(house, actor, agent_id) == []
    tracker.identity_trouble = None
    await later(house, poller)
    assert await ids_of_runs(house, actor, agent_id) == ["anns"]


async def test_a_service_that_is_away_is_asked_again_and_nothing_is_missed(
    house: House, tracker: Tracker, poller: Poller, actor: Actor
) -> None:
    agent_id = await event_agent(house, actor)
    tracker.trouble = ServiceDown("Tracker isn't answering.", retryable=True)
    house.clock.turn(minutes=1)
    tracker.add("meanwhile")
    for minutes in (15, 1, 2, 4, 8, 16, 32, 60, 60):
        await later(house, poller, minutes)
    assert (await cursor_of(house, agent_id)).failures == 9
    assert await notices(house) == ["Triage cannot look for what is new"]
    tracker.trouble = None
    await later(house, poller, 60)
    assert await ids_of_runs(house, actor, agent_id) == ["meanwhile"]
    kept = await cursor_of(house, agent_id)
    assert (kept.failures, kept.failing_since, kept.told_at) == (0, None, None)


@pytest.mark.parametrize("trouble", [ConnectionExpired("Signed out."), ResourceNotFound("It is gone.")])
async def test_what_only_a_person_can_mend_is_told_at_once_and_once(
    house: House, tracker: Tracker, poller: Poller, actor: Actor, trouble: Exception
) -> None:
    await event_agent(house, actor)
    tracker.trouble = trouble
    for minutes in (15, 5, 5, 60):
        await later(house, poller, minutes)
    assert await notices(house) == ["Triage cannot look for what is new"]


async def test_slowing_down_moves_the_next_poll(
    house: House, tracker: Tracker, poller: Poller, actor: Actor
) -> None:
    agent_id = await event_agent(house, actor)
    tracker.trouble = RateLimitedThere("Slow down.", retryable=True, retry_after=1800)
    await later(house, poller)
    kept = await cursor_of(house, agent_id)
    assert kept.next_poll_at == house.clock.now() + timedelta(minutes=30)
    assert kept.failures == 0


async def test_overlapping_polls_take_each_thing_once(
    house: House, tracker: Tracker, poller: Poller, actor: Actor
) -> None:
    agent_id = await event_agent(house, actor)
    house.clock.turn(minutes=20)
    tracker.add("one")
    cursor = await cursor_of(house, agent_id)
    polls = poller.polls
    await asyncio.gather(polls.poll(cursor), polls.poll(cursor), polls.poll(cursor))
    assert await ids_of_runs(house, actor, agent_id) == ["one"]


async def test_a_poll_whose_process_dies_is_done_again_and_its_rows_run_once(
    house: House, tracker: Tracker, poller: Poller, actor: Actor
) -> None:
    agent_id = await event_agent(house, actor)
    house.clock.turn(minutes=1)
    tracker.add("one")
    before = await cursor_of(house, agent_id)
    await later(house, poller)
    # What a process leaves behind that dies when the rows are fired and the cursor is claimed, not moved.
    async with house.db.transaction() as session:
        kept = await hook_store.find_cursor(session, "default", agent_id)
        assert kept is not None
        kept.since, kept.seen = before.since, before.seen
    await later(house, poller)
    assert await ids_of_runs(house, actor, agent_id) == ["one"]


async def test_a_dead_claim_runs_out(house: House, tracker: Tracker, poller: Poller, actor: Actor) -> None:
    agent_id = await event_agent(house, actor)
    house.clock.turn(minutes=15)
    now = house.clock.now()
    async with house.db.transaction() as session:
        assert len(await hook_store.claim_polls(session, now, now + timedelta(minutes=5), 10)) == 1
        assert await hook_store.claim_polls(session, now, now + timedelta(minutes=5), 10) == []
    tracker.add("one")
    await later(house, poller, 4)
    assert await ids_of_runs(house, actor, agent_id) == []
    await later(house, poller, 1)
    assert await ids_of_runs(house, actor, agent_id) == ["one"]


async def test_a_paused_agent_is_not_polled_and_begins_anew_when_it_goes_on(
    house: House, tracker: Tracker, poller: Poller, actor: Actor
) -> None:
    agent_id = await event_agent(house, actor)
    await house.agents.pause(actor, agent_id)
    tracker.asked.clear()
    house.clock.turn(minutes=1)
    tracker.add("meanwhile")
    await later(house, poller, 60)
    assert tracker.asked == []
    house.clock.turn(minutes=1)
    tracker.add("just-before")
    await house.agents.activate(actor, agent_id)
    house.clock.turn(minutes=1)
    tracker.add("after")
    await later(house, poller)
    assert await ids_of_runs(house, actor, agent_id) == ["after"]
    await house.agents.archive(actor, agent_id)
    async with house.db.read() as session:
        assert await hook_store.find_cursor(session, "default", agent_id) is None
        assert await hook_store.find_hook(session, "default", agent_id) is None


async def test_an_edit_of_a_running_agent_misses_nothing(
    house: House, tracker: Tracker, poller: Poller, actor: Actor
) -> None:
    agent_id = await event_agent(house, actor)
    house.clock.turn(minutes=1)
    tracker.add("before-the-edit")
    config = {"integration": "tracker", "event": "ticket.created", "resource": "board-1"}
    await house.agents.update(actor, agent_id, {"event_config": {**config, "interval_minutes": 5}})
    await house.switch_on(actor, agent_id)
    await later(house, poller)
    assert await ids_of_runs(house, actor, agent_id) == ["before-the-edit"]
    assert (await cursor_of(house, agent_id)).next_poll_at == house.clock.now() + timedelta(minutes=5)


async def test_one_that_is_no_more_event_driven_is_polled_no_more(
    house: House, tracker: Tracker, poller: Poller, actor: Actor
) -> None:
    agent_id = await event_agent(house, actor)
    await house.agents.update(actor, agent_id, {"trigger_type": "on_demand", "event_config": None})
    await house.switch_on(actor, agent_id)
    async with house.db.read() as session:
        assert await hook_store.find_cursor(session, "default", agent_id) is None


async def test_it_is_not_switched_on_while_what_is_there_cannot_be_seen(
    house: House, tracker: Tracker, actor: Actor
) -> None:
    tracker.trouble = ServiceDown("Tracker isn't answering.", retryable=True)
    with pytest.raises(ServiceDown):
        await event_agent(house, actor)
    assert (await house.agents.get(actor, "triage")).status == "draft"


async def test_a_slow_service_of_one_tenant_does_not_hold_up_another(
    house: House, tracker: Tracker, poller: Poller, actor: Actor
) -> None:
    for number in range(12):
        await event_agent(house, actor, f"Slow {number}")
    await event_agent(house, actor, "Prompt", resource="board-9")
    async with house.db.transaction() as session:
        for table, column in (
            ("agent_configs", "id"),
            ("agent_cursors", "agent_id"),
            ("agent_hooks", "agent_id"),
        ):
            await session.execute(text(f"UPDATE {table} SET tenant_id = 'other' WHERE {column} = 'prompt'"))
        await session.execute(
            text("UPDATE agent_cursors SET next_poll_at = '2026-11-21 12:00:00' WHERE agent_id = 'prompt'")
        )
    asked = tracker.poll
    slow, tracked = asyncio.Event(), set[str]()

    async def poll(*place: Any) -> list[Occurrence]:
        tracked.add(str(place[4]))
        if place[4] != "board-9":
            await slow.wait()
        return await asked(*place)

    tracker.poll = poll  # type: ignore[method-assign]
    house.clock.turn_to(datetime(2026, 11, 21, 12, 0, 1, tzinfo=UTC))
    work = asyncio.create_task(poller.run())
    async with asyncio.timeout(20):
        while "board-9" not in tracked:
            await asyncio.sleep(0.01)
    slow.set()
    work.cancel()
    with suppress(asyncio.CancelledError):
        await work


async def test_the_loop_wakes_for_what_is_due_and_goes_on_after_a_fault(
    house: House, tracker: Tracker, poller: Poller, actor: Actor
) -> None:
    agent_id = await event_agent(house, actor)
    house.clock.turn(minutes=1)
    tracker.add("one")
    work = asyncio.create_task(poller.run())
    await until(lambda: _is(house, agent_id, 0))
    tracker.trouble = LookupError("a bug")
    house.clock.turn(minutes=15)
    await until(lambda: _asked(tracker, 2))
    tracker.trouble = None
    house.clock.turn(minutes=6)
    async with asyncio.timeout(20):
        while await ids_of_runs(house, actor, agent_id) != ["one"]:
            house.clock.turn(seconds=31)
            await asyncio.sleep(0.01)
    work.cancel()
    with suppress(asyncio.CancelledError):
        await work


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not await holds():
            await asyncio.sleep(0.01)


async def _is(house: House, agent_id: str, failures: int) -> bool:
    return (await cursor_of(house, agent_id)).failures == failures


async def _asked(tracker: Tracker, times: int) -> bool:
    return len(tracker.asked) >= times
