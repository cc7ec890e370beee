"""`make chaos`: the storm over both stores. Progress on stderr; the last line of stdout is the outcome."""

from __future__ import annotations

import argparse
import asyncio
import json
import secrets
import sys
import time
from collections import Counter
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from chaos.profiles import PROFILES
from chaos.storm import STORMS, Outcome, storm


def main() -> int:
    parser = argparse.ArgumentParser("chaos", description=__doc__)
    parser.add_argument("--quick", action="store_const", dest="size", const="quick", default="bounded")
    parser.add_argument("--long", action="store_const", dest="size", const="long")
    parser.add_argument("--store", choices=STORMS, action="append", help="both when not given")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1 << 30))
    chosen = parser.parse_args()
    console = Console(stderr=True)
    begun = time.monotonic()
    outcomes = {store: _storm(store, chosen.size, chosen.seed, console) for store in chosen.store or STORMS}
    for store, outcome in outcomes.items():
        _explain(store, outcome, console)
    told = summary(outcomes) | {"seed": chosen.seed, "seconds": round(time.monotonic() - begun, 1)}
    sys.stdout.write(json.dumps(told) + "\n")
    return 0 if all(outcome.is_good for outcome in outcomes.values()) else 1


def _storm(store: str, size: str, seed: int, console: Console) -> Outcome:
    profile = PROFILES[size][store]
    columns = (TextColumn("{task.fields[store]:9}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TextColumn("{task.description}"), console=console) as progress:
        bar = progress.add_task("begins", total=profile.kills, store=store)
        return asyncio.run(
            storm(store, profile, seed, lambda n, what: progress.update(bar, completed=n, description=what))
        )


def _explain(store: str, outcome: Outcome, console: Console) -> None:
    verdict = outcome.verdict
    for what, found in (
        ("lost", verdict.lost),
        ("duplicated", verdict.duplicated),
        ("problem", outcome.problems),
        ("nobody died", outcome.missed),
    ):
        for text in found[:20]:
            console.print(f"{store}: {what}: {text}", markup=False, highlight=False)


def summary(outcomes: dict[str, Outcome]) -> dict[str, Any]:
    boundaries: Counter[str] = Counter()
    for outcome in outcomes.values():
        boundaries += outcome.boundaries
    return {
        "kills": sum(outcome.kills for outcome in outcomes.values()),
        "runs": sum(outcome.verdict.runs for outcome in outcomes.values()),
        "lost": sum(len(outcome.verdict.lost) for outcome in outcomes.values()),
        "duplicated": sum(len(outcome.verdict.duplicated) for outcome in outcomes.values()),
        "repeated_in_flight": sum(outcome.verdict.repeated_in_flight for outcome in outcomes.values()),
        "left_to_person": sum(outcome.verdict.left_to_person for outcome in outcomes.values()),
        "boundaries": dict(boundaries.most_common()),
        "integrity": _worst([outcome.verdict.integrity for outcome in outcomes.values()]),
        "chain": _worst([outcome.verdict.chain for outcome in outcomes.values()]),
        "problems": sum(len(outcome.problems) + len(outcome.missed) for outcome in outcomes.values()),
        "stores": {
            store: {
                "kills": outcome.kills,
                "runs": outcome.verdict.runs,
                "lost": len(outcome.verdict.lost),
                "duplicated": len(outcome.verdict.duplicated),
                "repeated_in_flight": outcome.verdict.repeated_in_flight,
                "faults": dict(outcome.faults),
            }
            for store, outcome in outcomes.items()
        },
    }


def _worst(words: list[str]) -> str:
    return next((word for word in words if word != "ok"), "ok")


if __name__ == "__main__":
    sys.exit(main())
