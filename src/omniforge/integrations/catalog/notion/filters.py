"""Windows, conditions and order of a question, in the form Notion's query wants. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from omniforge.core.errors import Invalid
from omniforge.integrations.catalog.notion.shapes import Json, person_id
from omniforge.integrations.loose import mapping, text

TEXT_OPS = frozenset({"equals", "does_not_equal", "contains", "does_not_contain", "is_empty", "is_not_empty"})
CHOICE_OPS = frozenset({"equals", "does_not_equal", "is_empty", "is_not_empty"})
LIST_OPS = frozenset({"contains", "does_not_contain", "is_empty", "is_not_empty"})
NUMBER_OPS = CHOICE_OPS | {
    "greater_than",
    "less_than",
    "greater_than_or_equal_to",
    "less_than_or_equal_to",
}
DATE_OPS = frozenset({"equals", "before", "after", "on_or_before", "on_or_after", "is_empty", "is_not_empty"})

OPS: Mapping[str, frozenset[str]] = {
    "title": TEXT_OPS,
    "rich_text": TEXT_OPS,
    "url": TEXT_OPS,
    "email": TEXT_OPS,
    "phone_number": TEXT_OPS,
    "select": CHOICE_OPS,
    "status": CHOICE_OPS,
    "multi_select": LIST_OPS,
    "people": LIST_OPS,
    "relation": LIST_OPS,
    "checkbox": frozenset({"equals", "does_not_equal"}),
    "number": NUMBER_OPS,
    "date": DATE_OPS,
    "created_time": DATE_OPS,
    "last_edited_time": DATE_OPS,
}
TIMESTAMPS = {"created_at": "created_time", "edited_at": "last_edited_time"}
SINGULAR = {"equals": "contains", "does_not_equal": "does_not_contain"}


def time_window(field: str, after: str | None, before: str | None) -> list[Json]:
    """Conditions for `after` (included) up to `before` (excluded), RFC 3339."""
    bounds = (("on_or_after", after), ("before", before))
    return [{"timestamp": field, field: {op: moment}} for op, moment in bounds if moment is not None]


def condition(field: str, op: str, value: Any, schema: Json, people: Mapping[str, str]) -> Json:
    """One condition on a field; Invalid when the field or the comparison does not exist."""
    if field in TIMESTAMPS:
        kind, key = TIMESTAMPS[field], "timestamp"
        name = kind
    else:
        kind, key, name = text(mapping(schema.get(field)).get("type")), "property", field
    if not kind:
        raise _mistake(field, field, f"one of: {', '.join(schema)}")
    allowed = OPS.get(kind, frozenset())
    if allowed is LIST_OPS:
        op = SINGULAR.get(op, op)
    if op not in allowed:
        raise _mistake(field, op, f"for a {kind} field one of: {', '.join(sorted(allowed)) or 'none'}")
    if op in ("is_empty", "is_not_empty"):
        value = True
    elif kind == "people":
        try:
            value = person_id(str(value), people)
        except ValueError as error:
            raise _mistake(field, value, str(error)) from None
    return {key: name, kind: {op: value}}


def joined(conditions: Sequence[Json]) -> Json | None:
    """All conditions together; None when there is none."""
    if len(conditions) > 1:
        return {"and": list(conditions)}
    return conditions[0] if conditions else None


def order(field: str, direction: str, schema: Json) -> Json:
    """One sort; `edited_at` and `created_at` are the page's own times."""
    if field in TIMESTAMPS:
        return {"timestamp": TIMESTAMPS[field], "direction": direction}
    if field not in schema:
        raise _mistake(field, field, f"one of: edited_at, created_at, {', '.join(schema)}")
    return {"property": field, "direction": direction}


def _mistake(field: str, value: Any, rule: str) -> Invalid:
    entry = {"field": field, "value": repr(value)[:200], "rule": rule}
    return Invalid(f"The question about {field!r} does not fit this database.", fields=[entry])
