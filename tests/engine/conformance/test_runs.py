"""What people and time do to runs is the same with one process and with many."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from any_engine import make_engine
from omniforge.core.actor import Actor
from omniforge.core.errors import Fatal
from omniforge.db import Database
from omniforge.engine.active import StepCall
from omniforge.engine.events import first_broken
from omniforge.engine.plan import Action, Plan, Step
from omniforge.engine.state import StepResult
from omniforge.runs.service import RunService, StartRequest

pytestmark = pytest.mark.both_stores

Act = Callable[[StepCall], Awaitable[StepResult]]


class Place:
    """An engine that can be closed and opened again; `calls` are the steps whose handler was called."""

    def __init__(self, database: Database, home: Path) -> None:
        self.database, self.home = database, home
        self.calls: list[str] = []
        self.script: dict[str, Act] = {}
        self.build()

    def build(self) -> None:
        self.engine = make_engine(self.database, {"do": self._do}, self.home)
        self.runs = RunService(self.engine, max_unfinished=1000)

    async def _do(self, call: StepCall) -> StepResult:
        self.calls.append(f"{call.purpose} {call.step.key}" if call.purpose != "do" else call.step.key)
        act = self.script.get(call.step.key)
        return await act(call) if act else StepResult(output=call.step.key)

    async def restart(self) -> None:
        await self.engine.close()
        self.build()
        await self.engine.open()

    async def start(self, actor: Actor, *steps: Step, **more: Any) -> str:
        return await self.runs.start_run(actor, StartRequest(plan=Plan(steps), subject="test", **more))

    async def until(self, actor: Actor, run_id: str, *statuses: str) -> str:
        """The run's status once it is one of these."""
        async with asyncio.timeout(20):
            while True:
                status = (await self.runs.get_run(actor, run_id)).run.status
                if status in statuses:
                    return status
                await asyncio.sleep(0.01)


@pytest.fixture
async def place(database: Database, tmp_path: Path) -> AsyncIterator[Place]:
    made = Place(database, tmp_path)
    await made.engine.open()
    yield made
    await made.engine.close()


def step(key: str, *needs: str, **more: Any) -> Step:
    return Step(key=key, kind="do", needs=needs, **more)


def gated() -> tuple[Act, asyncio.Event, asyncio.Event]:
    """A handler that says when it has begun and goes on when it may."""
    begun, go = asyncio.Event(), asyncio.Event()

    async def act(call: StepCall) -> StepResult:
        begun.set()
        await go.wait()
        return StepResult(output=call.step.key)

    return act, begun, go


async def test_a_timer_wakes_a_run_also_after_a_restart(place: Place, actor: Actor) -> None:
    wait = Step(key="wait", kind="wait", args={"seconds": 0.6})
    first = await place.start(actor, wait, step("after", "wait"))
    await place.until(actor, first, "waiting")
    await place.restart()
    assert await place.until(actor, first, "completed") == "completed"
    assert place.calls == ["after"]


async def test_a_paused_run_starts_nothing_and_goes_on_when_resumed(place: Place, actor: Actor) -> None:
    place.script["a"], begun, go = gated()
    run_id = await place.start(actor, step("a"), step("b", "a"))
    await begun.wait()
    await place.runs.pause_run(actor, run_id)
    await asyncio.sleep(0.3)  # the driver is told of it, and reads it
    go.set()
    await place.until(actor, run_id, "paused")
    await place.restart()
    await asyncio.sleep(0.3)
    assert place.calls == ["a"]
    assert (await place.runs.get_run(actor, run_id)).run.status == "paused"
    await place.runs.resume_run(actor, run_id)
    await place.until(actor, run_id, "completed")
    assert place.calls == ["a", "b"]


