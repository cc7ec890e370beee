"""Many tasks at once: the same as making them one by one, in few questions to the database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.board.admission import admit, task_event
from omniforge.board.creation import criterion_row
from omniforge.board.edges import AT_ONCE, Edge, check_cycle
from omniforge.board.store import tasks as store
from omniforge.board.store.projects import ProjectRow
from omniforge.board.store.tasks import TaskEdgeRow, TaskRow
from omniforge.board.store.tickets import TicketRow
from omniforge.board.tasks import TaskFields, Tasks, check_place, task_row
from omniforge.board.vocabulary import TaskStatus
from omniforge.core.actor import Actor


@dataclass(frozen=True, slots=True)
class Planned:
    """A task that is to be made under this id; `wanted.depends_on` may name others of the batch."""

    id: str
    ticket: TicketRow
    wanted: TaskFields


async def create_tasks(
    session: AsyncSession, actor: Actor, tasks: Tasks, project: ProjectRow, batch: Sequence[Planned]
) -> list[TaskRow]:
    """As `Tasks.create_in` for each; the rows of the project and of the tickets are locked by the caller."""
    if not batch:
        return []
    now = tasks.clock.now()
    taken = await _taken_refs(session, project, batch)
    rows: list[TaskRow] = []
    for each in batch:
        check_place(each.wanted.phase, each.ticket, project)
        ref = each.wanted.ref
        if ref is None or ref in taken:
            ref = await store.take_task_ref(session, project)
        taken.add(ref)
        row = task_row(actor, each.ticket, each.wanted, ref, now)
        row.id = each.id
        rows.append(row)
        session.add(row)
        session.add_all(
            criterion_row(actor, "task", row.id, place, one, now)
            for place, one in enumerate(each.wanted.criteria)
        )
    await session.flush()
    await _link(session, actor, project, batch, rows)
    for row, each in zip(rows, batch, strict=True):
        told = {"ref": row.ref, "title": row.title, "phase_id": row.phase_id, "task_type": row.task_type}
        needs = sorted(set(each.wanted.depends_on))
        made = task_event("task.created", row, now, actor.by, **told, depends_on=needs)
        admitted = admit(row, each.ticket, project, now, actor.by)
        await tasks.events.append(session, actor.tenant_id, made, *admitted)
    await session.flush()
    return rows


async def _taken_refs(session: AsyncSession, project: ProjectRow, batch: Sequence[Planned]) -> set[str]:
    wanted = [each.wanted.ref for each in batch if each.wanted.ref is not None]
    taken: set[str] = set()
    for begin in range(0, len(wanted), AT_ONCE):
        part = TaskRow.ref.in_(wanted[begin : begin + AT_ONCE])
        taken |= set(await session.scalars(select(TaskRow.ref).where(TaskRow.project_id == project.id, part)))
    return taken


async def _link(
    session: AsyncSession,
    actor: Actor,
    project: ProjectRow,
    batch: Sequence[Planned],
    rows: Sequence[TaskRow],
) -> None:
    """Every edge of the batch with its counters, and one look for a way round."""
    by_id = {row.id: row for row in rows}
    pairs = [(each.id, needed) for each in batch for needed in sorted(set(each.wanted.depends_on))]
    if not pairs:
        return
    others = sorted({needed for _, needed in pairs} - by_id.keys())
    for begin in range(0, len(others), AT_ONCE):
        found = await store.known_tasks(session, actor.tenant_id, others[begin : begin + AT_ONCE])
        by_id |= {row.id: row for row in found}
    for waiting, needed in pairs:
        session.add(TaskEdgeRow(task_id=waiting, depends_on_task_id=needed, tenant_id=actor.tenant_id))
        by_id[needed].dependents_open += 1
        by_id[waiting].remaining += by_id[needed].status != TaskStatus.COMPLETED
    await session.flush()
    edges = [Edge(waiting, needed) for waiting, needed in pairs]
    await check_cycle(session, actor.tenant_id, project.id, edges)
