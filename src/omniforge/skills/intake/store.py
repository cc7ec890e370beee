"""Table of what came from outside and waits, or waited, for somebody to let it in."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Index, String, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from omniforge.db import Base
from omniforge.db.base import TenantRow


class ImportStatus(StrEnum):
    QUARANTINED = "quarantined"
    RELEASED = "released"
    DISCARDED = "discarded"


class ImportRow(TenantRow, Base):
    """One skill that was imported. Its bytes are kept with all contents, and on the disk once released."""

    __tablename__ = "skill_imports"
    __table_args__ = (Index("ix_skill_imports_waiting", "tenant_id", "agent_id", "name", "status"),)

    agent_id: Mapped[str] = mapped_column(String(64))
    name: Mapped[str] = mapped_column(String(64))
    content_hash: Mapped[str] = mapped_column(String(64))
    label: Mapped[str] = mapped_column(String(300))
    """What the source was called."""
    description: Mapped[str] = mapped_column(String(1024))
    diagnostics: Mapped[list[dict[str, Any]]]
    findings: Mapped[list[dict[str, Any]]]
    foreign: Mapped[dict[str, Any]]
    status: Mapped[str] = mapped_column(String(16))
    created_by: Mapped[str] = mapped_column(String(160))
    created_at: Mapped[datetime]
    decided_by: Mapped[str | None] = mapped_column(String(160))
    decided_at: Mapped[datetime | None]


async def waiting(session: AsyncSession, tenant_id: str, agent_id: str, name: str) -> ImportRow | None:
    """The newest import of this name that nobody has decided about."""
    query = select(ImportRow).where(
        ImportRow.tenant_id == tenant_id,
        ImportRow.agent_id == agent_id,
        ImportRow.name == name,
        ImportRow.status == ImportStatus.QUARANTINED.value,
    )
    return await session.scalar(query.order_by(ImportRow.created_at.desc(), ImportRow.id.desc()).limit(1))


async def list_imports(
    session: AsyncSession, tenant_id: str, status: ImportStatus, limit: int, offset: int
) -> tuple[list[ImportRow], int]:
    """Newest first."""
    query = select(ImportRow).where(ImportRow.tenant_id == tenant_id, ImportRow.status == status.value)
    total = await session.scalar(select(func.count()).select_from(query.subquery())) or 0
    page = query.order_by(ImportRow.created_at.desc(), ImportRow.id.desc()).limit(limit).offset(offset)
    return list(await session.scalars(page)), total
