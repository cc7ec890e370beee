"""THE DOOR. Everything that runs is started by `RunService.start_run`, whoever asks."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, cast

from omniforge.core.actor import Actor
from omniforge.core.clock import new_id, rfc3339
from omniforge.core.errors import Conflict, Invalid, NotFound, RateLimited
from omniforge.engine.embedded import EmbeddedEngine
from omniforge.engine.events import Event, EventRow
from omniforge.engine.plan import Plan, validate_plan
from omniforge.engine.state import RunStatus, StepResult, StepStatus
from omniforge.engine.store import Change, RunRecord, RunRow, StepRow, canonical

MAX_INPUT = 262_144
ONLY_AGAIN = frozenset({"connection"})
"""Reasons of waiting that doing the step again settles, and nobody's word."""
MAX_DEPTH = 32
_BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


class Mode(StrEnum):
    """dry: sample data, no network. preview: real reads, writes held back. live: real effects."""

    LIVE = "live"
    PREVIEW = "preview"
    DRY = "dry"


@dataclass(frozen=True, slots=True)
class StartRequest:
    """What is to run, and why.

    subject: what the run is of, e.g. `agent:weekly-report`.
    facts: JSON that handlers need beside the plan (connections, zone, manifest).
    logical_time: the time the run is about; a schedule's fire time, else now.
    idempotency_key: the same key of the same tenant always means the same run.
    """

    plan: Plan
    subject: str
    input: Mapping[str, Any] = field(default_factory=dict[str, Any])
    mode: Mode = Mode.LIVE
    trigger_type: str = "on_demand"
    triggered_by: str | None = None
    logical_time: datetime | None = None
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any])
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class RunView:
    """A run with its steps, as stored."""

    run: RunRow
    steps: Sequence[StepRow]


class RunService:
    """Start, follow, answer and cancel runs. Every method is limited to the actor's tenant."""

    def __init__(self, engine: EmbeddedEngine, max_unfinished: int) -> None:
        self.engine = engine
        self.max_unfinished = max_unfinished

    async def start_run(self, actor: Actor, request: StartRequest) -> str:
        """Start a run; returns its id once it is durable.

        Errors: `Forbidden`, `Invalid` (plan or input), `RateLimited` (too many runs of the tenant).
        """
        actor.require("agent:execute" if request.mode is Mode.LIVE else "agent:edit")
        validate_plan(request.plan, self.engine.handlers)
        check_input(request.input)
        now = self.engine.clock.now()
        record = RunRecord(
            id=new_id("run"),
            tenant_id=actor.tenant_id,
            subject=request.subject,
            mode=request.mode.value,
            plan=request.plan.to_json(),
            plan_hash=request.plan.hash,
            input=dict(request.input),
            trigger_type=request.trigger_type,
            triggered_by=request.triggered_by or actor.by,
            logical_time=rfc3339(request.logical_time or now),
            facts={**request.facts, "user_id": actor.user_id},
            idempotency_key=request.idempotency_key,
            created_at=rfc3339(now),
        )
        payload = {
            "subject": record.subject,
            "mode": record.mode,
            "trigger_type": record.trigger_type,
            "plan_hash": record.plan_hash,
            "steps": len(request.plan.steps),
        }
        event = Event("run.queued", f"run:{record.id}", now, record.triggered_by, payload, record.id)
        change = Change(
            record.id,
            record.tenant_id,
            new_run=record,
            quota=self.max_unfinished,
            at=record.created_at,
            events=[event],
        )
        run_id = await self.engine.journal.start(change)
        if run_id is None:
            raise RateLimited(
                f"{self.max_unfinished} runs are under way or queued already; that is the limit.",
                code="quota",
                retry_after=30,
                limit="unfinished_runs",
            )
        if run_id == record.id:
            self.engine.worker.take_new(record)
        return run_id

    async def get_run(self, actor: Actor, run_id: str) -> RunView:
        actor.require("agent:view")
        found = await self.engine.store.find_run(actor.tenant_id, run_id)
        if found is None:
            raise NotFound("There is no such run.", run_id=run_id)
        return RunView(*found)

    async def list_runs(
        self,
        actor: Actor,
        *,
        subject: str | None = None,
        status: Sequence[str] = (),
        mode: str | None = None,
        limit: int = 50,
        offset: int = 0,
    ) -> tuple[list[RunView], int]:
        """Newest first, with the total."""
        actor.require("agent:view")
        runs, total = await self.engine.store.list_runs(
            actor.tenant_id, subject=subject, status=status, mode=mode, limit=limit, offset=offset
        )
        return [RunView(run, steps) for run, steps in runs], total

    async def cancel_run(self, actor: Actor, run_id: str) -> RunView:
        """Cancel; harmless when the run is over."""
        actor.require("agent:execute")
        await self.engine.worker.cancel(actor.tenant_id, run_id, actor.by)
        return await self.get_run(actor, run_id)

    async def answer_step(
        self, actor: Actor, run_id: str, key: str, output: Mapping[str, Any] | None
    ) -> RunView:
        """End a step's waiting with an output, or with None by doing the step again.

        `Conflict` for an output where only the step itself can tell its result.
        """
        view = await self.get_run(actor, run_id)
        actor.require("agent:execute")
        if output is not None:
            check_input(output)
            if any(step.key == key and step.reason in ONLY_AGAIN for step in view.steps):
                raise Conflict(
                    "Nobody can answer for this step: once it has what it waits for, it is done again.",
                    code="not_answerable",
                    run_id=run_id,
                    step=key,
                )
        result = None if output is None else StepResult(output=dict(output))
        await self.engine.worker.answer(actor.tenant_id, run_id, key, actor.by, result)
        return await self.get_run(actor, run_id)

    async def resume_waiting(self, tenant_id: str, user_id: str, reason: str) -> int:
        """Do the steps of this person's runs again that wait for `reason`; returns how many there were."""
        waiting, _ = await self.engine.store.list_runs(
            tenant_id, status=[RunStatus.WAITING.value], limit=1000
        )
        resumed = 0
        for run, steps in waiting:
            if json.loads(run.facts).get("user_id") != user_id:
                continue
            for step in steps:
                if step.status == StepStatus.WAITING.value and step.reason == reason:
                    with suppress(Conflict):  # somebody was faster with this one; the others still wait
                        await self.engine.worker.answer(tenant_id, run.id, step.key, "system:engine", None)
                        resumed += 1
        return resumed

    async def wait_for(self, actor: Actor, run_id: str) -> RunView:
        """The run once it is over or waits for somebody."""
        await self.get_run(actor, run_id)
        await self.engine.worker.wait(run_id)
        return await self.get_run(actor, run_id)

    async def follow(self, actor: Actor, run_id: str, after: int = 0) -> AsyncGenerator[EventRow, None]:
        """The run's events after `after`, those to come included; ends after `run.finished`."""
        view = await self.get_run(actor, run_id)
        if RunStatus(view.run.status).is_over:
            for row in await self.engine.events.read(
                actor.tenant_id, after=after, run_id=run_id, limit=100_000
            ):
                yield row
            return
        async for row in self.engine.events.follow(actor.tenant_id, after=after, run_id=run_id):
            yield row
            if row.type == "run.finished":
                return


