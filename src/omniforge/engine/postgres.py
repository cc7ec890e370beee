"""The journal on PostgreSQL: changes of many processes, group commit in each, no outcome ever guessed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import AsyncConnection
from sqlalchemy import URL

from omniforge.core.clock import new_id
from omniforge.core.errors import OmniForgeError, Unavailable
from omniforge.db import Database
from omniforge.engine.events import EventLog
from omniforge.engine.journal import JournalClosed
from omniforge.engine.postgres_events import lock_key, tenant_locks
from omniforge.engine.postgres_items import (
    NOT_THE_NEXT,
    Claim,
    Grant,
    Item,
    LineUp,
    Look,
    Timer,
    apply_function,
    as_json,
)
from omniforge.engine.records import Change
from omniforge.engine.store import RunRow, StepRow

log = logging.getLogger(__name__)

MAX_BATCH = 1_000
LINGER = 0.002
"""Seconds that a change waits for company when the last one had some."""
RECONNECT_DELAYS = (0.05, 0.2, 0.5, 1.0)
PATIENCE = 30.0
"""Seconds without a server after which changes that are surely not durable are given back."""
CLOSING_PATIENCE = 5.0
SESSION = b"""
SELECT set_config('omniforge.durability', current_setting('synchronous_commit'), false),
       set_config('synchronous_commit', 'off', false), set_config('statement_timeout', '60s', false)"""
"""A batch lets its locks go before it is on disk; whoever waits for it waits for FLUSH, which follows it."""
FLUSH = b"""
SELECT set_config('synchronous_commit', current_setting('omniforge.durability'), true),
       pg_logical_emit_message(true, 'omniforge', '')"""
"""A transaction that ends when everything before it is as durable as the server was told to make things."""
_PASS_OVER = (
    b"UPDATE journal_writers SET batch = batch + 1, at = now() WHERE id = %s AND batch = %s RETURNING 1"
)
_ANSWERS = b"SELECT answers::json FROM journal_writers WHERE id = %s"
OLD_WRITERS = "DELETE FROM journal_writers WHERE at < now() - interval '30 days'"


class ServerLost(Exception):
    """The connection broke. What was sent may or may not have been carried out."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A run that was taken over, as it stood at that moment. `run` is None when only the epoch is known."""

    epoch: int
    run: RunRow | None = None
    steps: Sequence[StepRow] = ()


