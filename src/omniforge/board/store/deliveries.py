"""The table of deliveries that were handled, so that none is handled twice."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import String, UniqueConstraint, exists, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from omniforge.board.store.projects import ProjectRow
from omniforge.db import Base
from omniforge.db.base import TenantRow


class DeliveryRow(TenantRow, Base):
    """What GitHub delivered for a project. The signature is over the body alone, so a body that comes again
    under another name is known by its hash."""

    __tablename__ = "github_deliveries"
    __table_args__ = (
        UniqueConstraint("project_id", "delivery_id"),
        UniqueConstraint("project_id", "body_hash"),
    )

    project_id: Mapped[str] = mapped_column(String(64))
    delivery_id: Mapped[str] = mapped_column(String(100))
    body_hash: Mapped[str] = mapped_column(String(64))
    event: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime]


async def is_known(session: AsyncSession, project: ProjectRow, delivery_id: str, body_hash: str) -> bool:
    same = or_(DeliveryRow.delivery_id == delivery_id, DeliveryRow.body_hash == body_hash)
    found = exists().where(DeliveryRow.project_id == project.id, same)
    return bool(await session.scalar(select(found)))
