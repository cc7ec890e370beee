"""Results of workers and receipts of checks on the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

from omniforge.board.shapes.words import Json, Listing

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


class CheckedResult(Result):
    receipts: list[Receipt]


class CheckedResultList(Listing):
    results: list[CheckedResult]
