"""Single values of a document: read, or refused in words. Pure."""

from __future__ import annotations

import math
import re
from typing import Any, cast

from omniforge.board.importing.documents import Flaw

MAX_DEPTH = 20
_NO_TEXT = re.compile(r"[\0\ud800-\udfff]")


class Wrong(ValueError):
    """A value that is refused; the message says what is allowed. `field`: the part of it that is meant."""

    def __init__(self, rule: str, *, field: str = "", code: Flaw = Flaw.BAD_VALUE) -> None:
        super().__init__(rule)
        self.field, self.code = field, code


def text(value: Any, longest: int) -> str:
    """Text without the space around it; line ends are `\\n`."""
    if not isinstance(value, str):
        raise Wrong("text")
    if _NO_TEXT.search(value):
        raise Wrong("text without characters that cannot be kept")
    kept = value.replace("\r\n", "\n").replace("\r", "\n").strip()
    if len(kept) > longest:
        raise Wrong(f"at most {longest} characters, not {len(kept)}")
    return kept


def one_line(value: Any, longest: int) -> str:
    """Text in one line, not empty; what separates its words becomes single spaces."""
    kept = " ".join(text(value, 4 * longest).split())
    if not kept:
        raise Wrong("text that is not empty")
    if len(kept) > longest:
        raise Wrong(f"at most {longest} characters, not {len(kept)}")
    return kept


def strings(value: Any, longest: int, most: int) -> tuple[str, ...]:
    """A list of texts; each counts once."""
    if not isinstance(value, list):
        raise Wrong("a list of texts")
    given = cast("list[Any]", value)
    if len(given) > most:
        raise Wrong(f"at most {most}, not {len(given)}")
    return tuple(dict.fromkeys(one_line(each, longest) for each in given))


def refs(value: Any) -> tuple[str, ...]:
    """A list of refs, sorted: their order says nothing."""
    return tuple(sorted(strings(value, 64, 2000)))


def anything(value: Any) -> Any:
    """Whatever has been said, as long as every store can keep it."""
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH):
        deeper: list[Any] = []
        for each in level:
            if isinstance(each, str) and _NO_TEXT.search(each):
                raise Wrong("text without characters that cannot be kept")
            if isinstance(each, float) and not math.isfinite(each):
                raise Wrong("a number that has an end")
            if isinstance(each, dict):
                deeper += [part for pair in cast("dict[str, Any]", each).items() for part in pair]
            elif isinstance(each, list):
                deeper += cast("list[Any]", each)
            elif isinstance(each, int) and abs(each) >= 2**63:
                raise Wrong("a smaller number")
        if not deeper:
            return value
        level = deeper
    raise Wrong(f"at most {MAX_DEPTH} levels of lists and objects")
