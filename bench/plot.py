"""The plot: one panel per comparison, bars on a logarithmic scale, written as SVG by hand (pure)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10

from bench.results import Figure, rounded

WIDTH, LABELS, RIGHT = 900, 300, 90
BAR, GAP, HEAD, FOOT = 18, 12, 62, 18
OURS = "#c2410c"
OTHERS = ("#64748b", "#94a3b8", "#cbd5e1", "#a8b5c7")


@dataclass(frozen=True, slots=True)
class Panel:
    """Groups of bars that share a unit: group → side → value."""

    title: str
    unit: str
    groups: Mapping[str, Mapping[str, float]]

    @property
    def height(self) -> int:
        bars = sum(len(sides) for sides in self.groups.values())
        return HEAD + bars * BAR + len(self.groups) * (GAP + BAR) + FOOT

    def color(self, side: str) -> str:
        """The same for a side wherever it stands in the panel."""
        others = dict.fromkeys(
            side for sides in self.groups.values() for side in sides if side != "omniforge"
        )
        return OURS if side == "omniforge" else OTHERS[list(others).index(side) % len(OTHERS)]

    @property
    def decades(self) -> tuple[int, int]:
        """Powers of ten that the scale begins and ends with."""
        values = [value for sides in self.groups.values() for value in sides.values() if value > 0]
        first, last = floor(log10(min(values)) - 0.1), ceil(log10(max(values)))
        return first, max(last, first + 1)


def panels_of(figures: Sequence[Figure]) -> list[Panel]:
    """A panel for each figure and unit in which at least two sides were measured."""
    found: dict[tuple[str, str, str], dict[str, Mapping[str, float]]] = {}
    for figure in figures:
        for part in figure.parts:
            if len(part.beside) > 1 and part.beside_unit:
                key = (figure.key, figure.title, part.beside_unit)
                found.setdefault(key, {})[re.split(": faster| ÷ ", part.name)[0]] = part.beside
    return [Panel(f"{key} · {title}", unit, groups) for (key, title, unit), groups in found.items()]


def svg(panels: Sequence[Panel], caption: str) -> str:
    height = sum(panel.height for panel in panels) + 40
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}"'
        f' height="{height}" font-family="system-ui, sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
    ]
    top = 0
    for panel in panels:
        lines += _panel(panel, top)
        top += panel.height
    lines.append(_text(20, height - 14, caption, fill="#475569", size=11))
    return "\n".join([*lines, "</svg>", ""])


def _panel(panel: Panel, top: int) -> list[str]:
    first, last = panel.decades
    room = WIDTH - LABELS - RIGHT
    bottom = top + panel.height - FOOT
    lines = [_text(20, top + 24, f"{panel.title}, {panel.unit}", size=15, weight="600")]
    for decade in range(first, last + 1):
        x = LABELS + room * (decade - first) / (last - first)
        lines.append(f'<path d="M{x:.1f} {top + HEAD - 8}V{bottom}" stroke="#e2e8f0"/>')
        lines.append(_text(x, top + HEAD - 12, f"{10.0**decade:g}", fill="#94a3b8", size=10, anchor="middle"))
    y = top + HEAD
    for group, sides in panel.groups.items():
        lines.append(_text(20, y + 13, group, weight="600"))
        y += BAR
        for side, value in sides.items():
            share = (log10(value) - first) / (last - first) if value > 0 else 0.0
            color = panel.color(side)
            width = max(1.0, room * share)
            lines.append(_text(LABELS - 8, y + 13, side, anchor="end", fill="#334155"))
            lines.append(
                f'<rect x="{LABELS}" y="{y + 2}" width="{width:.1f}" height="{BAR - 4}" fill="{color}"/>'
            )
            lines.append(_text(LABELS + width + 6, y + 13, f"{rounded(value):g}"))
            y += BAR
        y += GAP
    return lines


def _text(
    x: float,
    y: float,
    content: str,
    *,
    size: int = 12,
    fill: str = "#0f172a",
    anchor: str = "start",
    weight: str = "400",
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{fill}" text-anchor="{anchor}"'
        f' font-weight="{weight}">{escape(content)}</text>'
    )
