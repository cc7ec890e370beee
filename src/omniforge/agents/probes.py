"""The other runs of a test, all on sample data: further shapes and branches, faults, stored cases."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from omniforge.agents import cases, faults, readings
from omniforge.agents.audience import PROBES
from omniforge.agents.content import ExecutionStatus, Suite, TestMode
from omniforge.agents.executions import Executions, read
from omniforge.agents.faults import Cell, Ended
from omniforge.agents.manifest import Sighting, in_words
from omniforge.agents.people import bookkeeper
from omniforge.agents.readings import Reading
from omniforge.agents.reports import NOT_SIMULATED, Beside, Seen
from omniforge.agents.schemas import CaseView
from omniforge.agents.store import TestRow
from omniforge.core.actor import Actor
from omniforge.core.errors import RateLimited
from omniforge.engine.plan import OnError, Plan
from omniforge.engine.state import SHARED
from omniforge.runs.service import Mode, StartRequest
from omniforge.runs.shown import RunView

Json = dict[str, Any]

FULL, EMPTY, OLD, EVERY_BRANCH, CASE = "full", "empty", "old", "every_branch", "case:"
WHEN_EMPTY = "there is nothing at all"
WHEN_OLD = "nothing happened lately"
WHEN_SAMPLED = "there is work to do as in the sample data"
WHEN_BEFORE = "a condition before it holds"
UNFINISHED = ("queued", "running")
LESS = 10
"""By so much less is the priority of a test's other runs: real work goes first."""
MOST = 1_000
AT_ONCE, FEW_LEFT = 16, 6
"""Of one test at most so many are under way; when few are left, the next ones start."""
TOLD = ("tool.called", "rehearsal.retried", "step.waiting", *readings.EFFECT_TYPES)


@dataclass(slots=True)
class Trial:
    """The runs of one test by name; `main` is the one that was asked for."""

    row: TestRow
    main: Reading
    plan: Plan
    logical_time: datetime
    """Of the runs on sample data: the same for every test of the agent."""
    priority: int
    """Of the main run."""
    runs: dict[str, RunView] = field(default_factory=dict[str, RunView])

    @property
    def base(self) -> Reading | None:
        """The fault-free run on full sample data."""
        if self.row.mode == TestMode.DRY.value:
            return self.main
        return read(self.runs[FULL]) if FULL in self.runs else None

    @property
    def under_way(self) -> list[str]:
        """Ids of the runs beside the main one that are not over, the oldest first."""
        found = [view.run for view in self.runs.values() if view.run.status in UNFINISHED]
        return [run.id for run in sorted(found, key=lambda run: (run.created_at, run.id))]


@dataclass(frozen=True, slots=True)
class Probe:
    """One run beside the main one. sample: what it meets; given: its input, if not the main run's; shares:
    the run that it begins like, and the step from which on it does not.
    """

    sample: Json
    plan: Plan
    given: Json | None = None
    shares: tuple[str, str] | None = None

    @property
    def name(self) -> str:
        return str(self.sample["name"])


