"""Dry runs: how a step's calls meet sample data, and recovery whose waits take no time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from omniforge.core.errors import Fatal, NeedsHuman, OmniForgeError, StepFailed
from omniforge.engine.active import Fenced, NotWritten, StepCall
from omniforge.engine.plan import OnError
from omniforge.engine.recovery.decide import decide
from omniforge.engine.recovery.decision import Again, AskPerson, Later
from omniforge.engine.recovery.history import History
from omniforge.engine.recovery.policy import classify
from omniforge.engine.state import StepResult, Waiting
from omniforge.integrations.samples import SampleFault, SampleShape, SampleTerms

EMPTY_ANSWER = "empty"
"""The fault that is none: the service answers, and there is nothing."""
LOST_ANSWERS = frozenset({SampleFault.TIMEOUT, SampleFault.SERVER_ERROR})
"""After these a change may have been made all the same; in sample data it has been."""
RETRIED = "rehearsal.retried"
"""A dry run would have waited and tried again, and did so at once."""


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """How the outward calls of one step meet sample data.

    world: what the calls of one step share. fault: of the call numbered `call`, from its request `first` on.
    """

    world: str
    shape: SampleShape = SampleShape.FULL
    fault: str | None = None
    call: int = 0
    first: int = 1
    writes: bool = False

    @classmethod
    def of(cls, call: StepCall) -> Rehearsal:
        """From the run's fact `sample`: `{"shape", "fault": {"step", "call", "kind", "first", "writes"}}`."""
        sample: Mapping[str, Any] = call.run.facts.get("sample") or {}
        fault: Mapping[str, Any] = sample.get("fault") or {}
        shape = SampleShape(sample.get("shape", SampleShape.FULL.value))
        world = call.idempotency_key
        if fault.get("step") != call.step.key:
            return cls(world, shape)
        first, writes = int(fault.get("first", 1)), bool(fault.get("writes"))
        return cls(world, shape, str(fault["kind"]), int(fault["call"]), first, writes)

    def terms(self, number: int) -> SampleTerms:
        """For the step's outward call of this number."""
        if self.fault is None or number != self.call:
            return SampleTerms(self.world, self.shape)
        if self.fault == EMPTY_ANSWER:
            return SampleTerms(self.world, SampleShape.EMPTY)
        fault = SampleFault(self.fault)
        return SampleTerms(
            self.world,
            self.shape,
            fault,
            first=self.first,
            lasts=1 if fault is SampleFault.RATE_LIMITED else None,  # it names a time, and then that is over
            carried_out=self.writes and fault in LOST_ANSWERS,
        )


async def rehearse(
    call: StepCall, attempt: Callable[[StepCall], Awaitable[StepResult | Waiting]]
) -> StepResult | Waiting:
    """The attempts that a live step would make, one after the other without the waits between them.

    What would end them live ends them here: a failure that is not tried again, or that only a person settles.
    A failure that comes again just so would come every time: sample data do not recover by themselves.
    """
    policy = call.step.retry
    if call.step.on_error is OnError.RETRY and policy.attempts == 1:
        policy = replace(policy, attempts=3)
    history, last = History(), ""
    while True:
        try:
            return await attempt(call)
        except (Fenced, NotWritten):
            raise
        except OmniForgeError as error:
            failure, told = classify(error), f"{error.code}: {error.message}"
            decision = decide(failure, history, policy, call.step.key)
            while isinstance(decision, Again | Later):
                await call.emit(RETRIED, {"code": failure.code, "attempt": call.attempt, "message": told})
                history = history.after(failure, decision)
                if told != last:
                    break
                decision = decide(failure, history, policy, call.step.key)
            else:
                raise _ended(NeedsHuman if isinstance(decision, AskPerson) else Fatal, error) from error
            last, call = told, replace(call, attempt=call.attempt + 1)


def _ended(kind: type[StepFailed], error: OmniForgeError) -> StepFailed:
    ended = kind(error.message, code=error.code)
    ended.details = dict(error.details)
    return ended
