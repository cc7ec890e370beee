"""Conditions: what cannot be computed, or not in time, fails the step and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from omniforge.core.errors import Fatal
from omniforge.engine.templates import is_true


def nested_loops(depth: int) -> str:
    ones = f"[{','.join('1' * 20)}]"
    condition = "true"
    for level in range(depth):
        condition = f"{ones}.all(x{level}, {condition})"
    return condition


@pytest.mark.parametrize(
    "condition",
    [
        "9223372036854775807 + 1 > 0",
        "1 % 0 == 1",
        "1 / 0 == 1",
        "[0][5] == 1",
        "int(1e300) > 0",
        "input.a.b == 1",
        "input.nothing == 1",
        "'a'.matches('[')",
        "input",
        nested_loops(12),
        "input.many.all(x, input.many.exists(y, y == x))",
    ],
)
def test_what_cannot_be_computed_fails(condition: str) -> None:
    given: dict[str, Any] = {"a": 1, "many": list(range(50_000))}
    with pytest.raises(Fatal) as failed:
        is_true(condition, given, {})
    assert failed.value.code == "condition_failed"


@pytest.mark.parametrize("condition", ["input.rows.all(row, row.done)", nested_loops(1)])
def test_ordinary_loops_are_computed(condition: str) -> None:
    rows = [{"done": True, "text": "x" * 1000}] * 300
    assert is_true(condition, {"rows": rows}, {})
