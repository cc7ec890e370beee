"""What the journal knows beyond the tables: what is durable already, and what decides about changes."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import orjson

from omniforge.engine.events import UnchainedRow, unchained_row
from omniforge.engine.records import Change
from omniforge.engine.standing import Standing
from omniforge.engine.state import RunStatus, StepStatus
from omniforge.engine.store import OPEN_RUNS

MAX_KNOWN = 20_000
"""Runs and plans that are remembered although the tables have them too."""

Row = tuple[Any, ...]
ReadRow = Callable[[str, Row], Row | None]

_SAME_KEY = "SELECT id FROM runs WHERE tenant_id = ? AND idempotency_key = ?"
_STANDING = "SELECT status, epoch, error, request, wake_at, started_at, finished_at FROM runs WHERE id = ?"
_WAITS = "SELECT status, attempt FROM run_steps WHERE run_id = ? AND key = ?"
COUNT_UNFINISHED = f"SELECT tenant_id, count(*) FROM runs WHERE {OPEN_RUNS} GROUP BY tenant_id"


class Rows:
    """What changes leave behind, in the order they were made.

    plans: hash → JSON. new: run → its row as `RunRecord.values` gives it. runs: where each stands in the end.
    """

    __slots__ = ("changes", "events", "new", "plans", "runs", "steps")

    def __init__(self) -> None:
        self.changes = 0
        self.plans: dict[str, str] = {}
        self.new: dict[str, Row] = {}
        self.runs: dict[str, Standing] = {}
        self.steps: list[Row] = []
        self.events: list[UnchainedRow] = []

    def add(self, later: Rows) -> None:
        self.changes += later.changes
        if later.runs:
            self.plans.update(later.plans)
            self.new.update(later.new)
            self.runs.update(later.runs)
        self.steps += later.steps
        self.events += later.events

    def to_json(self) -> bytes:
        """What `from_json` reads. UnicodeEncodeError or TypeError for what no table holds."""
        runs = self.runs and [
            (
                run_id,
                run.status.value,
                run.epoch,
                run.error,
                run.request,
                run.wake_at,
                run.started_at,
                run.finished_at,
            )
            for run_id, run in self.runs.items()
        ]
        values = (self.changes, self.plans, list(self.new.values()), runs or (), self.steps, self.events)
        try:
            return orjson.dumps(values)
        except TypeError:
            json.dumps(values, ensure_ascii=False).encode()  # tells better what it is
            raise

    @classmethod
    def from_json(cls, data: bytes) -> Rows:
        rows = cls()
        rows.changes, rows.plans, new, runs, steps, events = orjson.loads(data)
        rows.new = {row[0]: tuple(row) for row in new}
        rows.runs = {run_id: standing(*values) for run_id, *values in runs}
        rows.steps = [tuple(row) for row in steps]
        rows.events = [tuple(row) for row in events]
        return rows


def standing(status: str, epoch: int, *rest: Any) -> Standing:
    """From the columns in the order of `Standing`, without `is_open`."""
    known = RunStatus(status)
    return Standing(known, not known.is_over, epoch, *rest)


class Decided:
    """The answers to changes that are written together, and what they would leave behind.

    unfinished: tenant → how many more unfinished runs it has.
    """

    __slots__ = ("answers", "keys", "rows", "unfinished")

    def __init__(self) -> None:
        self.answers: list[Any] = []
        self.rows = Rows()
        self.keys: dict[tuple[str, str], str] = {}
        self.unfinished: dict[str, int] = {}


class Ledger:
    """Decides about changes. `pending` are rows that are durable in the journal and not in the tables yet.

    What is decided counts once it is kept. Only this process writes runs, so what is remembered holds.
    read: one row of the tables, for runs, keys and steps that are not remembered.
    """

    def __init__(self, read: ReadRow, unfinished: dict[str, int]) -> None:
        self.pending = Rows()
        self._read = read
        self._runs: dict[str, Standing] = {}
        self._keys: dict[tuple[str, str], str] = {}
        self._plans: set[str] = set()
        self._unfinished = unfinished

    def decide(self, changes: Sequence[Change]) -> Decided:
        decided = Decided()
        for change in changes:
            answer = self._start(decided, change) if change.new_run else self._write(decided, change)
            decided.answers.append(answer)
        return decided

    def keep(self, decided: Decided) -> None:
        """What was decided is durable now."""
        rows = decided.rows
        self.pending.add(rows)
        if rows.runs:
            self._runs.update(rows.runs)
            self._keys.update(decided.keys)
            self._plans.update(rows.plans)
            for tenant, more in decided.unfinished.items():
                self._unfinished[tenant] = self._unfinished.get(tenant, 0) + more

    def forget_pending(self) -> None:
        """The tables hold everything now."""
        for run_id, run in self.pending.runs.items():
            if not run.is_open:
                self._runs.pop(run_id, None)
        if len(self._runs) > MAX_KNOWN:
            self._runs.clear()
        if len(self._plans) > MAX_KNOWN:
            self._plans.clear()
        self._keys.clear()
        self.pending = Rows()

    def _start(self, decided: Decided, change: Change) -> str | None:
        record = change.new_run
        assert record is not None  # noqa: S101 - for the type checker
        tenant, rows = record.tenant_id, decided.rows
        if record.idempotency_key is not None:
            key = (tenant, record.idempotency_key)
            same = decided.keys.get(key) or self._keys.get(key) or self._stored_id(key)
            if same is not None:
                return same
        unfinished = self._unfinished.get(tenant, 0) + decided.unfinished.get(tenant, 0)
        if change.quota is not None and unfinished >= change.quota:
            return None
        if record.idempotency_key is not None:
            decided.keys[tenant, record.idempotency_key] = record.id
        if change.plan is not None and record.plan_hash not in self._plans:
            rows.plans[record.plan_hash] = change.plan.to_json()
        run = Standing(RunStatus.QUEUED, True, record.epoch)
        rows.new[record.id] = record.values()
        self._set(decided, change, None, run if change.status is None else run.after(change))
        self._add(decided, change)
        return record.id

    def _write(self, decided: Decided, change: Change) -> bool:
        told_only = change.status is None and change.request is None and change.epoch is None
        if not told_only:
            run = decided.rows.runs.get(change.run_id) or self._standing(change.run_id)
            if run is None or not run.takes(change):
                return False
        else:
            run = None
        if change.answers is not None and not self._still_waits(decided, change.run_id, *change.answers):
            return False
        if run is not None and (change.status is not None or change.request is not None):
            self._set(decided, change, run, run.after(change))
        self._add(decided, change)
        return True

    def _set(self, decided: Decided, change: Change, before: Standing | None, after: Standing) -> None:
        decided.rows.runs[change.run_id] = after
        more = after.is_open - (before is not None and before.is_open)
        if more:
            decided.unfinished[change.tenant_id] = decided.unfinished.get(change.tenant_id, 0) + more

    def _add(self, decided: Decided, change: Change) -> None:
        rows = decided.rows
        rows.changes += 1
        rows.steps += change.steps
        for event in change.events:
            rows.events.append(unchained_row(change.tenant_id, event))

    def _standing(self, run_id: str) -> Standing | None:
        run = self._runs.get(run_id)
        if run is None:
            found = self._read(_STANDING, (run_id,))
            if found is not None:
                run = self._runs[run_id] = standing(*found)
        return run

    def _stored_id(self, key: tuple[str, str]) -> str | None:
        found = self._read(_SAME_KEY, key)
        return None if found is None else str(found[0])

    def _still_waits(self, decided: Decided, run_id: str, key: str, attempt: int) -> bool:
        waits = (StepStatus.WAITING.value, attempt)
        for rows in (decided.rows, self.pending):
            for row in reversed(rows.steps):
                if row[0] == run_id and row[1] == key:
                    return row[2:4] == waits
        return self._read(_WAITS, (run_id, key)) == waits
