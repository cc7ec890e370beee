"""Whether and when a failed attempt is repeated as it was: back-off, waits, and putting it off (pure)."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from omniforge.engine.plan import Retry
from omniforge.engine.recovery.decision import Again, AskPerson, Decision, GiveUp, Later, Move
from omniforge.engine.recovery.history import History
from omniforge.engine.recovery.policy import Failure

WAITS = (5.0, 30.0, 60.0)
"""Seconds before another attempt where the other side asks us to slow down without naming a time."""
LATERS = (60.0, 300.0, 900.0)
"""Seconds for which a step is put off, each time longer; how many there are is how often that happens."""
PLAIN_ATTEMPTS = 3
JITTER = 0.2
LONGEST_HELD = 60.0
"""Seconds; a longer wait is not waited out in place: the step is put off."""


@dataclass(frozen=True, slots=True)
class Case:
    """What a strategy looks at. `history` is of before this failure.

    fallbacks: how many providers stand behind the first.
    """

    failure: Failure
    history: History
    policy: Retry
    seed: str
    fallbacks: int = 0
    allows_partial: bool = False

    @property
    def count(self) -> int:
        """Failures of this kind, this one included."""
        return self.history.failed(self.failure.kind) + 1

    def hints(self, **changes: object) -> dict[str, object]:
        """What the next attempt is told: what was decided for good earlier, and these changes."""
        return {**self.history.lasting_hints, **changes}

    def wait(self, delay: float) -> float:
        """This delay with jitter, or the time that the other side named when that is longer.

        Only upwards, so that neither is undercut. Comes from the seed, so a replay waits the same.
        """
        spread = random.Random(f"{self.seed}:{self.history.attempts + 1}").uniform(0, JITTER)  # noqa: S311
        return max(delay, self.failure.named_wait) * (1 + spread)


def retry(failure: Failure, failures: int, policy: Retry, seed: str) -> Again | None:
    """Another attempt as the step's own policy says, or None to give up. `failures` counts this one.

    Exponential back-off with jitter; a time that the other side named is never undercut. The jitter comes
    from `seed`, so a replay waits the same.
    """
    if not failure.retryable or failures >= policy.attempts:
        return None
    delay = _grown(policy, failures)
    spread = random.Random(f"{seed}:{failures}").uniform(-policy.jitter, policy.jitter)  # noqa: S311
    delay = max(0.0, delay * (1 + spread), failure.named_wait)
    reason = (
        f"Attempt {failures} of {policy.attempts} failed ({failure.code}); it is repeated in {delay:.0f} s."
    )
    return Again(delay, reason)


def _grown(policy: Retry, failures: int) -> float:
    try:
        return min(policy.delay * policy.factor ** (failures - 1), policy.max_delay)
    except OverflowError:
        return policy.max_delay


def repeat(case: Case) -> Decision:
    """A failure that passes by itself: as often as the policy says, `PLAIN_ATTEMPTS` when it does not say."""
    policy = case.policy if case.policy.attempts > 1 else replace(case.policy, attempts=PLAIN_ATTEMPTS)
    again = retry(case.failure, case.count, policy, case.seed)
    if again is None:
        return GiveUp(f"{case.failure.message} It was tried {case.count} times.")
    return replace(again, hints=case.hints())


def slow_down(case: Case) -> Decision:
    """The other side has too much to do: wait as long as it says, else longer each time, then put it off."""
    waited = case.history.made(Move.WAIT)
    if waited >= len(WAITS) or case.failure.named_wait > LONGEST_HELD:
        return put_off(case)
    delay = case.wait(0.0 if case.failure.named_wait else WAITS[waited])
    named = "as it asked" if case.failure.named_wait else f"wait {waited + 1} of {len(WAITS)}"
    reason = f"The service asks us to slow down; the step goes on in {delay:.0f} s ({named})."
    return Again(delay, reason, case.hints(), Move.WAIT)


def put_off(case: Case) -> Later | GiveUp:
    """The slot goes to others meanwhile; nothing is put off for ever."""
    done = case.history.made(Move.LATER)
    if done >= len(LATERS):
        return GiveUp(f"{case.failure.message} It was put off {done} times, and that did not pass.")
    delay = case.wait(LATERS[done])
    reason = (
        f"{case.failure.message} It is put off for {_minutes(delay)} ({done + 1} of {len(LATERS)} times)."
    )
    hints = case.hints()
    hints.pop("provider", None)  # by then the first choice may be back
    return Later(delay, reason, hints)


def make_room(case: Case) -> Later | AskPerson:
    """This computer has no memory or processor time left: let others finish first."""
    decision = put_off(case)
    if isinstance(decision, GiveUp):
        return AskPerson("This computer stayed short of memory or processor time; a person has to make room.")
    return decision


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} minutes"
