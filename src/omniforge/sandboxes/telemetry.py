"""What workers tell while they work: judged whole, cleaned, and in the log before they are answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, cast

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.core.clock import Clock, new_id
from omniforge.core.errors import Forbidden, Invalid, PayloadTooLarge
from omniforge.engine.events import MAX_PAYLOAD, Event, EventLog, EventRow
from omniforge.sandboxes.environment import Environments
from omniforge.sandboxes.limits import Ask, take, too_many
from omniforge.sandboxes.log import sandbox_event
from omniforge.sandboxes.schemas import EventGiven, Metrics
from omniforge.sandboxes.store import SandboxRow, TelemetryRow, lock_sandbox
from omniforge.sandboxes.texts import cleaned, is_relative, shortened, size_of
from omniforge.sandboxes.tokens import WorkerCall
from omniforge.sandboxes.vocabulary import (
    HEARTBEAT,
    MEASURED,
    NOT_FOR_WORKERS,
    TELEMETRY,
    TOOL_USED,
    WORK,
    Source,
    telemetry_type,
)

LARGEST = 100 * 1024
"""Bytes of what one event tells."""
KEPT_IN_LOG = MAX_PAYLOAD - 1024
"""Bytes of it that stand in the log itself, beside its ids."""
MOST_KEPT = 32
"""Figures of a measurement that are shown with the sandbox."""


class EventNotAllowed(Forbidden):
    """This is told by the host alone."""

    code = "event_not_allowed"


@dataclass(frozen=True, slots=True)
class Told:
    """One event as it will be kept, but for its secrets."""

    type: str
    data: dict[str, Any]
    source: Source = Source.AGENT
    client_seq: int | None = None


@dataclass(slots=True)
class Kept:
    """One event in the log; `seq` is there once it is committed."""

    type: str
    at: datetime
    client_seq: int | None
    seq: int = 0
    is_duplicate: bool = False


@dataclass(slots=True)
class _Batch:
    """Events that are about to be written, with what is kept of each beside the log."""

    row: SandboxRow
    now: datetime
    kept: list[Kept] = field(default_factory=list[Kept])
    events: list[Event] = field(default_factory=list[Event])
    whole: list[dict[str, Any] | None] = field(default_factory=list["dict[str, Any] | None"])


def read_told(given: Sequence[EventGiven]) -> list[Told]:
    """What is told, under its listed names. One that is wrong makes all of them wrong: Invalid names the
    field, EventNotAllowed the type, PayloadTooLarge the size."""
    return [_read(one, f"events[{number}]." if len(given) > 1 else "") for number, one in enumerate(given)]


def _read(given: EventGiven, place: str) -> Told:
    type_ = telemetry_type(given.event_type)
    if type_ in NOT_FOR_WORKERS:
        message = f"Workers may not tell of {type_}; the host does that."
        raise EventNotAllowed(message, field=f"{place}event_type", event_type=type_)
    if type_ not in TELEMETRY:
        rule = f"one of: {', '.join(sorted(TELEMETRY))}"
        wrong = {"field": f"{place}event_type", "value": given.event_type, "rule": rule}
        raise Invalid("There is no such type of event.", fields=[wrong])
    data = given.event_data
    if (size := size_of(data)) > LARGEST:
        message = f"What one event tells may have {LARGEST} bytes."
        raise PayloadTooLarge(message, field=f"{place}event_data", limit=LARGEST, bytes=size)
    path = data.get("path")
    if type_.startswith("file.") and path is not None and not (isinstance(path, str) and is_relative(path)):
        rule = "a relative path of at most 1000 characters, without '..'"
        shown = path[:200] if isinstance(path, str) else None
        wrong = {"field": f"{place}event_data.path", "value": shown, "rule": rule}
        raise Invalid(f"event_data.path: {rule}", fields=[wrong])
    return Told(type_, data, given.source, given.client_seq)


class Telemetry:
    def __init__(self, events: EventLog, clock: Clock, environments: Environments) -> None:
        self.events, self.clock, self.environments = events, clock, environments

    async def record_in(self, session: AsyncSession, call: WorkerCall, told: Sequence[Told]) -> list[Kept]:
        """Write them as one; what was told before under the same `client_seq` is known again. Heartbeats
        count against their own limit as well. Nothing may be told of this tenant after it in `session`."""
        row = await lock_sandbox(session, call.sandbox.id)
        batch = _Batch(row, self.clock.now())
        known = await self._known(session, row, told)
        secrets = await self.environments.secrets_of(session, row)
        kept: list[Kept] = []
        for one in told:
            if one.client_seq is not None and (before := known.get(one.client_seq)) is not None:
                kept.append(Kept(before.type, before.at, one.client_seq, before.seq, is_duplicate=True))
                continue
            made = self._add(batch, one, call, secrets)
            kept.append(made)
            if one.client_seq is not None:
                known[one.client_seq] = made
        beats = sum(one.type == HEARTBEAT for one in batch.kept)
        if beats and not await take(session, row.id, Ask.HEARTBEATS, batch.now, beats):
            raise too_many(Ask.HEARTBEATS, batch.now)
        await self._append(session, batch)
        # A repeated event in the same batch has the place of the first.
        placed = [one for one in kept if one.is_duplicate and one.seq == 0]
        if placed:
            session.info["before_commit"].append(partial(_share_places, placed, known))
        return kept

    async def heartbeat_in(
        self, session: AsyncSession, call: WorkerCall, busy: bool, metrics: Metrics | None
    ) -> None:
        """It is alive; the last figures are kept with the sandbox."""
        row = await lock_sandbox(session, call.sandbox.id)
        figures = metrics.model_dump(exclude_none=True) if metrics is not None else {}
        batch = _Batch(row, self.clock.now())
        self._add(batch, Told(HEARTBEAT, {"busy": busy, **figures}, Source.WORKER), call, ())
        await self._append(session, batch)

    async def tell_in(self, session: AsyncSession, call: WorkerCall, event: Event) -> Kept:
        """Something the host tells because the worker said so; `event.payload` holds the worker's words,
        which are cleaned here. It counts as work."""
        row = await lock_sandbox(session, call.sandbox.id)
        batch = _Batch(row, self.clock.now())
        secrets = await self.environments.secrets_of(session, row)
        ids = event.payload.pop("ids")
        whole = cleaned(event.payload, secrets)
        is_long = size_of(whole) > KEPT_IN_LOG
        event.payload = {**(shortened(whole, KEPT_IN_LOG) if is_long else whole), "ids": ids}
        row.last_work_at = batch.now
        batch.kept.append(Kept(event.type, batch.now, None))
        batch.events.append(event)
        batch.whole.append(whole if is_long else None)
        await self._append(session, batch)
        return batch.kept[0]

    @staticmethod
    async def _known(session: AsyncSession, row: SandboxRow, told: Sequence[Told]) -> dict[int, Kept]:
        asked = [one.client_seq for one in told if one.client_seq is not None]
        if not asked:
            return {}
        found = (TelemetryRow.sandbox_id == row.id, TelemetryRow.client_seq.in_(asked))
        rows = await session.scalars(select(TelemetryRow).where(*found))
        return {
            one.client_seq: Kept(one.type, one.at, one.client_seq, one.event_seq)
            for one in rows
            if one.client_seq is not None
        }

    @staticmethod
    def _add(batch: _Batch, one: Told, call: WorkerCall, secrets: Sequence[str]) -> Kept:
        data: dict[str, Any] = cleaned(one.data, secrets)
        _note(batch.row, one.type, data, batch.now)
        # The log keeps ids beside what is told, so what is told may have none of that name there.
        is_whole = "ids" not in data and size_of(data) <= KEPT_IN_LOG
        inside = data if is_whole else shortened(data, KEPT_IN_LOG)
        event = sandbox_event(one.type, batch.row, batch.now, call.by)
        ids = {**event.payload["ids"], "source": one.source.value}
        event.payload = {**inside, "ids": ids}
        kept = Kept(one.type, batch.now, one.client_seq)
        batch.kept.append(kept)
        batch.events.append(event)
        batch.whole.append(None if is_whole else data)
        return kept

    async def _append(self, session: AsyncSession, batch: _Batch) -> None:
        if not batch.events:
            return
        await session.flush()
        await self.events.append(session, batch.row.tenant_id, *batch.events)
        session.info.setdefault("before_commit", []).append(partial(_place, session, batch))


async def _place(session: AsyncSession, batch: _Batch) -> None:
    """Last in the transaction: these events are the newest of their tenant, in their order."""
    row = batch.row
    newest = select(EventRow.seq).where(EventRow.tenant_id == row.tenant_id)
    query = newest.order_by(EventRow.seq.desc()).limit(len(batch.events))
    places = list(await session.scalars(query))[::-1]
    for kept, whole, seq in zip(batch.kept, batch.whole, places, strict=True):
        kept.seq = seq
        if kept.client_seq is None and whole is None:
            continue
        named = {"tenant_id": row.tenant_id, "sandbox_id": row.id, "client_seq": kept.client_seq}
        session.add(
            TelemetryRow(id=new_id("told"), **named, event_seq=seq, type=kept.type, at=batch.now, data=whole)
        )
    await session.flush()


async def _share_places(repeated: Sequence[Kept], known: dict[int, Kept]) -> None:
    for one in repeated:
        if one.client_seq is not None:
            one.seq = known[one.client_seq].seq


def _note(row: SandboxRow, type_: str, data: dict[str, Any], now: datetime) -> None:
    """What the sandbox shows of it."""
    if type_ in WORK:
        row.last_work_at = now
    if type_ == TOOL_USED:
        row.tool_calls += 1
    if type_ == HEARTBEAT:
        row.first_heartbeat_at = row.first_heartbeat_at or now
        row.last_heartbeat_at = now
        row.heartbeat_count += 1
        row.metrics = {**row.metrics, "busy": bool(data.get("busy")), **_figures(data)}
    if type_ == MEASURED:
        measured = data.get("metrics")
        told = cast("dict[str, Any]", measured) if isinstance(measured, dict) else data
        row.metrics = {**row.metrics, **_figures(told)}


def _figures(data: dict[str, Any]) -> dict[str, float]:
    """Numbers by short names, as many as can be shown."""
    found = {
        name: value
        for name, value in data.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and len(name) <= 64
    }
    return dict(sorted(found.items())[:MOST_KEPT])
