"""Hears what other processes committed: PostgreSQL's notifications, on a connection of their own."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

import psycopg
from sqlalchemy import URL

from omniforge.engine.postgres import connect
from omniforge.engine.postgres_events import EVENTS_CHANNEL
from omniforge.engine.postgres_items import RUNS_CHANNEL

log = logging.getLogger(__name__)

RECONNECT_DELAY = 0.5
PROBE_EVERY = 10.0
"""Seconds of silence after which the connection is tried out."""


class Listener:
    """Calls `on_events` when events were committed, `on_run` with a run's id when somebody changed it.

    After a broken connection both are called, `on_run` with None: something may have been missed.
    """

    def __init__(self, url: URL, on_events: Callable[[], None], on_run: Callable[[str | None], None]) -> None:
        self._url = url
        self._on_events = on_events
        self._on_run = on_run
        self._task: asyncio.Task[None] | None = None
        self._listening = asyncio.Event()

    async def open(self) -> None:
        """Begin; returns when nothing can be missed any more."""
        self._task = asyncio.create_task(self._run())
        await self._listening.wait()

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
            for channel in (EVENTS_CHANNEL, RUNS_CHANNEL):
                await connection.execute(f"LISTEN {channel}".encode())
            self._listening.set()
            self._on_events()
            self._on_run(None)
            while True:
                async for notice in connection.notifies(timeout=PROBE_EVERY):
                    if notice.channel == EVENTS_CHANNEL:
                        self._on_events()
                    else:
                        self._on_run(notice.payload)
                await connection.execute(b"SELECT 1")
        finally:
            with suppress(psycopg.Error):
                await connection.close()
