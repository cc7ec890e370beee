"""Starts under way in this process: whoever switches an agent off waits for those that saw it on."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import contextmanager


class Starts:
    """Between reading that an agent is active and its run being durable there is a moment; this bridges it.

    A start enters before it reads. Whoever pauses or archives waits for `settled` once that is durable: any
    start that comes later sees it, and none is left that does not. Other processes are held by row locks.
    """

    def __init__(self) -> None:
        self._open: set[asyncio.Future[None]] = set()

    @contextmanager
    def under_way(self) -> Generator[None]:
        over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._open.add(over)
        try:
            yield
        finally:
            self._open.discard(over)
            over.set_result(None)

    async def settled(self) -> None:
        """Return when every start that is under way now is over. Not to be awaited inside of one."""
        if self._open:
            await asyncio.wait(set(self._open))
