"""A run in memory follows the stored one: how it stood, what people asked for and answered (no I/O)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from omniforge.engine.active import ActiveRun
from omniforge.engine.changes import ENGINE
from omniforge.engine.recovery.history import History
from omniforge.engine.recovery.policy import Failure
from omniforge.engine.state import Signal, StepState, StepStatus

INTERRUPTED = "interrupted "
MAX_INTERRUPTIONS = 50
"""Crashes in the middle of a step after which it may be their cause."""


def recall(run: ActiveRun) -> None:
    """What the stored steps say about how the run stands."""
    for key, state in run.progress.states.items():
        undone = state.status in (StepStatus.COMPENSATING, StepStatus.COMPENSATED)
        if state.status is StepStatus.FAILED or (undone and state.error is not None):
            _remember_failure(run, key, state)
        elif state.result is not None and state.result.signal is Signal.STOP:
            run.stopped = state.result.message or key


def count_interruptions(run: ActiveRun) -> list[str]:
    """Steps under way when their process ended remember how often; returns those it happened to too often."""
    too_often: list[str] = []
    for key, state in run.progress.states.items():
        if state.status is not StepStatus.RUNNING or key in run.progress.groups:
            continue
        before = (state.reason or "").removeprefix(INTERRUPTED)
        times = (int(before) if before.isdecimal() else 0) + (0 if run.again else 1)
        state.reason = f"{INTERRUPTED}{times}"
        state.history = replace(History.from_json(state.history), doubtful=True).to_json()
        if times > MAX_INTERRUPTIONS:
            too_often.append(key)
    return too_often


def interrupted_too_often(step: str) -> Failure:
    return Failure(
        "interrupted_too_often",
        f"The process that did this step ended {MAX_INTERRUPTIONS + 1} times in the middle of it.",
        retryable=False,
        needs_person=True,
        details={"step": step},
    )


def obey(run: ActiveRun, request: str | None) -> None:
    """`cancel <who>` or `pause`, as stored."""
    if request is None:
        return
    if request.startswith("cancel"):
        run.cancelled_by = run.cancelled_by or request.partition(" ")[2] or ENGINE
    elif request == "pause":
        run.pausing = run.pausing or "asked"


_UNANSWERED = frozenset({StepStatus.PENDING, StepStatus.RUNNING, StepStatus.WAITING})


def take_answers(run: ActiveRun, stored: Mapping[str, StepState]) -> list[str]:
    """Waiting steps that somebody answered since; returns what this makes ready."""
    ready: list[str] = []
    for key in run.progress.waiting():
        answered = stored.get(key)
        if answered is None or answered.status in _UNANSWERED:
            continue  # or read before it began to wait
        answered.attempt = max(answered.attempt, run.progress.states[key].attempt)
        run.progress.states[key] = answered
        if not answered.status.is_over:
            ready.append(key)
            continue
        ready += run.progress.settle(key, answered.status)
        if answered.status is StepStatus.FAILED:
            _remember_failure(run, key, answered)
    return ready


def wake_due(run: ActiveRun, now: str) -> list[str]:
    """Waiting steps whose moment (RFC 3339, UTC) has come are ready."""
    due: list[str] = []
    for key in run.progress.waiting():
        state = run.progress.states[key]
        if state.wake_at is not None and state.wake_at <= now:
            state.status, state.reason, state.wake_at = StepStatus.READY, None, None
            run.woken.add(key)
            due.append(key)
    return due


def _remember_failure(run: ActiveRun, key: str, state: StepState) -> None:
    error = state.error or {"code": "step_failed", "message": "The step failed.", "details": {}}
    failure = Failure(
        error["code"],
        error["message"],
        retryable=False,
        needs_person=state.reason == "needs_person",
        details=error.get("details", {}),
    )
    run.failure = run.failure or (key, failure)
