"""Which steps start: conditions, expansion, budget, and a slot if one is free."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from omniforge.core.errors import Fatal, OmniForgeError
from omniforge.engine import budgets, templates
from omniforge.engine.active import ActiveRun
from omniforge.engine.admission import Admission
from omniforge.engine.changes import Draft
from omniforge.engine.expansion import is_plain, steps_for_items, steps_of_subplan
from omniforge.engine.outputs import Outputs
from omniforge.engine.plan import PLAIN_RESOURCES, OnError, Step
from omniforge.engine.recovery.policy import Failure, classify
from omniforge.engine.slots import SlotRequest
from omniforge.engine.state import StepStatus

MAX_TASKS = 512
"""Steps of one run that are under way or wait for a slot at once."""


class Launcher:
    """Decides on steps whose needs are over. Nothing here waits, and nothing starts before it is written."""

    def __init__(self, admission: Admission, outputs: Outputs) -> None:
        self.admission = admission
        self.outputs = outputs

    def launch(self, run: ActiveRun, draft: Draft, ready: Iterable[str]) -> list[str]:
        """Put what starts, and what is skipped instead, into the draft; returns the steps that get a task."""
        run.backlog.extend(ready)
        launched: list[str] = []
        while run.backlog and len(run.tasks) + len(launched) < MAX_TASKS:
            key = run.backlog.popleft()  # grows while skipped steps make others ready
            if run.ending:
                continue
            step = run.progress.by_key[key]
            if not is_plain(step) and key not in run.progress.groups:
                if self.outputs.unloaded(run, step):
                    launched.append(key)
                    continue
                if not self._decide(run, draft, step):
                    continue
            if self._start(run, draft, step):
                launched.append(key)
        return launched

    def _start(self, run: ActiveRun, draft: Draft, step: Step) -> bool:
        """Start a step if there is a slot for it; True when it needs a task, be it to wait for one."""
        key = step.key
        group = run.progress.groups.get(key) if run.progress.groups else None
        if group is not None:
            return group.unfinished == 0
        failure = budgets.exceeded(run)
        if failure is not None:
            self._fail(run, draft, key, failure)
            return False
        if key in run.progress.states and run.progress.states[key].wake_at is not None:
            return True  # it rests until its next attempt
        request = slot_request(run, step)
        if self.admission.try_acquire(request):
            run.slots[key] = request
            draft.start(key, step.kind)
        else:
            run.progress.states[key].status = StepStatus.READY
            draft.put(key)
        return True

    def _decide(self, run: ActiveRun, draft: Draft, step: Step) -> bool:
        """Conditions and expansion of a step that is not plain; False when it is not to be started itself."""
        progress, key = run.progress, step.key
        if progress.is_cut_off(step):
            run.backlog.extendleft(reversed(draft.skip(key, "needs_skipped")))
            return False
        try:
            if step.when is not None:
                seen = self._seen(run, step.when, key)
                if not templates.is_true(step.when, progress.scope(key).input, seen):
                    run.backlog.extendleft(reversed(draft.skip(key, "when_false")))
                    return False
            if step.is_composite:
                self.expand(run, step)
        except Fatal as error:
            failure = classify(error)
            if step.on_error is OnError.SKIP:
                run.backlog.extendleft(reversed(draft.skip(key, failure.code, failure.shown())))
            else:
                self._fail(run, draft, key, failure)
            return False
        if not step.is_composite:
            return True
        return self._begin_group(run, draft, key)

    def _begin_group(self, run: ActiveRun, draft: Draft, key: str) -> bool:
        """Tell of an expansion and line up what it begins with; True when there is nothing in it."""
        group, state = run.progress.groups[key], run.progress.states[key]
        if state.attempt == 0:
            state.attempt, state.status, state.started_at = 1, StepStatus.RUNNING, draft.at
            draft.tell("step.expanded", {"step": key, "steps": len(group.keys)}, key)
            draft.put(key)
        if group.unfinished == 0:
            return True
        run.backlog.extendleft(reversed(run.progress.startable(group.keys)))
        return False

    def expand(self, run: ActiveRun, step: Step) -> None:
        """Put the steps a composite step becomes in its place. `Fatal` when its list is none."""
        progress, key = run.progress, step.key
        if key in progress.groups:
            return
        scope = progress.scope(key)
        if step.for_each is not None:
            seen = self._seen(run, step.for_each, key)
            items = templates.items_of(step.for_each, scope.input, seen, step.max_items)
            steps, scopes = steps_for_items(step, scope, items)
        else:
            names = self.outputs.loaded_view(run, templates.references(step.inputs), key)
            inputs = templates.fill(step.inputs, {"input": scope.input, **scope.loop, **names})
            steps, scopes = steps_of_subplan(step, inputs)
        progress.expand(key, steps, scopes)

    async def expand_again(self, run: ActiveRun, draft: Draft) -> None:
        """After a restart: composite steps that had begun are expanded as they were."""
        progress = run.progress
        todo = [step.key for step in run.plan.steps if step.is_composite and step.key in progress.states]
        for key in todo:  # grows with what is found inside
            state, step = progress.states[key], progress.by_key[key]
            if state.attempt == 0 or state.status is StepStatus.SKIPPED or state.is_shared:
                continue
            needed = [progress.states[need].status for need in step.needs]
            if not all(status.is_over or status is StepStatus.COMPENSATING for status in needed):
                continue  # what it needs is done again first
            try:
                await self.outputs.load(run, step)
                self.expand(run, step)
            except OmniForgeError as error:
                if not state.status.is_over:
                    self._fail(run, draft, key, classify(error))
                continue
            inside = progress.groups[key].keys
            todo += [
                child for child in inside if child in progress.states and progress.by_key[child].is_composite
            ]
        run.loaded.clear()

    def _seen(self, run: ActiveRun, condition: str, key: str) -> Mapping[str, Mapping[str, Any]]:
        return self.outputs.loaded_view(run, templates.condition_references(condition), key)

    def _fail(self, run: ActiveRun, draft: Draft, key: str, failure: Failure) -> None:
        run.failure = run.failure or (key, failure)
        draft.fail(key, failure)


def slot_request(run: ActiveRun, step: Step) -> SlotRequest:
    """What a step has to hold while it runs; steps without wishes of their own share one request."""
    needed = step.resources
    if needed is PLAIN_RESOURCES and step.priority <= run.record.priority:
        if run.plain_slot is None:
            run.plain_slot = SlotRequest(run.record.tenant_id, run.record.priority)
        return run.plain_slot
    return SlotRequest(
        run.record.tenant_id,
        max(step.priority, run.record.priority),
        provider=needed.provider,
        model=needed.model,
        sandbox=needed.sandbox,
        slots=needed.slots,
        memory_mb=needed.memory_mb,
    )
