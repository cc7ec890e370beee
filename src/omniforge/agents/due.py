"""The schedules' queries: which agents are due, what starting them needs, and when they are due next."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import and_, bindparam, func, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.agents.content import AgentStatus
from omniforge.agents.store import AgentRow, VersionRow


class DueAgent(NamedTuple):
    """An agent whose time has come, with what starting it needs. The hashes are None without a version."""

    tenant_id: str
    id: str
    schedule: str
    timezone: str
    misfire_policy: str
    next_fire_at: datetime
    person: str
    """Whoever switched it on: the one it acts for."""
    connections: dict[str, str]
    version: int
    content_hash: str | None
    manifest_hash: str | None
    grace: int | None
    """Seconds after which a fire is too late whatever the policy says."""
    concurrency: int
    """Executions at the same time."""

    @property
    def place(self) -> tuple[str, str]:
        return self.tenant_id, self.id


_DUE = (
    select(
        AgentRow.tenant_id,
        AgentRow.id,
        AgentRow.schedule,
        AgentRow.timezone,
        AgentRow.misfire_policy,
        AgentRow.next_fire_at,
        func.coalesce(AgentRow.activated_by, AgentRow.created_by),
        AgentRow.connections,
        AgentRow.version,
        VersionRow.content_hash,
        VersionRow.manifest_hash,
        AgentRow.content["misfire_grace_seconds"].as_integer(),
        func.coalesce(AgentRow.content["settings"]["concurrency"].as_integer(), 1),
    )
    .outerjoin(
        VersionRow,
        and_(
            VersionRow.tenant_id == AgentRow.tenant_id,
            VersionRow.agent_id == AgentRow.id,
            VersionRow.version == AgentRow.version,
        ),
    )
    .where(AgentRow.status == AgentStatus.ACTIVE.value)
    .order_by(AgentRow.next_fire_at)
    .with_for_update(skip_locked=True, of=AgentRow)
)


async def claim_due(
    session: AsyncSession, now: datetime, limit: int, but_not_of: Sequence[str] = ()
) -> list[DueAgent]:
    """Active agents whose time has come, the longest overdue first; without some tenants' agents.

    Nobody else claims them, pauses them or takes them out of use until the session ends. (On SQLite rows are
    not locked: one process works there, see `starts.py`.)
    """
    query = _DUE.where(AgentRow.next_fire_at <= now).limit(limit)
    if but_not_of:
        query = query.where(AgentRow.tenant_id.not_in(but_not_of))
    return [DueAgent(*row) for row in await session.execute(query)]


async def earliest_fire(session: AsyncSession, after: datetime | None = None) -> datetime | None:
    """When the next active agent is due, overdue ones included unless `after` is given."""
    query = select(AgentRow.next_fire_at).where(
        AgentRow.next_fire_at.is_not(None), AgentRow.status == AgentStatus.ACTIVE.value
    )
    if after is not None:
        query = query.where(AgentRow.next_fire_at > after)
    return await session.scalar(query.order_by(AgentRow.next_fire_at).limit(1))


class Coming(NamedTuple):
    """A schedule whose next fire is still to come."""

    tenant_id: str
    id: str
    schedule: str
    timezone: str
    next_fire_at: datetime


async def still_to_come(session: AsyncSession, now: datetime) -> list[Coming]:
    """The active agents that are not due yet."""
    columns = (AgentRow.tenant_id, AgentRow.id, AgentRow.schedule, AgentRow.timezone, AgentRow.next_fire_at)
    query = select(*columns).where(AgentRow.status == AgentStatus.ACTIVE.value, AgentRow.next_fire_at > now)
    return [Coming(*row) for row in await session.execute(query)]


_MOVE = update(AgentRow).where(
    AgentRow.tenant_id == bindparam("of_tenant"),
    AgentRow.id == bindparam("of_agent"),
    AgentRow.status == AgentStatus.ACTIVE.value,
    AgentRow.next_fire_at == bindparam("fired"),
)


async def still_due(session: AsyncSession, agents: Sequence[DueAgent]) -> set[tuple[str, str]]:
    """Those of these whose schedule was not changed, paused or moved on meanwhile."""
    keys = {(agent.tenant_id, agent.id, agent.next_fire_at) for agent in agents}
    found = await session.execute(
        select(AgentRow.tenant_id, AgentRow.id, AgentRow.next_fire_at).where(
            tuple_(AgentRow.tenant_id, AgentRow.id).in_([agent.place for agent in agents]),
            AgentRow.status == AgentStatus.ACTIVE.value,
        )
    )
    return {(row[0], row[1]) for row in found if (row[0], row[1], row[2]) in keys}


async def move_fires(
    session: AsyncSession, moves: Sequence[tuple[DueAgent | Coming, datetime | None]]
) -> None:
    """Set the next fires, each unless the schedule was changed, paused or archived meanwhile."""
    values = [
        {
            "of_tenant": agent.tenant_id,
            "of_agent": agent.id,
            "fired": agent.next_fire_at,
            "upcoming": upcoming,
        }
        for agent, upcoming in moves
    ]
    if values:
        connection = await session.connection()
        await connection.execute(_MOVE.values(next_fire_at=bindparam("upcoming")), values)


async def snapshots_of(
    session: AsyncSession, agents: Sequence[DueAgent]
) -> list[tuple[str, str, dict[str, Any], list[dict[str, Any]]]]:
    """Tenant, agent, snapshot and manifest of these agents' versions."""
    keys = [(agent.tenant_id, agent.id, agent.version) for agent in agents]
    found = await session.execute(
        select(VersionRow.tenant_id, VersionRow.agent_id, VersionRow.snapshot, VersionRow.manifest).where(
            tuple_(VersionRow.tenant_id, VersionRow.agent_id, VersionRow.version).in_(keys)
        )
    )
    return [(tenant_id, agent_id, snapshot, manifest) for tenant_id, agent_id, snapshot, manifest in found]
