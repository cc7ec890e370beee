"""What a benchmark found: parts with a bar each, and the figure they make up (pure)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Literal

TIMES = "×"  # noqa: RUF001 - the sign, not a letter
"""Unit of a ratio of two sides, or of two sizes."""

Measured = Mapping[str, float]
"""What one process printed: name → number."""


@dataclass(frozen=True, slots=True)
class Part:
    """One number with its bar. Without a bar it is told and not judged.

    unit: `TIMES`, else ms, s, MB, %, or what is counted.
    floor: below this (above, for "at most") the number is not merely short of its bar.
    beside: every side's own number in `beside_unit`, side → value; ours is called `omniforge`.
    """

    name: str
    value: float
    unit: str
    bar: float | None = None
    sense: Literal["at least", "at most"] = "at most"
    floor: float | None = None
    beside: Mapping[str, float] = field(default_factory=dict[str, float])
    beside_unit: str = ""

    def reaches(self, mark: float) -> bool:
        return self.value >= mark if self.sense == "at least" else self.value <= mark

    @property
    def ok(self) -> bool:
        return self.bar is None or self.reaches(self.bar)

    @property
    def margin(self) -> float:
        """Over 1: better than the bar by this factor."""
        if self.bar is None:
            return float("inf")
        best, worst = (self.value, self.bar) if self.sense == "at least" else (self.bar, self.value)
        return best / worst if worst else float("inf")

    @property
    def ratio(self) -> float:
        """The value where it is a ratio itself, else value ÷ bar."""
        return self.value if self.unit == TIMES or not self.bar else self.value / self.bar

    def to_json(self) -> dict[str, Any]:
        shown: dict[str, Any] = {"value": rounded(self.value), "unit": self.unit}
        if self.bar is not None:
            shown |= {"bar": self.bar, "sense": self.sense, "ok": self.ok}
        if self.floor is not None:
            shown |= {"floor": self.floor, "above_floor": self.reaches(self.floor)}
        if self.beside:
            shown["beside"] = {name: rounded(value) for name, value in self.beside.items()}
            shown["beside_unit"] = self.beside_unit
        return shown


@dataclass(frozen=True, slots=True)
class Figure:
    """A benchmark. `problem` says why it could not be measured; it then counts as not reached."""

    key: str
    title: str
    parts: Sequence[Part] = ()
    problem: str | None = None

    @property
    def ok(self) -> bool:
        return self.problem is None and all(part.ok for part in self.parts)

    @property
    def closest(self) -> Part | None:
        """The part with the least margin: the one the figure stands or falls with."""
        judged = [part for part in self.parts if part.bar is not None]
        return min(judged, key=lambda part: part.margin, default=None)

    def to_json(self) -> dict[str, Any]:
        """`ratio` and `bar` are the closest part's; where that is not a ratio itself, it is value ÷ bar."""
        part = self.closest
        if self.problem is not None or part is None or part.bar is None:
            return {"ratio": None, "bar": None, "ok": False, "title": self.title, "problem": self.problem}
        return {
            "ratio": rounded(part.ratio),
            "bar": part.bar if part.unit == TIMES else 1.0,
            "sense": part.sense,
            "ok": self.ok,
            "closest": part.name,
            "title": self.title,
            "parts": {each.name: each.to_json() for each in self.parts},
        }


def rounded(value: float) -> float:
    """Three digits that mean something."""
    return float(f"{value:.3g}") if abs(value) < 1000 else round(value, 0)


def middle(rounds: Sequence[Measured], name: str) -> float:
    return median(measured[name] for measured in rounds)


def times_faster(peer: Sequence[Measured], ours: Sequence[Measured], name: str) -> float:
    """Median over the rounds of peer ÷ ours: both sides of one round met the same noise of the machine."""
    return median(p[name] / o[name] for p, o in zip(peer, ours, strict=True))


def against(
    name: str,
    found: Mapping[str, Sequence[Measured]],
    peer: str,
    number: str,
    *,
    bar: float | None = None,
    floor: float | None = None,
    unit: str = "",
) -> Part:
    """How many times less `number` is for ours than for a peer; beside it all sides that measured it.

    found: side → its rounds; ours is `omniforge`. A side with other rounds than ours is compared by medians.
    """
    ours, theirs = found["omniforge"], found[peer]
    if len(ours) == len(theirs):
        value = times_faster(theirs, ours, number)
    else:
        value = middle(theirs, number) / middle(ours, number)
    beside = {side: middle(rounds, number) for side, rounds in found.items()}
    return Part(name, value, TIMES, bar, "at least", floor, beside, unit)
