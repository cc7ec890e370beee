"""Results of workers and receipts of checks on the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from omniforge.board.shapes.words import AnyPhase, Given, Id, Json, Listing, Reason
from omniforge.board.vocabulary import ArtifactType, PhaseId, ReportStatus, ReportType
from omniforge.core.paging import Paging
from omniforge.sandboxes.texts import RelativePath

MAX_MARKDOWN = 100 * 1024


def _fits(markdown: str) -> str:
    if len(markdown.encode("utf-8", "surrogatepass")) > MAX_MARKDOWN:
        raise ValueError(f"at most {MAX_MARKDOWN} bytes")
    return markdown


Verification = Literal["none", "running", "passed", "failed"]


class Result(BaseModel):
    """What a worker says it did."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    task_id: str
    attempt: int
    sandbox_id: str
    status: Literal["completed", "failed", "partial"]
    summary: str
    files_changed: list[Json]
    commits: list[Json]
    tests: Json | None
    artifacts: list[Json]
    notes: str
    claims: Literal["unchecked", "match", "mismatch"]
    verification: Verification
    created_at: datetime


class Receipt(BaseModel):
    """Proof that a command was run on a tree, and what came out."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    ticket_id: str
    task_id: str | None
    attempt: int | None
    from_status: str | None
    phase_entry: int
    check_key: str
    command: str
    cwd: str
    exit_code: int
    passed: bool
    output_hash: str
    output_tail: str
    tree_hash: str
    image: str
    coverage_percent: float | None
    started_at: datetime
    duration_ms: int
    run_by: str
    voided_at: datetime | None
    void_reason: str | None


class ReceiptDetail(Receipt):
    output: str | None = None
    """All that was kept of it, when it was asked for."""


class ReceiptList(Listing):
    receipts: list[Receipt]


class ReceiptQuery(Paging):
    ticket_id: Id | None = None
    task_id: Id | None = None
    passed: bool | None = None
    include_voided: bool = False


class CheckedResult(Result):
    receipts: list[Receipt]


class CheckedResultList(Listing):
    results: list[CheckedResult]


class ResultList(Listing):
    results: list[Result]


class ResultQuery(Paging):
    task_id: Id | None = None
    ticket_id: Id | None = None
    project_id: Id | None = None
    status: Literal["completed", "failed", "partial"] | None = None


class Report(BaseModel):
    """What somebody reports of a ticket or task."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    ticket_id: str
    task_id: str | None
    report_type: ReportType
    summary: str
    markdown: str
    verification_status: ReportStatus
    verified_by: str | None
    feedback: str | None
    created_by: str
    created_at: datetime


class ReportGiven(Given):
    """Of a task, or of a ticket as a whole. Content only: no path leads to any file of a server."""

    task_id: Id | None = None
    ticket_id: Id | None = None
    report_type: ReportType
    summary: Annotated[str, StringConstraints(min_length=1, max_length=10_000, strip_whitespace=True)]
    markdown: Annotated[str, AfterValidator(_fits)]


class Verdict(Given):
    verification_status: Literal[ReportStatus.VERIFIED, ReportStatus.DISPUTED]
    feedback: Reason | None = None


class KindOfResult(CheckedResult):
    kind: Literal["result"] = "result"


class KindOfReport(Report):
    kind: Literal["report"] = "report"


Told = Annotated[KindOfResult | KindOfReport, Field(discriminator="kind")]
"""What a worker said, or what somebody reported."""


class ToldList(Listing):
    results: list[Told]


class Artifact(BaseModel):
    """Something that shows work: made by OmniForge itself where `collected_by` is `system:host`."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    ticket_id: str
    task_id: str | None
    phase_id: PhaseId
    artifact_type: ArtifactType
    path: Annotated[str | None, BeforeValidator(lambda path: path or None)]
    content: Json | None
    collected_by: str
    created_at: datetime


class ArtifactList(Listing):
    artifacts: list[Artifact]


class ArtifactGiven(Given):
    """`content`: a text, kept as `{text}`, or any object."""

    phase_id: AnyPhase
    artifact_type: ArtifactType
    path: RelativePath | None = None
    content: str | Json | None = None
