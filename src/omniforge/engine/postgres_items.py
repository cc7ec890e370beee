"""What is handed to `journal_apply.sql`: changes, and what the engine asks of the places, as JSON (pure)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

from omniforge.engine import places
from omniforge.engine.events import storable, unchained_row
from omniforge.engine.postgres_events import EVENTS_CHANNEL, EVENTS_LOCK
from omniforge.engine.records import RUN_COLUMNS, STEP_COLUMNS, Change, checked

RUNS_CHANNEL = "omniforge_runs"
"""Told the id of a run that somebody changed from outside, for whoever drives it."""

NOT_THE_NEXT = "OF001"
"""SQLSTATE of a batch that was given up before it arrived."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Take a run over: its epoch is raised and told, unless it is over, paused or holds no place."""

    run_id: str
    tenant_id: str


@dataclass(frozen=True, slots=True)
class LineUp:
    """Have an unfinished run driven; with `wake_at` only if it still waits for that moment."""

    run_id: str
    tenant_id: str
    wake_at: str | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """The driver of a run is about to read what was asked of it."""

    run_id: str
    tenant_id: str


@dataclass(frozen=True, slots=True)
class Grant:
    """Give the tenant's free places away."""

    tenant_id: str


@dataclass(frozen=True, slots=True)
class Timer:
    """Have a waiting run lined up at that moment."""

    run_id: str
    tenant_id: str
    wake_at: str


Item = Change | Claim | LineUp | Look | Grant | Timer

_RUN = tuple(RUN_COLUMNS.replace(",", "").split())
_STEP = tuple(STEP_COLUMNS.replace(",", "").split())
_EVENT = ("tenant_id", "type", "entity", "run_id", "at", "actor", "payload")
_NUMBERS = frozenset({"epoch", "priority", "depth", "attempt", "failures"})


def _typed(names: Sequence[str]) -> str:
    return ", ".join(f"{name} {'int' if name in _NUMBERS else 'text'}" for name in names)


_PARTS = {
    "run_columns": RUN_COLUMNS,
    "run_types": _typed(_RUN),
    "step_columns": STEP_COLUMNS,
    "step_types": _typed(_STEP),
    "step_updates": ", ".join(f"{name} = excluded.{name}" for name in _STEP[2:]),
    "queue": places.QUEUE,
    "drive": places.DRIVE,
    "ranks": str(places.RANKS),
    "timer": places.SET_TIMER,
    "now": "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint",
    "events_lock": str(EVENTS_LOCK),
    "events_channel": EVENTS_CHANNEL,
}


def apply_function() -> tuple[str, str]:
    """Name and definition. The name tells the definition, so that programs of two versions get along."""
    text = resources.files("omniforge.engine").joinpath("journal_apply.sql").read_text(encoding="utf-8")
    for part, value in _PARTS.items():
        text = text.replace(f"{{{part}}}", value)
    name = f"journal_apply_{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    return name, text.replace("{name}", name)


def as_json(items: Sequence[Item], known_plans: Collection[str]) -> str:
    shown = [_shown(item, known_plans) for item in items]
    return json.dumps(shown, separators=(",", ":"), ensure_ascii=False)


def _shown(item: Item, known_plans: Collection[str]) -> dict[str, Any]:
    match item:
        case Change():
            return _change(item, known_plans)
        case Claim(run_id, tenant_id):
            return {"do": "claim", "run_id": run_id, "tenant_id": tenant_id}
        case LineUp(run_id, tenant_id, None):
            return {"do": "line_up", "run_id": run_id, "tenant_id": tenant_id}
        case LineUp(run_id, tenant_id, wake_at):
            return {"do": "line_up", "run_id": run_id, "tenant_id": tenant_id, "wake_at": wake_at}
        case Look(run_id, tenant_id):
            return {"do": "look", "run_id": run_id, "tenant_id": tenant_id}
        case Grant(tenant_id):
            return {"do": "grant", "tenant_id": tenant_id}
        case Timer(run_id, tenant_id, wake_at):
            return {"do": "timer", "run_id": run_id, "tenant_id": tenant_id, "wake_at": wake_at}


def _change(change: Change, known_plans: Collection[str]) -> dict[str, Any]:
    """Only what the change says: a missing field asks for nothing."""
    record = change.new_run
    shown: dict[str, Any] = {"do": "write" if record is None else "start", "run_id": change.run_id}
    shown["tenant_id"] = change.tenant_id
    if record is not None:
        shown["run"] = dict(zip(_RUN, record.values(), strict=True))
        shown["key"], shown["quota"] = record.idempotency_key, change.quota
        if change.plan is not None and record.plan_hash not in known_plans:
            shown["plan_hash"], shown["plan"] = record.plan_hash, change.plan.to_json()
    else:
        shown["epoch"] = change.epoch
        if change.answers is not None:
            shown["answers"], shown["attempt"] = change.answers
    shown["request"], shown["at"] = change.request, change.at or None
    if change.status is not None:
        shown["status"], shown["wake_at"] = change.status.value, change.wake_at
        shown["error"] = None if change.error is None else storable(change.error)
        shown["over"], shown["reopen"] = change.status.is_over or None, change.reopen
    if change.steps:
        # The last row of a step is how it stands.
        rows = {row[1]: row for row in change.steps}
        shown["steps"] = [dict(zip(_STEP, checked(row), strict=True)) for row in rows.values()]
    if change.events:
        rows_ = (unchained_row(change.tenant_id, event) for event in change.events)
        shown["events"] = [dict(zip(_EVENT, row, strict=True)) for row in rows_]
    return {name: value for name, value in shown.items() if value is not None}
