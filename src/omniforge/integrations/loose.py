"""Reading what came from outside without trusting its shape."""

from __future__ import annotations

from typing import Any, cast

Json = dict[str, Any]


def mapping(value: Any) -> Json:
    """The object, or an empty one when something else stands there."""
    return cast("Json", value) if isinstance(value, dict) else {}


def items(value: Any) -> list[Json]:
    """The objects of a list; whatever else is in it is left out."""
    if not isinstance(value, list):
        return []
    return [cast("Json", item) for item in cast("list[Any]", value) if isinstance(item, dict)]


def text(value: Any, default: str = "") -> str:
    return value if isinstance(value, str) else default
