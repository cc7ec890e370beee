"""Where a tenant's skill came from: what was imported, what was copied from a public one, and by whom."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import String
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from omniforge.db import Base
from omniforge.skills.store import NO_AGENT


class ProvenanceRow(Base):
    """Foreign facts about one skill: shown, never obeyed. `facts["kind"]` is `imported` or `derived`."""

    __tablename__ = "skill_provenance"

    tenant_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    agent_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    content_hash: Mapped[str] = mapped_column(String(64))
    """What it was when it came: later versions have been changed here."""
    facts: Mapped[dict[str, Any]]
    noted_by: Mapped[str] = mapped_column(String(160))
    noted_at: Mapped[datetime]


async def find(
    session: AsyncSession, tenant_id: str, agent_id: str | None, name: str
) -> ProvenanceRow | None:
    return await session.get(ProvenanceRow, (tenant_id, agent_id or NO_AGENT, name))


async def note(session: AsyncSession, row: ProvenanceRow) -> None:
    """Keep it in the place of what was known before."""
    await session.merge(row)
