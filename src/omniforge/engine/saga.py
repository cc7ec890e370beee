"""The undoing of a failed run: compensations in reverse order, durable, each with its own retry."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

from omniforge.core.clock import Clock
from omniforge.core.errors import OmniForgeError
from omniforge.engine import templates
from omniforge.engine.active import ActiveRun, Fenced, StepCall
from omniforge.engine.attempts import Attempts
from omniforge.engine.changes import Draft
from omniforge.engine.journal import Journal
from omniforge.engine.outputs import Outputs
from omniforge.engine.plan import Action, Step
from omniforge.engine.recovery.compensate import (
    Effect,
    Outcome,
    Undo,
    decide_undoing,
    read_probe,
    seconds_to_undo,
    undoings_due,
    what_stands,
)
from omniforge.engine.recovery.decision import Again, AskPerson, Probe
from omniforge.engine.recovery.history import History
from omniforge.engine.recovery.policy import Failure, FailureKind, classify
from omniforge.engine.state import RunStatus, StepResult, StepState, StepStatus, Waiting

STANDS = "stands: "
UNKNOWN = "outcome unknown"
Purpose = Literal["undo", "probe"]


class Saga:
    """Ends failed runs: `compensated` when all is undone, else `needs_person` with what stands."""

    def __init__(self, journal: Journal, attempts: Attempts, outputs: Outputs, clock: Clock) -> None:
        self.journal = journal
        self.attempts = attempts
        self.outputs = outputs
        self.clock = clock

    async def end_failed(self, run: ActiveRun) -> tuple[RunStatus, dict[str, Any]]:
        """Status and error of a run whose failure is known; undoes what has to be undone first."""
        assert run.failure is not None  # noqa: S101 - for the type checker
        key, failure = run.failure
        error = {**failure.shown(), "step": key}
        effects = _effects(run)
        if not any(effect.undoable and effect.outcome is not Outcome.NOT_HAPPENED for effect in effects):
            return RunStatus.NEEDS_PERSON if failure.needs_person else RunStatus.FAILED, error
        blocked: dict[str, str] = {}
        for undo in undoings_due(_needs(run), effects):
            state = run.progress.states[undo.key]
            if (state.reason or "").startswith(STANDS):
                problem = state.reason
            elif undo.key in blocked:
                problem = await self._leave(
                    run, undo.key, f"{blocked[undo.key]}, which came after it, stands"
                )
            else:
                problem = await self._undo(run, undo)
            if problem is not None:
                blocked |= dict.fromkeys(_before(run, undo.key), undo.key)
        standing = what_stands(_effects(run))
        if not standing:
            return RunStatus.COMPENSATED, error
        return RunStatus.NEEDS_PERSON, {**error, "stands": [left.shown() for left in standing]}

    async def _undo(self, run: ActiveRun, undo: Undo) -> str | None:
        """Undo one step; the reason why not, if it could not be done."""
        key = undo.key
        action = run.progress.by_key[key].compensate
        assert action is not None  # noqa: S101 - for the type checker
        state = run.progress.states[key]
        if state.status is not StepStatus.COMPENSATING:
            state.status, state.reason = StepStatus.COMPENSATING, UNKNOWN if undo.ask_first else None
            await self._note(run, key, "step.compensating", {})
        begun, history = self.clock.now(), History()
        next_: Literal["undo", "probe"] = "probe" if undo.ask_first else "undo"
        while True:
            if next_ == "probe" and action.probe is None:
                return await self._leave(
                    run, key, "it is not known whether this happened, and nothing can tell"
                )
            doing = action.probe if next_ == "probe" and action.probe is not None else action
            attempt = history.attempts + 1
            answer = await self._attempt(run, key, doing, purpose=next_, attempt=attempt, begun=begun)
            if isinstance(answer, StepResult):
                known = Outcome.HAPPENED if next_ == "undo" else read_probe(answer.output)
                if next_ == "undo" or known is Outcome.NOT_HAPPENED:
                    state.status, state.reason = StepStatus.COMPENSATED, None
                    await self._note(run, key, "step.compensated", {"happened": known is Outcome.HAPPENED})
                    return None
                if known is Outcome.UNKNOWN:
                    return await self._leave(run, key, "the service could not tell whether this happened")
                next_ = "undo"
                continue
            decision = self._decide(
                run, key, action, doing=next_, failure=answer, history=history, begun=begun
            )
            if isinstance(decision, AskPerson):
                return await self._leave(run, key, decision.reason)
            history = history.after(answer, decision)
            told = {"error": answer.shown(), "reason": decision.reason}
            await self.attempts.emitter(run, key)("step.undo_retried", told)
            if isinstance(decision, Probe):
                next_ = "probe"
            else:
                await self.clock.sleep(decision.delay)

    def _decide(
        self,
        run: ActiveRun,
        key: str,
        action: Action,
        *,
        doing: Purpose,
        failure: Failure,
        history: History,
        begun: datetime,
    ) -> Again | Probe | AskPerson:
        spent = (self.clock.now() - begun).total_seconds()
        asks = doing == "undo" and action.probe is not None
        policy = action.probe.retry if doing == "probe" and action.probe is not None else action.retry
        seed = f"{run.record.id}/{key}/{doing}"
        return decide_undoing(failure, history, policy, seed, spent=spent, has_probe=asks)

    async def _attempt(
        self, run: ActiveRun, key: str, action: Action, *, purpose: Purpose, attempt: int, begun: datetime
    ) -> StepResult | Failure:
        own, scope = run.progress.by_key[key], run.progress.scope(key)
        name = f"{key}~{purpose}"
        try:
            shown = key[len(scope.prefix) :]
            outputs = await self.outputs.view(run, {shown, *templates.references(action.inputs)}, key)
            outputs[shown.partition("[")[0]] = outputs[shown]  # under for_each: its own, not all of them
        except OmniForgeError as error:
            return classify(error)
        inputs = templates.fill(action.inputs, {"input": scope.input, **scope.loop, **outputs})
        step = Step(name, action.kind, action.args, action.inputs, resources=own.resources)
        emit = self.attempts.emitter(run, name)
        call = StepCall(run.record, step, attempt, inputs, outputs, emit, run.stopping, purpose=purpose)
        left = seconds_to_undo((self.clock.now() - begun).total_seconds())
        timeout = left if action.timeout is None else min(action.timeout, left)
        outcome = await self.attempts.called(run, call, action.kind, timeout)
        run.texts.pop(name, None)
        if isinstance(outcome, Waiting):
            return Failure("undo_waits", "Undoing it waits for somebody.", retryable=False, needs_person=True)
        return outcome

    async def _leave(self, run: ActiveRun, key: str, why: str) -> str:
        """The step's effect stands, or may stand: say so and go on."""
        state = run.progress.states[key]
        certain = state.reason != UNKNOWN and state.result is not None
        state.status = StepStatus.COMPLETED if certain else StepStatus.FAILED
        state.reason = STANDS + why
        await self._note(run, key, "step.stands", {"why": why, "certain": certain})
        return why

    async def _note(self, run: ActiveRun, key: str, type_: str, payload: dict[str, Any]) -> None:
        draft = Draft(run, self.clock.now())
        draft.tell(type_, {"step": key, **payload}, key)
        draft.put(key)
        if not await self.journal.write(draft):
            raise Fenced(f"run {run.record.id} is over, or another writer drives it")


