"""Tables of sandboxes: rows, messages to those who work in them, what those said, how much they ask."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Float, Index, Integer, LargeBinary, String, Text, UniqueConstraint, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from omniforge.core.actor import Actor
from omniforge.core.errors import NotFound
from omniforge.core.paging import Paging
from omniforge.db import Base
from omniforge.db.base import TenantRow

LIVE_STATES = ("pending", "creating", "running", "completing")
"""Of a sandbox that takes a place."""
LIVE = "state IN ('pending', 'creating', 'running', 'completing')"


class SandboxRow(TenantRow, Base):
    """The workspace of exactly one attempt of a task, or of one evaluation of a gate. A task has at most one
    that lives."""

    __tablename__ = "sandboxes"
    __table_args__ = (
        Index(
            "uq_sandboxes_task_live",
            "task_id",
            unique=True,
            sqlite_where=text(LIVE),
            postgresql_where=text(LIVE),
        ),
        Index("ix_sandboxes_state", "state", "project_id"),
    )

    project_id: Mapped[str] = mapped_column(String(64))
    ticket_id: Mapped[str | None] = mapped_column(String(64))
    kind: Mapped[str] = mapped_column(String(16))
    task_id: Mapped[str | None] = mapped_column(String(64), index=True)
    attempt: Mapped[int | None] = mapped_column(Integer)
    run_id: Mapped[str | None] = mapped_column(String(64))
    provider: Mapped[str] = mapped_column(String(16))
    provider_ref: Mapped[str | None] = mapped_column(String(200))
    state: Mapped[str] = mapped_column(String(16))
    worker: Mapped[str] = mapped_column(String(16))
    agent_id: Mapped[str | None] = mapped_column(String(64))
    token_hash: Mapped[str | None] = mapped_column(String(64), index=True)
    token_expires_at: Mapped[datetime | None]
    token_revoked_at: Mapped[datetime | None]
    preview_url: Mapped[str | None] = mapped_column(String(500))
    branch: Mapped[str | None] = mapped_column(String(255))
    base_commit: Mapped[str | None] = mapped_column(String(64))
    image: Mapped[str | None] = mapped_column(String(200))
    network: Mapped[str] = mapped_column(String(16))
    first_heartbeat_at: Mapped[datetime | None]
    last_heartbeat_at: Mapped[datetime | None]
    heartbeat_count: Mapped[int] = mapped_column(Integer, default=0)
    last_work_at: Mapped[datetime | None]
    metrics: Mapped[dict[str, Any]]
    env: Mapped[bytes | None] = mapped_column(LargeBinary)
    """What a person wants its worker to find in its environment, as JSON, sealed."""
    cost_usd: Mapped[float] = mapped_column(Float, default=0.0)
    tokens_in: Mapped[int] = mapped_column(Integer, default=0)
    tokens_out: Mapped[int] = mapped_column(Integer, default=0)
    tool_calls: Mapped[int] = mapped_column(Integer, default=0)
    model_turns: Mapped[int] = mapped_column(Integer, default=0)
    keep_until: Mapped[datetime | None]
    result_id: Mapped[str | None] = mapped_column(String(64))
    error_code: Mapped[str | None] = mapped_column(String(64))
    error_message: Mapped[str | None] = mapped_column(Text)
    requested_at: Mapped[datetime]
    spawned_at: Mapped[datetime | None]
    started_at: Mapped[datetime | None]
    work_finished_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    terminated_at: Mapped[datetime | None]


class SandboxMessageRow(TenantRow, Base):
    """Something said to who works in a sandbox, in the order of `seq`."""

    __tablename__ = "sandbox_messages"
    __table_args__ = (UniqueConstraint("sandbox_id", "seq"),)

    sandbox_id: Mapped[str] = mapped_column(String(64), index=True)
    seq: Mapped[int] = mapped_column(Integer)
    content: Mapped[str] = mapped_column(Text)
    message_type: Mapped[str] = mapped_column(String(16))
    sent_by: Mapped[str] = mapped_column(String(160))
    delivered_at: Mapped[datetime | None]
    created_at: Mapped[datetime]


class TelemetryRow(Base):
    """Something a worker said that is in the log: known again by `client_seq` when it is sent twice.

    `data` is what it said where that is too long for the log, which then holds a shortened form.
    """

    __tablename__ = "sandbox_event_seqs"
    __table_args__ = (
        UniqueConstraint("sandbox_id", "client_seq"),
        UniqueConstraint("sandbox_id", "event_seq"),
    )

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    tenant_id: Mapped[str] = mapped_column(String(64), index=True)
    sandbox_id: Mapped[str] = mapped_column(String(64))
    client_seq: Mapped[int | None] = mapped_column(Integer)
    event_seq: Mapped[int] = mapped_column(Integer)
    type: Mapped[str] = mapped_column(String(64))
    at: Mapped[datetime]
    data: Mapped[dict[str, Any] | None]


class RateRow(Base):
    """How often a sandbox asked for one kind of thing in one minute; the next minute begins anew."""

    __tablename__ = "sandbox_rates"

    sandbox_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    kind: Mapped[str] = mapped_column(String(16), primary_key=True)
    minute: Mapped[int] = mapped_column(Integer)
    count: Mapped[int] = mapped_column(Integer)


async def get_sandbox(session: AsyncSession, actor: Actor, sandbox_id: str) -> SandboxRow:
    """A sandbox of the actor's tenant, or NotFound."""
    found = (SandboxRow.id == sandbox_id, SandboxRow.tenant_id == actor.tenant_id)
    row = await session.scalar(select(SandboxRow).where(*found))
    if row is None:
        raise NotFound("There is no such sandbox.", sandbox_id=sandbox_id[:64])
    return row


async def lock_sandbox(session: AsyncSession, sandbox_id: str) -> SandboxRow:
    """As it is now; nobody else changes it until the commit."""
    await session.flush()
    return await session.get_one(SandboxRow, sandbox_id, with_for_update=True, populate_existing=True)


async def list_sandboxes(
    session: AsyncSession, actor: Actor, wanted: dict[str, str | None], paging: Paging
) -> tuple[list[SandboxRow], int]:
    """Newest first. `wanted`: column → value; None means any."""
    where = [SandboxRow.tenant_id == actor.tenant_id]
    where += [getattr(SandboxRow, name) == value for name, value in wanted.items() if value is not None]
    total = await session.scalar(select(func.count()).select_from(SandboxRow).where(*where))
    query = select(SandboxRow).where(*where).order_by(SandboxRow.requested_at.desc(), SandboxRow.id.desc())
    return list(await session.scalars(query.limit(paging.limit).offset(paging.offset))), total or 0
