"""The ledger of fires: what waits and what never became a run is kept here; what did is its run.

A fire and its run are one durable record, the run itself under the fire's key. Everything else that a
schedule or an event asked for has a row, which goes when its run is durable. Readers see both.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    ColumnElement,
    Index,
    Integer,
    String,
    delete,
    func,
    null,
    select,
    text,
    tuple_,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from omniforge.agents.content import FireKind, FireStatus
from omniforge.core.clock import rfc3339
from omniforge.db import Base

Json = dict[str, Any]
Place = tuple[str, str]
"""Tenant and agent."""

_WAITING = "status = 'waiting'"
_WRITTEN_TOGETHER = 500
SUBJECT = "agent:"


class FireRow(Base):
    """A fire that has no run: it waits for one, or never got one, for this reason.

    Times are RFC 3339 text, as those of runs. `count`: how many fires the row stands for, from `logical_time`
    on, when there were too many to keep one by one. `event` and `source` are what a waiting one starts with.
    """

    __tablename__ = "agent_fires"
    __table_args__ = (
        Index("ix_agent_fires_time", "tenant_id", "agent_id", "fired_at"),
        Index(
            "ix_agent_fires_waiting",
            "tenant_id",
            "agent_id",
            sqlite_where=text(_WAITING),
            postgresql_where=text(_WAITING),
        ),
        {"sqlite_with_rowid": False},
    )

    tenant_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    agent_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    fire_key: Mapped[str] = mapped_column(String(200), primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))
    logical_time: Mapped[str] = mapped_column(String(32))
    fired_at: Mapped[str] = mapped_column(String(32))
    status: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str] = mapped_column(String(500))
    count: Mapped[int] = mapped_column(Integer)
    event: Mapped[Json | None] = mapped_column(JSON(none_as_null=True))
    source: Mapped[str | None] = mapped_column(String(64))


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A fire as it goes into the ledger."""

    tenant_id: str
    agent_id: str
    key: str
    kind: FireKind
    at: datetime
    """The time it is about."""
    status: FireStatus
    reason: str = ""
    count: int = 1
    event: Json | None = None
    source: str | None = None

    def values(self, now: datetime) -> Json:
        return {
            "tenant_id": self.tenant_id,
            "agent_id": self.agent_id,
            "fire_key": self.key,
            "kind": self.kind.value,
            "logical_time": rfc3339(self.at),
            "fired_at": rfc3339(now),
            "status": self.status.value,
            "reason": self.reason[:500],
            "count": self.count,
            "event": self.event,
            "source": self.source,
        }


@dataclass(slots=True)
class Waits:
    """What waits of each agent: schedules' fires, and all of them."""

    schedules: dict[Place, int] = field(default_factory=dict[Place, int])
    all: dict[Place, int] = field(default_factory=dict[Place, int])


# --- writing -----------------------------------------------------------------------------------------------


async def enter(session: AsyncSession, now: datetime, entries: Sequence[Entry]) -> None:
    """Write fires down; what is there already stays as it is."""
    if not entries:
        return
    connection = await session.connection()
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    statement = dialect.insert(FireRow).on_conflict_do_nothing()
    for first in range(0, len(entries), _WRITTEN_TOGETHER):
        part = entries[first : first + _WRITTEN_TOGETHER]
        await connection.execute(statement, [entry.values(now) for entry in part])


async def take_out(session: AsyncSession, tenant_id: str, agent_id: str, keys: Collection[str]) -> None:
    """Of these the runs are durable: from now on the runs tell of them."""
    await session.execute(delete(FireRow).where(*_own(tenant_id, agent_id), FireRow.fire_key.in_(keys)))


async def refuse(session: AsyncSession, tenant_id: str, agent_id: str, key: str, reason: str) -> None:
    """A waiting fire will never run."""
    await session.execute(
        update(FireRow)
        .where(*_own(tenant_id, agent_id), FireRow.fire_key == key, text(_WAITING))
        .values(status=FireStatus.REFUSED.value, reason=reason[:500], event=null(), source=null())
    )


async def give_up(
    session: AsyncSession, tenant_id: str, agent_id: str, status: FireStatus, reason: str
) -> None:
    """Nothing that waits of this agent will run: it was switched off."""
    await session.execute(
        update(FireRow)
        .where(*_own(tenant_id, agent_id), text(_WAITING))
        .values(status=status.value, reason=reason[:500], event=null(), source=null())
    )


# --- what waits --------------------------------------------------------------------------------------------


async def waiting(session: AsyncSession, places: Collection[Place] = ()) -> Waits:
    """How much waits, of these agents or of all."""
    query = select(FireRow.tenant_id, FireRow.agent_id, FireRow.kind, func.count()).where(text(_WAITING))
    if places and len(places) <= _WRITTEN_TOGETHER:
        query = query.where(tuple_(FireRow.tenant_id, FireRow.agent_id).in_(list(places)))
    waits = Waits()
    grouped = query.group_by(FireRow.tenant_id, FireRow.agent_id, FireRow.kind)
    for tenant_id, agent_id, kind, count in await session.execute(grouped):
        place = (tenant_id, agent_id)
        waits.all[place] = waits.all.get(place, 0) + count
        if kind == FireKind.SCHEDULE.value:
            waits.schedules[place] = count
    return waits


async def agents_waiting(session: AsyncSession, tenant_id: str) -> set[str]:
    """Agents of a tenant that have something that waits."""
    query = select(FireRow.agent_id).where(FireRow.tenant_id == tenant_id, text(_WAITING))
    return set(await session.scalars(query.distinct()))


async def oldest_waiting(session: AsyncSession, tenant_id: str, agent_id: str) -> FireRow | None:
    """The one that runs next: in the order they came, and of those that came together, of their times."""
    query = select(FireRow).where(*_own(tenant_id, agent_id), text(_WAITING))
    order = (FireRow.fired_at, FireRow.logical_time, FireRow.fire_key)
    return await session.scalar(query.order_by(*order).limit(1))


async def known_keys(
    session: AsyncSession, tenant_id: str, agent_id: str, keys: Collection[str]
) -> dict[str, FireStatus]:
    """What became of those of these fires that have a row."""
    query = select(FireRow.fire_key, FireRow.status).where(
        *_own(tenant_id, agent_id), FireRow.fire_key.in_(keys)
    )
    return {key: FireStatus(status) for key, status in await session.execute(query)}


async def count_since(session: AsyncSession, tenant_id: str, agent_id: str, since: datetime) -> int:
    """How many fires without a run (yet) came since a moment."""
    query = select(func.count()).where(*_own(tenant_id, agent_id), FireRow.fired_at >= rfc3339(since))
    return await session.scalar(query) or 0


def _own(tenant_id: str, agent_id: str) -> tuple[ColumnElement[bool], ...]:
    return FireRow.tenant_id == tenant_id, FireRow.agent_id == agent_id
