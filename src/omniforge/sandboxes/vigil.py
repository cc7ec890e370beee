"""Sandboxes that hang: in which nothing has been done for long, or that never came to life. Decides only."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.sandboxes.store import SandboxRow

QUIET = timedelta(minutes=10)
QUIET_WHILE_BUSY = timedelta(minutes=15)
"""While its heartbeat says that something long is going on."""


async def find_idle(session: AsyncSession, now: datetime) -> list[SandboxRow]:
    """Running attempts of whose work nothing was heard for too long; heartbeats and thoughts are no work."""
    where = (SandboxRow.state == "running", SandboxRow.kind == "task", SandboxRow.started_at <= now - QUIET)
    rows = await session.scalars(select(SandboxRow).where(*where).order_by(SandboxRow.id))
    return [row for row in rows if is_idle(row, now)]


def is_idle(row: SandboxRow, now: datetime) -> bool:
    started = row.started_at or now
    last = max(started, row.last_work_at or started)
    return now - last >= (QUIET_WHILE_BUSY if row.metrics.get("busy") else QUIET)


async def find_stillborn(session: AsyncSession, now: datetime, patience: timedelta) -> list[SandboxRow]:
    """Asked for longer ago than `patience`, and nobody has spoken from in there."""
    where = (SandboxRow.state.in_(("pending", "creating")), SandboxRow.requested_at <= now - patience)
    return list(await session.scalars(select(SandboxRow).where(*where).order_by(SandboxRow.id)))
