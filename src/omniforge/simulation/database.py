"""SQLite without threads: the real queries and the real file, every one of them done at once and in order."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import AsyncAdaptedQueuePool
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from omniforge.db import Base, Database

Pause = Callable[[], Awaitable[None]]


class _Cursor:
    """A cursor whose coroutines never wait."""

    def __init__(self, cursor: sqlite3.Cursor) -> None:
        self._cursor = cursor
        self.arraysize = 1

    @property
    def description(self) -> Any:
        return self._cursor.description

    @property
    def rowcount(self) -> int:
        return self._cursor.rowcount

    @property
    def lastrowid(self) -> int | None:
        return self._cursor.lastrowid

    async def __aenter__(self) -> _Cursor:
        return self

    async def execute(self, operation: str, parameters: Any = ()) -> None:
        self._cursor.execute(operation, parameters)

    async def executemany(self, operation: str, parameters: Any) -> None:
        self._cursor.executemany(operation, parameters)

    async def fetchone(self) -> Any:
        return self._cursor.fetchone()

    async def fetchmany(self, size: int = 1) -> list[Any]:
        return self._cursor.fetchmany(size)

    async def fetchall(self) -> list[Any]:
        return self._cursor.fetchall()

    async def close(self) -> None:
        self._cursor.close()


class _Connection:
    """What SQLAlchemy's dialect uses of an asynchronous connection."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._conn = connection
        self._connection: sqlite3.Connection | None = connection
        self._tx = self

    def put_nowait(self, item: tuple[asyncio.Future[Any], Callable[[], Any]]) -> None:
        """Where aiosqlite's thread takes its work from."""
        future, work = item
        future.set_result(work())

    def cursor(self) -> _Cursor:
        return _Cursor(self._conn.cursor())

    async def execute(self, operation: str, parameters: Any = ()) -> _Cursor:
        return _Cursor(self._conn.execute(operation, parameters))

    async def commit(self) -> None:
        self._conn.commit()

    async def rollback(self) -> None:
        self._conn.rollback()

    async def close(self) -> None:
        self._conn.close()
        self._connection = None

    async def create_function(self, *args: Any, **named: Any) -> None:
        self._conn.create_function(*args, **named)


async def _no_pause() -> None:
    return


class InlineDatabase(Database):
    """A SQLite file for one simulation after another. `before_read`, `after_read`: how long a query takes."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"sqlite+aiosqlite:///{path}")
        self.before_read: Pause = _no_pause
        self.after_read: Pause = _no_pause

        async def connect(*_args: Any, **_named: Any) -> Any:
            return _Connection(sqlite3.connect(path, check_same_thread=False))

        self.engine = create_async_engine(
            self.url, async_creator=connect, poolclass=AsyncAdaptedQueuePool, max_overflow=-1
        )
        self._prepare_sqlite()

    @asynccontextmanager
    async def read(self) -> AsyncGenerator[AsyncSession]:
        await self.before_read()
        if self.unsettled is not None:
            async with self._turn():
                pass
        session = AsyncSession(self.engine, expire_on_commit=False)
        try:
            yield session
        finally:
            await session.close()  # here, not in a task of its own that dies with its process
        await self.after_read()

    def direct(self) -> sqlite3.Connection:
        """What is committed, as whoever opens the file sees it."""
        return sqlite3.connect(self.path, isolation_level=None)

    def clear(self) -> None:
        """As new."""
        for left in self.path.parent.glob(f"{self.path.name}-changes-*"):
            left.unlink()
        with sqlite3.connect(self.path, isolation_level=None) as connection:
            for table in reversed(Base.metadata.sorted_tables):
                connection.execute(f"DELETE FROM {table.name}")  # noqa: S608 - our own table names
            connection.execute("DELETE FROM sqlite_sequence")
        connection.close()
