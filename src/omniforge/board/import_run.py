"""What one import knows while it is under way: what is there, what is wanted, and what became of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from graphlib import TopologicalSorter
from typing import Any, TypeVar

from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.board.exporting import Holding, Row, is_gone
from omniforge.board.importing import documents as d
from omniforge.board.importing.documents import Doubt, Json, Place, Problem
from omniforge.board.shapes.specs import Counts, ImportOptions, Mapped
from omniforge.board.store.projects import ProjectRow
from omniforge.board.store.specs import ImportRefRow, RequirementRow
from omniforge.board.store.tasks import TaskRow
from omniforge.board.store.tickets import TicketRow
from omniforge.board.vocabulary import TaskStatus, TicketStatus
from omniforge.core.actor import Actor


class Action(StrEnum):
    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    SKIPPED = "skipped"


KINDS: dict[type[d.Item], Any] = {d.Requirement: "requirement", d.Ticket: "ticket", d.Task: "task"}
Linked = TypeVar("Linked", d.Ticket, d.Task)


@dataclass(slots=True)
class ImportRun:
    """`rows` are those of the spec by their names in documents, the new ones too."""

    session: AsyncSession
    actor: Actor
    now: datetime
    project: ProjectRow
    holding: Holding
    document: d.Spec
    options: ImportOptions
    map: dict[str, Mapped] = field(default_factory=dict[str, Mapped])
    counts: Counts = field(default_factory=Counts)
    warnings: list[Problem] = field(default_factory=list[Problem])
    changed: Json = field(default_factory=dict[str, Any])
    """What versions tell: name → [old, new]."""
    changes_requirements: bool = False
    changes_design: bool = False

    @property
    def rows(self) -> dict[str, Row]:
        return self.holding.rows

    def ids(self, names: Iterable[str]) -> list[str]:
        return [self.rows[name].id for name in names if name in self.rows]

    def outside(self, ids: Iterable[str]) -> set[str]:
        """Those that are no part of this spec: documents cannot name them, so they stay."""
        return set(ids) - self.holding.names.keys()

    # --- what happens to an item ---------------------------------------------------------------------------

    def decide(self, item: d.Item) -> Action:
        """The same document again changes nothing, and so does one that says what is there already."""
        row, ref = self.rows.get(item.ref), self.holding.refs.get(item.ref)
        if row is None:
            return Action.CREATED if self._has_home(item) else Action.SKIPPED
        if ref is not None and ref.content_hash == d.content_hash(d.plain(item)):
            return Action.UNCHANGED
        if self.holding.items.get(item.ref) == item:
            return Action.UNCHANGED
        if not may_change(row):
            self.warn(item.ref, f"this is {standing(row)} already and stays as it is", item.place)
            return Action.SKIPPED
        return Action.UPDATED if self._has_home(item) else Action.SKIPPED

    def _has_home(self, item: d.Item) -> bool:
        """Nothing is put into a ticket that is archived."""
        home = self.rows.get(item.ticket) if isinstance(item, d.Task) else None
        if isinstance(item, d.Task) and home is not None and is_gone(home):
            self.warn(item.ref, f"{item.ticket} is archived; nothing is put into it", item.place)
            return False
        return True

    def warn(self, ref: str, message: str, place: Place | None = None) -> None:
        self.warnings.append(Problem(Doubt.ALREADY_STARTED, ref, message, place=place or Place()))

    def record(self, item: d.Item, action: Action) -> None:
        """Count what was done, and keep the name and the content of what came in."""
        row = self.rows.get(item.ref)
        self.map[item.ref] = Mapped(
            id=row.id if row else None,
            kind=KINDS[type(item)],
            ref=row.ref if row else None,
            action=action.value,
        )
        setattr(self.counts, action.value, getattr(self.counts, action.value) + 1)
        if action in (Action.CREATED, Action.UPDATED) and row is not None:
            self.keep_ref(item.ref, KINDS[type(item)], row.id, d.plain(item))
            self.changed[item.ref] = difference(self.holding.items.get(item.ref), item)

    def keep_ref(self, name: str, kind: str, object_id: str, content: Any) -> None:
        """Remember what a name of the document means, and what it said."""
        ref, hashed = self.holding.refs.get(name), d.content_hash(content)
        if ref is None:
            ref = ImportRefRow(
                spec_id=self.holding.spec.id,
                local_ref=name,
                tenant_id=self.actor.tenant_id,
                kind=kind,
                object_id=object_id,
                content_hash=hashed,
            )
            self.session.add(ref)
            self.holding.refs[name] = ref
        ref.object_id, ref.content_hash = object_id, hashed

    def came(self, item: d.Item, row: Row) -> None:
        """A row that was made for an item."""
        self.rows[item.ref] = row
        self.holding.names[row.id] = item.ref


def in_order(items: Sequence[Linked]) -> list[Linked]:
    """What others wait for first; else as in the document."""
    by_ref = {item.ref: item for item in items}
    graph = {item.ref: [ref for ref in item.depends_on if ref in by_ref] for item in items}
    for item in items:
        if isinstance(item, d.Task) and item.parent in by_ref:
            graph[item.ref].append(item.parent)
    return [by_ref[ref] for ref in TopologicalSorter(graph).static_order()]


def may_change(row: Row) -> bool:
    """Nobody works on it yet, and it is still part of the spec."""
    match row:
        case TicketRow():
            return not row.archived and row.status == TicketStatus.BACKLOG
        case TaskRow():
            return row.status in (TaskStatus.PENDING, TaskStatus.QUEUED)
        case RequirementRow():
            return True


def standing(row: Row) -> str:
    return "archived" if isinstance(row, TicketRow) and row.archived else row.status


def difference(old: d.Item | None, new: d.Item) -> list[Any]:
    """[old, new] with the fields that differ; a new item tells its title."""
    if old is None:
        return [None, {"title": new.title}]
    before, after = d.plain(old), d.plain(new)
    names = [name for name in after if before.get(name) != after[name]]
    return [{name: before.get(name) for name in names}, {name: after[name] for name in names}]
