"""Sample values that pass the rules of a report, so that a test has something to find."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

from omniforge.integrations.loose import items, text

ANYWHERE = "*"
"""The field that stands for the title and every value."""
FITTING = 2
"""Sample entries of each place that pass its rules."""
_DAYS: Mapping[str, int] = {"today": 0, "this_week": 0, "this_month": 0, "tomorrow": 1, "yesterday": -1}


def fitting_values(resource: Mapping[str, Any], now: datetime) -> dict[str, str | None]:
    """Field → a value that passes the rules in `only` of a known resource; None has to stay empty.

    A rule is `{field, how, values, keep}` as a report's script has it. Days are ISO dates, numbers are
    written out. What a rule leaves open, and what it only refuses, is not in it: ordinary samples do.
    """
    found: dict[str, str | None] = {}
    for rule in items(resource.get("only")):
        how, keep, values = (
            text(rule.get("how")),
            rule.get("keep") is not False,
            [str(value) for value in rule.get("values") or ()],
        )
        if how == "empty":
            found |= {text(rule.get("field")): None} if keep else {}
        elif keep and (values or how in ("before", "within")):
            found[text(rule.get("field"))] = _value(how, values[0] if values else "today", now.date())
    return found


def _value(how: str, said: str, today: date) -> str:
    match how:
        case "within":
            return _day_in(said, today).isoformat()
        case "before":
            return (_day_in(said, today) - timedelta(days=1)).isoformat()
        case "above" | "below":
            number = re.search(r"-?\d+(?:\.\d+)?", said)
            bound = float(number.group()) if number else 0.0
            return f"{bound + (1 if how == 'above' else -1):g}"
        case _:
            return said


def _day_in(name: str, today: date) -> date:
    """A day in the stretch of time of that name; the past week's stands for what is not known here."""
    if name in _DAYS:
        return today + timedelta(days=_DAYS[name])
    if name == "next_week":
        return today + timedelta(days=7 - today.weekday())
    if name == "next_month":
        return (today.replace(day=1) + timedelta(days=32)).replace(day=1)
    return today if name.startswith("next_") else today - timedelta(days=1)
