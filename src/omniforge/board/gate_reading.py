"""Reads the checks that somebody wants for a gate; every mistake is told with its place. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, cast

from omniforge.board.gate_definitions import Applies, Check, check_from
from omniforge.board.importing.definitions import read_check
from omniforge.board.importing.values import Wrong
from omniforge.board.rules.patterns import compiled
from omniforge.board.vocabulary import ArtifactType, CheckKind, RuleName
from omniforge.board.workflow import TASK_PHASES
from omniforge.core.errors import Invalid

Json = dict[str, Any]
SEVERITIES = ("low", "moderate", "high", "critical")


def read_checks(given: Sequence[Json]) -> list[Check]:
    """Checks of a gate; `Invalid` lists everything that is wrong."""
    fields: list[Json] = []
    checks: list[Check] = []
    keys: set[str] = set()
    for place, one in enumerate(given):
        try:
            check = _read(one, keys)
        except Wrong as wrong:
            name = "" if wrong.field == "check" else wrong.field.removeprefix("check.")
            where = f"checks[{place}].{name}".rstrip(".")
            fields.append({"field": where, "value": one.get(name.partition(".")[0]), "rule": str(wrong)})
        else:
            keys.add(check.key)
            checks.append(check)
    if fields:
        raise Invalid(f"{fields[0]['field']}: {fields[0]['rule']}.", fields=fields)
    return checks


def _read(one: Json, taken: set[str]) -> Check:
    given = dict(one)
    applies = given.pop("applies", Applies.ALWAYS.value)
    if applies not in list(Applies):
        raise Wrong(f"one of {', '.join(Applies)}", field="applies")
    kinds = (CheckKind.COMMAND, CheckKind.RULE, CheckKind.APPROVAL)
    if given.get("kind") not in kinds:
        raise Wrong(f"one of {', '.join(kinds)}", field="kind")
    if "key" not in given:
        raise Wrong("a word of letters, digits and . _ : -", field="key")
    kind = CheckKind(given["kind"])
    values = read_check(kind, given)
    if values["key"] in taken:
        raise Wrong("a key that no other check of the gate has", field="key")
    if kind is CheckKind.RULE:
        values["params"] = _read_params(RuleName(values["rule"]), values.get("params", {}))
    return check_from(values["key"], kind, {**values, "applies": applies})


def _read_params(rule: RuleName, given: Json) -> Json:
    known = PARAMS[rule]
    if unknown := sorted(given.keys() - known.keys()):
        names = ", ".join(known) or "none"
        raise Wrong(f"{rule} knows {names}", field=f"params.{unknown[0][:80]}")
    for name in NEEDED.get(rule, ()):
        if name not in given:
            raise Wrong("is needed", field=f"params.{name}")
    read: Json = {}
    for name, value in given.items():
        try:
            read[name] = known[name](value)
        except Wrong as wrong:
            raise Wrong(str(wrong), field=f"params.{name}") from None
    return read


def _count(value: Any, most: int = 1_000_000) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        raise Wrong(f"a whole number from 0 to {most}")
    return value


def _word(words: Sequence[str], value: Any) -> str:
    if value not in words:
        raise Wrong(f"one of {', '.join(words)}")
    return str(value)


def _words(value: Any) -> list[str]:
    values = cast("list[Any]", value) if isinstance(value, list) else [None]
    if (
        not values
        or len(values) > 500
        or not all(isinstance(one, str) and 0 < len(one) <= 1000 for one in values)
    ):
        raise Wrong("a list of 1 to 500 texts")
    return [str(one) for one in values]


def _phases(value: Any) -> list[str]:
    return [_word(TASK_PHASES, one) for one in _words(value)]


def _patterns(value: Any) -> list[str]:
    for one in (patterns := _words(value)):
        try:
            compiled(one)
        except ValueError as flaw:
            raise Wrong(str(flaw)) from None
    return patterns


_ARTIFACT = partial(_word, [one.value for one in ArtifactType])
PARAMS: dict[RuleName, dict[str, Callable[[Any], Any]]] = {
    RuleName.TASKS_COMPLETED: {
        "phases": _phases,
        "minimum": _count,
        "minimum_with_approved_spec": _count,
        "minimum_with_command": _count,
    },
    RuleName.ARTIFACT_PRESENT: {"artifact_type": _ARTIFACT},
    RuleName.CONTENT_LENGTH: {"artifact_type": _ARTIFACT, "minimum": _count},
    RuleName.SECTIONS_PRESENT: {"artifact_type": _ARTIFACT, "sections": _words},
    RuleName.SPEC_APPROVED: {},
    RuleName.DEPENDENCY_AUDIT: {"severity": partial(_word, SEVERITIES)},
    RuleName.BLOCKED_DEPENDENCY: {"names": _words},
    RuleName.FORBIDDEN_PATTERN: {"patterns": _patterns},
    RuleName.PROTECTED_PATH: {"globs": _words},
}
NEEDED: dict[RuleName, tuple[str, ...]] = {
    RuleName.TASKS_COMPLETED: ("phases",),
    RuleName.ARTIFACT_PRESENT: ("artifact_type",),
    RuleName.CONTENT_LENGTH: ("artifact_type", "minimum"),
    RuleName.SECTIONS_PRESENT: ("artifact_type", "sections"),
}
"""Parameters without a default; the lists have those of the project."""
