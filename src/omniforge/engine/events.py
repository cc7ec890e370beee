"""The one event log: hash-chained rows per tenant, written with the state they tell of, and its readers."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Integer, String, Text, UniqueConstraint, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from omniforge.core.clock import rfc3339
from omniforge.db import Base, Database, UtcDateTime

log = logging.getLogger(__name__)

FIRST_HASH = "0" * 64
MAX_PAYLOAD = 16 * 1024
SUBSCRIBER_DELAYS = (0.2, 1.0, 5.0)
"""Seconds between tries of a subscriber that raises; after the last it is logged and passed over."""


def storable(value: Any) -> str:
    """Canonical JSON that every store can hold: half a surrogate pair becomes `?`, what is no JSON its text.

    For what is told, such as errors and logs. Inputs and outputs are refused instead, where they come in.
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
    return text.encode("utf-8", "replace").decode()


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened. `type` is `noun.past`, `entity` what it happened to, payload ≤ 16 KB JSON."""

    type: str
    entity: str
    at: datetime
    actor: str
    payload: dict[str, Any] = field(default_factory=dict[str, Any])
    run_id: str | None = None

    def payload_json(self) -> str:
        text = storable(self.payload)
        if len(text.encode()) > MAX_PAYLOAD:
            return json.dumps({"truncated": True, "bytes": len(text.encode())})
        return text


class EventRow(Base):
    """`position` orders all events of the installation, `seq` those of one tenant, without gaps."""

    __tablename__ = "events"
    __table_args__ = (UniqueConstraint("tenant_id", "seq"), {"sqlite_autoincrement": True})

    position: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    tenant_id: Mapped[str] = mapped_column(String(64))
    seq: Mapped[int] = mapped_column(Integer)
    type: Mapped[str] = mapped_column(String(64))
    entity: Mapped[str] = mapped_column(String(160))
    run_id: Mapped[str | None] = mapped_column(String(64), index=True)
    at: Mapped[str] = mapped_column(String(32))
    actor: Mapped[str] = mapped_column(String(160))
    payload: Mapped[str] = mapped_column(Text)
    hash: Mapped[str] = mapped_column(String(64))

    def shown(self) -> dict[str, Any]:
        """The row as readers see it."""
        return {
            "seq": self.seq,
            "type": self.type,
            "entity": self.entity,
            "run_id": self.run_id,
            "at": self.at,
            "actor": self.actor,
            "payload": json.loads(self.payload),
        }


class EventCursor(Base):
    """How far a subscriber has come; moved after its work, so every event reaches it at least once."""

    __tablename__ = "event_cursors"

    subscriber: Mapped[str] = mapped_column(String(64), primary_key=True)
    position: Mapped[int] = mapped_column(Integer)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)


HEAD_SQL = "SELECT seq, hash FROM events WHERE tenant_id = ? ORDER BY seq DESC LIMIT 1"
INSERT_SQL = (
    "INSERT INTO events (tenant_id, seq, type, entity, run_id, at, actor, payload, hash)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


def chained_rows(
    tenant_id: str, head: tuple[int, str] | None, events: Iterable[Event]
) -> list[tuple[str, int, str, str, str | None, str, str, str, str]]:
    """Rows (in the order of INSERT_SQL) that continue the tenant's chain after `head` = (seq, hash)."""
    seq, last = head or (0, FIRST_HASH)
    rows: list[tuple[str, int, str, str, str | None, str, str, str, str]] = []
    for event in events:
        seq += 1
        at, payload = rfc3339(event.at), event.payload_json()
        last = row_hash(
            last, tenant_id, seq, event.type, event.entity, event.run_id, at, event.actor, payload
        )
        rows.append((tenant_id, seq, event.type, event.entity, event.run_id, at, event.actor, payload, last))
    return rows


