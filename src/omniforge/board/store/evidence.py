"""Tables of evidence: results, receipts, artifacts, gates, decisions, approvals, reports."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Float, Index, Integer, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from omniforge.db import Base
from omniforge.db.base import TenantRow


class ResultRow(TenantRow, Base):
    """What a worker says it did: claims, which satisfy nothing by themselves."""

    __tablename__ = "task_results"
    __table_args__ = (UniqueConstraint("task_id", "attempt", "body_hash"),)

    task_id: Mapped[str] = mapped_column(String(64), index=True)
    attempt: Mapped[int] = mapped_column(Integer)
    sandbox_id: Mapped[str] = mapped_column(String(64))
    status: Mapped[str] = mapped_column(String(16))
    body_hash: Mapped[str] = mapped_column(String(64))
    summary: Mapped[str] = mapped_column(Text)
    files_changed: Mapped[list[dict[str, Any]]]
    commits: Mapped[list[dict[str, Any]]]
    tests: Mapped[dict[str, Any] | None]
    artifacts: Mapped[list[dict[str, Any]]]
    notes: Mapped[str] = mapped_column(Text, default="")
    error_code: Mapped[str | None] = mapped_column(String(64))
    """Of a failed one: why, by its worker."""
    claims: Mapped[str] = mapped_column(String(16))
    verification: Mapped[str] = mapped_column(String(16))
    created_at: Mapped[datetime]


class ReceiptRow(TenantRow, Base):
    """Proof that a command was run on a tree, and what came out. Changed only to be voided."""

    __tablename__ = "receipts"

    ticket_id: Mapped[str] = mapped_column(String(64), index=True)
    task_id: Mapped[str | None] = mapped_column(String(64), index=True)
    attempt: Mapped[int | None] = mapped_column(Integer)
    from_status: Mapped[str | None] = mapped_column(String(16))
    phase_entry: Mapped[int] = mapped_column(Integer)
    check_key: Mapped[str] = mapped_column(String(200))
    command: Mapped[str] = mapped_column(Text)
    cwd: Mapped[str] = mapped_column(String(1000))
    exit_code: Mapped[int] = mapped_column(Integer)
    passed: Mapped[bool]
    output_hash: Mapped[str] = mapped_column(String(64))
    output_tail: Mapped[str] = mapped_column(Text)
    output_ref: Mapped[str | None] = mapped_column(String(200))
    tree_hash: Mapped[str] = mapped_column(String(64))
    image: Mapped[str] = mapped_column(String(200))
    coverage_percent: Mapped[float | None] = mapped_column(Float)
    started_at: Mapped[datetime]
    duration_ms: Mapped[int] = mapped_column(Integer)
    run_by: Mapped[str] = mapped_column(String(160))
    voided_at: Mapped[datetime | None]
    void_reason: Mapped[str | None] = mapped_column(Text)


class ArtifactRow(TenantRow, Base):
    __tablename__ = "board_artifacts"
    __table_args__ = (UniqueConstraint("ticket_id", "phase_id", "artifact_type", "path", "content_hash"),)

    ticket_id: Mapped[str] = mapped_column(String(64), index=True)
    task_id: Mapped[str | None] = mapped_column(String(64))
    phase_id: Mapped[str] = mapped_column(String(32))
    artifact_type: Mapped[str] = mapped_column(String(32))
    path: Mapped[str] = mapped_column(String(1000), default="")
    """Empty for one that is no file."""
    content: Mapped[dict[str, Any] | None]
    """`{text}` or any object."""
    content_hash: Mapped[str] = mapped_column(String(64))
    collected_by: Mapped[str] = mapped_column(String(160))
    created_at: Mapped[datetime]


class GateRow(Base):
    """A project's own checks for leaving a status; without a row the defaults hold."""

    __tablename__ = "gates"

    project_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    from_status: Mapped[str] = mapped_column(String(16), primary_key=True)
    tenant_id: Mapped[str] = mapped_column(String(64))
    checks: Mapped[list[dict[str, Any]]]
    updated_at: Mapped[datetime]


class DecisionRow(TenantRow, Base):
    """Go, no-go or go under conditions, with everything it rests on. Never changed."""

    __tablename__ = "gate_decisions"

    ticket_id: Mapped[str] = mapped_column(String(64), index=True)
    from_status: Mapped[str] = mapped_column(String(16))
    to_status: Mapped[str] = mapped_column(String(16))
    phase_entry: Mapped[int] = mapped_column(Integer)
    decision: Mapped[str] = mapped_column(String(16))
    criteria: Mapped[list[dict[str, Any]]]
    conditions: Mapped[list[dict[str, Any]]]
    tree_hash: Mapped[str | None] = mapped_column(String(64))
    decided_by: Mapped[str] = mapped_column(String(160))
    created_at: Mapped[datetime]


class ApprovalRow(TenantRow, Base):
    """A question to people, and one person's recorded answer."""

    __tablename__ = "board_approvals"
    __table_args__ = (Index("ix_board_approvals_subject", "subject_type", "subject_id", "role", "status"),)

    project_id: Mapped[str] = mapped_column(String(64), index=True)
    subject_type: Mapped[str] = mapped_column(String(16))
    subject_id: Mapped[str] = mapped_column(String(64))
    role: Mapped[str] = mapped_column(String(16))
    prompt: Mapped[str] = mapped_column(Text)
    description: Mapped[str | None] = mapped_column(Text)
    context: Mapped[dict[str, Any]]
    blocking: Mapped[bool] = mapped_column(default=True)
    status: Mapped[str] = mapped_column(String(16))
    requested_by: Mapped[str] = mapped_column(String(160))
    decided_by: Mapped[str | None] = mapped_column(String(160))
    rationale: Mapped[str | None] = mapped_column(Text)
    deadline_at: Mapped[datetime | None]
    decided_at: Mapped[datetime | None]
    created_at: Mapped[datetime]


class ReportRow(TenantRow, Base):
    """What somebody reports of a ticket or task. Informs, moves nothing."""

    __tablename__ = "board_reports"

    ticket_id: Mapped[str] = mapped_column(String(64), index=True)
    task_id: Mapped[str | None] = mapped_column(String(64))
    report_type: Mapped[str] = mapped_column(String(32))
    summary: Mapped[str] = mapped_column(Text)
    markdown: Mapped[str] = mapped_column(Text)
    verification_status: Mapped[str] = mapped_column(String(16))
    verified_by: Mapped[str | None] = mapped_column(String(160))
    feedback: Mapped[str | None] = mapped_column(Text)
    created_by: Mapped[str] = mapped_column(String(160))
    created_at: Mapped[datetime]
