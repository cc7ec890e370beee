"""A full disk, a locked database, constant load, flipped bits: nothing is lost, and it goes on by itself."""

from __future__ import annotations

import asyncio
import contextlib
import random
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, text

from omniforge.core.actor import Actor
from omniforge.core.clock import SystemClock
from omniforge.core.errors import Unavailable
from omniforge.db import Database
from omniforge.engine.active import StepCall
from omniforge.engine.embedded import EmbeddedEngine
from omniforge.engine.events import EventLog, first_broken
from omniforge.engine.journal import Limits, SqliteJournal
from omniforge.engine.plan import Plan, Step
from omniforge.engine.state import StepResult, Waiting
from omniforge.engine.store import RunStore
from omniforge.runs.service import RunService, StartRequest

DEFAULTS = Limits()
CHAIN = Plan((Step("a", "do"), Step("b", "do", needs=("a",)), Step("c", "do", needs=("b",))))


class HastyClock(SystemClock):
    """Nobody waits longer than a moment."""

    async def sleep(self, seconds: float | timedelta) -> None:
        await asyncio.sleep(0.02)


class House:
    def __init__(self, folder: Path, synchronous: str, limits: Limits) -> None:
        self.db = Database(f"sqlite+aiosqlite:///{folder / 'x.db'}", synchronous=synchronous)
        self.output: Any = {"text": "x" * 200}
        self.engine = EmbeddedEngine(
            self.db,
            {"do": self._do, "ask": self._ask},
            HastyClock(),
            folder,
            slots=64,
            journal=lambda db, events: SqliteJournal(db, events, limits),
        )
        self.runs = RunService(self.engine, max_unfinished=1000)

    async def _do(self, call: StepCall) -> StepResult:
        return StepResult(output=self.output)

    async def _ask(self, call: StepCall) -> Waiting:
        return Waiting("approval")

    async def start(self, actor: Actor, plan: Plan = CHAIN) -> str:
        return await self.runs.start_run(actor, StartRequest(plan=plan, subject="x"))

    async def refusal(self, actor: Actor) -> str | None:
        """Why no run can be started now; None when one was."""
        try:
            await self.start(actor)
        except Unavailable as error:
            return error.code
        return None

    async def finish(self, actor: Actor) -> str:
        return (await self.runs.wait_for(actor, await self.start(actor))).run.status


@asynccontextmanager
async def opened(
    folder: Path, synchronous: str = "NORMAL", limits: Limits = DEFAULTS
) -> AsyncGenerator[House]:
    house = House(folder, synchronous, limits)
    await house.db.create_tables()
    await house.engine.open()
    yield house
    await house.engine.close()
    await house.db.close()


async def chain_holds(db: Database, tenant: str = "default") -> bool:
    async with db.read() as session:
        return await first_broken(session, tenant) is None


# --- a full disk


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 16 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount here")
    if done.returncode != 0:
        pytest.skip("only root may mount a file system")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)


def fill(path: Path) -> None:
    """Leave no room."""
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(64 * 1024))
    with contextlib.suppress(OSError), path.open("ab", buffering=0) as file:
        while True:
            file.write(bytes(512))


@pytest.mark.parametrize("synchronous", ["NORMAL", "FULL"])
async def test_on_a_full_disk_runs_wait_and_go_on_once_there_is_room(
    small_disk: Path, actor: Actor, synchronous: str
) -> None:
    async with asyncio.timeout(60), opened(small_disk, synchronous) as house:
        done = [await house.start(actor) for _ in range(3)]
        for run_id in done:
            await house.runs.wait_for(actor, run_id)
        fill(small_disk / "ballast")
        going = await house.start(actor) if synchronous == "FULL" else None
        codes = [await house.refusal(actor) for _ in range(40)]
        assert codes[-3:] == ["disk_full"] * 3  # before, there may be room in blocks that are begun
        assert set(codes) <= {None, "disk_full"}
        views = [await house.runs.get_run(actor, run_id) for run_id in done]  # what was promised can be read
        assert {view.run.status for view in views} == {"completed"}
        assert not (small_disk / "x.db-reserve").exists()
        async with house.db.transaction() as session:  # and things can be tidied up
            await session.execute(text("DELETE FROM plans WHERE hash = 'none'"))
        (small_disk / "ballast").unlink()
        assert await house.finish(actor) == "completed"
        assert (small_disk / "x.db-reserve").exists()
        _, total = await house.runs.list_runs(actor, limit=1)
        page, _ = await house.runs.list_runs(actor, limit=total)
        for view in page:  # those that could not write meanwhile
            assert (await house.runs.wait_for(actor, view.run.id)).run.status == "completed"
        assert going is None or going in {view.run.id for view in page}
        assert await chain_holds(house.db)


