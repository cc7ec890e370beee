"""What a killed process leaves: what was promised is found, once; damage is found before it is believed."""

from __future__ import annotations

import asyncio
import random
import shutil
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from omniforge.core.clock import rfc3339
from omniforge.db import Database
from omniforge.engine.applying import JournalTaken, settle_left_over
from omniforge.engine.change_files import JournalDamaged
from omniforge.engine.events import Event, EventLog, first_broken
from omniforge.engine.journal import Limits, SqliteJournal
from omniforge.engine.plan import Plan, Step
from omniforge.engine.records import Change, RunRecord, step_values
from omniforge.engine.state import RunStatus, StepResult, StepState, StepStatus
from omniforge.engine.store import RunStore

NOW = datetime(2026, 1, 5, 8, 30, tzinfo=UTC)
AT = rfc3339(NOW)
PLAN = Plan((Step(key="a", kind="do"),))
LAZY = Limits(settle_after=3600.0, settle_at=1_000_000)
"""The tables follow only when somebody reads."""


def told(run_id: str, number: int = 0) -> Event:
    return Event("thing.happened", f"run:{run_id}", NOW, "user:local", {"n": number}, run_id)


def started(run_id: str, tenant: str = "t", **more: Any) -> Change:
    record = RunRecord(
        run_id, tenant, "test", "live", PLAN.hash, {}, "on_demand", "user:local", AT, {}, None, AT
    )
    return Change(run_id, tenant, new_run=record, plan=PLAN, at=AT, events=[told(run_id)], **more)


def step_done(run_id: str, number: int, epoch: int = 0) -> Change:
    state = StepState(StepStatus.COMPLETED, attempt=number, result=StepResult(output=number))
    return Change(
        run_id, "t", steps=[step_values(run_id, "a", state)], epoch=epoch, events=[told(run_id, number)]
    )


def over(run_id: str) -> Change:
    return Change(run_id, "t", epoch=0, status=RunStatus.COMPLETED, at=AT, events=[told(run_id)])


@asynccontextmanager
async def opened(
    folder: Path, limits: Limits = LAZY
) -> AsyncGenerator[tuple[Database, SqliteJournal, EventLog]]:
    folder.mkdir(exist_ok=True)
    database = Database(f"sqlite+aiosqlite:///{folder / 'x.db'}")
    await database.create_tables()
    events = EventLog(database)
    journal = SqliteJournal(database, events, limits)
    try:
        await journal.open()
        yield database, journal, events
    finally:
        await journal.close()
        await database.close()


def as_killed(folder: Path, copy: Path) -> Path:
    """The files as they are at this moment, which is what kill -9 leaves."""
    shutil.copytree(folder, copy)
    return copy


def change_file(folder: Path) -> Path:
    return max(folder.glob("x.db-changes-*"), key=lambda file: file.stat().st_size)


async def numbers(events: EventLog, tenant: str = "t") -> list[str]:
    """Payloads of the tenant's events, whose chain has to hold."""
    rows = await events.read(tenant, limit=100_000)
    assert [row.seq for row in rows] == list(range(1, len(rows) + 1))
    async with events.db.read() as session:
        assert await first_broken(session, tenant) is None
    return [row.payload for row in rows]


async def test_after_a_kill_at_any_moment_everything_promised_is_there_once(tmp_path: Path) -> None:
    chance = random.Random(11)
    copies: list[tuple[Path, int, int, bool]] = []
    async with opened(tmp_path / "live", Limits(settle_after=3600.0, settle_at=7, copy_after=15)) as house:
        database, journal, _ = house
        for run in range(12):
            assert await journal.start(started(f"r{run}"))
            for number in range(1, 4):
                assert await journal.write(step_done(f"r{run}", number))
                if chance.random() < 0.2:
                    assert await RunStore(database).run(f"r{run}") is not None  # brings the tables up to date
                if chance.random() < 0.4:
                    copy = as_killed(tmp_path / "live", tmp_path / f"copy{len(copies)}")
                    copies.append((copy, run, number, False))
            assert await journal.write(over(f"r{run}"))
            if chance.random() < 0.4:
                copies.append((as_killed(tmp_path / "live", tmp_path / f"copy{len(copies)}"), run, 3, True))
    assert len(copies) > 10
    for copy, run, number, is_over in copies:
        for _ in range(2):  # a start that is killed at once, and the next one
            async with opened(copy) as (database, _, events):
                assert len(await numbers(events)) == run * 5 + 1 + number + is_over
                found = await RunStore(database).run(f"r{run}")
                assert found is not None
                assert found.corrupted == ()
                assert found.steps["a"].attempt == number
                assert found.status is (RunStatus.COMPLETED if is_over else RunStatus.QUEUED)
                before = await RunStore(database).run("r0")
                assert before is not None


