"""`python -m bench`: run the benchmarks, print a table, and end with one JSON line."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from bench import engine_figures, house_figures, worker_figure
from bench.environment import HOME, PeersUnavailable
from bench.machine import machine_facts
from bench.publish import publish
from bench.results import Figure, Part, rounded
from bench.sides import WorkloadFailed, WrongResult

FIGURES: dict[str, Callable[[bool], Figure]] = {
    "F1": engine_figures.durable_step,
    "F2": engine_figures.many_runs,
    "F3": engine_figures.full_durability,
    "F4": engine_figures.planning,
    "F5": engine_figures.restart,
    "F6": worker_figure.three_workers,
    "F7": house_figures.schedules,
    "F8": house_figures.startup,
}
PROFILES = ("chain", "at_once", "fan", "planning", "schedules")
screen = Console(width=None if sys.stdout.isatty() else 130)


def main() -> int:
    asked = _arguments()
    if asked.profile:
        from bench.profiling import print_profile  # noqa: PLC0415 - imports all of ours, which measuring must not

        print_profile(asked.profile)
        return 0
    machine = machine_facts()
    figures: list[Figure] = []
    for key in asked.figures or FIGURES:
        begun = time.perf_counter()
        figure = _measure(key, asked.quick)
        figures.append(figure)
        screen.print(_table(figure))
        took = round(time.perf_counter() - begun, 1)
        _say({"benchmark": key, "took_s": took, **figure.to_json()})
    results = {figure.key: figure.to_json() for figure in figures}
    HOME.mkdir(exist_ok=True)
    (HOME / "last.json").write_text(json.dumps({"machine": machine, "results": results}, indent=1))
    if asked.publish:
        _publish(machine, figures, quick=asked.quick)
    _say(results)
    return 1 if asked.check and not all(figure.ok for figure in figures) else 0


def _publish(machine: Mapping[str, str], figures: Sequence[Figure], *, quick: bool) -> None:
    whole = not quick and [figure.key for figure in figures] == list(FIGURES)
    if not whole or any(figure.problem for figure in figures):
        screen.print(
            "[red]Not published[/red]: the page tells of a whole run in which everything was measured."
        )
        return
    publish(machine, figures)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="OmniForge beside its peers.")
    parser.add_argument("figures", nargs="*", metavar="F1…F8", help="only these")
    parser.add_argument("--quick", action="store_true", help="small sizes, few rounds: does it run at all?")
    parser.add_argument("--check", action="store_true", help="exit code 1 when a bar is missed")
    parser.add_argument("--publish", action="store_true", help="write docs/benchmarks.md, .json and the plot")
    parser.add_argument("--profile", choices=PROFILES, help="where our time goes")
    asked = parser.parse_args()
    unknown = set(asked.figures) - set(FIGURES)
    if unknown:
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(FIGURES)}")
    return asked


def _measure(key: str, quick: bool) -> Figure:
    try:
        return FIGURES[key](quick)
    except (WorkloadFailed, WrongResult, PeersUnavailable) as error:
        return Figure(key, FIGURES[key].__name__.replace("_", " "), problem=str(error))


def _say(value: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def _table(figure: Figure) -> Table:
    table = Table(title=f"{figure.key} {figure.title}", title_justify="left", min_width=100)
    for name in ("what", "measured", "bar", "both sides"):
        table.add_column(name, justify="right" if name == "measured" else "left")
    table.add_column("")
    for part in figure.parts:
        table.add_row(*_row(part))
    if figure.problem:
        table.add_row(figure.problem, "", "", "", "[red]not measured[/red]")
    return table


def _row(part: Part) -> Sequence[str]:
    beside = ", ".join(f"{name} {rounded(value):g}" for name, value in part.beside.items())
    measured = f"{rounded(part.value):g} {part.unit}"
    if part.bar is None:
        return part.name, measured, "", beside, ""
    verdict = "[green]ok[/green]" if part.ok else "[red]missed[/red]"
    return part.name, measured, f"{part.sense} {part.bar:g} {part.unit}", beside, verdict


if __name__ == "__main__":
    sys.exit(main())
