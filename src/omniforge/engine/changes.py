"""What the executor writes: rows, events and changes of a run under way, stamped with one moment."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from omniforge.core.clock import rfc3339
from omniforge.engine.active import ActiveRun
from omniforge.engine.events import Event
from omniforge.engine.records import NO_PROGRESS, Change, step_values
from omniforge.engine.recovery.policy import Failure
from omniforge.engine.state import RunStatus, StepStatus

ENGINE = "system:engine"


class Draft(Change):
    """A change of a run under way, in the making; its rows and events carry the moment it was begun at."""

    __slots__ = ("run",)

    def __init__(self, run: ActiveRun, now: datetime) -> None:
        record = run.record
        self.run = run
        self.run_id, self.tenant_id, self.epoch = record.id, record.tenant_id, record.epoch
        self.at = rfc3339(now)
        self.steps, self.events = [], []
        self.new_run = self.plan = self.quota = self.answers = self.reopen = None
        self.progress = NO_PROGRESS
        self.status = self.error = self.request = self.wake_at = None

    def tell(self, type_: str, payload: dict[str, Any], key: str | None = None, by: str = ENGINE) -> None:
        """Add an event of the run, or of one of its steps."""
        run_id = self.run.record.id
        entity = f"run:{run_id}" if key is None else f"step:{run_id}/{key}"
        self.events.append(Event(type_, entity, self.at, by, payload, run_id))

    def put(self, key: str, output: str | None = None) -> None:
        """Add the row of a step as its state is now; `output`: its result's, as JSON, where known."""
        state = self.run.progress.states[key]
        if state.finished_at is None and state.status.is_over:
            state.finished_at = self.at
        self.steps.append(step_values(self.run.record.id, key, state, output))

    def start(self, key: str, kind: str) -> None:
        """The step's next attempt begins."""
        state = self.run.progress.states[key]
        state.status = StepStatus.RUNNING
        state.attempt += 1
        state.started_at, state.finished_at, state.wake_at = self.at, None, None
        self.tell("step.started", {"step": key, "kind": kind, "attempt": state.attempt}, key)
        self.put(key)

    def fail(self, key: str, failure: Failure, decision: dict[str, Any] | None = None) -> list[str]:
        """The step failed for good, as recovery decided; returns what this makes ready."""
        state = self.run.progress.states[key]
        state.error = failure.shown()
        state.reason = "needs_person" if failure.needs_person else failure.code
        ready = self.run.progress.settle(key, StepStatus.FAILED)
        self.put(key)
        payload = {"step": key, "attempt": state.attempt, "error": state.error, **(decision or {})}
        self.tell("step.failed", payload, key)
        return ready

    def skip(self, key: str, reason: str, error: dict[str, Any] | None = None) -> list[str]:
        """The step is not done, or what it failed at does not matter; returns what this makes ready."""
        state = self.run.progress.states[key]
        state.reason, state.error = reason, error or state.error
        ready = self.run.progress.settle(key, StepStatus.SKIPPED)
        self.put(key)
        payload: dict[str, Any] = {"step": key, "reason": reason}
        if error is not None:
            payload |= {"attempt": state.attempt, "error": error}
        self.tell("step.skipped", payload, key)
        return ready

    def end(self, status: RunStatus, error: dict[str, Any] | None = None, by: str | None = None) -> None:
        """The run is over."""
        self.status, self.error = status, error
        payload = {"status": status.value, "subject": self.run.record.subject, "error": error}
        self.tell("run.finished", payload, by=by or ENGINE)

    def join(self, change: Change) -> None:
        """Put what is drafted into a change that starts the run."""
        change.steps = self.steps
        change.status = self.status
        change.events = [*change.events, *self.events]


def leftovers(draft: Draft, keys: Sequence[str], status: StepStatus, why: str) -> None:
    """Steps that will not be done any more."""
    states = draft.run.progress.states
    for key in keys:
        state = states[key]
        state.reason = state.reason or why
        state.status = status
        state.wake_at = None
        draft.put(key)
        draft.tell(f"step.{status.value}", {"step": key, "reason": why}, key)
