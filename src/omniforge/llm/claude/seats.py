"""How many programs of the SDK live and start at the same time on this machine; the rest wait their turn."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager


class Seats:
    """First come, first served."""

    def __init__(self, live: int, starting: int) -> None:
        self._live, self._starting = asyncio.Semaphore(live), asyncio.Semaphore(starting)

    @asynccontextmanager
    async def taken(self) -> AsyncGenerator[Start]:
        """One seat, taken with the right to start; the right is given back by `Start.over`, or at the end."""
        async with self._live:
            await self._starting.acquire()
            start = Start(self._starting)
            try:
                yield start
            finally:
                start.over()


class Start:
    """The right to start one program."""

    def __init__(self, starting: asyncio.Semaphore) -> None:
        self._starting: asyncio.Semaphore | None = starting

    def over(self) -> None:
        """It runs, or never will."""
        if self._starting is not None:
            self._starting.release()
            self._starting = None
