"""A small storm of kills over fires of schedules and events, in each store; the large one is a command."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

from chaos.firing import STORES

ROOT = Path(__file__).parents[2]
SMALL = "--agents 2 --events 20 --kills 6 --seconds 8 --longest 2 --seed 20261121"


@pytest.mark.parametrize("store", STORES)
async def test_a_server_that_is_killed_again_and_again_loses_and_doubles_no_fire(store: str) -> None:
    storm = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "chaos.firing",
        "--store",
        store,
        *SMALL.split(),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "tests"), str(ROOT)])},
    )
    out, err = await storm.communicate()
    assert storm.returncode == 0, err.decode()[-3000:]
    outcome = json.loads(out)
    assert (outcome["lost"], outcome["doubled"], outcome["problems"]) == (0, 0, 0)
    assert (outcome["fires"], outcome["kills"]) == (2 * 60 + 20, 6)
