"""Runs over the real journal: order, conditions, retries, timeouts, waiting, cancelling, recovery."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from engine_house import House, returning, statuses, step
from omniforge.core.actor import Actor
from omniforge.core.errors import Conflict, Fatal, Invalid, NeedsHuman, NotFound, Retryable, Unavailable
from omniforge.db import Database
from omniforge.engine.active import StepCall
from omniforge.engine.plan import OnError, Retry
from omniforge.engine.state import Signal, StepResult, Waiting
from omniforge.runs.shown import run_json

pytestmark = pytest.mark.both_stores


async def test_steps_run_after_what_they_need_and_see_its_output(house: House, actor: Actor) -> None:
    seen: dict[str, Any] = {}

    async def look(call: StepCall) -> StepResult:
        seen.update(call.inputs)
        return StepResult(output=1)

    house.script["b"] = look
    plan = [
        step("b", "a", inputs={"whole": "${a.output}", "text": "got ${a.output.key} for ${input.who}"}),
        step("a"),
    ]
    view = await house.finish(actor, *plan, input={"who": "Maya"})
    assert view.run.status == "completed"
    assert seen == {"whole": {"key": "a"}, "text": "got a for Maya"}
    assert [key for key, _ in house.calls] == ["a", "b"]


async def test_a_false_condition_skips_and_dependants_follow_their_join(house: House, actor: Actor) -> None:
    view = await house.finish(
        actor,
        step("a"),
        step("no", "a", when='steps["a"].output.key == "z"'),
        step("yes", "a", when="steps.a.output.key == 'a' && input.n > 2"),
        step("after_all", "no"),
        step("cut_off", "no", join="any"),
        step("one_is_enough", "no", "yes", join="any"),
        input={"n": 3},
    )
    assert statuses(view) == {
        "a": "completed",
        "no": "skipped",
        "yes": "completed",
        "after_all": "completed",
        "cut_off": "skipped",
        "one_is_enough": "completed",
    }


async def test_a_condition_that_cannot_be_computed_fails_the_run(house: House, actor: Actor) -> None:
    view = await house.finish(actor, step("a"), step("b", "a", when="steps.a.output.missing > 3"))
    assert view.run.status == "failed"
    assert run_json(view)["error"]["code"] == "condition_failed"
    assert ("b", 1) not in house.calls


async def test_a_retryable_failure_is_tried_again_and_the_history_is_told(house: House, actor: Actor) -> None:
    async def flaky(call: StepCall) -> StepResult:
        if call.attempt < 3:
            raise Retryable("busy", code="rate_limited_there")
        return StepResult(output="done")

    house.script["a"] = flaky
    view = await house.finish(actor, step("a", retry=Retry(attempts=3, delay=0.001)))
    assert view.run.status == "completed"
    assert house.calls == [("a", 1), ("a", 2), ("a", 3)]
    retried = await house.engine.events.read(actor.tenant_id, run_id=view.run.id, types=["step.retried"])
    assert len(retried) == 2


@pytest.mark.parametrize(
    "error", [Fatal("no", code="bad_output"), ValueError("secret detail"), KeyError("x")]
)
async def test_what_will_not_pass_by_itself_is_not_repeated(
    house: House, actor: Actor, error: Exception
) -> None:
    async def fail(call: StepCall) -> StepResult:
        raise error

    house.script["a"] = fail
    view = await house.finish(actor, step("a", retry=Retry(attempts=5, delay=0.001)), step("b", "a"))
    assert view.run.status == "failed"
    assert house.calls == [("a", 1)]
    assert "secret" not in run_json(view)["error"]["message"]
    assert statuses(view) == {"a": "failed", "b": "cancelled"}


async def test_a_step_that_hangs_is_stopped_after_its_timeout(house: House, actor: Actor) -> None:
    async def hang(call: StepCall) -> StepResult:
        await asyncio.Event().wait()
        raise AssertionError

    house.script["a"] = hang
    view = await house.finish(actor, step("a", timeout=0.05))
    assert run_json(view)["error"]["code"] == "step_timeout"


async def test_on_error_skip_keeps_the_run_going_and_the_error_visible(house: House, actor: Actor) -> None:
    async def fail(call: StepCall) -> StepResult:
        raise Fatal("broken", code="script_failed")

    house.script["a"] = fail
    view = await house.finish(actor, step("a", on_error=OnError.SKIP), step("b", "a"))
    assert view.run.status == "completed"
    shown = run_json(view)["steps"]
    assert (shown[0]["status"], shown[0]["error"]["code"]) == ("skipped", "script_failed")


async def test_a_run_that_fails_fast_stops_its_running_siblings(house: House, actor: Actor) -> None:
    stopped = asyncio.Event()

    async def slow(call: StepCall) -> StepResult:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()
        raise AssertionError

    async def fail(call: StepCall) -> StepResult:
        raise Fatal("no")

    house.script |= {"slow": slow, "fail": fail}
    view = await house.finish(actor, step("slow"), step("fail"), fail_fast=True)
    assert stopped.is_set()
    assert statuses(view) == {"slow": "cancelled", "fail": "failed"}
    assert house.engine.executor.admission.free == house.slots


@pytest.mark.parametrize("output", [object(), float("nan"), {1, 2}, "x" * 16_777_217])
async def test_output_that_cannot_be_stored_is_a_defined_failure(
    house: House, actor: Actor, output: Any
) -> None:
    house.script["a"] = returning(StepResult(output=output))
    view = await house.finish(actor, step("a"))
    assert run_json(view)["error"]["code"] == "bad_output"


async def test_what_needs_a_person_ends_needs_person(house: House, actor: Actor) -> None:
    async def ask(call: StepCall) -> StepResult:
        raise NeedsHuman("who?")

    house.script["a"] = ask
    assert (await house.finish(actor, step("a"))).run.status == "needs_person"


async def test_stop_ends_the_run_without_failure_and_empty_is_no_effect(house: House, actor: Actor) -> None:
    house.script["a"] = returning(StepResult(output={}, message="nothing here", signal=Signal.STOP))
    view = await house.finish(actor, step("a"), step("b", "a"))
    assert (view.run.status, statuses(view)["b"]) == ("no_effect", "skipped")
    house.script["a"] = returning(StepResult(output={}, signal=Signal.EMPTY))
    assert (await house.finish(actor, step("a"))).run.status == "no_effect"


async def test_a_waiting_step_parks_the_run_until_it_is_answered(house: House, actor: Actor) -> None:
    house.script["a"] = returning(Waiting("approval"))
    view = await house.finish(actor, step("a"), step("b", "a", inputs={"said": "${a.output.yes}"}))
    assert view.run.status == "waiting"
    await house.restart()
    run_id = view.run.id
    await house.runs.answer_step(actor, run_id, "a", {"yes": True})
    assert (await house.runs.wait_for(actor, run_id)).run.status == "completed"
    with pytest.raises(Conflict):
        await house.runs.answer_step(actor, run_id, "a", {"yes": False})


async def test_an_answer_reaches_a_run_whose_other_steps_still_run(house: House, actor: Actor) -> None:
    go = asyncio.Event()
    waiting = asyncio.Event()

    async def slow(call: StepCall) -> StepResult:
        await go.wait()
        return StepResult(output=1)

    async def wait(call: StepCall) -> Waiting:
        waiting.set()
        return Waiting("approval")

    house.script |= {"slow": slow, "ask": wait}
    run_id = await house.start(actor, step("slow"), step("ask"), step("after", "ask"))
    await waiting.wait()
    while statuses(await house.runs.get_run(actor, run_id)).get("ask") != "waiting":
        await asyncio.sleep(0.005)
    await house.runs.answer_step(actor, run_id, "ask", {"yes": True})
    while ("after", 1) not in house.calls:
        await asyncio.sleep(0.005)
    go.set()
    assert (await house.runs.wait_for(actor, run_id)).run.status == "completed"


async def test_a_waiting_step_can_be_done_again(house: House, actor: Actor) -> None:
    async def connect(call: StepCall) -> Any:
        return Waiting("connection") if call.attempt == 1 else StepResult(output="ok")

    house.script["a"] = connect
    view = await house.finish(actor, step("a"))
    await house.runs.answer_step(actor, view.run.id, "a", None)
    assert (await house.runs.wait_for(actor, view.run.id)).run.status == "completed"
    assert house.calls == [("a", 1), ("a", 2)]


async def test_cancel_stops_what_runs_and_what_waits(house: House, actor: Actor) -> None:
    begun = asyncio.Event()

    async def hang(call: StepCall) -> StepResult:
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError

    house.script["a"] = hang
    run_id = await house.start(actor, step("a"), step("b", "a"))
    await begun.wait()
    assert (await house.runs.cancel_run(actor, run_id)).run.status == "cancelled"
    house.script["a"] = returning(Waiting("approval"))
    parked = await house.finish(actor, step("a"))
    assert (await house.runs.cancel_run(actor, parked.run.id)).run.status == "cancelled"
    assert (await house.runs.cancel_run(actor, parked.run.id)).run.status == "cancelled"


async def test_the_same_idempotency_key_is_the_same_run(
    house: House, actor: Actor, foreign_actor: Actor
) -> None:
    ids = await asyncio.gather(*(house.start(actor, step("a"), idempotency_key="fire-1") for _ in range(20)))
    assert len(set(ids)) == 1
    assert await house.start(foreign_actor, step("a"), idempotency_key="fire-1") != ids[0]
    await house.runs.wait_for(actor, ids[0])
    assert house.calls.count(("a", 1)) == 2


async def test_a_restart_continues_without_doing_finished_steps_again(house: House, actor: Actor) -> None:
    begun = asyncio.Event()

    async def hang_once(call: StepCall) -> StepResult:
        if call.attempt == 1:
            begun.set()
            await asyncio.Event().wait()
        return StepResult(output=call.idempotency_key)

    house.script["b"] = hang_once
    run_id = await house.start(actor, step("a"), step("b", "a"), step("c", "b"))
    await begun.wait()
    await house.restart()
    view = await house.runs.wait_for(actor, run_id)
    assert view.run.status == "completed"
    assert house.calls == [("a", 1), ("b", 1), ("b", 2), ("c", 1)]


async def test_a_damaged_checkpoint_is_refused_told_and_done_again(house: House, actor: Actor) -> None:
    if not house.db.is_sqlite:
        pytest.skip("with many processes it is found when the run goes on, by whoever drives it")
    house.script["b"] = returning(Waiting("approval"))
    view = await house.finish(actor, step("a"), step("b", "a"))
    async with house.db.transaction() as session:
        connection = await session.connection()
        await connection.exec_driver_sql(
            "UPDATE run_steps SET result = replace(result, '\"a\"', '\"x\"') WHERE key = 'a'"
        )
    await house.restart()
    assert (await house.runs.wait_for(actor, view.run.id)).run.status == "waiting"
    assert ("a", 2) in house.calls
    told = await house.engine.events.read(actor.tenant_id, types=["checkpoint.corrupted"])
    assert [row.payload for row in told] == ['{"step":"a"}']


async def test_runs_of_another_tenant_are_unknown(house: House, actor: Actor, foreign_actor: Actor) -> None:
    view = await house.finish(actor, step("a"))
    for ask in (house.runs.get_run, house.runs.cancel_run):
        with pytest.raises(NotFound):
            await ask(foreign_actor, view.run.id)
    with pytest.raises(NotFound):
        await house.runs.answer_step(foreign_actor, view.run.id, "a", {})
    assert await house.runs.list_runs(foreign_actor) == ([], 0)


async def test_only_one_process_owns_the_journal(house: House) -> None:
    if not house.db.is_sqlite:
        pytest.skip("PostgreSQL is there for many processes")
    with pytest.raises(Unavailable, match="Another OmniForge process"):
        await House(house.db, house.home).engine.open()


async def test_at_most_so_many_steps_run_at_once(database: Database, tmp_path: Path, actor: Actor) -> None:
    house = House(database, tmp_path, slots=3)
    await house.engine.open()
    running = most = 0

    async def count(call: StepCall) -> StepResult:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.002)
        running -= 1
        return StepResult(output=1)

    steps = [step(f"s{i}") for i in range(20)]
    house.script = {s.key: count for s in steps}
    assert (await house.finish(actor, *steps)).run.status == "completed"
    assert most == 3
    await house.engine.close()


@pytest.mark.parametrize("value", ["a\x00b", "left\u202eright", {"deep": ["\x07"]}])
async def test_hidden_control_characters_in_input_are_refused(house: House, actor: Actor, value: Any) -> None:
    with pytest.raises(Invalid):
        await house.start(actor, step("a"), input={"x": value})
    assert await house.runs.list_runs(actor) == ([], 0)


async def test_the_event_log_tells_the_run_in_order_without_gaps(house: House, actor: Actor) -> None:
    run_id = await house.start(actor, step("a"), step("b", "a"))
    types = [row.type async for row in house.runs.follow(actor, run_id)]
    assert types == [
        "run.queued",
        "run.started",
        "step.started",
        "step.completed",
        "step.started",
        "step.completed",
        "run.finished",
    ]
    rows = await house.engine.events.read(actor.tenant_id)
    assert [row.seq for row in rows] == list(range(1, len(rows) + 1))


async def test_nobody_can_put_words_into_a_step_that_waits_for_a_connection(
    house: House, actor: Actor
) -> None:
    async def connect(call: StepCall) -> Any:
        return Waiting("connection") if call.attempt == 1 else StepResult(output="its own")

    house.script["a"] = connect
    view = await house.finish(actor, step("a"))
    with pytest.raises(Conflict) as refused:
        await house.runs.answer_step(actor, view.run.id, "a", {"report": "forged"})
    assert refused.value.code == "not_answerable"
    await house.runs.answer_step(actor, view.run.id, "a", None)
    done = await house.runs.wait_for(actor, view.run.id)
    assert run_json(done)["steps"][0]["result"]["output"] == "its own"
