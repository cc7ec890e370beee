"""Budgets and estimates of runs: what is used up stops what comes next, what takes too long is paused."""

from __future__ import annotations

from typing import Any

import pytest

from engine_house import Gate, House, error_of, failing, returning, statuses, step
from omniforge.core.actor import Actor
from omniforge.core.errors import Fatal, Retryable
from omniforge.engine.active import StepCall
from omniforge.engine.plan import Budget, Plan, Retry
from omniforge.engine.state import StepResult

pytestmark = pytest.mark.both_stores


def costing(**usage: float) -> StepResult:
    return StepResult(output=1, usage=usage)


@pytest.mark.parametrize(
    ("budget", "usage", "name"),
    [
        (Budget(tokens=1000), {"tokens": 1000}, "tokens"),
        (Budget(money=0.5), {"tokens": 5, "money": 0.6}, "money"),
    ],
)
async def test_a_used_up_budget_asks_a_person_before_the_next_step(
    house: House, actor: Actor, budget: Budget, usage: dict[str, float], name: str
) -> None:
    house.script["a"] = returning(costing(**usage))
    view = await house.finish_plan(actor, Plan((step("a"), step("b", "a")), budget=budget))
    assert (view.run.status, house.times("b")) == ("needs_person", 0)
    error = error_of(view)
    assert (error["code"], error["step"], error["details"]["budget"]) == ("budget_exceeded", "b", name)
    assert statuses(view)["a"] == "completed"


async def test_the_last_step_may_use_up_the_budget(house: House, actor: Actor) -> None:
    house.script["a"] = returning(costing(tokens=5000))
    view = await house.finish_plan(actor, Plan((step("a"),), budget=Budget(tokens=1000)))
    assert view.run.status == "completed"


async def test_a_step_is_told_what_it_may_still_use(house: House, actor: Actor) -> None:
    seen: dict[str, Budget] = {}

    async def look(call: StepCall) -> StepResult:
        seen[call.step.key] = call.budget
        return costing(tokens=300, money=0.25)

    house.script |= {"a": look, "b": look, "c": look}
    steps = (step("a"), step("b", "a", budget=Budget(tokens=100)), step("c", "b"))
    view = await house.finish_plan(actor, Plan(steps, budget=Budget(tokens=1000, money=2.0)))
    assert view.run.status == "completed"
    assert seen == {"a": Budget(1000, 2.0), "b": Budget(100, 1.75), "c": Budget(400, 1.5)}


async def test_nothing_is_tried_again_once_the_budget_is_used_up(house: House, actor: Actor) -> None:
    gate = Gate(costing(tokens=1000))

    async def late(call: StepCall) -> Any:
        await gate.open.wait()
        raise Retryable("busy")

    house.script |= {"a": returning(costing(tokens=1000)), "b": late}
    retry = Retry(attempts=5, delay=0.0)
    plan = Plan((step("a"), step("b", retry=retry)), budget=Budget(tokens=1000))
    run_id = await house.start_plan(actor, plan)
    await house.step_reaches(actor, run_id, "a", "completed")
    gate.open.set()
    view = await house.settled(actor, run_id)
    assert (view.run.status, house.times("b")) == ("failed", 1)
    (told,) = await house.told(actor, run_id, "step.failed")
    assert "budget" in told["reason"]


async def test_what_was_used_is_known_after_a_restart(house: House, actor: Actor) -> None:
    gate = Gate()
    house.script |= {"a": returning(costing(tokens=1000)), "b": gate}
    plan = Plan((step("a"), step("b"), step("c", "a", "b")), budget=Budget(tokens=1000))
    run_id = await house.start_plan(actor, plan)
    await gate.begun.wait()
    await house.step_reaches(actor, run_id, "a", "completed")
    await house.restart()
    view = await house.settled(actor, run_id)
    assert (view.run.status, house.times("c")) == ("needs_person", 0)


async def test_a_fork_has_the_whole_budget_for_what_it_does_itself(house: House, actor: Actor) -> None:
    house.script["a"] = returning(costing(tokens=1000))
    view = await house.finish_plan(actor, Plan((step("a"), step("b", "a")), budget=Budget(tokens=1000)))
    assert view.run.status == "needs_person"
    made = await house.runs.fork_run(actor, view.run.id)
    done = await house.settled(actor, made)
    assert (done.run.status, house.times("a"), house.times("b")) == ("completed", 1, 1)


async def test_a_run_that_takes_twice_its_estimate_is_paused_for_a_person(house: House, actor: Actor) -> None:
    gate = Gate()
    house.script["a"] = gate
    plan = Plan((step("a"), step("b", "a")), estimate=0.05)
    run_id = await house.start_plan(actor, plan)
    await house.is_noticed(run_id)
    gate.open.set()
    view = await house.settled(actor, run_id)
    assert (view.run.status, house.times("b")) == ("paused", 0)
    assert statuses(view)["a"] == "completed"
    (told,) = await house.told(actor, run_id, "run.paused")
    assert "expected to take" in told["reason"]
    await house.runs.resume_run(actor, run_id)
    assert (await house.settled(actor, run_id)).run.status == "completed"


async def test_a_run_within_its_estimate_is_left_alone(house: House, actor: Actor) -> None:
    view = await house.finish_plan(actor, Plan((step("a"), step("b", "a")), estimate=600))
    assert view.run.status == "completed"


async def test_a_failure_counts_more_than_the_estimate(house: House, actor: Actor) -> None:
    gate = Gate()

    async def fail_late(call: StepCall) -> StepResult:
        await gate(call)
        raise Fatal("no")

    house.script |= {"a": fail_late, "b": failing(Fatal("never"))}
    run_id = await house.start_plan(actor, Plan((step("a"), step("b", "a")), estimate=0.05))
    await house.is_noticed(run_id)
    gate.open.set()
    assert (await house.settled(actor, run_id)).run.status == "failed"
