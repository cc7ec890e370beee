"""DBOS on PostgreSQL: workflows of three steps from a queue, three worker processes."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from threading import Event
from typing import Any

import sqlalchemy
from dbos import DBOS, DBOSClient, DBOSConfig

from bench.crew import crew, say_ready
from bench.timing import PAYLOAD, options, report

POLLING = 0.1
"""Seconds between two looks of a worker at the queue; DBOS looks every second by itself."""
DONE = "SELECT count(*) FROM dbos.workflow_status WHERE status = 'SUCCESS' AND name = 'chain'"


@DBOS.step()
async def do(n: int) -> dict[str, Any]:
    return {"n": n + 1, "text": PAYLOAD}


@DBOS.workflow(name="chain")
async def chain(run: int) -> int:
    n = 0
    for _ in range(3):
        n = (await do(n))["n"]
    return n


def configuration(asked: dict[str, Any]) -> DBOSConfig:
    return {
        "name": "bench",
        "system_database_url": asked["url"],
        "application_version": "1",
        "executor_id": f"worker-{asked['worker']}",
        "console_log_level": "ERROR",
    }


def work(asked: dict[str, Any]) -> None:
    DBOS(config=configuration(asked))
    DBOS.launch()
    DBOS.register_queue("bench", worker_concurrency=asked["concurrency"], polling_interval_sec=POLLING)
    say_ready()
    Event().wait()


def measure(asked: dict[str, Any]) -> None:
    DBOS(config=configuration(asked | {"worker": "starter"}))
    DBOS.launch()  # makes the tables before three workers try to
    DBOS.destroy()
    client = DBOSClient(system_database_url=asked["url"])
    database = (
        sqlalchemy.create_engine(asked["url"]).connect().execution_options(isolation_level="AUTOCOMMIT")
    )
    runs = asked["runs"]
    with crew("bench.peers.dbos_queue", asked):
        time.sleep(1)
        numbers = count()
        begun = time.perf_counter()

        def enqueue(_: int) -> None:
            while (run := next(numbers)) < runs:
                client.enqueue({"workflow_name": "chain", "queue_name": "bench", "app_version": "1"}, run)

        with ThreadPoolExecutor(16) as lanes:
            list(lanes.map(enqueue, range(16)))
        while database.execute(sqlalchemy.text(DONE)).scalar_one() < runs:
            time.sleep(0.02)
        seconds = time.perf_counter() - begun
    report({"runs_per_second": runs / seconds})


def main() -> None:
    asked = options()
    work(asked) if asked["work"] == "worker" else measure(asked)


if __name__ == "__main__":
    main()
