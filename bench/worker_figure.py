"""F6: three workers on PostgreSQL, beside procrastinate jobs and DBOS queues that do the same work."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace

from sqlalchemy import make_url
from tests.postgres_server import PostgresServer

from bench.results import TIMES, Figure, Measured, Part, middle, times_faster
from bench.sides import Side, WrongResult, run_side
from omniforge.db.migrate import upgrade

DURABLE = {
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "autovacuum": "on",
    "shared_buffers": "128MB",
}
"""As PostgreSQL comes: nobody's commit is faster than the disk."""
CONCURRENCY = 16
OURS, DBOS = "omniforge", "DBOS queue"
JOB_PER_RUN, JOB_PER_STEP = "procrastinate, a job per run", "procrastinate, a job per step"


@contextmanager
def server() -> Generator[PostgresServer]:
    started = PostgresServer.start(**DURABLE)
    try:
        yield started
    finally:
        started.close()


def measure_on(postgres: PostgresServer, module: str, **asked: object) -> Measured:
    """One workload on a database of its own."""
    name = "bench"
    postgres.drop_database(name)
    postgres.execute(f'CREATE DATABASE "{name}"')
    url = postgres.url(name)
    if module == "bench.ours_workers":
        asyncio.run(upgrade(make_url(url)))
    given = {"conninfo": postgres.conninfo(name), "url": url, "concurrency": CONCURRENCY, **asked}
    return run_side(Side(module, given))


def three_workers(quick: bool) -> Figure:
    runs = 200 if quick else 300
    sides: dict[str, tuple[str, dict[str, object]]] = {
        OURS: ("bench.ours_workers", {"work": "throughput"}),
        JOB_PER_RUN: ("bench.peers.procrastinate_jobs", {"work": "measure", "job": "run"}),
        JOB_PER_STEP: ("bench.peers.procrastinate_jobs", {"work": "measure", "job": "step"}),
        DBOS: ("bench.peers.dbos_queue", {"work": "measure"}),
    }
    found: dict[str, list[Measured]] = {name: [] for name in sides}
    with server() as postgres:
        for number in range(1 if quick else 3):
            order = list(sides) if number % 2 == 0 else list(reversed(sides))
            for name in order:
                module, asked = sides[name]
                found[name].append(measure_on(postgres, module, runs=runs, **asked))
        taken = measure_on(postgres, "bench.ours_workers", work="takeover", runs=24)
    for side in (OURS, JOB_PER_RUN):
        if any(measured["steps"] != runs * 3 for measured in found[side]):
            raise WrongResult(f"{side} did not do every step exactly once")
    beside = {side: middle(rounds, "runs_per_second") for side, rounds in found.items()}
    parts = [
        Part("throughput ÷ procrastinate, a job per run", _times(found, JOB_PER_RUN), TIMES, 0.8, "at least"),
        Part("throughput ÷ procrastinate, a job per step", _times(found, JOB_PER_STEP), TIMES),
        Part("throughput ÷ DBOS queue", _times(found, DBOS), TIMES, 2.5, "at least"),
        Part("runs of a killed worker go on after", taken["seconds"], "s", taken["allowed"]),
    ]
    parts[0] = replace(parts[0], beside=beside, beside_unit="runs/s")
    return Figure("F6", "Three workers on PostgreSQL", parts)


def _times(found: dict[str, list[Measured]], peer: str) -> float:
    """Throughput of ours ÷ the peer's, round by round."""
    return times_faster(found[OURS], found[peer], "runs_per_second")
