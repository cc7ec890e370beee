"""Whether and when a failed attempt is repeated (pure)."""

from __future__ import annotations

import random
from dataclasses import dataclass

from omniforge.engine.plan import Retry
from omniforge.engine.recovery.policy import Failure


@dataclass(frozen=True, slots=True)
class Again:
    """Start another attempt after `delay` seconds."""

    delay: float
    reason: str


def retry(failure: Failure, failures: int, policy: Retry, seed: str) -> Again | None:
    """Another attempt, or None to give up. `failures` counts this one.

    Exponential back-off with jitter; a time that the other side named is never undercut. The jitter comes
    from `seed`, so a replay waits the same.
    """
    if not failure.retryable or failures >= policy.attempts:
        return None
    delay = min(policy.delay * policy.factor ** (failures - 1), policy.max_delay)
    spread = random.Random(f"{seed}:{failures}").uniform(-policy.jitter, policy.jitter)  # noqa: S311
    delay = max(0.0, delay * (1 + spread))
    if failure.retry_after is not None:
        delay = max(delay, failure.retry_after)
    return Again(delay, f"{failure.code}: attempt {failures} of {policy.attempts} failed")
