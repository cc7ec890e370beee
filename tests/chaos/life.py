"""One life of a process of the installation: it starts runs and drives them until it is killed."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from chaos import faults
from chaos.boundaries import DeadlyWire, MortalJournal, WatchedJournal
from chaos.deaths import Boundary, Death
from chaos.outside import Outside, Told
from chaos.work import handlers, key_of, plan_of, tenant_of
from omniforge.core.actor import Actor, Role
from omniforge.core.clock import SystemClock
from omniforge.core.errors import Unavailable
from omniforge.db import Database
from omniforge.engine.distributed import DistributedEngine, Sharing
from omniforge.engine.embedded import EmbeddedEngine
from omniforge.engine.events import EventLog
from omniforge.engine.postgres import ServerLost
from omniforge.engine.queue import Heartbeat
from omniforge.runs.service import RunService, StartRequest
from omniforge.tenants.roles import permissions_of

HEARTBEAT = Heartbeat(every=0.3, stalled_after=1.5, leaving=0.5)
NO_DATABASE = 3
"""Exit code: the database did not answer at the start; whoever supervises this starts it again."""


@dataclass(frozen=True, slots=True)
class Life:
    """What a process is to do. It starts the runs `first` up to `upto` and `also`, then drives what is there.

    boundary, count: where it dies. last: it lives until every run is over. full: synchronous=FULL.
    disk_full: seconds for which its files cannot grow.
    """

    url: str
    home: str
    outside: str
    seed: int
    boundary: Boundary
    count: int = 1
    first: int = 0
    upto: int = 0
    also: Sequence[int] = ()
    clock_shift: float = 0.0
    full: bool = False
    last: bool = False
    disk_full: float = 0.0
    seconds: tuple[float, float] = (0.005, 0.03)


def live(life: Life) -> int:
    """The exit code, for those who live to see it."""
    random.seed(life.seed)
    if life.clock_shift:
        faults.shift_machine_clock(life.clock_shift)
    try:
        asyncio.run(_live(life))
    except (SQLAlchemyError, psycopg.Error, ServerLost):
        if life.url.startswith("sqlite"):
            raise
        return NO_DATABASE
    return 0


async def _live(life: Life) -> None:
    outside = Outside(Path(life.outside))
    death = Death(Boundary(life.boundary), life.count, outside)
    if death.boundary in (Boundary.DURING_RECOVERY, Boundary.AT_A_LINE):
        death.watch_lines()
    database = Database(await _address(life, death), synchronous="FULL" if life.full else "NORMAL")
    engine = _engine(life, database, death, outside)
    await engine.open()
    watched = WatchedJournal(engine.journal, death, outside)
    engine.journal = engine.executor.journal = watched
    runs = RunService(engine, max_unfinished=1_000_000)
    if life.disk_full:
        faults.forbid_growth(life.disk_full, Path(life.home))
    numbers = [*life.also, *range(life.first, life.upto)]
    await asyncio.gather(*(_start(runs, number, outside, number in life.also) for number in numbers))
    await _until_over(database)
    while life.last and await _retry(runs, database):
        await _until_over(database)
    if not life.last:
        death.boundary = Boundary.AT_REST if database.is_sqlite else death.boundary
        death.at(Boundary.AT_REST)
        await asyncio.Event().wait()
    await engine.close()
    await database.close()


async def _address(life: Life, death: Death) -> str:
    if death.boundary not in (Boundary.MID_COMMIT, Boundary.COMMIT_SENT) or life.url.startswith("sqlite"):
        return life.url
    url = Database(life.url).url
    folder = Path(life.home, f"w{os.getpid()}")
    wire = DeadlyWire(Path(str(url.query["host"])), int(str(url.query["port"])), death, folder)
    await wire.open()
    return url.update_query_dict({"host": str(folder)}).render_as_string(hide_password=False)


def _engine(
    life: Life, database: Database, death: Death, outside: Outside
) -> EmbeddedEngine | DistributedEngine:
    works = handlers(death, outside, life.seconds)
    if not database.is_sqlite:
        sharing = Sharing(drives=40, places=200, heartbeat=HEARTBEAT)
        return DistributedEngine(database, works, slots=48, sharing=sharing)

    def journal(db: Database, events: EventLog) -> MortalJournal:
        return MortalJournal(db, events, death)

    return EmbeddedEngine(database, works, SystemClock(), Path(life.home), slots=24, journal=journal)


def _actor(tenant: str) -> Actor:
    return Actor(tenant, "local", Role.OWNER, "user:local", permissions_of(Role.OWNER))


async def _start(runs: RunService, number: int, outside: Outside, first: bool) -> None:
    """Ask until it is there, as a client does that has a key for it."""
    actor = _actor(tenant_of(number))
    request = StartRequest(
        plan=plan_of(number), subject="storm", idempotency_key=key_of(number), priority=int(first)
    )
    while True:
        try:
            run_id = await runs.start_run(actor, request)
        except (Unavailable, SQLAlchemyError):
            await asyncio.sleep(random.uniform(0.05, 0.2))
        else:
            outside.tell(Told.STARTED, key_of(number), run_id)
            return


async def _retry(runs: RunService, database: Database) -> int:
    """What a person does with runs that were interrupted too often; how many those were."""
    left = text(
        "SELECT id, tenant_id FROM runs WHERE status = 'needs_person' AND error LIKE '%interrupted_too%'"
    )
    async with database.read() as session:
        found = (await session.execute(left)).all()
    for run_id, tenant in found:
        await runs.retry_run(_actor(tenant), run_id)
    return len(found)


async def _until_over(database: Database) -> None:
    unfinished = text("SELECT 1 FROM runs WHERE status IN ('queued','running','waiting','paused') LIMIT 1")
    while True:
        try:
            async with database.read() as session:
                if (await session.execute(unfinished)).first() is None:
                    return
        except (Unavailable, SQLAlchemyError):
            await asyncio.sleep(0.2)
        await asyncio.sleep(0.05)
