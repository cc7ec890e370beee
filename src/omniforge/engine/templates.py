"""Templates `${key.output.path}` and CEL conditions: what they read, and their values (pure)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, cast

from omniforge.core.errors import Fatal

KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")
_TEMPLATE = re.compile(r"\$\{([^{}]{1,500})\}")
_LOOP = re.compile(r"\b(?:all|exists\w*|filter|map|transform\w*|sortBy)\b")
MAX_WORK = 10_000_000
"""Comparisons a condition may need: about a second."""
_STEP_IN_CONDITION = re.compile(r"""\bsteps\s*(?:\[\s*(?:"([^"]*)"|'([^']*)')\s*\]|\.\s*([A-Za-z_]\w*))""")


def references(value: Any) -> Iterator[str]:
    """Keys of the steps that the templates in a JSON value read."""
    match value:
        case str():
            for found in _TEMPLATE.finditer(value):
                root = found[1].split(".")[0].strip()
                if root != "input":
                    yield root
        case dict():
            for part in cast("dict[str, Any]", value).values():
                yield from references(part)
        case list() | tuple():
            for part in cast("list[Any]", value):
                yield from references(part)
        case _:
            pass


def fill(value: Any, run_input: Mapping[str, Any], steps: Mapping[str, Mapping[str, Any]]) -> Any:
    """The value with its templates filled in.

    `steps` maps a key to `{"output": …, "status": …}`. A string that is one template keeps the type of what
    it reads; inside text the value becomes text. Reading what is not there gives null.
    """
    match value:
        case str():
            whole = _TEMPLATE.fullmatch(value)
            if whole:
                return _look_up(whole[1], run_input, steps)
            return _TEMPLATE.sub(lambda found: _as_text(_look_up(found[1], run_input, steps)), value)
        case dict():
            parts = cast("dict[str, Any]", value)
            return {name: fill(part, run_input, steps) for name, part in parts.items()}
        case list() | tuple():
            return [fill(part, run_input, steps) for part in cast("list[Any]", value)]
        case _:
            return value


def _look_up(path: str, run_input: Mapping[str, Any], steps: Mapping[str, Mapping[str, Any]]) -> Any:
    root, *rest = (part.strip() for part in path.split("."))
    here: Any = run_input if root == "input" else steps.get(root)
    for name in rest:
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


def condition_references(condition: str) -> set[str]:
    """Keys of the steps a condition reads; ValueError when it does not parse or reads unknown names."""
    program = _compiled(condition)
    unknown = set(program.variables()) - {"input", "steps"}
    if unknown:
        raise ValueError(f"reads {', '.join(sorted(unknown))}: only input and steps can be read")
    return {a or b or c for a, b, c in _STEP_IN_CONDITION.findall(condition)}


def is_true(condition: str, run_input: Mapping[str, Any], steps: Mapping[str, Mapping[str, Any]]) -> bool:
    """Value of a condition. What is no plain true or false, or cannot be computed, fails: never "true"."""
    _check_work(condition, [run_input, steps])
    try:
        value = _compiled(condition).execute({"input": dict(run_input), "steps": dict(steps)})
    except (ValueError, RuntimeError, LookupError, TypeError, ArithmeticError) as error:
        raise Fatal(
            f"The condition {condition!r} could not be evaluated: {error}", code="condition_failed"
        ) from error
    if not isinstance(value, bool):
        raise Fatal(
            f"The condition {condition!r} gave {value!r} instead of true or false", code="condition_failed"
        )
    return value


def _check_work(condition: str, seen: Sequence[Any]) -> None:
    """Refuse what could take minutes: nothing can stop an evaluation, and everybody waits for it.

    An upper bound: every `all`, `map` … may stand inside the others, every comparison look at a whole list.
    """
    loops = len(_LOOP.findall(condition))
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
