"""States of runs and steps, and the pure bookkeeping of one run: what is over, what is ready (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from omniforge.engine.plan import Plan, Step


class RunStatus(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    PAUSED = "paused"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    COMPENSATED = "compensated"
    NEEDS_PERSON = "needs_person"
    NO_EFFECT = "no_effect"

    @property
    def is_over(self) -> bool:
        return self not in UNFINISHED


UNFINISHED = frozenset({RunStatus.QUEUED, RunStatus.RUNNING, RunStatus.WAITING, RunStatus.PAUSED})


class StepStatus(StrEnum):
    PENDING = "pending"
    READY = "ready"
    RUNNING = "running"
    WAITING = "waiting"
    COMPLETED = "completed"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"
    COMPENSATING = "compensating"
    COMPENSATED = "compensated"

    @property
    def is_over(self) -> bool:
        return self in _OVER


_OVER = frozenset(
    {
        StepStatus.COMPLETED,
        StepStatus.FAILED,
        StepStatus.SKIPPED,
        StepStatus.CANCELLED,
        StepStatus.COMPENSATED,
    }
)

_IDLE = (StepStatus.PENDING, StepStatus.READY, StepStatus.RUNNING)
"""Done, or done again, as soon as their needs are over, whatever an earlier drive had begun."""


class Signal(StrEnum):
    """What a step says beside its output."""

    OK = "ok"
    EMPTY = "empty"
    """Nothing to do."""
    STOP = "stop"
    """End the run here, without failure."""
    FLAG = "flag"
    """Done, but a person should look."""


@dataclass(slots=True)  # not frozen: that triples what making one costs
class StepResult:
    """What a handler returns, and nobody changes: JSON output, one sentence for people, artifacts as
    `{sha256, title, …}`.

    usage: what it cost, `{"tokens": …, "money": …}` (USD).
    stored: set by the engine when the output is kept as an artifact, `{"sha256": …, "bytes": …}`; output is
        None then.
    """

    output: Any = None
    message: str | None = None
    signal: Signal = Signal.OK
    artifacts: tuple[dict[str, Any], ...] = ()
    effects: int = 0
    usage: Mapping[str, float] | None = None
    stored: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """A handler's answer when a person, a moment (`until`), or something outside must come first.

    Once `until` has come, the handler is called again with `woken` set.
    """

    reason: str
    details: dict[str, Any] = field(default_factory=dict[str, Any])
    until: datetime | None = None


SHARED = "shared with "


@dataclass
class StepState:
    """Where one step stands. `attempt` counts starts, `failures` only attempts that failed.

    history: what recovery needs to know of earlier attempts, JSON. Times are RFC 3339.
    """

    status: StepStatus = StepStatus.PENDING
    attempt: int = 0
    failures: int = 0
    result: StepResult | None = None
    error: dict[str, Any] | None = None
    reason: str | None = None
    history: dict[str, Any] | None = None
    wake_at: str | None = None
    started_at: str | None = None
    finished_at: str | None = None

    @property
    def is_shared(self) -> bool:
        """Whether another run did it: what it cost and what it changed are that run's."""
        return self.reason is not None and self.reason.startswith(SHARED)


@dataclass(slots=True)  # not frozen: that triples what making one costs
class Scope:
    """Where a step's names are looked up: `prefix` stands before the keys of the steps beside it.

    input: what `input` means here. loop: `{"item": …, "index": …}` under a for_each.
    """

    prefix: str = ""
    input: Mapping[str, Any] = field(default_factory=dict[str, Any])
    loop: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(slots=True)
class Group:
    """The steps that a composite step became."""

    keys: list[str]
    sinks: list[str]
    unfinished: int


class _States(dict[str, StepState]):
    """Steps that nobody has looked at are pending, and cost nothing."""

    def __missing__(self, key: str) -> StepState:
        state = self[key] = StepState.__new__(StepState)  # its defaults are the class's: nothing to set
        return state


