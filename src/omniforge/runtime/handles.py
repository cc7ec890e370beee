"""Large values: shown to a model as a digest with a handle, opened in parts on demand (pure)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from omniforge.core.errors import NotFound

Json = dict[str, Any]

SHORT = 300
"""Characters up to which JSON is shown as JSON."""
SHOWN_WHOLE = 1_500
"""Characters up to which a value is shown as it is."""
OPENED = 12_000
"""Characters that one opening shows at most."""
_LINE = 4_000
_SAMPLE = 300


def lines_of(value: Any) -> list[str]:
    """A JSON value as lines: a list has one item per line, so that a part of it can be opened."""
    if isinstance(value, str):
        return value.splitlines() or [""]
    if isinstance(value, Mapping):
        lines: list[str] = []
        for name, part in cast("Mapping[str, Any]", value).items():
            inner = cast("list[Any]", part) if isinstance(part, list) else None
            if inner and len(inner) > 1:
                lines += [f"{name}: ["] + [f"  {_compact(item)}" for item in inner] + ["]"]
            elif isinstance(part, str) and "\n" in part:
                lines += [f"{name}:", *part.splitlines()]
            else:
                lines.append(f"{name}: {_compact(part)}")
        return lines or ["{}"]
    if isinstance(value, list):
        return [_compact(item) for item in cast("list[Any]", value)] or ["[]"]
    return [_compact(value)]


def digest_of(value: Any) -> str:
    """What a value is, in a few lines: its parts, how many there are, and a first one as an example."""
    match value:
        case str():
            return f"text of {len(value)} characters, beginning: {_begin(value)}"
        case list():
            return _listed(cast("list[Any]", value))
        case Mapping():
            parts = cast("Mapping[str, Any]", value)
            named = [f"- {name}: {_part(part)}" for name, part in list(parts.items())[:30]]
            more = [f"- … and {len(parts) - 30} more"] if len(parts) > 30 else []
            return "\n".join([f"object with {len(parts)} fields", *named, *more])
        case _:
            return _compact(value)


def _part(value: Any) -> str:
    whole = _compact(value)
    if len(whole) <= 120:
        return whole
    match value:
        case str():
            return f"text of {len(value)} characters: {_begin(value, 80)}"
        case list():
            return _listed(cast("list[Any]", value))
        case Mapping():
            names = ", ".join(str(name) for name in list(cast("Mapping[str, Any]", value))[:12])
            return f"object ({names})"
        case _:
            return whole[:120]


def _listed(items: Sequence[Any]) -> str:
    if not items:
        return "empty list"
    first = items[0]
    names = ""
    if isinstance(first, Mapping):
        names = f" with {', '.join(str(name) for name in list(cast('Mapping[str, Any]', first))[:12])}"
    return f"list of {len(items)}{names}; the first: {_begin(_compact(first))}"


def _begin(text: str, limit: int = _SAMPLE) -> str:
    return text if len(text) <= limit else f"{text[:limit]}…"


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)


@dataclass(slots=True)
class Handles:
    """What one step keeps open for its model, by handle. A step has its own, and sees no other's."""

    values: dict[str, Any] = field(default_factory=dict[str, Any])

    def put(self, handle: str, value: Any, *, whole: int = SHOWN_WHOLE) -> tuple[str, bool]:
        """How the value is shown: as it is when it is short, else as a digest. And whether it is whole."""
        text = value if isinstance(value, str) else _compact(value)
        if SHORT < len(text) <= 2 * whole:
            text = "\n".join(lines_of(value))
        if len(text) <= whole:
            return text, True
        handle = self._free(handle)
        self.values[handle] = value
        return (
            f"{digest_of(value)}\n(too large to show: Open handle {handle!r}, {len(lines_of(value))} lines)",
            False,
        )

    def _free(self, handle: str) -> str:
        number, name = 1, handle
        while name in self.values:
            number += 1
            name = f"{handle}-{number}"
        return name

    def open(self, handle: str, *, first: int = 1, lines: int = 200, find: str = "") -> Json:
        """Some lines of a value, or those that hold `find`; says which they are and how many there are."""
        if handle not in self.values:
            known = ", ".join(sorted(self.values)) or "none"
            raise NotFound(f"There is no handle {handle[:80]!r}; there are: {known}.", code="no_such_handle")
        every = list(enumerate(lines_of(self.values[handle]), start=1))
        chosen = [(n, line) for n, line in every if not find or find.lower() in line.lower()]
        shown: list[str] = []
        room, last = OPENED, 0
        for number, line in [pair for pair in chosen if pair[0] >= first][: max(1, lines)]:
            cut = line if len(line) <= _LINE else f"{line[:_LINE]}… ({len(line) - _LINE} more characters)"
            if len(cut) > room:
                break
            room -= len(cut) + 1
            shown.append(cut)
            last = number
        more = any(number > max(last, first - 1) for number, _ in chosen)
        told: Json = {"handle": handle, "text": "\n".join(shown), "lines_in_all": len(every)}
        if find:
            told["lines_found"] = len(chosen)
        return {**told, "next_line": last + 1} if more and shown else told
