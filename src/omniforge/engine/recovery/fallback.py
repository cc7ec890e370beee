"""A provider that cannot be reached: the next one of the list, then later (pure)."""

from __future__ import annotations

from omniforge.engine.recovery.decision import Again, Decision, Move
from omniforge.engine.recovery.retry import LONGEST_HELD, WAITS, Case, put_off


def go_elsewhere(case: Case) -> Decision:
    """Each provider of the list is asked once, then it is put off; without a list it is tried again first.

    A time that one provider named does not hold for the next.
    """
    following = case.history.provider + 1
    if following <= case.fallbacks:
        told = f"The next provider of the list is asked ({following} of {case.fallbacks})."
        reason = f"{case.failure.message} {told}"
        return Again(0.0, reason, case.hints(provider=following), Move.NEXT_PROVIDER)
    if case.fallbacks or case.history.made(Move.WAIT) or case.failure.named_wait > LONGEST_HELD:
        return put_off(case)
    delay = case.wait(WAITS[0])
    return Again(
        delay, f"{case.failure.message} It is tried once more in {delay:.0f} s.", case.hints(), Move.WAIT
    )
