"""Sessions over one database. On SQLite every write takes its turn at one gate, so writers never collide."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, create_async_engine

from omniforge.db.base import Base

BUSY_TIMEOUT_MS = 10_000


def sqlite_pragmas(synchronous: str) -> tuple[str, ...]:
    """The pragmas every SQLite connection of ours starts with."""
    return (
        "PRAGMA journal_mode=WAL",
        f"PRAGMA synchronous={synchronous}",
        f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}",
        "PRAGMA foreign_keys=ON",
    )


class Database:
    """One database. `read()` gives a session for queries, `transaction()` one that commits at its end.

    SQLite has one writer: `gate` is held by whoever writes, in this process, so that nobody waits in
    SQLite's own sleep-and-retry. Writing transactions start with BEGIN IMMEDIATE.
    """

    def __init__(self, url: str, *, synchronous: str = "NORMAL") -> None:
        self.url = make_url(url)
        self.synchronous = synchronous
        self.gate = threading.Lock()
        self._queue = asyncio.Lock()
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.engine = create_async_engine(self.url)
        if self.is_sqlite:
            self._prepare_sqlite()

    @property
    def path(self) -> Path:
        """File of a SQLite database."""
        return Path(str(self.url.database))

    def _prepare_sqlite(self) -> None:
        if self.url.database in (None, "", ":memory:"):
            raise ValueError("a SQLite database here is a file: several connections share it")
        self.path.parent.mkdir(parents=True, exist_ok=True)

        @event.listens_for(self.engine.sync_engine, "connect")
        def connect(connection: Any, _record: Any) -> None:  # pyright: ignore[reportUnusedFunction]
            connection.isolation_level = None
            cursor = connection.cursor()
            for pragma in sqlite_pragmas(self.synchronous):
                cursor.execute(pragma)
            cursor.close()

        @event.listens_for(self.engine.sync_engine, "begin")
        def begin(connection: Any) -> None:  # pyright: ignore[reportUnusedFunction]
            writes = connection.get_execution_options().get("writes", False)
            connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    @asynccontextmanager
    async def read(self) -> AsyncGenerator[AsyncSession]:
        """A session for queries; what it changes is never committed."""
        async with AsyncSession(self.engine, expire_on_commit=False) as session:
            yield session

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[AsyncSession]:
        """A session whose changes commit together at the end, or not at all.

        Functions in `session.info["after_commit"]` are called once the commit is done. Keep it short: on
        SQLite everybody else who writes waits, so nothing slow, and never the journal, is awaited inside.
        """
        async with self._turn(), self.engine.connect() as connection:
            if self.is_sqlite:
                await connection.execution_options(writes=True)
            async with AsyncSession(connection, expire_on_commit=False) as session:
                async with session.begin():
                    yield session
                for call in session.info.get("after_commit", ()):
                    call()

    @asynccontextmanager
    async def _turn(self) -> AsyncGenerator[None]:
        if not self.is_sqlite:
            yield
            return
        async with self._queue:  # so that at most one pool thread ever waits for the gate
            await _acquire(self.gate)
            try:
                yield
            finally:
                self.gate.release()

    async def create_tables(self) -> None:
        """Create every table that is missing (tests; installations use migrations)."""
        async with self.engine.begin() as connection:
            await _create_all(connection)

    async def close(self) -> None:
        await self.engine.dispose()


async def _create_all(connection: AsyncConnection) -> None:
    await connection.run_sync(Base.metadata.create_all)


async def _acquire(gate: threading.Lock) -> None:
    """Take a thread lock without stopping the event loop; a cancelled waiter gives it back."""
    if gate.acquire(blocking=False):
        return
    waiting = asyncio.ensure_future(asyncio.to_thread(gate.acquire))
    try:
        await asyncio.shield(waiting)
    except asyncio.CancelledError:
        waiting.add_done_callback(lambda _: gate.release())
        raise