class Probes:
    """Starts and reads them. What was started once is never started again: their names are their keys."""

    def __init__(self, executions: Executions, titles: Mapping[str, Any]) -> None:
        self.executions, self.titles = executions, titles

    async def look(self, row: TestRow, main: RunView, logical_time: datetime) -> Trial:
        views, _ = await self.executions.runs.list_runs(
            bookkeeper(row.tenant_id), subject=f"{PROBES}{row.id}", limit=MOST
        )
        runs = {str(json.loads(view.run.facts)["sample"]["name"]): view for view in views}
        return Trial(row, read(main), main.plan, logical_time, main.run.priority, runs)

    async def start_missing(self, trial: Trial, stored: Sequence[CaseView]) -> list[str]:
        """Start what can be started by now; ids of the runs to wait for before there is more to be done."""
        wanted = [*self._shapes(trial), *self._cases(trial, stored)]
        if trial.row.suite == Suite.FULL.value and trial.base is not None and not _under_way(trial.base):
            wanted += [_of_cell(trial, trial.base, cell) for cell in await self.cells(trial)]
        missing = [probe for probe in wanted if probe.name not in trial.runs]
        under_way = trial.under_way
        while missing and len(under_way) < AT_ONCE:
            try:
                under_way.append(await self._start(trial, missing[0]))
            except RateLimited:
                break  # the others come when some of these are over
            del missing[0]
        return under_way[: max(1, len(under_way) - FEW_LEFT)] if missing else under_way

    def _shapes(self, trial: Trial) -> list[Probe]:
        if trial.row.mode == TestMode.LIVE.value:
            return []
        names = [EMPTY, OLD] if trial.row.mode == TestMode.DRY.value else [FULL, EMPTY, OLD]
        names = names if _reaches_out(trial.plan) else []
        wanted = [Probe({"name": name, "shape": name}, trial.plan) for name in names]
        if any(step.when for step in trial.plan.steps):
            wanted.append(Probe({"name": EVERY_BRANCH}, _every_branch(trial.plan)))
        return wanted

    def _cases(self, trial: Trial, stored: Sequence[CaseView]) -> list[Probe]:
        if trial.row.suite != Suite.REGRESSION.value:
            return []
        return [Probe({"name": f"{CASE}{case.name}"}, trial.plan, case.input_data) for case in stored]

    async def cells(self, trial: Trial) -> list[Cell]:
        """The fault matrix of the base run."""
        if trial.base is None:
            return []
        told = await self.executions.told(trial.row.tenant_id, trial.base.run["id"], TOLD)
        return faults.cells_of(faults.calls_of(told, [step.key for step in trial.plan.steps]))

    async def _start(self, trial: Trial, probe: Probe) -> str:
        main, sample = trial.main, probe.sample
        request = StartRequest(
            plan=probe.plan,
            subject=f"{PROBES}{trial.row.id}",
            input=main.run["input"] if probe.given is None else probe.given,
            mode=Mode.DRY,
            trigger_type="test",
            triggered_by=main.run["triggered_by"],
            logical_time=trial.logical_time,
            facts={**main.facts, "sample": sample, "memory": main.run["subject"], "use_model": False},
            idempotency_key=f"{trial.row.id}/{probe.name}",
            priority=trial.priority - LESS,
            shares=probe.shares,
        )
        return await self.executions.runs.start_run(_tester(trial.row.tenant_id), request)

    # --- what they showed ----------------------------------------------------------------------------------

    async def seen(self, tenant_id: str, reading: Reading) -> Seen:
        return _seen(reading, await self.executions.told(tenant_id, reading.run["id"], TOLD))

    async def beside(self, trial: Trial, stored: Sequence[CaseView]) -> Beside:
        """Everything that the other runs of a test showed, once they are over."""
        tenant_id, base = trial.row.tenant_id, trial.base
        seen = {
            name: await self.seen(tenant_id, read(view))
            for name, view in trial.runs.items()
            if not name.startswith("fault:")
        }
        base_seen = None if base is None else await self.seen(tenant_id, base)
        others = _sightings(trial.plan, seen)
        rows = await self._rows(trial, base_seen, others)
        compared: list[Json] = []
        for case in stored:
            ran = seen.get(f"{CASE}{case.name}")
            if ran is None and base_seen is not None and case.input_data == base_seen.reading.run["input"]:
                ran = base_seen
            if ran is not None:
                compared.append(cases.compare(case, ran.result()))
        return Beside(base_seen, others, rows, compared, _problems(seen), list(seen.values()))

    async def _rows(self, trial: Trial, base: Seen | None, others: Sequence[Sighting]) -> list[Json]:
        if trial.row.suite != Suite.FULL.value or base is None:
            return []
        allowed = [effect for sighting in others for effect in sighting.effects]
        rows: list[Json] = []
        for cell in await self.cells(trial):
            if cell.name in trial.runs:
                ran = await self.seen(trial.row.tenant_id, read(trial.runs[cell.name]))
                ended = _ended(cell, _with_shared(ran, base))
                rows.append(faults.judge(cell, ended, base.effects, allowed, self._title(cell.call.tool)))
        return rows

    def _title(self, tool: str) -> str:
        known = self.titles.get(tool.partition(".")[0])
        return str(getattr(known, "title", tool))


