"""Specs on the wire: what makes one, what it is, what an import answers."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from omniforge.board.importing.documents import REQUIREMENT_REF
from omniforge.board.importing.phrases import OPENS, shall_at, shalls
from omniforge.board.importing.reading import read_phase
from omniforge.board.importing.values import Wrong
from omniforge.board.shapes.tasks import Task
from omniforge.board.shapes.tickets import Criterion, CriterionGiven
from omniforge.board.shapes.words import AnyPriority, Description, Given, Id, Json, Listing, Title, Version
from omniforge.board.vocabulary import (
    CheckKind,
    Estimate,
    PhaseId,
    Priority,
    RequirementCategory,
    RequirementStatus,
    SpecPhase,
    SpecStatus,
    TaskStatus,
    TaskType,
)
from omniforge.core.paging import Paging


def _condition(text: str) -> str:
    if text and not OPENS.match(text):
        raise ValueError("begins with WHEN, WHILE, WHERE or IF, or is empty")
    return text


def _action(text: str) -> str:
    if shall_at(text) is None:
        raise ValueError("says what has to be: THE SYSTEM SHALL …")
    if shalls(text) > 1:
        raise ValueError("one SHALL per requirement")
    return text


def _phase(phase: Any) -> PhaseId:
    try:
        return read_phase(phase)
    except Wrong as wrong:
        raise ValueError(str(wrong)) from None


_SENTENCE = StringConstraints(max_length=5_000, strip_whitespace=True)
Condition = Annotated[str, _SENTENCE, AfterValidator(_condition)]
Action = Annotated[str, _SENTENCE, AfterValidator(_action)]
RequirementRef = Annotated[str, StringConstraints(pattern=re.compile(f"^{REQUIREMENT_REF.pattern}$"))]
LinkedDesign = Annotated[str, StringConstraints(min_length=1, max_length=100, strip_whitespace=True)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=5_000, strip_whitespace=True)]


class SpecGiven(Given):
    project_id: Id
    title: Title
    description: Description | None = None


class SpecChanges(Given):
    """What is absent stays. Status and phase follow from what is in it and from approvals."""

    title: Title = ""
    description: Description | None = None
    archived: bool = False
    expected_version: Version | None = None


class SpecQuery(Paging):
    status: SpecStatus | None = None
    include_archived: bool = False


class CriterionChanges(Given):
    """Only people complete one of kind text, only evidence the others."""

    text: Text = ""
    completed: bool = False
    kind: CheckKind = CheckKind.TEXT
    check: Json | None = None


class RequirementGiven(Given):
    title: Title
    condition: Condition = ""
    action: Action
    ref: RequirementRef | None = None
    category: RequirementCategory = RequirementCategory.FUNCTIONAL
    priority: AnyPriority = Priority.MEDIUM
    linked_design: LinkedDesign | None = None
    criteria: list[CriterionGiven] = Field(default_factory=list[CriterionGiven], max_length=200)


class RequirementChanges(Given):
    """`status`: null lets it follow from the tickets again."""

    title: Title = ""
    condition: Condition = ""
    action: Action = ""
    status: RequirementStatus | None = None
    category: RequirementCategory = RequirementCategory.FUNCTIONAL
    priority: AnyPriority = Priority.MEDIUM
    linked_design: LinkedDesign | None = None


class SpecTaskGiven(Given):
    """`phase`: an id or a name. Without a ticket it goes to the spec's only one."""

    title: Title
    description: Description | None = None
    ticket_id: Id | None = None
    phase: Any = "Implementation"
    priority: AnyPriority = Priority.MEDIUM
    depends_on: list[Id] = Field(default_factory=list[str], max_length=200)
    estimate: Literal[Estimate.S, Estimate.M, Estimate.L] | None = None
    criteria: list[CriterionGiven] = Field(default_factory=list[CriterionGiven], max_length=200)
    task_type: TaskType = TaskType.IMPLEMENT_FEATURE
    owned_files: list[Annotated[str, StringConstraints(min_length=1, max_length=1_000)]] = Field(
        default_factory=list[str], max_length=200
    )

    @model_validator(mode="after")
    def _known_phase(self) -> SpecTaskGiven:
        self.phase = _phase(self.phase)
        return self


class SpecTaskQuery(Paging):
    status: TaskStatus | None = None
    phase_id: PhaseId | None = None


class Requirement(BaseModel):
    id: str
    spec_id: str
    ref: str
    title: str
    condition: str
    action: str
    category: RequirementCategory
    priority: Priority
    status: RequirementStatus
    linked_design: str | None
    position: int
    criteria: list[Criterion]
    created_at: datetime
    updated_at: datetime


class Execution(BaseModel):
    """Figures from receipts, results and commits only. A test is a command that was checked; its newest
    receipt that was not voided tells whether it passes."""

    overall_progress: float
    test_coverage: float | None
    tests_total: int
    tests_passing: int
    running_sandboxes: int
    commits: int
    lines_added: int
    lines_removed: int


class Spec(BaseModel):
    """`phase` is the stage people are shown; `progress` counts completed tasks out of all that were not
    cancelled, in percent."""

    id: str
    project_id: str
    title: str
    description: str | None
    status: SpecStatus
    phase: Literal["Requirements", "Design", "Implementation", "Testing", "Done"]
    current_phase: SpecPhase
    design: Json | None
    requirements_approved: bool
    requirements_approved_at: datetime | None
    requirements_approved_by: str | None
    design_approved: bool
    design_approved_at: datetime | None
    design_approved_by: str | None
    branch_name: str | None
    archived: bool
    version: int
    created_by: str
    created_at: datetime
    updated_at: datetime
    progress: float
    linked_tickets: int
    running_sandboxes: int
    test_coverage: float | None
    requirements: list[Requirement]
    tasks: list[Task]
    execution: Execution


class SpecList(Listing):
    specs: list[Spec]


class SpecVersion(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: str
    spec_id: str
    version: int
    change_type: str
    changes: Json
    snapshot: Json
    created_by: str
    created_at: datetime


class SpecVersions(Listing):
    versions: list[SpecVersion]


class PhaseRun(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: str
    spec_id: str
    phase: SpecPhase
    attempt: int
    status: str
    run_id: str
    output: Json | None
    reasons: list[str]
    turns: int
    cost_usd: float | None
    started_at: datetime
    ended_at: datetime | None


class PhaseRuns(Listing):
    phases: list[PhaseRun]


class Said(BaseModel):
    message: str


# --- import ------------------------------------------------------------------------------------------------


class ImportOptions(Given):
    """`approve`: the spec is approved when nobody has to look at it. `start`: whether its tickets may be
    pulled; null asks the rules of the board."""

    dry_run: bool = False
    prune: bool = False
    approve: bool = True
    start: bool | None = None


class Document(Given):
    path: Annotated[str, StringConstraints(max_length=1_000)] = ""
    content: str


class Documents(Given):
    documents: list[Document] = Field(min_length=1, max_length=500)
    options: ImportOptions = ImportOptions()


class Mapped(BaseModel):
    """What a ref of the document became; `id` and `ref` are null for what a rehearsal would make."""

    id: str | None
    kind: Literal["requirement", "ticket", "task"]
    ref: str | None
    action: Literal["created", "updated", "unchanged", "skipped"]


class Counts(BaseModel):
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    skipped: int = 0
    pruned: int = 0


class Imported(BaseModel):
    spec_id: str
    dry_run: bool
    map: dict[str, Mapped]
    counts: Counts
    warnings: list[Json]
