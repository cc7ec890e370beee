"""How many sandboxes there may be and are, and what each queued task waits for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from enum import StrEnum

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.board.shapes.sandboxes import CapacityView, Waiting
from omniforge.board.store.projects import ProjectRow, get_project
from omniforge.board.store.queue import PROJECT_PLACES, Capacity
from omniforge.board.store.tasks import TaskRow
from omniforge.board.vocabulary import ProjectStatus, TaskStatus
from omniforge.core.actor import Actor
from omniforge.core.clock import Clock
from omniforge.db import Database
from omniforge.sandboxes.store import LIVE_STATES, SandboxRow

MOST_SHOWN = 200

Unusable = Callable[[AsyncSession, TaskRow], Awaitable[str | None]]
"""Why nobody here is able to work on a task (`no_agent`, `no_model` …); None when somebody is."""


class Reason(StrEnum):
    """Why a queued task is not worked on yet."""

    PROJECT_NOT_ACTIVE = "project_not_active"
    NOT_AUTONOMOUS = "project_not_autonomous"
    NOT_BEFORE = "not_before"
    STILL_ENDING = "sandbox_ending"
    PROJECT_FULL = "project_full"
    TENANT_FULL = "tenant_full"
    INSTALLATION_FULL = "installation_full"
    NEXT = "next"
    """Nothing stands against it: it is taken as soon as somebody looks."""


class Places:
    """`unusable` may be set by whoever knows who is able to do what."""

    def __init__(self, db: Database, clock: Clock, capacity: Capacity) -> None:
        self.db, self.clock, self.capacity = db, clock, capacity
        self.unusable: Unusable | None = None

    async def look(self, actor: Actor, project_id: str | None = None) -> CapacityView:
        """Of one project, or of all that is the tenant's."""
        actor.require("board:view")
        now = self.clock.now()
        async with self.db.read() as session:
            project = None if project_id is None else await get_project(session, actor, project_id)
            mine = SandboxRow.tenant_id == actor.tenant_id
            at_work = SandboxRow.kind == "task"
            of_tenant = await _living(session, mine, at_work)
            everywhere = await _living(session)
            if project is None:
                running, most = of_tenant, self.capacity.tenant
            else:
                running = await _living(session, SandboxRow.project_id == project.id, at_work)
                most = _limit_of(project)
            free = min(
                most - running,
                self.capacity.tenant - of_tenant,
                self.capacity.installation - everywhere,
            )
            queued = [TaskRow.tenant_id == actor.tenant_id, TaskRow.status == TaskStatus.QUEUED.value]
            if project is not None:
                queued.append(TaskRow.project_id == project.id)
            number = await session.scalar(select(func.count()).select_from(TaskRow).where(*queued))
            order = (TaskRow.queued_at, TaskRow.id)
            query = select(TaskRow).where(*queued).order_by(*order).limit(MOST_SHOWN)
            full = _fullest(of_tenant >= self.capacity.tenant, everywhere >= self.capacity.installation)
            waiting = [
                Waiting(task_id=task.id, reason=await self._reason(session, task, now, full))
                for task in list(await session.scalars(query))
            ]
        return CapacityView(
            running=running,
            max=most,
            available=max(free, 0),
            at_capacity=free <= 0,
            queued=number or 0,
            waiting=waiting,
        )

    async def _reason(self, session: AsyncSession, task: TaskRow, now: datetime, full: Reason | None) -> str:
        project = await session.get_one(ProjectRow, task.project_id)
        if project.status != ProjectStatus.ACTIVE:
            return Reason.PROJECT_NOT_ACTIVE
        if not project.autonomous:
            return Reason.NOT_AUTONOMOUS
        if task.not_before is not None and task.not_before > now:
            return Reason.NOT_BEFORE
        if await _living(session, SandboxRow.task_id == task.id):
            return Reason.STILL_ENDING
        if self.unusable is not None and (why := await self.unusable(session, task)) is not None:
            return why
        working = (SandboxRow.project_id == project.id, SandboxRow.kind == "task")
        if await _living(session, *working) >= _limit_of(project):
            return Reason.PROJECT_FULL
        return full or Reason.NEXT


async def _living(session: AsyncSession, *where: ColumnElement[bool]) -> int:
    query = select(func.count()).select_from(SandboxRow).where(SandboxRow.state.in_(LIVE_STATES), *where)
    return await session.scalar(query) or 0


def _limit_of(project: ProjectRow) -> int:
    return int(project.settings.get("max_concurrent_sandboxes", PROJECT_PLACES))


def _fullest(is_tenant_full: bool, is_installation_full: bool) -> Reason | None:
    if is_tenant_full:
        return Reason.TENANT_FULL
    return Reason.INSTALLATION_FULL if is_installation_full else None
