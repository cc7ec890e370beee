"""What the benchmarks make of measured numbers: ratios, verdicts, the plot."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
from bench.plot import panels_of, svg
from bench.results import TIMES, Figure, Part, against, rounded


@pytest.mark.parametrize(
    ("value", "bar", "sense", "ok"),
    [
        (8.0, 8.0, "at least", True),
        (7.9, 8.0, "at least", False),
        (0, 0, "at most", True),
        (1, 0, "at most", False),
    ],
)
def test_a_part_reaches_its_bar_in_its_own_sense(value: float, bar: float, sense: str, ok: bool) -> None:
    part = Part("x", value, TIMES, bar, sense)  # pyright: ignore[reportArgumentType]
    assert part.ok is ok
    assert (part.margin >= 1) is ok


def test_a_figure_stands_with_its_closest_part() -> None:
    parts = [
        Part("far", 40, TIMES, 8, "at least"),
        Part("close", 1.9, "s", 2.0),
        Part("only told", 99, "ms"),
    ]
    shown = Figure("F0", "Something", parts).to_json()
    assert (shown["ratio"], shown["bar"], shown["ok"], shown["closest"]) == (0.95, 1.0, True, "close")
    missed = Figure("F0", "Something", [*parts, Part("late", 3.0, "s", 2.0)]).to_json()
    assert (missed["ok"], missed["closest"], missed["ratio"]) == (False, "late", 1.5)


def test_what_could_not_be_measured_is_not_reached() -> None:
    shown = Figure("F0", "Something", problem="the peer did not start").to_json()
    assert (shown["ok"], shown["ratio"], shown["problem"]) == (False, None, "the peer did not start")
    assert Figure("F0", "Something").to_json()["ok"] is False


def test_a_ratio_is_taken_round_by_round() -> None:
    found = {
        "omniforge": [{"ms": 1.0}, {"ms": 10.0}, {"ms": 2.0}],
        "peer": [{"ms": 8.0}, {"ms": 80.0}, {"ms": 4.0}],
    }
    part = against("x", found, "peer", "ms", bar=8, unit="ms")
    assert (part.value, part.ok) == (8.0, True)
    assert part.beside == {"omniforge": 2.0, "peer": 8.0}


def test_three_digits_are_kept() -> None:
    assert [rounded(value) for value in (0.012345, 12.345, 12345.6)] == [0.0123, 12.3, 12346.0]


def test_the_plot_is_svg_with_a_bar_for_every_side() -> None:
    sides = {"omniforge": 0.05, "peer & co": 1.3, "nothing": 0.0}
    figures = [Figure("F0", "Steps <1>", [Part("a", 26, TIMES, 8, "at least", None, sides, "ms")])]
    root = ET.fromstring(svg(panels_of(figures), "today"))
    space = "{http://www.w3.org/2000/svg}"
    widths = [float(rect.attrib["width"]) for rect in root.iter(f"{space}rect")][1:]
    assert len(widths) == 3
    assert widths[2] < widths[0] < widths[1]
    assert {"peer & co", "F0 · Steps <1>, ms"} <= {text.text for text in root.iter(f"{space}text")}