# --- a locked database

WRITER = """
import sqlite3, sys, time, random
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=30)
end = time.time() + float(sys.argv[2])
while time.time() < end:
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("UPDATE foreign_counter SET n = n + 1")
    time.sleep(random.uniform(0.001, 0.01))
    connection.execute("COMMIT")
    time.sleep(random.uniform(0, 0.02))
"""


async def test_fifty_foreign_writers_are_never_an_error(tmp_path: Path, actor: Actor) -> None:
    async with asyncio.timeout(120), opened(tmp_path) as house:
        path = str(house.db.path)
        with contextlib.closing(sqlite3.connect(path, timeout=30)) as connection, connection:
            connection.execute("CREATE TABLE foreign_counter (n INTEGER)")
            connection.execute("INSERT INTO foreign_counter VALUES (0)")
        writers = [
            await asyncio.create_subprocess_exec(sys.executable, "-c", WRITER, path, "2.5") for _ in range(2)
        ]
        stop = threading.Event()

        def write() -> None:
            with contextlib.closing(sqlite3.connect(path, isolation_level=None, timeout=60)) as connection:
                while not stop.is_set():
                    connection.execute("BEGIN IMMEDIATE")
                    connection.execute("UPDATE foreign_counter SET n = n + 1")
                    connection.execute("COMMIT")
                    stop.wait(0.05)

        threads = [threading.Thread(target=write) for _ in range(48)]
        for thread in threads:
            thread.start()
        try:
            results = await asyncio.gather(*(house.finish(actor) for _ in range(40)))
        finally:
            stop.set()
            await asyncio.gather(*(asyncio.to_thread(thread.join) for thread in threads))
        assert set(results) == {"completed"}
        assert [await writer.wait() for writer in writers] == [0, 0]
        assert await chain_holds(house.db)


