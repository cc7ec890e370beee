"""The time of the database: the same on every machine, whatever their own clocks say."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

ASK_EVERY = 60.0
"""Seconds between two looks at the database's clock; between them time passes as the machine counts it."""


class DatabaseClock:
    """The database's clock, read now and then and carried on by this machine's steady counter.

    `ask` gives the database's present time. Until the first `synchronize` it is the machine's time.
    """

    def __init__(self, ask: Callable[[], Awaitable[datetime]]) -> None:
        self._ask = ask
        self._start = datetime.now(UTC)
        self._counted = time.monotonic()

    def now(self) -> datetime:
        return self._start + timedelta(seconds=time.monotonic() - self._counted)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def synchronize(self) -> None:
        before = time.monotonic()
        start = await self._ask()
        self._counted = (before + time.monotonic()) / 2
        self._start = start.astimezone(UTC)
