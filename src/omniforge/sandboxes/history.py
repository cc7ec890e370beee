"""What was told of one sandbox, as it was told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.engine.envelopes import envelope
from omniforge.engine.events import EventRow
from omniforge.sandboxes.schemas import (
    EventList,
    EventQuery,
    HeartbeatSummary,
    Trajectory,
    TrajectoryQuery,
)
from omniforge.sandboxes.store import SandboxRow, TelemetryRow
from omniforge.sandboxes.vocabulary import HEARTBEAT, MEASURED

Json = dict[str, Any]


async def list_events(session: AsyncSession, row: SandboxRow, query: EventQuery) -> EventList:
    """`after`: only what was told later than this place in the log."""
    where = _about(row)
    if query.event_type is not None:
        where.append(EventRow.type == query.event_type)
    if query.after is not None:
        where.append(EventRow.seq > query.after)
    order = EventRow.seq.asc() if query.order == "asc" else EventRow.seq.desc()
    found = select(EventRow).where(*where).order_by(order).limit(query.limit).offset(query.offset)
    events = await _whole(session, row, list(await session.scalars(found)))
    return EventList(
        events=events, total=await _count(session, where), limit=query.limit, offset=query.offset
    )


async def show_trajectory(session: AsyncSession, row: SandboxRow, query: TrajectoryQuery) -> Trajectory:
    """What it did, without the signs that it was alive; `before` goes back from a place in the log."""
    everything = _about(row)
    deeds = [*everything, EventRow.type.not_in((HEARTBEAT, MEASURED))]
    window = deeds if query.before is None else [*deeds, EventRow.seq < query.before]
    found = select(EventRow).where(*window).order_by(EventRow.seq.desc()).limit(query.limit)
    events = list(await session.scalars(found))[::-1]
    number = await _count(session, deeds)
    return Trajectory(
        sandbox_id=row.id,
        events=await _whole(session, row, events),
        heartbeat_summary=HeartbeatSummary(
            count=row.heartbeat_count,
            first_heartbeat=row.first_heartbeat_at,
            last_heartbeat=row.last_heartbeat_at,
        ),
        total_events=await _count(session, everything),
        trajectory_events=number,
        limit=query.limit,
        offset=0,
        total=number,
    )


def _about(row: SandboxRow) -> list[ColumnElement[bool]]:
    """Its events; by the index of its run where it has one."""
    where = [EventRow.tenant_id == row.tenant_id, EventRow.entity == f"sandbox:{row.id}"]
    return where if row.run_id is None else [EventRow.run_id == row.run_id, *where]


async def _count(session: AsyncSession, where: Sequence[ColumnElement[bool]]) -> int:
    return await session.scalar(select(func.count()).select_from(EventRow).where(*where)) or 0


async def _whole(session: AsyncSession, row: SandboxRow, events: Sequence[EventRow]) -> list[Json]:
    """Events as they were told, also those that are too long for the log."""
    places = [one.seq for one in events]
    found = (TelemetryRow.sandbox_id == row.id, TelemetryRow.event_seq.in_(places))
    rows = await session.scalars(select(TelemetryRow).where(*found))
    long = {one.event_seq: one.data for one in rows if one.data is not None}
    shown = [envelope(one) for one in events]
    return [{**one, "payload": long.get(one["seq"], one["payload"])} for one in shown]
