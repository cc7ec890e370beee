"""How large a storm is."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from chaos.deaths import MOST_PASSED, POSTGRES_ONLY, SQLITE_ONLY, Boundary


@dataclass(frozen=True, slots=True)
class Profile:
    """For one store. Faults beside kills are spread over the whole storm.

    workers: processes at once. patience: seconds for the last life, in which nothing is disturbed.
    """

    runs: int
    kills: int
    workers: int = 1
    crowds: int = 0
    full_disks: int = 0
    freezes: int = 0
    restarts: int = 0
    fault_seconds: float = 2.5
    patience: float = 120.0


PROFILES: dict[str, dict[str, Profile]] = {
    "small": {
        "sqlite": Profile(runs=60, kills=18, crowds=1, full_disks=1, fault_seconds=0.8),
        "postgres": Profile(runs=60, kills=16, workers=3, freezes=1, restarts=1),
    },
    "quick": {
        "sqlite": Profile(runs=200, kills=36, crowds=1, full_disks=1, fault_seconds=1.5),
        "postgres": Profile(runs=120, kills=24, workers=3, freezes=2, restarts=2),
    },
    "bounded": {
        "sqlite": Profile(runs=1000, kills=200, crowds=3, full_disks=3),
        "postgres": Profile(runs=1000, kills=130, workers=3, freezes=12, restarts=10, patience=180),
    },
    "long": {
        "sqlite": Profile(runs=5000, kills=1000, crowds=10, full_disks=10, patience=300),
        "postgres": Profile(runs=3000, kills=400, workers=4, freezes=60, restarts=50, patience=300),
    },
}


def deaths(kills: int, dice: random.Random, *, sqlite: bool) -> Iterator[tuple[Boundary, int]]:
    """Where each life ends: every place in turn, in shuffled rounds."""
    missing = POSTGRES_ONLY if sqlite else SQLITE_ONLY
    places = [place for place in Boundary if place not in missing and place is not Boundary.AT_REST]
    left = kills
    while left > 0:
        dice.shuffle(places)
        for place in places[:left]:
            yield place, dice.randint(1, MOST_PASSED.get(place, 1))
        left -= len(places)
