"""THE DOOR. Everything that runs is started by `RunService.start_run`, whoever asks."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from sqlalchemy import ColumnElement

from omniforge.core.actor import Actor
from omniforge.core.clock import new_id, rfc3339
from omniforge.core.errors import Conflict, Invalid, NeedsHuman, NotFound, RateLimited
from omniforge.engine.embedded import Engine
from omniforge.engine.events import Event, EventRow
from omniforge.engine.expansion import root_of
from omniforge.engine.plan import Plan
from omniforge.engine.records import Change, RunRecord, result_from, step_values
from omniforge.engine.spawning import SpawnLimits, needs_approval
from omniforge.engine.state import RunStatus, StepResult, StepState, StepStatus
from omniforge.engine.store import RunRow
from omniforge.engine.validation import validate_plan
from omniforge.runs.inputs import check_input
from omniforge.runs.shown import RunView

WAITS_FOR_EFFECT = "effect"
"""Reason of waiting: a call outside that nobody approved yet. A person allows that one call, or says no."""
WAITS_FOR_ANSWER = "question"
"""Reason of waiting: the step asked a person something. It is done again, and knows the answer then."""
ANSWERED = "question.answered"
"""What a person answered: `{"step", "question", "answer"}`."""
ONLY_AGAIN = frozenset({"connection", "spec_answers", "spec_approval"})
"""Reasons of waiting that doing the step again settles, and nobody's word."""


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
    parent_run: the run that starts this one; approved: a person allowed it beyond the limits of that.
    shares: an earlier run of the same plan and one of its steps: what finished there, and that step does not
    lead to, is not done anew.
    run_id: the id it gets, for whoever had to write it down before; None makes one.
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
    priority: int = 0
    parent_run: str | None = None
    approved: bool = False
    shares: tuple[str, str] | None = None
    run_id: str | None = None


class Audience(Protocol):
    """Who may know of a run. The room that runs are of decides; without one, everybody of the tenant."""

    async def hears_of(self, actor: Actor, run: RunRow) -> bool: ...

    async def audible_to(self, actor: Actor) -> ColumnElement[bool] | None:
        """The same as a condition on rows of runs; None for all of them."""
        ...


