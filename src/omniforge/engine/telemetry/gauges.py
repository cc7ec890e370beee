"""Gauges: figures that are looked up when somebody asks for the metrics, and never before."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from inspect import isawaitable

from sqlalchemy import func, select, text

from omniforge.core.clock import Clock
from omniforge.db import Database
from omniforge.engine.admission import Admission
from omniforge.engine.breakers import BreakerRow
from omniforge.engine.recovery.breaker import BreakerState, Status
from omniforge.engine.state import UNFINISHED, RunStatus
from omniforge.engine.store import OPEN_RUNS, RunRow

Level = float | Mapping[str, float]
"""One number, or a number per value of the gauge's label."""

_BREAKER_LEVELS = {Status.CLOSED: 0.0, Status.HALF_OPEN: 1.0, Status.OPEN: 2.0}


@dataclass(frozen=True, slots=True)
class Gauge:
    """`read` gives a number, or with a `label` a number per value of it; awaited when it must be."""

    name: str
    about: str
    read: Callable[[], Level | Awaitable[Level]]
    label: str | None = None

    async def level(self) -> Mapping[str, float]:
        """Number per label value; a gauge without a label has one number, under the empty name."""
        found = self.read()
        if isawaitable(found):
            found = await found
        return found if isinstance(found, Mapping) else {"": found}


def run_gauges(db: Database) -> tuple[Gauge, ...]:
    """Runs that are not over, by status; those that nobody has begun yet are the queue."""

    async def by_status() -> Mapping[str, float]:
        unfinished = sorted(status.value for status in UNFINISHED)
        query = select(RunRow.status, func.count()).where(text(OPEN_RUNS))
        async with db.read() as session:
            rows = (await session.execute(query.group_by(RunRow.status))).all()
        return dict.fromkeys(unfinished, 0.0) | {status: float(n) for status, n in rows}

    async def queued() -> float:
        open_runs = select(func.count()).select_from(RunRow).where(text(OPEN_RUNS))
        query = open_runs.where(RunRow.status == RunStatus.QUEUED.value)
        async with db.read() as session:
            return float(await session.scalar(query) or 0)

    return (
        Gauge("omniforge_queue_depth", "Runs that are durable and not begun.", queued),
        Gauge("omniforge_runs_active", "Runs that are not over.", by_status, "status"),
    )


def slot_gauges(admission: Admission) -> tuple[Gauge, ...]:
    """The slots of this process."""
    return (
        Gauge("omniforge_slots_free", "Slots that a step could take now.", lambda: float(admission.free)),
        Gauge("omniforge_slots_held", "Slots that steps hold.", lambda: float(admission.held)),
        Gauge("omniforge_slots_waiting", "Steps that wait for a slot.", lambda: float(admission.waiting)),
        Gauge(
            "omniforge_slots_limit",
            "Slots in use at most, as the load of the machine allows; 0 while admission is paused.",
            lambda: float(admission.limit),
        ),
    )


def breaker_gauge(db: Database, clock: Clock) -> Gauge:
    """Per provider or integration the worst state among the tenants' breakers."""

    async def worst() -> Mapping[str, float]:
        async with db.read() as session:
            rows = (await session.execute(select(BreakerRow.name, BreakerRow.state))).all()
        levels: dict[str, float] = {}
        for name, state in rows:
            status = BreakerState.from_json(json.loads(state)).status(clock.now())
            levels[name] = max(levels.get(name, 0.0), _BREAKER_LEVELS[status])
        return levels

    about = "Worst state among the tenants' breakers: 0 closed, 1 half open, 2 open."
    return Gauge("omniforge_breaker_state", about, worst, "name")
