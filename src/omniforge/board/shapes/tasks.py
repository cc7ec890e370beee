"""Tasks on the wire: the task, what makes and changes one, what it waits for, its attempts and times."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from omniforge.board.importing.values import Wrong
from omniforge.board.importing.works import MAX_COMMAND, MAX_COMMANDS, read_work
from omniforge.board.shapes.projects import Glob
from omniforge.board.shapes.results import Result, Verification
from omniforge.board.shapes.tickets import Criterion, CriterionGiven
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
    Title,
    Version,
)
from omniforge.board.vocabulary import AttemptOutcome, Estimate, PhaseId, Priority, TaskStatus, TaskType
from omniforge.core.paging import Paging


def _in_our_time(moment: datetime) -> datetime:
    if not 1970 < moment.year < 3000:
        raise ValueError("a year between 1971 and 2999")
    return moment.astimezone(UTC)


Moment = Annotated[AwareDatetime, AfterValidator(_in_our_time)]
TaskEstimate = Literal[Estimate.S, Estimate.M, Estimate.L]
Seconds = Annotated[int, Field(ge=60, le=86_400)]
Retries = Annotated[int, Field(ge=0, le=10)]
Capability = Annotated[str, StringConstraints(min_length=1, max_length=64, strip_whitespace=True)]
Ids = Annotated[list[Id], Field(max_length=200)]
Files = Annotated[list[Glob], Field(max_length=200)]


class CommandsWork(Given):
    """Lines for a shell, one after the other, up to the first that fails."""

    kind: Literal["commands"]
    commands: Annotated[
        list[Annotated[str, StringConstraints(min_length=1, max_length=MAX_COMMAND)]],
        Field(min_length=1, max_length=MAX_COMMANDS),
    ]


class SkillWork(Given):
    """A skill that brings its program."""

    kind: Literal["skill"]
    name: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    inputs: Json = Field(default_factory=dict[str, Any])


Work = Annotated[CommandsWork | SkillWork, Field(discriminator="kind")]


def _can_be_run(work: CommandsWork | SkillWork) -> CommandsWork | SkillWork:
    try:
        made = read_work(work.model_dump())
    except Wrong as wrong:
        raise ValueError(f"{wrong.field}: {wrong}" if wrong.field else str(wrong)) from None
    return type(work).model_validate(made)


WorkGiven = Annotated[Work, AfterValidator(_can_be_run)]


class Task(BaseModel):
    """`score` says how soon it is taken, `depends_on` are ids, `result` is the latest."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    project_id: str
    ticket_id: str
    spec_id: str | None
    ref: str
    phase_id: PhaseId
    task_type: TaskType
    title: str
    description: str | None
    priority: Priority
    estimate: TaskEstimate | None
    status: TaskStatus
    attempt: int
    retry_count: int
    max_retries: int
    remaining: int
    dependents_open: int
    queued_at: datetime | None
    not_before: datetime | None
    claimed_at: datetime | None
    claimed_by: str | None
    lease_expires_at: datetime | None
    started_at: datetime | None
    completed_at: datetime | None
    timeout_seconds: int
    deadline_at: datetime | None
    cancel_requested_at: datetime | None
    agent_id: str | None
    sandbox_id: str | None
    conversation_id: str | None
    persistence_dir: str | None
    parent_task_id: str | None
    required_capabilities: list[str]
    owned_files: list[str]
    deliverables: list[Json]
    work: Work | None
    """None: an agent does it."""
    feedback: list[Json]
    error_code: str | None
    error_message: str | None
    version: int
    created_at: datetime
    updated_at: datetime
    score: float | None
    """None unless it waits to be taken."""
    depends_on: list[str]
    dependencies_complete: bool
    verification: Verification
    result: Result | None


