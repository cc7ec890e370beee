"""What a service or a handler says may be odd; the journal goes on writing for everybody."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from any_engine import make_engine
from omniforge.core.actor import Actor
from omniforge.core.errors import Fatal
from omniforge.db import Database
from omniforge.engine.active import StepCall
from omniforge.engine.events import Event
from omniforge.engine.plan import Plan, Step
from omniforge.engine.records import Change
from omniforge.engine.state import StepResult, Waiting
from omniforge.runs.service import RunService, StartRequest

HALF = "\ud800"
ODD: dict[str, Any] = {"text": HALF, "at": datetime(2026, 1, 5, tzinfo=UTC)}


async def fails(call: StepCall) -> StepResult:
    raise Fatal(f"the service said {HALF}", **ODD)


async def waits(call: StepCall) -> Waiting:
    return Waiting("connection", ODD)


async def tells(call: StepCall) -> StepResult:
    await call.emit("log.written", ODD)
    return StepResult(output={}, message=f"done {HALF}")


@pytest.mark.parametrize(("handler", "status"), [(fails, "failed"), (waits, "waiting"), (tells, "completed")])
async def test_text_that_no_store_holds_is_told_as_well_as_it_can_be(
    database: Database, tmp_path: Path, actor: Actor, handler: Any, status: str
) -> None:
    engine = make_engine(database, {"do": handler}, tmp_path, slots=4)
    await engine.open()
    runs = RunService(engine, 100)
    plan = Plan((Step(key="a", kind="do"),))
    run_id = await runs.start_run(actor, StartRequest(plan=plan, subject="x"))
    async with asyncio.timeout(20):
        view = await runs.wait_for(actor, run_id)
    await engine.close()
    assert view.run.status in (status, "no_effect" if status == "completed" else status)


async def test_a_change_that_cannot_be_written_fails_alone(
    database: Database, tmp_path: Path, actor: Actor
) -> None:
    engine = make_engine(database, {}, tmp_path, slots=4)
    await engine.open()

    def change(entity: str) -> Change:
        event = Event("a.happened", entity, datetime.now(UTC), "system:test")
        return Change("run", "default", events=[event])

    async with asyncio.timeout(20):
        answers = await asyncio.gather(
            *(engine.journal.write(change(entity)) for entity in ("one", HALF, "two")),
            return_exceptions=True,
        )
    await engine.close()
    assert [answers[0], answers[2]] == [True, True]
    assert isinstance(answers[1], UnicodeEncodeError)
