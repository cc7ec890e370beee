"""One attempt of a step: what its handler is given, how long it may take, what its answer or error means."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from omniforge.core.clock import Clock
from omniforge.core.errors import OmniForgeError
from omniforge.core.logs import bind
from omniforge.engine import budgets, templates
from omniforge.engine.active import NO_HINTS, ActiveRun, Fenced, Handler, NotWritten, StepCall
from omniforge.engine.builtin import wait_step
from omniforge.engine.changes import ENGINE
from omniforge.engine.deadlines import Deadlines
from omniforge.engine.events import Event
from omniforge.engine.journal import Journal
from omniforge.engine.outputs import Outputs
from omniforge.engine.plan import WAIT, Step
from omniforge.engine.records import Change
from omniforge.engine.recovery.policy import Failure, classify, timed_out
from omniforge.engine.state import StepResult, StepState, Waiting

log = logging.getLogger(__name__)

Emit = Callable[[str, dict[str, Any]], Awaitable[None]]


class Attempts:
    """Calls handlers. Whatever they raise becomes a `Failure`; being cancelled goes through."""

    def __init__(
        self, journal: Journal, handlers: Mapping[str, Handler], outputs: Outputs, clock: Clock
    ) -> None:
        self.journal = journal
        self.handlers = handlers
        self.outputs = outputs
        self.clock = clock
        self._wait = wait_step(clock)
        self._deadlines = Deadlines()

    async def attempt(self, run: ActiveRun, step: Step, state: StepState) -> StepResult | Waiting | Failure:
        """The next attempt of a step whose start is durable."""
        try:
            call = await self._call(run, step, state)
        except OmniForgeError as error:
            return classify(error)
        outcome = await self.called(run, call, step.kind, step.timeout)
        run.woken.discard(step.key)
        return outcome

    async def called(
        self, run: ActiveRun, call: StepCall, kind: str, timeout: float | None
    ) -> StepResult | Waiting | Failure:
        """A handler's checked answer, or why there is none."""
        with bind(run.record.id, call.step.key, run.record.tenant_id):
            return await self._called(run, call, kind, timeout)

    async def _called(
        self, run: ActiveRun, call: StepCall, kind: str, timeout: float | None
    ) -> StepResult | Waiting | Failure:
        handler = self._wait if kind == WAIT else self.handlers[kind]
        limit = None if timeout is None else self._deadlines.set(timeout)
        late = False
        try:
            try:
                result = await handler(call)
            finally:
                late = limit is not None and self._deadlines.lift(limit)
            return await self.outputs.checked(run, call.step.key, result)
        except (Fenced, NotWritten):
            raise
        except OmniForgeError as error:
            return classify(error)
        except (asyncio.CancelledError, TimeoutError) as error:
            if late and timeout is not None:
                return timed_out(timeout)
            if isinstance(error, asyncio.CancelledError) and _is_being_cancelled():
                raise
            return classify(error)  # the handler's own: something it waited for was cancelled, or late
        except Exception as error:
            # The path of a handler's fault ends here: told in plain words, kept whole for developers.
            log.exception("step %s of run %s failed unexpectedly", call.step.key, run.record.id)
            return classify(error)

    async def _call(self, run: ActiveRun, step: Step, state: StepState) -> StepCall:
        key = step.key
        outputs: dict[str, dict[str, Any]] = {}
        inputs: dict[str, Any] = {}
        if step.inputs or step.needs:
            scope = run.progress.scope(key)
            outputs = await self.outputs.view(run, _reads(run, step, len(scope.prefix)), key)
            if step.inputs:
                inputs = templates.fill(step.inputs, {"input": scope.input, **scope.loop, **outputs})
        return StepCall(
            run.record,
            step,
            state.attempt,
            inputs,
            outputs,
            self.emitter(run, key),
            run.stopping,
            NO_HINTS if state.history is None else state.history.get("hints", NO_HINTS),
            key in run.woken,
            budgets.left(run, step),
        )

    def emitter(self, run: ActiveRun, key: str) -> Emit:
        """A function that writes events of a step. It raises `Fenced` once the run is somebody else's."""
        record = run.record

        async def emit(type_: str, payload: dict[str, Any]) -> None:
            told = {"step": key, **payload}
            event = Event(type_, f"step:{record.id}/{key}", self.clock.now(), ENGINE, told, record.id)
            change = Change(record.id, record.tenant_id, epoch=record.epoch, events=[event])
            try:
                written = await self.journal.write(change)
            except OmniForgeError as error:
                raise NotWritten(error.message) from error
            if not written:
                raise Fenced(f"run {record.id} is over, or another writer drives it")

        return emit


def _reads(run: ActiveRun, step: Step, prefix: int) -> frozenset[str]:
    known = run.plan.reads.get(step.key)
    if known is None:
        needs = (need[prefix:] for need in step.needs)
        known = frozenset((*needs, *templates.references(step.inputs)))
        if step.key in run.plan.by_key:
            run.plan.reads[step.key] = known
    return known


def _is_being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0