def row_hash(previous: str, *parts: str | int | None) -> str:
    """Hash of one row: covers the previous row's hash and every field."""
    text = json.dumps([previous, *parts], separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


async def first_broken(session: AsyncSession, tenant_id: str) -> int | None:
    """Sequence number of the first row that was edited, removed or moved; None when the chain holds."""
    last, expected = FIRST_HASH, 1
    rows = await session.stream_scalars(
        select(EventRow).where(EventRow.tenant_id == tenant_id).order_by(EventRow.seq)
    )
    async for row in rows:
        fields = (row.tenant_id, row.seq, row.type, row.entity, row.run_id, row.at, row.actor, row.payload)
        if row.seq != expected or row.hash != row_hash(last, *fields):
            return expected
        last, expected = row.hash, expected + 1
    return None


Subscriber = Callable[[EventRow, str], Awaitable[None]]
"""Called after commit with the event and its tenant; at least once, so it must be idempotent."""


class EventLog:
    """Append to and read from the log. `announce()` wakes live readers after a commit."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self._arrived = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def append(self, session: AsyncSession, tenant_id: str, *events: Event) -> None:
        """Write events in the caller's transaction; readers are woken when it has committed."""
        connection = await session.connection()
        found = (await connection.exec_driver_sql(HEAD_SQL, (tenant_id,))).first()
        head = (int(found.seq), str(found.hash)) if found else None
        for row in chained_rows(tenant_id, head, events):
            await connection.exec_driver_sql(INSERT_SQL, row)
        session.info.setdefault("after_commit", []).append(self.announce)

    def announce(self) -> None:
        """Wake everybody who waits for events. Call on the event loop, after the commit."""
        arrived, self._arrived = self._arrived, asyncio.Event()
        arrived.set()

    async def read(
        self,
        tenant_id: str,
        *,
        after: int = 0,
        run_id: str | None = None,
        types: Sequence[str] = (),
        limit: int = 500,
    ) -> list[EventRow]:
        """Committed events with seq > after, oldest first."""
        query = select(EventRow).where(EventRow.tenant_id == tenant_id, EventRow.seq > after)
        if run_id is not None:
            query = query.where(EventRow.run_id == run_id)
        if types:
            query = query.where(EventRow.type.in_(types))
        async with self.db.read() as session:
            return list(await session.scalars(query.order_by(EventRow.seq).limit(limit)))

    async def follow(
        self, tenant_id: str, *, after: int = 0, run_id: str | None = None
    ) -> AsyncGenerator[EventRow, None]:
        """All events after `after`, then each as it is committed. No gap, no repeat, no polling."""
        while True:
            arrived = self._arrived
            rows = await self.read(tenant_id, after=after, run_id=run_id)
            for row in rows:
                after = row.seq
                yield row
            if not rows:
                await arrived.wait()

    def subscribe(self, name: str, types: Sequence[str], subscriber: Subscriber) -> None:
        """Call `subscriber` for each event of these types, from where it stopped last, until `close`."""
        self._tasks.append(asyncio.create_task(self._deliver(name, tuple(types), subscriber)))

    async def _deliver(self, name: str, types: tuple[str, ...], subscriber: Subscriber) -> None:
        position: int | None = None
        while True:
            try:
                position = await self._position(name) if position is None else position
                position = await self._deliver_from(name, types, subscriber, position)
            except Exception:
                # The path ends here: a database that was busy for a moment must not end the delivery.
                log.exception("events could not be delivered to %s; trying again", name)
                await asyncio.sleep(SUBSCRIBER_DELAYS[1])

    async def _position(self, name: str) -> int:
        async with self.db.read() as session:
            stored = await session.get(EventCursor, name)
        return stored.position if stored else 0

    async def _deliver_from(
        self, name: str, types: tuple[str, ...], subscriber: Subscriber, position: int
    ) -> int:
        """Deliver what is there after `position`, or wait for more; returns the new position."""
        arrived = self._arrived
        async with self.db.read() as session:
            query = select(EventRow).where(EventRow.position > position, EventRow.type.in_(types))
            rows = list(await session.scalars(query.order_by(EventRow.position).limit(200)))
        if not rows:
            await arrived.wait()
            return position
        for row in rows:
            await self._call(name, subscriber, row)
        await self._remember(name, rows[-1].position, rows[-1])
        return rows[-1].position

    async def _call(self, name: str, subscriber: Subscriber, row: EventRow) -> None:
        for delay in (*SUBSCRIBER_DELAYS, None):
            try:
                await subscriber(row, row.tenant_id)
            except Exception:
                # The path ends here: one subscriber's fault must not stop the others or the log.
                log.exception("subscriber %s failed on event %s (%s)", name, row.position, row.type)
                if delay is not None:
                    await asyncio.sleep(delay)
            else:
                return

    async def _remember(self, name: str, position: int, row: EventRow) -> None:
        async with self.db.transaction() as session:
            at = datetime.fromisoformat(row.at)
            await session.merge(EventCursor(subscriber=name, position=position, updated_at=at))

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
