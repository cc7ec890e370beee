"""The one event log: hash-chained rows per tenant, written with the state they tell of, and its readers."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

import orjson
from sqlalchemy import Index, Integer, String, Text, UniqueConstraint, func, select, text
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
    try:
        return orjson.dumps(value, None, orjson.OPT_SORT_KEYS).decode()
    except TypeError:  # what orjson refuses and json does not: lone surrogates, odd keys, very large numbers
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
        return text.encode("utf-8", "replace").decode()


@dataclass(slots=True)  # not frozen: that triples what making one costs, and every step makes several
class Event:
    """Something that happened. `type` is `noun.past`, `entity` what it happened to, payload ≤ 16 KB JSON.

    at: the moment, as text (RFC 3339, UTC) where its maker has that already.
    """

    type: str
    entity: str
    at: datetime | str
    actor: str
    payload: dict[str, Any] = field(default_factory=dict[str, Any])
    run_id: str | None = None

    def payload_json(self) -> str:
        text = storable(self.payload)
        if len(text) > MAX_PAYLOAD // 4 and (size := len(text.encode())) > MAX_PAYLOAD:
            kept = {"ids": self.payload["ids"]} if "ids" in self.payload else {}  # readers find it by these
            return storable({"truncated": True, "bytes": size, **kept})
        return text


_BELONGS = text("""instr(payload, '"ids":{') > 0""")
_BELONGS_THERE = text("""strpos(payload, '"ids":{') > 0""")
"""Conditions of the index of events that belong to something of the board: few among those of runs."""


class EventRow(Base):
    """`position` orders all events of the installation, `seq` those of one tenant, without gaps."""

    __tablename__ = "events"
    __table_args__ = (
        UniqueConstraint("tenant_id", "seq"),
        Index(
            "ix_events_belonging", "tenant_id", "seq", sqlite_where=_BELONGS, postgresql_where=_BELONGS_THERE
        ),
        {"sqlite_autoincrement": True},
    )

    position: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    tenant_id: Mapped[str] = mapped_column(String(64))
    seq: Mapped[int] = mapped_column(Integer)
    type: Mapped[str] = mapped_column(String(64))
    entity: Mapped[str] = mapped_column(String(400))
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


UnchainedRow = tuple[str, str, str, "str | None", str, str, str]
"""tenant_id, type, entity, run_id, at, actor, payload: an event without a place in its tenant's chain yet."""
ChainedRow = tuple[str, int, str, str, "str | None", str, str, str, str]
"""In the order of INSERT_SQL."""


def unchained_row(tenant_id: str, event: Event) -> UnchainedRow:
    """ValueError for a unit separator, which would make the row's hash ambiguous."""
    at = event.at if isinstance(event.at, str) else rfc3339(event.at)
    entity, run_id, actor = event.entity, event.run_id, event.actor
    if "\x1f" in f"{tenant_id}{event.type}{entity}{run_id}{actor}{at}":
        raise ValueError("control characters in the head of an event")
    return (tenant_id, event.type, entity, run_id, at, actor, event.payload_json())


def chained(heads: dict[str, tuple[int, str]], rows: Iterable[UnchainedRow]) -> Iterator[ChainedRow]:
    """Rows that continue their tenants' chains after `heads` (tenant → seq, hash), which goes along."""
    for row in rows:
        tenant_id, type_, entity, run_id, at, actor, payload = row
        seq, last = heads.get(tenant_id, _NO_HEAD)
        seq += 1
        last = row_hash(last, tenant_id, seq, type_, entity, run_id, at, actor, payload)
        heads[tenant_id] = (seq, last)
        yield (tenant_id, seq, type_, entity, run_id, at, actor, payload, last)


_NO_HEAD = (0, FIRST_HASH)


def chained_rows(tenant_id: str, head: tuple[int, str] | None, events: Iterable[Event]) -> list[ChainedRow]:
    """Rows that continue the tenant's chain after `head` = (seq, hash)."""
    return list(chained({tenant_id: head or _NO_HEAD}, (unchained_row(tenant_id, event) for event in events)))