class PostgresJournal:
    """Writes changes with group commit: whatever queued up during one transaction is the next one.

    `start` and `write` answer as on SQLite, once the change is durable. When the server goes away, changes
    wait for it; one that was being committed is looked up before it is written again.
    """

    def __init__(self, db: Database, events: EventLog, *, places: int) -> None:
        if db.is_sqlite:
            raise ValueError("PostgresJournal needs a PostgreSQL database")
        self.db = db
        self.events = events
        self.places = places
        self.writer = new_id("writer")
        self.commits = 0
        self._number = 0
        """Of the last batch that was committed, or that can never be."""
        self._name, self._definition = apply_function()
        self._plans: set[str] = set()
        self._queue: list[tuple[Item, asyncio.Future[Any]]] = []
        self._arrived = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._connection: AsyncConnection[Any] | None = None
        self._closing = False

    async def open(self) -> None:
        connection = await self._connected()
        await connection.execute(OLD_WRITERS)
        await self._define(connection)
        await self._register(connection)
        self._closing = False
        self._task = asyncio.create_task(self._write_loop())

    async def close(self) -> None:
        """Write what has been handed in, then close; without a server, give up after a moment."""
        task, self._task = self._task, None
        if task is None:
            return
        self._closing = True
        self._arrived.set()
        await asyncio.wait([task], timeout=CLOSING_PATIENCE)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        for _, future in self._queue:
            if not future.done():
                future.set_exception(JournalClosed("The engine is shutting down; try again in a moment."))
        self._queue.clear()
        if self._connection is not None:
            with suppress(psycopg.Error):
                await self._connection.execute("DELETE FROM journal_writers WHERE id = %s", (self.writer,))
            await self._connection.close()
            self._connection = None

    def start(self, change: Change) -> asyncio.Future[str | None]:
        return self._submit(change)

    def write(self, change: Change) -> asyncio.Future[bool]:
        return self._submit(change)

    async def claim(self, run_id: str, tenant_id: str) -> Claimed | None:
        """Take a run over; None when there is nothing to drive."""
        found: dict[str, Any] | None = await self._submit(Claim(run_id, tenant_id))
        if found is None:
            return None
        run = RunRow(**found["run"]) if "run" in found else None
        return Claimed(found["epoch"], run, [StepRow(**step) for step in found.get("steps", ())])

    def line_up(self, run_id: str, tenant_id: str, wake_at: str | None = None) -> asyncio.Future[bool]:
        """Have a run driven; with `wake_at` only if it still waits for that moment."""
        return self._submit(LineUp(run_id, tenant_id, wake_at))

    def look(self, run_id: str, tenant_id: str) -> asyncio.Future[bool]:
        """Say, before reading it, that the driver of a run looks at what was asked of it."""
        return self._submit(Look(run_id, tenant_id))

    def grant(self, tenant_id: str) -> asyncio.Future[bool]:
        """Give the tenant's free places away."""
        return self._submit(Grant(tenant_id))

    def set_timer(self, run_id: str, tenant_id: str, wake_at: str) -> asyncio.Future[bool]:
        """Have a waiting run lined up at that moment."""
        return self._submit(Timer(run_id, tenant_id, wake_at))

    def _submit(self, item: Item) -> asyncio.Future[Any]:
        if self._task is None:
            raise JournalClosed("The engine is shutting down; try again in a moment.")
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._queue.append((item, future))
        self._arrived.set()
        return future

    async def _write_loop(self) -> None:
        together = 0
        while self._queue or not self._closing:
            if not self._queue:
                self._arrived.clear()
                await self._arrived.wait()
                continue
            if together > 1:
                await asyncio.sleep(LINGER)
            batch, self._queue = self._queue[:MAX_BATCH], self._queue[MAX_BATCH:]
            together = len(batch)
            try:
                await self._commit(batch)
            except BaseException:
                self._queue = [item for item in batch if not item[1].done()] + self._queue
                raise

    async def _commit(self, batch: Sequence[tuple[Item, asyncio.Future[Any]]]) -> None:
        """One transaction for the whole batch; when it fails, one each, so only the bad change suffers."""
        try:
            answers: list[Any] = await self._durably([item for item, _ in batch])
        except Exception as error:
            # The path ends here: whatever a change holds, the writer goes on for everybody else.
            if len(batch) > 1 and not isinstance(error, Unavailable):
                for item in batch:
                    await self._commit([item])
                return
            log.warning("the journal could not write", exc_info=error)
            answers = [error] * len(batch)
        for (_, future), answer in zip(batch, answers, strict=True):
            if future.done():
                continue
            if isinstance(answer, BaseException):
                future.set_exception(answer)
            else:
                future.set_result(answer)
        self.events.announce()

    async def _durably(self, items: Sequence[Item]) -> list[Any]:
        """The answers, once they are durable. Errors mean that nothing of it is."""
        text = as_json(items, self._plans)
        locks = tenant_locks(item.tenant_id for item in items)
        loop = asyncio.get_running_loop()
        give_up, tries, in_doubt = loop.time() + PATIENCE, 0, False
        while True:
            try:
                connection = await self._connected()
                answers = await self._look_up(connection) if in_doubt else None
                in_doubt = answers is None
                if answers is None:
                    answers = await self._apply(connection, locks, text)
                break
            except ServerLost as error:
                if not in_doubt and loop.time() > give_up:
                    raise Unavailable("The database does not answer.", code="database_down") from error
                await asyncio.sleep(RECONNECT_DELAYS[min(tries, len(RECONNECT_DELAYS) - 1)])
                tries += 1
            except psycopg.Error as error:
                # The server refused it, so none of it holds. Only what met another writer is tried again.
                in_doubt = error.sqlstate == NOT_THE_NEXT
                passing = in_doubt or (error.sqlstate or "").startswith("40")
                if not passing or loop.time() > give_up:
                    raise _translated(error) from error
        self._number += 1
        self.commits += 1
        self._plans |= {
            item.new_run.plan_hash
            for item in items
            if isinstance(item, Change) and item.new_run and item.plan
        }
        return answers

    async def _apply(self, connection: AsyncConnection[Any], locks: list[int], text: str) -> list[Any]:
        query = f"SELECT {self._name}(%s, %s, %s::bigint[], %s::jsonb, %s)".encode()
        values = (self.writer, self._number + 1, locks, text, self.places)
        with _lost(connection):
            async with connection.pipeline() as pipeline:
                applied = await connection.execute(query, values)
                await pipeline.sync()
                await connection.execute(FLUSH)
            found = await applied.fetchone()
        assert found is not None  # noqa: S101 - a function gives one row
        return found[0]

    async def _look_up(self, connection: AsyncConnection[Any]) -> list[Any] | None:
        """The answers of the batch whose reply did not arrive; None when it does not hold, and never will.

        Waits for the connection that sent it, which has our row locked if it is at work. If it was not, the
        row is moved on: then the batch is not the next one any more, should it still arrive.
        """
        try:
            await self._register(connection)
            if await _ask(connection, _PASS_OVER, (self.writer, self._number)):
                self._number += 1
                return None
            found = await _ask(connection, _ANSWERS, (self.writer,))
            await _ask(connection, FLUSH, ())
            return found[0][0]
        except psycopg.Error as error:  # it is as unknown as before
            raise ServerLost(str(error)) from error

    async def _define(self, connection: AsyncConnection[Any]) -> None:
        """Create the function that applies batches, unless a process has done so before."""
        async with connection.transaction():
            await _ask(connection, b"SELECT pg_advisory_xact_lock(%s)", (lock_key("functions"),))
            query = b"SELECT 1 FROM pg_proc WHERE proname = %s AND pg_function_is_visible(oid)"
            if not await _ask(connection, query, (self._name,)):
                await connection.execute(self._definition.encode())

    async def _register(self, connection: AsyncConnection[Any]) -> None:
        query = (
            b"INSERT INTO journal_writers (id, batch, at) VALUES (%s, %s, now()) ON CONFLICT (id) DO NOTHING"
        )
        await _ask(connection, query, (self.writer, self._number))

    async def _connected(self) -> AsyncConnection[Any]:
        connection = self._connection
        if connection is not None and not connection.closed:
            return connection
        try:
            self._connection = await connect(self.db.url, "omniforge journal")
            await self._connection.execute(SESSION)
        except psycopg.Error as error:
            raise ServerLost(str(error)) from error
        return self._connection


