"""Tables of projects and their columns."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index, Integer, LargeBinary, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from omniforge.db import Base
from omniforge.db.base import TenantRow


class ProjectRow(TenantRow, Base):
    """One board, one repository, one set of settings. `webhook_secret` is sealed."""

    __tablename__ = "projects"
    __table_args__ = (
        Index(
            "uq_projects_name",
            "tenant_id",
            "name",
            unique=True,
            sqlite_where=text("status != 'archived'"),
            postgresql_where=text("status != 'archived'"),
        ),
    )

    name: Mapped[str] = mapped_column(String(255))
    description: Mapped[str | None] = mapped_column(Text)
    status: Mapped[str] = mapped_column(String(16))
    default_phase_id: Mapped[str] = mapped_column(String(32))
    repository_kind: Mapped[str] = mapped_column(String(16))
    github_owner: Mapped[str | None] = mapped_column(String(100))
    github_repo: Mapped[str | None] = mapped_column(String(100))
    github_connected: Mapped[bool] = mapped_column(default=False)
    webhook_secret: Mapped[bytes | None] = mapped_column(LargeBinary)
    default_branch: Mapped[str] = mapped_column(String(255))
    autonomous: Mapped[bool]
    settings: Mapped[dict[str, Any]]
    created_by: Mapped[str] = mapped_column(String(160))
    next_ticket_no: Mapped[int] = mapped_column(Integer, default=1)
    next_task_no: Mapped[int] = mapped_column(Integer, default=1)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class ColumnRow(Base):
    """How one status is shown in one project, and how many tickets it takes. Six rows, made with the
    project."""

    __tablename__ = "board_columns"

    project_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    status: Mapped[str] = mapped_column(String(16), primary_key=True)
    tenant_id: Mapped[str] = mapped_column(String(64))
    name: Mapped[str] = mapped_column(String(255))
    color: Mapped[str] = mapped_column(String(32))
    wip_limit: Mapped[int | None] = mapped_column(Integer)
    position: Mapped[int] = mapped_column(Integer)
    updated_at: Mapped[datetime]
