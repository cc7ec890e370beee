"""Queries of questions to people."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, and_, false, func, or_, select, true
from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.board.shapes.approvals import ApprovalQuery, AskedStatus
from omniforge.board.store.evidence import ApprovalRow
from omniforge.board.store.projects import ProjectRow
from omniforge.core.actor import Actor
from omniforge.core.errors import NotFound


async def get_approval(
    session: AsyncSession, actor: Actor, approval_id: str, *, lock: bool = False
) -> ApprovalRow:
    """An approval of the actor's tenant, or NotFound. `lock`: read anew, and nobody else answers it."""
    query = select(ApprovalRow).where(ApprovalRow.id == approval_id, ApprovalRow.tenant_id == actor.tenant_id)
    if lock:
        await session.flush()
        query = query.with_for_update().execution_options(populate_existing=True)
    row = await session.scalar(query)
    if row is None:
        raise NotFound("There is no such approval.", approval_id=approval_id[:64])
    return row


async def pending_of(
    session: AsyncSession, tenant_id: str, subject_type: str, subject_id: str, *, lock: bool = True
) -> list[ApprovalRow]:
    """What still waits for an answer about one subject, oldest first."""
    query = select(ApprovalRow).where(
        ApprovalRow.tenant_id == tenant_id,
        ApprovalRow.subject_type == subject_type,
        ApprovalRow.subject_id == subject_id,
        ApprovalRow.status == AskedStatus.PENDING,
    )
    order = (ApprovalRow.created_at, ApprovalRow.id)
    query = query.order_by(*order)
    return list(await session.scalars(query.with_for_update() if lock else query))


async def latest_of(
    session: AsyncSession, tenant_id: str, subject_type: str, subject_id: str, role: str
) -> ApprovalRow | None:
    """What was asked last about a subject of this role, answered or not."""
    query = select(ApprovalRow).where(
        ApprovalRow.tenant_id == tenant_id,
        ApprovalRow.subject_type == subject_type,
        ApprovalRow.subject_id == subject_id,
        ApprovalRow.role == role,
    )
    return await session.scalar(query.order_by(ApprovalRow.created_at.desc(), ApprovalRow.id.desc()).limit(1))


async def list_approvals(
    session: AsyncSession, actor: Actor, query: ApprovalQuery, now: datetime
) -> tuple[list[ApprovalRow], int]:
    """Newest first. What nobody answered in time is expired from its deadline on."""
    names = ("role", "project_id", "subject_type")
    given = {name: value for name in names if (value := getattr(query, name)) is not None}
    where: list[ColumnElement[bool]] = [ApprovalRow.tenant_id == actor.tenant_id]
    where += [stands_at(query.status, now), *(getattr(ApprovalRow, name) == given[name] for name in given)]
    if query.mine:
        where.append(await _decidable(session, actor))
    total = await session.scalar(select(func.count()).select_from(ApprovalRow).where(*where))
    order = (ApprovalRow.created_at.desc(), ApprovalRow.id.desc())
    page = select(ApprovalRow).where(*where).order_by(*order).limit(query.limit).offset(query.offset)
    return list(await session.scalars(page)), total or 0


def stands_at(status: AskedStatus, now: datetime) -> ColumnElement[bool]:
    late = and_(ApprovalRow.status == AskedStatus.PENDING, ApprovalRow.deadline_at <= now)
    match status:
        case AskedStatus.PENDING:
            in_time = or_(ApprovalRow.deadline_at.is_(None), ApprovalRow.deadline_at > now)
            return and_(ApprovalRow.status == status, in_time)
        case AskedStatus.EXPIRED:
            return or_(ApprovalRow.status == status, late)
        case _:
            return ApprovalRow.status == status


async def _decidable(session: AsyncSession, actor: Actor) -> ColumnElement[bool]:
    """Of the roles the actor has in each project; a role that nobody has is everybody's."""
    if not actor.may("board:approve") or not actor.by.startswith("user:"):
        return false()
    query = select(ProjectRow.id, ProjectRow.settings).where(ProjectRow.tenant_id == actor.tenant_id)
    closed = [
        and_(ApprovalRow.project_id == project_id, ApprovalRow.role == role)
        for project_id, settings in await session.execute(query)
        for role, holders in settings.get("approver_roles", {}).items()
        if holders and actor.user_id not in holders
    ]
    return ~or_(*closed) if closed else true()
