"""Failures to decide about, and walking down a ladder to its end."""

from __future__ import annotations

from typing import Any

from omniforge.core.errors import Fatal, OmniForgeError, ProviderError, Retryable
from omniforge.engine.plan import Retry
from omniforge.engine.recovery.decide import decide
from omniforge.engine.recovery.decision import Again, Decision, Later
from omniforge.engine.recovery.history import History
from omniforge.engine.recovery.policy import Failure, classify, timed_out

LADDER = Retry(ladder=True)
MOST = 200


def of(error: OmniForgeError) -> Failure:
    return classify(error)


def late() -> Failure:
    return timed_out(120)


def full() -> Failure:
    return of(Fatal("The context is full.", code="context_full"))


def garbled(**details: Any) -> Failure:
    return of(Fatal("The answer does not parse.", code="bad_output", **details))


def busy(retry_after: float | None = None) -> Failure:
    return of(ProviderError("Busy.", retryable=True, retry_after=retry_after, code="rate_limited"))


def down(retry_after: float | None = None, **details: Any) -> Failure:
    return of(ProviderError("It is down.", retryable=True, retry_after=retry_after, **details))


def failing(check: str | None = None, **details: Any) -> Failure:
    named = {} if check is None else {"check": check}
    return of(Fatal("The check failed.", code="check_failed", **named, **details))


def short_of_memory() -> Failure:
    return of(Retryable("No memory left.", code="resources_exhausted"))


def damaged() -> Failure:
    return of(Fatal("The checkpoint does not hold.", code="checkpoint_corrupted"))


def walk(
    failure: Failure, policy: Retry = LADDER, *, seed: str = "run/step", **terms: Any
) -> tuple[list[Again | Later], Decision]:
    """The same failure until recovery stops: what was decided on the way, and the end."""
    history = History()
    steps: list[Again | Later] = []
    for _ in range(MOST):
        decision = decide(failure, history, policy, seed, **terms)
        if not isinstance(decision, Again | Later):
            return steps, decision
        steps.append(decision)
        history = History.from_json(history.after(failure, decision).to_json())
    raise AssertionError("it never ends")