def row_hash(  # noqa: PLR0917 - the fields of a row, in their order
    previous: str,
    tenant_id: str,
    seq: int,
    type_: str,
    entity: str,
    run_id: str | None,
    at: str,
    actor: str,
    payload: str,
) -> str:
    """SHA-256 of one row: the previous row's hash and every field, with unit separators between them.

    The separator cannot stand in a field: JSON, the payload, escapes it, and `unchained_row` refuses it.
    """
    head = (
        f"{previous}\x1f{tenant_id}\x1f{seq}\x1f{type_}\x1f{entity}\x1f{run_id or ''}\x1f{at}\x1f{actor}\x1f"
    )
    return hashlib.sha256((head + payload).encode()).hexdigest()


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


AppendAtEnd = Callable[[AsyncSession, Mapping[str, Sequence[Event]]], Awaitable[None]]
"""Writes the events of each tenant with what the session has changed."""


class EventLog:
    """Append to and read from the log. `announce()` wakes live readers after a commit.

    `at_end` writes what a session appended, last in its transaction: for a database with many writers.
    """

    def __init__(self, db: Database, at_end: AppendAtEnd | None = None) -> None:
        self.db = db
        self._at_end = at_end
        self._arrived = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def append(self, session: AsyncSession, tenant_id: str, *events: Event) -> None:
        """Write events in the caller's transaction; readers are woken when it has committed."""
        if self._at_end is not None:
            self._put_off(session, tenant_id, events, self._at_end)
            return
        connection = await session.connection()
        found = (await connection.exec_driver_sql(HEAD_SQL, (tenant_id,))).first()
        head = (int(found.seq), str(found.hash)) if found else None
        for row in chained_rows(tenant_id, head, events):
            await connection.exec_driver_sql(INSERT_SQL, row)
        session.info.setdefault("after_commit", []).append(self.announce)

    def _put_off(
        self, session: AsyncSession, tenant_id: str, events: Sequence[Event], at_end: AppendAtEnd
    ) -> None:
        """Keep events for the end of the transaction, where writers of one tenant may wait for each other."""
        pending: dict[str, list[Event]] | None = session.info.get("events")
        if pending is None:
            pending = session.info["events"] = {}
            finish = partial(at_end, session, pending)
            session.info.setdefault("before_commit", []).append(finish)
            session.info.setdefault("after_commit", []).append(self.announce)
        pending.setdefault(tenant_id, []).extend(events)

    def announce(self) -> None:
        """Wake everybody who waits for events. Call on the event loop, after the commit."""
        arrived, self._arrived = self._arrived, asyncio.Event()
        arrived.set()

    def arrival(self) -> asyncio.Event:
        """Set by the next commit that holds events. Take it before reading: then none is missed."""
        return self._arrived

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

    async def since(self, position: int, limit: int = 500) -> list[EventRow]:
        """Committed events of all tenants after this position, in their order."""
        query = select(EventRow).where(EventRow.position > position).order_by(EventRow.position).limit(limit)
        async with self.db.read() as session:
            return list(await session.scalars(query))

    async def position(self) -> int:
        """Of the newest event of all tenants; 0 before the first."""
        async with self.db.read() as session:
            return await session.scalar(select(func.max(EventRow.position))) or 0

    async def last(self, tenant_id: str) -> int:
        """The seq of the newest event; 0 before the first."""
        async with self.db.read() as session:
            newest = select(func.max(EventRow.seq)).where(EventRow.tenant_id == tenant_id)
            return await session.scalar(newest) or 0

    async def follow(
        self, tenant_id: str, *, after: int = 0, run_id: str | None = None
    ) -> AsyncGenerator[EventRow, None]:
        """All events after `after`, then each as it is committed. No gap, no repeat, no polling."""
        while True:
            arrived = self.arrival()
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
        arrived = self.arrival()
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
