"""States of runs and steps, and the pure bookkeeping of one run: what is over, what is ready (pure)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from omniforge.engine.plan import Plan, Step, children_of


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


class Signal(StrEnum):
    """What a step says beside its output."""

    OK = "ok"
    EMPTY = "empty"
    """Nothing to do."""
    STOP = "stop"
    """End the run here, without failure."""
    FLAG = "flag"
    """Done, but a person should look."""


@dataclass(frozen=True, slots=True)
class StepResult:
    """What a handler returns: JSON output, one sentence for people, artifacts as `{sha256, title, …}`."""

    output: Any = None
    message: str | None = None
    signal: Signal = Signal.OK
    artifacts: tuple[dict[str, Any], ...] = ()
    effects: int = 0


@dataclass(frozen=True, slots=True)
class Waiting:
    """A handler's answer when a person, or something outside, must come first."""

    reason: str
    details: dict[str, Any] = field(default_factory=dict[str, Any])


@dataclass(slots=True)
class StepState:
    """Where one step stands. `attempt` counts starts, `failures` only attempts that failed."""

    status: StepStatus = StepStatus.PENDING
    attempt: int = 0
    failures: int = 0
    result: StepResult | None = None
    error: dict[str, Any] | None = None
    reason: str | None = None


class RunProgress:
    """One run's steps in memory. Linear in steps and edges over the whole life of the run."""

    def __init__(self, plan: Plan, steps: dict[str, StepState] | None = None) -> None:
        self.plan = plan
        self.by_key: dict[str, Step] = {step.key: step for step in plan.steps}
        self.states = {step.key: StepState() for step in plan.steps} | (steps or {})
        self.children = children_of(plan)
        self._missing = {
            step.key: sum(not self.states[need].status.is_over for need in step.needs) for step in plan.steps
        }
        self.unfinished = sum(not state.status.is_over for state in self.states.values())

    def startable(self) -> list[str]:
        """Steps whose needs are over and that are neither over nor waiting: what a start or restart does."""
        return [
            key
            for key, state in self.states.items()
            if self._missing[key] == 0
            and state.status in (StepStatus.PENDING, StepStatus.READY, StepStatus.RUNNING)
        ]

    def settle(self, key: str, status: StepStatus) -> list[str]:
        """Mark a step as over; returns the steps this makes ready, in plan order."""
        self.states[key].status = status
        self.unfinished -= 1
        ready: list[str] = []
        for child in self.children[key]:
            self._missing[child] -= 1
            if self._missing[child] == 0 and self.states[child].status is StepStatus.PENDING:
                ready.append(child)
        return ready

    def is_cut_off(self, step: Step) -> bool:
        """Whether a step with `join: any` has no completed need (and so is skipped itself)."""
        if step.join == "all" or not step.needs:
            return False
        return not any(self.states[need].status is StepStatus.COMPLETED for need in step.needs)

    def view(self, keys: Iterable[str]) -> dict[str, dict[str, Any]]:
        """What templates and conditions see of these steps: key → {"output", "status"}."""
        seen: dict[str, dict[str, Any]] = {}
        for key in keys:
            state = self.states[key]
            seen[key] = {
                "output": state.result.output if state.result else None,
                "status": state.status.value,
            }
        return seen

    def waiting(self) -> Iterable[str]:
        return (key for key, state in self.states.items() if state.status is StepStatus.WAITING)


def final_status(plan: Plan, states: dict[str, StepState]) -> RunStatus:
    """How a run whose steps are all over ended, when nothing failed.

    `no_effect`: effects were expected and none happened, or nothing was expected and every result that
    nobody else needed is empty.
    """
    done = [state for state in states.values() if state.status is StepStatus.COMPLETED and state.result]
    if plan.effects_expected:
        happened = sum(state.result.effects for state in done if state.result)
        return RunStatus.COMPLETED if happened else RunStatus.NO_EFFECT
    needed = {need for step in plan.steps for need in step.needs}
    last = [states[step.key] for step in plan.steps if step.key not in needed]
    full = [
        s
        for s in last
        if s.status is StepStatus.COMPLETED and s.result and s.result.signal is not Signal.EMPTY
    ]
    if full or any(s.status is StepStatus.SKIPPED and s.error for s in last):
        return RunStatus.COMPLETED
    return RunStatus.NO_EFFECT
