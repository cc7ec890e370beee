"""Wire shapes of runs: the raw view, for developers and live pages."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from omniforge.core.paging import Paging
from omniforge.engine.state import RunStatus


class StepView(BaseModel):
    """One step under its current attempt."""

    key: str
    status: str
    attempt: int
    failures: int
    result: dict[str, Any] | None
    error: dict[str, Any] | None
    reason: str | None
    recovery: dict[str, Any] | None
    wake_at: str | None
    started_at: str | None
    finished_at: str | None


class RunJson(BaseModel):
    """One run. `subject` is what it is of, e.g. `agent:weekly-report`."""

    id: str
    subject: str
    mode: str
    status: str
    plan_hash: str
    trigger_type: str
    triggered_by: str
    logical_time: str
    created_at: str
    started_at: str | None
    finished_at: str | None
    wake_at: str | None
    priority: int
    parent_id: str | None
    forked_from: str | None
    input: dict[str, Any]
    error: dict[str, Any] | None
    steps: list[StepView]


class RunList(BaseModel):
    runs: list[RunJson]
    total: int
    limit: int
    offset: int


class RunQuery(Paging):
    """subject: what the runs are of; one that ends in a colon (`agent:`) means all of its kind."""

    subject: str | None = Field(default=None, max_length=200)
    status: list[RunStatus] = Field(default=[])


class StepOutput(BaseModel):
    """The output as the step gave it, any JSON."""

    output: Any


class RetryRequest(BaseModel):
    """null: all that failed; a step by name only when no other failed."""

    model_config = ConfigDict(extra="forbid")

    step: str | None = None


class ForkRequest(BaseModel):
    """A new run that keeps what finished before `from_step` (null: all of it); input null: the same."""

    model_config = ConfigDict(extra="forbid")

    from_step: str | None = None
    input: dict[str, Any] | None = None
    idempotency_key: str | None = Field(default=None, max_length=200)


class Rejection(BaseModel):
    """A no to a step that waits for approval."""

    model_config = ConfigDict(extra="forbid")

    why: str | None = Field(default=None, max_length=2000)


class StepAnswer(BaseModel):
    """What a waiting step gets: its output, or null to do the step again."""

    model_config = ConfigDict(extra="forbid")

    output: dict[str, Any] | None = None


class EventJson(BaseModel):
    """One row of the event log; `seq` has no gaps within a tenant."""

    seq: int
    type: str
    entity: str
    run_id: str | None
    at: str
    actor: str
    payload: dict[str, Any]
