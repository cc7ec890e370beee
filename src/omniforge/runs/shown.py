"""A run with its steps as readers of the raw log see it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from omniforge.core.actor import Role
from omniforge.engine.expansion import root_of
from omniforge.engine.plan import Plan
from omniforge.engine.records import result_from
from omniforge.engine.store import RunRow, StepRow

TRACE = frozenset(
    {
        *("agent.thinking", "agent.message", "agent.tool_used", "agent.tool_result"),
        *("context.loaded", "guard.flagged", "injection.ran", "injection.blocked"),
    }
)
"""Types of events that tell, word for word, how a model came to its result."""
_LOOKERS = frozenset({Role.VIEWER, Role.END_CUSTOMER})


def may_see(role: Role, event_type: str) -> bool:
    """Whether an event is for this role: who only looks on is told the result, not the way to it."""
    return event_type not in TRACE or role not in _LOOKERS


@dataclass(frozen=True, slots=True)
class RunView:
    """A run with its steps, as stored."""

    run: RunRow
    steps: Sequence[StepRow]
    plan: Plan


_NUMBERS = re.compile(r"\d+")


def place_of(key: str, order: Mapping[str, int]) -> tuple[int, str]:
    """Sorts steps in plan order, and those of a composite step behind it, `key[2]` before `key[10]`."""
    root = root_of(key)
    return order.get(root, len(order)), _NUMBERS.sub(lambda number: number[0].zfill(6), key[len(root) :])


def run_json(view: RunView) -> dict[str, Any]:
    """A run with its steps as readers of the raw log see it."""
    run = view.run
    order = {step.key: index for index, step in enumerate(view.plan.steps)}
    steps = sorted(view.steps, key=lambda row: place_of(row.key, order))
    return {
        "id": run.id,
        "subject": run.subject,
        "mode": run.mode,
        "status": run.status,
        "plan_hash": run.plan_hash,
        "trigger_type": run.trigger_type,
        "triggered_by": run.triggered_by,
        "logical_time": run.logical_time,
        "created_at": run.created_at,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "wake_at": run.wake_at,
        "priority": run.priority,
        "parent_id": run.parent_id,
        "forked_from": json.loads(run.facts).get("forked_from"),
        "input": json.loads(run.input),
        "error": None if run.error is None else json.loads(run.error),
        "steps": [_step_json(row) for row in steps],
    }


def _step_json(row: StepRow) -> dict[str, Any]:
    return {
        "key": row.key,
        "status": row.status,
        "attempt": row.attempt,
        "failures": row.failures,
        "result": None if row.result is None else asdict(result_from(row.result)),
        "error": None if row.error is None else json.loads(row.error),
        "reason": row.reason,
        "recovery": None if row.history is None else json.loads(row.history),
        "wake_at": row.wake_at,
        "started_at": row.started_at,
        "finished_at": row.finished_at,
    }
