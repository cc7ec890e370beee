"""Sides of a comparison: each is a process of its own that prints one JSON line; rounds take turns."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.environment import ROOT, peer_python
from bench.results import Measured

LONGEST = 300.0
"""Seconds after which a workload is given up."""


class WorkloadFailed(Exception):
    """A side ended without a result."""


class WrongResult(Exception):
    """A side did not do all of the work, or did some of it twice."""


@dataclass(frozen=True, slots=True)
class Side:
    """A workload: `python -m module '{asked}'`, in the peers' environment or in ours."""

    module: str
    asked: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def is_peer(self) -> bool:
        return self.module.startswith("bench.peers.")


def ours(work: str, **asked: Any) -> Side:
    return Side("bench.ours", {"work": work, **asked})


def run_side(side: Side) -> dict[str, float]:
    """One process, from its start to its JSON line."""
    python = str(peer_python()) if side.is_peer else sys.executable
    ours_and_theirs = {name: value for name, value in os.environ.items() if not name.startswith("OMNIFORGE_")}
    process = subprocess.Popen(
        [python, "-m", side.module, json.dumps(dict(side.asked))],
        cwd=ROOT,
        env=ours_and_theirs | {"PYTHONPATH": str(ROOT), "LANGSMITH_TRACING": "false"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        out, err = process.communicate(timeout=LONGEST)
    except subprocess.TimeoutExpired as error:
        process.kill()
        process.communicate()
        raise WorkloadFailed(f"{side.module} did not end within {LONGEST:.0f} s") from error
    lines = [line for line in out.splitlines() if line.startswith("{")]
    if not lines:
        sys.stderr.write(err)
        last = (err.strip() or "it said nothing").splitlines()[-1]
        raise WorkloadFailed(f"{side.module} {dict(side.asked)} ended without a result: {last}")
    return json.loads(lines[-1])


def take_turns(sides: Mapping[str, Side], rounds: int) -> dict[str, list[Measured]]:
    """Every side once per round, every second round backwards; name → what it printed in each round."""
    found: dict[str, list[Measured]] = {name: [] for name in sides}
    for number in range(rounds):
        order: Sequence[str] = list(sides)
        for name in order if number % 2 == 0 else reversed(order):
            found[name].append(run_side(sides[name]))
    return found