def check_input(value: Mapping[str, Any]) -> None:
    """Refuse what is too large or too deep, and text with NUL, hidden controls or direction overrides."""
    try:
        size = len(canonical(dict(value)).encode())
    except (TypeError, ValueError, RecursionError, UnicodeEncodeError) as error:
        raise Invalid(f"The input is not plain JSON: {error}") from error
    if size > MAX_INPUT:
        raise Invalid(f"The input is {size} bytes; at most {MAX_INPUT}.", limit=MAX_INPUT)
    _check_value(dict(value), "input", 0)


def _check_value(value: Any, where: str, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise Invalid(f"The input is nested more than {MAX_DEPTH} levels deep.")
    match value:
        case str():
            hidden = {
                c for c in value if c in _BIDI or (unicodedata.category(c) == "Cc" and c not in "\n\r\t")
            }
            if hidden:
                shown = ", ".join(sorted(f"U+{ord(c):04X}" for c in hidden))
                rule = f"text without hidden control characters (found {shown})"
                raise Invalid(f"{where} holds hidden control characters.", fields=[_field(where, rule)])
        case dict():
            for name, part in cast("dict[str, Any]", value).items():
                _check_value(name, where, depth + 1)
                _check_value(part, f"{where}.{name}", depth + 1)
        case list():
            for index, part in enumerate(cast("list[Any]", value)):
                _check_value(part, f"{where}[{index}]", depth + 1)
        case _:
            pass


def _field(where: str, rule: str) -> dict[str, Any]:
    return {"field": where, "value": None, "rule": rule}


def run_json(view: RunView) -> dict[str, Any]:
    """A run with its steps as readers of the raw log see it."""
    run = view.run
    order = {step["key"]: index for index, step in enumerate(json.loads(run.plan)["steps"])}
    steps = sorted(view.steps, key=lambda row: order.get(row.key, len(order)))
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
        "result": None if row.result is None else json.loads(row.result),
        "error": None if row.error is None else json.loads(row.error),
        "reason": row.reason,
        "started_at": row.started_at,
        "finished_at": row.finished_at,
    }
