"""Which engine belongs to which database."""

from __future__ import annotations

from collections.abc import Mapping

from omniforge.core.clock import Clock, SystemClock
from omniforge.core.config import Settings
from omniforge.core.errors import Unavailable
from omniforge.db import Database
from omniforge.engine.active import Handler
from omniforge.engine.admission import Admission
from omniforge.engine.embedded import EmbeddedEngine, Engine
from omniforge.engine.events import EventLog


def event_log(db: Database) -> EventLog:
    """The event log of this database."""
    if db.is_sqlite:
        return EventLog(db)
    from omniforge.engine.postgres_events import append_at_end  # noqa: PLC0415 - an optional dependency

    return EventLog(db, append_at_end)


def open_engine(
    db: Database,
    handlers: Mapping[str, Handler],
    clock: Clock,
    settings: Settings,
    *,
    drives: int = 0,
    admission: Admission | None = None,
) -> Engine:
    """SQLite: the embedded engine, which drives everything. PostgreSQL: the distributed one.

    Its `clock` is the given one, or on PostgreSQL the database's instead of the machine's.
    drives: runs this process drives at once on PostgreSQL; 0 leaves them to other processes.
    """
    slots = settings.max_active_steps
    if db.is_sqlite:
        return EmbeddedEngine(db, handlers, clock, settings.home, slots=slots, admission=admission)
    try:
        from omniforge.engine.distributed import DistributedEngine, Sharing  # noqa: PLC0415 - as above
        from omniforge.engine.queue import Heartbeat  # noqa: PLC0415
    except ImportError as error:
        raise Unavailable(
            "PostgreSQL needs the optional part of this program: pip install 'omniforge[postgres]'.",
            code="extra_missing",
            extra="postgres",
        ) from error
    heartbeat = Heartbeat(settings.worker_heartbeat, settings.worker_stalled_after)
    sharing = Sharing(drives, settings.max_tenant_runs, heartbeat)
    own = None if isinstance(clock, SystemClock) else clock
    return DistributedEngine(db, handlers, slots=slots, sharing=sharing, admission=admission, clock=own)
