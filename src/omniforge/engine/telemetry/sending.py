"""Sends the traces of runs as they end or come to rest; how far it came is kept in the database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from omniforge.core.clock import Clock
from omniforge.core.errors import OmniForgeError
from omniforge.engine.telemetry.reading import PAGE, Line, LogReader
from omniforge.engine.telemetry.traces import PARKED, RunTrace, Span, trace_id_of

PLACE = "telemetry.traces"
RUNS_AT_ONCE = 100
SPANS_AT_ONCE = 500
OLDEST = timedelta(hours=1)
"""Collectors refuse what is old, and what one of them never takes must not hold up the rest for ever."""


class Sender(Protocol):
    def send(self, spans: Sequence[Span]) -> bool:
        """Blocks; whether the collector has them now."""
        ...

    def close(self) -> None: ...


class NotSent(OmniForgeError):
    """The collector did not take the traces."""

    code = "traces_not_sent"


class Traces:
    """Reads finished runs out of the log and sends their spans; again, with the same ids, when in doubt.

    sample: part of the runs, from 0 to 1; the same runs in every process.
    """

    def __init__(self, reader: LogReader, clock: Clock, sender: Sender, sample: float = 1.0) -> None:
        self.reader = reader
        self.clock = clock
        self.sender = sender
        self.sample = sample
        self._turn = asyncio.Lock()
        self._position = 0
        """Everything up to here is sent, or nothing to send. The kept place may lie further back."""

    async def begin(self) -> None:
        """The first time ever: runs that come to rest from now on. Later: where it stopped."""
        self._position = await self.reader.place(PLACE, self.clock.now())

    async def catch_up(self) -> None:
        """Send what came to rest since the last time. `NotSent` when the collector does not take it."""
        async with self._turn:
            newest = await self.reader.newest()
            while parked := await self.reader.only(PARKED, self._position, newest, RUNS_AT_ONCE):
                await self._send(parked)
                self._position = parked[-1].position
                await self.reader.keep_place(PLACE, self._position, self.clock.now())
            self._position = newest

    async def _send(self, parked: Sequence[Line]) -> None:
        waiting: list[Span] = []
        for line in parked:
            if not self._is_wanted(line):
                continue
            async for spans in self._ended(line):
                waiting += spans
                while len(waiting) >= SPANS_AT_ONCE:
                    await self._hand_over(waiting[:SPANS_AT_ONCE])
                    del waiting[:SPANS_AT_ONCE]
        if waiting:
            await self._hand_over(waiting)

    def _is_wanted(self, line: Line) -> bool:
        if line.run_id is None or self.clock.now() - datetime.fromisoformat(line.at) > OLDEST:
            return False
        return trace_id_of(line.run_id) & (2**64 - 1) < self.sample * 2**64

    async def _ended(self, parked: Line) -> AsyncGenerator[list[Span]]:
        """Spans of a run that ended between its last rest and this one."""
        assert parked.run_id is not None  # noqa: S101 - it is a run's event
        trace = RunTrace(parked.run_id, parked.tenant_id)
        page = await self.reader.of_run(parked.run_id, 0, parked.position)
        if len(page) < PAGE:  # most runs: everything is here
            rests = [
                line.position for line in page if line.type in PARKED and line.position < parked.position
            ]
            yield trace.read(page, max(rests, default=0))
            return
        rested = await self.reader.newest_before(parked.position, parked.run_id, PARKED)
        while page:
            yield await asyncio.to_thread(trace.read, page, rested)
            page = await self.reader.of_run(parked.run_id, page[-1].position, parked.position)

    async def _hand_over(self, spans: Sequence[Span]) -> None:
        if not await asyncio.to_thread(self.sender.send, spans):
            raise NotSent(f"{len(spans)} spans were not taken by the collector.")
