"""Many simulations, spread over processes."""

from __future__ import annotations

import gc
import logging
from collections.abc import Generator, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context

from omniforge.simulation.scenario import Outcome, open_house, simulate

COLLECT_EVERY = 10
AT_ONCE = 50
"""Seeds that a process is given at a time."""


@dataclass(slots=True)
class Tally:
    """What came of some seeds; `failures` in full."""

    seeds: int = 0
    runs: int = 0
    calls: int = 0
    lives: int = 0
    failures: list[Outcome] = field(default_factory=list[Outcome])

    def add(self, other: Tally) -> None:
        self.seeds += other.seeds
        self.runs += other.runs
        self.calls += other.calls
        self.lives += other.lives
        self.failures += other.failures


def simulate_range(first: int, count: int) -> Tally:
    """These seeds, one after the other, in this process."""
    tally = Tally()
    with _quiet(), open_house() as db:
        for seed in range(first, first + count):
            outcome = simulate(seed, db)
            failed = [outcome] if outcome.problems else []
            if seed % COLLECT_EVERY == 0:
                gc.collect()  # engines that were "killed" hold files until they are collected
            tally.add(Tally(1, outcome.runs, outcome.calls, outcome.lives, failed))
    return tally


def simulate_many(first: int, count: int, processes: int) -> Iterator[Tally]:
    """These seeds; a tally for each part as it is done."""
    end = first + count
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        parts = [
            pool.submit(simulate_range, start, min(AT_ONCE, end - start))
            for start in range(first, end, AT_ONCE)
        ]
        for part in as_completed(parts):
            yield part.result()


@contextmanager
def _quiet() -> Generator[None]:
    """Thousands of faults are made on purpose; the log need not tell of them."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)
