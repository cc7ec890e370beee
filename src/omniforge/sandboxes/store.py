"""Tables of sandboxes that people and workers see: rows, and messages to those who work in them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Float, Index, Integer, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

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
    cost_usd: Mapped[float] = mapped_column(Float, default=0.0)
    tokens_in: Mapped[int] = mapped_column(Integer, default=0)
    tokens_out: Mapped[int] = mapped_column(Integer, default=0)
    tool_calls: Mapped[int] = mapped_column(Integer, default=0)
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
