"""Thousands of seeds of the simulation hold every rule, and a seed is always the same story."""

from __future__ import annotations

import subprocess
import sys

import pytest

from omniforge.engine.plan import Plan, Step
from omniforge.simulation.many import simulate_range
from omniforge.simulation.scenario import open_house, simulate

PARTS = 40
SEEDS = 50


@pytest.mark.parametrize("part", range(PARTS))
def test_no_rule_is_broken(part: int) -> None:
    tally = simulate_range(part * SEEDS, SEEDS)
    shown = [
        f"{outcome.problems}\nAgain: omniforge dev simulate --seed {outcome.seed}\n{outcome.trace.shown()}"
        for outcome in tally.failures
    ]
    assert shown == []
    assert tally.seeds == SEEDS
    assert tally.calls > SEEDS  # something really happened
    assert tally.lives > SEEDS  # and engines really died


def test_the_same_seed_is_the_same_story_in_any_process() -> None:
    """Also under another hash seed: no set decides about anything."""
    code = (
        "from omniforge.simulation.scenario import open_house, simulate\n"
        "with open_house() as db: print([simulate(seed, db).digest for seed in range(40, 52)])"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": hash_seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2")
    }
    assert len(told) == 1
    assert told != {"[]\n"}


def test_a_run_that_never_ends_is_found() -> None:
    """The checks can fail: a step that hangs without a timeout is told as a run that is stuck."""
    endless = Step(
        "s0", "do", {"transient": [], "end": "hang", "took": 0, "effect": False, "emits": 0}, timeout=None
    )
    with open_house() as db:
        outcome = simulate(3, db, lambda rng: Plan((endless,)))
    assert any("not over" in problem or "nothing is left" in problem for problem in outcome.problems)
    assert "do run_" in outcome.trace.shown()
