"""docs/benchmarks.md, docs/benchmarks.json and the plot, from results."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from bench.environment import ROOT
from bench.plot import panels_of, svg
from bench.results import Figure, Part, rounded

PAGE = ROOT / "docs" / "benchmarks.md"
DATA = ROOT / "docs" / "benchmarks.json"
PLOT = ROOT / "docs" / "images" / "benchmarks.svg"

TEMPLATE = ROOT / "bench" / "page.md"
"""The page's words; `{machine}` and `{results}` stand where the tables go."""


def publish(machine: Mapping[str, str], figures: Sequence[Figure]) -> None:
    """Write the page, the data and the plot."""
    results = {figure.key: figure.to_json() for figure in figures}
    DATA.write_text(
        json.dumps({"machine": dict(machine), "results": results}, indent=1, ensure_ascii=False) + "\n"
    )
    PLOT.parent.mkdir(exist_ok=True)
    caption = f"{machine['date']} · {machine['processor']} · logarithmic; less is better except for runs/s"
    PLOT.write_text(svg(panels_of(figures), caption))
    PAGE.write_text(page(machine, figures))


def page(machine: Mapping[str, str], figures: Sequence[Figure]) -> str:
    facts = "\n".join(["| | |", "|---|---|", *(f"| {name} | {fact} |" for name, fact in machine.items())])
    results = "\n".join(map(_section, figures)).rstrip()
    return TEMPLATE.read_text().replace("{machine}", facts).replace("{results}", results)


def _section(figure: Figure) -> str:
    lines = [f"### {figure.key} {figure.title}\n"]
    if figure.problem:
        return "\n".join([*lines, f"Not measured: {figure.problem}\n"])
    lines += ["| what | measured | bar | | every side |", "|---|---:|---|---|---|"]
    return "\n".join([*lines, *map(_row, figure.parts), ""])


def _row(part: Part) -> str:
    bar = "" if part.bar is None else f"{part.sense} {part.bar:g} {part.unit}"
    verdict = "" if part.bar is None else ("reached" if part.ok else "**missed**")
    sides = " · ".join(f"{side} {rounded(value):g}" for side, value in part.beside.items())
    shown = f"{sides} ({part.beside_unit})" if part.beside_unit else sides
    return f"| {part.name} | {rounded(part.value):g} {part.unit} | {bar} | {verdict} | {shown} |"
