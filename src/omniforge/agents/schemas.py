"""The wire shapes of agents, tests, executions, fires and the inbox."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, JsonValue, StringConstraints

from omniforge.agents.content import (
    AgentId,
    AgentSettings,
    AgentStatus,
    CaseRule,
    EventConfig,
    ExecutionStatus,
    FireKind,
    FireStatus,
    Given,
    SharingLevel,
    SkillReference,
    StepKey,
    Suite,
    TestMode,
    TriggerType,
    Verdict,
)
from omniforge.agents.schedule import MisfirePolicy
from omniforge.core.paging import Paging

Json = dict[str, Any]

CaseName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]


class TestRequest(Given):
    __test__ = False

    mode: TestMode = TestMode.DRY
    suite: Suite = Suite.QUICK
    input_data: Json = Field(default_factory=dict[str, Any])
    use_model: bool = False
    confirm_effects: bool = False
    """For a live test: what the last passed test of this content showed may really happen."""


class Bound(Given):
    """Where an effect may go whose place the data decide."""

    step: StepKey
    tool: str = Field(min_length=1, max_length=200)
    any_of: list[str] = Field(min_length=1, max_length=200)
    """Ids or names of places there."""


class CaseGiven(Given):
    """A stored case. expected: the output itself, part of it, or a CEL text over `output` and `text`."""

    input_data: Json = Field(default_factory=dict[str, Any])
    rule: CaseRule = CaseRule.EQUALITY
    expected: JsonValue = None


class ActivateRequest(Given):
    test_id: str | None = Field(default=None, max_length=64)
    """Not needed to resume a paused agent that was not changed; neither is the manifest."""
    manifest_hash: str | None = Field(default=None, max_length=64)
    expected_version: int | None = None
    accept_no_effect: bool = False
    """Approve of a test that had nothing to do, whose report says `may_activate`."""
    bounds: list[Bound] = Field(default_factory=list[Bound], max_length=100)
    """For effects whose place the test could not bound."""


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


class PauseRequest(Given):
    reason: str = Field(default="", max_length=500)


class RunRequest(Given):
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
    event_config: EventConfig | None
    misfire_grace_seconds: int | None
    skills: list[SkillReference]
    integrations: list[str]
    settings: AgentSettings
    connections: dict[str, str]
    sharing_level: SharingLevel
    shared_with: list[str]
    """Ids of people; `tenant` stands for all of them."""
    origin: Json | None
    """Of a copy: `{agent_id, version}` of what it is a copy of."""
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
    suite: Suite = Suite.QUICK
    input_data: Json = Field(default_factory=dict[str, Any])
    faults: list[Json] = Field(default_factory=list[Json])
    """One entry per outward call and fault: how the run ended, what people were told, what was done."""
    fault_words: list[str] = Field(default_factory=list[str])
    """The same in plain sentences: what happens if a service is down."""
    cases: list[Json] = Field(default_factory=list[Json])
    """Stored cases, each with how it was before and how it is now."""
    baseline: Json = Field(default_factory=dict[str, Any])
    """What the fault-free run on sample data gave; later tests are compared with it once it is accepted."""
    problems: list[Json]
    may_activate: bool = False
    """It passed; or there was nothing to do in it, and every step was seen at work in the runs beside it."""
    untried: list[Json] = Field(default_factory=list[Json])
    """`{step, message}` of what was seen at work in none of the runs, when there was nothing to do."""
    duration_ms: int
    created_at: datetime


class TestList(BaseModel):
    __test__ = False

    tests: list[TestReport]
    total: int
    limit: int
    offset: int


class CaseView(BaseModel):
    name: str
    input_data: Json
    rule: CaseRule
    expected: Any
    accepted: Json
    """What was accepted: `{text, output, effects}`; empty for a case that states its expectation itself."""
    created_at: datetime


class CaseList(BaseModel):
    cases: list[CaseView]


class ScheduleView(BaseModel):
    cron: str | None
    timezone: str
    words: str
    next: list[datetime]


class FireView(BaseModel):
    """One line of the ledger of fires."""

    key: str
    kind: FireKind
    logical_time: datetime
    """The time it is about: the schedule's time, the time of the event."""
    fired_at: datetime
    """When its run started, or when it was put down that it has none."""
    lag_seconds: float
    status: FireStatus
    reason: str
    count: int
    """How many fires the line stands for, from its time on, where they were too many to list."""
    execution_id: str | None
    execution_status: ExecutionStatus | None


class FireList(BaseModel):
    fires: list[FireView]
    next: list[datetime]
    """When a schedule that is switched on fires next."""
    total: int
    limit: int
    offset: int


class ScheduledAgent(BaseModel):
    id: str
    name: str
    status: AgentStatus
    schedule: str
    timezone: str
    words: str
    next_fire_at: datetime | None
    last_fire: FireView | None


class ScheduleList(BaseModel):
    schedules: list[ScheduledAgent]
    total: int
    limit: int
    offset: int


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
    cost_usd: float | None = 0.0
    """Of language models; None when a price is not known."""
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
