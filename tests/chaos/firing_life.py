"""One life of a server that fires schedules and takes events, and the moments at which it may end."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from types import FrameType
from typing import Any

from sqlalchemy import text

from agents.conftest import House
from conftest import make_actor
from omniforge.agents.fires import EventFire, FireStatus
from omniforge.agents.triggers import Scheduler
from omniforge.core.config import Settings
from omniforge.core.crypto import MasterKeys
from omniforge.db import Database
from omniforge.engine.active import StepCall
from omniforge.engine.state import StepResult
from omniforge.tenants import SecretBox, TenantService
from omniforge.tenants.auth import load_jwt_key

FIRST = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
SPAN = timedelta(hours=1)
CRON = "0-59 10 21 11 *"
LISTENERS = 4
"""Agents that events call."""
POLICIES = ("all", "once", "skip", "all")


class Moment(StrEnum):
    """Where a process ends: as this function of ours is called, or goes on."""

    AT_START_UP = "Scheduler.follow_rules"
    LOOKING_FOR_WAITING = "Fires.start_all_waiting"
    CLAIMED = "DueStarts._start_all"
    AMONG_STARTS = "DueStarts._start"
    STARTED_NOT_MOVED = "Scheduler._move_on"
    MOVING = "move_fires"
    ENTERING = "enter"
    TAKING_DOWN = "Fires.take_down"
    TAKEN_DOWN = "Fires.start_waiting"
    STARTING = "AgentService.start_run"
    STARTED_NOT_TAKEN_OUT = "take_out"
    RUN_ENDED = "Fires.on_run_finished"
    ANY_LINE = "any line of the agents' code"
    FROM_OUTSIDE = "any instant"

    @property
    def most_passed(self) -> int:
        """How often it may be passed before it is deadly."""
        match self:
            case Moment.AT_START_UP | Moment.FROM_OUTSIDE:
                return 1
            case Moment.AMONG_STARTS:
                return 10
            case Moment.ANY_LINE:
                return 4_000
            case _:
                return 4


@dataclass(frozen=True)
class Size:
    agents: int
    events: int
    seconds: float
    """Real ones, that the schedules' span takes."""


@dataclass(frozen=True)
class Life:
    """What a process is to do. `begun`: when the clock of this storm stood at FIRST; moment None: live on."""

    url: str
    home: Path
    size: Size
    begun: float
    moment: Moment | None
    count: int
    number: int


def count_fires(size: Size) -> int:
    return size.agents * len(expected_times()) + size.events


def expected_times() -> list[datetime]:
    return [FIRST + timedelta(minutes=minute) for minute in range(int(SPAN / timedelta(minutes=1)))]


class QuickClock:
    """Time goes faster, and for every process alike."""

    def __init__(self, begun: float, speed: float) -> None:
        self.begun, self.speed = begun, speed

    def now(self) -> datetime:
        return FIRST - timedelta(seconds=30) + timedelta(seconds=(time.time() - self.begun) * self.speed)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / self.speed)


def _open(url: str, home: Path, clock: Any) -> House:
    database, settings = Database(url), Settings(home=home)
    box = SecretBox(MasterKeys.from_settings(settings))
    tenants = TenantService(database, settings, clock, box, load_jwt_key(settings))
    return House(database, home, clock, tenants, settings)


async def prepare(url: str, home: Path, size: Size) -> None:
    """Agents with schedules and agents that events call, all switched on before the first fire."""
    clock = QuickClock(time.time() + 3600, 1)
    house, actor = _open(url, home, clock), make_actor()
    await house.db.create_tables()
    await house.tenants.bootstrap()
    await house.engine.open()
    scheduled: dict[str, Any] = {"trigger_type": "scheduled", "schedule": CRON}
    for number in range(size.agents):
        policy = POLICIES[number % len(POLICIES)]
        await house.active(actor, "work", id=f"clock-{number}", misfire_policy=policy, **scheduled)
    for number in range(LISTENERS):
        settings = {"max_fires_per_hour": 10_000, "concurrency": 1 + number % 2}
        await house.active(actor, "work", id=f"ear-{number}", settings=settings)
    await house.engine.close()
    await house.db.close()


async def live(life: Life) -> None:
    """Until the moment comes; without one, until everything has come to its end."""
    clock = QuickClock(life.begun, (SPAN.total_seconds() + 30) / life.size.seconds)
    if life.moment not in (None, Moment.FROM_OUTSIDE):
        watch(life.moment, life.count)
    house = _open(life.url, life.home, clock)
    house.script["work"] = _work
    await house.engine.open()
    house.engine.events.subscribe("agents.fires", ["run.finished"], house.agents.fires.on_run_finished)
    working = [
        asyncio.create_task(Scheduler(house.agents, clock).run()),
        asyncio.create_task(deliver(house, life)),
    ]
    while life.moment is not None or not await _is_over(house, life, working[1]):
        await asyncio.sleep(0.1)
    working[0].cancel()
    await asyncio.gather(*working, return_exceptions=True)
    await house.engine.close()
    await house.db.close()


async def _work(call: StepCall) -> StepResult:
    await asyncio.sleep(0.02)
    return StepResult(output={"report": call.run.id})


# --- events ------------------------------------------------------------------------------------------------


async def deliver(house: House, life: Life) -> None:
    """A service that tells of events until it hears that they arrived, and of some once more."""
    log = life.home / "acknowledged"
    known = set(log.read_text().split()) if log.exists() else set[str]()
    again = sorted(known, key=int)[-5:]
    pace = life.size.seconds / max(1, life.size.events)
    for number in [*again, *(str(n) for n in range(life.size.events))]:
        if number in known and number not in again:
            continue
        event = EventFire(f"event-{number}", {"id": number}, FIRST, "notion")
        agent_id = f"ear-{int(number) % LISTENERS}"
        fired = await house.agents.fires.fire_event("default", agent_id, event)
        if fired.status not in (FireStatus.STARTED, FireStatus.WAITING):
            raise AssertionError(f"event {number} was not taken: {fired}")
        with log.open("a") as acknowledged:
            acknowledged.write(f"{number}\n")
        if life.moment is not None:
            await asyncio.sleep(pace / 2)


async def _is_over(house: House, life: Life, delivering: asyncio.Task[None]) -> bool:
    if delivering.done() and delivering.exception() is not None:
        raise AssertionError("events were refused") from delivering.exception()
    async with house.db.read() as session:
        due = await session.scalar(
            text("SELECT count(*) FROM agent_configs WHERE next_fire_at < '2027-01-01'")
        )
        waiting = await session.scalar(text("SELECT count(*) FROM agent_fires WHERE status = 'waiting'"))
        runs = "SELECT count(*) FROM runs WHERE status IN ('queued', 'running')"
        unfinished = await session.scalar(text(runs))
    return delivering.done() and not (due or waiting or unfinished)


# --- the end -----------------------------------------------------------------------------------------------


def watch(moment: Moment, count: int) -> None:
    """Kill this process when a function of this name is entered, or taken up again, for the count-th time."""
    left = count

    def passed() -> None:
        nonlocal left
        left -= 1
        if left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def is_ours(frame: FrameType) -> bool:
        return "/omniforge/agents/" in frame.f_code.co_filename

    def line(_frame: FrameType, event: str, _arg: Any) -> Any:
        if event == "line":
            passed()
        return line

    def call(frame: FrameType, event: str, _arg: Any) -> Any:
        if event != "call" or not is_ours(frame):
            return None
        if moment is Moment.ANY_LINE:
            return line
        if frame.f_code.co_qualname == moment.value:
            passed()
        return None

    sys.settrace(call)
