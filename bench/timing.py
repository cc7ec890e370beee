"""What both sides share: the same payload, the same way to repeat, one JSON line at the end."""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

PAYLOAD = "x" * 200
"""What every step returns beside a number, so that every side stores about 300 bytes a step."""
FAN = 100
STEPS_OF_CHAIN = 3
STEPS_OF_FAN = FAN + 2

Finish = Callable[[], Awaitable[object]]
"""Starts one run and returns when it is over."""


def options() -> dict[str, Any]:
    """The JSON object this process was started with."""
    return json.loads(sys.argv[1]) if len(sys.argv) > 1 else {}


def report(measured: dict[str, Any]) -> None:
    """The last line of a workload."""
    sys.stdout.write(json.dumps(measured) + "\n")
    sys.stdout.flush()


async def ms_per_step(finish: Finish, steps: int, *, at_once: int, seconds: float) -> float:
    """Milliseconds per durable step: `at_once` runs are always under way, for about so many seconds."""
    for _ in range(2):
        await finish()
    done = 0
    begun = time.perf_counter()

    async def keep_running() -> None:
        nonlocal done
        while time.perf_counter() - begun < seconds:
            await finish()
            done += 1

    await asyncio.gather(*(keep_running() for _ in range(at_once)))
    return (time.perf_counter() - begun) * 1000 / (done * steps)


class LoopLag:
    """How late the event loop wakes a sleeper, sampled every 5 ms while open."""

    def __init__(self) -> None:
        self.late: list[float] = []
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> LoopLag:
        self._task = asyncio.create_task(self._sample())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None  # noqa: S101 - entered before
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _sample(self) -> None:
        while True:
            begun = time.perf_counter()
            await asyncio.sleep(0.005)
            self.late.append(time.perf_counter() - begun - 0.005)

    def p99_ms(self) -> float:
        """Of all moments: a stall of one second counts as the 200 samples that it swallowed."""
        moments: list[float] = []
        for late in self.late:
            moments += [max(0.0, late - 0.005 * n) for n in range(max(1, int(late / 0.005)))]
        moments.sort()
        return moments[min(len(moments) - 1, int(len(moments) * 0.99))] * 1000 if moments else 0.0


def peak_mb() -> float:
    """Largest resident set of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