async def test_what_the_tables_have_already_is_not_applied_again(tmp_path: Path) -> None:
    async with opened(tmp_path / "live") as (_, journal, events):
        await journal.start(started("r"))
        assert len(await numbers(events)) == 1
        copy = as_killed(tmp_path / "live", tmp_path / "copy")
        assert change_file(copy).stat().st_size > 0
    async with opened(copy) as (_, journal, events):
        assert await journal.write(step_done("r", 1, epoch=1))
        assert len(await numbers(events)) == 2


async def test_a_record_that_was_not_written_to_its_end_is_no_record(tmp_path: Path) -> None:
    async with opened(tmp_path / "live") as (_, journal, _events):
        await journal.start(started("r"))
        whole = change_file(tmp_path / "live").stat().st_size
        await journal.write(step_done("r", 1))
        copy = as_killed(tmp_path / "live", tmp_path / "copy")
    size = change_file(copy).stat().st_size
    for cut in sorted({whole, whole + 1, whole + 15, whole + 16, whole + 40, size - 1}):
        torn = as_killed(copy, tmp_path / f"torn{cut}")
        with change_file(torn).open("r+b") as file:
            file.truncate(cut)
        async with opened(torn) as (database, journal, events):
            assert len(await numbers(events)) == 1
            assert await journal.write(step_done("r", 1, epoch=1))
        async with opened(torn) as (database, _, _events):
            found = await RunStore(database).run("r")
            assert found is not None
            assert found.steps["a"].attempt == 1


async def test_every_bit_that_falls_over_is_found_and_nothing_is_applied(tmp_path: Path) -> None:
    chance = random.Random(5)
    async with opened(tmp_path / "live") as (_, journal, _events):
        await journal.start(started("r"))
        await journal.write(step_done("r", 1))
        copy = as_killed(tmp_path / "live", tmp_path / "copy")
    content = change_file(copy).read_bytes()
    places = {*range(16), *(chance.randrange(len(content)) for _ in range(25)), len(content) - 1}
    for place in sorted(places):
        changed = bytearray(content)
        changed[place] ^= 1 << chance.randrange(8)
        change_file(copy).write_bytes(changed)
        with pytest.raises(JournalDamaged, match="move it away") as refused:
            async with opened(copy):
                pass
        assert refused.value.details["file"] == str(change_file(copy))
        with pytest.raises(JournalDamaged):
            settle_left_over(copy / "x.db")
    database = Database(f"sqlite+aiosqlite:///{copy / 'x.db'}")
    assert await RunStore(database).run("r") is None
    await database.close()
    change_file(copy).rename(tmp_path / "aside")
    async with opened(copy) as (database, journal, _events):
        assert await RunStore(database).run("r") is None
        assert await journal.start(started("r"))


async def test_a_file_of_another_database_is_not_believed(tmp_path: Path) -> None:
    async with opened(tmp_path / "one") as (_, one, _events), opened(tmp_path / "two") as (_, two, _more):
        await one.start(started("first"))
        await two.start(started("second"))
        await two.write(step_done("second", 1))
        copies = [as_killed(tmp_path / name, tmp_path / f"{name} copy") for name in ("one", "two")]
    contents = [change_file(copy).read_bytes() for copy in copies]
    said: list[str | None] = []
    for copy, content, foreign in zip(copies, reversed(contents), ("second", "first"), strict=True):
        change_file(copy).write_bytes(content)
        said.append(await found(copy, foreign))
    # One's numbers are ahead of the other's; those that are behind count as applied long ago.
    assert sorted(said, key=str) == [None, "another database"]


