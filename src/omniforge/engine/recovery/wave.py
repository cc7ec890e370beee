"""A run that takes much longer than its plan expects: told as soon as twice the estimate is over (pure)."""

from __future__ import annotations

from omniforge.engine.recovery.decision import AskPerson

PATIENCE = 2.0
"""Times the estimate."""


def seconds_left(estimate: float | None, spent: float) -> float | None:
    """Until the run is overdue; None when its plan expects nothing. 0 when it is."""
    return None if estimate is None else max(0.0, PATIENCE * estimate - spent)


def overrun(estimate: float | None, spent: float) -> AskPerson | None:
    """What is done is kept, the rest is paused, and a person decides."""
    if estimate is None or spent < PATIENCE * estimate:
        return None
    return AskPerson(
        f"This was expected to take {estimate:.0f} s and has taken {spent:.0f} s;"
        " what is done is kept, the rest waits for a person."
    )
