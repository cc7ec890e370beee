"""The inbox of approvals on the wire."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict

from omniforge.board.shapes.words import Given, Id, Json, Listing, Reason
from omniforge.board.vocabulary import ApproverRole
from omniforge.core.paging import Paging


class AskedStatus(StrEnum):
    """How a question to people stands."""

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
    ANSWERED = "answered"
    WAIVED = "waived"
    EXPIRED = "expired"


class SubjectType(StrEnum):
    """What a question is about."""

    TICKET = "ticket"
    TASK = "task"
    GATE_CHECK = "gate_check"
    SPEC = "spec"


class Answer(StrEnum):
    APPROVE = "approve"
    REJECT = "reject"
    ANSWER = "answer"


class Approval(BaseModel):
    """`subject_id` of a gate check is its ticket; `context` tells which check."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    project_id: str
    subject_type: SubjectType
    subject_id: str
    role: ApproverRole
    prompt: str
    description: str | None
    context: Json
    blocking: bool
    status: AskedStatus
    requested_by: str
    decided_by: str | None
    rationale: str | None
    deadline_at: datetime | None
    decided_at: datetime | None
    created_at: datetime


class ApprovalList(Listing):
    approvals: list[Approval]


class ApprovalQuery(Paging):
    """`mine`: only what the asker may decide by role."""

    model_config = ConfigDict(extra="forbid")

    status: AskedStatus = AskedStatus.PENDING
    role: ApproverRole | None = None
    project_id: Id | None = None
    subject_type: SubjectType | None = None
    mine: bool = False


class AnswerGiven(Given):
    """`rationale` is needed but for a yes."""

    decision: Literal[Answer.APPROVE, Answer.REJECT, Answer.ANSWER]
    rationale: Reason | None = None
