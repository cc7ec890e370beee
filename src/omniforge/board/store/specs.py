"""Tables of specs: requirements, criteria, versions, generated phases, and what was imported as what."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Float, Index, Integer, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from omniforge.db import Base
from omniforge.db.base import TenantRow


class SpecRow(TenantRow, Base):
    """Requirements, design, tickets and tasks of one feature."""

    __tablename__ = "specs"

    project_id: Mapped[str] = mapped_column(String(64), index=True)
    title: Mapped[str] = mapped_column(String(500))
    description: Mapped[str | None] = mapped_column(Text)
    status: Mapped[str] = mapped_column(String(16))
    current_phase: Mapped[str] = mapped_column(String(16))
    design: Mapped[dict[str, Any] | None]
    requirements_approved: Mapped[bool] = mapped_column(default=False)
    requirements_approved_at: Mapped[datetime | None]
    requirements_approved_by: Mapped[str | None] = mapped_column(String(160))
    design_approved: Mapped[bool] = mapped_column(default=False)
    design_approved_at: Mapped[datetime | None]
    design_approved_by: Mapped[str | None] = mapped_column(String(160))
    branch_name: Mapped[str | None] = mapped_column(String(255))
    archived: Mapped[bool] = mapped_column(default=False)
    version: Mapped[int] = mapped_column(Integer, default=1)
    created_by: Mapped[str] = mapped_column(String(160))
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class RequirementRow(TenantRow, Base):
    """One EARS requirement: `condition` is its WHEN/WHILE/WHERE/IF clause, `action` its SHALL clause."""

    __tablename__ = "spec_requirements"
    __table_args__ = (UniqueConstraint("spec_id", "ref"),)

    spec_id: Mapped[str] = mapped_column(String(64), index=True)
    ref: Mapped[str] = mapped_column(String(64))
    title: Mapped[str] = mapped_column(String(500))
    condition: Mapped[str] = mapped_column(Text, default="")
    action: Mapped[str] = mapped_column(Text)
    category: Mapped[str] = mapped_column(String(16))
    priority: Mapped[str] = mapped_column(String(16))
    status: Mapped[str] = mapped_column(String(16))
    status_set: Mapped[bool] = mapped_column(default=False)
    """A person said the status; else it follows from the tickets."""
    linked_design: Mapped[str | None] = mapped_column(String(100))
    position: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class CriterionRow(TenantRow, Base):
    """What has to be true of a requirement, a ticket or a task. Only evidence completes one that is checked,
    only a person one of kind text."""

    __tablename__ = "criteria"
    __table_args__ = (Index("ix_criteria_owner", "owner_type", "owner_id"),)

    owner_type: Mapped[str] = mapped_column(String(16))
    owner_id: Mapped[str] = mapped_column(String(64))
    text: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(String(16))
    check: Mapped[dict[str, Any] | None]
    completed: Mapped[bool] = mapped_column(default=False)
    completed_by: Mapped[str | None] = mapped_column(String(160))
    receipt_id: Mapped[str | None] = mapped_column(String(64))
    position: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class SpecVersionRow(TenantRow, Base):
    """Every change of a spec, with the whole of it afterwards. Never changed."""

    __tablename__ = "spec_versions"
    __table_args__ = (UniqueConstraint("spec_id", "version"),)

    spec_id: Mapped[str] = mapped_column(String(64), index=True)
    version: Mapped[int] = mapped_column(Integer)
    change_type: Mapped[str] = mapped_column(String(32))
    changes: Mapped[dict[str, Any]]
    snapshot: Mapped[dict[str, Any]]
    created_by: Mapped[str] = mapped_column(String(160))
    created_at: Mapped[datetime]


class PhaseRunRow(TenantRow, Base):
    """One try of one phase of a generated spec; the latest that passed is its checkpoint."""

    __tablename__ = "spec_phase_runs"
    __table_args__ = (UniqueConstraint("spec_id", "phase", "attempt", "run_id"),)

    spec_id: Mapped[str] = mapped_column(String(64), index=True)
    phase: Mapped[str] = mapped_column(String(16))
    attempt: Mapped[int] = mapped_column(Integer)
    status: Mapped[str] = mapped_column(String(16))
    run_id: Mapped[str] = mapped_column(String(64))
    output: Mapped[dict[str, Any] | None]
    reasons: Mapped[list[str]]
    turns: Mapped[int] = mapped_column(Integer, default=0)
    cost_usd: Mapped[float | None] = mapped_column(Float)
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class ImportRefRow(Base):
    """What a name in an imported document became. `content_hash` is that of its last import."""

    __tablename__ = "import_refs"

    spec_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    local_ref: Mapped[str] = mapped_column(String(64), primary_key=True)
    tenant_id: Mapped[str] = mapped_column(String(64))
    kind: Mapped[str] = mapped_column(String(16))
    object_id: Mapped[str] = mapped_column(String(64), index=True)
    content_hash: Mapped[str] = mapped_column(String(64))
