"""Projects and their settings on the wire."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from omniforge.board.branches import is_branch
from omniforge.board.shapes.words import AnyPhase, Description, Given, Id, Json, Listing, Name, Search
from omniforge.board.vocabulary import ApproverRole, PhaseId, ProjectStatus
from omniforge.board.workflow import STARTING_PHASES
from omniforge.core.paging import Paging


def _starts_there(phase: PhaseId) -> PhaseId:
    if phase not in STARTING_PHASES:
        raise ValueError(f"one of {', '.join(STARTING_PHASES)}")
    return phase


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except (re.error, OverflowError, RecursionError) as flaw:
        raise ValueError(f"no regular expression: {flaw}") from None
    return text


def _branch(name: str) -> str:
    if not is_branch(name):
        raise ValueError("a name that git takes for a branch")
    return name


StartingPhase = Annotated[AnyPhase, AfterValidator(_starts_there)]
"""A phase in which a ticket may begin."""
Pattern = Annotated[str, StringConstraints(min_length=1, max_length=1_000), AfterValidator(_pattern)]
Glob = Annotated[str, StringConstraints(min_length=1, max_length=1_000)]
Command = Annotated[str, StringConstraints(min_length=1, max_length=10_000, strip_whitespace=True)]
Owner = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9](?:[A-Za-z0-9-]{0,98}[A-Za-z0-9])?$")]
Repository = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,100}$")]
Branch = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,254}$"), AfterValidator(_branch)
]


class ProjectCommand(Given):
    """A command of the project. `coverage_report`: the file it leaves, relative to the repository."""

    command: Command
    timeout_seconds: int = Field(default=600, ge=1, le=3600)
    coverage_report: Glob | None = None


class ProjectCommands(Given):
    build: ProjectCommand | None = None
    lint: ProjectCommand | None = None
    test: ProjectCommand | None = None


class DefaultAgents(Given):
    analyzing: Id | None = None
    building: Id | None = None
    testing: Id | None = None


class ProjectSettings(Given):
    """Every setting of a project with its default; a key nobody knows is a mistake."""

    ticket_human_review: Literal["off", "agents", "all"] = "off"
    approval_timeout_seconds: int = Field(default=1800, ge=60, le=86_400)
    on_reject: Literal["archive", "delete"] = "archive"
    require_spec_approval: bool = False
    commands: ProjectCommands = ProjectCommands()
    coverage_minimum: float = Field(default=80, ge=0, le=100, allow_inf_nan=False)
    forbidden_patterns: list[Pattern] = Field(default_factory=list[str], max_length=200)
    blocked_dependencies: list[Glob] = Field(default_factory=list[str], max_length=500)
    protected_paths: list[Glob] = Field(default_factory=list[str], max_length=500)
    approver_roles: dict[ApproverRole, Annotated[list[Id], Field(max_length=200)]] = Field(
        default_factory=dict[ApproverRole, list[str]]
    )
    self_approval: bool = True
    text_criteria: Literal["advise", "approval"] = "advise"
    auto_regress: bool = True
    max_remediations: int = Field(default=3, ge=0, le=100)
    max_concurrent_sandboxes: int = Field(default=5, ge=1, le=100)
    default_agents: DefaultAgents = DefaultAgents()
    sandbox_provider: Literal["local", "docker", "daytona"] = "local"
    sandbox_network: Literal["none", "allowlist", "full"] = "allowlist"
    auto_pull_request: bool = False
    duplicate_threshold: float = Field(default=0.85, ge=0, le=1, allow_inf_nan=False)


class ProjectGiven(Given):
    name: Name
    description: Description | None = None
    default_phase_id: StartingPhase = PhaseId.BACKLOG
    github_owner: Owner | None = None
    github_repo: Repository | None = None
    autonomous: bool = True
    settings: Json = Field(default_factory=dict[str, Any])


class ProjectChanges(Given):
    """What is absent stays; `settings` are merged by key."""

    name: Name = ""
    description: Description | None = None
    default_phase_id: StartingPhase = PhaseId.BACKLOG
    status: ProjectStatus = ProjectStatus.ACTIVE
    autonomous: bool = True
    github_owner: Owner | None = None
    github_repo: Repository | None = None
    default_branch: Branch = "main"
    settings: Json = Field(default_factory=dict[str, Any])


class ProjectQuery(Paging):
    status: ProjectStatus | None = None
    search: Search | None = None


class Project(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: str
    name: str
    description: str | None
    status: ProjectStatus
    default_phase_id: PhaseId
    repository_kind: Literal["local", "github"]
    github_owner: str | None
    github_repo: str | None
    github_connected: bool
    default_branch: str
    autonomous: bool
    settings: ProjectSettings
    created_by: str
    next_ticket_no: int
    next_task_no: int
    created_at: datetime
    updated_at: datetime


class ProjectList(Listing):
    projects: list[Project]


class ProjectStats(BaseModel):
    project_id: str
    total_tickets: int
    tickets_by_status: dict[str, int]
    tickets_by_phase: dict[str, int]
    tasks_by_status: dict[str, int]
    running_sandboxes: int
    total_commits: int
    cost_usd: float


class Archived(BaseModel):
    success: bool = True
    message: str
