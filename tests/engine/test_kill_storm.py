"""kill -9 at random moments: no run is lost, no finished step is done again, nothing is told twice."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import signal
import sqlite3
import sys
from pathlib import Path

from omniforge.db import Database
from omniforge.engine.events import first_broken

CHILD = Path(__file__).with_name("storm_child.py")
RUNS, STEPS, KILLS = 150, 5, 5


async def live(home: Path, seconds: float | None) -> int:
    """One life of the process, ended by kill -9 after `seconds`; its exit code."""
    process = await asyncio.create_subprocess_exec(sys.executable, str(CHILD), str(home))
    if seconds is not None:
        with contextlib.suppress(TimeoutError):
            return await asyncio.wait_for(process.wait(), seconds)
        process.kill()
    return await process.wait()


async def test_a_storm_of_kills_loses_and_repeats_nothing(tmp_path: Path) -> None:
    killed = 0
    for _ in range(KILLS):
        killed += await live(tmp_path, random.uniform(0.9, 1.4)) == -signal.SIGKILL
    assert killed > 0
    async with asyncio.timeout(120):
        assert await live(tmp_path, None) == 0
    with contextlib.closing(sqlite3.connect(tmp_path / "storm.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert database.execute("SELECT status, count(*) FROM runs GROUP BY 1").fetchall() == [
            ("completed", RUNS)
        ]
        told = "SELECT count(*), count(DISTINCT entity) FROM events WHERE type = ?"
        assert database.execute(told, ("step.completed",)).fetchone() == (RUNS * STEPS, RUNS * STEPS)
        assert database.execute(told, ("run.finished",)).fetchone() == (RUNS, RUNS)
        last = database.execute("SELECT result FROM run_steps WHERE key = 's4'").fetchall()
    assert {tuple(json.loads(row[0])["output"]) for row in last} == {tuple(f"s{n}" for n in range(STEPS))}
    log = Database(f"sqlite+aiosqlite:///{tmp_path / 'storm.db'}")
    async with log.read() as session:
        assert await first_broken(session, "storm") is None
    await log.close()