async def connect(url: URL, name: str) -> AsyncConnection[Any]:
    """A connection of its own to the database, in autocommit, that notices when the other side is gone."""
    return await AsyncConnection.connect(
        url.set(drivername="postgresql").render_as_string(hide_password=False),
        autocommit=True,
        connect_timeout=5,
        application_name=name,
        keepalives_idle=10,
        keepalives_interval=5,
        keepalives_count=3,
        tcp_user_timeout=20_000,
    )


async def _ask(
    connection: AsyncConnection[Any], query: bytes, values: tuple[Any, ...]
) -> list[tuple[Any, ...]]:
    """The rows of one statement."""
    with _lost(connection):
        async with connection.cursor() as cursor:
            await cursor.execute(query, values)
            return await cursor.fetchall() if cursor.description else []


@contextmanager
def _lost(connection: AsyncConnection[Any]) -> Generator[None]:
    """`ServerLost` in place of an error that broke the connection."""
    try:
        yield
    except psycopg.Error as error:
        if connection.closed:
            raise ServerLost(str(error)) from error
        raise


def _translated(error: psycopg.Error) -> OmniForgeError | psycopg.Error:
    match error.sqlstate:
        case "53100":
            return Unavailable("The disk of the database is full; free some space.", code="disk_full")
        case "25006":
            return Unavailable("The database takes no writes now.", code="database_read_only")
        case "57014" | "55P03":
            return Unavailable("The database is too busy; try again in a moment.", code="database_locked")
        case _:
            return error
