"""The event log on PostgreSQL: the writers of a tenant take turns, and positions follow the order of commits.

A transaction takes its tenants' locks (sorted) before it reads where their chains end, and one lock for all
before it inserts: so a reader that has seen a position will never see a lower one appear.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from psycopg import AsyncClientCursor, AsyncConnection
from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.engine.events import Event, chained_rows

EVENTS_CHANNEL = "omniforge_events"
"""Told when events were committed, to the live readers in other processes."""

COLUMNS = ("tenant_id", "seq", "type", "entity", "run_id", "at", "actor", "payload", "hash")

LOCK_TENANTS = "SELECT pg_advisory_xact_lock(k) FROM unnest(%s::bigint[]) AS k"
HEADS = (
    "SELECT e.tenant_id, e.seq, e.hash FROM unnest(%s::text[]) AS t(id) CROSS JOIN LATERAL"
    " (SELECT tenant_id, seq, hash FROM events WHERE tenant_id = t.id ORDER BY seq DESC LIMIT 1) AS e"
)


def lock_key(name: str) -> int:
    """The advisory lock of a name: 64 signed bits. Two names that share one only wait for each other."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)


def tenant_locks(tenant_ids: Iterable[str]) -> list[int]:
    """Locks of tenants in the order in which everybody takes them."""
    return sorted({lock_key(f"tenant:{tenant_id}") for tenant_id in tenant_ids})


EVENTS_LOCK = lock_key("events")
"""Of whoever inserts events, held from before the first to the end of the transaction."""

INSERT_EVENTS = (
    f"SELECT pg_advisory_xact_lock({EVENTS_LOCK});"
    f"INSERT INTO events ({', '.join(COLUMNS)}) SELECT {', '.join(COLUMNS)}"
    " FROM json_to_recordset(%s) AS r(tenant_id text, seq int, type text, entity text, run_id text, at text,"
    " actor text, payload text, hash text);"
    f"NOTIFY {EVENTS_CHANNEL}"
)


def as_records(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Rows as the JSON that `json_to_recordset` reads."""
    return json.dumps([dict(zip(columns, row, strict=True)) for row in rows], separators=(",", ":"))


async def append_at_end(session: AsyncSession, pending: Mapping[str, Sequence[Event]]) -> None:
    """Write events as the last act of a session's transaction: after its locks nothing else is waited for."""
    await session.flush()
    connection = await (await session.connection()).get_raw_connection()
    async with AsyncClientCursor(cast("AsyncConnection[Any]", connection.driver_connection)) as cursor:
        await cursor.execute(LOCK_TENANTS.encode(), (tenant_locks(pending),))
        await cursor.execute(HEADS.encode(), (list(pending),))
        heads = {tenant: (int(seq), str(last)) for tenant, seq, last in await cursor.fetchall()}
        rows = [
            row
            for tenant, events in pending.items()
            for row in chained_rows(tenant, heads.get(tenant), events)
        ]
        await cursor.execute(INSERT_EVENTS.encode(), (as_records(COLUMNS, rows),))
