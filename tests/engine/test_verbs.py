"""What people do to runs: cancel, pause, resume, retry, fork, answer, reject; twice, late, and at once."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from engine_house import Gate, House, error_of, failing, output_of, person, returning, statuses, step
from omniforge.core.actor import Actor
from omniforge.core.errors import Conflict, Fatal, Invalid, NotFound, Retryable
from omniforge.engine.active import StepCall
from omniforge.engine.plan import SUBPLAN, OnError, Plan, Retry, Step, plan_json
from omniforge.engine.state import StepResult
from omniforge.runs.shown import run_json

pytestmark = pytest.mark.both_stores

OTHER_PERSON = person("jo")


def ask(key: str, *needs: str, **more: Any) -> Step:
    return Step(key, "approval", {"question": "Go on?"}, needs=needs, **more)


# --- pause and resume --------------------------------------------------------------------------------------


async def test_pause_lets_what_runs_finish_and_starts_nothing_more(house: House, actor: Actor) -> None:
    gate = Gate()
    house.script["a"] = gate
    run_id = await house.start(actor, step("a"), step("b", "a"))
    await gate.begun.wait()
    await house.runs.pause_run(OTHER_PERSON, run_id)
    await house.runs.pause_run(actor, run_id)
    await house.is_noticed(run_id)
    gate.open.set()
    view = await house.settled(actor, run_id)
    assert view.run.status == "paused"
    assert statuses(view)["a"] == "completed"
    assert house.times("b") == 0
    told = await house.told(actor, run_id, "run.pause_requested", "run.paused")
    assert [(event["type"], event["actor"]) for event in told] == [
        ("run.pause_requested", OTHER_PERSON.by),
        ("run.paused", "system:engine"),
    ]
    await house.restart()
    await house.runs.resume_run(OTHER_PERSON, run_id)
    done = await house.settled(actor, run_id)
    assert done.run.status == "completed"
    assert house.calls == [("a", 1), ("b", 1)]
    assert [event["actor"] for event in await house.told(actor, run_id, "run.resumed")] == [OTHER_PERSON.by]


async def test_resume_before_the_pause_is_complete_says_so(house: House, actor: Actor) -> None:
    gate = Gate()
    house.script["a"] = gate
    run_id = await house.start(actor, step("a"), step("b", "a"))
    await gate.begun.wait()
    await house.runs.pause_run(actor, run_id)
    with pytest.raises(Conflict) as refused:
        await house.runs.resume_run(actor, run_id)
    assert refused.value.code == "still_pausing"
    await house.is_noticed(run_id)
    gate.open.set()
    assert (await house.settled(actor, run_id)).run.status == "paused"
    held = Gate()
    house.script["b"] = held
    await house.runs.resume_run(actor, run_id)
    await held.begun.wait()
    await house.runs.resume_run(actor, run_id)
    held.open.set()
    assert (await house.settled(actor, run_id)).run.status == "completed"
    assert house.times("b") == 1


async def test_a_pause_that_comes_with_the_last_step_leaves_the_run_completed(
    house: House, actor: Actor
) -> None:
    gate = Gate()
    house.script["a"] = gate
    run_id = await house.start(actor, step("a"))
    await gate.begun.wait()
    gate.open.set()
    with suppress(Conflict):  # it may be over by now
        await house.runs.pause_run(actor, run_id)
    assert (await house.settled(actor, run_id)).run.status == "completed"


async def test_a_finished_run_is_neither_paused_nor_resumed(house: House, actor: Actor) -> None:
    view = await house.finish(actor, step("a"))
    for verb in (house.runs.pause_run, house.runs.resume_run):
        with pytest.raises(Conflict) as refused:
            await verb(actor, view.run.id)
        assert refused.value.code == "run_over"


async def test_a_waiting_run_is_paused_answered_and_resumed(house: House, actor: Actor) -> None:
    view = await house.finish(actor, ask("ok"), step("after", "ok"))
    run_id = view.run.id
    assert (await house.runs.pause_run(actor, run_id)).run.status == "paused"
    answered = await house.runs.answer_step(actor, run_id, "ok", {"approved": True})
    assert (answered.run.status, statuses(answered)["ok"]) == ("paused", "completed")
    assert house.calls == []
    await house.runs.resume_run(actor, run_id)
    assert (await house.settled(actor, run_id)).run.status == "completed"


async def test_a_paused_run_can_be_cancelled(house: House, actor: Actor) -> None:
    view = await house.finish(actor, ask("ok"))
    await house.runs.pause_run(actor, view.run.id)
    assert (await house.runs.cancel_run(actor, view.run.id)).run.status == "cancelled"


async def test_a_paused_run_stays_paused_over_a_restart(house: House, actor: Actor) -> None:
    gate = Gate()
    house.script["a"] = gate
    run_id = await house.start(actor, step("a"), step("b", "a"))
    await gate.begun.wait()
    await house.runs.pause_run(actor, run_id)
    await house.is_noticed(run_id)
    gate.open.set()
    await house.settled(actor, run_id)
    await house.restart()
    assert (await house.settled(actor, run_id)).run.status == "paused"


# --- cancel ------------------------------------------------------------------------------------------------


async def test_a_cancelled_step_is_asked_to_leave_before_it_is_stopped(house: House, actor: Actor) -> None:
    begun = asyncio.Event()

    async def leaves(call: StepCall) -> StepResult:
        begun.set()
        await call.stopping.wait()
        return StepResult(output="tidied up")

    house.script["a"] = leaves
    run_id = await house.start(actor, step("a"), step("b", "a"))
    await begun.wait()
    view = await house.runs.cancel_run(actor, run_id)
    assert view.run.status == "cancelled"
    assert statuses(view) == {"a": "completed", "b": "cancelled"}
    assert output_of(view, "a") == "tidied up"


async def test_a_step_that_does_not_leave_is_stopped_after_the_grace_period(
    house: House, actor: Actor
) -> None:
    house.engine.executor.grace = 0.05
    gate = Gate()
    house.script["a"] = gate
    run_id = await house.start(actor, step("a"), step("b", "a"))
    await gate.begun.wait()
    view = await house.runs.cancel_run(actor, run_id)
    assert (view.run.status, statuses(view)) == ("cancelled", {"a": "cancelled", "b": "cancelled"})
    assert house.engine.executor.admission.free == house.slots


async def test_a_step_that_swallows_its_cancellation_delays_the_end_only(house: House, actor: Actor) -> None:
    house.engine.executor.grace = 0.02
    begun = asyncio.Event()

    async def stubborn(call: StepCall) -> StepResult:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0.05)
        return StepResult(output="at last")

    house.script["a"] = stubborn
    run_id = await house.start(actor, step("a"), step("b", "a"))
    await begun.wait()
    view = await house.runs.cancel_run(actor, run_id)
    assert view.run.status == "cancelled"
    assert statuses(view) == {"a": "completed", "b": "cancelled"}


async def test_a_handler_that_raises_cancelled_by_itself_has_failed(house: House, actor: Actor) -> None:
    house.script["a"] = failing(asyncio.CancelledError())
    view = await house.finish(actor, step("a"), step("b", "a"))
    assert (view.run.status, error_of(view)["code"]) == ("failed", "handler_failed")


async def test_cancelling_twice_at_once_is_one_cancellation(house: House, actor: Actor) -> None:
    house.engine.executor.grace = 0.02
    gate = Gate()
    house.script["a"] = gate
    run_id = await house.start(actor, step("a"))
    await gate.begun.wait()
    views = await asyncio.gather(*(house.runs.cancel_run(actor, run_id) for _ in range(5)))
    assert {view.run.status for view in views} == {"cancelled"}
    finished = await house.told(actor, run_id, "run.finished")
    assert [(event["status"], event["actor"]) for event in finished] == [("cancelled", actor.by)]


async def test_cancelling_a_run_that_rests_before_its_next_attempt_is_immediate(
    house: House, actor: Actor
) -> None:
    house.script["a"] = failing(Retryable("busy"))
    run_id = await house.start(actor, step("a", retry=Retry(attempts=3, delay=600, max_delay=600)))
    await house.step_reaches(actor, run_id, "a", "ready")
    assert (await house.runs.cancel_run(actor, run_id)).run.status == "cancelled"
    assert house.times("a") == 1


async def test_a_cancelled_run_stays_cancelled_over_a_restart(house: House, actor: Actor) -> None:
    view = await house.finish(actor, ask("ok"))
    await house.runs.cancel_run(actor, view.run.id)
    await house.restart()
    assert (await house.runs.get_run(actor, view.run.id)).run.status == "cancelled"
    with pytest.raises(Conflict):
        await house.runs.answer_step(actor, view.run.id, "ok", {"approved": True})


# --- retry -------------------------------------------------------------------------------------------------


async def test_retry_does_what_failed_again_and_keeps_what_finished(house: House, actor: Actor) -> None:
    house.script["b"] = failing(Fatal("no"))
    view = await house.finish(actor, step("a"), step("b", "a"), step("c", "b"))
    assert view.run.status == "failed"
    del house.script["b"]
    await house.runs.retry_run(OTHER_PERSON, view.run.id)
    done = await house.settled(actor, view.run.id)
    assert done.run.status == "completed"
    assert done.run.error is None
    assert house.calls == [("a", 1), ("b", 1), ("b", 2), ("c", 1)]
    (told,) = await house.told(actor, view.run.id, "run.retried")
    assert (told["actor"], told["steps"]) == (OTHER_PERSON.by, ["b"])
    with pytest.raises(Conflict) as refused:
        await house.runs.retry_run(actor, view.run.id)
    assert refused.value.code == "nothing_to_retry"


async def test_everything_that_failed_is_retried_together(house: House, actor: Actor) -> None:
    house.script |= {"a": failing(Fatal("no")), "b": failing(Fatal("no"))}
    view = await house.finish(actor, step("a"), step("b"), step("c", "a", "b"))
    failed = [key for key, status in statuses(view).items() if status == "failed"]
    assert failed == ["a", "b"]
    with pytest.raises(Conflict) as refused:
        await house.runs.retry_run(actor, view.run.id, "a")
    assert (refused.value.code, refused.value.details["steps"]) == ("others_failed", ["b"])
    with pytest.raises(Conflict) as refused:
        await house.runs.retry_run(actor, view.run.id, "nothing")
    assert refused.value.code == "nothing_to_retry"
    house.script.clear()
    await house.runs.retry_run(actor, view.run.id)
    assert (await house.settled(actor, view.run.id)).run.status == "completed"


async def test_one_failed_step_is_retried_by_name_also_inside_a_composite_step(
    house: House, actor: Actor
) -> None:
    house.script["work[1]"] = failing(Fatal("no"))
    view = await house.finish(
        actor, step("work", for_each="input.rows"), step("after", "work"), input={"rows": [1, 2, 3]}
    )
    assert view.run.status == "failed"
    del house.script["work[1]"]
    await house.runs.retry_run(actor, view.run.id, "work[1]")
    done = await house.settled(actor, view.run.id)
    assert done.run.status == "completed"
    assert house.times("work[1]") == 2
    assert statuses(done) == dict.fromkeys(["work", "work[0]", "work[1]", "work[2]", "after"], "completed")


async def test_a_retried_run_is_followed_to_its_new_end(house: House, actor: Actor) -> None:
    house.script["a"] = failing(Fatal("no"))
    view = await house.finish(actor, step("a"))
    gate = Gate(held=2)
    house.script["a"] = gate
    await house.runs.retry_run(actor, view.run.id)
    await gate.begun.wait()
    types: list[str] = []

    async def follow() -> None:
        async for row in house.runs.follow(actor, view.run.id):
            types.append(row.type)
            if row.type == "run.retried":
                gate.open.set()

    async with asyncio.timeout(20):
        await follow()
    assert types.count("run.finished") == 2
    assert types[-1] == "run.finished"


async def test_a_cancelled_run_goes_on_when_it_is_retried(house: House, actor: Actor) -> None:
    house.engine.executor.grace = 0.02
    gate = Gate()
    house.script["b"] = gate
    run_id = await house.start(actor, step("a"), step("b", "a"))
    await gate.begun.wait()
    assert (await house.runs.cancel_run(actor, run_id)).run.status == "cancelled"
    await house.runs.retry_run(actor, run_id)
    assert (await house.settled(actor, run_id)).run.status == "completed"
    assert house.calls == [("a", 1), ("b", 1), ("b", 2)]


async def test_retrying_twice_at_once_is_one_retry(house: House, actor: Actor) -> None:
    house.script["a"] = failing(Fatal("no"))
    view = await house.finish(actor, step("a"))
    del house.script["a"]
    await asyncio.gather(*(house.runs.retry_run(actor, view.run.id) for _ in range(4)))
    assert (await house.settled(actor, view.run.id)).run.status == "completed"
    assert house.calls == [("a", 1), ("a", 2)]
    assert len(await house.told(actor, view.run.id, "run.retried")) == 1


async def test_a_cancellation_that_comes_with_the_end_is_harmless(house: House, actor: Actor) -> None:
    for _ in range(20):
        run_id = await house.start(actor, step("a"))
        view = await house.runs.cancel_run(actor, run_id)
        assert view.run.status in ("completed", "cancelled")


async def test_retrying_what_still_runs_changes_nothing(house: House, actor: Actor) -> None:
    gate = Gate()
    house.script["a"] = gate
    run_id = await house.start(actor, step("a"))
    await gate.begun.wait()
    await house.runs.retry_run(actor, run_id)
    gate.open.set()
    assert (await house.settled(actor, run_id)).run.status == "completed"
    assert house.calls == [("a", 1)]
    assert await house.told(actor, run_id, "run.retried") == []


# --- fork --------------------------------------------------------------------------------------------------


async def test_a_fork_shares_what_finished_before_the_step_and_does_the_rest(
    house: House, actor: Actor
) -> None:
    plan = [step("a"), step("b", "a", inputs={"who": "${input.who}", "a": "${a.output.key}"}), step("c")]
    plan.append(step("d", "b"))

    async def look(call: StepCall) -> StepResult:
        return StepResult(output=call.inputs)

    house.script["b"] = look
    view = await house.finish(actor, *plan, input={"who": "Maya"})
    made = await house.runs.fork_run(
        OTHER_PERSON, view.run.id, from_step="b", input={"who": "Jo"}, idempotency_key="again"
    )
    done = await house.settled(actor, made)
    assert done.run.status == "completed"
    assert output_of(done, "b") == {"who": "Jo", "a": "a"}
    assert [house.times(key) for key in "abcd"] == [1, 2, 1, 2]
    assert (done.run.trigger_type, done.run.triggered_by) == ("fork", OTHER_PERSON.by)
    assert output_of(await house.runs.get_run(actor, view.run.id), "b") == {"who": "Maya", "a": "a"}
    same = await house.runs.fork_run(actor, view.run.id, from_step="b", idempotency_key="again")
    assert same == made


async def test_a_run_of_another_kind_takes_over_what_a_step_does_not_lead_to(
    house: House, actor: Actor
) -> None:
    plan = Plan((step("a"), step("b", "a"), step("c"), step("d", "b")))
    first = await house.finish_plan(actor, plan, input={"who": "Maya"})
    shares = (first.run.id, "b")
    made = await house.finish_plan(actor, plan, shares=shares, facts={"other": 1}, trigger_type="test")
    shown = run_json(made)
    assert (made.run.status, made.run.trigger_type, shown["forked_from"]) == (
        "completed",
        "test",
        first.run.id,
    )
    shared = {row["key"] for row in shown["steps"] if row["reason"] == f"shared with {first.run.id}"}
    assert shared == {"a", "c"}
    assert [house.times(key) for key in "abcd"] == [1, 2, 1, 2]
    with pytest.raises(Invalid) as refused:
        await house.start(actor, step("a"), step("b", "a"), shares=shares)
    assert refused.value.code == "other_plan"
    with pytest.raises(NotFound):
        await house.start_plan(actor, plan, shares=("run_unknown", "b"))


async def test_a_fork_of_a_failed_run_goes_on_where_it_failed(house: House, actor: Actor) -> None:
    house.script["b"] = failing(Fatal("no"))
    view = await house.finish(actor, step("a"), step("b", "a"))
    del house.script["b"]
    made = await house.runs.fork_run(actor, view.run.id)
    assert (await house.settled(actor, made)).run.status == "completed"
    assert (house.times("a"), house.times("b")) == (1, 2)
    assert (await house.runs.get_run(actor, view.run.id)).run.status == "failed"


async def test_a_fork_of_a_half_done_list_does_only_the_other_items(house: House, actor: Actor) -> None:
    house.script["work[1]"] = failing(Fatal("no"))
    view = await house.finish(actor, step("work", for_each="input.rows"), input={"rows": [1, 2]})
    del house.script["work[1]"]
    made = await house.runs.fork_run(actor, view.run.id)
    done = await house.settled(actor, made)
    assert done.run.status == "completed"
    assert output_of(done, "work") == [{"key": "work[0]"}, {"key": "work[1]"}]
    assert (house.times("work[0]"), house.times("work[1]")) == (1, 2)


async def test_a_fork_with_another_input_does_not_mix_up_the_items_of_two_lists(
    house: House, actor: Actor
) -> None:
    async def look(call: StepCall) -> StepResult:
        if call.inputs["row"] == "bad":
            raise Fatal("no")
        return StepResult(output=call.inputs["row"])

    house.script["work"] = look
    work = step("work", for_each="input.rows", inputs={"row": "${item}"})
    view = await house.finish(actor, work, input={"rows": ["old", "bad"]})
    made = await house.runs.fork_run(actor, view.run.id, input={"rows": ["new", "good"]})
    assert output_of(await house.settled(actor, made), "work") == ["new", "good"]


async def test_a_fork_keeps_a_finished_list_as_it_was_even_when_its_input_changes(
    house: House, actor: Actor
) -> None:
    work = step("work", for_each="input.rows")
    view = await house.finish(actor, work, step("after", "work"), input={"rows": [1, 2]})
    made = await house.runs.fork_run(actor, view.run.id, from_step="after", input={"rows": [1, 2, 3]})
    done = await house.settled(actor, made)
    assert (done.run.status, len(output_of(done, "work"))) == ("completed", 2)
    assert (house.times("work[0]"), house.times("work[2]"), house.times("after")) == (1, 0, 2)


async def test_a_fork_survives_a_restart(house: House, actor: Actor) -> None:
    view = await house.finish(
        actor, step("work", for_each="input.rows"), step("b", "work"), input={"rows": [1]}
    )
    gate = Gate()
    house.script["b"] = gate
    made = await house.runs.fork_run(actor, view.run.id, from_step="b", input={"rows": [1, 2]})
    await gate.begun.wait()
    await house.restart()
    assert (await house.settled(actor, made)).run.status == "completed"
    assert house.times("work[0]") == 1
    assert house.times("work[1]") == 0


async def test_a_fork_from_an_unknown_step_or_run_is_not_found(house: House, actor: Actor) -> None:
    view = await house.finish(actor, step("a"))
    with pytest.raises(NotFound):
        await house.runs.fork_run(actor, view.run.id, from_step="zzz")
    with pytest.raises(NotFound):
        await house.runs.fork_run(actor, "run_unknown")


# --- answer and reject -------------------------------------------------------------------------------------


async def test_an_approval_passes_its_answer_on(house: House, actor: Actor) -> None:
    house.script["after"] = returning(StepResult(output="sent"))
    view = await house.finish(actor, ask("ok"), step("after", "ok", when="steps.ok.output.approved"))
    (waiting,) = await house.told(actor, view.run.id, "step.waiting")
    assert waiting["question"] == "Go on?"
    await house.runs.answer_step(OTHER_PERSON, view.run.id, "ok", {"approved": True})
    done = await house.settled(actor, view.run.id)
    assert (done.run.status, output_of(done, "after")) == ("completed", "sent")
    (told,) = await house.told(actor, view.run.id, "step.answered")
    assert (told["actor"], told["output"]) == (OTHER_PERSON.by, {"approved": True})


async def test_a_no_fails_the_run_with_who_said_it_and_why(house: House, actor: Actor) -> None:
    view = await house.finish(actor, ask("ok"), step("after", "ok"))
    await house.runs.reject_step(OTHER_PERSON, view.run.id, "ok", "Not in December.")
    done = await house.settled(actor, view.run.id)
    assert done.run.status == "failed"
    assert error_of(done)["code"] == "rejected"
    assert "Not in December." in error_of(done)["message"]
    (told,) = await house.told(actor, view.run.id, "step.rejected")
    assert (told["actor"], told["why"]) == (OTHER_PERSON.by, "Not in December.")
    with pytest.raises(Conflict) as refused:
        await house.runs.reject_step(actor, view.run.id, "ok")
    assert refused.value.code == "not_waiting"


async def test_a_no_only_skips_the_step_where_the_plan_says_so(house: House, actor: Actor) -> None:
    inner = plan_json(Plan((ask("ok", on_error=OnError.SKIP), step("x", "ok"))))
    view = await house.finish(
        actor, ask("ok", on_error=OnError.SKIP), Step("sub", SUBPLAN, {"plan": inner}), step("after", "ok")
    )
    await house.runs.reject_step(actor, view.run.id, "ok")
    await house.settled(actor, view.run.id)
    await house.runs.reject_step(actor, view.run.id, "sub/ok")
    done = await house.settled(actor, view.run.id)
    assert done.run.status == "completed"
    found = statuses(done)
    assert (found["ok"], found["sub/ok"], found["sub/x"]) == ("skipped", "skipped", "completed")


async def test_of_two_answers_at_once_one_counts(house: House, actor: Actor) -> None:
    view = await house.finish(actor, ask("ok"), step("after", "ok"))
    answers = await asyncio.gather(
        *(house.runs.answer_step(actor, view.run.id, "ok", {"n": n}) for n in range(4)),
        return_exceptions=True,
    )
    assert sum(isinstance(answer, Conflict) for answer in answers) == 3
    done = await house.settled(actor, view.run.id)
    assert (done.run.status, house.times("after")) == ("completed", 1)
    assert len(await house.told(actor, view.run.id, "step.answered")) == 1


async def test_a_failure_elsewhere_ends_what_waits(house: House, actor: Actor) -> None:
    gate = Gate()

    async def fail_late(call: StepCall) -> StepResult:
        await gate(call)
        raise Fatal("no")

    house.script["bad"] = fail_late
    run_id = await house.start(actor, ask("ok"), step("bad"))
    await house.step_reaches(actor, run_id, "ok", "waiting")
    gate.open.set()
    view = await house.settled(actor, run_id)
    assert (view.run.status, statuses(view)["ok"]) == ("failed", "cancelled")


# --- whose run it is ---------------------------------------------------------------------------------------


async def test_every_verb_on_a_foreign_run_is_not_found_and_does_nothing(
    house: House, actor: Actor, foreign_actor: Actor
) -> None:
    view = await house.finish(actor, ask("ok"))
    run_id, runs = view.run.id, house.runs
    before = await house.told(actor, run_id)
    for attempt in (
        runs.cancel_run(foreign_actor, run_id),
        runs.pause_run(foreign_actor, run_id),
        runs.resume_run(foreign_actor, run_id),
        runs.retry_run(foreign_actor, run_id),
        runs.fork_run(foreign_actor, run_id),
        runs.answer_step(foreign_actor, run_id, "ok", {}),
        runs.reject_step(foreign_actor, run_id, "ok"),
    ):
        with pytest.raises(NotFound):
            await attempt
    assert await house.told(actor, run_id) == before
    assert (await house.runs.get_run(actor, run_id)).run.status == "waiting"