class Attempt(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: str
    task_id: str
    attempt: int
    sandbox_id: str
    run_id: str
    claimed_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    outcome: AttemptOutcome | None
    error_code: str | None
    error_message: str | None
    base_commit: str | None
    head_commit: str | None


class TaskDetail(Task):
    attempts: list[Attempt]
    criteria: list[Criterion]


class TaskList(Listing):
    tasks: list[Task]


class AttemptList(Listing):
    attempts: list[Attempt]


class LateTask(Task):
    elapsed_seconds: float


class LateTaskList(Listing):
    tasks: list[LateTask]


class CancellableTask(Task):
    time_remaining: float | None
    """Seconds until it has run too long; None while nobody works on it."""


class CancellableTaskList(Listing):
    tasks: list[CancellableTask]


class TaskQuery(Paging):
    status: TaskStatus | None = None
    phase_id: AnyPhase | None = None
    has_sandbox: bool | None = None
    ticket_id: Id | None = None
    project_id: Id | None = None
    spec_id: Id | None = None


class ProjectQuery(Paging):
    project_id: Id | None = None


class Deliverable(Given):
    """A file that has to be there in the end; `content` says what is in it."""

    path: Annotated[str, StringConstraints(min_length=1, max_length=1_000)]
    content: Description = ""


class TaskGiven(Given):
    ticket_id: Id
    title: Title
    description: Description | None = None
    task_type: TaskType = TaskType.IMPLEMENT_FEATURE
    phase_id: AnyPhase | None = None
    priority: AnyPriority | None = None
    estimate: TaskEstimate | None = None
    depends_on: Ids = Field(default_factory=list[str])
    criteria: list[CriterionGiven] = Field(default_factory=list[CriterionGiven], max_length=200)
    deliverables: list[Deliverable] = Field(default_factory=list[Deliverable], max_length=200)
    owned_files: Files = Field(default_factory=list[str])
    required_capabilities: list[Capability] = Field(default_factory=list[str], max_length=50)
    agent_id: Id | None = None
    timeout_seconds: Seconds = 3600
    deadline_at: Moment | None = None
    max_retries: Retries = 3
    parent_task_id: Id | None = None
    work: WorkGiven | None = None


class TaskChanges(Given):
    """What is absent stays; `null` clears what may be empty."""

    title: Title = ""
    description: Description | None = None
    priority: AnyPriority = Priority.MEDIUM
    estimate: TaskEstimate | None = None
    deadline_at: Moment | None = None
    max_retries: Retries = 3
    agent_id: Id | None = None
    owned_files: Files = Field(default_factory=list[str])
    work: WorkGiven | None = None
    expected_version: Version | None = None


class TaskBrief(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: str
    ref: str
    title: str
    status: TaskStatus


class DependenciesGiven(Given):
    depends_on: Ids


class Dependencies(BaseModel):
    """`blocked_tasks` wait for this one, `depends_on` (ids) is what it waits for."""

    task_id: str
    depends_on: list[str]
    dependencies_complete: bool
    remaining: int
    blocked_tasks: list[TaskBrief]


class Circular(BaseModel):
    has_circular_dependency: bool
    cycle: list[str] | None = None


class CancelGiven(Given):
    reason: Annotated[Reason, StringConstraints(min_length=1)] = "cancelled_by_request"


class CancelledTask(BaseModel):
    task_id: str
    cancelled: bool = True
    status: TaskStatus
    reason: str


class RetryGiven(Given):
    feedback: Feedback | None = None


class TimeoutStatus(BaseModel):
    exists: bool = True
    status: TaskStatus
    timeout_seconds: int
    elapsed_seconds: float
    time_remaining: float | None
    is_timed_out: bool
    can_cancel: bool


class TimeoutGiven(Given):
    timeout_seconds: Seconds


class TimeoutSet(BaseModel):
    task_id: str
    timeout_seconds: int
    status: TaskStatus


class OfProject(Given):
    project_id: Id | None = None


class CleanedUp(BaseModel):
    cleaned_count: int
    total_timed_out: int


class TitleGiven(Given):
    context: Description | None = None


class TitleMade(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    task_id: str
    title: str
    description: str | None
    task_type: TaskType
    generated_by: Literal["model", "rule"]


class TitlesGiven(OfProject):
    limit: int = Field(default=10, ge=1, le=50)


class TitleOfOne(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    task_id: str
    title: str
    error: str | None = None


class TitlesMade(BaseModel):
    processed: int
    succeeded: int
    failed: int
    tasks: list[TitleOfOne]


class ConversationGiven(Given):
    conversation_id: Id
    sandbox_id: Id | None = None
    persistence_dir: Annotated[str, StringConstraints(min_length=1, max_length=500)] | None = None


class ConversationKept(BaseModel):
    success: bool = True
    task_id: str
    conversation_id: str
