"""Giving a model less to read: after a timeout, and when its window is nearly full (pure)."""

from __future__ import annotations

from omniforge.engine.recovery.decision import Again, AskPerson, Decision, Move
from omniforge.engine.recovery.history import Context
from omniforge.engine.recovery.retry import Case

CONTEXT_SHARE = 0.8
"""Part of a model's window that may be used; more is `context_full`."""
TIMEOUT_WAITS = (0.0, 5.0, 30.0)
"""Seconds before the first, second, third attempt; how many there are is how often it is tried."""
COMPACTIONS = 2
_LEVELS = tuple(Context)


def is_context_full(tokens: int, window: int) -> bool:
    return tokens > CONTEXT_SHARE * window


def ask_for_less(case: Case) -> Decision:
    """No answer in time: again with minimal context, then with the essential only, then a person."""
    if case.count >= len(TIMEOUT_WAITS):
        return AskPerson(
            f"There was no answer in time in {case.count} attempts, although each was given less to read."
        )
    level = _LEVELS[min(_LEVELS.index(case.history.context) + 1, len(_LEVELS) - 1)]
    delay = case.wait(TIMEOUT_WAITS[case.count])
    reason = (
        f"No answer in time (attempt {case.count} of {len(TIMEOUT_WAITS)});"
        f" the next one starts in {delay:.0f} s with {level.value} context."
    )
    return Again(delay, reason, case.hints(context=level.value), Move.SIMPLER)


def make_context_fit(case: Case) -> Decision:
    """The window is nearly full: compact twice, then another model, then a person.

    `details["model"]` of the failure says which model is configured to come next: "larger" or "cheaper".
    """
    level = max(case.history.context, Context.MINIMAL, key=_LEVELS.index)
    done = case.history.made(Move.COMPACT)
    if done < COMPACTIONS:
        told = "The model's window is nearly full; what was said so far is shortened"
        reason = f"{told} ({done + 1} of {COMPACTIONS})."
        return Again(case.wait(0.0), reason, case.hints(context=level.value, compact=True), Move.COMPACT)
    if not case.history.made(Move.OTHER_MODEL):
        model = "cheaper" if case.failure.details.get("model") == "cheaper" else "larger"
        reason = f"Shortening twice did not make it fit; the next attempt asks a {model} model."
        hints = case.hints(context=level.value, model=model)
        return Again(case.wait(0.0), reason, hints, Move.OTHER_MODEL)
    return AskPerson("This fits into no configured model's window; a person has to shorten it.")
