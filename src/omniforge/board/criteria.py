"""Criteria of requirements, tickets and tasks: made, compared with what is wanted, told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.board.creation import criterion_row
from omniforge.board.importing.documents import Criterion
from omniforge.board.log import board_event
from omniforge.board.shapes.tickets import CriterionGiven
from omniforge.board.store.specs import CriterionRow
from omniforge.core.actor import Actor
from omniforge.engine.events import Event

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose criteria they are: `kind` is requirement, ticket or task; the other ids lead readers there."""

    kind: str
    id: str
    project_id: str
    ticket_id: str | None = None
    task_id: str | None = None

    def event(self, type_: str, criterion_id: str, now: datetime, by: str, **payload: Any) -> Event:
        ids = {"project_id": self.project_id, "ticket_id": self.ticket_id, "task_id": self.task_id}
        return board_event(type_, criterion_id, now, by, **ids, owner=f"{self.kind}:{self.id}", **payload)


@dataclass(frozen=True, slots=True)
class Change:
    """What became of the criteria of one owner; `told` is as versions keep it."""

    events: list[Event] = field(default_factory=list[Event])
    old: list[Json] = field(default_factory=list[Json])
    new: list[Json] = field(default_factory=list[Json])


def criteria_given(criteria: Sequence[Criterion]) -> list[CriterionGiven]:
    """As requests give them."""
    return [CriterionGiven(text=each.text, kind=each.kind, check=each.check) for each in criteria]


def created(owner: Owner, row: CriterionRow, now: datetime, by: str) -> Event:
    return owner.event("criterion.created", row.id, now, by, text=row.text[:1_000], kind=row.kind)


def shown(row: CriterionRow) -> Json:
    return {"text": row.text, "kind": row.kind, "check": row.check}


async def replace(  # noqa: PLR0917 - whose, what there is, what is wanted, who and when
    session: AsyncSession,
    actor: Actor,
    owner: Owner,
    rows: Sequence[CriterionRow],
    wanted: Sequence[CriterionGiven],
    now: datetime,
) -> Change:
    """Make an owner's criteria the wanted ones. Those that stay keep what was shown of them."""
    change = Change(old=[shown(row) for row in rows])
    left = list(rows)
    for position, each in enumerate(wanted):
        same = next((row for row in left if shown(row) == each.model_dump(mode="json")), None)
        if same is not None:
            left.remove(same)
            same.position = position
            continue
        row = criterion_row(actor, owner.kind, owner.id, position, each, now)
        session.add(row)
        change.events.append(created(owner, row, now, actor.by))
    for row in left:
        await session.delete(row)
        change.events.append(owner.event("criterion.deleted", row.id, now, actor.by))
    change.new.extend(each.model_dump(mode="json") for each in wanted)
    await session.flush()
    return change
