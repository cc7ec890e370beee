"""Time limits behind one timer: what is late is stopped, what ends in time is left alone."""

from __future__ import annotations

import asyncio
import time

import pytest

from omniforge.engine.deadlines import Deadlines


async def limited(deadlines: Deadlines, seconds: float, work: float) -> str:
    limit = deadlines.set(seconds)
    late = False
    try:
        try:
            await asyncio.sleep(work)
        finally:
            late = deadlines.lift(limit)
    except asyncio.CancelledError:
        if not late:
            raise
        return "late"
    return "in time"


async def test_only_what_is_late_is_stopped_whatever_was_set_first() -> None:
    deadlines = Deadlines()
    limits = [(30.0, 0.0), (0.02, 30.0), (60.0, 0.05), (0.01, 30.0), (0.03, 0.0), (0.04, 30.0)]
    async with asyncio.timeout(20):
        ends = await asyncio.gather(*(limited(deadlines, seconds, work) for seconds, work in limits))
    assert ends == ["in time", "late", "in time", "late", "in time", "late"]


async def test_a_limit_set_after_all_others_were_lifted_still_counts() -> None:
    deadlines = Deadlines()
    assert await limited(deadlines, 0.01, 0.0) == "in time"
    await asyncio.sleep(0.02)  # the timer of the lifted limit has rung
    async with asyncio.timeout(20):
        assert await limited(deadlines, 0.01, 30.0) == "late"


async def test_who_cancels_the_task_is_obeyed_also_when_the_limit_comes_at_the_same_moment() -> None:
    deadlines = Deadlines()
    task = asyncio.create_task(limited(deadlines, 0.01, 30.0))
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_later(0.01, task.cancel)
    time.sleep(0.02)  # noqa: ASYNC251 - both come in one turn of the loop
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_task_that_was_late_once_can_go_on() -> None:
    deadlines = Deadlines()
    async with asyncio.timeout(20):
        assert await limited(deadlines, 0.01, 30.0) == "late"
        assert await limited(deadlines, 20.0, 0.0) == "in time"
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
