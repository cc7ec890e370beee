"""What a change changed: old and new values by field, as events tell them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from typing import Any

Json = dict[str, Any]


def apply(row: Any, given: Mapping[str, Any]) -> Json:
    """Set what differs on a row; `{field: [old, new]}` of it."""
    changed: Json = {}
    for name, value in given.items():
        kept, stored = getattr(row, name), value.value if isinstance(value, Enum) else value
        if kept != stored:
            setattr(row, name, stored)
            changed[name] = [plain(kept), plain(stored)]
    return changed


def plain(value: Any) -> Any:
    """A value as events tell it."""
    if isinstance(value, Enum):
        return value.value
    return value.isoformat() if isinstance(value, datetime) else value


def short(changed: Mapping[str, Any], longest: int = 1_000) -> Json:
    """The same with long texts cut: an event holds little, the row holds all."""
    return {
        name: [one[:longest] if isinstance(one, str) else one for one in pair]
        for name, pair in changed.items()
    }
