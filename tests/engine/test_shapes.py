"""Workflows of public shapes, up to 2,000 tasks, keep their order and go on after a crash where they were."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from omniforge.core.actor import Actor
from omniforge.core.clock import SystemClock
from omniforge.db import Database
from omniforge.engine.active import StepCall
from omniforge.engine.embedded import EmbeddedEngine
from omniforge.engine.plan import Plan
from omniforge.engine.state import StepResult, StepStatus
from omniforge.engine.store import RunStore
from omniforge.engine.validation import validate_plan
from omniforge.runs.service import RunService, StartRequest
from omniforge.runs.shown import RunView
from workflow_shapes import SHAPES

SLOTS = 50


class Site:
    """Does the tasks of one plan and notes in which order; after `stop_at` tasks it stands still."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.needs = {step.key: step.needs for step in plan.steps}
        self.begun = Counter[str]()
        self.done: dict[str, None] = {}
        self.too_early: list[str] = []
        self.stop_at: int | None = None
        self.halted = asyncio.Event()

    async def do(self, call: StepCall) -> StepResult:
        key = call.step.key
        self.begun[key] += 1
        if any(need not in self.done for need in self.needs[key]):
            self.too_early.append(key)
        if self.stop_at is not None and len(self.done) >= self.stop_at:
            self.halted.set()
            await asyncio.Event().wait()
        await asyncio.sleep(0)
        self.done[key] = None
        return StepResult(output=len(call.outputs))

    def engine(self, db: Database, home: Path) -> EmbeddedEngine:
        return EmbeddedEngine(db, {"do": self.do}, SystemClock(), home, slots=SLOTS)


async def finish(engine: EmbeddedEngine, actor: Actor, run_id: str) -> RunView:
    async with asyncio.timeout(120):
        return await RunService(engine, 10).wait_for(actor, run_id)


def check(site: Site, view: RunView) -> None:
    assert view.run.status == "completed"
    assert site.too_early == []
    assert {row.key for row in view.steps if row.status == "completed"} == set(site.needs)


@pytest.mark.parametrize("tasks", [50, 300])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_shapes_are_plans_of_about_that_size(shape: str, tasks: int) -> None:
    plan = SHAPES[shape](tasks)
    validate_plan(plan, ["do"])
    assert tasks * 0.7 <= len(plan.steps) <= tasks * 1.1


@pytest.mark.parametrize("shape", SHAPES)
async def test_a_large_workflow_keeps_its_order(
    shape: str, database: Database, tmp_path: Path, actor: Actor
) -> None:
    site = Site(SHAPES[shape](2000))
    engine = site.engine(database, tmp_path)
    await engine.open()
    run_id = await RunService(engine, 10).start_run(actor, StartRequest(plan=site.plan, subject="test:1"))
    check(site, await finish(engine, actor, run_id))
    assert set(site.begun.values()) == {1}
    await engine.close()


@pytest.mark.parametrize("shape", SHAPES)
async def test_a_workflow_goes_on_after_a_crash_without_doing_anything_twice(
    shape: str, database: Database, tmp_path: Path, actor: Actor
) -> None:
    site = Site(SHAPES[shape](600))
    site.stop_at = len(site.plan.steps) // 2
    engine = site.engine(database, tmp_path)
    await engine.open()
    run_id = await RunService(engine, 10).start_run(actor, StartRequest(plan=site.plan, subject="test:1"))
    await site.halted.wait()
    await engine.close()
    site.stop_at = None
    stored = await RunStore(database).run(run_id)
    assert stored is not None
    finished = {key for key, state in stored.steps.items() if state.status is StepStatus.COMPLETED}
    before = dict(site.begun)
    again = site.engine(database, tmp_path)
    await again.open()
    check(site, await finish(again, actor, run_id))
    assert len(finished) > len(site.plan.steps) // 3
    assert {key: site.begun[key] for key in finished} == {key: before[key] for key in finished}
    assert max(site.begun.values()) == 2  # those that were caught in the middle
    await again.close()
