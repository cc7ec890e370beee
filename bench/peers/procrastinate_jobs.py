"""Bare procrastinate on PostgreSQL, three workers.

`run`: one job per run, which commits a row of its own for each of its three steps. `step`: one job per step,
which commits its row and defers the job of the next step.
"""

from __future__ import annotations

import asyncio
import json
import time
from itertools import count
from typing import Any

import procrastinate

from bench.crew import crew, say_ready
from bench.timing import PAYLOAD, options, report

TABLE = "CREATE TABLE IF NOT EXISTS results (run integer, key text, result jsonb, PRIMARY KEY (run, key))"
INSERT = "INSERT INTO results VALUES (%(run)s, %(key)s, %(result)s::jsonb)"
DONE = "SELECT count(*) AS done FROM procrastinate_jobs WHERE status = 'succeeded'"
ROWS = "SELECT count(*) AS done FROM results"
KEYS = ("a", "b", "c")


def application(conninfo: str) -> procrastinate.App:
    connector = procrastinate.PsycopgConnector(conninfo=conninfo, min_size=4, max_size=16)
    app = procrastinate.App(connector=connector)

    async def keep(run: int, key: str) -> None:
        result = json.dumps({"n": 1, "text": PAYLOAD})
        await app.connector.execute_query_async(INSERT, run=run, key=key, result=result)

    @app.task(name="run", queue="bench")
    async def do_run(run: int) -> None:
        for key in KEYS:
            await keep(run, key)

    @app.task(name="step", queue="bench")
    async def do_step(run: int, place: int) -> None:
        await keep(run, KEYS[place])
        if place + 1 < len(KEYS):
            await do_step.defer_async(run=run, place=place + 1)

    return app


async def work(asked: dict[str, Any]) -> None:
    app = application(asked["conninfo"])
    async with app.open_async():
        say_ready()
        await app.run_worker_async(queues=["bench"], concurrency=asked["concurrency"], listen_notify=True)


async def measure(asked: dict[str, Any]) -> None:
    app, runs, by_step = application(asked["conninfo"]), asked["runs"], asked["job"] == "step"
    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        await app.connector.execute_query_async(TABLE)
        with crew("bench.peers.procrastinate_jobs", asked):
            await asyncio.sleep(1)
            numbers = count()
            begun = time.perf_counter()

            async def defer() -> None:
                while (run := next(numbers)) < runs:
                    given = {"run": run} | ({"place": 0} if by_step else {})
                    await app.configure_task(asked["job"]).defer_async(**given)

            await asyncio.gather(*(defer() for _ in range(16)))
            jobs = runs * (len(KEYS) if by_step else 1)
            while (await app.connector.execute_query_one_async(DONE))["done"] < jobs:  # noqa: ASYNC110 - others end it
                await asyncio.sleep(0.02)
            seconds = time.perf_counter() - begun
        rows = (await app.connector.execute_query_one_async(ROWS))["done"]
    report({"runs_per_second": runs / seconds, "steps": rows})


def main() -> None:
    asked = options()
    asyncio.run(work(asked) if asked["work"] == "worker" else measure(asked))


main()
