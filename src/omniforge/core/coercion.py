"""Safe coercion of an answer into its schema: changes of form only, never of meaning (pure)."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

Schema = Mapping[str, Any]
"""JSON Schema of which `type` (one or a list), `required`, `properties`, `items` and `enum` are read."""

MOST_PROBLEMS = 50
_INTEGER = re.compile(r"[+-]?\d{1,18}")
_NUMBER = re.compile(r"[+-]?(\d{1,18})?(\.\d{1,18})?([eE][+-]?\d{1,3})?")
_FENCE = re.compile(r"```[a-zA-Z]*\s*\n(.*?)\n?```", re.DOTALL)
_WORDS = {"true": True, "yes": True, "false": False, "no": False}
_NAMES = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "nothing",
}


class _Unfit(Exception):
    """This value has no safe form of the wanted type."""


def coerce(output: Any, schema: Schema) -> tuple[Any, list[str]]:
    """The value in the form the schema asks for, and what could not be brought into it, as `$.path: problem`.

    Without problems the value fits. Text that holds a number, truth value, list or object becomes that; a
    number or truth value becomes text where text is wanted; one value becomes a list of one; a word of an
    `enum` is found in any case. Nothing is invented: a missing field stays missing, an unknown one stays.
    """
    problems: list[str] = []
    value: Any = _coerced(output, schema, "$", problems)
    return value, problems[:MOST_PROBLEMS]


def _coerced(value: Any, schema: Schema, path: str, problems: list[str]) -> Any:
    if "enum" in schema:
        value = _chosen(value, cast("Sequence[Any]", schema["enum"]), path, problems)
    wanted = _types(schema)
    if wanted and not any(_is(value, name) for name in wanted):
        try:
            value = _as_first(value, wanted)
        except _Unfit:
            expected = " or ".join(_NAMES.get(name, name) for name in wanted)
            problems.append(f"{path}: expected {expected}, got {_described(value)}")
            return value
    if isinstance(value, dict) and (not wanted or "object" in wanted):
        return _fields(cast("dict[str, Any]", value), schema, path, problems)
    items = schema.get("items")
    if isinstance(value, list) and isinstance(items, Mapping):
        inner = cast("Schema", items)
        listed = cast("list[Any]", value)
        return [_coerced(item, inner, f"{path}[{index}]", problems) for index, item in enumerate(listed)]
    return cast("Any", value)


def _fields(value: dict[str, Any], schema: Schema, path: str, problems: list[str]) -> dict[str, Any]:
    properties = cast("Mapping[str, Schema]", schema.get("properties") or {})
    required = cast("Sequence[str]", schema.get("required") or ())
    problems += [f"{path}.{name}: is missing" for name in required if name not in value]
    return {
        name: _coerced(part, properties[name], f"{path}.{name}", problems) if name in properties else part
        for name, part in value.items()
    }


def _chosen(value: Any, allowed: Sequence[Any], path: str, problems: list[str]) -> Any:
    if any(_same(value, choice) for choice in allowed):
        return value
    matches = [choice for choice in allowed if _spoken(choice) == _spoken(value)]
    if len(matches) == 1:
        return matches[0]
    shown = ", ".join(json.dumps(choice, ensure_ascii=False, default=str) for choice in allowed[:20])
    problems.append(f"{path}: expected one of {shown}, got {_described(value)}")
    return value


def _same(one: Any, other: Any) -> bool:
    return isinstance(one, bool) == isinstance(other, bool) and one == other


def _spoken(value: Any) -> str | None:
    """A scalar as a person would say it; lists and objects are never a word."""
    return None if isinstance(value, dict | list) else str(value).strip().casefold()


def _types(schema: Schema) -> tuple[str, ...]:
    given = schema.get("type")
    if isinstance(given, str):
        return (given,)
    return tuple(str(name) for name in cast("Sequence[Any]", given or ()))


def _is(value: Any, name: str) -> bool:
    match name:
        case "string":
            return isinstance(value, str)
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        case "number":
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            return is_number and math.isfinite(value)
        case "boolean":
            return isinstance(value, bool)
        case "array":
            return isinstance(value, list)
        case "object":
            return isinstance(value, dict)
        case "null":
            return value is None
        case _:
            return True  # a type we do not know forbids nothing


def _as_first(value: Any, wanted: Sequence[str]) -> Any:
    """In the order of the schema; raises `_Unfit` when no type takes the value."""
    for name in wanted:
        try:
            return _CASTS[name](value)
        except (_Unfit, KeyError):
            continue
    raise _Unfit


def _integer(value: Any) -> int:
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    if isinstance(value, str) and _INTEGER.fullmatch(value.strip()):
        return int(value)
    raise _Unfit


def _number(value: Any) -> int | float:
    text = value.strip() if isinstance(value, str) else ""
    if _INTEGER.fullmatch(text):
        return int(text)
    if any(digit.isdigit() for digit in text) and _NUMBER.fullmatch(text):
        try:
            number = float(text)
        except ValueError:
            raise _Unfit from None
        if math.isfinite(number):
            return number
    raise _Unfit


def _boolean(value: Any) -> bool:
    if isinstance(value, str) and value.strip().casefold() in _WORDS:
        return _WORDS[value.strip().casefold()]
    raise _Unfit


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
        return json.dumps(value)
    raise _Unfit


def _object(value: Any) -> dict[str, Any]:
    found = _parsed(value)
    if isinstance(found, dict):
        return cast("dict[str, Any]", found)
    raise _Unfit


def _array(value: Any) -> list[Any]:
    found = _parsed(value)
    if isinstance(found, list):
        return cast("list[Any]", found)
    if value is None:
        raise _Unfit
    return [value]


def _nothing(value: Any) -> None:
    if not (isinstance(value, str) and value.strip().casefold() in ("null", "none", "")):
        raise _Unfit


_CASTS: Mapping[str, Callable[[Any], Any]] = {
    "string": _text,
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "array": _array,
    "object": _object,
    "null": _nothing,
}


def _parsed(value: Any) -> Any:
    """What a text holds as JSON, bare or in a fence; None when it holds none."""
    if not isinstance(value, str):
        return None
    fenced = _FENCE.search(value)
    try:
        return json.loads(fenced[1] if fenced else value)
    except (ValueError, RecursionError):
        return None


def _described(value: Any) -> str:
    for name in ("null", "boolean", "integer", "number", "array", "object", "string"):
        if _is(value, name):
            return f"{_NAMES[name]} ({str(value)[:80]!r})" if name == "string" else _NAMES[name]
    return type(value).__name__
