"""Takes runs and drives them in this process; recovers every unfinished run at start."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock, Timeout

from omniforge.core.clock import Clock, rfc3339
from omniforge.core.errors import Conflict, NotFound, Unavailable
from omniforge.engine.active import ActiveRun, Fenced
from omniforge.engine.events import Event
from omniforge.engine.executor import Executor
from omniforge.engine.journal import SqliteJournal
from omniforge.engine.plan import Plan
from omniforge.engine.state import RunProgress, RunStatus, StepResult, StepStatus
from omniforge.engine.store import Change, RunRecord, RunStore, StepRecord, StoredRun

log = logging.getLogger(__name__)

RELOAD_DELAY = 1.0
"""Seconds before a run whose journal write failed is taken up again from what is durable."""


class Worker:
    """Drives runs. One process owns the journal of an installation; a file lock says which."""

    def __init__(
        self, journal: SqliteJournal, store: RunStore, executor: Executor, clock: Clock, lock: Path
    ) -> None:
        self.journal = journal
        self.store = store
        self.executor = executor
        self.clock = clock
        self._lock = FileLock(lock)
        self._runs: dict[str, ActiveRun] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def open(self) -> int:
        """Take the journal and continue what is unfinished; returns how many runs were taken up."""
        try:
            self._lock.acquire(blocking=False)
        except Timeout as error:
            raise Unavailable(
                "Another OmniForge process already works on these data; stop it first, or use its address.",
                code="already_running",
                lock=str(self._lock.lock_file),
            ) from error
        self.journal.open()
        runs = [run for run in await self.store.unfinished() if run.status is not RunStatus.PAUSED]
        for run in runs:
            if run.status is RunStatus.WAITING and not run.corrupted:
                continue
            self._take(run)
        return len(self._tasks)

    async def close(self) -> None:
        """Stop at once. What was under way is continued by the next start, as after a crash."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.journal.close()
        self._lock.release()

    def take_new(self, record: RunRecord) -> None:
        """Drive a run that has just become durable."""
        self._take(StoredRun(record, RunStatus.QUEUED))

    async def submit(self, run_id: str) -> None:
        """Drive a run that the journal holds. Harmless when it is already driven or over."""
        if run_id in self._tasks:
            return
        run = await self.store.run(run_id)
        if run is not None and not run.status.is_over and run_id not in self._tasks:
            self._take(run)

    async def cancel(self, tenant_id: str, run_id: str, by: str) -> None:
        """Cancel; nothing of the run starts, and nothing runs, after this returns."""
        stored = await self._owned(tenant_id, run_id)
        if run_id not in self._runs:
            if stored.status.is_over:
                return
            self._take(stored, cancelled_by=by)
        else:
            run = self._runs[run_id]
            run.cancelled_by = by
            run.wake.set()
        await self.wait(run_id)

    async def answer(self, tenant_id: str, run_id: str, key: str, by: str, result: StepResult | None) -> None:
        """End a step's waiting: with a result, or (None) by doing the step again under the next attempt."""
        stored = await self._owned(tenant_id, run_id)
        state = stored.steps.get(key)
        refused = Conflict(
            "This step is not waiting for anybody.", code="not_waiting", run_id=run_id, step=key
        )
        if state is None or state.status is not StepStatus.WAITING:
            raise refused
        guard = (key, state.attempt)
        state.status = StepStatus.READY if result is None else StepStatus.COMPLETED
        state.result, state.reason = result, None
        now = self.clock.now()
        record = StepRecord(run_id, key, state, rfc3339(now), rfc3339(now) if result else None)
        payload = {"step": key, "again": result is None, "output": result.output if result else None}
        event = Event("step.answered", f"step:{run_id}/{key}", now, by, payload, run_id)
        change = Change(
            run_id,
            tenant_id,
            steps=[record],
            guard=guard,
            answers=True,
            status=RunStatus.RUNNING,
            at=rfc3339(now),
            events=[event],
        )
        if not await self.journal.write(change):
            raise refused
        if run_id in self._runs:
            self._runs[run_id].answers.append((key, result))
            self._runs[run_id].wake.set()
        else:
            await self.submit(run_id)

    async def wait(self, run_id: str) -> None:
        """Return when this process no longer drives the run: it is over, or waits."""
        task = self._tasks.get(run_id)
        if task is not None:
            await asyncio.wait([task])

    async def _owned(self, tenant_id: str, run_id: str) -> StoredRun:
        run = await self.store.run(run_id)
        if run is None or run.record.tenant_id != tenant_id:
            raise NotFound("There is no such run.", run_id=run_id)
        return run

    def _take(self, stored: StoredRun, cancelled_by: str | None = None) -> None:
        run = self._active(stored, cancelled_by)
        self._tasks[run.record.id] = asyncio.create_task(self._drive(run, stored.corrupted))

    def _active(self, stored: StoredRun, cancelled_by: str | None) -> ActiveRun:
        plan = Plan.from_json(stored.record.plan)
        run = ActiveRun(stored.record, plan, RunProgress(plan, stored.steps), stored.status)
        run.cancelled_by = cancelled_by
        self._runs[run.record.id] = run
        return run

    async def _drive(self, run: ActiveRun, corrupted: Sequence[str]) -> None:
        """Drive a run until it is over or parked; a journal that cannot write for a moment only delays it."""
        run_id = run.record.id
        try:
            while True:
                try:
                    status = await self.executor.execute_run(run, corrupted)
                    if status.is_over or not (run.answers or run.cancelled_by):
                        return  # else somebody came while it was being parked
                except Fenced:
                    return
                except Exception:
                    # The path ends here: a run must not vanish because the disk was full for a moment.
                    log.exception("run %s could not be driven; it is taken up again", run_id)
                    await self.clock.sleep(RELOAD_DELAY)
                stored = await self.store.run(run_id)
                if stored is None or stored.status.is_over:
                    return
                run, corrupted = self._active(stored, run.cancelled_by), stored.corrupted
        finally:
            self._runs.pop(run_id, None)
            self._tasks.pop(run_id, None)
