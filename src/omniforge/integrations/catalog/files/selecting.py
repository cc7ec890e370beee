"""Which rows are asked for: conditions on columns, a time window, an order (pure)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time
from typing import Any

from omniforge.core.errors import Invalid
from omniforge.integrations.catalog.files.tables import Json, Table

EMPTY = (None, "")


def _equal(cell: Any, value: Any) -> bool:
    return cell == value or _text(cell) == _text(value)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value).strip().casefold()


def _less(cell: Any, value: Any) -> bool:
    match comparable(cell), comparable(value):
        case (float() as left, float() as right):
            return left < right
        case (datetime() as left, datetime() as right):
            return left < right
        case _:
            return False


def comparable(value: Any) -> float | datetime | None:
    """A number or a moment; None for what has no order."""
    if isinstance(value, bool) or value in EMPTY:
        return None
    if isinstance(value, int | float):
        return float(value)
    try:
        return float(str(value))
    except ValueError:
        return moment_of(str(value))


def moment_of(text: str) -> datetime | None:
    """A date or a time in ISO form; without a zone it is UTC."""
    try:
        if len(text) == 10:
            return datetime.combine(date.fromisoformat(text), time(), UTC)
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


OPS: dict[str, Callable[[Any, Any], bool]] = {
    "equals": _equal,
    "does_not_equal": lambda cell, value: not _equal(cell, value),
    "contains": lambda cell, value: _text(value) in _text(cell),
    "does_not_contain": lambda cell, value: _text(value) not in _text(cell),
    "starts_with": lambda cell, value: _text(cell).startswith(_text(value)),
    "is_empty": lambda cell, _: cell in EMPTY,
    "is_not_empty": lambda cell, _: cell not in EMPTY,
    "less_than": _less,
    "greater_than": lambda cell, value: _less(value, cell),
    "before": _less,
    "on_or_after": lambda cell, value: comparable(cell) is not None and not _less(cell, value),
}


def condition(table: Table, column: str, op: str, value: Any) -> Callable[[Json], bool]:
    """Whether a row passes; Invalid names columns and words that there are."""
    known(table, column)
    does = OPS.get(op)
    if does is None:
        entry = {"field": "filters.op", "value": op[:200], "rule": f"one of {', '.join(OPS)}"}
        raise Invalid(f"Rows cannot be chosen by {op[:80]!r}.", fields=[entry])
    return lambda row: does(row.get(column), value)


def known(table: Table, column: str) -> str:
    if column not in table.columns:
        entry = {"field": "field", "value": column[:200], "rule": f"one of {', '.join(table.columns[:50])}"}
        raise Invalid(f"There is no column {column[:80]!r} in this file.", fields=[entry])
    return column


def within(
    table: Table, column: str, after: datetime | None, before: datetime | None
) -> Callable[[Json], bool]:
    """Whether a row's moment lies in the window, its start included and its end excluded."""
    known(table, column)

    def passes(row: Json) -> bool:
        moment = moment_of(str(row.get(column) or ""))
        return (
            moment is not None and (after is None or moment >= after) and (before is None or moment < before)
        )

    return passes


def ordered(rows: Sequence[tuple[int, Json]], column: str, *, descending: bool) -> list[tuple[int, Json]]:
    """By numbers, moments and text, in this order; empty cells last."""

    def place(entry: tuple[int, Json]) -> tuple[int, float, str]:
        value = entry[1].get(column)
        found = comparable(value)
        if isinstance(found, datetime):
            return (1, found.timestamp(), "")
        return (0, found, "") if found is not None else (2, 0.0, _text(value))

    filled = [entry for entry in rows if entry[1].get(column) not in EMPTY]
    empty = [entry for entry in rows if entry[1].get(column) in EMPTY]
    return sorted(filled, key=place, reverse=descending) + empty
