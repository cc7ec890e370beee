"""Sessions over one database. Every write takes its turn at one gate, so writers never collide."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, create_async_engine
from sqlalchemy.pool import QueuePool

from omniforge.db.base import Base
from omniforge.db.reserve import Reserve, disk_full, is_full

BUSY_TIMEOUT_MS = 10_000
WRITERS_LOCK = 0x77726974
"""Advisory lock of the one session that writes, over all processes of an installation on PostgreSQL."""
PATIENCE, PATIENCE_STEPS = 2.0, 200
"""Seconds a connection in use is waited for at the end, and how often it is looked at meanwhile."""
IDLE_LIMIT = "15s"
"""How long PostgreSQL waits in a transaction for a process that may be frozen before it lets its locks go."""


def address(url: str | URL) -> URL:
    """The address of a database, with the driver that we use."""
    made = make_url(url)
    is_postgres = made.get_backend_name() in ("postgresql", "postgres")
    return made.set(drivername="postgresql+psycopg") if is_postgres else made


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
    SQLite's own sleep-and-retry. Writing transactions start with BEGIN IMMEDIATE. On PostgreSQL they start
    with one lock, so that what reads before it writes is as safe there. The journal has its own locks.
    """

    def __init__(self, url: str, *, synchronous: str = "NORMAL") -> None:
        self.url = address(url)
        self.synchronous = synchronous
        self.gate = asyncio.Lock()
        self.unsettled: Callable[[], Awaitable[None]] | None = None
        """Set while tables are behind what is durable: brings them up to date. Called with the gate held."""
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.engine = create_async_engine(self.url, **({} if self.is_sqlite else _SERVER))
        if self.is_sqlite:
            self.reserve = Reserve(self.path)
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
        """A session for queries; what it changes is never committed.

        It sees what was durable when it was asked for.
        """
        if self.unsettled is not None:
            async with self._turn():
                pass
        async with AsyncSession(self.engine, expire_on_commit=False) as session:
            yield session

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[AsyncSession]:
        """A session whose changes commit together at the end, or not at all.

        Functions in `session.info["before_commit"]` are awaited last before the commit, those in
        `session.info["after_commit"]` called once it is done. Keep it short: everybody else who writes
        waits, so nothing slow, and never the journal, is awaited inside. `Unavailable` when the disk is full.
        """
        try:
            async with self._turn(), self._connected() as session:
                yield session
        except OperationalError as error:
            if not self.is_sqlite or not is_full(error.orig):
                raise
            self.reserve.give_up()
            raise disk_full() from error

    @asynccontextmanager
    async def _connected(self) -> AsyncGenerator[AsyncSession]:
        async with self.engine.connect() as connection:
            if self.is_sqlite:
                await connection.execution_options(writes=True)
            async with AsyncSession(connection, expire_on_commit=False) as session:
                async with session.begin():
                    if not self.is_sqlite:
                        await session.execute(_LOCK_WRITERS)
                    yield session
                    for finish in session.info.get("before_commit", ()):
                        await finish()
                for call in session.info.get("after_commit", ()):
                    call()

    @asynccontextmanager
    async def _turn(self) -> AsyncGenerator[None]:
        async with self.gate:
            if self.unsettled is not None:
                await self.unsettled()
            yield

    async def create_tables(self) -> None:
        """Create every table that is missing (tests; installations use migrations)."""
        async with self.engine.begin() as connection:
            await _create_all(connection)

    async def close(self) -> None:
        """A connection that is still in use, by what was cancelled a moment ago, is waited for: once the pool
        is gone nobody would close it."""
        pool = self.engine.pool
        for _ in range(PATIENCE_STEPS):
            if not isinstance(pool, QueuePool) or not pool.checkedout():
                break
            await asyncio.sleep(PATIENCE / PATIENCE_STEPS)
        await self.engine.dispose()


_LOCK_WRITERS = text(f"SELECT pg_advisory_xact_lock({WRITERS_LOCK})")
_SERVER: dict[str, Any] = {
    "pool_pre_ping": True,  # the server may have been restarted since a connection was used last
    "pool_size": 10,
    "max_overflow": 20,
    "connect_args": {
        "options": f"-c idle_in_transaction_session_timeout={IDLE_LIMIT}",
        "application_name": "omniforge",
        "keepalives_idle": 10,
        "tcp_user_timeout": 20_000,
    },
}


async def _create_all(connection: AsyncConnection) -> None:
    await connection.run_sync(Base.metadata.create_all)
