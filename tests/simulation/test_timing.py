"""Virtual time passes at once and in order; what waits for nothing is told instead of waited for."""

from __future__ import annotations

import asyncio
import time

import pytest

from omniforge.simulation.timing import Stuck, VirtualClock, run_virtually


def test_sleeps_and_timeouts_take_virtual_time_only() -> None:
    async def main() -> tuple[list[str], float]:
        clock, order = VirtualClock(), list[str]()
        begun = clock.now()

        async def say(what: str, seconds: float) -> None:
            await clock.sleep(seconds)
            order.append(what)

        async with asyncio.TaskGroup() as group:
            for what, seconds in (("day", 86_400), ("second", 1), ("year", 31_536_000)):
                group.create_task(say(what, seconds))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3600):
                await asyncio.Event().wait()
        return order, (clock.now() - begun).total_seconds()

    begun = time.process_time()
    assert run_virtually(main) == (["second", "day", "year"], 31_539_600)
    assert time.process_time() - begun < 30


def test_what_would_be_done_in_a_thread_is_done_here_and_its_error_arrives() -> None:
    async def main() -> int:
        with pytest.raises(ZeroDivisionError):
            await asyncio.to_thread(lambda: 1 // 0)
        return await asyncio.to_thread(sum, [1, 2])

    assert run_virtually(main) == 3


def test_waiting_for_what_never_comes_is_told() -> None:
    async def main() -> None:
        await asyncio.Event().wait()

    with pytest.raises(Stuck, match="nothing is left"):
        run_virtually(main)


def test_going_round_in_circles_is_told() -> None:
    async def main() -> None:
        while True:
            await asyncio.sleep(0)

    with pytest.raises(Stuck, match="no end"):
        run_virtually(main)
