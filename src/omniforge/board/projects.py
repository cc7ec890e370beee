"""What one can do with projects: make them, set them up, put them away."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.board import changes
from omniforge.board.errors import NameTaken
from omniforge.board.log import board_event
from omniforge.board.ports import Tasks
from omniforge.board.shapes.projects import (
    Project,
    ProjectChanges,
    ProjectGiven,
    ProjectList,
    ProjectQuery,
    ProjectSettings,
    ProjectStats,
)
from omniforge.board.store import projects as store
from omniforge.board.store.projects import ColumnRow, ProjectRow
from omniforge.board.store.tasks import TaskRow
from omniforge.board.store.tickets import CommitRow, TicketRow
from omniforge.board.vocabulary import OPEN_TASKS, PhaseId, ProjectStatus, TicketStatus
from omniforge.board.workflow import STAGES, phase_of
from omniforge.core.actor import Actor
from omniforge.core.clock import Clock, new_id
from omniforge.core.errors import Invalid
from omniforge.core.shapes import mistakes
from omniforge.db import Database
from omniforge.engine.events import Event, EventLog
from omniforge.sandboxes.store import LIVE, SandboxRow

Json = dict[str, Any]


def settings_of(project: ProjectRow) -> ProjectSettings:
    """Every setting, with the defaults of those that nobody set."""
    return ProjectSettings.model_validate(project.settings)


class Projects:
    def __init__(self, db: Database, events: EventLog, clock: Clock, tasks: Tasks) -> None:
        self.db, self.events, self.clock, self.tasks = db, events, clock, tasks

    async def create(self, actor: Actor, given: ProjectGiven) -> Project:
        """With its six columns."""
        actor.require("board:edit")
        now = self.clock.now()
        settings = checked_settings({}, given.settings)
        row = ProjectRow(
            id=new_id("project"),
            tenant_id=actor.tenant_id,
            name=given.name,
            description=given.description,
            status=ProjectStatus.ACTIVE.value,
            default_phase_id=given.default_phase_id.value,
            repository_kind="local",
            github_owner=given.github_owner,
            github_repo=given.github_repo,
            github_connected=False,
            default_branch="main",
            autonomous=given.autonomous,
            settings=settings,
            created_by=actor.by,
            next_ticket_no=1,
            next_task_no=1,
            created_at=now,
            updated_at=now,
        )
        async with self.db.transaction() as session:
            await self._free_name(session, actor, given.name)
            session.add_all([row, *(_column(row, place) for place in range(len(STAGES)))])
            await self._tell(session, actor, row, "project.created", name=row.name)
        return Project.model_validate(row)

    async def get(self, actor: Actor, project_id: str) -> Project:
        actor.require("board:view")
        async with self.db.read() as session:
            return Project.model_validate(await store.get_project(session, actor, project_id))

    async def find(self, actor: Actor, query: ProjectQuery) -> ProjectList:
        actor.require("board:view")
        async with self.db.read() as session:
            rows, total = await store.list_projects(session, actor, query.status, query.search, query)
        found = [Project.model_validate(row) for row in rows]
        return ProjectList(projects=found, total=total, limit=query.limit, offset=query.offset)

    async def change(self, actor: Actor, project_id: str, given: ProjectChanges) -> Project:
        """Settings are merged by key; `null` takes a setting back to its default."""
        actor.require("board:edit")
        wanted = given.changes()
        async with self.db.transaction() as session:
            row = await store.get_project(session, actor, project_id, lock=True)
            if "settings" in wanted:
                wanted["settings"] = checked_settings(row.settings, wanted["settings"])
            name = wanted.get("name", row.name)
            status = wanted.get("status", row.status)
            if status != ProjectStatus.ARCHIVED and (
                name != row.name or row.status == ProjectStatus.ARCHIVED
            ):
                await self._free_name(session, actor, name, row.id)
            await self._apply(session, actor, row, wanted)
        return Project.model_validate(row)

    async def archive(self, actor: Actor, project_id: str) -> None:
        """Put it away: its open tasks are cancelled, its tickets stay as they are."""
        actor.require("board:edit")
        async with self.db.transaction() as session:
            row = await store.get_project(session, actor, project_id, lock=True)
            await self._apply(session, actor, row, {"status": ProjectStatus.ARCHIVED})

    async def _apply(self, session: AsyncSession, actor: Actor, row: ProjectRow, wanted: Json) -> None:
        was = row.status
        changed = changes.apply(row, wanted)
        if not changed:
            return
        row.updated_at = self.clock.now()
        if "github_owner" in changed or "github_repo" in changed:
            row.github_connected, row.repository_kind = False, "local"
        if row.status == ProjectStatus.ARCHIVED != was:
            del changed["status"]
        if changed:
            await self._tell(session, actor, row, "project.updated", changes=changes.short(changed))
        if row.status != was:
            if row.status == ProjectStatus.ARCHIVED:
                await self._tell(session, actor, row, "project.archived")
            await session.flush()
            await self._judge_tasks(session, actor, row)

    async def _judge_tasks(self, session: AsyncSession, actor: Actor, project: ProjectRow) -> None:
        """Tasks are worked on only while their project is active; those of an archived one are cancelled."""
        working = select(TaskRow.ticket_id).where(
            TaskRow.project_id == project.id, TaskRow.status.in_(OPEN_TASKS)
        )
        tickets = select(TicketRow).where(TicketRow.id.in_(working)).order_by(TicketRow.id)
        events: list[Event] = []
        for ticket in await session.scalars(tickets):
            if project.status == ProjectStatus.ARCHIVED:
                events += await self.tasks.cancel_open(session, actor, ticket, "the project is archived")
            else:
                events += await self.tasks.readmit_ticket(session, ticket)
        await self.events.append(session, actor.tenant_id, *events)

    async def stats(self, actor: Actor, project_id: str) -> ProjectStats:
        actor.require("board:view")
        async with self.db.read() as session:
            project = await store.get_project(session, actor, project_id)
            by_status = await _counted(
                session, TicketRow.status, TicketRow.project_id == project.id, TicketRow.archived.is_(False)
            )
            tasks = await _counted(session, TaskRow.status, TaskRow.project_id == project.id)
            own = SandboxRow.project_id == project.id
            sandboxes = select(func.count().filter(text(LIVE)), func.sum(SandboxRow.cost_usd)).where(own)
            running, cost = (await session.execute(sandboxes)).one()
            commits = select(func.count()).select_from(CommitRow).where(CommitRow.project_id == project.id)
            total_commits = await session.scalar(commits) or 0
        phases = dict.fromkeys((stage.phase for stage in STAGES), 0)
        for status, count in by_status.items():
            phases[phase_of(TicketStatus(status))] += count
        return ProjectStats(
            project_id=project.id,
            total_tickets=sum(by_status.values()),
            tickets_by_status={status.value: by_status.get(status, 0) for status in TicketStatus},
            tickets_by_phase={PhaseId(phase).value: count for phase, count in phases.items()},
            tasks_by_status=tasks,
            running_sandboxes=running,
            total_commits=total_commits,
            cost_usd=float(cost or 0),
        )

    async def _free_name(
        self, session: AsyncSession, actor: Actor, name: str, besides: str | None = None
    ) -> None:
        if await store.name_is_taken(session, actor, name, besides):
            raise NameTaken(f"There is a project {name!r} already; take another name.", name=name)

    async def _tell(
        self, session: AsyncSession, actor: Actor, row: ProjectRow, type_: str, **payload: Any
    ) -> None:
        event = board_event(type_, row.id, self.clock.now(), actor.by, project_id=row.id, **payload)
        await self.events.append(session, actor.tenant_id, event)


def checked_settings(kept: Json, given: Json) -> Json:
    """The kept settings with the given ones over them, checked; a `null` removes what was kept."""
    merged = {name: value for name, value in {**kept, **given}.items() if value is not None}
    try:
        return ProjectSettings.model_validate(merged).model_dump(mode="json", exclude_unset=True)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False)
        fields = mistakes([{**one, "loc": ("settings", *one["loc"])} for one in found])
        names = ", ".join(field["field"] for field in fields)
        raise Invalid(f"Please check {names}.", fields=fields) from None


def _column(project: ProjectRow, place: int) -> ColumnRow:
    stage = STAGES[place]
    return ColumnRow(
        project_id=project.id,
        status=stage.status.value,
        tenant_id=project.tenant_id,
        name=stage.column,
        color=stage.color,
        wip_limit=stage.wip_limit,
        position=place,
        updated_at=project.created_at,
    )


async def _counted(session: AsyncSession, column: Any, *where: Any) -> dict[str, int]:
    rows = await session.execute(select(column, func.count()).where(*where).group_by(column))
    return {str(name): int(count) for name, count in rows}
