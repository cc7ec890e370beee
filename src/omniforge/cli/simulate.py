"""`omniforge dev simulate`: the engine under virtual time, with faults that a seed decides."""

from __future__ import annotations

import json
import os
import sys
import time

from rich.console import Console

from omniforge.simulation.many import Tally, simulate_many, simulate_range
from omniforge.simulation.scenario import Outcome

SHOWN = 3
"""Failures whose whole history is printed; of the others only what was wrong."""


def play_one(seed: int, console: Console) -> int:
    """One seed with its whole history; exit code 1 when a rule was broken."""
    begun = time.monotonic()
    tally = simulate_range(seed, 1)
    for outcome in tally.failures:
        _tell(outcome, console, whole=True)
    _sum_up(tally, begun)
    return 1 if tally.failures else 0


def play_many(first: int, count: int, console: Console) -> int:
    """Seeds `first` to `first + count - 1` on all processors; the last line is JSON."""
    begun = time.monotonic()
    total = Tally()
    for part in simulate_many(first, count, os.cpu_count() or 1):
        for outcome in part.failures:
            _tell(outcome, console, whole=len(total.failures) < SHOWN)
        total.add(part)
        if console.is_terminal:
            console.print(f"{total.seeds} of {count} seeds, {len(total.failures)} failures", end="\r")
    _sum_up(total, begun)
    return 1 if total.failures else 0


def _tell(outcome: Outcome, console: Console, *, whole: bool) -> None:
    if whole:
        console.print(outcome.trace.shown(400), highlight=False, markup=False, soft_wrap=True)
    for problem in outcome.problems:
        console.print(f"seed {outcome.seed}: {problem}", highlight=False, markup=False, soft_wrap=True)
    replay = f"omniforge dev simulate --seed {outcome.seed}"
    console.print(f"Again: {replay}", highlight=False, markup=False, soft_wrap=True)


def _sum_up(tally: Tally, begun: float) -> None:
    told = {
        "seeds": tally.seeds,
        "failures": len(tally.failures),
        "failed": sorted(outcome.seed for outcome in tally.failures)[:100],
        "runs": tally.runs,
        "calls": tally.calls,
        "starts": tally.lives,
        "seconds": round(time.monotonic() - begun, 1),
    }
    sys.stdout.write(json.dumps(told) + "\n")
