"""How telemetry reads the event log: all tenants in order, from a place kept in memory or in the database."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import case, func, select

from omniforge.engine.events import EventCursor, EventLog, EventRow

log = logging.getLogger(__name__)

PAGE = 1_000
BACK_OFF = (1.0, 2.0, 5.0, 15.0, 30.0, 60.0)
"""Seconds until the next try after the first, second, … failure in a row."""


@dataclass(frozen=True, slots=True)
class Line:
    """One event of the log, without what telemetry never looks at."""

    position: int
    tenant_id: str
    type: str
    entity: str
    run_id: str | None
    at: str
    payload: str | None

    @property
    def step(self) -> str | None:
        """Key of the step that it is about: from the entity, as a payload may have been too large to keep."""
        prefix = f"step:{self.run_id}/"
        return self.entity[len(prefix) :] if self.entity.startswith(prefix) else None

    def facts(self) -> dict[str, Any]:
        """The payload; empty when it was not asked for."""
        return {} if self.payload is None else json.loads(self.payload)


_COLUMNS = (
    EventRow.position,
    EventRow.tenant_id,
    EventRow.type,
    EventRow.entity,
    EventRow.run_id,
    EventRow.at,
)


class LogReader:
    """Reads what is committed. Nothing here is called by whoever writes."""

    def __init__(self, events: EventLog) -> None:
        self.events = events
        self.db = events.db

    async def newest(self) -> int:
        """Position of the newest event; 0 in an empty log."""
        async with self.db.read() as session:
            return await session.scalar(select(func.max(EventRow.position))) or 0

    async def after(self, position: int, told: Collection[str]) -> list[Line]:
        """The next events of any type; payloads only of the types in `told`."""
        payload = case((EventRow.type.in_(told), EventRow.payload), else_=None)
        query = select(*_COLUMNS, payload).where(EventRow.position > position)
        async with self.db.read() as session:
            rows = (await session.execute(query.order_by(EventRow.position).limit(PAGE))).all()
        return [Line(*row) for row in rows]

    async def only(self, types: Collection[str], position: int, up_to: int, limit: int) -> list[Line]:
        """The next events of these types, with their payloads, none beyond the position `up_to`."""
        query = (
            select(*_COLUMNS, EventRow.payload)
            .where(EventRow.position > position, EventRow.position <= up_to, EventRow.type.in_(types))
            .order_by(EventRow.position)
            .limit(limit)
        )
        async with self.db.read() as session:
            return [Line(*row) for row in (await session.execute(query)).all()]

    async def of_run(self, run_id: str, after: int, up_to: int) -> list[Line]:
        """The run's next events, none beyond the position `up_to`."""
        query = (
            select(*_COLUMNS, EventRow.payload)
            .where(EventRow.run_id == run_id, EventRow.position > after, EventRow.position <= up_to)
            .order_by(EventRow.position)
            .limit(PAGE)
        )
        async with self.db.read() as session:
            return [Line(*row) for row in (await session.execute(query)).all()]

    async def newest_before(self, position: int, run_id: str, types: Collection[str]) -> int:
        """Position of the run's last event of these types before this one; 0 when there is none."""
        query = select(func.max(EventRow.position)).where(
            EventRow.run_id == run_id, EventRow.position < position, EventRow.type.in_(types)
        )
        async with self.db.read() as session:
            return await session.scalar(query) or 0

    async def place(self, name: str, now: datetime) -> int:
        """Where this reader stopped last; one that is unknown here begins with what comes next."""
        async with self.db.read() as session:
            stored = await session.get(EventCursor, name)
        if stored is not None:
            return stored.position
        position = await self.newest()
        await self.keep_place(name, position, now)
        return position

    async def keep_place(self, name: str, position: int, now: datetime) -> None:
        async with self.db.transaction() as session:
            await session.merge(EventCursor(subscriber=name, position=position, updated_at=now))


async def follow(events: EventLog, catch_up: Callable[[], Awaitable[object]], pause: float) -> None:
    """Call `catch_up` now and after commits, at most every `pause` seconds; an idle log costs nothing."""
    failures = 0
    while True:
        arrival = events.arrival()
        try:
            await catch_up()
        except Exception as error:
            # The path ends here: telemetry that fails must neither end nor disturb what it tells of.
            delay = BACK_OFF[min(failures, len(BACK_OFF) - 1)]
            if failures == 0:
                log.warning("telemetry fell behind and tries again: %s", error, exc_info=error)
            failures += 1
            await asyncio.sleep(delay)
        else:
            failures = 0
            await arrival.wait()
            await asyncio.sleep(pause)


def text_of(facts: Mapping[str, Any], name: str) -> str | None:
    """A field of a payload when it is text, else None: payloads may be cut, or written by a later release."""
    value = facts.get(name)
    return value if isinstance(value, str) else None


def number_of(facts: Mapping[str, Any], name: str) -> float | None:
    """A field of a payload when it is a number that counts something, else None."""
    value = facts.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if value >= 0 else None
