"""Our side of F7: agents whose schedules are due at the same tick, through the whole agent path."""

from __future__ import annotations

import asyncio
import tempfile
import threading
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import text

from bench.ours import ACTOR
from bench.timing import options, peak_mb, report
from omniforge.agents.service import AgentService
from omniforge.agents.triggers import Scheduler
from omniforge.core.clock import SystemClock
from omniforge.core.collector import calm_collector
from omniforge.core.config import Settings
from omniforge.core.crypto import MasterKeys
from omniforge.db import Database
from omniforge.engine.active import StepCall
from omniforge.engine.embedded import EmbeddedEngine
from omniforge.engine.state import StepResult
from omniforge.integrations.service import IntegrationService
from omniforge.runs.service import RunService
from omniforge.skills.service import SkillService
from omniforge.tenants import SecretBox, TenantService
from omniforge.tenants.auth import load_jwt_key

SKILL = b"---\nname: greet\ndescription: Says hello to whoever is there.\n---\n\nSay hello.\n"
YEARLY = "0 9 1 1 *"
MINUTES = 60
NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :more)"


async def _greet(call: StepCall) -> StepResult:
    return StepResult(output={"said": "hello"}, message="Said hello.")


class ShiftedClock:
    """The machine's clock, moved forward to the tick."""

    def __init__(self) -> None:
        self.real = SystemClock()
        self.ahead = timedelta()

    def now(self) -> datetime:
        return self.real.now() + self.ahead

    async def sleep(self, seconds: float) -> None:
        await self.real.sleep(seconds)

    def turn_to(self, moment: datetime) -> None:
        self.ahead = moment - self.real.now()


class QuickClock:
    """From a moment on, time goes `speed` times as fast."""

    def __init__(self, start: datetime, speed: float) -> None:
        self.start, self.speed = start, speed
        self.begun = time.perf_counter()

    def now(self) -> datetime:
        return self.start + timedelta(seconds=(time.perf_counter() - self.begun) * self.speed)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / self.speed)


class House:
    """Agents with real services around them; only what their one skill does is ours."""

    def __init__(self, home: Path) -> None:
        settings = Settings(home=home)
        self.clock = ShiftedClock()
        self.db = Database(settings.database)
        secrets = SecretBox(MasterKeys.from_settings(settings))
        self.tenants = TenantService(self.db, settings, self.clock, secrets, load_jwt_key(settings))
        self.skills = SkillService(self.db, home / "skills")
        self.integrations = IntegrationService(self.db, secrets, settings, self.clock)
        self.engine = EmbeddedEngine(self.db, {"skill": _greet}, self.clock, home, slots=64)
        runs = RunService(self.engine, max_unfinished=1_000_000)
        self.agents = AgentService(
            self.db, runs, self.skills, self.integrations, self.clock, settings, tenants=self.tenants
        )

    @classmethod
    @asynccontextmanager
    async def open(cls) -> AsyncGenerator[House]:
        with tempfile.TemporaryDirectory() as folder:
            house = cls(Path(folder))
            await house.db.create_tables()
            await house.tenants.bootstrap()
            await house.engine.open()
            yield house
            await house.engine.close()
            await house.integrations.close()
            await house.db.close()

    async def schedule(self, count: int) -> datetime:
        """One agent made, tested and switched on as people do it; then its like. Returns when all are due."""
        await self.skills.write(ACTOR, name="greet", files={"SKILL.md": SKILL}, agent_id=None)
        given: dict[str, Any] = {
            "name": "Greeter",
            "skills": [{"name": "greet", "order": 1}],
            "trigger_type": "scheduled",
            "schedule": YEARLY,
        }
        made = await self.agents.create(ACTOR, given)
        test_id = await self.agents.start_test(ACTOR, made.id)
        tested = await self.agents.await_test(ACTOR, test_id, 30)
        await self.agents.activate(ACTOR, made.id, test_id=test_id, manifest_hash=tested.manifest_hash)
        async with self.db.transaction() as session:
            for table, key in (("agent_configs", "id"), ("agent_versions", "agent_id")):
                columns = await session.scalars(text(f"SELECT name FROM pragma_table_info('{table}')"))  # noqa: S608
                names = [f'"{name}"' for name in columns]
                values = [f"{key} || '-' || i" if name == f'"{key}"' else name for name in names]
                statement = (
                    f"{NUMBERS} INSERT INTO {table} ({', '.join(names)})"  # noqa: S608 - our own names
                    f" SELECT {', '.join(values)} FROM {table}, n WHERE {key} = :id"
                )
                await session.execute(text(statement), {"more": count - 1, "id": made.id})
        due = (await self.agents.get(ACTOR, made.id)).next_fire_at
        if due is None:
            raise AssertionError("an agent with a schedule has no next fire")
        return due

    async def spread(self, due: datetime) -> None:
        """Instead of all at once they are due within an hour, as many each minute."""
        async with self.db.transaction() as session:
            ids = list(await session.scalars(text("SELECT id FROM agent_configs ORDER BY id")))
            moved = [
                {
                    "id": agent_id,
                    "schedule": f"{number % MINUTES} 9 1 1 *",
                    "at": f"{due + timedelta(minutes=number % MINUTES):%Y-%m-%d %H:%M:%S.000000}",
                }
                for number, agent_id in enumerate(ids)
            ]
            statement = "UPDATE agent_configs SET schedule = :schedule, next_fire_at = :at WHERE id = :id"
            await session.execute(text(statement), moved)

    async def lags(self) -> list[float]:
        """Seconds of this clock from when each scheduled run was due to its start, ascending."""
        async with self.db.read() as session:
            query = "SELECT logical_time, created_at FROM runs WHERE trigger_type = 'scheduled'"
            found = await session.execute(text(query))
        made = [datetime.fromisoformat(made) - datetime.fromisoformat(due) for due, made in found]
        return sorted(lag.total_seconds() for lag in made)

    async def fired(self) -> tuple[int, int]:
        """How many scheduled runs are durable, and of how many fires they are."""
        async with self.db.read() as session:
            query = "SELECT count(*), count(DISTINCT subject) FROM runs WHERE trigger_type = 'scheduled'"
            row = (await session.execute(text(query))).one()
        return row[0], row[1]


