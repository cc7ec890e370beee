"""The ledger of fires as people read it: what became of each, and what comes next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import CompoundSelect, Select, Subquery, func, literal, null, select, union_all
from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.agents import access, schedule, store
from omniforge.agents.content import AgentStatus, ExecutionStatus, FireKind, FireStatus
from omniforge.agents.executions import SUBJECT
from omniforge.agents.ledger import FireRow
from omniforge.agents.readings import status_of_run
from omniforge.agents.schemas import FireList, FireView, ScheduledAgent, ScheduleList
from omniforge.agents.store import AgentRow, OutcomeRow
from omniforge.core.actor import Actor
from omniforge.core.clock import Clock
from omniforge.core.paging import Paging
from omniforge.db import Database
from omniforge.runs.fired import fired_runs

NEXT_SHOWN = 3
_UNDER_WAY = (ExecutionStatus.PENDING, ExecutionStatus.RUNNING, ExecutionStatus.WAITING)


class FireHistory:
    """Reads the ledger. Every method is limited to the actor's tenant."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self.db, self.clock = db, clock

    async def list_fires(self, actor: Actor, agent_id: str, paging: Paging) -> FireList:
        """Every fire of an agent, newest first; NotFound unless the tenant has it."""
        actor.require("agent:view")
        async with self.db.read() as session:
            agent = await store.get_agent(session, actor.tenant_id, agent_id)
            access.require_sight(actor, agent)
            lines, total = await read_ledger(session, actor.tenant_id, agent_id, paging.limit, paging.offset)
        return FireList(
            fires=[_shown(line) for line in lines],
            next=self._next(agent),
            total=total,
            limit=paging.limit,
            offset=paging.offset,
        )

    async def list_schedules(self, actor: Actor, paging: Paging) -> ScheduleList:
        """Agents that have a schedule, those that fire next first."""
        actor.require("agent:view")
        async with self.db.read() as session:
            agents, total = await _scheduled(session, actor, paging)
            last = await last_fires(session, actor.tenant_id, [agent.id for agent in agents])
        found = [
            ScheduledAgent(
                id=agent.id,
                name=agent.name,
                status=AgentStatus(agent.status),
                schedule=cron,
                timezone=agent.timezone,
                words=schedule.describe(cron),
                next_fire_at=agent.next_fire_at,
                last_fire=_shown(last[agent.id]) if agent.id in last else None,
            )
            for agent in agents
            if (cron := agent.schedule) is not None
        ]
        return ScheduleList(schedules=found, total=total, limit=paging.limit, offset=paging.offset)

    def _next(self, agent: AgentRow) -> list[datetime]:
        if agent.schedule is None or agent.status != AgentStatus.ACTIVE.value:
            return []
        return schedule.upcoming(agent.schedule, agent.timezone, self.clock.now(), NEXT_SHOWN)


def _shown(line: Line) -> FireView:
    status = None if line.run_status is None else status_of_run(line.run_status)
    if status is not None and line.outcome is not None and status not in _UNDER_WAY:
        status = ExecutionStatus(line.outcome)
    return FireView(
        key=line.key,
        kind=line.kind,
        logical_time=line.logical_time,
        fired_at=line.fired_at,
        lag_seconds=(line.fired_at - line.logical_time).total_seconds(),
        status=line.status,
        reason=line.reason,
        count=line.count,
        execution_id=line.run_id,
        execution_status=status,
    )


async def _scheduled(session: AsyncSession, actor: Actor, paging: Paging) -> tuple[list[AgentRow], int]:
    query = select(AgentRow).where(
        AgentRow.tenant_id == actor.tenant_id,
        access.visible_to(actor),
        AgentRow.schedule.is_not(None),
        AgentRow.status != AgentStatus.ARCHIVED.value,
    )
    total = await session.scalar(select(func.count()).select_from(query.subquery())) or 0
    soonest = query.order_by(AgentRow.next_fire_at.is_(None), AgentRow.next_fire_at, AgentRow.id)
    return list(await session.scalars(soonest.limit(paging.limit).offset(paging.offset))), total