async def test_steps_go_on_while_another_program_keeps_the_database_locked(
    tmp_path: Path, actor: Actor
) -> None:
    async with asyncio.timeout(60), opened(tmp_path, limits=Limits(busy=0.05, settle_again=0.05)) as house:
        with contextlib.closing(sqlite3.connect(house.db.path, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            run_id = await house.start(actor)
            await house.engine.wait(run_id)  # it is over, and durable, though no table could be written
            with pytest.raises(Unavailable) as refused:
                await house.runs.get_run(actor, run_id)  # what is older than that is not shown
            assert refused.value.code == "database_locked"
            connection.execute("ROLLBACK")
        assert (await house.runs.get_run(actor, run_id)).run.status == "completed"


# --- constant load


async def test_files_stay_small_under_constant_load(tmp_path: Path, actor: Actor) -> None:
    limits = Limits(settle_at=50, copy_after=100, log=500_000)
    async with asyncio.timeout(60), opened(tmp_path, limits=limits) as house:
        largest = 0
        reading = True

        async def read() -> None:
            while reading:
                async with house.db.read() as session:
                    await session.execute(text("SELECT count(*) FROM events"))
                await asyncio.sleep(0)

        reader = asyncio.create_task(read())
        for _ in range(30):
            await asyncio.gather(*(house.finish(actor) for _ in range(20)))
            files = [*tmp_path.glob("x.db-wal"), *tmp_path.glob("x.db-changes-*")]
            largest = max(largest, *(file.stat().st_size for file in files))
        reading = False
        await reader
        assert largest < 3_000_000
        assert await chain_holds(house.db)
    assert [file.stat().st_size for file in tmp_path.glob("x.db-changes-*")] == [0, 0]


# --- bits that fall over

COLUMNS = (
    "status",
    "attempt",
    "failures",
    "result",
    "reason",
    "history",
    "started_at",
    "finished_at",
    "checksum",
)


def flipped(value: Any, chance: random.Random) -> Any:
    if value is None:
        return "x"
    if isinstance(value, int):
        return value ^ (1 << chance.randrange(8))
    place = chance.randrange(len(value))
    return value[:place] + chr(ord(value[place]) ^ (1 << chance.randrange(7))) + value[place + 1 :]


@pytest.mark.parametrize("seed", range(6))
async def test_every_bit_that_falls_over_in_a_checkpoint_is_found_told_and_done_again(
    tmp_path: Path, actor: Actor, seed: int
) -> None:
    chance = random.Random(seed)
    plan = Plan((Step("a", "do"), Step("wait", "ask", needs=("a",))))
    async with asyncio.timeout(60):
        async with opened(tmp_path) as house:
            ids = [await house.start(actor, plan) for _ in range(len(COLUMNS))]
            for run_id in ids:
                assert (await house.runs.wait_for(actor, run_id)).run.status == "waiting"
        with contextlib.closing(sqlite3.connect(tmp_path / "x.db")) as connection, connection:
            for run_id, column in zip(ids, COLUMNS, strict=True):
                row = f"FROM run_steps WHERE run_id = '{run_id}' AND key = 'a'"
                (value,) = connection.execute(f"SELECT {column} {row}").fetchone()
                change = f"UPDATE run_steps SET {column} = ? WHERE run_id = ? AND key = 'a'"
                connection.execute(change, (flipped(value, chance), run_id))
        async with opened(tmp_path) as house:
            for run_id in ids:
                await house.engine.wait(run_id)
            for run_id in ids:
                stored = await RunStore(house.db).run(run_id)
                assert stored is not None
                assert stored.corrupted == ()
                assert stored.steps["a"].result == StepResult(output=house.output)
            told = await house.engine.events.read("default", types=["checkpoint.corrupted"])
            assert sorted(row.run_id or "" for row in told) == sorted(ids)


# --- what costs


async def test_unfinished_runs_and_keys_are_found_by_their_small_indexes(database: Database) -> None:
    asked: list[tuple[str, Any]] = []

    @event.listens_for(database.engine.sync_engine, "before_cursor_execute")
    def note(_c: Any, _cursor: Any, statement: str, values: Any, *_more: Any) -> None:  # pyright: ignore[reportUnusedFunction]
        asked.append((statement, values))

    store = RunStore(database)
    for ask in (store.unfinished_ids, store.parked_ids, store.asked, store.timers, store.queue_depth):
        await ask()
    queries = [item for item in asked if item[0].startswith("SELECT")]
    queries.append(("SELECT id FROM runs WHERE tenant_id = ? AND idempotency_key = ?", ("t", "k")))
    assert len(queries) == 6
    async with database.read() as session:
        connection = await session.connection()
        for statement, values in queries:
            plan = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
            used = " ".join(str(row[-1]) for row in plan)
            assert ("ix_runs_key" if "idempotency_key = ?" in statement else "ix_runs_open") in used, (
                statement
            )


async def test_an_orderly_end_leaves_nothing_beside_the_database(database: Database, tmp_path: Path) -> None:
    journal = SqliteJournal(database, EventLog(database))
    await journal.open()
    assert list(tmp_path.glob("*-reserve"))
    await journal.close()
    assert [file.stat().st_size for file in tmp_path.glob("*-changes-*")] == [0, 0]
    assert not list(tmp_path.glob("*-reserve"))
