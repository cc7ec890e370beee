"""The embedded engine: journal, worker and event log of one process over one SQLite database."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from filelock import FileLock, Timeout

from omniforge.core.clock import Clock
from omniforge.core.errors import Unavailable
from omniforge.db import Database
from omniforge.engine.active import ActiveRun, Handler
from omniforge.engine.admission import Admission
from omniforge.engine.artifacts import ArtifactFolder, ArtifactStore
from omniforge.engine.control import Control
from omniforge.engine.events import EventLog
from omniforge.engine.executor import Executor
from omniforge.engine.journal import Journal, SqliteJournal
from omniforge.engine.pacing import Pace
from omniforge.engine.plan import Plan
from omniforge.engine.records import Change
from omniforge.engine.state import RunProgress, RunStatus
from omniforge.engine.store import RunStore
from omniforge.engine.worker import Worker


class Engine(Protocol):
    """What the door and the composition root need of an engine, embedded or distributed."""

    clock: Clock
    handlers: Mapping[str, Handler]
    events: EventLog
    store: RunStore
    journal: Journal
    artifacts: ArtifactStore
    admission: Admission
    control: Control
    pace: Pace

    async def open(self) -> int:
        """Begin to work; returns how many unfinished runs are taken up."""
        ...

    async def close(self) -> None: ...

    async def start(self, change: Change, plan: Plan) -> str | None:
        """Make a new run durable and have it driven; its id, an older run's, or None over the quota."""
        ...

    async def wait(self, run_id: str) -> None:
        """Return when the run is over or parked."""
        ...


class EmbeddedEngine:
    """Everything a run needs, in one process. `handlers` maps a step kind to what does it."""

    def __init__(
        self,
        db: Database,
        handlers: Mapping[str, Handler],
        clock: Clock,
        home: Path,
        *,
        slots: int,
        admission: Admission | None = None,
        journal: Callable[[Database, EventLog], Journal] = SqliteJournal,
    ) -> None:
        self.clock = clock
        self.handlers = handlers
        self.events = EventLog(db)
        self.journal = journal(db, self.events)
        self.store = RunStore(db)
        self.artifacts: ArtifactStore = ArtifactFolder(home / "artifacts")
        self.admission = admission or Admission(slots)
        self.executor = Executor(
            self.journal, self.store, self.artifacts, handlers=handlers, admission=self.admission, clock=clock
        )
        self.pace = self.executor.pace
        self.worker = Worker(self.store, self.executor, clock)
        self.control = Control(self.store, self.journal, clock, self.worker.nudge)
        self._lock = FileLock(home / "engine.lock")

    async def open(self) -> int:
        """Own the journal and take up what is unfinished; returns how many runs that were.

        One process owns the journal of an installation; a file lock says which.
        """
        try:
            self._lock.acquire(blocking=False)
        except Timeout as error:
            raise Unavailable(
                "Another OmniForge process already works on these data; stop it first, or use its address.",
                code="already_running",
                lock=str(self._lock.lock_file),
            ) from error
        try:
            await self.journal.open()
        except BaseException:
            self._lock.release()
            raise
        return await self.worker.recover()

    async def close(self) -> None:
        await self.worker.close()
        await self.journal.close()
        await self.events.close()
        self._lock.release()

    async def start(self, change: Change, plan: Plan) -> str | None:
        record = change.new_run
        assert record is not None  # noqa: S101 - for the type checker
        progress = RunProgress(plan, change.progress, record.input)
        run = ActiveRun(record, plan, progress, RunStatus.QUEUED)
        if not change.progress:
            self.executor.begin(run, change)
        try:
            durable = self.journal.start(change)
        except BaseException:
            self.executor.abandon(run)
            raise

        def adopt(started: asyncio.Future[str | None]) -> None:
            if not started.cancelled() and started.exception() is None and started.result() == record.id:
                self.worker.adopt(run)
            else:
                self.executor.abandon(run)

        durable.add_done_callback(adopt)
        return await asyncio.shield(durable)  # whoever asked may go away; the run does not

    async def wait(self, run_id: str) -> None:
        await self.worker.wait(run_id)
