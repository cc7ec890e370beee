"""What an agent is made of, and the states of what belongs to it."""

from __future__ import annotations

import hashlib
import json
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    StringConstraints,
    ValidationInfo,
    field_validator,
)

from omniforge.agents.schedule import MisfirePolicy
from omniforge.skills.library import semver

Json = dict[str, Any]

SkillName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,63}$")]
StepKey = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
AgentId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
LATEST = "latest"
SkillVersion = Annotated[str, StringConstraints(pattern=rf"^(?:{LATEST}|{semver.PATTERN})$")]
IntegrationName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{1,31}$")]


class AgentStatus(StrEnum):
    DRAFT = "draft"
    ACTIVE = "active"
    PAUSED = "paused"
    ARCHIVED = "archived"


class SharingLevel(StrEnum):
    """Who else sees an agent: nobody but admins, the people named in `shared_with`, or customers."""

    PRIVATE = "private"
    TEAM = "team"
    B2B2C = "b2b2c"


class TriggerType(StrEnum):
    ON_DEMAND = "on_demand"
    SCHEDULED = "scheduled"
    EVENT_DRIVEN = "event_driven"


class EventMode(StrEnum):
    """push: the service delivers what happens. poll: it is asked again and again."""

    PUSH = "push"
    POLL = "poll"


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
    NOT_SIMULATED = "not_simulated"
    """Part of it could not be tried, so nothing is said about it."""


class TestMode(StrEnum):
    """dry: sample data, no network. preview: real reads, writes held back. live: real effects."""

    __test__ = False  # not a test class, whatever its name says

    DRY = "dry"
    PREVIEW = "preview"
    LIVE = "live"


class Suite(StrEnum):
    """quick: every branch without faults. full: and every fault. regression: and every stored case."""

    QUICK = "quick"
    FULL = "full"
    REGRESSION = "regression"


class CaseRule(StrEnum):
    """How a result is compared with what is expected: the same, at least that, or a CEL condition."""

    EQUALITY = "equality"
    SUBSET = "subset"
    CEL = "cel"


class ExecutionStatus(StrEnum):
    PENDING = "pending"
    RUNNING = "running"
    WAITING = "waiting"
    COMPLETED = "completed"
    PARTIAL = "partial"
    NO_EFFECT = "no_effect"
    FAILED = "failed"
    CANCELLED = "cancelled"


class FireKind(StrEnum):
    """What called: a schedule, a service that told us, a row that was found there."""

    SCHEDULE = "schedule"
    DELIVERY = "delivery"
    ROW = "row"


class FireStatus(StrEnum):
    """What became of a fire."""

    STARTED = "started"
    WAITING = "waiting"
    """It starts when what runs of its agent is over."""
    COALESCED = "coalesced"
    """Another one of the schedule waits already, and stands for it."""
    DROPPED = "dropped"
    """Too late, or too many."""
    PAUSED = "paused"
    """Its agent was paused when it came, or while it waited."""
    REFUSED = "refused"
    """It could not be run as it is, or not by whom."""


class Given(BaseModel):
    """What people send: unknown fields are mistakes."""

    model_config = ConfigDict(extra="forbid")


class SkillReference(Given):
    """One use of a skill in an agent.

    needs: None means the reference with the next lower order; `[]` starts at once.
    inputs: values that may hold `${key.output.path}`, `${input.path}`, `${config.path}`; empty means the
    merged outputs of what it needs, or the run's input.
    """

    name: SkillName
    key: StepKey = ""
    """Unique in the agent; empty means the skill's name."""
    source: SkillSource = SkillSource.CUSTOM
    version: SkillVersion = LATEST
    """Of a public skill: one version, or the newest of those that change nothing on which the tests rest."""
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

    @field_validator("version")
    @classmethod
    def check_version(cls, version: str, info: ValidationInfo) -> str:
        if version != LATEST and info.data.get("source") is SkillSource.CUSTOM:
            raise ValueError("only public skills have versions to choose from; here it is latest")
        return version


class AgentSettings(Given):
    tool_grant: list[str] = Field(default_factory=list[str], max_length=100)
    """Tools its skills may call beside the built-in ones; empty means those of its integrations."""
    on_unlisted_effect: Literal["block", "ask"] = "block"
    """What happens before a change outside that was not approved: it fails, or a person is asked."""
    result_destination: Literal["inbox"] = "inbox"
    concurrency: int = Field(default=1, ge=1, le=20)
    """Executions at the same time; fires beyond that wait for one of them to end."""
    max_fires_per_hour: int = Field(default=100, ge=1, le=10_000)
    """An agent that events call more often is paused, and its owner told."""
    model: str | None = Field(default=None, min_length=1, max_length=200)
    """For skills that a language model follows; what a step or a skill names goes before it."""
    max_iterations: int = Field(default=15, ge=1, le=100)
    """Turns of the model in one step."""
    budget_usd: float | None = Field(default=None, gt=0, le=1000)
    """What language models may cost in one execution; without one, a dollar."""
    allow_injection: bool = False
    """Whether texts of the tenant's own skills may run the commands in them that their lists allow."""


class EventConfig(Given):
    """What starts an event-driven agent: one kind of event at one service.

    resource: the container it happens in; without one, anywhere in the workspace. filter: a CEL condition
    over `event`, the `{id, type, at, resource, item}` that the run is given. mode: without one, it is polled
    where that can be done and delivered otherwise.
    """

    integration: IntegrationName
    event: str = Field(min_length=1, max_length=100)
    resource: str | None = Field(default=None, min_length=1, max_length=200)
    filter: str | None = Field(default=None, min_length=1, max_length=1000)
    mode: EventMode | None = None
    interval_minutes: int = Field(default=15, ge=5, le=1440)
    """Between two polls."""
    include_own: bool = False
    """Whether what was done through the agent's own connection starts it as well."""


class AgentContent(Given):
    """The part of an agent that is tested, versioned and run."""

    trigger_type: TriggerType = TriggerType.ON_DEMAND
    schedule: str | None = Field(default=None, max_length=200)
    """Five cron fields."""
    timezone: str = Field(default="UTC", max_length=64)
    misfire_policy: MisfirePolicy = MisfirePolicy.ONCE
    event_config: EventConfig | None = None
    misfire_grace_seconds: int | None = Field(default=None, ge=1, le=31_536_000)
    """Fires of the schedule that are later than this are dropped, whatever the policy."""
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
    skill_versions: dict[str, str] = Field(default_factory=dict[str, str])
    """Step key → version, of public skills."""

    @property
    def floating(self) -> list[SkillReference]:
        """Public skills that are taken in their newest version at each run."""
        return [
            reference
            for reference in self.content.skills
            if reference.version == LATEST and reference.key in self.skill_versions
        ]

    @property
    def hash(self) -> str:
        absent = None if self.skill_versions else {"skill_versions"}
        fields = self.model_dump(mode="json", exclude=absent)
        text = json.dumps(fields, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


# --- requests ----------------------------------------------------------------------------------------------
