"""Conditions in the light of what was done before them: "if it doesn't", "if so", "if something is off"."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from omniforge.builder.understanding.clauses import Clause
from omniforge.builder.understanding.conditions import COMPARED, Check, read_condition

_TOLD_BY = {"check": "complete", "compare": "equal"}
_SHORT = re.compile(
    r"(?:it|that|this|they|one|everything)(?: all)? (?:is|are|has|have|does|do|did|was|were)(?P<not> "
    r"not)?(?: so)?",
    re.IGNORECASE,
)
_SO = re.compile(r"so|yes|(?:that|this|it) is (?:so|the case|true)|any", re.IGNORECASE)
_NOTHING_WRONG = re.compile(
    r"\b(?:no|not|nothing|none)\b.*\b(?:errors?|problems?|mistakes?|issues?|gaps?|wrong|missing)\b",
    re.IGNORECASE,
)
_LONE_NUMBERS = re.compile(r"amount == [\d.]+(?: && amount == [\d.]+)*")


def check_in_context(said: str, clauses: Sequence[Clause], subject: str | None) -> Check | None:
    """`subject` is the field spoken of before."""
    if _SO.fullmatch(said):
        return _what_was_asked(clauses, subject)
    if short := _SHORT.fullmatch(said):
        asked = _last(clauses, *_TOLD_BY)
        if asked:
            return Check(f"{_TOLD_BY[asked]} == {'false' if short['not'] else 'true'}", None)
    return _check(said, clauses, subject)


def _last(clauses: Sequence[Clause], *operations: str) -> str | None:
    return next((c.operation for c in reversed(clauses) if c.operation in operations), None)


def _what_was_asked(clauses: Sequence[Clause], subject: str | None) -> Check | None:
    """ "Check if anything is missing and, if so, …"; "look for late tasks and, if so, …"."""
    if not clauses:
        return None
    asked = re.search(r"\b(?:if|whether|that) (?P<what>.+)$", clauses[-1].words, re.IGNORECASE)
    if asked and (check := _check(asked["what"], clauses, subject)):
        return check
    finds = clauses[-1].operation in ("report", "fetch", "match")
    return Check("items > 0", "items", bare=True) if finds else None


def _check(said: str, clauses: Sequence[Clause], subject: str | None) -> Check | None:
    compared = COMPARED if _last(clauses, "compare") else None
    check = read_condition(said, subject=subject or compared) or _amount(said)
    return _of_this_kind(check, said, clauses) if check else None


def _amount(said: str) -> Check | None:
    """Limits without a name are amounts; a plain number is none."""
    check = read_condition(said, subject="amount")
    return None if check and _LONE_NUMBERS.fullmatch(check.expression) else check


def _of_this_kind(check: Check, said: str, clauses: Sequence[Clause]) -> Check:
    """ "Everything is there" of a comparison is sameness; "no signature" of a check is a lack."""
    last = _last(clauses, "check", "compare", "match", "report", "fetch")
    if last == "compare" and check.expression == "items > 0":
        return replace(check, expression="equal == false")
    if last == "compare" and check.expression.startswith("complete =="):
        return replace(check, expression=check.expression.replace("complete", "equal"))
    if last == "check" and check.expression in ("items == 0", "items > 0"):
        good = "true" if _NOTHING_WRONG.search(said) else "false"
        return replace(check, expression=f"complete == {good}")
    return check
