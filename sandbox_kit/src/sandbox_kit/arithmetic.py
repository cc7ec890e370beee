"""Sums over fields of a record: numbers, names, `+ - * / ( )`. Nothing is ever run as a program."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal, DivisionByZero, InvalidOperation, localcontext
from typing import Any

from sandbox_kit.values import amount_of, key_of, plain_number

LONGEST = 500
DEEPEST = 40
_TOKEN = re.compile(r"\s*(?:(\d+(?:\.\d+)?)|\"([^\"]*)\"|'([^']*)'|([^\W\d]\w*)|([-+*/()%]))")


class BadFormula(ValueError):
    """The words say what is wrong with it."""


def compute(formula: str, record: Mapping[str, Any]) -> int | float | None:
    """The value of a formula such as `quantity * "Unit price"`; None when a field has no number.

    Names are those of fields, however they are written. `%` after a number or name divides by 100.
    """
    values = {key_of(str(name)): value for name, value in record.items()}
    reading = _Reading(formula, lambda name: _number(values.get(key_of(name))))
    try:
        with localcontext() as context:
            context.prec = 40
            result = reading.whole()
    except (DivisionByZero, InvalidOperation, _Missing):
        return None
    return plain_number(result) if result.is_finite() else None


def check_formula(formula: str) -> list[str]:
    """Names of the fields that a formula reads; `BadFormula` when it is none."""
    names: list[str] = []

    def note(name: str) -> Decimal:
        names.append(name)
        return Decimal(1)

    with localcontext() as context:
        context.clear_traps()  # ones in place of fields say nothing about the sum: it is read to its end
        _Reading(formula, note).whole()
    return names


class _Missing(Exception):
    """A field without a number."""


def _number(value: Any) -> Decimal:
    amount = amount_of(value)
    if amount is None:
        raise _Missing
    return amount.number


class _Reading:
    """One pass over the tokens of a formula, one method per level of binding."""

    def __init__(self, formula: str, value: Callable[[str], Decimal]) -> None:
        self.tokens = _tokens(formula)
        self.at, self.depth, self.value = 0, 0, value

    def whole(self) -> Decimal:
        result = self.sum()
        if self.at < len(self.tokens):
            raise BadFormula(f"{self.tokens[self.at][1]!r} is not expected there")
        return result

    def sum(self) -> Decimal:
        result = self.product()
        while (mark := self.taken("+-")) is not None:
            other = self.product()
            result = result + other if mark == "+" else result - other
        return result

    def product(self) -> Decimal:
        result = self.single()
        while (mark := self.taken("*/")) is not None:
            other = self.single()
            result = result * other if mark == "*" else result / other
        return result

    def single(self) -> Decimal:
        self.depth += 1
        if self.depth > DEEPEST:
            raise BadFormula("it is nested too deeply")
        if (mark := self.taken("-+")) is not None:
            result = self.single()
            result = -result if mark == "-" else result
        elif self.taken("("):
            result = self.sum()
            if not self.taken(")"):
                raise BadFormula("a bracket is not closed")
        else:
            result = self.operand()
        self.depth -= 1
        return result / 100 if self.taken("%") else result

    def operand(self) -> Decimal:
        if self.at >= len(self.tokens):
            raise BadFormula("it ends too early")
        kind, text = self.tokens[self.at]
        self.at += 1
        if kind == "number":
            return Decimal(text)
        if kind == "name":
            return self.value(text)
        raise BadFormula(f"{text!r} is not expected there")

    def taken(self, marks: str) -> str | None:
        if self.at < len(self.tokens) and self.tokens[self.at][0] == "mark":
            text = self.tokens[self.at][1]
            if text in marks:
                self.at += 1
                return text
        return None


def _tokens(formula: str) -> list[tuple[str, str]]:
    if len(formula) > LONGEST:
        raise BadFormula(f"it is longer than {LONGEST} characters")
    found: list[tuple[str, str]] = []
    at, text = 0, formula.strip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise BadFormula(f"{text[at : at + 20]!r} is no number, field or + - * / ( )")
        number, double, single, name, mark = match.groups()
        quoted = double if double is not None else single
        if number is not None:
            found.append(("number", number))
        elif mark is not None:
            found.append(("mark", mark))
        else:
            found.append(("name", name if quoted is None else quoted))
        at = match.end()
    return found
