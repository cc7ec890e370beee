"""Reviews of tickets and their likes on the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from omniforge.board.shapes.tickets import Similarity
from omniforge.board.shapes.words import Description, Feedback, Given, Id, Title
from omniforge.board.vocabulary import ApprovalStatus, TicketStatus


class OfProject(BaseModel):
    model_config = ConfigDict(extra="forbid")

    project_id: Id | None = None


class OfTicket(BaseModel):
    model_config = ConfigDict(extra="forbid")

    ticket_id: Id


class ApproveGiven(Given):
    ticket_id: Id


class RejectGiven(Given):
    ticket_id: Id
    rejection_reason: Feedback


class PendingCount(BaseModel):
    pending_count: int


class ApprovalState(BaseModel):
    """`deadline_at` is when it counts as timed out, or did."""

    ticket_id: str
    approval_status: ApprovalStatus
    deadline_at: datetime | None
    requested_by: str | None
    rejection_reason: str | None


class Approved(BaseModel):
    ticket_id: str
    status: Literal["approved"] = "approved"


class Rejected(BaseModel):
    """`disposition`: what became of the ticket."""

    ticket_id: str
    status: Literal["rejected"] = "rejected"
    disposition: Literal["archive", "delete"]


class LikenessGiven(Given):
    """`similarity_threshold`: without it that of the project."""

    project_id: Id
    title: Title
    description: Description | None = None
    similarity_threshold: Similarity | None = None
    top_k: int = Field(default=5, ge=1, le=20)


class Candidate(BaseModel):
    """A ticket much like the one that is meant."""

    ticket_id: str
    ref: str
    title: str
    status: TicketStatus
    similarity: float


class Likeness(BaseModel):
    """`highest_similarity` is that of the ticket most like it, whether or not that is much."""

    is_duplicate: bool
    message: str
    candidates: list[Candidate]
    highest_similarity: float
