"""A run that takes twice its estimate is told."""

from __future__ import annotations

import pytest

from omniforge.engine.recovery.simplify import is_context_full
from omniforge.engine.recovery.wave import overrun, seconds_left


@pytest.mark.parametrize(
    ("estimate", "spent", "left", "over"),
    [
        (None, 1e9, None, False),
        (10, 0, 20, False),
        (10, 19.9, 0.1, False),
        (10, 20, 0, True),
        (10, 99, 0, True),
    ],
)
def test_twice_the_estimate_is_where_a_person_decides(
    estimate: float | None, spent: float, left: float | None, over: bool
) -> None:
    assert seconds_left(estimate, spent) == (None if left is None else pytest.approx(left))
    assert (overrun(estimate, spent) is not None) is over


def test_more_than_four_fifths_of_a_window_is_full() -> None:
    assert not is_context_full(800, 1000)
    assert is_context_full(801, 1000)
