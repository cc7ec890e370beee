"""Which entries are wanted: tests of one field each, by its words, by being empty, by dates and numbers."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date, datetime, timedelta, tzinfo
from typing import Any, Mapping, Sequence, cast  # noqa: UP035 - Python 3.9 reads this too

from sandbox_kit.entries import Json, is_empty, value_of
from sandbox_kit.skill import Refused, Request
from sandbox_kit.values import amount_of
from sandbox_kit.windows import moment_of, span_of, zone_of

__all__ = ["chosen", "is_wanted"]

ANYWHERE = "*"
AHEAD = "today, tomorrow, this_week, next_week, this_month, next_month or next_7_days"


def chosen(
    entries: Sequence[Json], rules: Sequence[Mapping[str, Any]], request: Request | None = None
) -> list[Json]:
    """The entries that pass every rule.

    A rule is `{"field", "values", "keep", "how"}`. `how` is `is` (one of the values, the usual), `holds` (one
    of them as words of it), `empty`, `before` and `within` (a date, and the name of a stretch of time:
    `today`, `next_7_days`, `report` for the report's own), `above` and `below` (a number). `keep` false turns
    it round. The field `*` is the title and every value.
    """
    dated = [_dated(rule, request) for rule in rules]
    return [entry for entry in entries if is_wanted(entry, dated)]


def is_wanted(entry: Mapping[str, Any], rules: Sequence[Mapping[str, Any]]) -> bool:
    """Whether an entry passes every rule; those about dates have `spans` of days and a `zone`.

    Of several kinds of entries, those that do not have a field pass the rules about it.
    """
    asked = [rule for rule in rules if not _is_of_others(entry, str(rule["field"]))]
    return all(_passes(entry, rule) == rule.get("keep", True) for rule in asked)


def _is_of_others(entry: Mapping[str, Any], field: str) -> bool:
    """Whether only other kinds of entries have this field."""
    fields: Json = entry.get("fields") or {}
    return "kind" in fields and field not in (*fields, ANYWHERE, "title", "edited_at")


def _passes(entry: Mapping[str, Any], rule: Mapping[str, Any]) -> bool:
    how, values = rule.get("how", "is"), [str(value).casefold() for value in rule.get("values") or ()]
    found = _values_of(entry, str(rule["field"]))
    if how == "empty":
        return not found
    if how in ("before", "within"):
        days = [_day_of(value, rule.get("zone")) for value in found]
        return any(day is not None and _is_in(day, rule, how) for day in days)
    if how in ("above", "below"):
        bound = amount_of(values[0]) if values else None
        numbers = [amount for value in found if (amount := amount_of(value)) is not None]
        if bound is None:
            return False
        return any(
            (n.number > bound.number) if how == "above" else (n.number < bound.number) for n in numbers
        )
    texts = [str(value).casefold() for value in found]
    if how == "holds":
        return any(re.search(rf"(?<!\w){re.escape(value)}", text) for value in values for text in texts)
    return any(value in texts for value in values)


def _values_of(entry: Mapping[str, Any], field: str) -> list[Any]:
    """What is in a field, as a list without empty ones."""
    if field == ANYWHERE:
        inside = cast("Json", entry.get("fields") or {})
        return [entry.get("title") or "", *(one for name in inside for one in _values_of(entry, name))]
    value = value_of(entry, field)
    values = cast("list[Any]", value) if isinstance(value, list) else [value]
    return [one for one in values if not is_empty(one)]


# --- dates ------------------------------------------------------------------------------------------------


def _dated(rule: Mapping[str, Any], request: Request | None) -> Mapping[str, Any]:
    """The rule with the days that its name of a stretch of time means now, in the agent's time zone."""
    if rule.get("how") not in ("before", "within") or request is None:
        return rule
    spans = [days_of(str(name), request) for name in rule.get("values") or ["today"]]
    return {**rule, "spans": spans, "zone": zone_of(request.context)[0]}


def days_of(name: str, request: Request) -> tuple[date | None, date | None]:
    """First and last day of a stretch of time, both included; None is no bound. Whole weeks and months."""
    zone, _ = zone_of(request.context)
    today = datetime.fromisoformat(request.context["now"].replace("Z", "+00:00")).astimezone(zone).date()
    monday, first = today - timedelta(days=today.weekday()), today.replace(day=1)
    after = (first + timedelta(days=32)).replace(day=1)
    day, week = timedelta(days=1), timedelta(days=7)
    known = {
        "today": (today, today),
        "tomorrow": (today + day, today + day),
        "this_week": (monday, monday + week - day),
        "next_week": (monday + week, monday + 2 * week - day),
        "this_month": (first, after - day),
        "next_month": (after, (after + timedelta(days=32)).replace(day=1) - day),
    }
    if name in known:
        return known[name]
    if ahead := re.fullmatch(r"next_(\d{1,3})_days", name):
        return today, today + int(ahead[1]) * day
    window = {"report": str(request.config.get("window") or "all")}.get(name, name)
    try:
        span = span_of(replace(request, config={**request.config, "window": window}))
    except Refused:
        raise Refused(
            f"The stretch of time {name[:80]!r} is not known. It can be {AHEAD}, or a past one."
        ) from None
    last = (span.before - timedelta(microseconds=1)).date() if span.before else None
    return (span.after.date() if span.after else None), last


def _is_in(day: date, rule: Mapping[str, Any], how: str) -> bool:
    spans: Sequence[tuple[date | None, date | None]] = rule.get("spans") or ()
    if how == "before":
        return any(first is not None and day < first for first, _ in spans)
    return any((first is None or day >= first) and (last is None or day <= last) for first, last in spans)


def _day_of(value: Any, zone: tzinfo | None) -> date | None:
    """The day of a date or a moment; a moment's day is that of the zone."""
    moment = moment_of(value)
    if moment is not None:
        return moment.astimezone(zone).date()
    try:
        return date.fromisoformat(str(value)[:10])
    except ValueError:
        return None
