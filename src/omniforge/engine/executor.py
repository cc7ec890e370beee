"""The one path of a step: admission, attempt, handler, output check, checkpoint, recovery, event."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterable, Mapping
from typing import Any

from omniforge.core.clock import Clock, rfc3339
from omniforge.core.errors import Fatal, OmniForgeError
from omniforge.engine import templates
from omniforge.engine.active import ActiveRun, Fenced, Handler, StepCall
from omniforge.engine.admission import Admission
from omniforge.engine.events import Event
from omniforge.engine.journal import SqliteJournal
from omniforge.engine.plan import OnError, Step
from omniforge.engine.recovery.policy import Failure, classify, timed_out
from omniforge.engine.recovery.retry import Again, retry
from omniforge.engine.state import (
    RunStatus,
    Signal,
    StepResult,
    StepState,
    StepStatus,
    Waiting,
    final_status,
)
from omniforge.engine.store import Change, StepRecord

log = logging.getLogger(__name__)

MAX_OUTPUT = 1_048_576
ENGINE = "system:engine"


class Executor:
    """Drives runs. Everything it decides is a `Change` that is durable before anything builds on it."""

    def __init__(
        self, journal: SqliteJournal, handlers: Mapping[str, Handler], admission: Admission, clock: Clock
    ) -> None:
        self.journal = journal
        self.handlers = handlers
        self.admission = admission
        self.clock = clock

    async def execute_run(self, run: ActiveRun, corrupted: Iterable[str] = ()) -> RunStatus:
        """Drive a run until it is over or only waits; returns where it stands.

        When this is cancelled nothing is written: what was under way is left to recovery.
        """
        events = [self._event(run, "checkpoint.corrupted", key, {"step": key}) for key in corrupted]
        if run.status is RunStatus.QUEUED:
            events.append(self._event(run, "run.started", None, {"plan_hash": run.record.plan_hash}))
        try:
            await self._advance(run, run.progress.startable(), events, status=RunStatus.RUNNING)
            while (run.tasks or run.answers) and not run.ending and run.problem is None:
                if not run.answers:
                    await run.wake.wait()
                    run.wake.clear()
                while run.answers and not run.ending:
                    await self._take_answer(run, *run.answers.pop(0))
            await self._stop_tasks(run)
            if run.problem is not None:
                raise run.problem
            return await self._settle_run(run)
        finally:
            await self._stop_tasks(run)

    async def execute_step(self, run: ActiveRun, key: str) -> None:
        """One step from admission to its checkpoint, over as many attempts as recovery decides."""
        step, state = run.progress.by_key[key], run.progress.states[key]
        while True:
            try:
                if key not in run.slots:
                    await self.admission.acquire()
                    run.slots.add(key)
                    await self._begin_attempt(run, step)
                outcome = await self._attempt(run, step)
            finally:
                self._release(run, key)
            match outcome:
                case StepResult():
                    return await self._complete(run, step, outcome)
                case Waiting():
                    return await self._wait(run, step, outcome)
                case Failure():
                    state.failures += 1
                    decision = retry(outcome, state.failures, step.retry, f"{run.record.id}/{key}")
                    if decision is None:
                        return await self._fail(run, step, outcome)
                    await self._note_retry(run, step, outcome, decision)
                    await self.clock.sleep(decision.delay)

    async def _attempt(self, run: ActiveRun, step: Step) -> StepResult | Waiting | Failure:
        state = run.progress.states[step.key]
        read = {*step.needs, *templates.references(step.inputs)}
        outputs = run.progress.view(read)

        async def emit(type_: str, payload: dict[str, Any]) -> None:
            event = self._event(run, type_, step.key, {"step": step.key, **payload})
            await self.journal.write(Change(run.record.id, run.record.tenant_id, events=[event]))

        inputs = templates.fill(step.inputs, run.record.input, outputs)
        call = StepCall(run.record, step, state.attempt, inputs, outputs, emit)
        limit = asyncio.timeout(step.timeout)
        try:
            async with limit:
                result = await self.handlers[step.kind](call)
                return _checked(result)
        except TimeoutError as error:
            if step.timeout is not None and limit.expired():
                return timed_out(step.timeout)
            return classify(error)
        except OmniForgeError as error:
            return classify(error)
        except Exception as error:
            # The path of a handler's fault ends here: told in plain words, kept whole for developers.
            log.exception("step %s of run %s failed unexpectedly", step.key, run.record.id)
            return classify(error)

    # --- changes -------------------------------------------------------------------------------------------

    async def _advance(
        self,
        run: ActiveRun,
        ready: Iterable[str],
        events: list[Event],
        *,
        records: list[StepRecord] | None = None,
        guard: tuple[str, int] | None = None,
        status: RunStatus | None = None,
    ) -> None:
        """Write what just ended together with what it makes start (or skip), then start it."""
        records = records if records is not None else []
        starting: list[str] = []
        queue = [] if run.ending else list(ready)
        for key in queue:  # grows while skipped steps make others ready
            step = run.progress.by_key[key]
            reason = self._skip_reason(run, step)
            if isinstance(reason, Failure):
                run.failure = (key, reason)
                records.append(self._settled(run, key, StepStatus.FAILED, error=reason.shown()))
                events.append(self._event(run, "step.failed", key, {"step": key, "error": reason.shown()}))
                break
            if reason is not None:
                run.progress.states[key].reason = reason
                queue.extend(run.progress.settle(key, StepStatus.SKIPPED))
                records.append(self._record(run, key))
                events.append(self._event(run, "step.skipped", key, {"step": key, "reason": reason}))
                continue
            run.progress.states[key].status = StepStatus.READY
            if self.admission.try_acquire():
                run.slots.add(key)
                events.append(self._started(run, step))
            records.append(self._record(run, key))
            starting.append(key)
        await self._write(run, records, events, guard=guard, status=status)
        run.status = status or run.status
        for key in starting:
            run.tasks[key] = asyncio.create_task(self._guarded(run, key))

    async def _take_answer(self, run: ActiveRun, key: str, result: StepResult | None) -> None:
        state = run.progress.states[key]
        state.result, state.reason = result, None
        if result is None:
            await self._advance(run, [key], [])
        else:
            await self._advance(run, run.progress.settle(key, StepStatus.COMPLETED), [])

    async def _guarded(self, run: ActiveRun, key: str) -> None:
        try:
            await self.execute_step(run, key)
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - a journal that cannot write ends the drive
            run.problem = error
        finally:
            run.tasks.pop(key, None)
            run.wake.set()

    def _skip_reason(self, run: ActiveRun, step: Step) -> str | Failure | None:
        if run.progress.is_cut_off(step):
            return "needs_skipped"
        if step.when is None:
            return None
        try:
            seen = run.progress.view(templates.condition_references(step.when))
            return None if templates.is_true(step.when, run.record.input, seen) else "when_false"
        except Fatal as error:
            return classify(error)

    async def _begin_attempt(self, run: ActiveRun, step: Step) -> None:
        event = self._started(run, step)
        await self._write(run, [self._record(run, step.key)], [event])

    def _started(self, run: ActiveRun, step: Step) -> Event:
        state = run.progress.states[step.key]
        state.status = StepStatus.RUNNING
        state.attempt += 1
        run.started[step.key] = rfc3339(self.clock.now())
        payload = {"step": step.key, "kind": step.kind, "attempt": state.attempt}
        return self._event(run, "step.started", step.key, payload)

    async def _complete(self, run: ActiveRun, step: Step, result: StepResult) -> None:
        state = run.progress.states[step.key]
        state.result, state.error = result, None
        if result.signal is Signal.STOP:
            run.stopped = result.message or step.key
        ready = run.progress.settle(step.key, StepStatus.COMPLETED)
        payload: dict[str, Any] = {"step": step.key, "attempt": state.attempt, "message": result.message}
        payload |= {"signal": result.signal.value, "artifacts": list(result.artifacts)}
        events = [self._event(run, "step.completed", step.key, payload)]
        records = [self._record(run, step.key)]
        await self._advance(run, ready, events, records=records, guard=(step.key, state.attempt))

    async def _wait(self, run: ActiveRun, step: Step, waiting: Waiting) -> None:
        state = run.progress.states[step.key]
        state.status, state.reason = StepStatus.WAITING, waiting.reason
        payload = {"step": step.key, "reason": waiting.reason, **waiting.details}
        event = self._event(run, "step.waiting", step.key, payload)
        await self._write(run, [self._record(run, step.key)], [event], guard=(step.key, state.attempt))

    async def _fail(self, run: ActiveRun, step: Step, failure: Failure) -> None:
        state = run.progress.states[step.key]
        shown = failure.shown()
        payload = {"step": step.key, "attempt": state.attempt, "error": shown}
        if step.on_error is OnError.SKIP and not failure.needs_person:
            state.error, state.reason = shown, failure.code
            ready = run.progress.settle(step.key, StepStatus.SKIPPED)
            events = [self._event(run, "step.skipped", step.key, {**payload, "reason": failure.code})]
            records = [self._record(run, step.key)]
            await self._advance(run, ready, events, records=records, guard=(step.key, state.attempt))
            return
        run.failure = (step.key, failure)
        record = self._settled(run, step.key, StepStatus.FAILED, error=shown)
        events = [self._event(run, "step.failed", step.key, payload)]
        await self._write(run, [record], events, guard=(step.key, state.attempt))

    async def _note_retry(self, run: ActiveRun, step: Step, failure: Failure, decision: Again) -> None:
        state = run.progress.states[step.key]
        state.status, state.error = StepStatus.READY, failure.shown()
        payload = {
            "step": step.key,
            "attempt": state.attempt,
            "error": failure.shown(),
            "delay": round(decision.delay, 3),
            "reason": decision.reason,
        }
        event = self._event(run, "step.retried", step.key, payload)
        await self._write(run, [self._record(run, step.key)], [event], guard=(step.key, state.attempt))

    async def _settle_run(self, run: ActiveRun) -> RunStatus:
        """Nothing runs any more: the run is over, or waits."""
        waiting = list(run.progress.waiting())
        if waiting and not run.ending:
            reasons = {key: run.progress.states[key].reason for key in waiting}
            event = self._event(run, "run.waiting", None, {"waiting_for": reasons})
            await self._write(run, [], [event], status=RunStatus.WAITING)
            return RunStatus.WAITING
        status, error = self._ending(run)
        left = StepStatus.SKIPPED if run.stopped is not None else StepStatus.CANCELLED
        records: list[StepRecord] = []
        events: list[Event] = []
        for key, state in run.progress.states.items():
            if not state.status.is_over:
                state.reason = state.reason or status.value
                state.status = left
                records.append(self._record(run, key))
                payload = {"step": key, "reason": status.value}
                events.append(self._event(run, f"step.{left.value}", key, payload))
        payload: dict[str, Any] = {"status": status.value, "subject": run.record.subject, "error": error}
        actor = run.cancelled_by or ENGINE
        finished = Event(
            "run.finished", f"run:{run.record.id}", self.clock.now(), actor, payload, run.record.id
        )
        await self._write(run, records, [*events, finished], status=status, error=error)
        return status

    def _ending(self, run: ActiveRun) -> tuple[RunStatus, dict[str, Any] | None]:
        if run.cancelled_by is not None:
            return RunStatus.CANCELLED, None
        if run.failure is not None:
            key, failure = run.failure
            status = RunStatus.NEEDS_PERSON if failure.needs_person else RunStatus.FAILED
            return status, {**failure.shown(), "step": key}
        return final_status(run.plan, run.progress.states), None

    async def _stop_tasks(self, run: ActiveRun) -> None:
        tasks = list(run.tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for key in list(run.slots):  # of tasks that were cancelled before they began
            self._release(run, key)

    def _release(self, run: ActiveRun, key: str) -> None:
        if key in run.slots:
            run.slots.discard(key)
            self.admission.release()

    # --- small parts ---------------------------------------------------------------------------------------

    async def _write(
        self,
        run: ActiveRun,
        steps: list[StepRecord],
        events: list[Event],
        *,
        guard: tuple[str, int] | None = None,
        status: RunStatus | None = None,
        error: dict[str, Any] | None = None,
    ) -> None:
        change = Change(
            run_id=run.record.id,
            tenant_id=run.record.tenant_id,
            steps=steps,
            guard=guard,
            status=status,
            error=error,
            at=rfc3339(self.clock.now()),
            events=events,
        )
        if not await self.journal.write(change):
            raise Fenced(f"run {run.record.id} is over, or another writer drives it")

    def _settled(
        self, run: ActiveRun, key: str, status: StepStatus, error: dict[str, Any] | None = None
    ) -> StepRecord:
        run.progress.states[key].error = error
        run.progress.settle(key, status)
        return self._record(run, key)

    def _record(self, run: ActiveRun, key: str) -> StepRecord:
        state = run.progress.states[key]
        finished = rfc3339(self.clock.now()) if state.status.is_over else None
        copy = StepState(state.status, state.attempt, state.failures, state.result, state.error, state.reason)
        return StepRecord(run.record.id, key, copy, run.started.get(key), finished)

    def _event(self, run: ActiveRun, type_: str, key: str | None, payload: dict[str, Any]) -> Event:
        entity = f"run:{run.record.id}" if key is None else f"step:{run.record.id}/{key}"
        return Event(type_, entity, self.clock.now(), ENGINE, payload, run.record.id)


def _checked(result: Any) -> StepResult | Waiting:
    """A handler's answer, or `Fatal` when it cannot be stored."""
    if isinstance(result, Waiting):
        return result
    if not isinstance(result, StepResult):
        raise Fatal(f"The handler returned {type(result).__name__}, not a result", code="bad_output")
    try:
        size = len(json.dumps(result.output, ensure_ascii=False, allow_nan=False).encode())
    except (TypeError, ValueError) as error:
        raise Fatal(f"The step's output is not plain JSON: {error}", code="bad_output") from error
    if size > MAX_OUTPUT:
        raise Fatal(f"The step's output is {size} bytes; at most {MAX_OUTPUT}", code="bad_output")
    return result
