"""What follows a run: counted once, delivered once, whatever the event log repeats."""

from __future__ import annotations

import asyncio

from tests.agents.conftest import House, failing, saying

from omniforge.core.actor import Actor
from omniforge.core.errors import Fatal
from omniforge.core.paging import Paging
from omniforge.engine.state import Signal, StepResult, Waiting


async def test_a_result_is_delivered_and_counted_once_however_often_it_is_told(
    house: House, actor: Actor
) -> None:
    made = await house.active(actor)
    execution = await house.finish(actor, made.id)
    await house.settle(execution.id, times=3)
    items, total = await house.agents.inbox.list_items(actor, Paging())
    assert total == 1
    assert (items[0].kind, items[0].title, items[0].text) == ("result", made.name, "# Weekly")
    assert (items[0].execution_id, items[0].agent_id) == (execution.id, made.id)
    stats = (await house.agents.get(actor, made.id)).usage_stats
    assert (stats.total_runs, stats.successful_runs, stats.last_run) == (1, 1, house.clock.now())


async def test_two_deliveries_at_the_same_moment_are_one(house: House, actor: Actor) -> None:
    made = await house.active(actor)
    execution = await house.finish(actor, made.id)
    await asyncio.gather(*(house.settle(execution.id) for _ in range(5)))
    assert (await house.agents.inbox.list_items(actor, Paging()))[1] == 1
    assert (await house.agents.get(actor, made.id)).usage_stats.total_runs == 1


async def test_the_event_log_delivers_by_itself(house: House, actor: Actor) -> None:
    house.engine.events.subscribe("agents", ["run.finished"], house.agents.on_run_finished)
    made = await house.active(actor)
    await house.finish(actor, made.id)
    async with asyncio.timeout(20):
        while not (await house.agents.inbox.list_items(actor, Paging()))[1]:
            await asyncio.sleep(0.005)


async def test_a_failure_is_told_with_the_next_step_and_counts_as_a_run(house: House, actor: Actor) -> None:
    made = await house.active(actor)
    house.script["weekly-report"] = failing(Fatal("x", code="script_failed"))
    execution = await house.finish(actor, made.id)
    await house.settle(execution.id, times=2)
    (item,), _ = await house.agents.inbox.list_items(actor, Paging())
    assert (item.kind, item.title) == ("failure", f"{made.name} did not finish")
    assert "Nothing was changed or sent." in item.text
    assert "Run it again" in item.text
    stats = (await house.agents.get(actor, made.id)).usage_stats
    assert (stats.total_runs, stats.successful_runs) == (1, 0)


async def test_the_owner_gets_what_others_started(house: House, actor: Actor) -> None:
    made = await house.active(actor)
    colleague = Actor("default", "ana", actor.role, "user:ana", actor.permissions)
    execution = await house.finish(colleague, made.id)
    await house.settle(execution.id)
    assert (await house.agents.inbox.list_items(actor, Paging()))[1] == 1
    assert (await house.agents.inbox.list_items(colleague, Paging()))[1] == 0


async def test_every_third_run_in_a_row_without_anything_to_do_is_told(house: House, actor: Actor) -> None:
    made = await house.active(actor)
    quiet = saying(StepResult(output={}, message="0 rows", signal=Signal.EMPTY))
    house.script["weekly-report"] = quiet
    seen: list[int] = []
    for number in range(11):
        house.clock.turn(hours=1)
        if number == 8:
            house.script["weekly-report"] = failing(Fatal("x"))
        execution = await house.finish(actor, made.id)
        if number == 8:
            house.script["weekly-report"] = quiet
        await house.settle(execution.id, times=2)
        items, _ = await house.agents.inbox.list_items(actor, Paging())
        seen.append(sum(item.kind == "notice" for item in items))
    assert seen == [0, 0, 1, 1, 1, 2, 2, 2, 2, 2, 2]
    items, _ = await house.agents.inbox.list_items(actor, Paging())
    assert "0 rows" in items[-1].text


async def test_a_waiting_run_is_told_once_and_its_result_later(house: House, actor: Actor) -> None:
    made = await house.active(actor)
    house.script["weekly-report"] = saying(Waiting("connection"))
    execution = await house.finish(actor, made.id)
    await house.settle(execution.id, "run.waiting", times=2)
    (item,), _ = await house.agents.inbox.list_items(actor, Paging())
    assert (item.kind, "connection" in item.text) == ("waiting", True)
    house.script["weekly-report"] = saying(StepResult(output={"report": "here"}))
    await house.runs.answer_step(actor, execution.id, "weekly-report", None)
    await house.runs.wait_for(actor, execution.id)
    await house.settle(execution.id)
    items, _ = await house.agents.inbox.list_items(actor, Paging())
    assert {item.kind for item in items} == {"waiting", "result"}


async def test_cancelled_runs_are_counted_and_not_told(house: House, actor: Actor) -> None:
    made = await house.active(actor)
    house.script["weekly-report"] = saying(Waiting("approval"))
    execution = await house.finish(actor, made.id)
    await house.agents.executions.cancel_execution(actor, execution.id)
    await house.settle(execution.id)
    assert await house.agents.inbox.list_items(actor, Paging()) == ([], 0)
    assert (await house.agents.get(actor, made.id)).usage_stats.total_runs == 1


async def test_reading_an_item_marks_it(house: House, actor: Actor) -> None:
    made = await house.active(actor)
    await house.settle((await house.finish(actor, made.id)).id)
    (item,), _ = await house.agents.inbox.list_items(actor, Paging(), unread=True)
    read = await house.agents.inbox.mark_read(actor, item.id)
    assert read.read_at == house.clock.now()
    house.clock.turn(hours=1)
    assert (await house.agents.inbox.mark_read(actor, item.id)).read_at == read.read_at
    assert await house.agents.inbox.list_items(actor, Paging(), unread=True) == ([], 0)
    assert (await house.agents.inbox.list_items(actor, Paging()))[1] == 1
