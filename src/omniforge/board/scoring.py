"""In which order queued tasks are taken. Pure; the claim statement computes the same in SQL."""

from __future__ import annotations

from omniforge.board.vocabulary import Priority

PRIORITY_WEIGHT = {Priority.CRITICAL: 1.0, Priority.HIGH: 0.75, Priority.MEDIUM: 0.5, Priority.LOW: 0.25}
AGE_SECONDS = 3600.0
SLACK_SECONDS = 900.0
STARVING_SECONDS = 7200.0
STARVING_FLOOR = 0.6
URGENT = 1.25
DEPENDENTS = 10.0


def score(
    *,
    priority: Priority,
    waited: float,
    slack: float | None,
    dependents_open: int,
    retry_count: int,
    max_retries: int,
) -> float:
    """How soon a task should be taken; higher is sooner. `waited` and `slack` (time to its deadline, negative
    when past, None without one) in seconds."""
    age = min(waited / AGE_SECONDS, 1.0)
    if slack is None:
        pressure = 0.0
    elif slack < 0:
        pressure = 1.0
    else:
        pressure = max(0.0, 1.0 - slack / SLACK_SECONDS)
    blocking = min(dependents_open / DEPENDENTS, 1.0)
    fresh = 1.0 - retry_count / max(max_retries, 1)
    total = 0.45 * PRIORITY_WEIGHT[priority] + 0.20 * age + 0.15 * pressure + 0.15 * blocking + 0.05 * fresh
    if slack is not None and 0 <= slack <= SLACK_SECONDS:
        total *= URGENT
    return max(total, STARVING_FLOOR) if waited >= STARVING_SECONDS else total
