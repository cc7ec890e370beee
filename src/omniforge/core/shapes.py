"""Data from outside checked against a model: every mistake named, in one form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from omniforge.core.errors import Invalid

Model = TypeVar("Model", bound=BaseModel)


def checked(model: type[Model], given: Mapping[str, Any], what: str) -> Model:
    """The data as a model; `Invalid` about `what` lists every mistake."""
    try:
        return model.model_validate(dict(given))
    except ValidationError as error:
        fields = mistakes(error.errors(include_url=False, include_context=False))
        names = ", ".join(field["field"] or "arguments" for field in fields)
        raise Invalid(f"{what}: please check {names}.", fields=fields, subject=what) from None


@cache
def schema_of(model: type[BaseModel]) -> dict[str, Any]:
    """JSON Schema of a model, made once: it takes longer than many a use of it. Not to be changed."""
    return model.model_json_schema()


def mistakes(errors: Sequence[Any]) -> list[dict[str, Any]]:
    """Pydantic's errors as `{field, value, rule}`; only plain, short values are repeated."""
    return [
        {"field": dotted(item["loc"]), "value": _plain(item.get("input")), "rule": item["msg"]}
        for item in errors
    ]


def dotted(location: Sequence[str | int]) -> str:
    """`skills[1].when`."""
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return value[:200]
    return value if isinstance(value, int | float | bool) else None
