"""Hears what other processes committed: PostgreSQL's notifications, on a connection of their own."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

import psycopg
from sqlalchemy import URL

from omniforge.engine.postgres import connect

log = logging.getLogger(__name__)

RECONNECT_DELAY = 0.5
PROBE_EVERY = 10.0
"""Seconds of silence after which the connection is tried out."""


class Listener:
    """Calls `heard` with each notification of a channel, from `begin` on.

    It is called with None once it listens, and after a broken connection: something may have been missed.
    """

    def __init__(self, url: URL, channel: str, heard: Callable[[str | None], None]) -> None:
        self._url = url
        self._channel = channel
        self._heard = heard
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Listen, if this does not listen yet."""
        if self._task is None:
            self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            try:
                await self._listen()
            except psycopg.Error as error:
                log.warning("the connection for notifications broke; making another: %s", error)
            await asyncio.sleep(RECONNECT_DELAY)

    async def _listen(self) -> None:
        connection = await connect(self._url, "omniforge listener")
        try:
            await connection.execute(f"LISTEN {self._channel}".encode())
            self._heard(None)
            while True:
                async for notice in connection.notifies(timeout=PROBE_EVERY):
                    self._heard(notice.payload)
                await connection.execute(b"SELECT 1")
        finally:
            with suppress(psycopg.Error):
                await connection.close()
