"""A SKILL.md written: block style, quoted so that no text can break out of its field (pure)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from omniforge.core.errors import Invalid
from omniforge.skills.document.front_matter import Value

ORDER = (
    *("name", "description", "when_to_use", "license", "compatibility", "allowed-tools", "disallowed-tools"),
    *("model", "context", "user-invocable", "priority", "tags", "metadata"),
)
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*(?: [A-Za-z0-9_./-]+)*")
_FIELD = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_READ_AS_ANOTHER_TYPE = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})
_ESCAPED = re.compile(
    '["\\\\\x00-\x1f\x7f-\xa0\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufffe\uffff]'
)
_DASHES = re.compile(r"-(?=--)")


def render(fields: Mapping[str, Value], body: str) -> bytes:
    """The file. Reading it gives back these fields (None ones are left out) and exactly this body.

    `Invalid` for what no text file can hold: NUL in the body, lone surrogates.
    """
    if "\0" in body:
        raise Invalid("The body holds a NUL character.", code="not_text")
    order = {name: place for place, name in enumerate(ORDER)}
    given = [name for name in fields if fields[name] is not None]
    names = sorted(given, key=lambda name: order.get(name, len(order)))
    lines = [line for name in names for line in _entry(name, fields[name], "")]
    text = "\n".join(["---", *lines, "---", *(["", body] if body else [""])])
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        raise Invalid("The text holds half of a character (a lone surrogate).", code="not_text") from None


def _entry(name: str, value: Value, indent: str) -> Iterator[str]:
    key = name if _FIELD.fullmatch(name) and name.lower() not in _READ_AS_ANOTHER_TYPE else _quoted(name)
    match value:
        case dict() if value:
            yield f"{indent}{key}:"
            for inner, item in value.items():
                yield from _entry(inner, item, indent + "  ")
        case list() if value:
            yield f"{indent}{key}:"
            for item in value:
                yield f"{indent}  - {_inline(item)}"
        case _:
            yield f"{indent}{key}: {_inline(value)}"


def _inline(value: Value) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case str():
            return _scalar(value)
        case None:
            return "null"
        case list():
            return "[" + ", ".join(map(_inline, value)) + "]"
        case dict():
            return "{" + ", ".join(f"{_quoted(key)}: {_inline(item)}" for key, item in value.items()) + "}"


def _scalar(text: str) -> str:
    if len(text) > 200 or "---" in text or text.lower() in _READ_AS_ANOTHER_TYPE:
        return _quoted(text)
    return text if _PLAIN.fullmatch(text) else _quoted(text)


def _quoted(text: str) -> str:
    """In double quotes on one line. Three dashes are broken up: some readers cut the file at them."""
    return '"' + _DASHES.sub(r"\\x2d", _ESCAPED.sub(_escape, text)) + '"'


def _escape(match: re.Match[str]) -> str:
    char = match[0]
    if char in '"\\':
        return "\\" + char
    return f"\\x{ord(char):02x}" if ord(char) < 0x100 else f"\\u{ord(char):04x}"
