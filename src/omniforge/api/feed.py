"""The event log for readers outside: what was, then what comes, each event once and in order.

One reader of the log serves everybody in this process who follows it live. Nobody who falls behind is waited
for: what a buffer could not hold is read again from the log.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from functools import cached_property
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.exc import SQLAlchemyError

from omniforge.agents.access import sees_all
from omniforge.api.hearing import NOBODY, Circle, Hearing, is_told
from omniforge.core.actor import Actor
from omniforge.engine.envelopes import EventFilter, envelope
from omniforge.engine.events import EventLog, EventRow, storable

log = logging.getLogger(__name__)

PAGE = 200
"""Events that are read at once for one reader."""
BUFFER = 10_000
"""Events that may wait for a reader; they are shared, so a place in a buffer costs a reference."""
AT_LEAST_EVERY = 5.0
"""Seconds between two looks at the log, whether or not it was announced that there is something."""


class Told:
    """One event on its way to readers; put into words once for all of them."""

    def __init__(self, row: EventRow, circle: Circle | None) -> None:
        self.row, self.circle = row, circle
        self.seq = row.seq

    @cached_property
    def event(self) -> dict[str, Any]:
        return envelope(self.row)

    @cached_property
    def text(self) -> str:
        return storable(self.event)


class Feed:
    """Lists and live streams of events, for every tenant."""

    def __init__(self, events: EventLog, hearing: Hearing, *, buffer: int = BUFFER) -> None:
        self.events, self.hearing, self.buffer = events, hearing, buffer
        self._readers: dict[str, set[Following]] = {}
        self._position = 0
        self._tail: asyncio.Task[None] | None = None
        self._starting = asyncio.Lock()

    async def find(
        self, actor: Actor, wanted: EventFilter, after: int, *, limit: int, offset: int, newest_first: bool
    ) -> tuple[list[Told], int]:
        """A page of what the actor is told of, and how much there is of it."""
        query = await self._query(actor, wanted, after)
        order = EventRow.seq.desc() if newest_first else EventRow.seq
        async with self.events.db.read() as session:
            total = await session.scalar(select(func.count()).select_from(query.subquery())) or 0
            rows = await session.scalars(query.order_by(order).limit(limit).offset(offset))
            return [Told(row, None) for row in rows], total

    async def replay(self, actor: Actor, wanted: EventFilter, after: int) -> list[Told]:
        """The next events after `after` that the actor wants and is told of."""
        query = (await self._query(actor, wanted, after)).order_by(EventRow.seq).limit(PAGE)
        async with self.events.db.read() as session:
            return [Told(row, None) for row in await session.scalars(query)]

    async def _query(self, actor: Actor, wanted: EventFilter, after: int) -> Select[EventRow]:
        query = select(EventRow).where(EventRow.tenant_id == actor.tenant_id, *wanted.conditions())
        query = query.where(EventRow.seq > after) if after else query
        return query.where(await self.hearing.condition(actor))

    @asynccontextmanager
    async def following(self, actor: Actor, wanted: EventFilter, after: int) -> AsyncGenerator[Following]:
        """A reader from `after` on. Its buffer fills from now on: nothing falls between past and present."""
        reader = Following(self, actor, wanted, after)
        async with self._starting:
            if self._tail is None:
                self._position = await self.events.position()
                self._tail = asyncio.create_task(self._follow_log())
            self._readers.setdefault(actor.tenant_id, set()).add(reader)
        try:
            yield reader
        finally:
            await self._leave(reader)

    async def _leave(self, reader: Following) -> None:
        readers = self._readers[reader.actor.tenant_id]
        readers.discard(reader)
        if not readers:
            del self._readers[reader.actor.tenant_id]
        if not self._readers and self._tail is not None:
            tail, self._tail = self._tail, None
            tail.cancel()
            await asyncio.gather(tail, return_exceptions=True)

    async def _follow_log(self) -> None:
        while True:
            arrived = self.events.arrival()
            try:
                rows = await self.events.since(self._position)
                await self._hand_out(rows)
            except SQLAlchemyError:
                log.exception("the event log could not be read; trying again")
                await asyncio.sleep(1)
                continue
            if rows:
                self._position = rows[-1].position
                continue
            try:
                async with asyncio.timeout(AT_LEAST_EVERY):
                    await arrived.wait()
            except TimeoutError:
                continue

    async def _hand_out(self, rows: Sequence[EventRow]) -> None:
        for tenant_id in {row.tenant_id for row in rows} & self._readers.keys():
            own = [row for row in rows if row.tenant_id == tenant_id]
            readers = self._readers[tenant_id]
            # Only for those who do not see everything anyway.
            asked = any(not sees_all(reader.actor) for reader in readers)
            circles = await self.hearing.circles(tenant_id, own) if asked else [None] * len(own)
            told = [Told(row, circle) for row, circle in zip(own, circles, strict=True)]
            for reader in tuple(readers):
                reader.receive(told)


class Following:
    """One reader. `wanted` may be replaced at any time; what comes next is then chosen by it."""

    def __init__(self, feed: Feed, actor: Actor, wanted: EventFilter, after: int) -> None:
        self.feed, self.actor, self.wanted = feed, actor, wanted
        self.after = after
        """Everything up to here was looked at."""
        self.is_live = False
        """False while it reads what was."""
        self.fell_behind = asyncio.Event()
        """Set once more came than its buffer holds, after it had come to the present."""
        self._waiting: deque[Told] = deque()
        self._arrived = asyncio.Event()
        self._lost = False

    def receive(self, told: Sequence[Told]) -> None:
        """Put into the buffer what was committed; what does not fit is read from the log later."""
        self._waiting.extend(told)
        if len(self._waiting) > self.feed.buffer:
            self._waiting.clear()
            if self.is_live:
                self.fell_behind.set()
            self.is_live, self._lost = False, True
        self._arrived.set()

    def rewind(self, after: int) -> None:
        """Go on after this event, whatever was given already."""
        self.after, self.is_live = after, False
        self._arrived.set()

    async def next(self, patience: float) -> list[Told]:
        """What comes next, at least one event; nothing when there was none for `patience` seconds."""
        while True:
            if not self.is_live:
                self._lost = False
                asked = self.actor, self.wanted, self.after
                found = await self.feed.replay(*asked)
                if asked != (self.actor, self.wanted, self.after):  # while that was read
                    continue
                if found:
                    self.after = found[-1].seq
                    return found
                if self._lost:
                    continue
                self.is_live = True
            if found := self._take():
                return found
            if not self.is_live:
                continue
            self._arrived.clear()
            try:
                async with asyncio.timeout(patience):
                    await self._arrived.wait()
            except TimeoutError:
                return []

    def _take(self) -> list[Told]:
        """From the buffer, in order, what is after `after`, wanted, and for this reader."""
        found: list[Told] = []
        while self._waiting and len(found) < PAGE:
            told = self._waiting.popleft()
            if told.seq <= self.after:
                continue
            if told.circle is None and not sees_all(self.actor):
                # It was read for people who see everything; the log knows who else may.
                self.is_live = False
                break
            self.after = told.seq
            if self.wanted.matches(told.event) and is_told(self.actor, told.row, told.circle or NOBODY):
                found.append(told)
        return found
