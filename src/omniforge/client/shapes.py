"""What a server tells, typed; times are ISO 8601 texts as they came, `raw` is the whole answer."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, Self

Json = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Shape:
    raw: Json = field(repr=False)

    @classmethod
    def of(cls, answer: Json) -> Self:
        """From the server's answer; what a newer server tells besides is in `raw`."""
        known = {one.name for one in fields(cls)} - {"raw"}
        return cls(raw=answer, **{name: value for name, value in answer.items() if name in known})


@dataclass(frozen=True, kw_only=True)
class AgentInfo(Shape):
    id: str
    name: str
    status: str
    """draft, active, paused or archived."""
    version: int
    description: str = ""
    trigger_type: str = "on_demand"
    schedule: str | None = None
    timezone: str = "UTC"
    skills: list[Json] = field(default_factory=list[Json])
    integrations: list[str] = field(default_factory=list[str])
    pending_version: int | None = None
    next_fire_at: str | None = None
    manifest: list[Json] = field(default_factory=list[Json])
    """What it may change outside; `words` of each says it for people."""
    manifest_hash: str | None = None
    problems: list[Json] = field(default_factory=list[Json])
    """`{code, message}` of what is missing before it can run; told by `get`."""
    usage_stats: Json = field(default_factory=dict[str, Any])
    last_run: str | None = None


@dataclass(frozen=True, kw_only=True)
class Execution(Shape):
    id: str
    agent_id: str
    status: str
    """pending, running, waiting, completed, partial, no_effect, failed or cancelled."""
    mode: str = "live"
    agent_version: int | None = None
    trigger_type: str = "on_demand"
    triggered_by: str = ""
    created_at: str = ""
    started_at: str | None = None
    completed_at: str | None = None
    result: Json | None = None
    """`{text, output, artifacts}` once there is one."""
    error: Json | None = None
    skill_results: list[Json] = field(default_factory=list[Json])
    effects: list[Json] = field(default_factory=list[Json])
    waiting_for: list[Json] | None = None
    cost_usd: float | None = 0.0

    @property
    def is_over(self) -> bool:
        return self.status not in {"pending", "running", "waiting"}

    @property
    def text(self) -> str:
        """The result as people get it, or why there is none."""
        return str((self.result or {}).get("text") or (self.error or {}).get("message") or "")

    @property
    def output(self) -> Any:
        return (self.result or {}).get("output")


@dataclass(frozen=True, kw_only=True)
class ExecutionEvent(Shape):
    type: str
    """`skill_started`, `skill_completed`, …; the last one is `execution_finished`."""
    seq: int
    at: str
    key: str | None = None
    skill_name: str | None = None
    data: Json = field(default_factory=dict[str, Any])


@dataclass(frozen=True, kw_only=True)
class TestResult(Shape):
    """What a test showed. `manifest` is what activation approves of, by its `manifest_hash`."""

    __test__ = False  # not a test class, whatever its name says

    test_id: str
    agent_id: str
    mode: str
    verdict: str
    """passed, failed, no_effect or not_simulated."""
    sample_data: bool
    text: str
    output: Any
    manifest_hash: str
    manifest: list[Json]
    effects: list[Json]
    skill_results: list[Json]
    problems: list[Json]
    deterministic: bool = False
    may_activate: bool = False
    faults: list[Json] = field(default_factory=list[Json])
    fault_words: list[str] = field(default_factory=list[str])
    cases: list[Json] = field(default_factory=list[Json])

    def __str__(self) -> str:
        """The report as a person reads it."""
        head = f"{self.verdict}{' (sample data)' if self.sample_data else ''}"
        will = [f"- {entry['words']}" for entry in self.manifest] or ["- nothing"]
        wrong = [f"! {problem['message']}" for problem in self.problems]
        parts = [
            head,
            "",
            self.text.strip(),
            "",
            "What it will do outside:",
            *will,
            *self.fault_words,
            *wrong,
        ]
        return "\n".join(parts)


@dataclass(frozen=True, kw_only=True)
class SkillInfo(Shape):
    name: str
    description: str
    root: str
    """agent, tenant, public or global: whose it is."""
    hash: str
    agent_id: str | None = None
    version: int | None = None
    tags: list[str] = field(default_factory=list[str])
    content: str = ""
    """SKILL.md; told by `get`."""
    files: list[Json] = field(default_factory=list[Json])
    """`{path, content, encoding}` of the others; told by `get`."""
    diagnostics: list[Json] = field(default_factory=list[Json])


@dataclass(frozen=True, kw_only=True)
class Project(Shape):
    id: str
    name: str
    status: str


@dataclass(frozen=True, kw_only=True)
class Spec(Shape):
    id: str
    title: str
    project_id: str
    status: str


@dataclass(frozen=True, kw_only=True)
class Imported(Shape):
    spec_id: str
    dry_run: bool
    map: dict[str, Json]
    """What each ref of the documents became: `{id, kind, ref, action}`."""
    counts: dict[str, int]
    warnings: list[Json]


@dataclass(frozen=True, kw_only=True)
class Ticket(Shape):
    id: str
    ref: str
    title: str
    project_id: str
    status: str


@dataclass(frozen=True, kw_only=True)
class Task(Shape):
    id: str
    ref: str
    title: str
    ticket_id: str
    status: str
