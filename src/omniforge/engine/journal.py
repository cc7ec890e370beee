"""The journal: the one writer of runs, steps and their events, with group commit on SQLite."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from omniforge.core.errors import OmniForgeError, Unavailable
from omniforge.db import Database
from omniforge.db.reserve import disk_full, is_full
from omniforge.engine.applying import JournalTaken, apply_left, apply_rows, take_over
from omniforge.engine.change_files import ChangeFiles
from omniforge.engine.events import EventLog
from omniforge.engine.ledger import COUNT_UNFINISHED, Decided, Ledger, Row
from omniforge.engine.records import Change
from omniforge.engine.sqlite_file import begin_log_anew, connect, safe_on_disk

log = logging.getLogger(__name__)
T = TypeVar("T")

BUSY_DELAYS = (0.005, 0.02, 0.05, 0.1)
"""Seconds between tries while another process writes; the last one repeats."""


class JournalClosed(OmniForgeError):
    """The engine is shutting down and takes nothing new."""

    status = 503
    code = "unavailable"


@dataclass(frozen=True, slots=True)
class Limits:
    """How far the tables may be behind, and how large the files beside the database may become.

    settle_after: seconds that changes stay out of the tables while nobody reads. settle_at: as many changes
    are brought into them at once. settle_again: seconds until the next try when they could not be written.
    pending: while they cannot be written, no more changes than that are taken.
    copy_after: changes after which the write-ahead log is copied into the database, in the background.
    log: its size in bytes from which on writers wait until it is begun anew.
    busy: seconds that other programs may keep the database locked.
    """

    settle_after: float = 0.02
    settle_at: int = 500
    settle_again: float = 1.0
    pending: int = 20_000
    copy_after: int = 2_000
    log: int = 32 * 1024 * 1024
    busy: float = 15.0


class Journal(Protocol):
    """Makes changes durable. One per installation and store kind.

    `start` gives the id of the run: the given one, or that of the run which already has the idempotency key;
    None over the quota. `write` gives True, or False when the change was refused. Both return when it is
    durable.
    """

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    def start(self, change: Change) -> asyncio.Future[str | None]: ...

    def write(self, change: Change) -> asyncio.Future[bool]: ...


class SqliteJournal:
    """Writes changes with group commit: all changes of one turn of the event loop are one record of a file.

    A record is durable once it is written (and, with `synchronous=FULL`, synced). The tables follow, many
    changes in one transaction: when somebody reads, after a moment, and when enough have gathered. That
    transaction also notes how far the file has been applied, so a crash neither loses nor doubles anything;
    `open` applies what was left. Whoever wants events is told once the tables have them.
    """

    def __init__(self, db: Database, events: EventLog, limits: Limits = Limits()) -> None:
        if not db.is_sqlite:
            raise ValueError("SqliteJournal needs a SQLite database")
        self.db = db
        self.events = events
        self.limits = limits
        self.commits = 0
        self._inline = db.synchronous.upper() != "FULL"
        self._files = ChangeFiles(db.path)
        self._applied = 0
        self._closing = False
        self._taken: JournalTaken | None = None
        self._connection: sqlite3.Connection | None = None
        self._ledger = Ledger(self._read, {})
        self._queue: list[tuple[Change, asyncio.Future[Any]]] = []
        self._armed = False
        self._flushing: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._settling: asyncio.Task[None] | None = None
        self._copying: asyncio.Task[None] | None = None
        self._since_copy = 0

    async def open(self) -> None:
        """Apply what a crash left, and take over every unfinished run: who wrote before is refused now.

        `JournalDamaged` when what was left does not hold.
        """
        self._connection = await asyncio.to_thread(self._open)
        self._closing = False
        self.db.unsettled = None
        self.db.reserve.hold()

    def _open(self) -> sqlite3.Connection:
        connection = connect(self.db.path)
        try:
            self._files.open()
            self._applied = apply_left(connection, self._files, self.db.path)
            take_over(connection)
            self._ledger = Ledger(self._read, dict(connection.execute(COUNT_UNFINISHED).fetchall()))
            connection.execute("PRAGMA busy_timeout=0")  # the loop must not sleep: see _patiently
        except BaseException:
            self._files.close()
            connection.close()
            raise
        return connection

    async def close(self) -> None:
        """Write what has been handed in, bring the tables up to date, then close."""
        connection = self._connection
        if connection is None:
            return
        self._closing = True
        while self._queue or self._flushing is not None:
            await (self._flushing or asyncio.sleep(0))
        if self._timer is not None:
            self._timer.cancel()
        for task in (self._settling, self._copying):
            if task is not None:
                await task
        async with self.db.gate:
            try:
                await self._settle(connection)
                await asyncio.to_thread(safe_on_disk, self.db.path)
                self._files.empty()
            except (Unavailable, sqlite3.Error, OSError):
                log.warning(
                    "the tables could not be brought up to date; the next start does it", exc_info=True
                )
        self._connection = None
        self.db.unsettled = None
        self._files.close()
        self.db.reserve.give_up()
        connection.close()

    def start(self, change: Change) -> asyncio.Future[str | None]:
        return self._submit(change)

    def write(self, change: Change) -> asyncio.Future[bool]:
        return self._submit(change)

    def _submit(self, change: Change) -> asyncio.Future[Any]:
        if self._connection is None or self._closing:
            raise JournalClosed("The engine is shutting down; try again in a moment.")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        self._queue.append((change, future))
        if not self._armed:
            self._armed = True
            loop.call_soon(self._flush)
        return future

    # --- changes become durable ----------------------------------------------------------------------------

    def _flush(self) -> None:
        """Write at once when nobody else writes, else as soon as the gate is free."""
        if self._inline and not self.db.gate.locked() and self._ledger.pending.changes < self.limits.pending:
            batch, self._queue = self._queue, []
            try:
                decided = self._append([change for change, _ in batch])
            except Exception:  # noqa: BLE001 - sorted out, one change at a time, where one may wait
                self._queue = batch
            else:
                self._armed = False
                self._keep(decided)
                _deliver(batch, decided.answers)
                return
        self._flushing = asyncio.create_task(self._flush_in_turn())

    async def _flush_in_turn(self) -> None:
        try:
            async with self.db.gate:
                while self._queue:
                    batch, self._queue = self._queue, []
                    await self._commit(batch)
        finally:
            self._armed = False
            self._flushing = None

    async def _commit(self, batch: Sequence[tuple[Change, asyncio.Future[Any]]]) -> None:
        """One record for the whole batch; when that fails, one each, so only the bad change suffers."""
        try:
            decided = await self._append_patiently([change for change, _ in batch])
        except Exception as error:
            # The path ends here: whatever a change holds, the writer goes on for everybody else.
            problem = _translated(error)
            if len(batch) > 1 and not isinstance(problem, Unavailable):
                for item in batch:
                    await self._commit([item])
                return
            log.warning("the journal could not write", exc_info=error)
            _deliver(batch, [problem] * len(batch))
            return
        self._keep(decided)
        _deliver(batch, decided.answers)

    async def _append_patiently(self, changes: Sequence[Change]) -> Decided:
        if self._ledger.pending.changes >= self.limits.pending:
            await self._settle_now()
        mark = self._files.mark()
        decided = await self._patiently(lambda: self._append(changes))
        if not self._inline:
            try:
                await asyncio.to_thread(self._files.sync)
            except BaseException:
                self._files.take_back(*mark)
                raise
        return decided

    def _append(self, changes: Sequence[Change]) -> Decided:
        if self._connection is None:
            raise JournalClosed("The engine is shutting down; try again in a moment.")
        if self._taken is not None:
            raise self._taken
        if not self.db.reserve.is_held and not self.db.reserve.hold():
            raise disk_full()
        decided = self._ledger.decide(changes)
        if decided.rows.changes:
            try:
                self._files.append(decided.rows.to_json())
            except OSError as error:
                if is_full(error):
                    self.db.reserve.give_up()
                raise
            self.commits += 1
        return decided

    def _keep(self, decided: Decided) -> None:
        if not decided.rows.changes:
            return
        ledger = self._ledger
        ledger.keep(decided)
        self.db.unsettled = self._settle_now
        if ledger.pending.changes < self.limits.settle_at:
            if self._timer is None:
                self._settle_later(self.limits.settle_after)
        elif self._settling is None:
            self._settling = asyncio.create_task(self._settle_in_turn())

    # --- the tables follow ---------------------------------------------------------------------------------

    def _settle_later(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._closing:
            return
        self._timer = asyncio.get_running_loop().call_later(seconds, self._settle_soon)

    def _settle_soon(self) -> None:
        self._timer = None
        if self._settling is None and self._ledger.pending.changes and not self._closing:
            self._settling = asyncio.create_task(self._settle_in_turn())

    async def _settle_in_turn(self) -> None:
        try:
            async with self.db.gate:
                await self._settle_now()
        except (Unavailable, JournalClosed):
            log.warning("the tables could not be brought up to date now", exc_info=True)
            self._settle_later(self.limits.settle_again)
        finally:
            self._settling = None

    async def _settle_now(self) -> None:
        if self._connection is None:
            raise JournalClosed("The engine is shutting down; try again in a moment.")
        await self._settle(self._connection)

    async def _settle(self, connection: sqlite3.Connection) -> None:
        """Bring the tables up to date; the gate is held. Unavailable when that cannot be done now."""
        if not self._ledger.pending.changes:
            return
        try:
            await self._patiently(lambda: self._apply(connection))
        except JournalTaken as error:
            self._taken = error
            raise
        except sqlite3.Error as error:
            raise _translated(error) from error
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _apply(self, connection: sqlite3.Connection) -> None:
        pending = self._ledger.pending
        try:
            apply_rows(connection, pending, self._applied, self._files.number)
        except sqlite3.OperationalError as error:
            if not is_full(error) or not self.db.reserve.give_up():
                raise
            apply_rows(connection, pending, self._applied, self._files.number)
        self._applied = self._files.number
        self._ledger.forget_pending()
        self.db.unsettled = None
        self.events.announce()
        self._since_copy += pending.changes
        if self._since_copy >= self.limits.copy_after and self._copying is None and not self._closing:
            self._since_copy = 0
            self._copying = asyncio.create_task(self._copy())

    async def _patiently(self, act: Callable[[], T]) -> T:
        """Do something with the database, again and again while another program keeps it locked."""
        waited, tries = 0.0, 0
        while True:
            try:
                return act()
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF not in _BUSY or waited > self.limits.busy:
                    raise
                delay = BUSY_DELAYS[min(tries, len(BUSY_DELAYS) - 1)]
                waited, tries = waited + delay, tries + 1
                await asyncio.sleep(delay)

    async def _copy(self) -> None:
        """See to it that the files and the write-ahead log stay small."""
        try:
            async with self.db.gate:
                if self._files.spare_is_empty:
                    await self._settle_now()
                    self._files.switch()
            size = await asyncio.to_thread(safe_on_disk, self.db.path)
            if self._connection is None:
                return
            self._files.empty_spare()
            if size > self.limits.log:
                async with self.db.gate:
                    await asyncio.to_thread(begin_log_anew, self.db.path)
        except (Unavailable, JournalClosed, sqlite3.Error, OSError):
            log.warning("the write-ahead log could not be copied now", exc_info=True)
        finally:
            self._copying = None

    def _read(self, query: str, values: Row) -> Row | None:
        assert self._connection is not None  # noqa: S101 - for the type checker
        return self._connection.execute(query, values).fetchone()


_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})


def _deliver(batch: Sequence[tuple[Change, asyncio.Future[Any]]], answers: Sequence[Any]) -> None:
    for (_, future), answer in zip(batch, answers, strict=True):
        if future.done():
            continue
        if isinstance(answer, BaseException):
            future.set_exception(answer)
        else:
            future.set_result(answer)


def _translated(error: Exception) -> Exception:
    if is_full(error):
        return disk_full()
    if isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode & 0xFF in _BUSY:
        return Unavailable("Another program keeps the database locked.", code="database_locked")
    if isinstance(error, sqlite3.Error | OSError):
        return Unavailable(f"The database could not be written: {error}", code="database_down")
    return error
