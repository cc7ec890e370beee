"""Wire shapes of runs: the raw view, for developers and live pages."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict


class StepView(BaseModel):
    """One step under its current attempt."""

    key: str
    status: str
    attempt: int
    failures: int
    result: dict[str, Any] | None
    error: dict[str, Any] | None
    reason: str | None
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
    input: dict[str, Any]
    error: dict[str, Any] | None
    steps: list[StepView]


class RunList(BaseModel):
    runs: list[RunJson]
    total: int
    limit: int
    offset: int


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
