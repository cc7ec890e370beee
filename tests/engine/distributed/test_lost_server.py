"""PostgreSQL stops, or crashes, while work goes on: what was told durable is, once, and nothing is lost."""

from __future__ import annotations

import asyncio
import random
import signal
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fleet import Fleet, chain
from omniforge.core.clock import rfc3339
from omniforge.db import Database
from omniforge.engine.events import Event, first_broken
from omniforge.engine.plan import Plan, Step
from omniforge.engine.postgres import PostgresJournal
from omniforge.engine.records import Change, RunRecord
from omniforge.engine.stores import event_log
from postgres_server import PostgresServer

NOW = datetime(2026, 1, 5, 8, 30, tzinfo=UTC)
PLAN = Plan((Step(key="a", kind="do"),))


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A server of its own that forgets nothing it has confirmed."""
    made = PostgresServer.start(synchronous_commit="on", full_page_writes="on")
    yield made
    made.close()


@pytest.fixture
async def database(server: PostgresServer) -> AsyncIterator[Database]:
    name = server.create_database()
    db = Database(server.url(name))
    await db.create_tables()
    yield db
    await db.close()


async def interrupt(server: PostgresServer, times: int) -> None:
    for number in range(times):
        await asyncio.sleep(random.uniform(0.05, 0.3))
        server.stop((signal.SIGINT, signal.SIGQUIT)[number % 2])
        await asyncio.sleep(random.uniform(0.0, 0.2))
        server.run()


async def test_every_change_is_written_once_however_often_the_server_goes(
    server: PostgresServer, database: Database
) -> None:
    events = event_log(database)
    journal = PostgresJournal(database, events, places=5)
    await journal.open()
    done = False

    async def write_on(tenant: str) -> list[str]:
        record = RunRecord(
            tenant, tenant, "s", "live", PLAN.hash, {}, "x", "me", rfc3339(NOW), {}, None, rfc3339(NOW)
        )
        assert await journal.start(Change(tenant, tenant, new_run=record, plan=PLAN)) == tenant
        told: list[str] = []
        while not done:
            name = f"{tenant}-{len(told)}"
            assert await journal.write(
                Change(tenant, tenant, epoch=0, events=[Event("thing.told", name, NOW, "me")])
            )
            told.append(name)
        return told

    writers = [asyncio.create_task(write_on(f"t{number % 4}-{number}")) for number in range(12)]
    await interrupt(server, 8)
    done = True
    told = [name for names in await asyncio.gather(*writers) for name in names]
    assert len(told) > 100
    await journal.close()
    for tenant in {name.rpartition("-")[0] for name in told}:
        rows = await events.read(tenant, limit=100_000)
        mine = [name for name in told if name.rpartition("-")[0] == tenant]
        assert Counter(row.entity for row in rows) == Counter(mine)
        async with database.read() as session:
            assert await first_broken(session, tenant) is None


class CuttingProxy:
    """Stands before the server and cuts connections at a change: before it arrives, or before its answer."""

    def __init__(self, server: PostgresServer, folder: Path) -> None:
        self.server, self.folder = server, folder
        self.cuts: list[str] = []

    async def open(self) -> None:
        name = f".s.PGSQL.{self.server.port}"
        self.listening = await asyncio.start_unix_server(self._serve, self.folder / name)

    async def close(self) -> None:
        self.listening.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = self.server.folder / f".s.PGSQL.{self.server.port}"
        above, below = await asyncio.open_unix_connection(path)
        answers = asyncio.create_task(self._carry(above, writer))
        try:
            while data := await reader.read(1 << 20):
                if b"thing.told" in data and self.cuts:
                    if self.cuts.pop() == "after":
                        answers.cancel()
                        below.write(data)
                        await above.read(1)  # it is done there, and nobody is told
                    return
                below.write(data)
        finally:
            answers.cancel()
            for side in (writer, below):
                side.close()

    async def _carry(self, above: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await above.read(1 << 20):
            writer.write(data)


async def test_a_commit_whose_answer_was_lost_is_looked_up(
    server: PostgresServer, database: Database, tmp_path: Path
) -> None:
    proxy = CuttingProxy(server, tmp_path)
    await proxy.open()
    behind = Database(str(database.url.set(query={**database.url.query, "host": str(tmp_path)})))
    events = event_log(database)
    journal = PostgresJournal(behind, events, places=5)
    await journal.open()
    record = RunRecord("r", "t", "s", "live", PLAN.hash, {}, "x", "me", rfc3339(NOW), {}, None, rfc3339(NOW))
    assert await journal.start(Change("r", "t", new_run=record, plan=PLAN)) == "r"
    for number, cut in enumerate(["after", "before", "after", "after", "before"]):
        proxy.cuts = [cut]
        happened = Event("thing.told", f"n{number}", NOW, "me")
        assert await journal.write(Change("r", "t", epoch=0, events=[happened]))
        assert proxy.cuts == []
    assert [row.entity for row in await events.read("t")] == ["n0", "n1", "n2", "n3", "n4"]
    await journal.close()
    await behind.close()
    await proxy.close()


async def test_runs_go_on_when_the_server_is_back(
    server: PostgresServer, database: Database, tmp_path: Path
) -> None:
    fleet = Fleet(str(database.url), tmp_path / "steps.log", database)
    await fleet.engine.open()
    await fleet.add_workers(2)
    try:
        ids = await asyncio.gather(*(fleet.start("t", n, chain(4)) for n in range(40)))
        await interrupt(server, 3)
        more = await asyncio.gather(*(fleet.start("t", 40 + n, chain(4)) for n in range(5)))
        async with asyncio.timeout(60):
            while await fleet.rows("SELECT 1 FROM runs WHERE status <> 'completed' LIMIT 1"):
                await asyncio.sleep(0.2)
        await fleet.wait([*ids, *more])
        await fleet.check(45, 4)
    finally:
        await fleet.stop()
        await fleet.engine.close()