async def found(folder: Path, run_id: str) -> str | None:
    """What opening says of a foreign file, or the foreign run that it brought in."""
    try:
        async with opened(folder) as (database, _, _events):
            return run_id if await RunStore(database).run(run_id) else None
    except JournalDamaged as error:
        return "another database" if "another database" in error.message else error.message


async def test_what_a_crash_left_can_be_settled_without_an_engine(tmp_path: Path) -> None:
    async with opened(tmp_path / "live") as (_, journal, _events):
        await journal.start(started("r"))
        copy = as_killed(tmp_path / "live", tmp_path / "copy")
    settle_left_over(copy / "x.db")
    database = Database(f"sqlite+aiosqlite:///{copy / 'x.db'}")
    found = await RunStore(database).run("r")
    assert found is not None
    assert found.record.epoch == 0  # nobody took it over
    await database.close()


async def test_events_of_another_process_and_ours_make_one_chain(tmp_path: Path) -> None:
    async with opened(tmp_path / "live") as (_, journal, events):
        other = Database(f"sqlite+aiosqlite:///{tmp_path / 'live' / 'x.db'}")
        theirs = EventLog(other)
        await journal.start(started("r"))
        for number in range(1, 20):
            assert await journal.write(step_done("r", number))
            async with other.transaction() as session:
                await theirs.append(session, "t", told("other", 100 + number))
            if number % 5 == 0:
                await events.read("t")
        payloads = await numbers(events)
        await other.close()
    assert sorted(payloads) == sorted(f'{{"n":{n}}}' for n in (*range(20), *range(101, 120)))
    ours = [payload for payload in payloads if len(payload) < len('{"n":100}')]
    assert ours == [f'{{"n":{n}}}' for n in range(20)]


async def test_a_session_that_tells_comes_after_what_was_durable_before(tmp_path: Path) -> None:
    async with opened(tmp_path / "live") as (database, journal, events):
        await journal.start(started("r"))
        async with database.transaction() as session:
            await events.append(session, "t", told("r", 1))
        await journal.write(step_done("r", 2))
        assert await numbers(events) == ['{"n":0}', '{"n":1}', '{"n":2}']


async def test_who_lost_the_database_to_another_process_cannot_write_to_it(tmp_path: Path) -> None:
    async with opened(tmp_path / "live") as (_, journal, events):
        await journal.start(started("r"))
        settle_left_over(tmp_path / "live" / "x.db")
        with pytest.raises(JournalTaken):
            await events.read("t")
        with pytest.raises(JournalTaken):
            await journal.write(step_done("r", 1))
    async with opened(tmp_path / "live") as (_, _, events):
        assert len(await numbers(events)) == 1


async def test_a_process_that_only_looks_in_leaves_the_log_of_the_one_that_works(tmp_path: Path) -> None:
    look = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('SELECT 1 FROM runs'); c.close()"
    async with opened(tmp_path / "live") as (database, journal, events):
        await journal.start(started("r"))
        assert len(await numbers(events)) == 1
        log = database.path.with_name(f"{database.path.name}-wal")
        before = log.stat().st_ino
        other = await asyncio.create_subprocess_exec(sys.executable, "-c", look, str(database.path))
        assert await other.wait() == 0
        assert log.stat().st_ino == before
        await journal.write(step_done("r", 1))
        assert len(await numbers(events)) == 2


async def test_readers_are_woken_when_nobody_asks(tmp_path: Path) -> None:
    async with opened(tmp_path / "live", Limits()) as (_, journal, events):
        arrival = events.arrival()
        await journal.start(started("r"))
        async with asyncio.timeout(10):
            await arrival.wait()
        assert len(await numbers(events)) == 1
