"""What is written of runs and steps: records, changes, and the rows and texts they become (no I/O)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from omniforge.engine.events import Event, storable
from omniforge.engine.plan import Plan
from omniforge.engine.state import SHARED, RunStatus, Signal, StepResult, StepState, StepStatus

_CANONICAL = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
).encode


@dataclass(slots=True)  # not frozen: that triples what making one costs
class RunRecord:
    """What a run is, from its start on; nobody changes it. `facts` is what handlers need beside the plan
    (JSON).
    """

    id: str
    tenant_id: str
    subject: str
    mode: str
    plan_hash: str
    input: dict[str, Any]
    trigger_type: str
    triggered_by: str
    logical_time: str
    facts: dict[str, Any]
    idempotency_key: str | None
    created_at: str
    epoch: int = 0
    priority: int = 0
    parent_id: str | None = None
    depth: int = 0

    def values(self) -> tuple[Any, ...]:
        """In the order of RUN_COLUMNS."""
        return (
            self.id,
            self.tenant_id,
            self.subject,
            self.mode,
            RunStatus.QUEUED.value,
            self.plan_hash,
            canonical(self.input),
            self.trigger_type,
            self.triggered_by,
            self.logical_time,
            canonical(self.facts),
            self.idempotency_key,
            self.created_at,
            self.epoch,
            self.priority,
            self.parent_id,
            self.depth,
        )


RUN_COLUMNS = (
    "id, tenant_id, subject, mode, status, plan_hash, input, trigger_type, triggered_by, logical_time, facts,"
    " idempotency_key, created_at, epoch, priority, parent_id, depth"
)
STEP_COLUMNS = (
    "run_id, key, status, attempt, failures, result, error, reason, history, wake_at, started_at,"
    " finished_at, checksum"
)
CHECKED_COLUMNS = tuple(STEP_COLUMNS.replace(",", "").split())[:-1]


def step_values(run_id: str, key: str, state: StepState, output: str | None = None) -> tuple[Any, ...]:
    """A step row in the order of CHECKED_COLUMNS: what the state is at this moment.

    output: JSON of the result's output, where it is known already.
    """
    return (
        run_id,
        key,
        state.status.value,
        state.attempt,
        state.failures,
        None if state.result is None else result_json(state.result, output),
        None if state.error is None else storable(state.error),
        state.reason,
        None if state.history is None else storable(state.history),
        state.wake_at,
        state.started_at,
        state.finished_at,
    )


def checked(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """A step row in the order of STEP_COLUMNS, as the tables keep it."""
    return (*row, checksum(row))


NO_PROGRESS: Mapping[str, StepState] = {}


@dataclass(slots=True)
class Change:
    """One atomic change of one run: all of it becomes durable together, or none.

    new_run: the run itself, with `plan`, and the `progress` that it takes over from another; refused over
        `quota` (that many unfinished runs of the tenant).
    steps: rows as `step_values` gives them.
    epoch: refused unless the run still has this epoch and is not over, which fences late writers.
    answers: key of a step and its attempt; refused unless that still waits, so that one answer counts.
    status: refused when the run is over already.
    reopen: when the run was over (its finished_at); refused unless it still is, since that moment.
    request: sets what a person asked for; "" clears it.
    wake_at: with a status: when the run goes on by itself.
    """

    run_id: str
    tenant_id: str
    new_run: RunRecord | None = None
    plan: Plan | None = None
    progress: Mapping[str, StepState] = field(default_factory=lambda: NO_PROGRESS)
    quota: int | None = None
    steps: list[tuple[Any, ...]] = field(default_factory=list[tuple[Any, ...]])
    epoch: int | None = None
    answers: tuple[str, int] | None = None
    status: RunStatus | None = None
    reopen: str | None = None
    error: dict[str, Any] | None = None
    request: str | None = None
    at: str = ""
    wake_at: str | None = None
    events: list[Event] = field(default_factory=list[Event])


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A run as recovery finds it; `corrupted` are keys whose checkpoint did not hold."""

    record: RunRecord
    plan: Plan
    status: RunStatus
    steps: dict[str, StepState] = field(default_factory=dict[str, StepState])
    corrupted: tuple[str, ...] = ()
    request: str | None = None
    started_at: str | None = None
    finished_at: str | None = None


def canonical(value: Any) -> str:
    """JSON with sorted keys: equal values give equal text. TypeError for what is not JSON."""
    if not value and isinstance(value, dict):
        return "{}"
    try:
        return _CANONICAL(value)
    except ValueError as error:
        raise TypeError(str(error)) from error


def checksum(row: Sequence[Any]) -> str:
    """SHA-256 over a step row without its checksum: its values as text, with unit separators between them."""
    return hashlib.sha256(_ROW.format(*row).encode()).hexdigest()


_ROW = "\x1f".join("{}" for _ in CHECKED_COLUMNS)


def result_json(result: StepResult, output: str | None = None) -> str:
    """What `result_from` reads; without what has its default. `output`: its JSON, where that is known."""
    kept: dict[str, Any] = {}
    if output is None:
        kept["output"] = result.output
    if result.message is not None:
        kept["message"] = result.message
    if result.signal is not Signal.OK:
        kept["signal"] = result.signal.value
    if result.artifacts:
        kept["artifacts"] = list(result.artifacts)
    if result.effects:
        kept["effects"] = result.effects
    if result.usage:
        kept["usage"] = dict(result.usage)
    if result.stored:
        kept["stored"] = dict(result.stored)
    if output is None:
        return storable(kept)
    return f'{{"output":{output}}}' if not kept else f'{{"output":{output},{storable(kept)[1:]}'


def result_from(text: str) -> StepResult:
    raw: dict[str, Any] = json.loads(text)
    return StepResult(
        output=raw["output"],
        message=raw.get("message"),
        signal=Signal(raw.get("signal", Signal.OK.value)),
        artifacts=tuple(raw.get("artifacts", ())),
        effects=raw.get("effects", 0),
        usage=raw.get("usage"),
        stored=raw.get("stored"),
    )


def shared_steps(steps: Mapping[str, StepState], run_id: str) -> dict[str, StepState]:
    """Finished steps as another run takes them over: their results by value, large ones by reference."""
    return {
        key: replace(state, reason=f"{SHARED}{run_id}")
        for key, state in steps.items()
        if state.status is StepStatus.COMPLETED
    }
