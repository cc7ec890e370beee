"""The journal: the one writer of runs, steps and their events, with group commit on SQLite."""

from __future__ import annotations

import asyncio
import logging
import queue
import sqlite3
import threading
from collections.abc import Sequence
from typing import Any

from omniforge.core.errors import OmniForgeError
from omniforge.db import Database
from omniforge.db.session import sqlite_pragmas
from omniforge.engine.events import HEAD_SQL, INSERT_SQL, EventLog, chained_rows, storable
from omniforge.engine.state import StepStatus
from omniforge.engine.store import Change, RunRecord, canonical

log = logging.getLogger(__name__)


class JournalClosed(OmniForgeError):
    """The engine is shutting down and takes nothing new."""

    status = 503
    code = "unavailable"


_INSERT_RUN = (
    "INSERT INTO runs (id, tenant_id, subject, mode, status, plan, plan_hash, input, trigger_type,"
    " triggered_by, logical_time, facts, idempotency_key, error, created_at, started_at, finished_at)"
    " VALUES (?, ?, ?, ?, 'queued', ?, ?, ?, ?, ?, ?, ?, ?, NULL, ?, NULL, NULL)"
)
_SAME_KEY = "SELECT id FROM runs WHERE tenant_id = ? AND idempotency_key = ?"
_UNFINISHED = (
    "SELECT count(*) FROM runs WHERE status IN ('queued', 'running', 'waiting', 'paused') AND tenant_id = ?"
)
_GUARD = "SELECT status FROM run_steps WHERE run_id = ? AND key = ? AND attempt = ?"
_UNDER_WAY = frozenset({StepStatus.READY, StepStatus.RUNNING, StepStatus.WAITING})
_WAITING = frozenset({StepStatus.WAITING})
_PUT_STEP = (
    "INSERT OR REPLACE INTO run_steps (run_id, key, status, attempt, failures, result, error, reason,"
    " started_at, finished_at, checksum) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_SET_STATUS = (
    "UPDATE runs SET status = ?, error = COALESCE(?, error), started_at = CASE WHEN ? = 'running' THEN"
    " COALESCE(started_at, ?) ELSE started_at END, finished_at = CASE WHEN ? THEN ? ELSE finished_at END"
    " WHERE id = ? AND status IN ('queued', 'running', 'waiting', 'paused')"
)


class SqliteJournal:
    """Writes changes with group commit: one writer thread, one transaction for all that has queued up.

    `write` returns when the change is durable: True, or False when a guard refused it. `start` returns the id
    of the run: the given one, or that of the run which already has the idempotency key; None over the quota.
    """

    def __init__(self, db: Database, events: EventLog) -> None:
        if not db.is_sqlite:
            raise ValueError("SqliteJournal needs a SQLite database")
        self.db = db
        self.events = events
        self._queue: queue.SimpleQueue[tuple[Change, asyncio.Future[Any]] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def open(self) -> None:
        self._thread = threading.Thread(target=self._write_loop, name="journal", daemon=True)
        self._thread.start()

    async def close(self) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            self._queue.put(None)
            await asyncio.to_thread(thread.join)

    async def start(self, change: Change) -> str | None:
        return await self._submit(change)

    async def write(self, change: Change) -> bool:
        return await self._submit(change)

    def _submit(self, change: Change) -> asyncio.Future[Any]:
        if self._thread is None:
            raise JournalClosed("The engine is shutting down; try again in a moment.")
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._queue.put((change, future))
        return future

    def _write_loop(self) -> None:
        connection = sqlite3.connect(self.db.path, isolation_level=None, cached_statements=64)
        for pragma in sqlite_pragmas(self.db.synchronous):
            connection.execute(pragma)
        try:
            open_ = True
            while open_:
                batch = [self._queue.get()]
                while not self._queue.empty() and len(batch) < 5000:
                    batch.append(self._queue.get())
                open_ = None not in batch
                work = [item for item in batch if item is not None]
                if work:
                    self._commit(connection, work)
        finally:
            connection.close()

    def _commit(
        self, connection: sqlite3.Connection, batch: Sequence[tuple[Change, asyncio.Future[Any]]]
    ) -> None:
        """One transaction for the whole batch; when it fails, one each, so only the bad change suffers."""
        try:
            answers: list[Any] = self._transact(connection, [change for change, _ in batch])
        except Exception as error:
            # The path ends here: whatever a change holds, the writer goes on for everybody else.
            if len(batch) == 1:
                log.exception("the journal could not write")
                answers = [error]
            else:
                for item in batch:
                    self._commit(connection, [item])
                return
        loop = batch[0][1].get_loop()
        futures = [future for _, future in batch]
        loop.call_soon_threadsafe(self._deliver, list(zip(futures, answers, strict=True)))

    def _deliver(self, answers: Sequence[tuple[asyncio.Future[Any], Any]]) -> None:
        for future, answer in answers:
            if future.done():
                continue
            if isinstance(answer, BaseException):
                future.set_exception(answer)
            else:
                future.set_result(answer)
        self.events.announce()

    def _transact(self, connection: sqlite3.Connection, changes: Sequence[Change]) -> list[Any]:
        with self.db.gate:
            connection.execute("BEGIN IMMEDIATE")
            try:
                answers = [_apply(connection, change) for change in changes]
                connection.execute("COMMIT")
            except BaseException:
                connection.execute("ROLLBACK")
                raise
        return answers


def _apply(connection: sqlite3.Connection, change: Change) -> Any:
    if change.new_run is not None:
        record = change.new_run
        if record.idempotency_key is not None:
            same = connection.execute(_SAME_KEY, (record.tenant_id, record.idempotency_key)).fetchone()
            if same:
                return same[0]
        if change.quota is not None:
            unfinished = connection.execute(_UNFINISHED, (record.tenant_id,)).fetchone()[0]
            if unfinished >= change.quota:
                return None
        connection.execute(_INSERT_RUN, _run_values(record))
    if change.guard is not None:
        found = connection.execute(_GUARD, (change.run_id, *change.guard)).fetchone()
        if found is None or found[0] not in (_WAITING if change.answers else _UNDER_WAY):
            return False
    if change.status is not None:
        status, error = change.status, None if change.error is None else storable(change.error)
        values = (status.value, error, status.value, change.at, status.is_over, change.at, change.run_id)
        if connection.execute(_SET_STATUS, values).rowcount == 0:
            return False
    connection.executemany(_PUT_STEP, [step.values() for step in change.steps])
    if change.events:
        head = connection.execute(HEAD_SQL, (change.tenant_id,)).fetchone()
        connection.executemany(INSERT_SQL, chained_rows(change.tenant_id, head, change.events))
    return change.run_id if change.new_run is not None else True


def _run_values(record: RunRecord) -> tuple[Any, ...]:
    return (
        record.id,
        record.tenant_id,
        record.subject,
        record.mode,
        record.plan,
        record.plan_hash,
        canonical(record.input),
        record.trigger_type,
        record.triggered_by,
        record.logical_time,
        canonical(record.facts),
        record.idempotency_key,
        record.created_at,
    )
