"""The distributed engine: runs on PostgreSQL, driven by the workers of any number of machines."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from omniforge.core.clock import Clock
from omniforge.core.errors import OmniForgeError
from omniforge.db import Database
from omniforge.engine import places
from omniforge.engine.active import ActiveRun, Fenced, Handler
from omniforge.engine.admission import Admission
from omniforge.engine.artifacts import ArtifactStore, ArtifactTable
from omniforge.engine.control import Control
from omniforge.engine.database_clock import ASK_EVERY, DatabaseClock
from omniforge.engine.events import EventLog
from omniforge.engine.executor import Executor
from omniforge.engine.journal import Journal
from omniforge.engine.listening import Listener
from omniforge.engine.plan import Plan
from omniforge.engine.postgres import Claimed, PostgresJournal
from omniforge.engine.postgres_events import EVENTS_CHANNEL, append_at_end
from omniforge.engine.postgres_items import RUNS_CHANNEL
from omniforge.engine.queue import Heartbeat, Queue
from omniforge.engine.records import Change
from omniforge.engine.settling import end_damaged
from omniforge.engine.state import RunStatus
from omniforge.engine.store import PlanDamaged, RunStore, stored_run
from omniforge.engine.worker import RELOAD_DELAYS

log = logging.getLogger(__name__)

REPAIRED_TOGETHER = 500
REPAIR_EVERY = 12
"""Every so many signs of life, a worker looks for runs that stand in no line."""


@dataclass(frozen=True, slots=True)
class Sharing:
    """How this process takes part. drives: runs it drives at once, 0 for none. places: see `places.py`."""

    drives: int = 0
    places: int = 200
    heartbeat: Heartbeat = field(default_factory=Heartbeat)


class _SharedLog(EventLog):
    """The event log of many processes: hears of their commits as soon as somebody here waits for events."""

    def __init__(self, db: Database) -> None:
        super().__init__(db, append_at_end)
        self._listener = Listener(db.url, EVENTS_CHANNEL, lambda _: self.announce())

    def arrival(self) -> asyncio.Event:
        self._listener.begin()
        return super().arrival()

    async def close(self) -> None:
        await super().close()
        await self._listener.close()


class DistributedEngine:
    """Everything a run needs, over a database that many processes share.

    `start` and the verbs only write: the run's job travels in the same transaction. A process drives runs
    when `sharing.drives` says so; a run has one driver, and one that lost its run is refused by its epoch.
    """

    def __init__(
        self,
        db: Database,
        handlers: Mapping[str, Handler],
        *,
        slots: int,
        sharing: Sharing = Sharing(),
        admission: Admission | None = None,
        clock: Clock | None = None,
    ) -> None:
        """`clock` takes the place of the database's."""
        self.db = db
        self.handlers = handlers
        self.sharing = sharing
        self._time = DatabaseClock(self._database_time)
        self.clock: Clock = clock or self._time
        self.events: EventLog = _SharedLog(db)
        self._journal = PostgresJournal(db, self.events, places=sharing.places)
        self.journal: Journal = self._journal
        self.store = RunStore(db)
        self.artifacts: ArtifactStore = ArtifactTable(db)
        self.admission = admission or Admission(slots)
        self.executor = Executor(
            self.journal,
            self.store,
            self.artifacts,
            handlers=handlers,
            admission=self.admission,
            clock=self.clock,
        )
        self.pace = self.executor.pace
        self.control = Control(self.store, self.journal, self.clock, self.nudge)
        self._verbs = Listener(db.url, RUNS_CHANNEL, self._heard)
        self.queue: Queue | None = None
        self._runs: dict[str, ActiveRun] = {}
        self._background: set[asyncio.Task[Any]] = set()
        self._repairs = 0

    async def open(self) -> int:
        """Begin to work; how many unfinished runs the installation has."""
        await self._time.synchronize()
        self._spawn(self._keep_time())
        await self.journal.open()
        if self.sharing.drives:
            self._verbs.begin()
            self.queue = Queue(
                self.db.url,
                self._drive,
                self._wake,
                self._repair,
                concurrency=self.sharing.drives,
                heartbeat=self.sharing.heartbeat,
            )
            await self.queue.open()
        return len(await self.store.unfinished_ids())

    async def close(self) -> None:
        if self.queue is not None:
            await self.queue.close()
        await self._verbs.close()
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        await self.journal.close()
        await self.events.close()

    async def start(self, change: Change, plan: Plan) -> str | None:
        """Make a new run durable with its place in line; None over the quota, or an older run's id."""
        return await asyncio.shield(self.journal.start(change))

    async def wait(self, run_id: str) -> None:
        """Return when the run is over, or parked with nothing to do."""
        while True:
            arrived = self.events.arrival()
            if await self._rests(run_id):
                return
            await arrived.wait()

    async def nudge(self, run_id: str) -> None:
        """Whoever drives the run hears of it by the change itself."""

    async def _rests(self, run_id: str) -> bool:
        query = text(
            "SELECT r.status, p.run_id FROM runs r LEFT JOIN run_places p ON p.run_id = r.id WHERE r.id = :id"
        )
        async with self.db.read() as session:
            found = (await session.execute(query, {"id": run_id})).first()
        if found is None:
            return True
        status = RunStatus(found[0])
        return status.is_over or (status in (RunStatus.WAITING, RunStatus.PAUSED) and found[1] is None)

    # --- driving -------------------------------------------------------------------------------------------

    async def _drive(self, run_id: str, tenant_id: str) -> bool:
        """Drive a run until it is over or parked. False when another driver has it by now."""
        claimed, tries = await self._journal.claim(run_id, tenant_id), 0
        if claimed is None:
            return True
        while True:
            try:
                return await self._drive_once(run_id, tenant_id, claimed)
            except Fenced:
                return await self._is_over(run_id)
            except PlanDamaged:
                log.exception("run %s cannot be continued: its plan is damaged", run_id)
                return await end_damaged(self.journal, self.clock, run_id, tenant_id, claimed.epoch)
            except Exception:
                # The path ends here: a run must not vanish because the database was away for a moment.
                log.exception("run %s could not be driven; it is taken up again", run_id)
                await asyncio.sleep(RELOAD_DELAYS[min(tries, len(RELOAD_DELAYS) - 1)])
                claimed, tries = Claimed(claimed.epoch), tries + 1

    async def _drive_once(self, run_id: str, tenant_id: str, claimed: Claimed) -> bool:
        if claimed.run is not None:
            plan = await self.store.plan(claimed.run.plan_hash)
            stored = stored_run(claimed.run, plan, claimed.steps)
        else:
            stored = await self.store.run(run_id)
        if stored is None or stored.status.is_over:
            return True
        if stored.record.epoch != claimed.epoch:
            return False
        run = ActiveRun.of(stored)
        self._runs[run_id] = run
        try:
            status = await self.executor.execute_run(run, stored.corrupted)
        finally:
            if self._runs.get(run_id) is run:
                del self._runs[run_id]
        if run.poked and not status.is_over:
            await self._journal.line_up(run_id, tenant_id)  # somebody came while it was being parked
        return True

    async def _is_over(self, run_id: str) -> bool:
        stored = await self.store.run(run_id)
        return stored is None or stored.status.is_over

    async def _wake(self, run_id: str, tenant_id: str, wake_at: str) -> None:
        await self._journal.line_up(run_id, tenant_id, wake_at)

    def _heard(self, run_id: str | None) -> None:
        """Somebody changed a run; None: perhaps any run."""
        for name in list(self._runs) if run_id is None else [run_id]:
            if name in self._runs:
                self._spawn(self._look(name))

    async def _look(self, run_id: str) -> None:
        run = self._runs.get(run_id)
        if run is not None:
            try:
                await self._journal.look(run_id, run.record.tenant_id)
            except OmniForgeError:
                log.warning("run %s is not looked at now", run_id, exc_info=True)
            run.poke()

    # --- keeping order -------------------------------------------------------------------------------------

    async def _repair(self) -> None:
        """Line up what is to be driven and stands in no line, grant anew what lost its job."""
        self._repairs += 1
        if self._repairs % REPAIR_EVERY != 1:
            return
        async with self.db.transaction() as session:
            connection = await session.connection()
            tenants = {str(tenant_id) for (tenant_id,) in await connection.exec_driver_sql(places.TAKE_BACK)}
            limit = (REPAIRED_TOGETHER,)
            missing: list[tuple[Any, ...]] = [
                tuple(row) for row in await connection.exec_driver_sql(places.MISSING, limit)
            ]
            timers: list[tuple[Any, ...]] = [
                tuple(row) for row in await connection.exec_driver_sql(places.UNSET_TIMERS, limit)
            ]
        await asyncio.gather(
            *(self._journal.line_up(run_id, tenant_id) for run_id, tenant_id in missing),
            *(self._journal.grant(tenant_id) for tenant_id in tenants),
            *(self._journal.set_timer(run_id, tenant_id, at) for run_id, tenant_id, at in timers),
        )

    async def _database_time(self) -> datetime:
        async with self.db.read() as session:
            return (await session.execute(text("SELECT clock_timestamp()"))).scalar_one()

    async def _keep_time(self) -> None:
        while True:
            await asyncio.sleep(ASK_EVERY)
            try:
                await self._time.synchronize()
            except SQLAlchemyError as error:
                # Until the database is back, time passes as this machine counts it.
                log.warning("the database's clock could not be read: %s", error)

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
