"""JSON from outside: what every store, stream and reader of ours can hold, or a clear no."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterable
from typing import Any, NoReturn, cast

Place = tuple[str | int, ...]
MAX_DEPTH = 100
"""Objects and lists within each other; writing an answer gives up at about twice as many."""
_NO_TEXT = re.compile(r"[\0\ud800-\udfff]")
_HALF_PAIR = re.compile(r"[\ud800-\udfff]")


class NotPlain(ValueError):
    """JSON by its grammar, and yet unfit; `location` leads to the place, the message is the rule."""

    def __init__(self, rule: str, location: Place = ()) -> None:
        super().__init__(rule)
        self.location = location


def parse(raw: bytes, *, with_nul: bool = False) -> Any:
    """The value of UTF-8 text. `NotPlain` for what could be read but not kept or told again: NUL, halves of
    surrogate pairs, numbers without end, names given twice, deep nesting; JSONDecodeError for no JSON.
    `with_nul`: NUL is let through, to whoever takes it out.
    """
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise NotPlain("not UTF-8") from None
    try:
        value = json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_object)
    except RecursionError:
        raise NotPlain("nested too deeply") from None
    except (json.JSONDecodeError, NotPlain):
        raise
    except ValueError:  # Python reads no whole number of more than 4300 digits
        raise NotPlain("a number with too many digits") from None
    _check(value, _HALF_PAIR if with_nul else _NO_TEXT)
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise NotPlain(f"{name} is not JSON")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        twice = Counter(name for name, _ in pairs).most_common(1)[0][0]
        raise NotPlain("a name that is given once", (_shown(twice),))
    return made


def _check(value: Any, unfit: re.Pattern[str]) -> None:
    """Level by level, not by recursion: depth is what is being measured."""
    level: list[tuple[Place, Any]] = [((), [value])]
    for _ in range(MAX_DEPTH + 1):
        deeper: list[tuple[Place, Any]] = []
        for place, holder in level:
            for name, part in _parts(holder):
                if rule := _flaw(name, part, unfit):
                    shown = _shown(name) if isinstance(name, str) else name
                    raise NotPlain(rule, (*place, shown)[1:])
                if part and isinstance(part, dict | list):
                    deeper.append(((*place, name), cast("Any", part)))
        if not deeper:
            return
        level = deeper
    raise NotPlain(f"nested too deeply: at most {MAX_DEPTH} levels", level[0][0][1:5])


def _parts(holder: Any) -> Iterable[tuple[str | int, Any]]:
    if isinstance(holder, dict):
        return cast("dict[str, Any]", holder).items()
    return enumerate(cast("list[Any]", holder))


def _flaw(name: Any, part: Any, unfit: re.Pattern[str]) -> str | None:
    for text in (name, part):
        if isinstance(text, str) and (found := unfit.search(text)):
            return "text without NUL characters" if found[0] == "\0" else "text without half a surrogate pair"
    return "a number of ordinary size" if isinstance(part, float) and not math.isfinite(part) else None


def _shown(name: str) -> str:
    return _NO_TEXT.sub("\N{REPLACEMENT CHARACTER}", name)[:100]
