"""Runs as those look at them who start runs by themselves: by key, by subject, by what made them start."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.core.clock import rfc3339
from omniforge.engine.store import OPEN_RUNS, RunRow
from omniforge.runs.service import Mode

FIRED = ("scheduled", "event_driven")
"""Trigger types of runs that nobody asked for in person."""
MAX_NAMED = 500
"""Of more subjects than these, all that have unfinished runs are read."""

Subject = tuple[str, str]
"""Tenant and subject."""


async def runs_of_keys(session: AsyncSession, tenant_id: str, keys: Collection[str]) -> dict[str, str]:
    """Key → the run that was started with it, for those that have one."""
    if not keys:
        return {}
    query = select(RunRow.idempotency_key, RunRow.id).where(
        RunRow.tenant_id == tenant_id, RunRow.idempotency_key.in_(keys)
    )
    return {str(key): run_id for key, run_id in await session.execute(query)}


async def subject_of(session: AsyncSession, tenant_id: str, run_id: str) -> str:
    """What a run is of; nothing for a run there is not."""
    query = select(RunRow.subject).where(RunRow.id == run_id, RunRow.tenant_id == tenant_id)
    return await session.scalar(query) or ""


async def count_unfinished(session: AsyncSession, subjects: Collection[Subject]) -> Counter[Subject]:
    """How many live runs of each subject are not over; nothing for a subject without any."""
    if not subjects:
        return Counter()
    query = select(RunRow.tenant_id, RunRow.subject, func.count()).where(
        text(OPEN_RUNS),
        RunRow.mode == Mode.LIVE.value,
        RunRow.tenant_id.in_({tenant_id for tenant_id, _ in subjects}),
    )
    if len(subjects) <= MAX_NAMED:
        # The empty text keeps SQLite from the index of subjects, which holds every run there ever was.
        query = query.where(RunRow.subject.concat("").in_({subject for _, subject in subjects}))
    found = await session.execute(query.group_by(RunRow.tenant_id, RunRow.subject))
    return Counter({(tenant_id, subject): count for tenant_id, subject, count in found})


async def count_fired(session: AsyncSession, tenant_id: str, subject: str, since: datetime) -> int:
    """How many runs of a subject nobody asked for in person, since a moment."""
    query = select(func.count()).where(
        RunRow.tenant_id == tenant_id,
        RunRow.subject == subject,
        RunRow.created_at >= rfc3339(since),
        RunRow.trigger_type.in_(FIRED),
    )
    return await session.scalar(query) or 0


def fired_runs(tenant_id: str, *subjects: str) -> Select[*tuple[Any, ...]]:
    """Live runs of these subjects that nobody asked for: subject, key, type, two times, id, status."""
    return select(
        RunRow.subject,
        RunRow.idempotency_key.label("key"),
        RunRow.trigger_type,
        RunRow.logical_time,
        RunRow.created_at.label("fired_at"),
        RunRow.id.label("run_id"),
        RunRow.status.label("run_status"),
    ).where(
        RunRow.tenant_id == tenant_id,
        RunRow.subject.in_(subjects),
        RunRow.mode == Mode.LIVE.value,
        RunRow.trigger_type.in_(FIRED),
    )
