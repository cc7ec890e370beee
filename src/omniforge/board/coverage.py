"""How much of the code a report says was covered, in percent. Reports are hostile bytes. Pure."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any, cast
from xml.etree import ElementTree

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

MAX_REPORT = 32 * 1024 * 1024


class ReportUnreadable(Exception):
    """Not the report that was promised; the text says why."""


def read_coverage(report: bytes, format_: str) -> float:
    """Percent of covered lines. format_: cobertura, lcov or coverage-json."""
    if len(report) > MAX_REPORT:
        raise ReportUnreadable(f"it has more than {MAX_REPORT} bytes")
    percent = READERS[format_](report)
    if not math.isfinite(percent) or not 0 <= percent <= 100:
        raise ReportUnreadable("its figures are no share of a whole")
    return percent


def _cobertura(report: bytes) -> float:
    """Counted lines where the report counts them, else `line-rate` of the root. No entities, no DTD."""
    try:
        root = fromstring(report, forbid_dtd=False, forbid_entities=True, forbid_external=True)
    except (ElementTree.ParseError, DefusedXmlException, ValueError, LookupError) as flaw:
        raise ReportUnreadable(f"it is no XML that can be trusted ({type(flaw).__name__})") from None
    if root.tag != "coverage":
        raise ReportUnreadable("its root is not <coverage>")
    covered, valid = root.get("lines-covered"), root.get("lines-valid")
    try:
        if covered is not None and valid is not None and int(valid) > 0:
            return _share(int(covered), int(valid))
        return 100.0 * float(root.attrib["line-rate"])
    except (KeyError, ValueError):
        raise ReportUnreadable("it says no line-rate") from None


def _lcov(report: bytes) -> float:
    """`LF` and `LH` of all files together; of a file without them its `DA` lines. Of a file that is told of
    twice, the last counts as well as the first: as lcov adds them up."""
    found = hit = 0
    lines: dict[str, bool] = {}
    figures: dict[str, int] = {}
    for line in report.decode("utf-8", "replace").splitlines():
        name, _, value = line.strip().partition(":")
        try:
            match name:
                case "DA":
                    number, count, *_ = value.split(",")
                    lines[number] = lines.get(number, False) or float(count) > 0
                case "LF" | "LH":
                    figures[name] = int(value)
                case "end_of_record":
                    found += figures.get("LF", len(lines))
                    hit += figures.get("LH", sum(lines.values()))
                    lines, figures = {}, {}
                case _:
                    pass
        except ValueError:
            raise ReportUnreadable(f"a line of it is broken: {line[:80]}") from None
    return _share(hit, found)


def _coverage_json(report: bytes) -> float:
    """`totals.percent_covered` of coverage.py's JSON."""
    try:
        given: Any = json.loads(report)
    except (ValueError, RecursionError):
        raise ReportUnreadable("it is no JSON") from None
    totals: Any = cast("dict[str, Any]", given).get("totals") if isinstance(given, dict) else None
    percent: Any = cast("dict[str, Any]", totals).get("percent_covered") if isinstance(totals, dict) else None
    if isinstance(percent, bool) or not isinstance(percent, int | float):
        raise ReportUnreadable("it has no totals.percent_covered")
    return float(percent)


def _share(part: int, whole: int) -> float:
    if not 0 <= part <= whole or whole == 0:
        raise ReportUnreadable("it counts no lines")
    return 100.0 * part / whole


READERS: dict[str, Callable[[bytes], float]] = {
    "cobertura": _cobertura,
    "lcov": _lcov,
    "coverage-json": _coverage_json,
}
