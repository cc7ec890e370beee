"""The ground under everybody: the same runs, each record one INSERT or UPDATE and one COMMIT.

No graph, no events, no checksums, no recovery: an asyncio program that writes what it did; SQLite in WAL.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import tempfile
import time
from itertools import count
from pathlib import Path
from typing import Any

from bench.timing import (
    FAN,
    PAYLOAD,
    STEPS_OF_CHAIN,
    STEPS_OF_FAN,
    LoopLag,
    ms_per_step,
    options,
    peak_mb,
    report,
)

TABLES = """
CREATE TABLE runs (id TEXT PRIMARY KEY, input TEXT, status TEXT);
CREATE TABLE steps (run TEXT, key TEXT, result TEXT, PRIMARY KEY (run, key));
"""
NEW_RUN = "INSERT INTO runs VALUES (?, ?, 'running')"
NEW_STEP = "INSERT INTO steps VALUES (?, ?, ?)"
END_RUN = "UPDATE runs SET status = 'completed' WHERE id = ?"


class Rows:
    def __init__(self, path: Path, synchronous: str) -> None:
        self.connection = sqlite3.connect(path, isolation_level=None)
        self.connection.execute("PRAGMA journal_mode=WAL")
        self.connection.execute(f"PRAGMA synchronous={synchronous}")
        self.connection.executescript(TABLES)
        self.numbers = count()

    def commit(self, statement: str, values: tuple[Any, ...]) -> None:
        self.connection.execute("BEGIN IMMEDIATE")
        self.connection.execute(statement, values)
        self.connection.execute("COMMIT")

    async def step(self, run: str, key: str, sleep: float = 0.0) -> None:
        if sleep:
            await asyncio.sleep(sleep)
        self.commit(NEW_STEP, (run, key, json.dumps({"n": 1, "text": PAYLOAD})))

    async def chain(self) -> None:
        run = f"run_{next(self.numbers):028d}"
        self.commit(NEW_RUN, (run, PAYLOAD))
        for key in ("a", "b", "c"):
            await asyncio.create_task(self.step(run, key))
        self.commit(END_RUN, (run,))

    async def fan(self) -> None:
        run = f"run_{next(self.numbers):028d}"
        self.commit(NEW_RUN, (run, PAYLOAD))
        await asyncio.create_task(self.step(run, "begin"))
        await asyncio.gather(*(self.step(run, f"work-{n}") for n in range(FAN)))
        await asyncio.create_task(self.step(run, "gather"))
        self.commit(END_RUN, (run,))

    async def sleeping(self) -> None:
        run = f"run_{next(self.numbers):028d}"
        self.commit(NEW_RUN, (run, PAYLOAD))
        await self.step(run, "nap", 0.2)
        self.commit(END_RUN, (run,))

    def only_commits(self, seconds: float) -> float:
        """Milliseconds of one commit in a loop that does nothing else."""
        done = 0
        begun = time.perf_counter()
        while time.perf_counter() - begun < seconds:
            self.commit(NEW_STEP, ("loop", f"step-{done}", PAYLOAD))
            done += 1
        return (time.perf_counter() - begun) * 1000 / done


async def main() -> None:
    asked = options()
    seconds = asked.get("seconds", 1.0)
    with tempfile.TemporaryDirectory() as folder:
        rows = Rows(Path(folder) / "rows.db", asked.get("synchronous", "NORMAL"))
        match asked["work"]:
            case "steps":
                measured = {
                    "chain": await ms_per_step(rows.chain, STEPS_OF_CHAIN, at_once=1, seconds=seconds),
                    "at_once": await ms_per_step(rows.chain, STEPS_OF_CHAIN, at_once=32, seconds=seconds),
                    "fan": await ms_per_step(rows.fan, STEPS_OF_FAN, at_once=1, seconds=seconds),
                    "only_commits": rows.only_commits(seconds),
                }
            case _:
                begun = time.perf_counter()
                async with LoopLag() as lag:
                    await asyncio.gather(*(rows.sleeping() for _ in range(asked["runs"])))
                took = time.perf_counter() - begun
                measured = {"seconds": took, "peak_mb": peak_mb(), "lag_p99_ms": lag.p99_ms()}
        report(measured)


asyncio.run(main())
