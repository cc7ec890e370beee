"""Where the time of our side goes: one workload under cProfile, in this process."""

from __future__ import annotations

import asyncio
import cProfile
import pstats
import sys

from bench.ours import CHAIN, FANNED, SHAPES, open_house, planning_ms
from bench.ours_schedules import House as HouseOfAgents
from omniforge.agents.triggers import Scheduler

RUNS = {"chain": 600, "at_once": 600, "fan": 30}
SCHEDULES = 500
SHOWN = 28


def print_profile(what: str) -> None:
    """The functions that take most time, by their own time and then with what they call."""
    profile = cProfile.Profile()
    match what:
        case "planning":
            profile.runcall(planning_ms, SHAPES["layers"](100_000))
        case "schedules":
            asyncio.run(_profile_schedules(profile))
        case _:
            asyncio.run(_profile_runs(profile, what))
    stats = pstats.Stats(profile, stream=sys.stdout)
    stats.strip_dirs().sort_stats("tottime").print_stats(SHOWN)
    stats.sort_stats("cumtime").print_stats(SHOWN)


async def _profile_runs(profile: cProfile.Profile, what: str) -> None:
    plan = FANNED if what == "fan" else CHAIN
    lanes = 32 if what == "at_once" else 1
    async with open_house() as house:
        await house.finish(plan)

        async def lane() -> None:
            for _ in range(RUNS[what] // lanes):
                await house.finish(plan)

        profile.enable()
        await asyncio.gather(*(lane() for _ in range(lanes)))
        profile.disable()


async def _profile_schedules(profile: cProfile.Profile) -> None:
    async with HouseOfAgents.open() as house:
        house.clock.turn_to(await house.schedule(SCHEDULES))
        profile.enable()
        await Scheduler(house.agents, house.clock).fire_due()
        profile.disable()
