"""Tickets and tasks of a document made, changed, or taken out of work."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import cast

from sqlalchemy import delete, select

from omniforge.board import changes, criteria, edges
from omniforge.board.admission import task_event
from omniforge.board.creation import Creation
from omniforge.board.criteria import Owner, criteria_given
from omniforge.board.exporting import described, is_gone
from omniforge.board.import_run import Action, ImportRun, in_order, may_change, standing
from omniforge.board.importing import documents as d
from omniforge.board.importing.documents import Json
from omniforge.board.moving import ticket_event
from omniforge.board.shapes.tickets import TicketGiven
from omniforge.board.store.tasks import TaskRow
from omniforge.board.store.tickets import TicketEdgeRow, TicketRequirementRow, TicketRow
from omniforge.board.task_batches import Planned, create_tasks
from omniforge.board.tasks import TaskFields, Tasks
from omniforge.board.vocabulary import MoveCause, PhaseId, TicketStatus
from omniforge.core.clock import new_id
from omniforge.engine.events import Event


class WorkItems:
    """`creation` makes tickets, `tasks` makes tasks; both write their events."""

    def __init__(self, creation: Creation, tasks: Tasks) -> None:
        self.creation, self.tasks = creation, tasks

    async def apply(self, run: ImportRun) -> None:
        """Nothing waits any more for what it need not wait for before anything new is waited for: so what
        only changes its direction is no way round."""
        tickets, tasks = in_order(run.document.tickets), in_order(run.document.tasks)
        actions = {item.ref: run.decide(item) for item in (*tickets, *tasks)}
        for item in (*tickets, *tasks):
            if actions[item.ref] is Action.UPDATED:
                await self._loosen(run, item)
        for ticket in tickets:
            if actions[ticket.ref] is Action.CREATED:
                run.came(ticket, await self._make_ticket(run, ticket))
            elif actions[ticket.ref] is Action.UPDATED:
                await self._change_ticket(run, ticket, cast("TicketRow", run.rows[ticket.ref]))
            run.record(ticket, actions[ticket.ref])
        await self._make_tasks(run, [task for task in tasks if actions[task.ref] is Action.CREATED])
        for task in tasks:
            if actions[task.ref] is Action.UPDATED:
                await self._change_task(run, task, cast("TaskRow", run.rows[task.ref]))
            run.record(task, actions[task.ref])
            if actions[task.ref] in (Action.CREATED, Action.UPDATED):
                await self._hold_up(run, task)

    async def _loosen(self, run: ImportRun, item: d.Ticket | d.Task) -> None:
        """It waits no longer for what the document does not name any more."""
        row = run.rows[item.ref]
        had = run.holding.needs.get(row.id, set())
        removed = had - {*run.ids(item.depends_on), *run.outside(had)}
        if not removed:
            return
        run.holding.needs[row.id] = had - removed
        if isinstance(row, TicketRow):
            await self._unlink(run, row, removed)
        else:
            await self._link(run, cast("TaskRow", row), had, had - removed)

    async def _tell(self, run: ImportRun, *events: Event) -> None:
        await self.tasks.events.append(run.session, run.actor.tenant_id, *events)

    # --- tickets -------------------------------------------------------------------------------------------

    async def _make_ticket(self, run: ImportRun, item: d.Ticket) -> TicketRow:
        given = TicketGiven(
            project_id=run.project.id,
            title=item.title,
            description=item.description,
            priority=item.priority,
            phase_id=PhaseId.BACKLOG,
            ticket_type=item.ticket_type,
            estimate=item.estimate,
            tags=list(item.tags),
            spec_id=run.holding.spec.id,
            requirement_ids=run.ids(item.requirements),
            criteria=criteria_given(item.criteria),
            depends_on=run.ids(item.depends_on),
            blocks=run.ids(item.blocks),
            start=run.options.start,
            check_duplicates=False,
        )
        create = self.creation.create_in
        return await create(run.session, run.actor, given, cause=MoveCause.IMPORT, ref=item.ref)

    async def _change_ticket(self, run: ImportRun, item: d.Ticket, row: TicketRow) -> None:
        fields: Json = {
            "title": item.title,
            "priority": item.priority,
            "estimate": item.estimate,
            "ticket_type": item.ticket_type,
            "tags": list(item.tags),
        }
        if item.description != described(row):
            fields["description"] = item.description
        if run.options.start is not None:
            fields["start"] = run.options.start
        changed = changes.apply(row, fields)
        if changed.keys() & {"title", "description"}:
            row.embedding, row.embedder = None, None
        changed |= await self._change_links(run, item, row)
        owner = Owner("ticket", row.id, row.project_id, row.id)
        had = run.holding.criteria.get(row.id, [])
        wanted = criteria_given(item.criteria)
        change = await criteria.replace(run.session, run.actor, owner, had, wanted, run.now)
        row.version += 1
        row.updated_at = run.now
        told = ticket_event("ticket.updated", row, run.now, run.actor.by, changes=changes.short(changed))
        await self._tell(run, told, *change.events)
        await self._change_edges(run, item, row)

    @staticmethod
    async def _change_links(run: ImportRun, item: d.Ticket, row: TicketRow) -> Json:
        """The requirements it is for."""
        had, wanted = run.holding.covers.get(row.id, set()), set(run.ids(item.requirements))
        if had == wanted:
            return {}
        gone = TicketRequirementRow.requirement_id.in_(had - wanted)
        await run.session.execute(
            delete(TicketRequirementRow).where(TicketRequirementRow.ticket_id == row.id, gone)
        )
        run.session.add_all(
            TicketRequirementRow(ticket_id=row.id, requirement_id=one, tenant_id=row.tenant_id)
            for one in sorted(wanted - had)
        )
        return {"requirement_ids": [sorted(had), sorted(wanted)]}

    async def _change_edges(self, run: ImportRun, item: d.Ticket, row: TicketRow) -> None:
        had = run.holding.needs.get(row.id, set())
        wanted = {*run.ids(item.depends_on), *run.outside(had)}
        link, blocks = self.creation.dependencies.link_in, run.ids(item.blocks)
        await self._tell(run, *await link(run.session, run.actor, row, sorted(wanted - had), blocks))

    async def _unlink(self, run: ImportRun, row: TicketRow, removed: set[str]) -> None:
        """It waits for these no longer."""
        session = run.session
        gone = TicketEdgeRow.depends_on_ticket_id.in_(removed)
        await session.execute(delete(TicketEdgeRow).where(TicketEdgeRow.ticket_id == row.id, gone))
        awaited = list(await session.scalars(select(TicketRow).where(TicketRow.id.in_(removed))))
        row.open_dependencies -= sum(each.status != TicketStatus.DONE for each in awaited)
        told = {"added": list[str](), "removed": sorted(removed)}
        event = ticket_event("ticket.dependencies_changed", row, run.now, run.actor.by, **told)
        await self._tell(run, event, *await self.tasks.readmit_ticket(session, row))

    # --- tasks ---------------------------------------------------------------------------------------------

    async def _make_tasks(self, run: ImportRun, items: Sequence[d.Task]) -> None:
        ids = {item.ref: new_id("task") for item in items}

        def named(refs: Iterable[str]) -> list[str]:
            return [ids.get(ref) or run.rows[ref].id for ref in refs]

        batch = [
            Planned(ids[item.ref], cast("TicketRow", run.rows[item.ticket]), _fields(item, named))
            for item in items
        ]
        rows = await create_tasks(run.session, run.actor, self.tasks, run.project, batch)
        for item, row in zip(items, rows, strict=True):
            run.came(item, row)

    async def _change_task(self, run: ImportRun, item: d.Task, row: TaskRow) -> None:
        parent = run.ids([item.parent] if item.parent else [])
        fields: Json = {
            "title": item.title,
            "description": item.description,
            "priority": item.priority,
            "estimate": item.estimate,
            "phase_id": item.phase_id,
            "task_type": item.task_type,
            "owned_files": list(item.owned_files),
            "required_capabilities": list(item.required_capabilities),
            "timeout_seconds": item.timeout_seconds,
            "work": item.work,
            "deliverables": _deliverables(item),
            "parent_task_id": parent[0] if parent else None,
            "ticket_id": run.rows[item.ticket].id,
        }
        changed = changes.apply(row, fields)
        if "title" in changed:
            row.has_own_title = True
        owner = Owner("task", row.id, row.project_id, row.ticket_id, row.id)
        had = run.holding.criteria.get(row.id, [])
        wanted = criteria_given(item.criteria)
        change = await criteria.replace(run.session, run.actor, owner, had, wanted, run.now)
        row.version += 1
        row.updated_at = run.now
        told = task_event("task.updated", row, run.now, run.actor.by, changes=changes.short(changed))
        await self._tell(run, told, *change.events)
        had_needs = run.holding.needs.get(row.id, set())
        await self._link(run, row, had_needs, {*run.ids(item.depends_on), *run.outside(had_needs)})

    async def _link(self, run: ImportRun, row: TaskRow, had: set[str], wanted: set[str]) -> None:
        """Make it wait for exactly these, and judge anew whether it may be worked on."""
        added, removed = wanted - had, had - wanted
        if added or removed:
            await edges.link(run.session, row, added, removed)
            told = {"added": sorted(added), "removed": sorted(removed), "remaining": row.remaining}
            await self._tell(run, task_event("task.dependencies_changed", row, run.now, run.actor.by, **told))
        await self._tell(run, *await self.tasks.readmit(run.session, row, run.actor.by))

    async def _hold_up(self, run: ImportRun, item: d.Task) -> None:
        """Tasks that are there, and not in the document, wait for this one as well."""
        for name in item.blocks:
            row = cast("TaskRow", run.rows[name])
            had = run.holding.needs.get(row.id, set())
            wanted = had | {run.rows[item.ref].id}
            if wanted == had:
                continue
            if not may_change(row):
                run.warn(item.ref, f"{name} is {standing(row)} already and cannot wait for it", item.place)
                continue
            await self._link(run, row, had, wanted)
            run.holding.needs[row.id] = wanted

    # --- what is gone from the document --------------------------------------------------------------------

    async def prune(self, run: ImportRun, name: str) -> bool:
        """Take a ticket or a task out of work; False when somebody works on it."""
        row = run.rows[name]
        if is_gone(row):
            return False
        if not may_change(row):
            run.warn(name, f"this is gone from the document, but is {standing(row)} already and stays")
            return False
        session, by, reason = run.session, run.actor.by, "gone_from_the_spec"
        if isinstance(row, TaskRow):
            await self._tell(run, *await self.tasks.cancel_in(session, by, row, reason))
            return True
        ticket = cast("TicketRow", row)
        cancelled = await self.tasks.cancel_open(session, run.actor, ticket, reason)
        changed = changes.apply(ticket, {"archived": True})
        ticket.pending_transition, ticket.held_for = None, None
        ticket.version += 1
        ticket.updated_at = run.now
        await self._tell(
            run, *cancelled, ticket_event("ticket.updated", ticket, run.now, by, changes=changed)
        )
        return True


def _fields(item: d.Task, named: Callable[[Iterable[str]], list[str]]) -> TaskFields:
    return TaskFields(
        ref=item.ref,
        title=item.title,
        description=item.description,
        task_type=item.task_type,
        phase_id=item.phase_id,
        priority=item.priority,
        estimate=item.estimate,
        depends_on=named(item.depends_on),
        criteria=criteria_given(item.criteria),
        deliverables=_deliverables(item),
        owned_files=item.owned_files,
        required_capabilities=item.required_capabilities,
        timeout_seconds=item.timeout_seconds,
        work=item.work,
        parent_task_id=next(iter(named([item.parent] if item.parent else [])), None),
    )


def _deliverables(item: d.Task) -> list[Json]:
    return [{"path": each.path, "content": each.content} for each in item.deliverables]
