"""Steps that wait for slots, hold them and note their order, in time that passes only when told."""

from __future__ import annotations

import asyncio
import heapq
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from omniforge.engine.admission import Admission
from omniforge.engine.pressure import Reading
from omniforge.engine.slots import Limits, SlotRequest

CALM = Reading(cpu=20, memory=40)
FULL = Reading(cpu=20, memory=90)


class VirtualClock:
    """Time that passes only in `advance`."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._count = 0

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.seconds)

    async def sleep(self, seconds: float) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._count += 1
        heapq.heappush(self._sleepers, (self.seconds + max(0.0, seconds), self._count, future))
        await future

    async def advance(self, seconds: float) -> None:
        end = self.seconds + seconds
        await settle()
        while self._sleepers and self._sleepers[0][0] <= end:
            moment, _, future = heapq.heappop(self._sleepers)
            if not future.done():
                self.seconds = max(self.seconds, moment)
                future.set_result(None)
                await settle()
        self.seconds = end


async def settle() -> None:
    for _ in range(8):
        await asyncio.sleep(0)


@dataclass
class Stage:
    """An admission with steps that wait for it, hold it for a while, and note their order."""

    limits: Limits | int
    clock: VirtualClock = field(default_factory=VirtualClock)
    told: list[tuple[str, dict[str, Any]]] = field(default_factory=list[tuple[str, dict[str, Any]]])
    order: list[str] = field(default_factory=list[str])
    tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict[str, asyncio.Task[None]])

    def __post_init__(self) -> None:
        self.admission = Admission(
            self.limits, self.clock, lambda type_, payload: self.told.append((type_, payload))
        )

    async def step(self, name: str, request: SlotRequest, hold: float) -> None:
        await self.admission.acquire(request)
        self.order.append(name)
        try:
            await self.clock.sleep(hold)
        finally:
            self.admission.release(request)

    async def start(self, name: str, request: SlotRequest, hold: float = 1.0) -> None:
        self.tasks[name] = asyncio.create_task(self.step(name, request, hold))
        await asyncio.sleep(0)

    async def load(self, reading: Reading | None, seconds: float) -> None:
        """The machine looks like this, every five seconds."""
        for _ in range(int(seconds // 5)):
            self.admission.observe(reading)
            await self.clock.advance(5)

    async def finish(self) -> None:
        for task in self.tasks.values():
            task.cancel()
        await asyncio.gather(*self.tasks.values(), return_exceptions=True)

    @property
    def events(self) -> list[str]:
        return [type_ for type_, _ in self.told]


A, B, C = SlotRequest("a"), SlotRequest("b"), SlotRequest("c")
