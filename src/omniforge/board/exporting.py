"""A spec as it stands, as documents again: what an import compares with, and what people take away."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.board.importing import documents as d
from omniforge.board.importing.checking import settled
from omniforge.board.importing.documents import Json, Known
from omniforge.board.importing.reading import read_spec
from omniforge.board.importing.sources import read_json
from omniforge.board.store import specs as store
from omniforge.board.store.specs import CriterionRow, ImportRefRow, RequirementRow, SpecRow
from omniforge.board.store.tasks import TaskEdgeRow, TaskRow
from omniforge.board.store.tickets import TicketEdgeRow, TicketRequirementRow, TicketRow
from omniforge.board.vocabulary import Priority, TaskStatus, TicketStatus

Row = RequirementRow | TicketRow | TaskRow


@dataclass(slots=True)
class Holding:
    """What a spec holds, under the names documents call it by. `items` leaves out what is archived or
    cancelled; `rows` has it all."""

    spec: SpecRow
    document: d.Spec
    rows: dict[str, Row]
    items: dict[str, d.Item]
    names: dict[str, str]
    """Id → name."""
    refs: dict[str, ImportRefRow]
    criteria: dict[str, list[CriterionRow]]
    needs: dict[str, set[str]]
    """Id of a ticket or task → ids of what it depends on, also outside the spec."""
    covers: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    """Id of a ticket → ids of its requirements."""

    def known(self) -> dict[str, Known]:
        """What documents may refer to without holding it."""
        return {name: self._known(row) for name, row in self.rows.items()}

    def _known(self, row: Row) -> Known:
        needs = tuple(sorted(self.names[one] for one in self.needs.get(row.id, ()) if one in self.names))
        match row:
            case RequirementRow():
                return Known("requirement", Priority(row.priority))
            case TicketRow():
                return Known("ticket", Priority(row.priority), TicketStatus(row.status), needs=needs)
            case TaskRow():
                return Known("task", Priority(row.priority), ticket=self.names[row.ticket_id], needs=needs)


async def read_holding(session: AsyncSession, spec: SpecRow) -> Holding:
    """Everything of a spec, in a number of queries that does not depend on its size."""
    ids = [spec.id]
    requirements = (await store.requirements_of(session, ids)).get(spec.id, [])
    tickets = (await store.tickets_of(session, ids)).get(spec.id, [])
    tasks = (await store.tasks_of(session, ids)).get(spec.id, [])
    refs = await store.refs_of(session, spec.id)
    rows: list[Row] = [*requirements, *tickets, *tasks]
    names = _names(rows, refs.values())
    holding = Holding(
        spec=spec,
        document=d.Spec(),
        rows={names[row.id]: row for row in rows},
        items={},
        names=names,
        refs=refs,
        criteria=await store.criteria_in(session, ids),
        needs=await _needs(session, spec.id),
        covers=await _covers(session, spec.id),
    )
    there = [row for row in rows if not is_gone(row)]
    holding.document = _document(holding, there)
    holding.items = {item.ref: item for item in holding.document.items()}
    return holding


def is_gone(row: Row) -> bool:
    """Archived or cancelled: kept, and no part of the spec any more."""
    match row:
        case TicketRow():
            return row.archived
        case TaskRow():
            return row.status == TaskStatus.CANCELLED
        case RequirementRow():
            return False


def _names(rows: Iterable[Row], refs: Iterable[ImportRefRow]) -> dict[str, str]:
    """Names of what is there: as it was imported, else by its ref; one that is taken gets the next free."""
    names = {ref.object_id: ref.local_ref for ref in refs}
    ids = {row.id for row in rows}
    names = {object_id: name for object_id, name in names.items() if object_id in ids}
    taken = set(names.values())
    for row in rows:
        if row.id in names:
            continue
        name, number = row.ref, 1
        while name in taken:
            name, number = f"{row.ref[:3]}-OWN-{number:03d}", number + 1
        names[row.id] = name
        taken.add(name)
    return names


async def _needs(session: AsyncSession, spec_id: str) -> dict[str, set[str]]:
    tickets = select(TicketRow.id).where(TicketRow.spec_id == spec_id)
    tasks = select(TaskRow.id).where(TaskRow.ticket_id.in_(tickets))
    of_tickets = select(TicketEdgeRow.ticket_id, TicketEdgeRow.depends_on_ticket_id)
    of_tasks = select(TaskEdgeRow.task_id, TaskEdgeRow.depends_on_task_id)
    found: dict[str, set[str]] = {}
    for query in (
        of_tickets.where(TicketEdgeRow.ticket_id.in_(tickets)),
        of_tasks.where(TaskEdgeRow.task_id.in_(tasks)),
    ):
        for waiting, awaited in await session.execute(query):
            found.setdefault(waiting, set()).add(awaited)
    return found


async def _covers(session: AsyncSession, spec_id: str) -> dict[str, set[str]]:
    tickets = select(TicketRow.id).where(TicketRow.spec_id == spec_id)
    links = select(TicketRequirementRow).where(TicketRequirementRow.ticket_id.in_(tickets))
    found: dict[str, set[str]] = {}
    for link in await session.scalars(links):
        found.setdefault(link.ticket_id, set()).add(link.requirement_id)
    return found


# --- rows as documents -------------------------------------------------------------------------------------


def _document(holding: Holding, rows: Sequence[Row]) -> d.Spec:
    """Read by the same reading as documents from outside, so that both compare."""
    spec = holding.spec
    kept = {row.id for row in rows}
    content: Json = {
        "spec": {"title": spec.title, "description": spec.description},
        "requirements": [_requirement(holding, row) for row in rows if isinstance(row, RequirementRow)],
        "design": spec.design,
        "tickets": [_ticket(holding, row, kept) for row in rows if isinstance(row, TicketRow)],
        "tasks": [
            _task(holding, row, kept) for row in rows if isinstance(row, TaskRow) and row.ticket_id in kept
        ],
    }
    read, _ = read_spec(read_json(content))
    return settled(read, holding.known())


def _criteria(holding: Holding, row: Row) -> list[Json]:
    found = holding.criteria.get(row.id, [])
    return [{"text": each.text, "kind": each.kind, "check": each.check} for each in found]


def _named(holding: Holding, ids: Iterable[str], kept: set[str]) -> list[str]:
    return [holding.names[one] for one in ids if one in kept]


def _requirement(holding: Holding, row: RequirementRow) -> Json:
    fields = ("title", "condition", "action", "category", "priority", "linked_design")
    said = {name: getattr(row, name) for name in fields}
    return {"ref": holding.names[row.id], **said, "criteria": _criteria(holding, row)}


def _ticket(holding: Holding, row: TicketRow, kept: set[str]) -> Json:
    fields = ("title", "priority", "estimate", "ticket_type", "tags")
    return {
        "ref": holding.names[row.id],
        **{name: getattr(row, name) for name in fields},
        "description": described(row),
        "requirements": _named(holding, holding.covers.get(row.id, ()), kept),
        "depends_on": _named(holding, holding.needs.get(row.id, ()), kept),
        "criteria": _criteria(holding, row),
    }


def described(row: TicketRow) -> str:
    """A ticket in a document has a description; one without says its title."""
    return (row.description or "").strip() or row.title


def _task(holding: Holding, row: TaskRow, kept: set[str]) -> Json:
    fields: Mapping[str, Any] = {
        name: getattr(row, name)
        for name in (
            "title",
            "priority",
            "estimate",
            "phase_id",
            "task_type",
            "owned_files",
            "required_capabilities",
            "timeout_seconds",
            "work",
        )
    }
    parent = row.parent_task_id
    return {
        "ref": holding.names[row.id],
        "ticket": holding.names[row.ticket_id],
        **fields,
        "description": (row.description or "").strip() or None,
        "deliverables": [{"path": each["path"], "content": each.get("content")} for each in row.deliverables],
        "depends_on": _named(holding, holding.needs.get(row.id, ()), kept),
        "criteria": _criteria(holding, row),
        "parent": holding.names[parent] if parent in kept else None,
    }
