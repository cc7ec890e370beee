"""Somebody who waits for a step is told what it waits for, when that takes longer than a moment."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import contextmanager, suppress

from omniforge.core.clock import Clock
from omniforge.engine.active import Fenced, NotWritten
from omniforge.engine.admission import Admission
from omniforge.engine.attempts import Emit
from omniforge.engine.pressure import Mode
from omniforge.engine.slots import SlotRequest

PATIENCE = 3.0
"""Seconds."""
DELAYED = "step.delayed"
"""`{"step", "reason"}`: `pressure`, the machine is busy; `slots`, all of them are taken."""


@contextmanager
def told_when_late(request: SlotRequest, of: Admission, clock: Clock, emit: Emit) -> Generator[None]:
    """While the body waits for a slot. Nobody sits before what starts by itself: nothing is told then."""
    if not request.is_waited_for:
        yield
        return
    telling = asyncio.create_task(_tell(of, clock, emit))
    try:
        yield
    finally:
        telling.cancel()


async def _tell(admission: Admission, clock: Clock, emit: Emit) -> None:
    await clock.sleep(PATIENCE)
    reason = "slots" if admission.mode is Mode.OPEN else "pressure"
    with suppress(Fenced, NotWritten):  # the run's own next change says so
        await emit(DELAYED, {"reason": reason})
