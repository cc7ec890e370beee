"""The one path: admission, attempt, handler, output check, checkpoint, recovery, event."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from omniforge.core.clock import Clock, rfc3339
from omniforge.core.errors import OmniForgeError
from omniforge.engine import takeup
from omniforge.engine.active import ActiveRun, Fenced, Handler
from omniforge.engine.admission import Admission, NeverFits
from omniforge.engine.artifacts import ArtifactStore
from omniforge.engine.attempts import Attempts
from omniforge.engine.changes import Draft
from omniforge.engine.delays import told_when_late
from omniforge.engine.expansion import is_plain
from omniforge.engine.journal import Journal
from omniforge.engine.launching import Launcher, slot_request
from omniforge.engine.outputs import Outputs
from omniforge.engine.pacing import Pace
from omniforge.engine.plan import OnError, Step
from omniforge.engine.records import Change
from omniforge.engine.recovering import decide_step
from omniforge.engine.recovery.decision import Again, AskPerson, Decision, GiveUp, Later, told
from omniforge.engine.recovery.policy import Failure, classify
from omniforge.engine.recovery.wave import overrun, seconds_left
from omniforge.engine.saga import Saga
from omniforge.engine.settling import settle_run
from omniforge.engine.slots import SlotRequest
from omniforge.engine.state import RunStatus, Signal, StepResult, StepState, StepStatus, Waiting, final_status
from omniforge.engine.store import RunStore

GRACE = 5.0
"""Seconds that a cancelled step may take to leave."""


class Executor:
    """Drives runs. Everything it decides is a `Change` that is durable before anything builds on it."""

    def __init__(
        self,
        journal: Journal,
        store: RunStore,
        artifacts: ArtifactStore,
        *,
        handlers: Mapping[str, Handler],
        admission: Admission,
        clock: Clock,
        grace: float = GRACE,
    ) -> None:
        self.journal = journal
        self.store = store
        self.admission = admission
        self.admission.holders = self.held_slots
        self.clock = clock
        self.grace = grace
        outputs = Outputs(artifacts)
        self._outputs = outputs
        self._attempts = Attempts(journal, handlers, outputs, clock)
        self._launcher = Launcher(admission, outputs)
        self.runs: set[ActiveRun] = set()
        """Every run that may hold slots."""
        self.pace = Pace()
        self._saga = Saga(journal, self._attempts, outputs, clock)

    def begin(self, run: ActiveRun, change: Change) -> None:
        """Let a new run's first steps start with the very change that makes it durable."""
        self.runs.add(run)
        draft = Draft(run, self.clock.now())
        draft.tell("run.started", {"plan_hash": run.record.plan_hash})
        draft.status = RunStatus.RUNNING
        run.launched = self._launcher.launch(run, draft, run.progress.startable())
        draft.join(change)
        run.status, run.begun = RunStatus.RUNNING, True

    async def catch_up(self, run: ActiveRun) -> None:
        """Until what a drive of this run handed in before it ended is durable, or refused."""
        record = run.record
        await self.journal.write(Change(record.id, record.tenant_id, epoch=record.epoch))

    def abandon(self, run: ActiveRun) -> None:
        """Give back what a run that did not become durable held."""
        for key in list(run.slots):
            self._release(run, key)
        self.runs.discard(run)

    def held_slots(self) -> Iterable[SlotRequest]:
        """What the steps under way hold, counted from the runs themselves."""
        return (request for run in self.runs for request in run.slots.values())

    # --- the run -------------------------------------------------------------------------------------------

    async def execute_run(self, run: ActiveRun, corrupted: Iterable[str] = ()) -> RunStatus:
        """Drive a run until it is over, waits or is paused; returns where it stands.

        When this is cancelled nothing is written: what was under way is left to recovery.
        """
        overdue: asyncio.Task[None] | None = None
        self.runs.add(run)
        try:
            if run.begun:
                self._make_tasks(run, run.launched)
            else:
                await self._take_up(run, corrupted)
            if run.plan.estimate is not None:
                overdue = asyncio.create_task(self._call_overdue(run, run.plan.estimate))
            await self._watch(run)
            await self._stop_tasks(run)
            if run.problem is not None:
                raise run.problem
            if run.status.is_over:
                return run.status
            return await settle_run(run, self.journal, self._saga, self.clock)
        finally:
            if overdue is not None:
                overdue.cancel()
            await self._stop_tasks(run)
            self.runs.discard(run)

    async def _take_up(self, run: ActiveRun, corrupted: Iterable[str]) -> None:
        draft = Draft(run, self.clock.now())
        for key in corrupted:
            draft.tell("checkpoint.corrupted", {"step": key}, key)
        if run.status is RunStatus.QUEUED:
            draft.tell("run.started", {"plan_hash": run.record.plan_hash})
        draft.status = RunStatus.RUNNING
        await self._launcher.expand_again(run, draft)
        takeup.recall(run)
        for key in takeup.count_interruptions(run):
            failure = takeup.interrupted_too_often(key)
            run.failure = run.failure or (key, failure)
            draft.fail(key, failure)
        takeup.obey(run, run.request)
        takeup.wake_due(run, draft.at)
        run.begun = True
        for key in run.progress.waiting():
            self._set_alarm(run, run.progress.states[key].wake_at)
        self._make_tasks(run, await self._advance(run, draft, run.progress.startable()))

    async def _watch(self, run: ActiveRun) -> None:
        """Until nothing is under way any more, or must not be."""
        hard: asyncio.TimerHandle | None = None
        try:
            while run.tasks and run.problem is None:
                if run.failure is not None and run.plan.fail_fast:
                    return
                if run.ending:
                    for key in run.idle & run.tasks.keys():
                        run.tasks[key].cancel()
                if run.cancelled_by is not None and hard is None:
                    run.stopping.set()
                    loop = asyncio.get_running_loop()
                    hard = loop.call_later(self.grace, partial(_cancel_tasks, run))
                await run.wake.wait()
                run.wake.clear()
                if run.poked and not run.status.is_over:
                    run.poked = False
                    await self._look_again(run)
        finally:
            if hard is not None:
                hard.cancel()

    async def _look_again(self, run: ActiveRun) -> None:
        """Act on what people did to the stored run since."""
        stored = await self.store.run(run.record.id)
        if stored is None or stored.record.epoch != run.record.epoch:
            raise Fenced(f"run {run.record.id} is driven by somebody else")
        takeup.obey(run, stored.request)
        draft = Draft(run, self.clock.now())
        ready = takeup.take_answers(run, stored.steps) + takeup.wake_due(run, draft.at)
        if ready:
            self._make_tasks(run, await self._advance(run, draft, ready))

    async def _call_overdue(self, run: ActiveRun, estimate: float) -> None:
        begun = self.clock.now()
        while True:
            spent = (self.clock.now() - begun).total_seconds()
            overdue = overrun(estimate, spent)
            if overdue is not None:
                break
            await self.clock.sleep(seconds_left(estimate, spent) or 0.0)
        if not run.ending:
            run.pausing = overdue.reason
            run.wake.set()

    # --- one step ------------------------------------------------------------------------------------------

    async def execute_step(self, run: ActiveRun, key: str) -> list[str]:
        """One step from admission to its checkpoint, over as many attempts as recovery decides.

        Returns the steps that its end lets start.
        """
        step, state = run.progress.by_key[key], run.progress.states[key]
        if key in run.progress.groups:
            return await self._gather(run, step)
        while True:
            try:
                if key not in run.slots:
                    await self._rest(run, step, state)
                    await self._acquire(run, step)
                outcome = await self._attempts.attempt(run, step, state)
            except NeverFits as error:
                outcome = classify(error)
            finally:
                self._release(run, key)
            if not self.pace.is_free:
                await self.pace.take()
            match outcome:
                case StepResult():
                    return await self._complete(run, step, outcome)
                case Waiting():
                    return await self._park_step(run, step, outcome)
                case Failure():
                    decision = decide_step(run, step, state, outcome)
                    if isinstance(decision, GiveUp | AskPerson):
                        return await self._fail(run, step, outcome, decision)
                    await self._note_retry(run, step, outcome, decision)
                    if run.ending:
                        return []  # another attempt when somebody resumes or retries the run

    async def _rest(self, run: ActiveRun, step: Step, state: StepState) -> None:
        """Until the moment at which the next attempt may begin."""
        if state.wake_at is None:
            return
        run.idle.add(step.key)
        moment = datetime.fromisoformat(state.wake_at)
        while (left := (moment - self.clock.now()).total_seconds()) > 0:
            await self.clock.sleep(min(left, 3600))
        run.idle.discard(step.key)

    async def _acquire(self, run: ActiveRun, step: Step) -> None:
        """Wait for a slot, then begin the next attempt."""
        request = slot_request(run, step)
        run.idle.add(step.key)
        with told_when_late(request, self.admission, self.clock, self._attempts.emitter(run, step.key)):
            await self.admission.acquire(request)
        run.slots[step.key] = request
        run.idle.discard(step.key)
        draft = Draft(run, self.clock.now())
        draft.start(step.key, step.kind)
        await self._write(run, draft)

    async def _gather(self, run: ActiveRun, step: Step) -> list[str]:
        """A composite step whose steps are over gets its output from theirs."""
        try:
            result = await self._outputs.gather(run, step)
        except OmniForgeError as error:
            return await self._fail(run, step, classify(error))
        return await self._complete(run, step, result)

    async def _complete(self, run: ActiveRun, step: Step, result: StepResult) -> list[str]:
        key = step.key
        state = run.progress.states[key]
        draft = Draft(run, self.clock.now())
        state.result, state.error, state.reason, state.finished_at = result, None, None, draft.at
        ready = run.progress.settle(key, StepStatus.COMPLETED)
        if result.signal is Signal.STOP:
            run.stopped = result.message or key
        payload: dict[str, Any] = {
            "step": key,
            "attempt": state.attempt,
            "message": result.message,
            "signal": result.signal.value,
            "artifacts": result.artifacts,
        }
        draft.tell("step.completed", payload, key)
        draft.put(key, run.texts.pop(key, None))
        return await self._advance(run, draft, ready, ended=key)

    async def _fail(
        self, run: ActiveRun, step: Step, failure: Failure, decision: Decision | None = None
    ) -> list[str]:
        draft = Draft(run, self.clock.now())
        if isinstance(decision, AskPerson):
            failure = replace(failure, needs_person=True)
        if step.on_error is OnError.SKIP and not failure.needs_person:
            return await self._advance(run, draft, draft.skip(step.key, failure.code, failure.shown()))
        run.failure = run.failure or (step.key, failure)
        draft.fail(step.key, failure, None if decision is None else told(decision))
        await self._write(run, draft)
        return []

    async def _park_step(self, run: ActiveRun, step: Step, waiting: Waiting) -> list[str]:
        draft = Draft(run, self.clock.now())
        state = run.progress.states[step.key]
        state.status, state.reason = StepStatus.WAITING, waiting.reason
        state.wake_at = None if waiting.until is None else rfc3339(waiting.until)
        payload = {"step": step.key, "reason": waiting.reason, "until": state.wake_at, **waiting.details}
        draft.tell("step.waiting", payload, step.key)
        draft.put(step.key)
        await self._write(run, draft)
        self._set_alarm(run, state.wake_at)
        return []

    def _set_alarm(self, run: ActiveRun, wake_at: str | None) -> None:
        if wake_at is not None:
            run.alarms.append(asyncio.create_task(self._alarm(run, datetime.fromisoformat(wake_at))))

    async def _alarm(self, run: ActiveRun, moment: datetime) -> None:
        """Wakes a run that is still driven then; a parked one is woken by its worker."""
        while (left := (moment - self.clock.now()).total_seconds()) > 0:
            await self.clock.sleep(min(left, 3600))
        run.poke()

    async def _note_retry(
        self, run: ActiveRun, step: Step, failure: Failure, decision: Again | Later
    ) -> None:
        now = self.clock.now()
        draft = Draft(run, now)
        state = run.progress.states[step.key]
        state.status, state.error = StepStatus.READY, failure.shown()
        state.wake_at = rfc3339(now + timedelta(seconds=decision.delay)) if decision.delay > 0 else None
        payload = {"step": step.key, "attempt": state.attempt, "error": state.error, **told(decision)}
        draft.tell("step.retried", payload, step.key)
        draft.put(step.key)
        await self._write(run, draft)

    async def _advance(
        self, run: ActiveRun, draft: Draft, ready: Iterable[str], *, ended: str | None = None
    ) -> list[str]:
        """Write what just ended together with what it makes start (or skip), or with the end of the run.

        Returns the steps that may get a task now.
        """
        launched = self._launcher.launch(run, draft, ready)
        alone = len(run.tasks) == 1 and ended in run.tasks
        if alone and not launched and run.progress.unfinished == 0 and not run.ending:
            draft.end(final_status(run.plan, run.progress.states))
        await self._write(run, draft)
        run.status = draft.status or run.status
        return launched

    async def _load_and_launch(self, run: ActiveRun, step: Step) -> list[str]:
        """Decide on a step that needs large outputs to be decided on."""
        try:
            keys = await self._outputs.load(run, step)
        except OmniForgeError as error:
            return await self._fail(run, step, classify(error))
        try:
            return await self._advance(run, Draft(run, self.clock.now()), [step.key])
        finally:
            for key in keys:
                run.loaded.pop(key, None)

    # --- tasks ---------------------------------------------------------------------------------------------

    def _make_tasks(self, run: ActiveRun, keys: Iterable[str]) -> None:
        for key in keys:
            run.tasks[key] = asyncio.create_task(self._guarded(run, key))

    async def _guarded(self, run: ActiveRun, key: str) -> None:
        """Do a step, and go on with one of those it lets start: a chain is one task."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - for the type checker
        decided = ""  # with large outputs, once
        try:
            while True:
                step = run.progress.by_key[key]
                if (
                    key not in {decided, *run.slots}
                    and not is_plain(step)
                    and self._outputs.unloaded(run, step)
                ):
                    launched, decided = await self._load_and_launch(run, step), key
                else:
                    launched = await self.execute_step(run, key)
                if not launched:
                    return
                following, *others = launched
                del run.tasks[key]
                key, run.tasks[following] = following, task
                self._make_tasks(run, others)
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - a journal that cannot write ends the drive
            run.problem = error
        finally:
            run.idle.discard(key)
            if run.tasks.get(key) is task:
                del run.tasks[key]
            if not run.tasks or run.ending or run.problem is not None:
                run.wake.set()

    async def _stop_tasks(self, run: ActiveRun) -> None:
        tasks = [*run.tasks.values(), *run.alarms]
        if tasks:
            run.alarms.clear()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            run.tasks.clear()
        for key in list(run.slots):  # of tasks that were cancelled before they began
            self._release(run, key)

    def _release(self, run: ActiveRun, key: str) -> None:
        request = run.slots.pop(key, None)
        if request is not None:
            self.admission.release(request)

    async def _write(self, run: ActiveRun, draft: Draft) -> None:
        if not await self.journal.write(draft):
            raise Fenced(f"run {run.record.id} is over, or another writer drives it")
        if run.problem is not None:
            raise run.problem  # a change before this one, on which this one may build, could not be written


def _cancel_tasks(run: ActiveRun) -> None:
    for task in run.tasks.values():
        task.cancel()
