"""Criteria and what checks them: the form of every kind of check. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any, cast

from omniforge.board.importing.documents import MAX_SENTENCE, Criterion, Json
from omniforge.board.importing.values import Wrong, anything, one_line, text
from omniforge.board.vocabulary import ApproverRole, CheckKind, RuleName

MAX_COMMAND = 20_000
FIELDS = {
    CheckKind.COMMAND: ("command", "cwd", "timeout_seconds", "expect_exit", "coverage"),
    CheckKind.RULE: ("rule", "params"),
    CheckKind.APPROVAL: ("role", "prompt", "minimum"),
}
ALWAYS = ("key", "required", "waivable")
COVERAGE_FORMATS = ("cobertura", "lcov", "coverage-json")
_KEY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,99}")


def read_criterion(given: Any) -> Criterion:
    """`"text"` or `{text, kind?, check?}`; `Wrong` names the part that is refused."""
    if isinstance(given, str):
        given = {"text": given}
    if not isinstance(given, dict):
        raise Wrong("a text, or {text, kind, check}")
    values = cast("Json", given)
    if unknown := sorted(values.keys() - {"text", "kind", "check"}):
        raise Wrong("there is no such field", field=unknown[0][:100])
    check = values.get("check")
    kind = read_kind(values.get("kind"), check)
    said = " ".join(_inside("text", lambda value: text(value, MAX_SENTENCE), values.get("text")).split())
    if not said:
        raise Wrong("text that is not empty", field="text")
    if kind is CheckKind.TEXT:
        if check is not None:
            raise Wrong("a criterion of kind text has no check", field="check")
        return Criterion(said)
    return Criterion(said, kind, read_check(kind, check))


def read_kind(given: Any, check: Any) -> CheckKind:
    """The kind as it was said, or as the check shows it."""
    if given is None:
        has = cast("Json", check).keys() if isinstance(check, dict) else ()
        marks = {"command": CheckKind.COMMAND, "rule": CheckKind.RULE, "role": CheckKind.APPROVAL}
        return next((kind for name, kind in marks.items() if name in has), CheckKind.TEXT)
    words = [kind.value for kind in CheckKind]
    if not isinstance(given, str) or given.strip().lower() not in words:
        raise Wrong(f"one of {', '.join(words)}", field="kind")
    return CheckKind(given.strip().lower())


def read_check(kind: CheckKind, given: Any) -> Json:
    """The definition of a check, with only what was said; `Wrong` for what could not be run."""
    if not isinstance(given, dict):
        raise Wrong(f"a check of kind {kind} says {FIELDS[kind][0]}", field="check")
    values = {name: value for name, value in cast("Json", given).items() if value is not None}
    for name in ("kind", "tier"):  # may be repeated, and follow from the criterion
        values.pop(name, None)
    known = (*FIELDS[kind], *ALWAYS)
    if unknown := sorted(values.keys() - set(known)):
        raise Wrong(f"there is no such field; known are {', '.join(known)}", field=f"check.{unknown[0][:80]}")
    if FIELDS[kind][0] not in values:
        raise Wrong(f"a check of kind {kind} says {FIELDS[kind][0]}", field="check")
    return {name: _inside(f"check.{name}", PARTS[name], value) for name, value in values.items()}


def _inside(name: str, read: Callable[[Any], Any], value: Any) -> Any:
    try:
        return read(value)
    except Wrong as wrong:
        raise Wrong(str(wrong), field=name) from None


def _command(value: Any) -> Any:
    if isinstance(value, list) and value:
        return [text(part, MAX_COMMAND) for part in cast("list[Any]", value)[:1000]]
    command = text(value, MAX_COMMAND)
    if not command:
        raise Wrong("a command line, or a list of words")
    return command


def _cwd(value: Any) -> str:
    path = one_line(value, 1000)
    if path.startswith("/") or ".." in path.split("/"):
        raise Wrong("a folder inside the repository")
    return path


def _whole(value: Any, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise Wrong(f"a whole number from {least} to {most}")
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise Wrong("true or false")
    return value


def _one_of(words: tuple[str, ...], value: Any) -> str:
    found = value.strip().lower() if isinstance(value, str) else ""
    if found not in words:
        raise Wrong(f"one of {', '.join(words)}")
    return found


def _coverage(value: Any) -> Json:
    if not isinstance(value, dict):
        raise Wrong("{report, format, minimum}")
    given = cast("Json", value)
    if given.keys() != {"report", "format", "minimum"}:
        raise Wrong("report, format and minimum")
    minimum = given["minimum"]
    if isinstance(minimum, bool) or not isinstance(minimum, int | float) or not 0 <= minimum <= 100:
        raise Wrong("a minimum from 0 to 100")
    return {
        "report": _cwd(given["report"]),
        "format": _one_of(COVERAGE_FORMATS, given["format"]),
        "minimum": minimum,
    }


def _key(value: Any) -> str:
    if not isinstance(value, str) or not _KEY.fullmatch(value):
        raise Wrong("a word of letters, digits and . _ : -")
    return value


def _params(value: Any) -> Json:
    if not isinstance(value, dict):
        raise Wrong("an object")
    return anything(cast("Json", value))


PARTS: dict[str, Callable[[Any], Any]] = {
    "command": _command,
    "cwd": _cwd,
    "timeout_seconds": partial(_whole, least=1, most=3600),
    "expect_exit": partial(_whole, least=0, most=255),
    "coverage": _coverage,
    "rule": partial(_one_of, tuple(RuleName)),
    "params": _params,
    "role": partial(_one_of, tuple(ApproverRole)),
    "prompt": partial(text, longest=MAX_SENTENCE),
    "minimum": partial(_whole, least=1, most=100),
    "key": _key,
    "required": _flag,
    "waivable": _flag,
}
