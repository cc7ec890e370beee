"""Tickets on the wire: the card, what makes one, what changes one, and its moves."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from omniforge.board.importing.definitions import read_check
from omniforge.board.importing.values import Wrong
from omniforge.board.shapes.projects import StartingPhase
from omniforge.board.shapes.words import (
    AnyPhase,
    AnyPriority,
    Description,
    Feedback,
    Given,
    Id,
    Json,
    Listing,
    Reason,
    Search,
    Tag,
    Title,
    Version,
)
from omniforge.board.vocabulary import (
    ApprovalStatus,
    BlockerType,
    CheckKind,
    Estimate,
    HoldReason,
    MoveCause,
    PhaseId,
    Priority,
    TicketStatus,
    TicketType,
)
from omniforge.core.paging import Paging

Similarity = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class LegalTarget(BaseModel):
    """A status that may follow. `reason`: why it would be refused now; the gate is asked only where one
    ticket is shown."""

    status: TicketStatus
    allowed: bool
    reason: HoldReason | None = None


class Held(BaseModel):
    """A move that waits."""

    to_status: TicketStatus
    reason: HoldReason
    since: datetime


class LinkedTicket(BaseModel):
    id: str
    ref: str
    title: str
    status: TicketStatus


class Ticket(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: str
    project_id: str
    spec_id: str | None
    ref: str
    title: str
    description: str | None
    status: TicketStatus
    status_since: datetime
    phase_id: PhaseId
    phase_entry: int
    rank: float
    priority: Priority
    ticket_type: TicketType
    estimate: Estimate | None
    tags: list[str]
    is_blocked: bool
    blocker_type: BlockerType | None
    blocked_reason: str | None
    blocked_at: datetime | None
    blocked_by_actor: str | None
    blockers: list[Json]
    approval_status: ApprovalStatus
    approval_deadline_at: datetime | None
    requested_by: str | None
    rejection_reason: str | None
    pending_transition: Held | None
    open_dependencies: int
    start: bool | None
    evidence_since: datetime
    remediations: int
    branch_name: str | None
    context: Json
    context_summary: str | None
    archived: bool
    version: int
    created_by: str
    created_at: datetime
    updated_at: datetime
    legal_targets: list[LegalTarget]
    blocked_by: list[LinkedTicket]
    """What it waits for and is not done."""
    blocks: list[LinkedTicket]
    """What waits for it and is not done."""
    open_tasks: int
    lines_added: int
    lines_removed: int


class Criterion(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: str
    owner_type: str
    owner_id: str
    text: str
    kind: CheckKind
    check: Json | None
    completed: bool
    completed_by: str | None
    receipt_id: str | None
    position: int
    created_at: datetime
    updated_at: datetime


class Decision(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: str
    ticket_id: str
    from_status: TicketStatus
    to_status: TicketStatus
    phase_entry: int
    decision: str
    criteria: list[Json]
    conditions: list[Json]
    tree_hash: str | None
    decided_by: str
    created_at: datetime


class TicketDetail(Ticket):
    tasks: list[Json]
    criteria: list[Criterion]
    last_decision: Decision | None


class TicketList(Listing):
    tickets: list[Ticket]


class TicketQuery(Paging):
    project_id: Id | None = None
    spec_id: Id | None = None
    status: TicketStatus | None = None
    phase_id: AnyPhase | None = None
    priority: AnyPriority | None = None
    is_blocked: bool | None = None
    approval_status: ApprovalStatus | None = None
    tag: Tag | None = None
    search: Search | None = None
    archived: bool = False


class CriterionGiven(Given):
    """What has to be true. One that is checked says by what in `check`."""

    text: Annotated[str, StringConstraints(min_length=1, max_length=5_000, strip_whitespace=True)]
    kind: CheckKind = CheckKind.TEXT
    check: Json | None = None

    @model_validator(mode="after")
    def _check(self) -> CriterionGiven:
        self.check = checked(self.kind, self.check)
        return self


def checked(kind: CheckKind, check: Json | None) -> Json | None:
    """The definition of a check; `ValueError` says what it lacks."""
    if kind is CheckKind.TEXT:
        if check is not None:
            raise ValueError("check: a criterion of kind text has none")
        return None
    try:
        return read_check(kind, check)
    except Wrong as wrong:
        raise ValueError(f"{wrong.field}: {wrong}") from None


class TicketGiven(Given):
    project_id: Id
    title: Title
    description: Description | None = None
    priority: AnyPriority = Priority.MEDIUM
    phase_id: StartingPhase | None = None
    ticket_type: TicketType = TicketType.COMPONENT
    estimate: Estimate | None = None
    tags: list[Tag] = Field(default_factory=list[str], max_length=50)
    spec_id: Id | None = None
    requirement_ids: list[Id] = Field(default_factory=list[str], max_length=500)
    criteria: list[CriterionGiven] = Field(default_factory=list[CriterionGiven], max_length=200)
    depends_on: list[Id] = Field(default_factory=list[str], max_length=200)
    blocks: list[Id] = Field(default_factory=list[str], max_length=200)
    start: bool | None = None
    check_duplicates: bool = True
    similarity_threshold: Similarity | None = None
    force_create: bool = False


class TicketChanges(Given):
    """What is absent stays. Status and phase follow from moves only."""

    title: Title = ""
    description: Description | None = None
    priority: AnyPriority = Priority.MEDIUM
    ticket_type: TicketType = TicketType.COMPONENT
    estimate: Estimate | None = None
    tags: list[Tag] = Field(default_factory=list[str], max_length=50)
    spec_id: Id | None = None
    start: bool | None = None
    archived: bool = False
    expected_version: Version | None = None


class Transition(Given):
    to_status: TicketStatus
    reason: Reason | None = None
    force: bool = False
    expected_version: Version | None = None


class Regress(Given):
    to_status: Literal[TicketStatus.BUILDING] = TicketStatus.BUILDING
    feedback: Feedback
    force: bool = False
    reason: Reason | None = None
    """Of a forced one; without it the feedback is the reason."""


class Progressed(BaseModel):
    ticket: Ticket
    progressed: bool
    reason: HoldReason | None = None


class HistoryEntry(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: str
    ticket_id: str
    from_status: TicketStatus | None
    to_status: TicketStatus
    from_phase: PhaseId | None
    to_phase: PhaseId
    cause: MoveCause
    forced: bool
    reason: str | None
    feedback: str | None
    decision_id: str | None
    by: str
    seq: int | None
    created_at: datetime


class History(Listing):
    history: list[HistoryEntry]