async def test_a_cancelled_run_is_over_wherever_it_stands(place: Place, actor: Actor) -> None:
    place.script["a"], begun, _ = gated()
    running = await place.start(actor, step("a"))
    await begun.wait()
    waiting = await place.start(actor, Step(key="wait", kind="wait", args={"seconds": 3600}))
    await place.until(actor, waiting, "waiting")

    async def leave(call: StepCall) -> StepResult:
        await call.stopping.wait()
        raise Fatal("told to stop")

    place.script["c"] = leave
    polite = await place.start(actor, step("c"))
    while "c" not in place.calls:
        await asyncio.sleep(0.01)
    for run_id in (waiting, polite):
        assert (await place.runs.cancel_run(actor, run_id)).run.status == "cancelled"
    place.engine.executor.grace = 0.1
    assert (await place.runs.cancel_run(actor, running)).run.status == "cancelled"


async def test_what_failed_is_retried_in_the_same_run(place: Place, actor: Actor) -> None:
    async def fail(call: StepCall) -> StepResult:
        raise Fatal("no")

    place.script["b"] = fail
    run_id = await place.start(actor, step("a"), step("b", "a"), step("c", "b"))
    await place.until(actor, run_id, "failed")
    del place.script["b"]
    await place.runs.retry_run(actor, run_id)
    await place.until(actor, run_id, "completed")
    assert place.calls == ["a", "b", "b", "c"]


async def test_a_fork_shares_what_was_finished(place: Place, actor: Actor) -> None:
    first = await place.start(actor, step("a"), step("b", "a"), step("c", "b"))
    await place.until(actor, first, "completed")
    second = await place.runs.fork_run(actor, first, from_step="b", input={"other": True})
    await place.until(actor, second, "completed")
    assert Counter(place.calls) == {"a": 1, "b": 2, "c": 2}
    assert (await place.runs.get_run(actor, second)).run.input == '{"other":true}'


async def test_a_failed_run_is_undone_in_reverse_order(place: Place, actor: Actor) -> None:
    async def fail(call: StepCall) -> StepResult:
        raise Fatal("no")

    place.script["c"] = fail
    undo = {"compensate": Action("do")}
    run_id = await place.start(actor, step("a", **undo), step("b", "a", **undo), step("c", "b"))
    await place.until(actor, run_id, "compensated")
    assert place.calls == ["a", "b", "c", "undo b~undo", "undo a~undo"]


def random_plan(seed: int) -> Plan:
    dice = random.Random(seed)
    steps: list[Step] = []
    for number in range(30):
        before = [f"s{n}" for n in range(max(0, number - 6), number)]
        needs = tuple(dice.sample(before, k=dice.randint(0, min(3, len(before)))))
        inputs = {need: f"${{{need}.output}}" for need in needs}
        steps.append(Step(key=f"s{number}", kind="do", needs=needs, inputs=inputs))
    return Plan(tuple(steps))


def reference(plan: Plan) -> dict[str, int]:
    """What each step gives: one more than the sum of what it needs."""
    given: dict[str, int] = {}
    for item in plan.steps:
        given[item.key] = 1 + sum(given[need] for need in item.needs)
    return given


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_a_replay_does_not_depend_on_how_long_steps_take(place: Place, actor: Actor, seed: int) -> None:
    async def add(call: StepCall) -> StepResult:
        await asyncio.sleep(random.uniform(0, 0.02))
        return StepResult(output=1 + sum(call.inputs.values()))

    plan = random_plan(seed)
    place.script = {item.key: add for item in plan.steps}
    ids = [await place.start(actor, *plan.steps) for _ in range(3)]
    for _ in range(3):
        await asyncio.sleep(random.uniform(0.02, 0.1))
        await place.restart()
    for run_id in ids:
        await place.until(actor, run_id, "completed")
        stored = await place.engine.store.run(run_id)
        assert stored is not None
        assert {key: state.result.output for key, state in stored.steps.items() if state.result} == reference(
            plan
        )
    told = await place.engine.events.read(actor.tenant_id, types=["step.completed"], limit=10_000)
    assert set(Counter(row.entity for row in told).values()) == {1}
    async with place.database.read() as session:
        assert await first_broken(session, actor.tenant_id) is None
    assert len(told) == 3 * len(plan.steps)
