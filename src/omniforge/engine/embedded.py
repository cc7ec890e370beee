"""The embedded engine: journal, worker and event log of one process over one SQLite database."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from omniforge.core.clock import Clock
from omniforge.db import Database
from omniforge.engine.active import Handler
from omniforge.engine.admission import Admission
from omniforge.engine.artifacts import ArtifactStore
from omniforge.engine.events import EventLog
from omniforge.engine.executor import Executor
from omniforge.engine.journal import SqliteJournal
from omniforge.engine.store import RunStore
from omniforge.engine.worker import Worker


class EmbeddedEngine:
    """Everything a run needs, in one process. `handlers` maps a step kind to what does it."""

    def __init__(
        self, db: Database, handlers: Mapping[str, Handler], clock: Clock, home: Path, *, slots: int
    ) -> None:
        self.clock = clock
        self.handlers = handlers
        self.events = EventLog(db)
        self.journal = SqliteJournal(db, self.events)
        self.store = RunStore(db)
        self.artifacts = ArtifactStore(home / "artifacts")
        self.executor = Executor(self.journal, handlers, Admission(slots), clock)
        self.worker = Worker(self.journal, self.store, self.executor, clock, home / "engine.lock")

    async def open(self) -> int:
        """Own the journal and take up what is unfinished; returns how many runs that were."""
        return await self.worker.open()

    async def close(self) -> None:
        await self.worker.close()
        await self.events.close()
