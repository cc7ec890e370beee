"""Undoing what a failed run did: order, what an undo sees, retries, probes, what stands, restarts."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from engine_house import Gate, House, error_of, failing, returning, statuses, step
from omniforge.core.actor import Actor
from omniforge.core.errors import Conflict, Fatal, NeedsHuman, Retryable
from omniforge.engine.active import StepCall
from omniforge.engine.plan import SUBPLAN, Action, OnError, Plan, Retry, Step, plan_json
from omniforge.engine.state import StepResult
from omniforge.runs.shown import RunView

pytestmark = pytest.mark.both_stores

NO = Fatal("no", code="script_failed")


def undo(**more: Any) -> Action:
    return Action("do", retry=more.pop("retry", Retry()), **more)


def done(key: str, *needs: str, **more: Any) -> Step:
    """A step that changes something outside and says how it is undone."""
    more.setdefault("compensate", undo())
    return step(key, *needs, effects=(f"there.{key}",), **more)


def undone(house: House) -> list[str]:
    return [key.partition("~")[0] for key, _ in house.calls if key.endswith("~undo")]


def stands(view: RunView) -> dict[str, dict[str, Any]]:
    return {item["step"]: item for item in error_of(view)["stands"]}


async def test_what_was_done_is_undone_in_reverse_order_and_the_run_is_compensated(
    house: House, actor: Actor
) -> None:
    house.script["bad"] = failing(NO)
    view = await house.finish(
        actor, done("a"), done("b", "a"), done("c", "b"), step("plain", "c"), step("bad", "plain")
    )
    assert view.run.status == "compensated"
    assert undone(house) == ["c", "b", "a"]
    assert error_of(view)["code"] == "script_failed"
    found = statuses(view)
    assert [found[key] for key in ("a", "b", "c", "plain")] == [*["compensated"] * 3, "completed"]
    told = await house.told(actor, view.run.id, "step.compensating", "step.compensated")
    assert [(event["type"], event["step"]) for event in told[:2]] == [
        ("step.compensating", "c"),
        ("step.compensated", "c"),
    ]
    assert len(told) == 6


async def test_of_independent_steps_the_latest_is_undone_first(house: House, actor: Actor) -> None:
    async def after_first(call: StepCall) -> StepResult:
        await asyncio.sleep(0.03)
        return StepResult(output=1)

    house.script |= {"slow": after_first, "bad": failing(NO)}
    view = await house.finish(actor, done("slow"), done("quick"), step("bad", "slow", "quick"))
    assert (view.run.status, undone(house)) == ("compensated", ["slow", "quick"])


async def test_an_undo_sees_its_own_step_s_output_and_the_run_s_input(house: House, actor: Actor) -> None:
    seen: dict[str, Any] = {}

    async def look(call: StepCall) -> StepResult:
        seen.update(call.inputs, purpose=call.purpose, key=call.idempotency_key.partition("/")[2])
        return StepResult()

    inputs = {"id": "${a.output.id}", "first": "${first.output.key}", "who": "${input.who}"}
    house.script |= {"a": returning(StepResult(output={"id": 7})), "a~undo": look, "bad": failing(NO)}
    view = await house.finish(
        actor,
        step("first"),
        done("a", "first", compensate=undo(inputs=inputs)),
        step("bad", "a"),
        input={"who": "Maya"},
    )
    assert view.run.status == "compensated"
    assert seen == {"id": 7, "first": "first", "who": "Maya", "purpose": "undo", "key": "a~undo"}


async def test_an_undo_sees_a_large_output(house: House, actor: Actor) -> None:
    seen: list[int] = []

    async def look(call: StepCall) -> StepResult:
        seen.append(len(call.inputs["text"]))
        return StepResult()

    house.script |= {"a": returning(StepResult(output="x" * 100_000)), "a~undo": look, "bad": failing(NO)}
    await house.finish(actor, done("a", compensate=undo(inputs={"text": "${a.output}"})), step("bad", "a"))
    assert seen == [100_000]


async def test_items_of_a_list_are_undone_one_by_one_each_with_its_own_output(
    house: House, actor: Actor
) -> None:
    seen: list[Any] = []

    async def make(call: StepCall) -> StepResult:
        return StepResult(output={"id": call.inputs["n"] * 10})

    async def look(call: StepCall) -> StepResult:
        seen.append((call.inputs["id"], call.inputs["n"]))
        return StepResult()

    house.script |= {f"work[{i}]~undo": look for i in range(3)} | {"work": make, "bad": failing(NO)}
    work = done(
        "work",
        for_each="input.rows",
        inputs={"n": "${item}"},
        compensate=undo(inputs={"id": "${work.output.id}", "n": "${item}"}),
    )
    view = await house.finish(actor, work, step("bad", "work"), input={"rows": [1, 2, 3]})
    assert view.run.status == "compensated"
    assert sorted(seen) == [(10, 1), (20, 2), (30, 3)]


async def test_steps_inside_a_subplan_are_undone_after_what_came_behind_it(
    house: House, actor: Actor
) -> None:
    house.script["bad"] = failing(NO)
    inner = plan_json(Plan((done("x"), done("y", "x"))))
    view = await house.finish(
        actor,
        done("a"),
        Step("sub", SUBPLAN, {"plan": inner}, needs=("a",)),
        done("z", "sub"),
        step("bad", "z"),
    )
    assert view.run.status == "compensated"
    assert undone(house) == ["z", "sub/y", "sub/x", "a"]


async def test_an_undo_is_tried_again_as_its_own_retry_says(house: House, actor: Actor) -> None:
    async def flaky(call: StepCall) -> StepResult:
        if call.attempt < 3:
            raise Retryable("busy")
        return StepResult()

    house.script |= {"a~undo": flaky, "bad": failing(NO)}
    compensate = undo(retry=Retry(attempts=3, delay=0.001))
    view = await house.finish(actor, done("a", compensate=compensate), step("bad", "a"))
    assert view.run.status == "compensated"
    assert [attempt for key, attempt in house.calls if key == "a~undo"] == [1, 2, 3]
    assert len(await house.told(actor, view.run.id, "step.undo_retried")) == 2


async def test_what_cannot_be_undone_stands_with_all_it_was_built_on_and_a_person_is_told(
    house: House, actor: Actor
) -> None:
    house.script |= {"b~undo": failing(Fatal("it is locked there")), "bad": failing(NO)}
    view = await house.finish(
        actor, done("a"), done("b", "a"), done("c", "b"), done("apart"), step("bad", "c", "apart")
    )
    assert view.run.status == "needs_person"
    found = stands(view)
    assert set(found) == {"a", "b"}
    assert found["b"]["effects"] == ["there.b"]
    assert found["b"]["certain"] is True
    assert "it is locked there" in found["b"]["reason"]
    assert "b" in found["a"]["reason"]
    assert sorted(undone(house)) == ["apart", "b", "c"]
    assert statuses(view)["c"] == "compensated"


async def test_an_effect_without_an_undo_is_told_too(house: House, actor: Actor) -> None:
    house.script["bad"] = failing(NO)
    view = await house.finish(actor, done("a"), done("b", compensate=None), step("bad", "a", "b"))
    assert (view.run.status, list(stands(view))) == ("needs_person", ["b"])
    assert statuses(view)["a"] == "compensated"


async def test_a_run_with_nothing_to_undo_has_just_failed(house: House, actor: Actor) -> None:
    house.script["a"] = failing(NO)
    view = await house.finish(actor, done("a"), done("b", "a"))
    assert (view.run.status, undone(house)) == ("failed", [])


@pytest.mark.parametrize(
    ("answer", "status", "undoes"),
    [
        ({"happened": True}, "compensated", ["a"]),
        ({"happened": False}, "compensated", []),
        ({"who": "knows"}, "needs_person", []),
    ],
)
async def test_an_effect_of_unknown_outcome_is_asked_for_first(
    house: House, actor: Actor, answer: dict[str, Any], status: str, undoes: list[str]
) -> None:
    unsure = Fatal("the answer was lost", outcome_unknown=True)
    house.script |= {"a": failing(unsure), "a~probe": returning(StepResult(output=answer))}
    view = await house.finish(actor, done("a", compensate=undo(probe=Action("do"))))
    assert (view.run.status, undone(house)) == (status, undoes)
    assert house.times("a~probe") == 1
    if status == "needs_person":
        assert stands(view)["a"]["certain"] is False


async def test_a_timeout_leaves_the_outcome_unknown_and_without_a_probe_a_person_looks(
    house: House, actor: Actor
) -> None:
    house.script["a"] = Gate()
    view = await house.finish(actor, done("a", timeout=0.05))
    assert (view.run.status, undone(house)) == ("needs_person", [])
    assert stands(view)["a"]["certain"] is False


async def test_an_undo_of_unknown_outcome_is_asked_for_before_it_is_repeated(
    house: House, actor: Actor
) -> None:
    async def lost_once(call: StepCall) -> StepResult:
        if call.attempt == 1:
            raise Retryable("lost", outcome_unknown=True)
        return StepResult()

    house.script |= {
        "a~undo": lost_once,
        "a~probe": returning(StepResult(output={"happened": True})),
        "bad": failing(NO),
    }
    probe = Action("do")
    view = await house.finish(actor, done("a", compensate=undo(probe=probe)), step("bad", "a"))
    assert view.run.status == "compensated"
    assert [key for key, _ in house.calls if "~" in key] == ["a~undo", "a~probe", "a~undo"]


async def test_an_undo_that_hangs_is_left_to_a_person_after_a_minute(
    hasty_house: House, actor: Actor
) -> None:
    house = hasty_house

    async def slow(call: StepCall) -> StepResult:
        await asyncio.sleep(0.05)  # 50 s on this house's clock
        raise Retryable("still busy")

    house.script |= {"a~undo": slow, "bad": failing(NO)}
    endless = undo(retry=Retry(attempts=1000, delay=0.0))
    view = await house.finish(actor, done("a", compensate=endless), step("bad", "a"))
    assert view.run.status == "needs_person"
    assert "without success" in stands(view)["a"]["reason"]
    assert 1 <= house.times("a~undo") < 5  # once where the machine is too busy for more


async def test_a_crash_while_undoing_goes_on_without_undoing_twice(house: House, actor: Actor) -> None:
    gate = Gate(StepResult())
    house.script |= {"b~undo": gate, "bad": failing(NO)}
    run_id = await house.start(actor, done("a"), done("b", "a"), done("c", "b"), step("bad", "c"))
    await gate.begun.wait()
    await house.restart()
    gate.open.set()
    view = await house.settled(actor, run_id)
    assert view.run.status == "compensated"
    assert undone(house) == ["c", "b", "b", "a"]
    assert error_of(view)["code"] == "script_failed"


async def test_a_crash_after_something_was_left_standing_does_not_try_it_again(
    house: House, actor: Actor
) -> None:
    gate = Gate(StepResult())
    house.script |= {"b~undo": failing(Fatal("locked")), "apart~undo": gate, "bad": failing(NO)}
    run_id = await house.start(
        actor, done("apart"), done("b", "apart_last"), step("apart_last"), step("bad", "b", "apart")
    )
    await gate.begun.wait()
    await house.restart()
    gate.open.set()
    view = await house.settled(actor, run_id)
    assert (view.run.status, list(stands(view))) == ("needs_person", ["b"])
    assert undone(house).count("b") == 1


async def test_a_compensated_run_is_forked_not_retried_and_the_fork_does_all_that_was_undone(
    house: House, actor: Actor
) -> None:
    house.script["bad"] = failing(NO)
    view = await house.finish(
        actor, step("first"), done("a", "first"), step("on_a", "a"), step("bad", "on_a")
    )
    assert view.run.status == "compensated"
    with pytest.raises(Conflict) as refused:
        await house.runs.retry_run(actor, view.run.id)
    assert refused.value.code == "nothing_to_retry"
    assert "fork" in refused.value.message
    del house.script["bad"]
    made = await house.runs.fork_run(actor, view.run.id)
    assert (await house.settled(actor, made)).run.status == "completed"
    assert [house.times(key) for key in ("first", "a", "on_a", "bad")] == [1, 2, 2, 2]


async def test_a_fork_that_fails_does_not_undo_what_the_first_run_did(house: House, actor: Actor) -> None:
    view = await house.finish(actor, done("a"), done("b", "a"))
    assert view.run.status == "completed"
    house.script["b"] = failing(NO)
    made = await house.runs.fork_run(actor, view.run.id, from_step="b")
    assert (await house.settled(actor, made)).run.status == "failed"
    assert undone(house) == []


async def test_a_failure_that_does_not_matter_undoes_nothing(house: House, actor: Actor) -> None:
    house.script["bad"] = failing(NO)
    view = await house.finish(actor, done("a"), step("bad", "a", on_error=OnError.SKIP))
    assert (view.run.status, undone(house)) == ("completed", [])


async def test_a_cancelled_run_keeps_what_it_did(house: House, actor: Actor) -> None:
    house.engine.executor.grace = 0.02
    gate = Gate()
    house.script["b"] = gate
    run_id = await house.start(actor, done("a"), step("b", "a"))
    await gate.begun.wait()
    assert (await house.runs.cancel_run(actor, run_id)).run.status == "cancelled"
    assert undone(house) == []


async def test_who_has_to_look_is_undone_as_well(house: House, actor: Actor) -> None:
    house.script["bad"] = failing(NeedsHuman("which one?"))
    view = await house.finish(actor, done("a"), step("bad", "a"))
    assert (view.run.status, undone(house)) == ("compensated", ["a"])


@pytest.mark.parametrize("wrong", [ValueError("boom"), asyncio.CancelledError()])
async def test_an_undo_that_breaks_is_told_and_never_ends_the_undoing(
    house: House, actor: Actor, wrong: BaseException
) -> None:
    house.script |= {"b~undo": failing(wrong), "bad": failing(NO)}
    view = await house.finish(actor, done("a"), done("b"), step("bad", "a", "b"))
    assert (view.run.status, list(stands(view))) == ("needs_person", ["b"])
    assert statuses(view)["a"] == "compensated"
