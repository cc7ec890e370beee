"""What may come in as a run's input: plain JSON of bounded size and depth, without hidden text (pure)."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Any, cast

from omniforge.core.errors import Invalid
from omniforge.engine.records import canonical

MAX_INPUT = 262_144
MAX_DEPTH = 32
_BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def check_input(value: Mapping[str, Any]) -> None:
    """Refuse what is too large or too deep, and text with NUL, hidden controls or direction overrides."""
    if not value:
        return
    try:
        size = len(canonical(dict(value)).encode())
    except (TypeError, ValueError, RecursionError, UnicodeEncodeError) as error:
        raise Invalid(f"The input is not plain JSON: {error}") from error
    if size > MAX_INPUT:
        raise Invalid(f"The input is {size} bytes; at most {MAX_INPUT}.", limit=MAX_INPUT)
    _check_value(dict(value), "input", 0)


def _check_value(value: Any, where: str, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise Invalid(f"The input is nested more than {MAX_DEPTH} levels deep.")
    match value:
        case str():
            hidden = {
                c for c in value if c in _BIDI or (unicodedata.category(c) == "Cc" and c not in "\n\r\t")
            }
            if hidden:
                shown = ", ".join(sorted(f"U+{ord(c):04X}" for c in hidden))
                rule = f"text without hidden control characters (found {shown})"
                raise Invalid(f"{where} holds hidden control characters.", fields=[_field(where, rule)])
        case dict():
            for name, part in cast("dict[str, Any]", value).items():
                _check_value(name, where, depth + 1)
                _check_value(part, f"{where}.{name}", depth + 1)
        case list():
            for index, part in enumerate(cast("list[Any]", value)):
                _check_value(part, f"{where}[{index}]", depth + 1)
        case _:
            pass


def _field(where: str, rule: str) -> dict[str, Any]:
    return {"field": where, "value": None, "rule": rule}
