"""Worker processes over one PostgreSQL database, and an engine that starts runs and drives none."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import text

from omniforge.core.actor import Actor, Role
from omniforge.db import Database
from omniforge.engine.active import Handler
from omniforge.engine.distributed import DistributedEngine
from omniforge.engine.events import first_broken
from omniforge.engine.plan import Plan, Step
from omniforge.runs.service import RunService, StartRequest
from omniforge.tenants.roles import permissions_of

CHILD = Path(__file__).parent / "engine" / "distributed" / "worker_child.py"


async def elsewhere(_call: Any) -> Any:
    raise AssertionError("this process drives no runs")


def make_actor(tenant: str) -> Actor:
    return Actor(tenant, "local", Role.OWNER, "user:local", permissions_of(Role.OWNER))


def chain(steps: int, **args: Any) -> Plan:
    made = [Step(key="s0", kind="work", args=args)]
    for number in range(1, steps):
        before = f"s{number - 1}"
        inputs = {"before": f"${{{before}.output}}"}
        made.append(Step(key=f"s{number}", kind="work", args=args, needs=(before,), inputs=inputs))
    return Plan(tuple(made))


@dataclass
class Fleet:
    """Workers over one database. `log` has a line for each step begun and ended."""

    url: str
    log: Path
    database: Database
    places: int = 50
    workers: list[asyncio.subprocess.Process] = field(default_factory=list[asyncio.subprocess.Process])

    def __post_init__(self) -> None:
        handlers: dict[str, Handler] = {"work": elsewhere}
        self.engine = DistributedEngine(self.database, handlers, slots=1)
        self.runs = RunService(self.engine, max_unfinished=10_000)

    async def add_worker(self) -> asyncio.subprocess.Process:
        command = [sys.executable, str(CHILD), self.url, str(self.places), str(self.log)]
        worker = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        assert worker.stdout is not None
        assert await worker.stdout.readline() == b"ready\n"
        self.workers.append(worker)
        return worker

    async def add_workers(self, number: int) -> list[asyncio.subprocess.Process]:
        return list(await asyncio.gather(*(self.add_worker() for _ in range(number))))

    async def start(self, tenant: str, number: int, plan: Plan) -> str:
        request = StartRequest(plan=plan, subject="storm", idempotency_key=f"run {number}")
        return await self.runs.start_run(make_actor(tenant), request)

    async def wait(self, ids: list[str], seconds: float = 60) -> None:
        async with asyncio.timeout(seconds):
            for run_id in ids:
                await self.engine.wait(run_id)

    async def rows(self, query: str, **values: Any) -> list[tuple[Any, ...]]:
        async with self.database.read() as session:
            return [tuple(row) for row in await session.execute(text(query), values)]

    async def check(self, runs: int, steps: int) -> None:
        """Every run completed once, every step completed once, results as they must be, chains whole."""
        assert await self.rows("SELECT status, count(*) FROM runs GROUP BY 1") == [("completed", runs)]
        told = "SELECT count(*), count(DISTINCT entity) FROM events WHERE type = :type"
        assert await self.rows(told, type="step.completed") == [(runs * steps, runs * steps)]
        assert await self.rows(told, type="run.finished") == [(runs, runs)]
        last = await self.rows("SELECT result FROM run_steps WHERE key = :key", key=f"s{steps - 1}")
        expected = [f"s{n}" for n in range(steps)]
        assert all(json.loads(result)["output"] == expected for (result,) in last)
        assert await self.rows("SELECT count(*) FROM run_places") == [(0,)]
        for (tenant,) in await self.rows("SELECT DISTINCT tenant_id FROM events"):
            async with self.database.read() as session:
                assert await first_broken(session, tenant) is None

    async def stop(self) -> None:
        for worker in self.workers:
            with suppress(ProcessLookupError):
                worker.kill()
        for worker in self.workers:
            await worker.wait()