class RunService:
    """Start, follow, answer and cancel runs. Every method is limited to the actor's tenant."""

    def __init__(
        self,
        engine: Engine,
        max_unfinished: int,
        spawn_limits: SpawnLimits = SpawnLimits(),  # noqa: B008 - immutable
        new_id: Callable[[str], str] = new_id,
    ) -> None:
        """new_id: where the ids of runs come from."""
        self.engine = engine
        self._new_id = new_id
        self.spawn_limits = spawn_limits
        self.max_unfinished = max_unfinished
        self.audience: Audience | None = None
        self._valid: set[str] = set()

    async def start_run(self, actor: Actor, request: StartRequest) -> str:
        """Start a run; returns its id once it is durable.

        Errors: `Forbidden`, `Invalid` (plan or input), `RateLimited` (too many runs of the tenant),
        `NeedsHuman` (a run started by a run, too deep or one too many).
        """
        actor.require("agent:execute" if request.mode is Mode.LIVE else "agent:edit")
        if not self.engine.pace.is_free:
            await self.engine.pace.take()
        self._check_plan(request.plan)
        check_input(request.input)
        now = rfc3339(self.engine.clock.now())
        origin = {} if request.shares is None else {"forked_from": request.shares[0]}
        record = RunRecord(
            id=request.run_id or self._new_id("run"),
            tenant_id=actor.tenant_id,
            subject=request.subject,
            mode=request.mode.value,
            plan_hash=request.plan.hash,
            input=dict(request.input),
            trigger_type=request.trigger_type,
            triggered_by=request.triggered_by or actor.by,
            logical_time=rfc3339(request.logical_time) if request.logical_time else now,
            facts={**request.facts, **origin, "user_id": actor.user_id},
            idempotency_key=request.idempotency_key,
            created_at=now,
            priority=request.priority,
            parent_id=request.parent_run,
            depth=await self._depth(actor, request),
        )
        return await self._start(record, request.plan, await self._taken_over(actor, request))

    async def _taken_over(self, actor: Actor, request: StartRequest) -> dict[str, StepState]:
        if request.shares is None:
            return {}
        stored, kept = await self.engine.control.fork(actor.tenant_id, *request.shares)
        if stored.record.plan_hash != request.plan.hash:
            why = "Only steps of the same plan can be taken over."
            raise Invalid(why, code="other_plan", run_id=stored.record.id)
        return kept

    async def _start(
        self, record: RunRecord, plan: Plan, progress: Mapping[str, StepState] | None = None
    ) -> str:
        payload: dict[str, Any] = {
            "subject": record.subject,
            "mode": record.mode,
            "trigger_type": record.trigger_type,
            "plan_hash": record.plan_hash,
            "steps": len(plan.steps),
        }
        if record.parent_id is not None:
            payload["parent"] = record.parent_id
        now = record.created_at
        change = Change(
            record.id,
            record.tenant_id,
            new_run=record,
            plan=plan,
            progress=progress or {},
            quota=self.max_unfinished,
            steps=[step_values(record.id, key, state) for key, state in (progress or {}).items()],
            at=record.created_at,
            events=[Event("run.queued", f"run:{record.id}", now, record.triggered_by, payload, record.id)],
        )
        run_id = await self.engine.start(change, plan)
        if run_id is None:
            raise RateLimited(
                f"{self.max_unfinished} runs are under way or queued already; that is the limit.",
                code="quota",
                retry_after=30,
                limit="unfinished_runs",
            )
        return run_id

    def _check_plan(self, plan: Plan) -> None:
        """Validate, once per plan: agents run the same plan again and again."""
        if plan.hash not in self._valid:
            validate_plan(plan, self.engine.handlers)
            if len(self._valid) >= 1000:
                self._valid.clear()
            self._valid.add(plan.hash)

    async def _depth(self, actor: Actor, request: StartRequest) -> int:
        """How deep below a first run this one stands; beyond a limit a person has to allow it."""
        if request.parent_run is None:
            return 0
        parent = await self.get_run(actor, request.parent_run)
        depth = parent.run.depth + 1
        children = await self.engine.store.count_children(request.parent_run)
        why = None if request.approved else needs_approval(depth, children, self.spawn_limits)
        if why is not None:
            raise NeedsHuman(
                f"Run {request.parent_run} wants to start one more run. {why}.",
                code="spawn_limit",
                depth=depth,
                children=children,
            )
        return depth

    async def get_run(self, actor: Actor, run_id: str) -> RunView:
        actor.require("agent:view")
        found = await self.engine.store.find_run(actor.tenant_id, run_id)
        if found is None or not (self.audience is None or await self.audience.hears_of(actor, found[0])):
            raise NotFound("There is no such run.", run_id=run_id)
        run, steps = found
        return RunView(run, steps, await self.engine.store.plan(run.plan_hash))

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
        only = None if self.audience is None else await self.audience.audible_to(actor)
        runs, total = await self.engine.store.list_runs(
            actor.tenant_id, subject=subject, status=status, mode=mode, only=only, limit=limit, offset=offset
        )
        plan = self.engine.store.plan
        return [RunView(run, steps, await plan(run.plan_hash)) for run, steps in runs], total

    async def cancel_run(self, actor: Actor, run_id: str) -> RunView:
        """Cancel, and wait until nothing of it runs any more; harmless when the run is over."""
        actor.require("agent:execute")
        await self.get_run(actor, run_id)
        await self.engine.control.cancel(actor.tenant_id, run_id, actor.by)
        await self.engine.wait(run_id)
        return await self.get_run(actor, run_id)

    async def pause_run(self, actor: Actor, run_id: str) -> RunView:
        """Start nothing more of the run until it is resumed; what is under way finishes."""
        actor.require("agent:execute")
        await self.get_run(actor, run_id)
        await self.engine.control.pause(actor.tenant_id, run_id, actor.by)
        return await self.get_run(actor, run_id)

    async def resume_run(self, actor: Actor, run_id: str) -> RunView:
        actor.require("agent:execute")
        await self.get_run(actor, run_id)
        await self.engine.control.resume(actor.tenant_id, run_id, actor.by)
        return await self.get_run(actor, run_id)

    async def retry_run(self, actor: Actor, run_id: str, key: str | None = None) -> RunView:
        """Do what failed again, in the same run; finished steps stay as they are."""
        actor.require("agent:execute")
        await self.get_run(actor, run_id)
        await self.engine.control.retry(actor.tenant_id, run_id, actor.by, key)
        return await self.get_run(actor, run_id)

    async def fork_run(
        self,
        actor: Actor,
        run_id: str,
        *,
        from_step: str | None = None,
        input: Mapping[str, Any] | None = None,  # noqa: A002 - the wire's word
        idempotency_key: str | None = None,
    ) -> str:
        """A new run of the same plan that keeps what finished before `from_step`, with its own input."""
        await self.get_run(actor, run_id)
        stored, kept = await self.engine.control.fork(actor.tenant_id, run_id, from_step)
        old = stored.record
        actor.require("agent:execute" if old.mode == Mode.LIVE else "agent:edit")
        check_input(input or {})
        if input is not None:  # items of a list that may be another one now are done anew
            kept = {key: state for key, state in kept.items() if root_of(key) in kept}
        now = self.engine.clock.now()
        record = replace(
            old,
            id=self._new_id("run"),
            input=old.input if input is None else dict(input),
            trigger_type="fork",
            triggered_by=actor.by,
            facts={**old.facts, "user_id": actor.user_id, "forked_from": run_id},
            idempotency_key=idempotency_key,
            created_at=rfc3339(now),
            epoch=0,
        )
        return await self._start(record, stored.plan, kept)

    async def reject_step(self, actor: Actor, run_id: str, key: str, why: str | None = None) -> RunView:
        """Say no to a step that waits for somebody's approval."""
        await self.get_run(actor, run_id)
        actor.require("agent:execute")
        await self.engine.control.reject(actor.tenant_id, run_id, key, actor.by, why)
        return await self.get_run(actor, run_id)

    async def answer_step(
        self, actor: Actor, run_id: str, key: str, output: Mapping[str, Any] | None
    ) -> RunView:
        """End a step's waiting with an output, or with None by doing the step again.

        A step that asks for one call outside takes `{"approved": true}`, and is done again with that call.
        `Conflict` for an output where only the step itself can tell its result.
        """
        view = await self.get_run(actor, run_id)
        actor.require("agent:execute")
        if any(step.key == key and step.reason == WAITS_FOR_EFFECT for step in view.steps):
            actor.require("agent:edit")
            if output is not None:
                await self._allow_effect(actor, run_id, key, output)
                output = None  # the step is done again, and now that call may pass
        if output is not None and any(s.key == key and s.reason == WAITS_FOR_ANSWER for s in view.steps):
            await self._tell_answer(actor, run_id, key, output)
            output = None  # the step is done again, and now it knows
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
        await self.engine.control.answer(actor.tenant_id, run_id, key, actor.by, result)
        return await self.get_run(actor, run_id)

    async def _tell_answer(self, actor: Actor, run_id: str, key: str, output: Mapping[str, Any]) -> None:
        """Write down what this person answered to the question that the step asked last."""
        answer = output.get("answer")
        if not isinstance(answer, str) or not answer.strip() or len(output) != 1:
            raise Conflict(
                'This step asked a question: answer it with {"answer": text}, or reject it.',
                code="not_answerable",
                run_id=run_id,
                step=key,
            )
        check_input(output)
        asked = await self._asked(actor, run_id, key)
        told = {"step": key, "question": asked["question"], "answer": answer[:10_000]}
        await self._append(actor, run_id, key, ANSWERED, told)

    async def _asked(self, actor: Actor, run_id: str, key: str) -> Mapping[str, Any]:
        """What the step told when it began to wait."""
        rows = await self.engine.events.read(
            actor.tenant_id, run_id=run_id, types=["step.waiting"], limit=100_000
        )
        return [payload for row in rows if (payload := json.loads(row.payload)).get("step") == key][-1]

    async def _append(self, actor: Actor, run_id: str, key: str, type_: str, told: dict[str, Any]) -> None:
        log = self.engine.events
        event = Event(type_, f"step:{run_id}/{key}", self.engine.clock.now(), actor.by, told, run_id)
        async with log.db.transaction() as session:
            await log.append(session, actor.tenant_id, event)

    async def _allow_effect(self, actor: Actor, run_id: str, key: str, answer: Mapping[str, Any]) -> None:
        """Write down that this person allows exactly the call that the step asked for last."""
        if answer != {"approved": True}:
            raise Conflict(
                "This step asks whether one call may be made: approve it, or reject it.",
                code="not_answerable",
                run_id=run_id,
                step=key,
            )
        asked = await self._asked(actor, run_id, key)
        exact = {name: asked[name] for name in ("step", "tool", "destination", "content_digest")}
        await self._append(actor, run_id, key, "effect.approved", exact)

    async def get_output(self, actor: Actor, run_id: str, key: str) -> Any:
        """A finished step's whole output, read from its artifact where it is kept as one."""
        view = await self.get_run(actor, run_id)
        for step in view.steps:
            if step.key == key and step.result is not None:
                result = result_from(step.result)
                if result.stored is None:
                    return result.output
                return json.loads(await self.engine.artifacts.get(actor.tenant_id, result.stored["sha256"]))
        raise NotFound("This run has no output of such a step.", run_id=run_id, step=key)

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
                        await self.engine.control.answer(tenant_id, run.id, step.key, "system:engine", None)
                        resumed += 1
        return resumed

    async def wait_for(self, actor: Actor, run_id: str) -> RunView:
        """The run once it is over or waits for somebody."""
        await self.get_run(actor, run_id)
        await self.engine.wait(run_id)
        return await self.get_run(actor, run_id)

    async def follow(self, actor: Actor, run_id: str, after: int = 0) -> AsyncGenerator[EventRow, None]:
        """The run's events after `after`, those to come included; ends after `run.finished`."""
        view = await self.get_run(actor, run_id)
        if not RunStatus(view.run.status).is_over:
            async for row in self.engine.events.follow(actor.tenant_id, after=after, run_id=run_id):
                yield row
                after = row.seq
                if row.type == "run.finished":
                    view = await self.get_run(actor, run_id)
                    if RunStatus(view.run.status).is_over:  # else it was retried since
                        break
        for row in await self.engine.events.read(actor.tenant_id, after=after, run_id=run_id, limit=100_000):
            yield row
