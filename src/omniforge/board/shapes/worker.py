"""What a worker is told of its task, and what it says when it has done it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from omniforge.board.shapes.results import Verification
from omniforge.board.shapes.tickets import Criterion
from omniforge.board.shapes.words import Description, Given, Json
from omniforge.board.vocabulary import PhaseId, Priority, TaskStatus, TaskType, TicketStatus
from omniforge.sandboxes.texts import RelativePath

Count = Annotated[int, Field(ge=0, le=10_000_000)]
Percent = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]
Code = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[a-z][a-z0-9_]*$")]


# --- the brief ---------------------------------------------------------------------------------------------


class BriefTicket(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: str
    ref: str
    title: str
    description: str | None
    status: TicketStatus
    priority: Priority


class BriefRequirement(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    ref: str
    title: str
    condition: str
    action: str
    criteria: list[str]


class BriefSpec(BaseModel):
    """`requirements` are those of the ticket."""

    id: str
    title: str
    requirements: list[BriefRequirement]
    design: Json | None


class BriefContext(BaseModel):
    """`base_commit` is where the workspace began, None in an empty repository. `relevant_files`: files that
    are there and belong to the task."""

    project_id: str
    repository: str
    branch_name: str
    base_commit: str | None
    relevant_files: list[str]
    spec: BriefSpec | None
    ticket: BriefTicket


class Constraints(BaseModel):
    """No `max_cost_usd` or `max_turns` is exceeded by asking for more: the host counts."""

    time_limit_minutes: float
    max_turns: int
    max_cost_usd: float
    allowed_tools: list[str]
    owned_files: list[str]


class Brief(BaseModel):
    """Everything a worker has to know. `feedback` is what became of earlier attempts, oldest first."""

    task_id: str
    attempt: int
    ticket_id: str
    ref: str
    title: str
    description: str | None
    type: TaskType
    phase_id: PhaseId
    priority: Priority
    work: Json
    """`{kind: commands, commands}`, `{kind: skill, name, inputs}` or `{kind: agent, instructions, model}`."""
    criteria: list[Criterion]
    feedback: list[Json]
    deliverables: list[Json]
    context: BriefContext
    constraints: Constraints


# --- the result --------------------------------------------------------------------------------------------


class FileChanged(Given):
    path: RelativePath
    action: Literal["created", "modified", "deleted"]
    lines_added: Count = 0
    lines_removed: Count = 0


class CommitMade(Given):
    sha: Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F]{7,64}$")]
    message: Annotated[str, StringConstraints(max_length=5_000)] = ""


class TestsRun(Given):
    __test__ = False

    total: Count
    passed: Count
    failed: Count
    skipped: Count = 0
    coverage_percent: Percent | None = None
    report: Annotated[str, StringConstraints(max_length=100_000)] | None = None


class ArtifactMade(Given):
    type: Annotated[str, StringConstraints(min_length=1, max_length=32)]
    path: RelativePath | None = None
    content: Json | str | None = None


class ResultGiven(Given):
    """Claims; none of them is evidence."""

    status: Literal["completed", "failed", "partial"]
    summary: Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
    files_changed: list[FileChanged] = Field(default_factory=list[FileChanged])
    commits: list[CommitMade] = Field(default_factory=list[CommitMade], max_length=500)
    tests: TestsRun | None = None
    artifacts: list[ArtifactMade] = Field(default_factory=list[ArtifactMade])
    notes: Description = ""
    error_code: Code | None = None
    attempt: Annotated[int, Field(ge=1, le=1_000_000)] | None = None


class ResultTaken(BaseModel):
    """`replayed`: this was said before. `next_action` is for whoever asks what comes now."""

    success: bool = True
    task_id: str
    attempt: int
    result_id: str
    task_status: TaskStatus
    verification: Verification
    next_action: Literal["create_pr", "await_review", "continue"] | None
    replayed: bool = False


class ReviewGiven(Given):
    """A question to people; `blocking` ends the attempt until they have answered."""

    reason: Annotated[str, StringConstraints(min_length=1, max_length=5_000, strip_whitespace=True)]
    description: Description
    context: Json = Field(default_factory=dict[str, Any])
    blocking: bool = True


class ReviewAsked(BaseModel):
    success: bool = True
    approval_id: str
    task_status: TaskStatus
