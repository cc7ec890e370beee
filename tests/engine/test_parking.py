"""Whoever comes while a run is just being parked is heard."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path

import pytest

from any_engine import make_engine
from omniforge.core.actor import Actor
from omniforge.core.clock import SystemClock
from omniforge.core.errors import Conflict
from omniforge.db import Database
from omniforge.engine.active import StepCall
from omniforge.engine.plan import Plan, Step
from omniforge.engine.state import StepResult, Waiting
from omniforge.runs.service import RunService, StartRequest


class ClockAtTheGate(SystemClock):
    """Closes the gate of the database when it is asked for the time for the second time after `armed`.

    The first belongs to the step's waiting, the second to the run's.
    """

    def __init__(self, db: Database) -> None:
        super().__init__()
        self.db, self.closed = db, asyncio.Event()
        self.asked: int | None = None

    def now(self) -> datetime:
        if self.asked is not None:
            self.asked += 1
            if self.asked == 2:
                holding = self.db.gate.acquire()  # free: it is taken without waiting
                with pytest.raises(StopIteration):
                    holding.send(None)
                self.closed.set()
        return super().now()


async def test_a_run_that_is_cancelled_while_it_is_parked_is_cancelled(
    database: Database, tmp_path: Path, actor: Actor
) -> None:
    clock = ClockAtTheGate(database)

    async def wait(call: StepCall) -> Waiting:
        clock.asked = 0
        return Waiting("approval")

    engine = make_engine(database, {"do": wait}, tmp_path, slots=4, clock=clock)
    await engine.open()
    runs = RunService(engine, 100)
    run_id = await runs.start_run(actor, StartRequest(plan=Plan((Step(key="a", kind="do"),)), subject="x"))
    async with asyncio.timeout(20):
        await clock.closed.wait()
        cancelling = asyncio.create_task(runs.cancel_run(actor, run_id))
        await asyncio.sleep(0.1)  # it has set its mark; the run is being parked meanwhile
        database.gate.release()
        view = await cancelling
    await engine.close()
    assert view.run.status == "cancelled"


async def test_two_who_wake_the_same_runs_do_not_stop_each_other(
    database: Database, tmp_path: Path, actor: Actor
) -> None:
    calls: list[int] = []

    async def wait(call: StepCall) -> Waiting | StepResult:
        calls.append(call.attempt)
        return Waiting("connection") if call.attempt == 1 else StepResult(output={})

    engine = make_engine(database, {"do": wait}, tmp_path, slots=4)
    await engine.open()
    runs = RunService(engine, 100)
    plan = Plan((Step(key="a", kind="do"),))
    started = [await runs.start_run(actor, StartRequest(plan=plan, subject="x")) for _ in range(4)]
    async with asyncio.timeout(20):
        assert {(await runs.wait_for(actor, run_id)).run.status for run_id in started} == {"waiting"}
        woken = await asyncio.gather(*(runs.resume_waiting("default", "local", "connection") for _ in "ab"))
        over = [(await runs.wait_for(actor, run_id)).run.status for run_id in started]
    await engine.close()
    assert (sum(woken), over) == (4, ["completed"] * 4)
    assert sorted(calls) == [1] * 4 + [2] * 4


async def test_of_two_answers_at_once_one_counts(database: Database, tmp_path: Path, actor: Actor) -> None:
    async def wait(call: StepCall) -> Waiting:
        return Waiting("approval")

    async def go_on(call: StepCall) -> StepResult:
        return StepResult(output=call.outputs["ask"]["output"])

    engine = make_engine(database, {"ask": wait, "do": go_on}, tmp_path, slots=4)
    await engine.open()
    runs = RunService(engine, 100)
    plan = Plan((Step(key="ask", kind="ask"), Step(key="do", kind="do", needs=("ask",))))
    run_id = await runs.start_run(actor, StartRequest(plan=plan, subject="x"))
    async with asyncio.timeout(20):
        await runs.wait_for(actor, run_id)
        answers = await asyncio.gather(
            *(runs.answer_step(actor, run_id, "ask", {"approved": said}) for said in (True, False)),
            return_exceptions=True,
        )
        view = await runs.wait_for(actor, run_id)
    told = await engine.events.read("default", run_id=run_id, types=["step.answered"])
    await engine.close()
    assert sorted(isinstance(answer, Conflict) for answer in answers) == [False, True]
    assert (view.run.status, len(told)) == ("completed", 1)
