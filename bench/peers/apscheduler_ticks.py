"""APScheduler 3 with its SQLAlchemy job store on SQLite: jobs that are due at the same tick and do nothing.

As it comes (`wal` false), or over a connection with WAL and synchronous NORMAL, for which it does not ask.
"""

from __future__ import annotations

import asyncio
import tempfile
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.cron import CronTrigger
from sqlalchemy import create_engine, event

from bench.timing import options, peak_mb, report

fired: list[int] = []


async def fire(number: int) -> None:
    fired.append(number)


def store(folder: str, *pragmas: str) -> SQLAlchemyJobStore:
    engine = create_engine(f"sqlite:///{Path(folder) / 'jobs.db'}")

    @event.listens_for(engine, "connect")
    def connect(connection, _record):
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}")

    return SQLAlchemyJobStore(engine=engine)


def scheduler_over(jobs: SQLAlchemyJobStore) -> AsyncIOScheduler:
    scheduler = AsyncIOScheduler(jobstores={"default": jobs}, timezone="UTC")
    scheduler.start(paused=True)
    return scheduler


async def main() -> None:
    asked = options()
    count = asked["schedules"]
    pragmas = ("journal_mode=WAL", "synchronous=NORMAL") if asked["wal"] else ()
    with tempfile.TemporaryDirectory() as folder:
        filling = scheduler_over(store(folder, "synchronous=OFF"))
        due = datetime.now(UTC) - timedelta(seconds=1)
        yearly = CronTrigger(month=1, day=1, hour=9, timezone="UTC")
        for number in range(count):
            filling.add_job(fire, yearly, args=[number], next_run_time=due, misfire_grace_time=None)
        filling.shutdown(wait=False)
        before = threading.active_count()
        scheduler = scheduler_over(store(folder, *pragmas))
        begun = time.perf_counter()
        scheduler.resume()
        while len(fired) < count:  # noqa: ASYNC110 - others end it
            await asyncio.sleep(0.01)
        seconds = time.perf_counter() - begun
        threads = threading.active_count() - before
        scheduler.shutdown(wait=False)
        doubled = len(fired) - len(set(fired))
    report({"seconds": seconds, "doubled": doubled, "threads": threads, "peak_mb": peak_mb()})


if __name__ == "__main__":
    asyncio.run(main())
