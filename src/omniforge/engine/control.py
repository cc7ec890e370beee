"""What people can do to a run: cancel, pause, resume, retry, fork, answer. Durable first, then told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

from omniforge.core.clock import Clock, rfc3339
from omniforge.core.errors import Conflict, NotFound
from omniforge.engine.events import Event
from omniforge.engine.expansion import root_of, step_named
from omniforge.engine.journal import Journal
from omniforge.engine.plan import OnError
from omniforge.engine.records import Change, StoredRun, shared_steps, step_values
from omniforge.engine.recovery.history import History
from omniforge.engine.state import RunStatus, StepResult, StepState, StepStatus
from omniforge.engine.store import RunStore

_AGAIN = frozenset({StepStatus.FAILED, StepStatus.CANCELLED})


class Control:
    """Verbs on runs of a tenant. Each is idempotent, and an event with who did it."""

    def __init__(
        self, store: RunStore, journal: Journal, clock: Clock, nudge: Callable[[str], Awaitable[None]]
    ) -> None:
        self.store = store
        self.journal = journal
        self.clock = clock
        self.nudge = nudge
        self._reopening: dict[tuple[str, str], asyncio.Task[None]] = {}

    async def cancel(self, tenant_id: str, run_id: str, by: str) -> None:
        """Ask for the end of the run; harmless when it is over."""
        stored = await self._owned(tenant_id, run_id)
        if stored.status.is_over:
            return
        if not (stored.request or "").startswith("cancel"):
            with suppress(Conflict):  # it ended just now
                await self._write(stored, "run.cancel_requested", by, request=f"cancel {by}"[:200])
        await self.nudge(run_id)

    async def pause(self, tenant_id: str, run_id: str, by: str) -> None:
        """Start nothing more of the run; steps under way finish. `Conflict` when it is over."""
        stored = await self._unfinished(tenant_id, run_id)
        if stored.status is RunStatus.PAUSED or stored.request is not None:
            return
        if stored.status is RunStatus.WAITING:
            told = {"reason": "asked"}  # the request stays for whoever wakes the run just now
            await self._write(stored, "run.paused", by, told, status=RunStatus.PAUSED, request="pause")
        else:
            await self._write(stored, "run.pause_requested", by, request="pause")
        await self.nudge(run_id)

    async def resume(self, tenant_id: str, run_id: str, by: str) -> None:
        """Go on with a paused run; harmless when it is not paused.

        `Conflict` when it is over, or when steps under way still finish before it is paused.
        """
        stored = await self._unfinished(tenant_id, run_id)
        if stored.status is not RunStatus.PAUSED:
            if stored.request == "pause":
                raise Conflict(
                    "This run is being paused: steps under way finish first. Resume it once it is paused.",
                    code="still_pausing",
                    run_id=run_id,
                )
            return
        await self._write(stored, "run.resumed", by, status=RunStatus.RUNNING, request="")
        await self.nudge(run_id)

    async def retry(self, tenant_id: str, run_id: str, by: str, key: str | None = None) -> None:
        """Do what failed, and what that kept from starting, again, in the same run.

        With `key` only if nothing but that failed. `Conflict` unless the run failed, needs a person or was
        cancelled.
        """
        under_way = self._reopening.get((tenant_id, run_id))
        if under_way is not None:  # somebody asks for the same here just now, and the run may be over soon
            await asyncio.wait([under_way])
            return
        task = asyncio.ensure_future(self._reopen(tenant_id, run_id, by, key))
        self._reopening[tenant_id, run_id] = task
        try:
            await task
        finally:
            del self._reopening[tenant_id, run_id]
        await self.nudge(run_id)

    async def _reopen(self, tenant_id: str, run_id: str, by: str, key: str | None) -> None:
        stored = await self._owned(tenant_id, run_id)
        if not stored.status.is_over:
            return
        if stored.status not in (RunStatus.FAILED, RunStatus.NEEDS_PERSON, RunStatus.CANCELLED):
            raise Conflict(
                f"A run that is {stored.status.value} has nothing to retry; start or fork it instead.",
                code="nothing_to_retry",
                run_id=run_id,
            )
        undone = [name for name, state in stored.steps.items() if state.status is StepStatus.COMPENSATED]
        if undone:
            raise Conflict(
                "Steps of this run have been undone; fork it instead.", code="nothing_to_retry", steps=undone
            )
        again = [name for name, state in stored.steps.items() if state.status in _AGAIN]
        failed = [name for name in again if stored.steps[name].status is StepStatus.FAILED]
        if key is not None and key not in again:
            raise Conflict("This step did not fail.", code="nothing_to_retry", run_id=run_id, step=key)
        others = [name for name in failed if name != key]
        if key is not None and others:
            raise Conflict(
                f"{', '.join(others)} failed too, and the run cannot go on without; retry all that failed.",
                code="others_failed",
                run_id=run_id,
                steps=others,
            )
        for name in again:
            state = stored.steps[name]
            stored.steps[name] = StepState(StepStatus.PENDING, state.attempt, history=_doubts(state))
        rows = [step_values(run_id, name, stored.steps[name]) for name in again]
        told = {"steps": failed}
        over_since = stored.finished_at or ""
        with suppress(Conflict):  # somebody else retried it just now; a second time would be one too many
            await self._write(
                stored, "run.retried", by, told, status=RunStatus.RUNNING, reopen=over_since, steps=rows
            )

    async def fork(
        self, tenant_id: str, run_id: str, from_step: str | None
    ) -> tuple[StoredRun, dict[str, StepState]]:
        """What a new run takes over of this one: every finished step that `from_step` does not lead to.

        Without from_step: all finished steps. What was undone, and what was built on it, is done again.
        """
        stored = await self._owned(tenant_id, run_id)
        if from_step is not None and from_step not in stored.plan.by_key:
            raise NotFound("The run's plan has no such step.", run_id=run_id, step=from_step)
        undone = [k for k, state in stored.steps.items() if state.status is StepStatus.COMPENSATED]
        again, todo = set[str](), [root_of(key) for key in undone]
        todo += [] if from_step is None else [from_step]
        while todo:
            key = todo.pop()
            if key not in again:
                again.add(key)
                todo += stored.plan.children_of(key)
        kept = {key: state for key, state in stored.steps.items() if root_of(key) not in again}
        return stored, shared_steps(kept, run_id)

    async def answer(self, tenant_id: str, run_id: str, key: str, by: str, result: StepResult | None) -> None:
        """End a step's waiting: with a result, or (None) by doing the step again under the next attempt."""
        stored, state = await self._waiting(tenant_id, run_id, key)
        state.status = StepStatus.READY if result is None else StepStatus.COMPLETED
        state.result, state.reason, state.wake_at = result, None, None
        payload = {"again": result is None, "output": result.output if result else None}
        await self._answered(stored, key, state, told="step.answered", by=by, payload=payload)

    async def reject(self, tenant_id: str, run_id: str, key: str, by: str, why: str | None) -> None:
        """Say no to a step that waits for approval: it fails, or is skipped where the plan says so."""
        stored, state = await self._waiting(tenant_id, run_id, key)
        skip = step_named(stored.plan, key).on_error is OnError.SKIP
        state.status = StepStatus.SKIPPED if skip else StepStatus.FAILED
        message = f"{by} said no" + (f": {why}" if why else ".")
        state.error = {"code": "rejected", "message": message, "details": {"by": by, "why": why}}
        state.reason, state.wake_at = "rejected", None
        await self._answered(stored, key, state, told="step.rejected", by=by, payload={"why": why})

    async def _answered(
        self, stored: StoredRun, key: str, state: StepState, *, told: str, by: str, payload: Mapping[str, Any]
    ) -> None:
        now = self.clock.now()
        if state.status.is_over:
            state.finished_at = rfc3339(now)
        run_id = stored.record.id
        paused = stored.status is RunStatus.PAUSED
        change = Change(
            run_id,
            stored.record.tenant_id,
            steps=[step_values(run_id, key, state)],
            answers=(key, state.attempt),
            status=RunStatus.PAUSED if paused else RunStatus.RUNNING,
            at=rfc3339(now),
            events=[Event(told, f"step:{run_id}/{key}", now, by, {"step": key, **payload}, run_id)],
        )
        if not await self.journal.write(change):
            raise _not_waiting(run_id, key)
        await self.nudge(run_id)

    async def _waiting(self, tenant_id: str, run_id: str, key: str) -> tuple[StoredRun, StepState]:
        stored = await self._owned(tenant_id, run_id)
        state = stored.steps.get(key)
        if state is None or state.status is not StepStatus.WAITING:
            raise _not_waiting(run_id, key)
        return stored, state

    async def _unfinished(self, tenant_id: str, run_id: str) -> StoredRun:
        stored = await self._owned(tenant_id, run_id)
        if stored.status.is_over:
            raise Conflict(f"This run is over: {stored.status.value}.", code="run_over", run_id=run_id)
        return stored

    async def _owned(self, tenant_id: str, run_id: str) -> StoredRun:
        run = await self.store.run(run_id)
        if run is None or run.record.tenant_id != tenant_id:
            raise NotFound("There is no such run.", run_id=run_id)
        return run

    async def _write(
        self,
        stored: StoredRun,
        type_: str,
        by: str,
        payload: Mapping[str, Any] | None = None,
        *,
        status: RunStatus | None = None,
        request: str | None = None,
        reopen: str | None = None,
        steps: list[tuple[Any, ...]] | None = None,
    ) -> None:
        now = self.clock.now()
        run_id = stored.record.id
        change = Change(
            run_id,
            stored.record.tenant_id,
            steps=steps or [],
            status=status,
            request=request,
            reopen=reopen,
            at=rfc3339(now),
            events=[Event(type_, f"run:{run_id}", now, by, dict(payload or {}), run_id)],
        )
        if not await self.journal.write(change):
            raise Conflict(
                "The run has moved on meanwhile; look at it again.", code="run_moved", run_id=run_id
            )


def _doubts(state: StepState) -> dict[str, Any] | None:
    """What is left of a step's history when it is done anew: that it may have had its effect already."""
    unknown = state.attempt > 0 and state.status is StepStatus.CANCELLED
    doubtful = unknown or History.from_json(state.history).may_have_happened
    return History(doubtful=True).to_json() if doubtful else None


def _not_waiting(run_id: str, key: str) -> Conflict:
    return Conflict("This step is not waiting for anybody.", code="not_waiting", run_id=run_id, step=key)
