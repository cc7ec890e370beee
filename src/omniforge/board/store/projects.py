"""Tables of projects and their columns, and the queries over them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index, Integer, LargeBinary, String, Text, exists, func, or_, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from omniforge.board.store.tickets import TicketRow
from omniforge.board.vocabulary import ProjectStatus, TicketStatus
from omniforge.core.actor import Actor
from omniforge.core.errors import NotFound
from omniforge.core.paging import Paging
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
    github_connected_by: Mapped[str | None] = mapped_column(String(64))
    """Id of the user through whose connection branches are given away."""
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


async def get_project(
    session: AsyncSession, actor: Actor, project_id: str, *, lock: bool = False
) -> ProjectRow:
    """A project of the actor's tenant, or NotFound. `lock`: nobody else changes it until the commit."""
    query = select(ProjectRow).where(ProjectRow.id == project_id, ProjectRow.tenant_id == actor.tenant_id)
    if lock:
        query = query.with_for_update().execution_options(populate_existing=True)
    row = await session.scalar(query)
    if row is None:
        raise NotFound("There is no such project.", project_id=project_id[:64])
    return row


async def list_projects(
    session: AsyncSession, actor: Actor, status: ProjectStatus | None, search: str | None, paging: Paging
) -> tuple[list[ProjectRow], int]:
    """Newest first."""
    where = [ProjectRow.tenant_id == actor.tenant_id]
    if status is not None:
        where.append(ProjectRow.status == status)
    if search:
        fields = (ProjectRow.name, ProjectRow.description)
        where.append(or_(*(field.icontains(search, autoescape=True) for field in fields)))
    total = await session.scalar(select(func.count()).select_from(ProjectRow).where(*where))
    query = select(ProjectRow).where(*where).order_by(ProjectRow.created_at.desc(), ProjectRow.id.desc())
    return list(await session.scalars(query.limit(paging.limit).offset(paging.offset))), total or 0


async def name_is_taken(session: AsyncSession, actor: Actor, name: str, besides: str | None = None) -> bool:
    """Whether another project that is not archived has this name."""
    query = select(ProjectRow.id).where(
        ProjectRow.tenant_id == actor.tenant_id,
        ProjectRow.name == name,
        ProjectRow.status != ProjectStatus.ARCHIVED,
    )
    if besides is not None:
        query = query.where(ProjectRow.id != besides)
    return await session.scalar(query.limit(1)) is not None


async def take_ticket_ref(session: AsyncSession, project: ProjectRow, wanted: str | None = None) -> str:
    """A ref that no ticket of the project has: the one that is wanted if it is free, else the next number.
    The project's row must be locked; numbers are never given twice."""
    if wanted is not None and not await _has_ref(session, project.id, wanted):
        return wanted
    while True:
        ref = f"TKT-{project.next_ticket_no:03d}"
        project.next_ticket_no += 1
        if not await _has_ref(session, project.id, ref):
            await session.flush()
            return ref


async def _has_ref(session: AsyncSession, project_id: str, ref: str) -> bool:
    found = exists().where(TicketRow.project_id == project_id, TicketRow.ref == ref)
    return bool(await session.scalar(select(found)))


async def columns_of(session: AsyncSession, actor: Actor, project_id: str) -> list[ColumnRow]:
    """In the order people gave them."""
    query = select(ColumnRow).where(
        ColumnRow.project_id == project_id, ColumnRow.tenant_id == actor.tenant_id
    )
    return list(await session.scalars(query.order_by(ColumnRow.position)))


async def get_column(
    session: AsyncSession, actor: Actor, project_id: str, status: TicketStatus, *, lock: bool = False
) -> ColumnRow:
    query = select(ColumnRow).where(
        ColumnRow.project_id == project_id,
        ColumnRow.status == status,
        ColumnRow.tenant_id == actor.tenant_id,
    )
    if lock:
        query = query.with_for_update().execution_options(populate_existing=True)
    row = await session.scalar(query)
    if row is None:
        raise NotFound("There is no such project.", project_id=project_id[:64])
    return row
