"""What surrounds a ticket on the wire: comments, commits, context, dependencies."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from omniforge.board.shapes.tickets import HistoryEntry
from omniforge.board.shapes.words import AnyPhase, Given, Id, Json, Listing
from omniforge.board.vocabulary import PhaseId
from omniforge.board.workflow import TASK_PHASES


def _holds_tasks(phase: PhaseId) -> PhaseId:
    if phase not in TASK_PHASES:
        raise ValueError(f"one of {', '.join(TASK_PHASES)}")
    return phase


Said = Annotated[str, StringConstraints(min_length=1, max_length=20_000, strip_whitespace=True)]
Mention = Annotated[str, StringConstraints(min_length=1, max_length=64, strip_whitespace=True)]
Sha = Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F]{7,64}$", to_lower=True, strip_whitespace=True)]


class CommentGiven(Given):
    """`mentions`: without them, everybody whom the text names with @."""

    text: Said
    mentions: list[Mention] | None = Field(default=None, max_length=100)


class Comment(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: str
    ticket_id: str
    text: str
    mentions: list[str]
    by: str
    edited_at: datetime | None
    created_at: datetime


class CommentList(Listing):
    comments: list[Comment]


class CommitGiven(Given):
    sha: Sha
    message: Annotated[str, StringConstraints(max_length=20_000)] = ""


class Commit(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: str
    project_id: str
    ticket_id: str
    task_id: str | None
    sha: str
    message: str
    authored_at: datetime | None
    insertions: int
    deletions: int
    files: list[str]
    method: Literal["push", "result", "manual", "sync"]
    created_at: datetime


class CommitList(Listing):
    commits: list[Commit]


class ContextGiven(Given):
    phase_id: Annotated[AnyPhase, AfterValidator(_holds_tasks)]


class FullContext(BaseModel):
    """`phases`: what was folded, by phase; `history`: every move, oldest first; `regressions`: those back."""

    phases: dict[str, Json]
    history: list[HistoryEntry]
    regressions: list[HistoryEntry]


class TicketContext(BaseModel):
    ticket_id: str
    full_context: FullContext
    summary: str | None


class ContextUpdated(BaseModel):
    status: Literal["updated"] = "updated"
    summary: str


class WaitsGiven(Given):
    depends_on: list[Id] = Field(max_length=200)


class Waits(BaseModel):
    """Ids of tickets: `depends_on` is what it waits for, `blocks` what waits for it; also what is done."""

    ticket_id: str
    depends_on: list[str]
    blocks: list[str]
    dependencies_complete: bool