# --- the queries -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the ledger. `run_status` is the engine's word, `outcome` how a run that is over ended."""

    agent_id: str
    key: str
    kind: FireKind
    logical_time: datetime
    fired_at: datetime
    status: FireStatus
    reason: str
    count: int
    run_id: str | None
    run_status: str | None
    outcome: str | None


async def read_ledger(
    session: AsyncSession, tenant_id: str, agent_id: str, limit: int, offset: int
) -> tuple[list[Line], int]:
    """Every fire of an agent with what became of it, newest first; and how many lines there are."""
    lines = _lines(tenant_id, [agent_id]).subquery()
    total = await session.scalar(select(func.count()).select_from(lines)) or 0
    found = await session.execute(_with_outcome(lines).limit(limit).offset(offset))
    return [_line(row) for row in found], total


async def last_fires(session: AsyncSession, tenant_id: str, agent_ids: Sequence[str]) -> dict[str, Line]:
    """The newest line of each of these agents that has one."""
    found: dict[str, Line] = {}
    for agent_id in agent_ids:
        lines = _lines(tenant_id, [agent_id]).subquery()
        row = (await session.execute(_with_outcome(lines).limit(1))).first()
        if row is not None:
            found[agent_id] = _line(row)
    return found


def _lines(tenant_id: str, agent_ids: Sequence[str]) -> CompoundSelect[*tuple[Any, ...]]:
    """Runs, and rows without one."""
    runs = fired_runs(tenant_id, *(f"{SUBJECT}{agent_id}" for agent_id in agent_ids)).subquery()
    started = select(
        runs.c.subject,
        runs.c.key,
        runs.c.trigger_type.label("kind"),
        runs.c.logical_time,
        runs.c.fired_at,
        literal(FireStatus.STARTED.value).label("status"),
        literal("").label("reason"),
        literal(1).label("count"),
        runs.c.run_id,
        runs.c.run_status,
    )
    rest = select(
        (literal(SUBJECT) + FireRow.agent_id).label("subject"),
        FireRow.fire_key.label("key"),
        FireRow.kind,
        FireRow.logical_time,
        FireRow.fired_at,
        FireRow.status,
        FireRow.reason,
        FireRow.count,
        null().label("run_id"),
        null().label("run_status"),
    ).where(
        FireRow.tenant_id == tenant_id,
        FireRow.agent_id.in_(agent_ids),
        ~select(runs.c.key).where(runs.c.key == FireRow.fire_key).exists(),
    )
    return union_all(started, rest)


def _with_outcome(lines: Subquery) -> Select[*tuple[Any, ...]]:
    newest = (lines.c.fired_at.desc(), lines.c.logical_time.desc(), lines.c.key.desc())
    joined = select(*lines.c, OutcomeRow.status.label("outcome"))
    return joined.outerjoin(OutcomeRow, OutcomeRow.run_id == lines.c.run_id).order_by(*newest)


def _line(row: Any) -> Line:
    return Line(
        str(row.subject).removeprefix(SUBJECT),
        row.key,
        kind_of(row.kind, row.key),
        datetime.fromisoformat(row.logical_time),
        datetime.fromisoformat(row.fired_at),
        FireStatus(row.status),
        row.reason,
        row.count,
        row.run_id,
        row.run_status,
        row.outcome,
    )


def kind_of(word: str, key: str) -> FireKind:
    """The kind of a fire, by a row's word for it or by the trigger type of its run and its key."""
    match word:
        case "scheduled":
            return FireKind.SCHEDULE
        case "event_driven":
            return FireKind.ROW if key.split(":", 3)[-1].startswith("row:") else FireKind.DELIVERY
        case _:
            return FireKind(word)
