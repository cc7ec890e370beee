"""Tests of an agent of three skills on sample data: `python -m bench.dry_runs` prints one JSON line."""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from bench.timing import report
from omniforge.agents.content import Suite, TestMode
from omniforge.agents.schemas import TestReport
from omniforge.bootstrap import Installation
from omniforge.core.actor import Actor, Role
from omniforge.core.config import Settings
from omniforge.tenants.roles import permissions_of

MAYA = Actor("default", "local", Role.OWNER, "user:local", permissions_of(Role.OWNER))
ROUNDS = 5
DRY_BAR, MATRIX_BAR = 1.0, 10.0
"""Seconds."""

AGENT: dict[str, Any] = {
    "name": "Monday report",
    "integrations": ["notion", "slack"],
    "skills": [
        {"name": "notion-weekly-summary", "order": 1, "config": {"databases": ["Client Projects"]}},
        {"name": "report-formatter", "order": 2, "config": {"format": "bullets"}},
        {"name": "slack-poster", "order": 3, "config": {"channel": "#team-updates"}},
    ],
}
"""Reads, puts into shape, posts: all three come with OmniForge."""


async def _test(house: Installation, suite: Suite) -> tuple[float, TestReport]:
    """Seconds that a new agent's test takes, and its report."""
    agent = await house.agents.create(MAYA, AGENT, {})
    begun = time.perf_counter()
    test_id = await house.agents.start_test(MAYA, agent.id, TestMode.DRY, suite=suite)
    found = await house.agents.await_test(MAYA, test_id, 600)
    return time.perf_counter() - begun, found


async def measure(home: Path, rounds: int) -> dict[str, Any]:
    dry: list[float] = []
    full: list[float] = []
    async with Installation.open(Settings(home=home)) as house:
        _, found = await _test(house, Suite.FULL)
        for _ in range(rounds):
            dry.append((await _test(house, Suite.QUICK))[0])
            took, found = await _test(house, Suite.FULL)
            full.append(took)
    return {
        "figure": "dry run and fault matrix of a 3-skill agent",
        "verdict": found.verdict.value,
        "dry_s": round(median(dry), 3),
        "matrix_s": round(median(full), 3),
        "cells": len(found.faults),
        "passed": sum(row["passed"] for row in found.faults),
        "ratio": round(median(full) / median(dry), 1),
        "slowest": {"dry_s": round(max(dry), 3), "matrix_s": round(max(full), 3)},
        "load": round(os.getloadavg()[0], 1),
        "ok": median(dry) < DRY_BAR and median(full) < MATRIX_BAR,
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.dry_runs", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="omniforge-bench-") as home:
        report(asyncio.run(measure(Path(home), asked.rounds)))


if __name__ == "__main__":
    main()
