"""Answers that are nearly JSON, brought into the shape that was asked for; nothing is invented (pure)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, cast

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError

from omniforge.core.coercion import coerce
from omniforge.core.errors import Invalid

Json = dict[str, Any]
LONGEST = 1_000_000
"""Characters beyond which broken JSON is not mended: the repair takes its time."""
MOST_PROBLEMS = 20
_FENCE = re.compile(r"```[\w-]*[ \t]*\n?(.*?)```", re.DOTALL)
_ROUND_IT = ("arguments", "args", "parameters", "input", "output", "answer", "result", "final_result", "data")


def check_schema(schema: Mapping[str, Any]) -> None:
    """Raise `Invalid` for what is no JSON schema of an object."""
    if schema.get("type") != "object":
        raise Invalid("The shape of an answer has to be a JSON schema of type object.", code="bad_schema")
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        raise Invalid(
            f"The shape of an answer is no JSON schema: {error.message}.", code="bad_schema"
        ) from None


def mended(text: str, schema: Mapping[str, Any]) -> Json | None:
    """The object a text means: bare, fenced, in prose, half finished, badly written; None without any."""
    found = strictly(text)
    if isinstance(found, dict):
        return _unwrapped(cast("Json", found), schema)
    if len(text) > LONGEST:
        return None
    if isinstance(found, str):  # JSON in a JSON text
        return mended(found, schema) if found != text else None
    fenced = _FENCE.findall(text)
    for candidate in (*reversed(fenced), text):
        made = _chosen(found if isinstance(found, list) else _repaired(candidate), schema)
        if made is not None:
            return _unwrapped(made, schema)
    return None


def strictly(text: str) -> Any:
    """The value of text that is JSON as it stands; None for any other."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def fitted(value: Json, schema: Mapping[str, Any]) -> tuple[Json, list[str]]:
    """The value in the form the schema asks for, and what is wrong with it, as `$.path: problem`."""
    coerced, problems = coerce(value, schema)
    if not problems:
        found = cast("list[ValidationError]", list(_validator(json.dumps(schema)).iter_errors(coerced)))
        problems = [f"{error.json_path}: {_said(error)}" for error in found[:MOST_PROBLEMS]]
    return cast("Json", coerced), problems


def _said(error: ValidationError) -> str:
    return error.message if len(error.message) <= 300 else f"does not satisfy {error.validator!r}"


@lru_cache(maxsize=256)
def _validator(schema: str) -> Any:
    return cast("Any", Draft202012Validator(json.loads(schema)))


def _repaired(text: str) -> Any:
    import json_repair  # noqa: PLC0415 - most answers need no mending

    try:
        return json_repair.loads(text)
    except (ValueError, RecursionError, IndexError):
        return None


def _chosen(found: Any, schema: Mapping[str, Any]) -> Json | None:
    """Of several objects the last that has what is required; a bare list where one list is all there is."""
    if isinstance(found, dict):
        return cast("Json", found) or None
    if not isinstance(found, list):
        return None
    listed = cast("list[Any]", found)
    objects = [cast("Json", entry) for entry in listed if isinstance(entry, dict)]
    properties = cast("Json", schema.get("properties") or {})
    only = next(iter(properties)) if len(properties) == 1 else None
    if (
        only is not None
        and properties[only].get("type") == "array"
        and not any(only in one for one in objects)
    ):
        return {only: listed}
    fitting = [one for one in objects if _has_required(one, schema)]
    return (fitting or objects or [None])[-1]


def _unwrapped(value: Json, schema: Mapping[str, Any]) -> Json:
    """Some models put the answer into a call or under a name of its own."""
    if _has_required(value, schema) and not _is_strange(value, schema):
        return value
    for name in (*_ROUND_IT, *(value if len(value) == 1 else ())):
        inner = value.get(name)
        if isinstance(inner, str):
            inner = strictly(inner)
        if isinstance(inner, dict) and _has_required(cast("Json", inner), schema):
            return cast("Json", inner)
    return value


def _has_required(value: Json, schema: Mapping[str, Any]) -> bool:
    return all(name in value for name in cast("Sequence[str]", schema.get("required") or ()))


def _is_strange(value: Json, schema: Mapping[str, Any]) -> bool:
    """Nothing of it is in the schema."""
    properties = cast("Json", schema.get("properties") or {})
    return bool(properties) and not any(name in properties for name in value)