async def tick(asked: dict[str, Any]) -> dict[str, float]:
    """Seconds until the runs of every due schedule are durable; then two more schedulers look again."""
    async with House.open() as house:
        house.clock.turn_to(await house.schedule(asked["schedules"]))
        scheduler = Scheduler(house.agents, house.clock)
        begun = time.perf_counter()
        await scheduler.fire_due()
        seconds = time.perf_counter() - begun
        await asyncio.gather(*(Scheduler(house.agents, house.clock).fire_due() for _ in range(2)))
        runs, fires = await house.fired()
    return {"seconds": seconds, "runs": runs, "doubled": runs - fires, "peak_mb": peak_mb()}


async def minute(asked: dict[str, Any]) -> dict[str, float]:
    """How late fires are that are spread over a minute: an hour of sixty times the speed, runs and all."""
    async with House.open() as house:
        due = await house.schedule(asked["schedules"])
        await house.spread(due)
        clock = QuickClock(due - timedelta(seconds=MINUTES), MINUTES)
        house.clock.now, house.clock.sleep = clock.now, clock.sleep
        events = house.engine.events
        events.subscribe("agents.fires", ["run.finished"], house.agents.fires.on_run_finished)
        events.subscribe("agents.finished", ["run.finished"], house.agents.on_run_finished)
        working = asyncio.create_task(Scheduler(house.agents, house.clock).run())
        await asyncio.sleep(MINUTES + 1)
        for _ in range(2 * MINUTES):  # what is very late
            if (await house.fired())[0] >= asked["schedules"]:
                break
            await asyncio.sleep(0.5)
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
        lags = [lag / MINUTES for lag in await house.lags()]
        runs, fires = await house.fired()
    return {
        "missed": asked["schedules"] - fires,
        "doubled": runs - fires,
        "lag_p50": lags[len(lags) // 2],
        "lag_p99": lags[len(lags) * 99 // 100],
        "lag_max": lags[-1],
        "peak_mb": peak_mb(),
    }


async def idle(asked: dict[str, Any]) -> dict[str, float]:
    """What so many schedules that are not due cost while nothing happens."""
    async with House.open() as house:
        before = threading.active_count()
        await house.schedule(asked["schedules"])
        working = asyncio.create_task(Scheduler(house.agents, house.clock).run())
        await asyncio.sleep(2)
        process = psutil.Process()
        process.cpu_percent()
        await asyncio.sleep(asked["seconds"])
        measured = {
            "threads": threading.active_count() - before,
            "cpu_percent": process.cpu_percent(),
            "memory_mb": process.memory_info().rss / 2**20,
        }
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
    return measured


async def main() -> None:
    asked = options()
    calm_collector()  # as every server does
    report(await {"tick": tick, "minute": minute, "idle": idle}[asked["work"]](asked))


if __name__ == "__main__":
    asyncio.run(main())
