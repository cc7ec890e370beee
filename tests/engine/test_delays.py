"""Who waits for a slot learns what for, when somebody sits in front of it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from admission_stage import FULL, VirtualClock, settle
from engine_house import HastyClock, House, step
from omniforge.core.actor import Actor
from omniforge.db import Database
from omniforge.engine.admission import Admission
from omniforge.engine.delays import PATIENCE, told_when_late
from omniforge.engine.pressure import Reading
from omniforge.engine.slots import WAITED_FOR, SlotRequest
from omniforge.engine.state import StepResult

PERSON, NOBODY = SlotRequest("a", priority=WAITED_FOR), SlotRequest("a")


async def told(request: SlotRequest, *, load: Reading | None = None, seconds: float) -> list[Any]:
    """What is told while a step waits so long for the only slot."""
    said: list[Any] = []

    async def emit(type_: str, payload: dict[str, Any]) -> None:
        said.append((type_, payload["reason"]))

    clock = VirtualClock()
    admission = Admission(1, clock)
    assert admission.try_acquire(NOBODY)
    if load is not None:
        admission.observe(load)

    async def wait() -> None:
        with told_when_late(request, admission, clock, emit):
            await admission.acquire(request)

    waiting = asyncio.create_task(wait())
    await settle()
    await clock.advance(seconds)
    admission.release(NOBODY)
    await settle()
    await clock.advance(PATIENCE)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    return said


@pytest.mark.parametrize(
    ("request_", "load", "seconds", "expected"),
    [
        (PERSON, None, PATIENCE + 1, [("step.delayed", "slots")]),
        (PERSON, FULL, PATIENCE + 1, [("step.delayed", "pressure")]),
        (PERSON, None, PATIENCE - 1, []),
        (NOBODY, None, PATIENCE + 1, []),
    ],
)
async def test_a_person_is_told_once_after_a_moment(
    request_: SlotRequest, load: Reading | None, seconds: float, expected: list[Any]
) -> None:
    assert await told(request_, load=load, seconds=seconds) == expected


async def test_a_run_says_that_its_step_waits_for_a_slot(
    database: Database, tmp_path: Path, actor: Actor
) -> None:
    house = House(database, tmp_path, slots=1, clock=HastyClock())
    await house.engine.open()
    over = asyncio.Event()

    async def until_over(_: Any) -> StepResult:
        await over.wait()
        return StepResult(output={})

    house.script["long"] = until_over
    first = await house.start(actor, step("long"))
    await house.step_reaches(actor, first, "long", "running")
    second = await house.start(actor, step("quick"), priority=WAITED_FOR)
    async with asyncio.timeout(30):
        while not (said := await house.told(actor, second, "step.delayed")):
            await asyncio.sleep(0.02)
    assert [(one["step"], one["reason"]) for one in said] == [("quick", "slots")]
    over.set()
    assert (await house.settled(actor, second)).run.status == "completed"
    await house.settled(actor, first)
    await house.engine.close()
