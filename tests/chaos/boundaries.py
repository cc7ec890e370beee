"""Puts the deadly places around an engine: its journal is watched, its files and its connection are ours."""

from __future__ import annotations

import asyncio
import os
import random
from contextlib import suppress
from pathlib import Path
from typing import Any

from chaos.deaths import Boundary, Death
from chaos.outside import Outside, Told
from omniforge.db import Database
from omniforge.engine.change_files import ChangeFiles
from omniforge.engine.events import EventLog
from omniforge.engine.journal import Journal, Limits, SqliteJournal
from omniforge.engine.records import Change
from omniforge.engine.state import RunStatus, StepStatus

_STATUS, _ATTEMPT = 2, 3
"""Places in a step's row."""


class WatchedJournal:
    """Hands every change on, tells the outside which checkpoints hold, and dies around commits."""

    def __init__(self, inner: Journal, death: Death, outside: Outside) -> None:
        self.inner = inner
        self.death = death
        self.outside = outside

    async def open(self) -> None:
        await self.inner.open()

    async def close(self) -> None:
        await self.inner.close()

    def start(self, change: Change) -> asyncio.Future[str | None]:
        self.death.at(Boundary.BEFORE_START)
        future = self.inner.start(change)
        future.add_done_callback(lambda _: self.death.at(Boundary.AFTER_START))
        return future

    def write(self, change: Change) -> asyncio.Future[bool]:
        self.death.at(Boundary.BEFORE_COMMIT)
        future = self.inner.write(change)
        future.add_done_callback(lambda answer: self._durable(change, answer))
        return future

    def _durable(self, change: Change, answer: asyncio.Future[bool]) -> None:
        if answer.cancelled() or answer.exception() is not None or not answer.result():
            return
        self.death.at(Boundary.AFTER_COMMIT)
        for row in change.steps:
            if row[_STATUS] == StepStatus.COMPLETED.value:
                self.outside.tell(Told.DURABLE, f"{row[0]}/{row[1]}", row[_ATTEMPT])
        if change.status is RunStatus.WAITING and self.death.passes(Boundary.PARKED):
            self.death.come_within(0.1)


class TornFiles(ChangeFiles):
    """Dies with a part of a record written."""

    def __init__(self, database: Path, death: Death) -> None:
        super().__init__(database)
        self.death = death

    def append(self, data: bytes) -> None:
        before = self._lengths()
        super().append(data)
        if self.death.passes(Boundary.MID_COMMIT):
            for path, old, now in zip(self.paths, before, self._lengths(), strict=True):
                if now > old:
                    os.truncate(path, random.randrange(old, now))
            self.death.come()

    def _lengths(self) -> list[int]:
        return [path.stat().st_size for path in self.paths]


class MortalJournal(SqliteJournal):
    """Dies inside what the SQLite journal does by itself."""

    def __init__(self, db: Database, events: EventLog, death: Death) -> None:
        limits = Limits(copy_after=5) if death.boundary is Boundary.CHECKPOINT else Limits()
        super().__init__(db, events, limits)
        self.death = death
        self._files = TornFiles(db.path, death)

    async def open(self) -> None:
        await super().open()
        connection = self._connection
        if connection is None or self.death.boundary is not Boundary.APPLYING:
            return

        def step() -> int:
            if connection.in_transaction:
                self.death.at(Boundary.APPLYING)
            return 0

        connection.set_progress_handler(step, 20)

    async def _copy(self) -> None:
        if self.death.passes(Boundary.CHECKPOINT):
            self.death.come_within(0.004)
        await super()._copy()


class DeadlyWire:
    """Stands between this process and PostgreSQL, and ends the process around a COMMIT."""

    def __init__(self, server: Path, port: int, death: Death, folder: Path) -> None:
        self.server = server / f".s.PGSQL.{port}"
        self.here = folder / f".s.PGSQL.{port}"
        self.death = death

    async def open(self) -> None:
        self.here.parent.mkdir(parents=True)
        self.listening = await asyncio.start_unix_server(self._serve, self.here)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            above, below = await asyncio.open_unix_connection(self.server)
        except OSError:
            writer.close()
            return
        answers = asyncio.create_task(_carry(above, writer))
        with suppress(OSError):
            while data := await reader.read(1 << 20):
                if b"COMMIT" in data or b"journal_apply" in data:
                    await self._commit(data, below, answers)
                below.write(data)
                await below.drain()
        answers.cancel()
        for side in (writer, below):
            side.close()

    async def _commit(self, data: bytes, below: asyncio.StreamWriter, answers: asyncio.Task[Any]) -> None:
        if self.death.passes(Boundary.MID_COMMIT):
            below.write(data[: random.randrange(1, len(data))])
            await below.drain()
            self.death.come()
        if self.death.passes(Boundary.COMMIT_SENT):
            answers.cancel()
            below.write(data)
            await below.drain()
            await asyncio.sleep(random.uniform(0.005, 0.05))  # it is carried out there
            self.death.come()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(1 << 20):
            writer.write(data)
            await writer.drain()
    writer.close()
