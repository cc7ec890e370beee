"""Filters, sorts and paging of a data source query, as Notion documents them. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, cast

from omniforge.integrations.catalog.notion.standin.workspace import Json, Row, Table

TIMES = ("created_time", "last_edited_time")
LARGEST_PAGE = 100


class NotAccepted(Exception):
    """A body that Notion would answer with `validation_error`."""


def select(table: Table, rows: Sequence[Row], body: Json) -> list[Row]:
    """The rows of a query in order; NotAccepted for conditions Notion does not know."""
    chosen = list(rows)
    if (condition := body.get("filter")) is not None:
        chosen = [row for row in chosen if _matches(table, row, condition, 0)]
        if not rows:
            _matches(table, _nobody(table), condition, 0)  # an empty table still refuses a wrong filter
    sorts = body.get("sorts", [])
    if not isinstance(sorts, list):
        raise NotAccepted("body.sorts should be an array")
    chosen.sort(key=lambda row: (row.edited, row.id), reverse=True)
    for sort in reversed(cast("list[Any]", sorts)):
        key = _sort_key(table, sort)
        chosen.sort(key=key, reverse=sort.get("direction", "ascending") == "descending")
    return chosen


def page_of(results: Sequence[Any], cursor: Any, size: Any) -> tuple[list[Any], str | None]:
    """One page and the cursor of the next one."""
    try:
        count = int(size) if size is not None else LARGEST_PAGE
        start = int(str(cursor).removeprefix("cursor-"), 16) if cursor is not None else 0
    except (TypeError, ValueError):
        raise NotAccepted("start_cursor or page_size is not valid") from None
    if not 1 <= count <= LARGEST_PAGE:
        raise NotAccepted(f"page_size should be between 1 and {LARGEST_PAGE}, instead was {count}")
    if start and start >= len(results):
        raise NotAccepted("The start_cursor provided is invalid")
    end = start + count
    return list(results[start:end]), f"cursor-{end:x}" if end < len(results) else None


def _nobody(table: Table) -> Row:
    epoch = datetime.fromtimestamp(0, UTC)
    return Row("", table.id, epoch, epoch, "", {})


def _matches(table: Table, row: Row, condition: Any, depth: int) -> bool:
    if not isinstance(condition, dict) or depth > 2:
        raise NotAccepted("body.filter is not a filter, or is nested too deep")
    given = cast("Json", condition)
    for word, rule in (("and", all), ("or", any)):
        if word in given:
            parts = given[word]
            if not isinstance(parts, list):
                raise NotAccepted(f"body.filter.{word} should be an array")
            return rule([_matches(table, row, part, depth + 1) for part in cast("list[Any]", parts)])
    if "timestamp" in given:
        kind = str(given["timestamp"])
        if kind not in TIMES:
            raise NotAccepted(f"body.filter.timestamp should be one of {TIMES}")
        return _holds(_time(row, kind), kind, given.get(kind))
    field = table.find(str(given.get("property", "")))
    if field is None:
        raise NotAccepted(f"Could not find property with name or id: {given.get('property')}")
    if field.type not in given:
        raise NotAccepted(f"database property {field.type} does not match filter")
    value = _time(row, field.type) if field.type in TIMES else row.values.get(field.name)
    return _holds(value, field.type, given[field.type])


def _time(row: Row, kind: str) -> datetime:
    return row.created if kind == "created_time" else row.edited


def _holds(value: Any, kind: str, asked: Any) -> bool:
    if not isinstance(asked, dict) or len(cast("Json", asked)) != 1:
        raise NotAccepted(f"body.filter.{kind} should have exactly one condition")
    ((op, wanted),) = cast("Json", asked).items()
    if op in ("is_empty", "is_not_empty"):
        return (value in (None, "", [])) == (op == "is_empty")
    rule = _rules(kind).get(op)
    if rule is None:
        raise NotAccepted(f"body.filter.{kind}.{op} is not supported")
    if kind in (*TIMES, "date"):
        if value is None:
            return False
        return rule(moment(value), moment(wanted))
    return rule(value, wanted)


Rule = Callable[[Any, Any], bool]

EQUALITY: dict[str, Rule] = {
    "equals": lambda value, wanted: _folded(value) == _folded(wanted),
    "does_not_equal": lambda value, wanted: _folded(value) != _folded(wanted),
}
CONTAINING: dict[str, Rule] = {
    "contains": lambda value, wanted: _folded(wanted) in _folded(value or ""),
    "does_not_contain": lambda value, wanted: _folded(wanted) not in _folded(value or ""),
}
NUMBERS: dict[str, Rule] = {
    "greater_than": lambda value, wanted: value is not None and value > wanted,
    "less_than": lambda value, wanted: value is not None and value < wanted,
    "greater_than_or_equal_to": lambda value, wanted: value is not None and value >= wanted,
    "less_than_or_equal_to": lambda value, wanted: value is not None and value <= wanted,
}
DATES: dict[str, Rule] = {
    "equals": lambda value, wanted: value.date() == wanted.date(),
    "before": lambda value, wanted: value < wanted,
    "after": lambda value, wanted: value > wanted,
    "on_or_before": lambda value, wanted: value <= wanted,
    "on_or_after": lambda value, wanted: value >= wanted,
}


def _rules(kind: str) -> dict[str, Rule]:
    match kind:
        case "title" | "rich_text" | "url" | "email" | "phone_number":
            return EQUALITY | CONTAINING
        case "select" | "status" | "checkbox":
            return EQUALITY
        case "multi_select" | "people" | "relation":
            return CONTAINING
        case "number":
            return EQUALITY | NUMBERS
        case "date" | "created_time" | "last_edited_time":
            return DATES
        case _:
            return {}


def _folded(value: Any) -> Any:
    if isinstance(value, str):
        return value.casefold()
    if isinstance(value, list):
        return [_folded(item) for item in cast("list[Any]", value)]
    return value


def moment(given: Any) -> datetime:
    """An ISO date or time as an aware time; without a zone it is UTC."""
    if isinstance(given, datetime):
        return given
    try:
        parsed = datetime.fromisoformat(str(given))
    except ValueError:
        raise NotAccepted(f"{given!r} should be a valid ISO 8601 date") from None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def _sort_key(table: Table, sort: Any) -> Callable[[Row], Any]:
    if not isinstance(sort, dict) or sort.get("direction") not in ("ascending", "descending", None):  # pyright: ignore[reportUnknownMemberType]
        raise NotAccepted("body.sorts[] should name a property or timestamp, and a direction")
    given = cast("Json", sort)
    if given.get("timestamp") in TIMES:
        kind = str(given["timestamp"])
        return lambda row: _time(row, kind)
    field = table.find(str(given.get("property", "")))
    if field is None:
        raise NotAccepted(f"Could not find sort property with name or id: {given.get('property')}")
    if field.type in TIMES:
        return lambda row: _time(row, field.type)
    if field.type in ("select", "status"):
        order = {name: number for number, name in enumerate(field.options)}
        return lambda row: order.get(str(row.values.get(field.name)), len(order))
    return lambda row: _comparable(row.values.get(field.name))


def _comparable(value: Any) -> tuple[int, float, str]:
    """Numbers before texts before nothing."""
    if value in (None, "", []):
        return 2, 0.0, ""
    if isinstance(value, int | float):
        return 0, float(value), ""
    return 1, 0.0, str(value).casefold()
