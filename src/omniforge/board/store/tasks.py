"""Tables of tasks: the work of a ticket, what it waits for, and every try."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index, Integer, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from omniforge.db import Base
from omniforge.db.base import TenantRow


class TaskRow(TenantRow, Base):
    """A piece of work. `remaining` counts dependencies that are not completed, `dependents_open` unfinished
    tasks that wait for this one; both change with edges and statuses, never by counting anew."""

    __tablename__ = "tasks"
    __table_args__ = (
        UniqueConstraint("project_id", "ref"),
        Index("ix_tasks_queue", "status", "not_before"),
        Index("ix_tasks_lease", "status", "lease_expires_at"),
    )

    project_id: Mapped[str] = mapped_column(String(64), index=True)
    ticket_id: Mapped[str] = mapped_column(String(64), index=True)
    spec_id: Mapped[str | None] = mapped_column(String(64), index=True)
    ref: Mapped[str] = mapped_column(String(64))
    phase_id: Mapped[str] = mapped_column(String(32))
    task_type: Mapped[str] = mapped_column(String(32))
    title: Mapped[str] = mapped_column(String(500))
    description: Mapped[str | None] = mapped_column(Text)
    priority: Mapped[str] = mapped_column(String(16))
    estimate: Mapped[str | None] = mapped_column(String(4))
    status: Mapped[str] = mapped_column(String(16))
    attempt: Mapped[int] = mapped_column(Integer, default=0)
    retry_count: Mapped[int] = mapped_column(Integer, default=0)
    max_retries: Mapped[int] = mapped_column(Integer, default=3)
    remaining: Mapped[int] = mapped_column(Integer, default=0)
    dependents_open: Mapped[int] = mapped_column(Integer, default=0)
    queued_at: Mapped[datetime | None]
    not_before: Mapped[datetime | None]
    claimed_at: Mapped[datetime | None]
    claimed_by: Mapped[str | None] = mapped_column(String(160))
    lease_expires_at: Mapped[datetime | None]
    started_at: Mapped[datetime | None]
    completed_at: Mapped[datetime | None]
    timeout_seconds: Mapped[int] = mapped_column(Integer, default=3600)
    deadline_at: Mapped[datetime | None]
    cancel_requested_at: Mapped[datetime | None]
    agent_id: Mapped[str | None] = mapped_column(String(64))
    sandbox_id: Mapped[str | None] = mapped_column(String(64))
    conversation_id: Mapped[str | None] = mapped_column(String(64))
    persistence_dir: Mapped[str | None] = mapped_column(String(500))
    parent_task_id: Mapped[str | None] = mapped_column(String(64))
    required_capabilities: Mapped[list[str]]
    owned_files: Mapped[list[str]]
    deliverables: Mapped[list[dict[str, Any]]]
    feedback: Mapped[list[dict[str, Any]]]
    error_code: Mapped[str | None] = mapped_column(String(64))
    error_message: Mapped[str | None] = mapped_column(Text)
    version: Mapped[int] = mapped_column(Integer, default=1)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class TaskEdgeRow(Base):
    """This task can be worked on when that one is completed."""

    __tablename__ = "task_edges"

    task_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    depends_on_task_id: Mapped[str] = mapped_column(String(64), primary_key=True, index=True)
    tenant_id: Mapped[str] = mapped_column(String(64))


class AttemptRow(TenantRow, Base):
    """One try: one sandbox, one run, one number from 1."""

    __tablename__ = "task_attempts"
    __table_args__ = (UniqueConstraint("task_id", "attempt"),)

    task_id: Mapped[str] = mapped_column(String(64), index=True)
    attempt: Mapped[int] = mapped_column(Integer)
    sandbox_id: Mapped[str] = mapped_column(String(64), index=True)
    run_id: Mapped[str] = mapped_column(String(64))
    claimed_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    outcome: Mapped[str | None] = mapped_column(String(32))
    error_code: Mapped[str | None] = mapped_column(String(64))
    error_message: Mapped[str | None] = mapped_column(Text)
    base_commit: Mapped[str | None] = mapped_column(String(64))
    head_commit: Mapped[str | None] = mapped_column(String(64))