def _effects(run: ActiveRun) -> list[Effect]:
    """What the steps may have done outside, in the order in which they ended."""
    progress = run.progress
    begun = [key for key, state in progress.states.items() if state.attempt and key in progress.by_key]
    begun.sort(key=lambda key: progress.states[key].finished_at or "~")
    found: list[Effect] = []
    for key in begun:
        step, state = progress.by_key[key], progress.states[key]
        if step.is_composite or state.is_shared or (step.compensate is None and not step.effects):
            continue
        reason = state.reason or ""
        problem = reason.removeprefix(STANDS) if reason.startswith(STANDS) else None
        found.append(Effect(key, _outcome(state), step.effects, step.compensate is not None, problem))
    return found


def _outcome(state: StepState) -> Outcome:
    match state.status:
        case StepStatus.COMPLETED:
            return Outcome.HAPPENED
        case StepStatus.COMPENSATED:
            return Outcome.UNDONE
        case StepStatus.COMPENSATING:
            return Outcome.UNKNOWN if state.reason == UNKNOWN else Outcome.HAPPENED
        case StepStatus.FAILED | StepStatus.SKIPPED:
            return Outcome.UNKNOWN if _is_doubtful(state) else Outcome.NOT_HAPPENED
        case StepStatus.RUNNING | StepStatus.CANCELLED:
            return Outcome.UNKNOWN
        case StepStatus.PENDING | StepStatus.READY | StepStatus.WAITING:
            return Outcome.UNKNOWN if _is_doubtful(state) else Outcome.NOT_HAPPENED


def _is_doubtful(state: StepState) -> bool:
    if state.reason == UNKNOWN or (state.reason or "").startswith(STANDS):
        return True
    if History.from_json(state.history).may_have_happened:
        return True  # by some attempt, whatever the last one says
    if state.error is None:
        return False
    failure = Failure(
        state.error["code"], state.error["message"], False, details=state.error.get("details", {})
    )
    return failure.is_doubtful or failure.kind is FailureKind.TIMEOUT


def _needs(run: ActiveRun) -> dict[str, Sequence[str]]:
    """Who came after whom, composite steps and those inside them included."""
    progress = run.progress
    needs: dict[str, Sequence[str]] = {}
    for key, step in progress.by_key.items():
        group, parent = progress.groups.get(key), progress.parents.get(key)
        before = [*step.needs, *(group.keys if group is not None else ())]
        while parent is not None:
            before += progress.by_key[parent].needs
            parent = progress.parents.get(parent)
        needs[key] = before
    return needs


def _before(run: ActiveRun, key: str) -> set[str]:
    """Everything that a step came after."""
    needs = _needs(run)
    found = set[str]()
    todo = [key]
    while todo:
        for need in needs.get(todo.pop(), ()):
            if need not in found:
                found.add(need)
                todo.append(need)
    return found
