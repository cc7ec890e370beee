"""What workers send as text: without control characters, without secrets, and as long as can be kept (pure).

It is data: it is shown escaped, and nobody here runs it or reads it as a command.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Annotated, Any, cast

from pydantic import AfterValidator, StringConstraints

from omniforge.core.errors import PayloadTooLarge
from omniforge.core.redaction import redacted
from omniforge.engine.events import storable

LONGEST_PATH = 1000
LONGEST_MESSAGE = 10 * 1024
"""Bytes of something that is said to or by a worker."""
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_CUTS = (4_000, 1_000, 200, 40)
_MASK = "[secret removed]"


def plain(text: str) -> str:
    """Without control characters but line ends and tabs."""
    return _CONTROLS.sub("", text)


def cleaned(value: Any, secrets: Sequence[str] = ()) -> Any:
    """A JSON value whose texts hold no control characters, no known secret and none of a known form."""

    def clean(text: str) -> str:
        text = plain(text)
        for secret in secrets:
            text = text.replace(secret, _MASK)
        return redacted(text)

    return _each_text(value, clean)


def size_of(value: Any) -> int:
    """Bytes of a JSON value."""
    return len(storable(value).encode())


def shortened(data: dict[str, Any], limit: int) -> dict[str, Any]:
    """The same in fewer than `limit` bytes: long texts are cut, and `shortened` says so."""
    for cut in _CUTS:
        less = _each_text(data, lambda text, cut=cut: text if len(text) <= cut else text[:cut] + "…")
        if size_of(made := {**less, "shortened": True}) < limit:
            return made
    return {"shortened": True}


def is_relative(path: str) -> bool:
    """Whether a path stays where it begins, written in the one way that every system reads alike."""
    parts = path.split("/")
    is_plain = path.isprintable() and "\\" not in path
    return is_plain and 0 < len(path) <= LONGEST_PATH and bool(parts[0]) and ".." not in parts


def _relative(path: str) -> str:
    if not is_relative(path):
        raise ValueError(f"a relative path of at most {LONGEST_PATH} characters, without '..'")
    return path


def _short_enough(text: str) -> str:
    if (size := len(text.encode())) > LONGEST_MESSAGE:
        message = f"At most {LONGEST_MESSAGE} bytes are taken here."
        raise PayloadTooLarge(message, limit=LONGEST_MESSAGE, bytes=size)
    if not (said := plain(text)):
        raise ValueError("text that holds more than control characters")
    return said


RelativePath = Annotated[str, AfterValidator(_relative)]
Said = Annotated[str, StringConstraints(min_length=1), AfterValidator(_short_enough)]
"""A message: plain text of at most `LONGEST_MESSAGE` bytes; longer is PayloadTooLarge."""


def _each_text(value: Any, change: Callable[[str], str]) -> Any:
    match value:
        case str():
            return change(value)
        case dict():
            parts = cast("dict[str, Any]", value)
            return {change(name): _each_text(part, change) for name, part in parts.items()}
        case list():
            return [_each_text(part, change) for part in cast("list[Any]", value)]
        case _:
            return value
