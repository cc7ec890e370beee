"""What an agent is made of, and the wire shapes of agents, tests, executions and the inbox."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints

from omniforge.agents.schedule import MisfirePolicy
from omniforge.core.paging import Paging

Json = dict[str, Any]

SkillName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,63}$")]
StepKey = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
AgentId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
IntegrationName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{1,31}$")]


class AgentStatus(StrEnum):
    DRAFT = "draft"
    ACTIVE = "active"
    PAUSED = "paused"
    ARCHIVED = "archived"


class TriggerType(StrEnum):
    ON_DEMAND = "on_demand"
    SCHEDULED = "scheduled"
    EVENT_DRIVEN = "event_driven"


class ErrorStrategy(StrEnum):
    """What a step's failure means: end the run, go on without the step, or try again and then end it."""

    STOP = "stop"
    SKIP = "skip"
    RETRY = "retry"


class SkillSource(StrEnum):
    CUSTOM = "custom"
    PUBLIC = "public"


class Verdict(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    NO_EFFECT = "no_effect"


class TestMode(StrEnum):
    """dry: sample data, no network. preview: real reads, writes held back."""

    __test__ = False  # not a test class, whatever its name says

    DRY = "dry"
    PREVIEW = "preview"


class ExecutionStatus(StrEnum):
    PENDING = "pending"
    RUNNING = "running"
    WAITING = "waiting"
    COMPLETED = "completed"
    PARTIAL = "partial"
    NO_EFFECT = "no_effect"
    FAILED = "failed"
    CANCELLED = "cancelled"


class _Given(BaseModel):
    """What people send: unknown fields are mistakes."""

    model_config = ConfigDict(extra="forbid")


class SkillReference(_Given):
    """One use of a skill in an agent.

    needs: None means the reference with the next lower order; `[]` starts at once.
    inputs: values that may hold `${key.output.path}`, `${input.path}`, `${config.path}`; empty means the
    merged outputs of what it needs, or the run's input.
    """

    name: SkillName
    key: StepKey = ""
    """Unique in the agent; empty means the skill's name."""
    source: SkillSource = SkillSource.CUSTOM
    version: Literal["latest"] = "latest"
    order: int = Field(ge=1, le=10_000)
    needs: list[str] | None = None
    when: str | None = Field(default=None, min_length=1, max_length=1000)
    inputs: dict[str, JsonValue] = Field(default_factory=dict[str, JsonValue])
    config: dict[str, JsonValue] = Field(default_factory=dict[str, JsonValue])
    error_strategy: ErrorStrategy = ErrorStrategy.STOP
    max_retries: int = Field(default=3, ge=0, le=10)
    """Only with the strategy `retry`."""
    timeout_seconds: int = Field(default=300, ge=1, le=3600)

    def model_post_init(self, _context: Any) -> None:
        self.key = self.key or self.name


class AgentSettings(_Given):
    tool_grant: list[str] = Field(default_factory=list[str], max_length=100)
    """Tools its skills may call beside the built-in ones; empty means those of its integrations."""
    on_unlisted_effect: Literal["block"] = "block"
    result_destination: Literal["inbox"] = "inbox"
    allow_injection: Literal[False] = False


class AgentContent(_Given):
    """The part of an agent that is tested, versioned and run."""

    trigger_type: TriggerType = TriggerType.ON_DEMAND
    schedule: str | None = Field(default=None, max_length=200)
    """Five cron fields."""
    timezone: str = Field(default="UTC", max_length=64)
    misfire_policy: MisfirePolicy = MisfirePolicy.ONCE
    skills: list[SkillReference] = Field(min_length=1, max_length=50)
    integrations: list[IntegrationName] = Field(default_factory=list[str], max_length=50)
    settings: AgentSettings = Field(default_factory=AgentSettings)


class AgentDraft(AgentContent):
    """Everything one gives to make an agent."""

    id: AgentId | None = None
    name: str = Field(min_length=1, max_length=255)
    description: str = Field(default="", max_length=1024)
    connections: dict[IntegrationName, str] = Field(default_factory=dict[str, str])
    """Integration → connection id; without an entry the owner's own connection is taken."""

    def content(self) -> AgentContent:
        return AgentContent.model_validate(self.model_dump(include=set(AgentContent.model_fields)))


class Snapshot(BaseModel):
    """Content with every skill pinned by the hash of its files: what a version, and a run, is made of."""

    model_config = ConfigDict(frozen=True)

    content: AgentContent
    skill_hashes: dict[str, str]
    """Step key → content hash."""

    @property
    def hash(self) -> str:
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


# --- requests ----------------------------------------------------------------------------------------------


class TestRequest(_Given):
    __test__ = False

    mode: TestMode = TestMode.DRY
    input_data: Json = Field(default_factory=dict[str, Any])


class ActivateRequest(_Given):
    test_id: str | None = Field(default=None, max_length=64)
    """Not needed to resume a paused agent that was not changed; neither is the manifest."""
    manifest_hash: str | None = Field(default=None, max_length=64)
    expected_version: int | None = None


class AgentQuery(Paging):
    status: AgentStatus | None = None
    trigger_type: TriggerType | None = None
    search: str | None = Field(default=None, max_length=200)


class TestQuery(Paging):
    __test__ = False

    mode: TestMode | None = None


class ExecutionQuery(Paging):
    mode: Literal["live", "preview", "dry"] | None = None


class AnyExecutionQuery(ExecutionQuery):
    agent_id: AgentId | None = None


class InboxQuery(Paging):
    unread: bool = False


class PauseRequest(_Given):
    reason: str = Field(default="", max_length=500)


class RunRequest(_Given):
    input_data: Json = Field(default_factory=dict[str, Any])


# --- answers -----------------------------------------------------------------------------------------------


class UsageStats(BaseModel):
    total_runs: int
    successful_runs: int
    last_run: datetime | None


class Agent(BaseModel):
    id: str
    name: str
    description: str
    status: AgentStatus
    trigger_type: TriggerType
    schedule: str | None
    timezone: str
    misfire_policy: MisfirePolicy
    skills: list[SkillReference]
    integrations: list[str]
    settings: AgentSettings
    connections: dict[str, str]
    sharing_level: str
    usage_stats: UsageStats
    last_run: datetime | None
    version: int
    pending_version: int | None
    """The version an edit waits to become; None when there is no edit."""
    next_fire_at: datetime | None
    manifest: list[Json]
    """What the running version may change outside, as approved."""
    manifest_hash: str | None
    problems: list[Json]
    """`{code, message}` of what is missing before it can run; only told for a single agent."""
    created_by: str
    created_at: datetime
    updated_at: datetime


class AgentList(BaseModel):
    agents: list[Agent]
    total: int
    limit: int
    offset: int


class Validation(BaseModel):
    valid: bool
    problems: list[Json]


class PlanView(BaseModel):
    steps: list[Json]
    waves: list[list[str]]
    hash: str


class TestStarted(BaseModel):
    __test__ = False

    test_id: str
    execution_id: str
    status: ExecutionStatus


class TestReport(BaseModel):
    """What a test showed. `text` is the result as people get it, `manifest` what activation approves."""

    __test__ = False

    test_id: str
    agent_id: str
    version_hash: str
    mode: TestMode
    verdict: Verdict
    deterministic: bool
    sample_data: bool
    output: Any
    text: str
    effects: list[Json]
    manifest: list[Json]
    manifest_hash: str
    skill_results: list[Json]
    problems: list[Json]
    duration_ms: int
    created_at: datetime


class TestList(BaseModel):
    __test__ = False

    tests: list[TestReport]
    total: int
    limit: int
    offset: int


class VersionView(BaseModel):
    version: int
    summary: str
    author: str
    created_at: datetime
    hash: str
    skill_hashes: dict[str, str]
    manifest: list[Json]


class VersionList(BaseModel):
    versions: list[VersionView]
    total: int
    limit: int
    offset: int


class ScheduleView(BaseModel):
    cron: str | None
    timezone: str
    words: str
    next: list[datetime]


class Started(BaseModel):
    execution_id: str
    status: ExecutionStatus = ExecutionStatus.PENDING


class Execution(BaseModel):
    id: str
    agent_id: str
    agent_version: int | None
    status: ExecutionStatus
    mode: str
    trigger_type: str
    triggered_by: str
    logical_time: str | None
    created_at: str
    started_at: str | None
    completed_at: str | None
    result: Json | None
    """`{text, output, artifacts}` once there is one."""
    error: Json | None
    skill_results: list[Json]
    effects: list[Json]
    waiting_for: list[Json] | None
    cost_usd: float = 0.0
    tokens_in: int = 0
    tokens_out: int = 0


class ExecutionList(BaseModel):
    executions: list[Execution]
    total: int
    limit: int
    offset: int


class ExecutionEvent(BaseModel):
    type: str
    skill_name: str | None
    key: str | None
    seq: int
    at: str
    data: Json


class EventList(BaseModel):
    events: list[ExecutionEvent]


class InboxItem(BaseModel):
    id: str
    kind: str
    """`result`, `failure` or `notice`."""
    title: str
    text: str
    artifacts: list[Json]
    agent_id: str | None
    execution_id: str | None
    created_at: datetime
    read_at: datetime | None


class InboxList(BaseModel):
    items: list[InboxItem]
    total: int
    limit: int
    offset: int


class Success(BaseModel):
    success: bool = True
    message: str = ""
