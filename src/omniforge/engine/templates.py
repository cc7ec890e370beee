"""Templates `${key.output.path}` and CEL conditions: what they read, and their values (pure)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, cast

from omniforge.core.errors import Fatal

KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")
ROOTS = ("input", "item", "index")
"""First names that are no step's key."""
LOOP = frozenset({"item", "index"})
_TEMPLATE = re.compile(r"\$\{([^{}]{1,500})\}")
_LOOP = re.compile(r"\b(?:all|exists\w*|filter|map|transform\w*|sortBy)\b")
MAX_WORK = 10_000_000
"""Comparisons a condition may need: about a second."""
_BOUND = re.compile(r"\.\s*(?:all|exists|exists_one|filter|map)\s*\(\s*([A-Za-z_]\w*)\s*,")
"""Names that a condition binds itself: `rows.all(r, r.done)`."""
_STEP_IN_CONDITION = re.compile(r"""\bsteps\s*(?:\[\s*(?:"([^"]*)"|'([^']*)')\s*\]|\.\s*([A-Za-z_]\w*))""")


def references(value: Any) -> set[str]:
    """Keys of the steps that the templates in a JSON value read."""
    return roots(value).difference(ROOTS)


def roots(value: Any) -> set[str]:
    """First names of all templates in a JSON value: keys of steps, and `input`, `item`, `index`."""
    found = set[str]()
    rest = [value]
    while rest:
        part = rest.pop()
        if isinstance(part, str):
            if "${" in part:
                found.update([name.partition(".")[0].strip() for name in _TEMPLATE.findall(part)])
        elif isinstance(part, Mapping):
            rest += cast("Mapping[str, Any]", part).values()
        elif isinstance(part, list | tuple):
            rest += cast("list[Any]", part)
    return found


def fill(value: Any, seen: Mapping[str, Any]) -> Any:
    """The value with its templates filled in.

    `seen` maps `input` to the run's input and a key to `{"output": …, "status": …}`. A string that is one
    template keeps the type of what it reads; inside text the value becomes text. Reading what is not there
    gives null.
    """
    match value:
        case str():
            if "${" not in value:
                return value
            whole = _whole(value)
            if whole is not None:
                return _look_up(whole, seen)
            return _TEMPLATE.sub(lambda found: _as_text(_look_up(_path(found[1]), seen)), value)
        case dict():
            parts = cast("dict[str, Any]", value)
            return {name: fill(part, seen) for name, part in parts.items()}
        case list() | tuple():
            return [fill(part, seen) for part in cast("list[Any]", value)]
        case _:
            return value


def _path(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split("."))


@lru_cache(maxsize=4096)
def _whole(value: str) -> tuple[str, ...] | None:
    """The path of a string that is one template."""
    found = _TEMPLATE.fullmatch(value)
    return _path(found[1]) if found else None


def _look_up(path: tuple[str, ...], seen: Mapping[str, Any]) -> Any:
    here: Any = seen
    for name in path:
        if isinstance(here, Mapping):
            here = cast("Mapping[str, Any]", here).get(name)
        elif isinstance(here, list) and name.isdecimal() and int(name) < len(cast("list[Any]", here)):
            here = cast("list[Any]", here)[int(name)]
        else:
            return None
    return here


def _as_text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


@lru_cache(maxsize=4096)
def _compiled(condition: str) -> Any:
    import cel  # noqa: PLC0415 - 0.1 s that plans without conditions need not pay

    try:
        return cel.compile(condition)
    except ValueError as error:
        raise ValueError(f"cannot be parsed: {str(error).splitlines()[0]}") from error


def check_parses(condition: str) -> None:
    """ValueError, saying why, for a condition that is no CEL; what it reads is not looked at."""
    _compiled(condition)


@lru_cache(maxsize=4096)
def condition_references(condition: str) -> frozenset[str]:
    """Keys of the steps a condition reads; ValueError when it does not parse or reads unknown names."""
    program = _compiled(condition)
    bound = set(_BOUND.findall(condition))
    unknown = set(program.variables()) - {"input", "steps"} - bound
    if unknown:
        raise ValueError(f"reads {', '.join(sorted(unknown))}: only input and steps can be read")
    return frozenset(a or b or c for a, b, c in _STEP_IN_CONDITION.findall(condition))


def is_true(condition: str, run_input: Mapping[str, Any], steps: Mapping[str, Mapping[str, Any]]) -> bool:
    """Value of a condition. What is no plain true or false, or cannot be computed, fails: never "true"."""
    value = _value(condition, run_input, steps)
    if not isinstance(value, bool):
        raise Fatal(
            f"The condition {condition!r} gave {value!r} instead of true or false", code="condition_failed"
        )
    return value


def items_of(
    expression: str, run_input: Mapping[str, Any], steps: Mapping[str, Mapping[str, Any]], most: int
) -> list[Any]:
    """The list that a for_each expression gives; `Fatal` when it is none, or longer than `most`."""
    value = _value(expression, run_input, steps)
    if not isinstance(value, list | tuple):
        raise Fatal(f"{expression!r} gave {value!r:.200} instead of a list", code="for_each_failed")
    items = list(cast("list[Any]", value))
    if len(items) > most:
        raise Fatal(f"{expression!r} gave {len(items)} items; at most {most}", code="too_many_items")
    return items


def _value(expression: str, run_input: Mapping[str, Any], steps: Mapping[str, Mapping[str, Any]]) -> Any:
    _check_work(expression, [run_input, steps])
    try:
        return _compiled(expression).execute({"input": dict(run_input), "steps": dict(steps)})
    except (ValueError, RuntimeError, LookupError, TypeError, ArithmeticError) as error:
        raise Fatal(
            f"The condition {expression!r} could not be evaluated: {error}", code="condition_failed"
        ) from error


@lru_cache(maxsize=4096)
def _loops(condition: str) -> int:
    return len(_LOOP.findall(condition))


def _check_work(condition: str, seen: Sequence[Any]) -> None:
    """Refuse what could take minutes: nothing can stop an evaluation, and everybody waits for it.

    An upper bound: every `all`, `map` … may stand inside the others, every comparison look at a whole list.
    """
    loops = _loops(condition)
    if loops == 0:
        return
    longest = (_longest(seen) + condition.count(",") + 1) * (condition.count("+") + 1)
    if longest ** (loops + 1) > MAX_WORK:
        raise Fatal(
            f"The condition {condition!r} would take too long: it goes through long lists again and again.",
            code="condition_failed",
        )


def _longest(value: Any) -> int:
    """Length of the longest list or object in a JSON value; long texts count a little."""
    longest, rest = 0, [value]
    while rest:
        part = rest.pop()
        if isinstance(part, str):
            longest = max(longest, len(part) // 64)
        elif isinstance(part, Mapping | list | tuple):
            longest = max(longest, len(cast("list[Any]", part)))
            rest += cast("Mapping[str, Any]", part).values() if isinstance(part, Mapping) else part
    return longest