class RunProgress:
    """One run's steps in memory. Linear in steps and edges over the whole life of the run."""

    def __init__(
        self,
        plan: Plan,
        steps: Mapping[str, StepState] | None = None,
        run_input: Mapping[str, Any] | None = None,
    ) -> None:
        self.plan = plan
        self._steps = plan.steps
        self._place = plan.graph.place
        self._children = plan.graph.children
        self._missing = plan.graph.missing.copy()
        self._expanded: dict[str, Step] | None = None
        self._resumed = bool(steps)
        self.states: dict[str, StepState] = _States(steps or {})
        self.root = Scope(input=run_input or {})
        self.scopes: dict[str, Scope] = {}
        self.groups: dict[str, Group] = {}
        self.parents: dict[str, str] = {}
        self._inner_missing: dict[str, int] = {}
        self._inner_children: dict[str, list[str]] = {}
        self.unfinished = len(plan.steps)
        if steps:
            self._apply([step.key for step in plan.steps])

    @property
    def by_key(self) -> Mapping[str, Step]:
        """Every step, those that composite steps became included."""
        return self.plan.by_key if self._expanded is None else self._expanded

    def missing(self, key: str) -> int:
        """How many needs of a step are not over yet."""
        place = self._place.get(key)
        return self._inner_missing[key] if place is None else self._missing[place]

    def _apply(self, keys: Iterable[str]) -> int:
        """Take stored states of these steps into account; returns how many of them are over."""
        over = 0
        for key in keys:
            if key in self.states and self.states[key].status.is_over:
                over += 1
                place = self._place.get(key)
                if place is None:
                    self._count_down_inner(key)
                else:
                    for number in self._children[place] or ():
                        self._missing[number] -= 1
        self.unfinished -= over
        return over

    def _count_down_inner(self, key: str) -> list[str]:
        """A step inside a composite one is over; returns those beside it that wait for nothing more."""
        free: list[str] = []
        inner = self._inner_missing
        for child in self._inner_children.get(key, ()):
            inner[child] -= 1
            if not inner[child]:
                free.append(child)
        return free

    def expand(self, parent: str, steps: Sequence[Step], scopes: Sequence[Scope]) -> None:
        """Put the steps that a composite step becomes in its place; those stored as over stay over."""
        if self._expanded is None:
            self._expanded = dict(self.plan.by_key)
        keys = [step.key for step in steps]
        self._expanded.update(zip(keys, steps, strict=True))
        for step, scope in zip(steps, scopes, strict=True):
            self.scopes[step.key] = scope
            self.parents[step.key] = parent
            self._inner_missing[step.key] = len(step.needs)
            for need in step.needs:
                self._inner_children.setdefault(need, []).append(step.key)
        sinks = [key for key in keys if key not in self._inner_children]
        self.unfinished += len(steps)
        left = len(steps) - self._apply(keys)
        self.groups[parent] = Group(keys, sinks, left)

    def startable(self, keys: Iterable[str] | None = None) -> list[str]:
        """Steps whose needs are over and that are neither over nor waiting: what a start or restart does."""
        if keys is None and not self.states:  # a new run: nothing to look at but what nobody waits for
            return [self.plan.steps[place].key for place, left in enumerate(self._missing) if not left]
        return [
            key
            for key in (self.by_key if keys is None else keys)
            if not self.missing(key) and (key not in self.states or self.states[key].status in _IDLE)
        ]

    def settle(self, key: str, status: StepStatus) -> list[str]:
        """Mark a step as over; returns what this makes ready: dependants, or its composite step."""
        states = self.states
        state = states.get(key)
        if state is None:
            state = states[key] = StepState.__new__(StepState)
        state.status = status
        self.unfinished -= 1
        place = self._place.get(key)
        ready: list[str] = []
        if place is None:
            ready = self._count_down_inner(key)
        else:
            children = self._children[place]
            if children is not None:
                missing, steps = self._missing, self._steps
                for number in children:
                    left = missing[number] = missing[number] - 1
                    if not left:
                        ready.append(steps[number].key)
        if self._resumed:
            ready = [child for child in ready if child not in states or states[child].status in _IDLE]
        if self.parents:
            self._settle_in_group(key, ready)
        return ready

    def _settle_in_group(self, key: str, ready: list[str]) -> None:
        """A step inside a composite one is over; with the last of them that one is ready to be gathered."""
        parent = self.parents.get(key)
        if parent is None:
            return
        group = self.groups[parent]
        group.unfinished -= 1
        if group.unfinished == 0 and not self.states[parent].status.is_over:
            ready.append(parent)

    def is_cut_off(self, step: Step) -> bool:
        """Whether too few needs of a step with `join: any` or a number completed (so it is skipped)."""
        if step.join == "all" or not step.needs:
            return False
        wanted = 1 if step.join == "any" else step.join
        return sum(self.states[need].status is StepStatus.COMPLETED for need in step.needs) < wanted

    def scope(self, key: str) -> Scope:
        return self.scopes.get(key, self.root)

    def view(self, keys: Iterable[str], scope: Scope | None = None) -> dict[str, dict[str, Any]]:
        """What templates and conditions see of these steps: name → {"output", "status"}."""
        seen: dict[str, dict[str, Any]] = {}
        prefix = "" if scope is None else scope.prefix
        for name in keys:
            state = self.states[prefix + name]
            seen[name] = {
                "output": state.result.output if state.result else None,
                "status": state.status.value,
            }
        return seen

    def waiting(self) -> list[str]:
        return [key for key, state in self.states.items() if state.status is StepStatus.WAITING]

    def left_over(self) -> list[str]:
        """Keys of the steps that are not over, in plan order, composite ones before theirs."""
        known = {**self.by_key, **self.states}  # also what a step became that was not expanded again
        return [key for key in known if key not in self.states or not self.states[key].status.is_over]


def final_status(plan: Plan, states: Mapping[str, StepState]) -> RunStatus:
    """How a run whose steps are all over ended, when nothing failed.

    `no_effect`: effects were expected and none happened, or nothing was expected and every result that
    nobody else needed is empty.
    """
    if plan.effects_expected:
        happened = any(
            state.result.effects
            for state in states.values()
            if state.status is StepStatus.COMPLETED and state.result
        )
        return RunStatus.COMPLETED if happened else RunStatus.NO_EFFECT
    for key in plan.sinks:
        state = states[key]
        if state.status is StepStatus.COMPLETED and state.result and state.result.signal is not Signal.EMPTY:
            return RunStatus.COMPLETED
        if state.status is StepStatus.SKIPPED and state.error:
            return RunStatus.COMPLETED
    return RunStatus.NO_EFFECT
