"""Tables of tasks: the work of a ticket, what it waits for, and every try."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    ColumnElement,
    Index,
    Integer,
    String,
    Text,
    UniqueConstraint,
    exists,
    func,
    select,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from omniforge.board.store.projects import ProjectRow
from omniforge.board.store.tickets import TicketRow
from omniforge.board.vocabulary import PhaseId, TaskStatus
from omniforge.core.actor import Actor
from omniforge.core.errors import NotFound
from omniforge.core.paging import Paging
from omniforge.db import Base
from omniforge.db.base import TenantRow


class TaskRow(TenantRow, Base):
    """A piece of work. `remaining` counts dependencies that are not completed, `dependents_open` unfinished
    tasks that wait for this one; both change with edges and statuses, never by counting anew.

    `queued_at` is when it was queued first, `sandbox_id` the workspace of the attempt that runs.
    `unblocks`: its ticket is blocked until this task is completed, and alone it may be worked on meanwhile.
    """

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
    has_own_title: Mapped[bool] = mapped_column(default=True)
    """False where nobody gave it one, so that its title was made up."""
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
    unblocks: Mapped[bool] = mapped_column(default=False)
    required_capabilities: Mapped[list[str]]
    owned_files: Mapped[list[str]]
    deliverables: Mapped[list[dict[str, Any]]]
    work: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    """What is run for it; None: an agent does it."""
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


@dataclass(frozen=True, slots=True)
class TaskFilter:
    """Which tasks are meant; None means any."""

    status: TaskStatus | None = None
    statuses: Collection[TaskStatus] | None = None
    phase_id: PhaseId | None = None
    has_sandbox: bool | None = None
    ticket_id: str | None = None
    project_id: str | None = None
    spec_id: str | None = None

    def conditions(self, actor: Actor) -> list[ColumnElement[bool]]:
        where: list[ColumnElement[bool]] = [TaskRow.tenant_id == actor.tenant_id]
        names = ("status", "phase_id", "ticket_id", "project_id", "spec_id")
        given = {name: getattr(self, name) for name in names}
        where += [getattr(TaskRow, name) == value for name, value in given.items() if value is not None]
        if self.statuses is not None:
            where.append(TaskRow.status.in_(list(self.statuses)))
        if self.has_sandbox is not None:
            found = TaskRow.sandbox_id
            where.append(found.is_not(None) if self.has_sandbox else found.is_(None))
        return where


async def get_task(session: AsyncSession, actor: Actor, task_id: str, *, lock: bool = False) -> TaskRow:
    """A task of the actor's tenant, or NotFound. `lock`: read anew, and nobody else changes it until the
    commit."""
    row = await find_task(session, actor.tenant_id, task_id, lock=lock)
    if row is None:
        raise NotFound("There is no such task.", task_id=task_id[:64])
    return row


async def find_task(
    session: AsyncSession, tenant_id: str, task_id: str, *, lock: bool = False
) -> TaskRow | None:
    query = select(TaskRow).where(TaskRow.id == task_id, TaskRow.tenant_id == tenant_id)
    if lock:
        await session.flush()
        query = query.with_for_update().execution_options(populate_existing=True)
    return await session.scalar(query)


async def list_tasks(
    session: AsyncSession, actor: Actor, wanted: TaskFilter, paging: Paging, *also: ColumnElement[bool]
) -> tuple[list[TaskRow], int]:
    """Newest first. `also` are further conditions."""
    where = (*wanted.conditions(actor), *also)
    total = await session.scalar(select(func.count()).select_from(TaskRow).where(*where))
    query = select(TaskRow).where(*where).order_by(TaskRow.created_at.desc(), TaskRow.id.desc())
    return list(await session.scalars(query.limit(paging.limit).offset(paging.offset))), total or 0


async def tasks_of(
    session: AsyncSession, ticket_id: str, statuses: Iterable[TaskStatus], *, lock: bool = False
) -> list[TaskRow]:
    """Of one ticket, by id."""
    query = select(TaskRow).where(TaskRow.ticket_id == ticket_id, TaskRow.status.in_(list(statuses)))
    query = query.order_by(TaskRow.id)
    if lock:
        await session.flush()
        query = query.with_for_update().execution_options(populate_existing=True)
    return list(await session.scalars(query))


async def known_tasks(
    session: AsyncSession, tenant_id: str, ids: Collection[str], *, lock: bool = False
) -> list[TaskRow]:
    """By id, or NotFound that names those which are none."""
    query = select(TaskRow).where(TaskRow.tenant_id == tenant_id, TaskRow.id.in_(ids)).order_by(TaskRow.id)
    rows = await _rows(session, query, lock=lock) if ids else []
    if missing := sorted(set(ids) - {row.id for row in rows}):
        raise NotFound("There is no such task to wait for.", task_ids=[name[:64] for name in missing])
    return rows


async def dependencies_of(session: AsyncSession, ids: Sequence[str]) -> dict[str, list[str]]:
    """What each of these tasks waits for, by id; also what is completed by now."""
    query = (
        select(TaskEdgeRow.task_id, TaskEdgeRow.depends_on_task_id)
        .where(TaskEdgeRow.task_id.in_(ids))
        .order_by(TaskEdgeRow.depends_on_task_id)
    )
    found: dict[str, list[str]] = defaultdict(list)
    for task_id, needed in await session.execute(query):
        found[task_id].append(needed)
    return found


async def dependents_of(session: AsyncSession, task_id: str, *, lock: bool = False) -> list[TaskRow]:
    """Tasks that wait for this one, by id."""
    query = (
        select(TaskRow)
        .join(TaskEdgeRow, TaskEdgeRow.task_id == TaskRow.id)
        .where(TaskEdgeRow.depends_on_task_id == task_id)
        .order_by(TaskRow.id)
    )
    return await _rows(session, query, lock=lock)


async def awaited_by(session: AsyncSession, task_id: str, *, lock: bool = False) -> list[TaskRow]:
    """Tasks that this one waits for, by id."""
    query = (
        select(TaskRow)
        .join(TaskEdgeRow, TaskEdgeRow.depends_on_task_id == TaskRow.id)
        .where(TaskEdgeRow.task_id == task_id)
        .order_by(TaskRow.id)
    )
    return await _rows(session, query, lock=lock)


async def _rows(session: AsyncSession, query: Any, *, lock: bool) -> list[TaskRow]:
    if lock:
        await session.flush()
        query = query.with_for_update(of=TaskRow).execution_options(populate_existing=True)
    return list(await session.scalars(query))


async def home_of(session: AsyncSession, task: TaskRow) -> tuple[TicketRow, ProjectRow]:
    """Its ticket and its project, which every task has."""
    ticket = await session.get_one(TicketRow, task.ticket_id)
    return ticket, await session.get_one(ProjectRow, task.project_id)


async def attempts_of(session: AsyncSession, task_id: str) -> list[AttemptRow]:
    """Newest first."""
    query = select(AttemptRow).where(AttemptRow.task_id == task_id).order_by(AttemptRow.attempt.desc())
    return list(await session.scalars(query))


async def take_task_ref(session: AsyncSession, project: ProjectRow, wanted: str | None = None) -> str:
    """A ref that no task of the project has: the one that is wanted if it is free, else the next number. The
    project's row must be locked; numbers are never given twice."""
    if wanted is not None and not await _has_ref(session, project.id, wanted):
        return wanted
    while True:
        ref = f"TSK-{project.next_task_no:03d}"
        project.next_task_no += 1
        if not await _has_ref(session, project.id, ref):
            await session.flush()
            return ref


async def _has_ref(session: AsyncSession, project_id: str, ref: str) -> bool:
    found = exists().where(TaskRow.project_id == project_id, TaskRow.ref == ref)
    return bool(await session.scalar(select(found)))