def _of_cell(trial: Trial, base: Reading, cell: Cell) -> Probe:
    """A cell begins where its fault is: whatever does not follow from that step is as in the base run.

    Sample data are the same in every run and no step sees what another did there, so it would come out the
    same. Steps beside the faulty one count as done, which is the most that can have happened by then.
    """
    return Probe(cell.sample(), trial.plan, shares=(base.run["id"], cell.call.step))


def _with_shared(seen: Seen, base: Seen) -> Seen:
    """A cell's run with what the base run did for it."""
    shared = {step["key"] for step, row in seen.reading.steps() if str(row["reason"]).startswith(SHARED)}
    told = [*((type_, said) for type_, said in base.told if said.get("step") in shared), *seen.told]
    return _seen(seen.reading, told)


def _seen(reading: Reading, told: Sequence[tuple[str, Json]]) -> Seen:
    effects = [(type_, payload) for type_, payload in told if type_ in readings.EFFECT_TYPES]
    return Seen(reading, readings.effects_of(effects, with_content=True), told)


def _tester(tenant_id: str) -> Actor:
    keeper = bookkeeper(tenant_id)
    return replace(keeper, permissions=keeper.permissions | {"agent:edit"})


def _under_way(reading: Reading) -> bool:
    return reading.run["status"] in UNFINISHED


def _reaches_out(plan: Plan) -> bool:
    """Whether any step may call an integration: for the others sample data have no shapes."""
    return any("." in str(grant) for step in plan.steps for grant in step.args.get("tool_grant", ()))


def _every_branch(plan: Plan) -> Plan:
    """The plan with every step done whatever its condition says, and none that ends the others."""
    steps = tuple(replace(step, when=None, on_error=OnError.SKIP) for step in plan.steps)
    return replace(plan, steps=steps)


def _sightings(plan: Plan, seen: Mapping[str, Seen]) -> list[Sighting]:
    branches = {step.key: in_words(step.when) for step in plan.steps if step.when}
    conditions = {
        FULL: {"": WHEN_SAMPLED},
        EMPTY: {"": WHEN_EMPTY},
        OLD: {"": WHEN_OLD},
        EVERY_BRANCH: {"": WHEN_BEFORE, **branches},
    }
    return [seen[name].sighting(only_if) for name, only_if in conditions.items() if name in seen]


def _problems(seen: Mapping[str, Seen]) -> list[Json]:
    """Runs over other sample data that broke down where people would expect nothing to happen."""
    found: list[Json] = []
    for name, words in ((EMPTY, WHEN_EMPTY), (OLD, WHEN_OLD)):
        reading = None if name not in seen else seen[name].reading
        if reading is not None and readings.execution_status(reading) is ExecutionStatus.FAILED:
            error: Json = reading.run["error"] or {}
            if error.get("code") in NOT_SIMULATED:
                continue
            message = f"If {words}, it stops: {error.get('message', '')}"
            found.append({"step": error.get("step"), "code": f"fails_when_{name}", "message": message})
    return found


def _ended(cell: Cell, seen: Seen) -> Ended:
    """How a cell's run ended, and how often something was tried again on the way."""
    reading = seen.reading
    status = readings.execution_status(reading)
    would_be = [{**effect, "outcome": "done"} if effect["held"] else effect for effect in seen.effects]
    error = readings.error_of(reading, would_be)
    if error is None:
        failed = [row["error"] for _, row in reading.steps() if row["error"]]
        error = failed[0] if failed else None
    waiting = [payload for type_, payload in seen.told if type_ == "step.waiting"]
    if error is None and waiting:
        error = {"code": waiting[-1].get("code"), "message": waiting[-1].get("message", "")}
    retries = sum(type_ == "rehearsal.retried" for type_, _ in seen.told)
    first = int(cell.sample()["fault"]["first"])
    for type_, payload in seen.told:
        same = payload.get("step") == cell.call.step and payload.get("call") == cell.call.number
        if same and type_ in ("tool.called", "effect.failed") and payload.get("code"):
            retries += max(0, int(payload.get("requests") or 0) - first)
        elif same and cell.kind == "rate_limited" and type_ in ("tool.called", "effect.recorded"):
            retries += 1  # it waited as long as it was told, and went on
    effects = [{**effect, "content": None} for effect in seen.effects]
    if error is None:
        return Ended(status, "", None, retries, effects)
    return Ended(status, str(error.get("message", "")), str(error.get("code")), retries, effects)
