"""F1 to F5: the embedded engine beside LangGraph's SQLite saver and a bare SQLite commit."""

from __future__ import annotations

import tempfile

from bench.results import TIMES, Figure, Measured, Part, against, middle, times_faster
from bench.sides import Side, WrongResult, ours, run_side, take_turns

OURS = "omniforge"
LANGGRAPH = "langgraph + sqlite saver"
COMMIT = "bare commits"
STEP = "ms per step"
IDEAL = 0.2
"""Seconds that every run of F2 sleeps."""


def _langgraph(work: str, **asked: object) -> Side:
    return Side("bench.peers.langgraph_steps", {"work": work, **asked})


def _commits(work: str, **asked: object) -> Side:
    return Side("bench.peers.sqlite_commit", {"work": work, **asked})


def durable_step(quick: bool) -> Figure:
    seconds = 0.4 if quick else 1.0
    sides = {
        OURS: ours("steps", seconds=seconds),
        LANGGRAPH: _langgraph("steps", seconds=seconds),
        COMMIT: _commits("steps", seconds=seconds / 2),
    }
    found = take_turns(sides, 2 if quick else 5)
    works = {
        "chain": ("chain of 3, one at a time", 8, 5),
        "at_once": ("chain of 3, 32 at once", 15, 12),
        "fan": ("fan out and in of 100", 15, 10),
    }
    parts = [
        against(f"{title}: faster than LangGraph", found, LANGGRAPH, number, bar=bar, floor=floor, unit=STEP)
        for number, (title, bar, floor) in works.items()
    ]
    for number, (title, _, _) in works.items():
        slower = times_faster(found[OURS], found[COMMIT], number)
        parts.append(Part(f"{title} ÷ bare commits", slower, TIMES, 2.5, "at most", 3.0))
    commit, read = middle(found[COMMIT], "only_commits"), middle(found[OURS], "read_back")
    parts.append(Part("one commit in a loop that does nothing else", commit, "ms"))
    parts.append(Part("chain, the whole run read back by its starter", read, "ms"))
    return Figure("F1", "A durable step", parts)


def many_runs(quick: bool) -> Figure:
    thousand = {
        OURS: ours("runs", runs=1000),
        LANGGRAPH: _langgraph("runs", runs=1000),
        COMMIT: _commits("runs", runs=1000),
    }
    found = take_turns(thousand, 1 if quick else 3)
    parts = [
        _makespan("1,000 runs: makespan ÷ ideal", found, bar=1.4),
        Part("1,000 runs: event loop lag, p99", middle(found[OURS], "lag_p99_ms"), "ms", 50),
    ]
    if not quick:
        found = take_turns({OURS: ours("runs", runs=5000), COMMIT: _commits("runs", runs=5000)}, 2)
        found[LANGGRAPH] = [run_side(_langgraph("runs", runs=5000))]
        parts.append(_makespan("5,000 runs: makespan ÷ ideal", found, bar=4))
        peaks = {side: max(measured["peak_mb"] for measured in rounds) for side, rounds in found.items()}
        parts.append(Part("5,000 runs: peak memory", peaks[OURS], "MB", 120, beside=peaks, beside_unit="MB"))
    return Figure("F2", "Thousands of runs of one 200 ms step", parts)


def _makespan(name: str, found: dict[str, list[Measured]], *, bar: float) -> Part:
    beside = {side: middle(rounds, "seconds") / IDEAL for side, rounds in found.items()}
    return Part(name, beside[OURS], TIMES, bar, beside=beside, beside_unit="times the ideal")


def full_durability(quick: bool) -> Figure:
    seconds = 0.5 if quick else 0.8
    sides = {
        OURS: ours("steps", seconds=seconds, synchronous="FULL", only="at_once"),
        COMMIT: _commits("steps", seconds=0.3, synchronous="FULL"),
    }
    found = take_turns(sides, 2 if quick else 5)
    beside = {side: middle(rounds, "at_once") for side, rounds in found.items()}
    title = "a step, 32 runs at once, synchronous=FULL"
    parts = [
        Part(title, beside[OURS], "ms", 0.15, beside=beside, beside_unit=STEP),
        Part("one FULL commit alone", middle(found[COMMIT], "only_commits"), "ms"),
    ]
    return Figure("F3", "Full durability", parts)


def planning(quick: bool) -> Figure:
    shapes = {"chain": "chain", "fan": "fan", "layers": "random layers"}
    size = 20_000 if quick else 100_000
    sides = {shape: ours("planning", shape=shape, size=size) for shape in (*shapes, "templates")}
    found = take_turns(sides, 1 if quick else 2)
    allowed = 150 * size / 100_000
    parts: list[Part] = []
    for shape, title in shapes.items():
        rounds = found[shape]
        parts.append(Part(f"{title}: CPU time of {size:,} steps", middle(rounds, "large_ms"), "ms", allowed))
        grown = sorted(measured["large_ms"] / measured["small_ms"] for measured in rounds)[len(rounds) // 2]
        beside = {f"{size // 10:,} steps": middle(rounds, "small_ms")}
        parts.append(Part(f"{title}: ten times the steps", grown, TIMES, 12, beside=beside))
    with_templates = middle(found["templates"], "large_ms")
    parts.append(Part("random layers, each step reading an output of another", with_templates, "ms"))
    return Figure("F4", "Planning", parts)


def restart(quick: bool) -> Figure:
    runs = 1000 if quick else 10_000
    with tempfile.TemporaryDirectory(prefix="omniforge-bench-") as home:
        run_side(ours("leave", home=home, runs=runs))
        rounds: list[Measured] = [run_side(ours("restart", home=home)) for _ in range(3)]
    if any(measured["runs"] != runs for measured in rounds):
        raise WrongResult(f"{[int(m['runs']) for m in rounds]} runs were taken up, not {runs}")
    parts = [
        Part(f"first step of {runs:,} unfinished runs", middle(rounds, "first_step"), "s", 1.0),
        Part("open() returned", middle(rounds, "opened"), "s"),
        Part("peak memory", max(measured["peak_mb"] for measured in rounds), "MB"),
    ]
    return Figure("F5", "Restart after a kill", parts)
