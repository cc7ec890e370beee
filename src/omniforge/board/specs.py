"""What one can do with specs: make, find, change and approve them, add work, import, export and trace."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.board import changes
from omniforge.board.applying import Importing
from omniforge.board.creation import Creation
from omniforge.board.errors import PreconditionFailed, TicketRequired, VersionConflict
from omniforge.board.exporting import read_holding
from omniforge.board.importing.writing import as_json, as_markdown
from omniforge.board.requirements import Requirements
from omniforge.board.shapes.specs import (
    PhaseRun,
    PhaseRuns,
    Requirement,
    Spec,
    SpecChanges,
    SpecGiven,
    SpecList,
    SpecQuery,
    SpecTaskGiven,
    SpecTaskQuery,
    SpecVersion,
    SpecVersions,
)
from omniforge.board.shapes.tasks import Task, TaskList
from omniforge.board.shapes.tickets import TicketGiven
from omniforge.board.spec_life import ChangeType, Part, SpecLife, is_approved, spec_event
from omniforge.board.spec_views import requirement_view, spec_views
from omniforge.board.store import projects as project_rows
from omniforge.board.store import specs as store
from omniforge.board.store import tasks as task_rows
from omniforge.board.store.specs import SpecRow
from omniforge.board.store.tasks import TaskFilter
from omniforge.board.store.tickets import TicketRow, get_ticket
from omniforge.board.task_views import TaskViews
from omniforge.board.tasks import Tasks
from omniforge.board.trace import Tracing
from omniforge.board.vocabulary import PhaseId, ProjectStatus, SpecPhase, SpecStatus, TicketStatus
from omniforge.core.actor import Actor
from omniforge.core.clock import Clock, new_id
from omniforge.core.errors import Invalid, NotFound
from omniforge.core.paging import Paging
from omniforge.db import Database
from omniforge.engine.events import EventLog, EventRow

Json = dict[str, Any]


class Specs:
    """`creation` makes tickets and `tasks` tasks. Every method is limited to the actor's tenant."""

    types = ("ticket.transitioned", "ticket.updated")
    """After these a spec may be completed: `hear` is a reader of the log."""

    def __init__(
        self, db: Database, events: EventLog, clock: Clock, *, creation: Creation, tasks: Tasks
    ) -> None:
        self.db, self.clock, self.creation, self.work = db, clock, creation, tasks
        self.life = SpecLife(events, clock)
        self.requirements = Requirements(db, self.life)
        self.importing = Importing(db, self.life, creation, tasks)
        self.tracing = Tracing(db)
        self.task_views = TaskViews(db, clock)

    # --- make and find -------------------------------------------------------------------------------------

    async def create(self, actor: Actor, given: SpecGiven) -> Spec:
        actor.require("board:edit")
        async with self.db.transaction() as session:
            project = await project_rows.get_project(session, actor, given.project_id)
            if project.status == ProjectStatus.ARCHIVED:
                message = "This project is archived; nothing is added to it."
                raise PreconditionFailed(message, status="archived")
            now = self.clock.now()
            row = SpecRow(
                id=new_id("spec"),
                tenant_id=actor.tenant_id,
                project_id=project.id,
                title=given.title,
                description=given.description,
                status=SpecStatus.DRAFT.value,
                current_phase=SpecPhase.UNDERSTAND.value,
                requirements_approved=False,
                design_approved=False,
                archived=False,
                version=1,
                created_by=actor.by,
                created_at=now,
                updated_at=now,
            )
            session.add(row)
            await self.life.keep_version(session, actor.by, row, {}, ChangeType.CREATED)
            created = spec_event("spec.created", row, now, actor.by, title=row.title)
            await self.life.append(session, row, created)
        return await self.get(actor, row.id)

    async def get(self, actor: Actor, spec_id: str) -> Spec:
        async with self.db.read() as session:
            row = await store.get_spec(session, actor, spec_id)
            return (await spec_views(session, self.task_views, [row]))[0]

    async def show(self, actor: Actor, spec_id: str) -> Spec:
        actor.require("board:view")
        return await self.get(actor, spec_id)

    async def find(self, actor: Actor, project_id: str, query: SpecQuery) -> SpecList:
        actor.require("board:view")
        async with self.db.read() as session:
            await project_rows.get_project(session, actor, project_id)
            archived = query.include_archived
            rows, total = await store.list_specs(
                session, actor, project_id, query.status, query, archived=archived
            )
            specs = await spec_views(session, self.task_views, rows)
        return SpecList(specs=specs, total=total, limit=query.limit, offset=query.offset)

    async def requirement(self, actor: Actor, spec_id: str, requirement_id: str) -> Requirement:
        async with self.db.read() as session:
            row = await store.get_requirement(session, actor, spec_id, requirement_id)
            return await requirement_view(session, row)

    # --- change --------------------------------------------------------------------------------------------

    async def change(self, actor: Actor, spec_id: str, given: SpecChanges) -> Spec:
        actor.require("board:edit")
        wanted = given.changes()
        if fields := [name for name in ("title", "archived") if name in wanted and wanted[name] is None]:
            told = [{"field": name, "value": None, "rule": "cannot be cleared"} for name in fields]
            raise Invalid(f"{fields[0]} cannot be cleared.", fields=told)
        async with self.db.transaction() as session:
            row = await store.get_spec(session, actor, spec_id, lock=True)
            if given.expected_version not in (None, row.version):
                message = "Somebody changed this spec meanwhile; look at it again."
                raise VersionConflict(message, version=row.version, expected_version=given.expected_version)
            await self._apply(session, actor, row, wanted)
        return await self.get(actor, spec_id)

    async def archive(self, actor: Actor, spec_id: str) -> None:
        """It is kept; so are its tickets, and those of them that may go on do."""
        actor.require("board:edit")
        async with self.db.transaction() as session:
            row = await store.get_spec(session, actor, spec_id, lock=True)
            await self._apply(session, actor, row, {"archived": True})

    async def _apply(self, session: AsyncSession, actor: Actor, row: SpecRow, wanted: Json) -> None:
        changed = changes.apply(row, wanted)
        if not changed:
            return
        await self.life.changed(session, actor.by, row, changed)
        if changed.get("archived", [None, False])[1]:
            event = spec_event("spec.archived", row, row.updated_at, actor.by)
        else:
            told = {"changes": changes.short(changed), "version": row.version}
            event = spec_event("spec.updated", row, row.updated_at, actor.by, **told)
        await self.life.append(session, row, event)

    async def approve(self, actor: Actor, spec_id: str, part: Part) -> Spec:
        """What is approved already stays so, and nothing is told again."""
        actor.require("board:approve")
        async with self.db.transaction() as session:
            row = await store.get_spec(session, actor, spec_id, lock=True)
            if not is_approved(row, part):
                if row.archived:
                    raise PreconditionFailed(
                        "This spec is archived and is approved no more.", status="archived"
                    )
                project = await project_rows.get_project(session, actor, row.project_id)
                await self.life.check_approver(session, actor, row, project, part)
                await self.life.approve(session, actor.by, row, part)
                await self._ask_for_the_rest(session, row)
        return await self.get(actor, spec_id)

    async def _ask_for_the_rest(self, session: AsyncSession, row: SpecRow) -> None:
        """Where people have to look, the design is the next thing to look at."""
        project = await session.get_one(project_rows.ProjectRow, row.project_id)
        if project.settings.get("require_spec_approval", False):
            await self.life.approve_ready(session, "system:evaluator", row, project)

    # --- work ----------------------------------------------------------------------------------------------

    async def add_task(self, actor: Actor, spec_id: str, given: SpecTaskGiven) -> Task:
        """A task of the spec's only ticket, which is made when there is none. `TicketRequired` lists them
        when there are several."""
        actor.require("board:edit")
        async with self.db.transaction() as session:
            row = await store.get_spec(session, actor, spec_id, lock=True)
            if row.archived:
                raise PreconditionFailed("This spec is archived; nothing is added to it.", status="archived")
            await project_rows.get_project(session, actor, row.project_id, lock=True)
            ticket = await self._home_of_task(session, actor, row, given.ticket_id)
            names = ("title", "description", "priority", "estimate", "depends_on", "criteria")
            fields = {name: getattr(given, name) for name in (*names, "task_type", "owned_files")}
            task = await self.work.create_in(
                session, actor, ticket, **fields, phase_id=given.phase, spec_id=row.id
            )
        return await self.task_views.show(actor, task.id)

    async def _home_of_task(
        self, session: AsyncSession, actor: Actor, spec: SpecRow, ticket_id: str | None
    ) -> TicketRow:
        if ticket_id is not None:
            ticket = await get_ticket(session, actor, ticket_id, lock=True)
            if ticket.spec_id != spec.id:
                raise NotFound("This spec has no such ticket.", ticket_id=ticket_id)
            return ticket
        found = (await store.tickets_of(session, [spec.id])).get(spec.id, [])
        tickets = [ticket for ticket in found if not ticket.archived]
        if not tickets:
            return await self._make_ticket(session, actor, spec)
        if len(tickets) > 1:
            raise _several(tickets)
        return await get_ticket(session, actor, tickets[0].id, lock=True)

    async def _make_ticket(self, session: AsyncSession, actor: Actor, spec: SpecRow) -> TicketRow:
        requirements = (await store.requirements_of(session, [spec.id])).get(spec.id, [])
        given = TicketGiven(
            project_id=spec.project_id,
            title=spec.title,
            description=spec.description or spec.title,
            phase_id=PhaseId.BACKLOG,
            spec_id=spec.id,
            requirement_ids=[row.id for row in requirements],
            check_duplicates=False,
        )
        return await self.creation.create_in(session, actor, given)

    async def tasks(self, actor: Actor, spec_id: str, query: SpecTaskQuery) -> TaskList:
        actor.require("board:view")
        async with self.db.read() as session:
            row = await store.get_spec(session, actor, spec_id)
            wanted = TaskFilter(status=query.status, phase_id=query.phase_id, spec_id=row.id)
            rows, total = await task_rows.list_tasks(session, actor, wanted, query)
            shown = await self.task_views.shown(session, rows)
        return TaskList(tasks=shown, total=total, limit=query.limit, offset=query.offset)

    # --- look back, take away ------------------------------------------------------------------------------

    async def versions(self, actor: Actor, spec_id: str, paging: Paging) -> SpecVersions:
        actor.require("board:view")
        async with self.db.read() as session:
            row = await store.get_spec(session, actor, spec_id)
            rows, total = await store.versions_of(session, row.id, paging)
        found = [SpecVersion.model_validate(each) for each in rows]
        return SpecVersions(versions=found, total=total, limit=paging.limit, offset=paging.offset)

    async def phases(self, actor: Actor, spec_id: str, paging: Paging) -> PhaseRuns:
        actor.require("board:view")
        async with self.db.read() as session:
            row = await store.get_spec(session, actor, spec_id)
            rows, total = await store.phase_runs_of(session, row.id, paging)
        found = [PhaseRun.model_validate(each) for each in rows]
        return PhaseRuns(phases=found, total=total, limit=paging.limit, offset=paging.offset)

    async def export_json(self, actor: Actor, spec_id: str) -> Json:
        """A document that, imported again, changes nothing."""
        actor.require("board:view")
        async with self.db.read() as session:
            row = await store.get_spec(session, actor, spec_id)
            return as_json((await read_holding(session, row)).document)

    async def export_markdown(self, actor: Actor, spec_id: str) -> str:
        """The same for people to read."""
        actor.require("board:view")
        async with self.db.read() as session:
            row = await store.get_spec(session, actor, spec_id)
            return as_markdown((await read_holding(session, row)).document)

    # --- the end -------------------------------------------------------------------------------------------

    async def hear(self, row: EventRow, tenant_id: str) -> None:
        """The last ticket of a spec may have come to its end. A function of state, so hearing it twice is no
        harm."""
        ids: dict[str, str] = json.loads(row.payload).get("ids", {})
        async with self.db.read() as session:
            ticket = await session.get(TicketRow, ids.get("ticket_id", ""))
            if ticket is None or ticket.tenant_id != tenant_id or ticket.spec_id is None:
                return
            if ticket.status != TicketStatus.DONE and not ticket.archived:
                return
        async with self.db.transaction() as session:
            spec = await session.get(SpecRow, ticket.spec_id, with_for_update=True)
            if spec is not None and spec.tenant_id == tenant_id:
                await self.life.settle(session, "system:advance", spec)


def _several(tickets: Sequence[TicketRow]) -> TicketRequired:
    choices = [
        {"id": each.id, "ref": each.ref, "title": each.title, "status": each.status} for each in tickets
    ]
    fields = [{"field": "ticket_id", "value": None, "rule": "one of the spec's tickets"}]
    message = f"This spec has {len(tickets)} tickets; say which of them the task is for."
    return TicketRequired(message, fields=fields, tickets=choices)
