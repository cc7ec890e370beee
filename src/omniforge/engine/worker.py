"""The worker of one process: takes runs up, drives them, wakes them in time, recovers them at start."""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from zlib import crc32

from omniforge.core.clock import Clock
from omniforge.engine.active import ActiveRun, Fenced
from omniforge.engine.executor import Executor
from omniforge.engine.records import StoredRun
from omniforge.engine.settling import end_damaged
from omniforge.engine.state import RunProgress, RunStatus
from omniforge.engine.store import PlanDamaged, RunStore

log = logging.getLogger(__name__)

RELOAD_DELAYS = (1.0, 2.0, 5.0, 15.0, 60.0)
"""Seconds before a run whose journal write failed is taken up again; the last repeats."""
TAKEN_TOGETHER = 200


class Worker:
    """Drives runs whose epoch this process holds."""

    def __init__(self, store: RunStore, executor: Executor, clock: Clock) -> None:
        self.store = store
        self.executor = executor
        self.clock = clock
        self.alarms = Alarms(clock, self._wake)
        self._runs: dict[str, ActiveRun] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._recovery: asyncio.Task[None] | None = None
        self._turns = [asyncio.Lock() for _ in range(64)]
        self._is_closed = False

    @property
    def active(self) -> int:
        """How many runs are driven now."""
        return len(self._runs)

    async def recover(self) -> int:
        """Continue what is unfinished, a part at a time; returns how many runs that will be."""
        ids = await self.store.unfinished_ids()
        ids += await self.store.asked()
        for wake_at, run_id in await self.store.timers():
            self.alarms.add(wake_at, run_id)
        parked = await self.store.parked_ids()
        await self._take_part(ids[:TAKEN_TOGETHER])
        if len(ids) > TAKEN_TOGETHER or parked:
            self._recovery = asyncio.create_task(self._take_rest(ids[TAKEN_TOGETHER:], parked))
        return len(ids)

    async def _take_rest(self, ids: Sequence[str], parked: Sequence[str]) -> None:
        for start in range(0, len(ids), TAKEN_TOGETHER):
            await self._take_part(ids[start : start + TAKEN_TOGETHER])
        for start in range(0, len(parked), TAKEN_TOGETHER):
            await self._take_part(parked[start : start + TAKEN_TOGETHER], only_damaged=True)

    async def _take_part(self, ids: Sequence[str], *, only_damaged: bool = False) -> None:
        try:
            found = await self.store.runs(ids)
        except PlanDamaged:
            found: list[StoredRun] = []
            for run_id in ids:
                found += await self._read_one(run_id)
        for stored in found:
            if only_damaged and not (stored.status is RunStatus.WAITING and _may_go_on(stored)):
                continue
            if not stored.status.is_over and stored.record.id not in self._tasks:
                self.take(stored)

    async def _read_one(self, run_id: str) -> list[StoredRun]:
        try:
            return await self.store.runs([run_id])
        except PlanDamaged:
            log.exception("run %s cannot be continued: its plan is damaged", run_id)
            owner = await self.store.owner(run_id)
            if owner is not None:
                await end_damaged(self.executor.journal, self.clock, run_id, *owner)
            return []

    async def close(self) -> None:
        """Stop at once. What was under way is continued by the next start, as after a crash."""
        self._is_closed = True
        self.alarms.close()
        tasks = [*self._tasks.values(), *([self._recovery] if self._recovery else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def adopt(self, run: ActiveRun) -> None:
        """Drive a run that has just become durable."""
        if self._is_closed:
            return
        self._runs[run.record.id] = run
        self._tasks[run.record.id] = asyncio.create_task(self._drive(run, ()))

    def take(self, stored: StoredRun) -> None:
        if self._is_closed:
            return
        run = ActiveRun.of(stored)
        self._runs[run.record.id] = run
        self._tasks[run.record.id] = asyncio.create_task(self._drive(run, stored.corrupted))

    async def nudge(self, run_id: str) -> None:
        """Look at a run again: somebody asked for something. Harmless when it is over."""
        if run_id in self._runs:
            self._runs[run_id].poke()
            return
        async with self._turn(run_id):
            if run_id in self._runs:
                self._runs[run_id].poke()
                return
            stored = await self.store.run(run_id)
            if stored is None or stored.status.is_over or run_id in self._tasks:
                return
            parked = stored.status in (RunStatus.PAUSED, RunStatus.WAITING)
            late = stored.status is RunStatus.WAITING and stored.request is not None
            if not parked or late or (stored.request or "").startswith("cancel"):
                self.take(stored)

    def _turn(self, run_id: str) -> asyncio.Lock:
        """Held while a run is read and taken: else another drive may begin and end in between, unseen."""
        return self._turns[crc32(run_id.encode()) % len(self._turns)]

    async def wait(self, run_id: str) -> None:
        """Return when this process no longer drives the run: it is over, or parked."""
        if run_id not in self._tasks and self._recovery is not None:
            await asyncio.wait([self._recovery])
        task = self._tasks.get(run_id)
        if task is not None and not task.done():
            over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

            def tell(_: asyncio.Task[None]) -> None:
                if not over.done():
                    over.set_result(None)

            task.add_done_callback(tell)
            await over

    async def _wake(self, run_id: str) -> None:
        async with self._turn(run_id):
            if run_id in self._tasks:
                return
            stored = await self.store.run(run_id)
            if stored is not None and stored.status is RunStatus.WAITING and run_id not in self._tasks:
                self.take(stored)

    async def _drive(self, run: ActiveRun, corrupted: Sequence[str]) -> None:
        """Drive a run until it is over or parked; a journal that cannot write for a moment only delays it."""
        run_id, tries, fresh = run.record.id, 0, True
        try:
            while True:
                try:
                    if not fresh:
                        await self.executor.catch_up(run)
                        stored = await self.store.run(run_id)
                        if stored is None or stored.status.is_over or stored.status is RunStatus.PAUSED:
                            return
                        run, corrupted = ActiveRun.of(stored), stored.corrupted
                        run.again = True
                        self._runs[run_id] = run
                    fresh = False
                    status = await self.executor.execute_run(run, corrupted)
                    if not run.poked:
                        self._remember_alarm(run, status)
                        return  # else somebody came while it was being parked
                except Fenced:
                    return
                except Exception:
                    # The path ends here: a run must not vanish because the disk was full for a moment.
                    log.exception("run %s could not be driven; it is taken up again", run_id)
                    await self.clock.sleep(RELOAD_DELAYS[min(tries, len(RELOAD_DELAYS) - 1)])
                    tries += 1
        finally:
            self._runs.pop(run_id, None)
            self._tasks.pop(run_id, None)

    def _remember_alarm(self, run: ActiveRun, status: RunStatus) -> None:
        if status is RunStatus.WAITING:
            moments = [run.progress.states[key].wake_at for key in run.progress.waiting()]
            for moment in moments:
                if moment is not None:
                    self.alarms.add(moment, run.record.id)


def _may_go_on(stored: StoredRun) -> bool:
    """Whether something can be done in a parked run: a row is damaged, or an answer came in while it was
    being parked, and the process died before anybody looked again."""
    return bool(stored.corrupted or RunProgress(stored.plan, stored.steps, stored.record.input).startable())


class Alarms:
    """Moments at which parked runs go on: one heap, one task."""

    def __init__(self, clock: Clock, wake: Callable[[str], Awaitable[None]]) -> None:
        self.clock = clock
        self._call = wake
        self._heap: list[tuple[str, str]] = []
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def add(self, wake_at: str, run_id: str) -> None:
        """wake_at: RFC 3339 in UTC, whose text sorts as its time does."""
        heapq.heappush(self._heap, (wake_at, run_id))
        self._changed.set()
        if self._task is None:
            self._task = asyncio.create_task(self._ring())

    def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _ring(self) -> None:
        while True:
            self._changed.clear()
            left = self._seconds_left()
            if left is None:
                await self._changed.wait()
            elif left <= 0:
                await self._call_one(heapq.heappop(self._heap)[1])
            else:
                # An hour at most: a clock that is set forward must not be noticed days late.
                sleep = asyncio.ensure_future(self.clock.sleep(min(left, 3600)))
                changed = asyncio.ensure_future(self._changed.wait())
                try:
                    await asyncio.wait([sleep, changed], return_when=asyncio.FIRST_COMPLETED)
                finally:
                    sleep.cancel()
                    changed.cancel()

    def _seconds_left(self) -> float | None:
        if not self._heap:
            return None
        return (datetime.fromisoformat(self._heap[0][0]) - self.clock.now()).total_seconds()

    async def _call_one(self, run_id: str) -> None:
        try:
            await self._call(run_id)
        except Exception:
            # The path ends here: one run that cannot be read must not stop the alarms of the others.
            log.exception("run %s could not be woken", run_id)
