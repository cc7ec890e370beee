"""The engine that a database has: embedded over SQLite, distributed (and driving) over PostgreSQL."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from omniforge.core.clock import Clock, SystemClock
from omniforge.db import Database
from omniforge.engine.active import Handler
from omniforge.engine.distributed import DistributedEngine, Sharing
from omniforge.engine.embedded import EmbeddedEngine
from omniforge.engine.queue import Heartbeat

QUICK = Heartbeat(every=0.2, stalled_after=2.0, leaving=0.1)


def make_engine(
    db: Database,
    handlers: Mapping[str, Handler],
    home: Path,
    *,
    slots: int = 64,
    places: int = 50,
    clock: Clock | None = None,
) -> EmbeddedEngine | DistributedEngine:
    if db.is_sqlite:
        return EmbeddedEngine(db, handlers, clock or SystemClock(), home, slots=slots)
    sharing = Sharing(drives=50, places=places, heartbeat=QUICK)
    return DistributedEngine(db, handlers, slots=slots, sharing=sharing, clock=clock)
