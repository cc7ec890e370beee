"""The board on the wire: columns, cards, figures, phases."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from omniforge.board.shapes.tickets import Ticket
from omniforge.board.shapes.words import AnyPriority, Given, Id, Name, Reason, Search, Tag, Version
from omniforge.board.vocabulary import HoldReason, PhaseId, TaskType, TicketStatus
from omniforge.core.paging import LARGEST

Color = Annotated[str, StringConstraints(pattern=r"^(?:[a-z]{3,24}|#[0-9A-Fa-f]{6})$")]


class Column(BaseModel):
    """One status as a project shows it. `id` is the status; without a project there is no limit."""

    id: TicketStatus
    project_id: str | None
    status: TicketStatus
    name: str
    color: str
    wip_limit: int | None
    position: int
    phase_id: PhaseId
    phase_ids: list[PhaseId]
    ticket_count: int
    wip_exceeded: bool
    is_terminal: bool
    auto_transition_to: TicketStatus | None


class ColumnOfCards(Column):
    tickets: list[Ticket]
    total: int
    """Tickets that match, also those beyond `per_column`."""


class BoardView(BaseModel):
    project_id: str | None
    columns: list[ColumnOfCards]
    total: int


class ViewQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    project_id: Id | None = None
    priority: AnyPriority | None = None
    tag: Tag | None = None
    search: Search | None = None
    per_column: int = Field(default=50, ge=1, le=200)


class Columns(BaseModel):
    columns: list[Column]
    total: int


class ColumnChanges(Given):
    project_id: Id
    name: Name = ""
    wip_limit: Annotated[int, Field(ge=1, le=LARGEST)] | None = None
    color: Color = "gray"
    position: int = Field(default=0, ge=0, le=5)


class MoveGiven(Given):
    ticket_id: Id
    target_column_id: TicketStatus
    reason: Reason | None = None
    force: bool = False
    before_ticket_id: Id | None = None
    expected_version: Version | None = None


class Moved(BaseModel):
    ticket_id: str
    from_status: TicketStatus
    new_status: TicketStatus
    new_phase: PhaseId
    new_column: TicketStatus
    status: Literal["moved", "ranked"]


class ColumnStats(BaseModel):
    """`utilization` is the share of the limit that is in use."""

    column_id: TicketStatus
    name: str
    ticket_count: int
    blocked_count: int
    wip_limit: int | None
    utilization: float | None
    wip_exceeded: bool
    oldest_since: datetime | None


class BoardStats(BaseModel):
    columns: list[ColumnStats]
    total: int


class Violation(BaseModel):
    project_id: str
    column_id: TicketStatus
    column_name: str
    wip_limit: int
    current_count: int
    excess: int


class Violations(BaseModel):
    violations: list[Violation]
    total: int


class AutoTransition(BaseModel):
    """`hops` are the statuses it came to, in order."""

    ticket_id: str
    transitioned: bool
    from_status: TicketStatus
    to_status: TicketStatus
    hops: list[TicketStatus]
    new_phase: PhaseId
    reason: HoldReason | None


class Phase(BaseModel):
    id: PhaseId
    name: str
    order: int
    statuses: list[TicketStatus]
    is_terminal: bool
    task_types: list[TaskType]
    next: list[PhaseId]


class PhaseCounts(Phase):
    ticket_count: int
    task_count: int


class Phases(BaseModel):
    phases: list[Phase]
    total: int
