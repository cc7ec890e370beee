"""F7 and F8: schedules through the whole agent path; starting an installation and leaving it alone."""

from __future__ import annotations

from dataclasses import replace

from bench.results import Figure, Part, against, middle
from bench.sides import Side, WrongResult, run_side, take_turns

OURS = "omniforge"
APSCHEDULER = "apscheduler 3 + sqlite store"
IN_WAL = "the same in WAL, NORMAL"
POOLED = 5
"""Threads of pooled database connections; schedules have none."""


def schedules(quick: bool) -> Figure:
    count = 500 if quick else 10_000
    peer = "bench.peers.apscheduler_ticks"
    sides = {
        OURS: Side("bench.ours_schedules", {"work": "tick", "schedules": count}),
        APSCHEDULER: Side(peer, {"schedules": count, "wal": False}),
    }
    found = take_turns(sides, 1 if quick else 2)
    found[IN_WAL] = [run_side(Side(peer, {"schedules": count, "wal": True}))]
    idle = run_side(Side("bench.ours_schedules", {"work": "idle", "schedules": count, "seconds": 3}))
    mine = found[OURS]
    if any(measured["runs"] != count for measured in mine):
        raise WrongResult(f"{[int(m['runs']) for m in mine]} runs were started by {count} schedules")
    parts = [
        Part(
            f"{count:,} due at one tick: all runs durable", middle(mine, "seconds"), "s", 2 * count / 10_000
        ),
        Part("started twice", max(measured["doubled"] for measured in mine), "runs", 0),
        against("faster than APScheduler as it comes", found, APSCHEDULER, "seconds", bar=5, unit="s"),
        replace(against("than APScheduler given WAL and NORMAL", found, IN_WAL, "seconds"), beside={}),
        Part("threads of the schedules while nothing is due", idle["threads"], "threads", POOLED),
        Part("CPU while nothing is due", idle["cpu_percent"], "%"),
    ]
    if not quick:
        spread = run_side(Side("bench.ours_schedules", {"work": "minute", "schedules": count}))
        parts += [
            Part(f"{count:,} due within a minute: lag, p99", spread["lag_p99"], "s", 1.0),
            Part(
                "missed or started twice within that minute", spread["missed"] + spread["doubled"], "runs", 0
            ),
        ]
    return Figure("F7", f"{count:,} schedules due at one tick", parts)


def startup(quick: bool) -> Figure:
    side = Side("bench.ours_startup", {"seconds": 3 if quick else 6})
    found = [run_side(side) for _ in range(1 if quick else 3)]
    parts = [
        Part("first start ever to first answer", middle(found, "first"), "s", 2.0),
        Part("a later start to first answer", middle(found, "again"), "s", 2.0),
        Part("idle CPU", middle(found, "cpu_percent"), "%", 1.0),
        Part("idle memory", middle(found, "memory_mb"), "MB", 150),
    ]
    return Figure("F8", "`omniforge up`", parts)
