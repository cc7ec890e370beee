"""Sandboxes on the wire: what people see and ask for, and what workers send and are answered."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from omniforge.core.paging import LARGEST, Paging
from omniforge.sandboxes.texts import Said
from omniforge.sandboxes.vocabulary import (
    MessageType,
    ProviderName,
    SandboxKind,
    Source,
    State,
    WorkerKind,
    WorkerStatus,
)

Json = dict[str, Any]
Id = Annotated[str, StringConstraints(min_length=1, max_length=64)]
Seq = Annotated[int, Field(ge=0, le=LARGEST)]
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")


class Given(BaseModel):
    """A request. Fields that nobody knows are mistakes."""

    model_config = ConfigDict(extra="forbid")


# --- people ------------------------------------------------------------------------------------------------


class Sandbox(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: str
    project_id: str
    kind: SandboxKind
    task_id: str | None
    attempt: int | None
    run_id: str | None
    provider: ProviderName
    provider_ref: str | None
    state: State
    worker: WorkerKind
    agent_id: str | None
    token_expires_at: datetime | None
    token_revoked_at: datetime | None
    preview_url: str | None
    branch: str | None
    base_commit: str | None
    image: str | None
    network: str
    first_heartbeat_at: datetime | None
    last_heartbeat_at: datetime | None
    heartbeat_count: int
    last_work_at: datetime | None
    metrics: Json
    cost_usd: float
    tokens_in: int
    tokens_out: int
    tool_calls: int
    keep_until: datetime | None
    result_id: str | None
    error_code: str | None
    error_message: str | None
    requested_at: datetime
    spawned_at: datetime | None
    started_at: datetime | None
    work_finished_at: datetime | None
    ended_at: datetime | None
    terminated_at: datetime | None


class SpawnedSandbox(Sandbox):
    """`token` only for a worker from outside, and only this once."""

    token: str | None = None


class SandboxList(BaseModel):
    sandboxes: list[Sandbox]
    total: int
    limit: int
    offset: int


class SandboxQuery(Paging):
    status: State | None = None
    task_id: Id | None = None
    project_id: Id | None = None
    kind: SandboxKind | None = None


def _fit_environment(env: dict[str, str]) -> dict[str, str]:
    for name, value in env.items():
        if not _NAME.fullmatch(name) or name.upper().startswith("OMNIFORGE_"):
            raise ValueError("names of letters, digits and _, none that begins with OMNIFORGE_")
        if "\0" in value:
            raise ValueError("values without NUL characters")
    if sum(len(name) + len(value) for name, value in env.items()) > 32_768:
        raise ValueError("at most 32768 characters in all")
    return env


Environment = Annotated[dict[str, str], Field(max_length=100), AfterValidator(_fit_environment)]


class SpawnGiven(Given):
    task_id: Id
    agent_id: Id | None = None
    provider: ProviderName | None = None
    worker: WorkerKind = WorkerKind.KIT
    env: Environment = Field(default_factory=dict)
    keep_seconds: Annotated[int, Field(ge=0, le=86_400)] | None = None
    """From now on; without it what has ended is taken down at once."""


class ProviderHealth(BaseModel):
    name: str
    healthy: bool
    isolated: bool
    message: str | None = None


class Health(BaseModel):
    status: Literal["ok", "degraded"]
    service: Literal["sandboxes"] = "sandboxes"
    timestamp: datetime
    providers: list[ProviderHealth]


class EventQuery(Paging):
    event_type: Annotated[str, StringConstraints(max_length=64)] | None = None
    order: Literal["desc", "asc"] = "desc"
    after: Seq | None = None


class EventList(BaseModel):
    events: list[Json]
    total: int
    limit: int
    offset: int


class TrajectoryQuery(Given):
    limit: Annotated[int, Field(ge=1, le=200)] = 100
    before: Seq | None = None


class HeartbeatSummary(BaseModel):
    count: int
    first_heartbeat: datetime | None
    last_heartbeat: datetime | None


class Trajectory(BaseModel):
    """`events` are the latest, oldest first; heartbeats and measurements are only counted."""

    sandbox_id: str
    events: list[Json]
    heartbeat_summary: HeartbeatSummary
    total_events: int
    trajectory_events: int
    limit: int
    offset: int
    total: int


class MessageGiven(Given):
    content: Said
    message_type: MessageType = MessageType.USER_MESSAGE


class MessageQueued(BaseModel):
    status: Literal["queued"] = "queued"
    message_id: str
    seq: int
    sandbox_id: str


# --- workers -----------------------------------------------------------------------------------------------


class Message(BaseModel):
    id: str
    seq: int
    content: str
    message_type: MessageType
    timestamp: datetime


class MessageList(BaseModel):
    messages: list[Message]
    total: int
    limit: int
    offset: int


class MessageQuery(Given):
    after: Seq = 0
    wait: Annotated[float, Field(ge=0, le=30)] = 0


class EventGiven(Given):
    event_type: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    event_data: Json = Field(default_factory=dict)
    source: Source = Source.AGENT
    client_seq: Seq | None = None


class EventsGiven(Given):
    """One event, or `events`."""

    event_type: Annotated[str, StringConstraints(min_length=1, max_length=64)] | None = None
    event_data: Json = Field(default_factory=dict)
    source: Source = Source.AGENT
    client_seq: Seq | None = None
    events: Annotated[list[EventGiven], Field(min_length=1, max_length=50)] | None = None

    @model_validator(mode="after")
    def _one_or_many(self) -> EventsGiven:
        if (self.events is None) == (self.event_type is None):
            raise ValueError("either event_type or events")
        if self.events is not None and self.model_fields_set != {"events"}:
            raise ValueError("events stand alone")
        return self

    def each(self) -> list[EventGiven]:
        if self.events is not None:
            return self.events
        return [EventGiven.model_validate(self.model_dump(exclude={"events"}))]


class EventTaken(BaseModel):
    status: Literal["received", "duplicate"]
    sandbox_id: str
    event_type: str
    event_id: str
    seq: int
    client_seq: int | None
    timestamp: datetime


class EventsTaken(BaseModel):
    received: list[EventTaken]
    duplicates: list[EventTaken]


class Metrics(Given):
    cpu_percent: Annotated[float, Field(ge=0, le=1_000_000)] | None = None
    memory_mb: Annotated[float, Field(ge=0, le=1e12)] | None = None
    uptime_seconds: Annotated[float, Field(ge=0, le=1e12)] | None = None


class HeartbeatGiven(Given):
    sandbox_id: Id
    task_id: Id | None = None
    status: WorkerStatus
    busy: bool = False
    metrics: Metrics | None = None


class Heard(BaseModel):
    """`commands`: `abort` = stop now."""

    success: Literal[True] = True
    commands: list[str]
    lease_expires_at: datetime | None
