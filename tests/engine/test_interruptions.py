"""A step that takes its process down with it does not do so for ever."""

from __future__ import annotations

import asyncio
from pathlib import Path

from omniforge.core.actor import Actor
from omniforge.core.clock import SystemClock
from omniforge.db import Database
from omniforge.engine.active import StepCall
from omniforge.engine.embedded import EmbeddedEngine
from omniforge.engine.plan import Plan, Step
from omniforge.engine.state import StepResult
from omniforge.engine.takeup import MAX_INTERRUPTIONS
from omniforge.runs.service import RunService, StartRequest


async def test_a_step_whose_process_keeps_ending_is_left_to_a_person(
    database: Database, tmp_path: Path, actor: Actor
) -> None:
    calls: list[int] = []
    begun = asyncio.Event()

    async def deadly(call: StepCall) -> StepResult:
        calls.append(call.attempt)
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError

    run_id = ""
    for life in range(MAX_INTERRUPTIONS + 2):
        engine = EmbeddedEngine(database, {"do": deadly}, SystemClock(), tmp_path, slots=4)
        await engine.open()
        runs = RunService(engine, 100)
        async with asyncio.timeout(20):
            if life == 0:
                plan = Plan((Step(key="a", kind="do"), Step(key="b", kind="do", needs=("a",))))
                run_id = await runs.start_run(actor, StartRequest(plan=plan, subject="x"))
            if life <= MAX_INTERRUPTIONS:
                await begun.wait()
                begun.clear()
            else:
                view = await runs.wait_for(actor, run_id)
        await engine.close()
    assert calls == list(range(1, MAX_INTERRUPTIONS + 2))
    assert view.run.status == "needs_person"
    assert "interrupted_too_often" in str(view.run.error)


async def test_a_run_whose_plan_is_damaged_ends_failed_at_the_next_start(
    database: Database, tmp_path: Path, actor: Actor
) -> None:
    begun = asyncio.Event()

    async def hang(call: StepCall) -> StepResult:
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError

    engine = EmbeddedEngine(database, {"do": hang}, SystemClock(), tmp_path, slots=4)
    await engine.open()
    plan = Plan((Step(key="a", kind="do"),))
    run_id = await RunService(engine, 100).start_run(actor, StartRequest(plan=plan, subject="x"))
    await begun.wait()
    await engine.close()
    async with database.transaction() as session:
        connection = await session.connection()
        await connection.exec_driver_sql("UPDATE plans SET plan = replace(plan, 'do', 'od')")
    engine = EmbeddedEngine(database, {"do": hang}, SystemClock(), tmp_path, slots=4)
    await engine.open()
    found = await engine.store.find_run("default", run_id)
    await engine.close()
    assert found is not None
    assert found[0].status == "failed"
    assert "plan_damaged" in str(found[0].error)
