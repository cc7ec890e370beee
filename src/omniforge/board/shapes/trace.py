"""What leads from a requirement to its evidence, on the wire, and where the chain is broken."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel

from omniforge.board.vocabulary import CheckKind, PhaseId, RequirementStatus, TaskStatus, TicketStatus


class Drift(StrEnum):
    """A place where what is wanted, what is done and what is shown have parted."""

    REQUIREMENT_WITHOUT_TICKET = "requirement_without_ticket"
    REQUIREMENT_WITHOUT_CRITERION = "requirement_without_criterion"
    TICKET_WITHOUT_REQUIREMENT = "ticket_without_requirement"
    TICKET_WITHOUT_TASK = "ticket_without_task"
    TASK_WITHOUT_REQUIREMENT = "task_without_requirement"
    CRITERION_WITHOUT_CHECK = "criterion_without_check"
    CHECK_WITHOUT_RECEIPT = "check_without_receipt"
    """Its owner is done, and nothing shows it."""
    RECEIPT_FAILED = "receipt_failed"
    RECEIPT_VOIDED = "receipt_voided"
    RECEIPT_OUTDATED = "receipt_outdated"
    """Older than the last commit of its ticket."""
    FILE_OUTSIDE_OWNED = "file_outside_owned"


class TracedReceipt(BaseModel):
    id: str
    ticket_id: str
    task_id: str | None
    check_key: str
    command: str
    passed: bool
    tree_hash: str
    started_at: datetime
    voided_at: datetime | None
    void_reason: str | None
    flags: list[Drift]


class TracedCriterion(BaseModel):
    """`check` is the command, the rule or the role; `receipts` are of this check, newest first."""

    id: str
    text: str
    kind: CheckKind
    check: str | None
    completed: bool
    receipts: list[TracedReceipt]
    flags: list[Drift]


class TracedFile(BaseModel):
    """`owned` and `deliverable` are as the task says, patterns too; `changed` is from commits."""

    path: str
    how: Literal["owned", "deliverable", "changed"]
    commits: list[str]
    flags: list[Drift]


class TracedTask(BaseModel):
    id: str
    ref: str
    title: str
    status: TaskStatus
    phase_id: PhaseId
    depends_on: list[str]
    criteria: list[TracedCriterion]
    files: list[TracedFile]
    receipts: list[TracedReceipt]
    """Those of no criterion of its own."""
    flags: list[Drift]


class TracedTicket(BaseModel):
    id: str
    ref: str
    title: str
    status: TicketStatus
    requirement_ids: list[str]
    criteria: list[TracedCriterion]
    tasks: list[TracedTask]
    files: list[TracedFile]
    """Changed by commits that name no task."""
    receipts: list[TracedReceipt]
    flags: list[Drift]


class TracedRequirement(BaseModel):
    id: str
    ref: str
    title: str
    status: RequirementStatus
    criteria: list[TracedCriterion]
    ticket_ids: list[str]
    flags: list[Drift]


class Drifted(BaseModel):
    """`of`: the kind of thing `id` and `ref` mean."""

    flag: Drift
    of: Literal["requirement", "ticket", "task", "criterion", "receipt", "file"]
    id: str
    ref: str
    message: str


class Trace(BaseModel):
    """From requirements to tickets by `ticket_ids`, from there down to files and receipts. `drift` is every
    flag in one list."""

    spec_id: str
    version: int
    requirements: list[TracedRequirement]
    tickets: list[TracedTicket]
    drift: list[Drifted]
    counts: dict[str, int]
