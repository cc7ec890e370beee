"""Whether an operation fits the schema, what its values are, and how complex it is. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, cast

from omniforge.integrations.catalog.linear.standin.graphql import (
    Document,
    EnumValue,
    Field,
    Operation,
    Schema,
    Selection,
    Spread,
    Type,
    Variable,
)

Json = dict[str, Any]
DEFAULT_FIRST = 50
"""How many nodes a connection gives when `first` is left out."""
ROOTS = {"query": "Query", "mutation": "Mutation"}
TEXTS = ("String", "ID", "UUID")
TIMES = ("DateTime", "DateTimeOrDuration", "TimelessDate", "TimelessDateOrDuration")


class Misfit(Exception):
    """The operation does not fit the schema, in the words GraphQL servers use."""


class Check:
    """One operation against the schema, with its variables."""

    def __init__(self, schema: Schema, document: Document, operation: Operation) -> None:
        self.schema, self.document, self.operation = schema, document, operation
        self._used: set[str] = set()
        self._open: list[str] = []

    def run(self) -> None:
        """Misfit at the first thing that does not fit."""
        for name, wanted in self.operation.variables.items():
            if not self._is_input(wanted.base):
                raise Misfit(f'Variable "${name}" cannot be non-input type "{wanted}".')
        self._selections(self.operation.selections, ROOTS[self.operation.kind])
        for name in self.operation.variables:
            if name not in self._used:
                raise Misfit(f'Variable "${name}" is never used in operation "{self.operation.name}".')
        used = _spreads(self.operation.selections, self.document)
        if unused := [name for name in self.document.fragments if name not in used]:
            raise Misfit(f'Fragment "{unused[0]}" is never used.')

    def _is_input(self, name: str) -> bool:
        return name not in self.schema.types

    def _selections(self, selections: tuple[Selection, ...], parent: str) -> None:
        for selection in selections:
            if isinstance(selection, Spread):
                self._spread(selection, parent)
            else:
                self._field(selection, parent)

    def _spread(self, spread: Spread, parent: str) -> None:
        if spread.on is not None:
            on, inside = spread.on, spread.selections
        else:
            fragment = self.document.fragments.get(spread.name)
            if fragment is None:
                raise Misfit(f'Unknown fragment "{spread.name}".')
            if spread.name in self._open:
                raise Misfit(f'Cannot spread fragment "{spread.name}" within itself.')
            on, inside = fragment.on, fragment.selections
        if on != parent:
            what = f'"{spread.name}" ' if spread.name else ""
            raise Misfit(
                f'Fragment {what}cannot be spread here as objects of type "{parent}" '
                f'can never be of type "{on}".'
            )
        self._open.append(spread.name)
        self._selections(inside, parent)
        self._open.pop()

    def _field(self, field: Field, parent: str) -> None:
        if field.name == "__typename":
            return
        known = self.schema.types[parent].get(field.name)
        if known is None:
            raise Misfit(f'Cannot query field "{field.name}" on type "{parent}".')
        for name, value in field.arguments.items():
            wanted = known.arguments.get(name)
            if wanted is None:
                raise Misfit(f'Unknown argument "{name}" on field "{parent}.{field.name}".')
            self._value(value, wanted)
        for name, wanted in known.arguments.items():
            if wanted.required and name not in field.arguments:
                raise Misfit(
                    f'Field "{field.name}" argument "{name}" of type "{wanted}" is required, '
                    "but it was not provided."
                )
        base, is_object = known.type.base, known.type.base in self.schema.types
        if is_object and not field.selections:
            raise Misfit(f'Field "{field.name}" of type "{known.type}" must have a selection of subfields.')
        if field.selections and not is_object:
            raise Misfit(
                f'Field "{field.name}" must not have a selection since type "{known.type}" has no subfields.'
            )
        if is_object:
            self._selections(field.selections, base)

    def _value(self, value: Any, wanted: Type) -> None:
        """Variables by their type, wherever they stand; other values are checked when they are read."""
        if isinstance(value, Variable):
            self._variable(value, wanted)
        elif isinstance(value, dict):
            fields = self.schema.inputs.get(wanted.base, {})
            for name, inner in cast("Json", value).items():
                if name not in fields:
                    raise Misfit(f'Field "{name}" is not defined by type "{wanted.base}".')
                self._value(inner, fields[name])
        elif isinstance(value, list):
            for inner in cast("list[Any]", value):
                self._value(inner, wanted.of or wanted)
        else:
            coerced(self.schema, value, wanted)

    def _variable(self, variable: Variable, wanted: Type) -> None:
        given = self.operation.variables.get(variable.name)
        if given is None:
            raise Misfit(f'Variable "${variable.name}" is not defined by operation "{self.operation.name}".')
        self._used.add(variable.name)
        same = str(given).rstrip("!") == str(wanted).rstrip("!")
        if not same or (wanted.required and not given.required):
            raise Misfit(
                f'Variable "${variable.name}" of type "{given}" used in position expecting type "{wanted}".'
            )


def _spreads(selections: tuple[Selection, ...], document: Document) -> set[str]:
    found: set[str] = set()
    for selection in selections:
        if isinstance(selection, Spread) and selection.on is None:
            inside = document.fragments[selection.name].selections
            found |= {selection.name, *_spreads(inside, document)}
        else:
            found |= _spreads(selection.selections, document)
    return found


def coerced(schema: Schema, value: Any, wanted: Type) -> Any:
    """A value as the type has it; Misfit when it cannot be that."""
    if value is None:
        if wanted.required:
            raise Misfit(f'Expected non-nullable type "{wanted}" not to be null.')
        return None
    if wanted.of is not None:
        listed = cast("list[Any]", value) if isinstance(value, list) else [value]
        return [coerced(schema, inner, wanted.of) for inner in listed]
    if wanted.name in schema.inputs:
        return _object(schema, value, wanted)
    if wanted.name in schema.enums:
        name = value.name if isinstance(value, EnumValue) else value
        if name not in schema.enums[wanted.name]:
            raise Misfit(f'Value "{name}" does not exist in "{wanted.name}" enum.')
        return name
    if not _is_scalar(value, wanted.name):
        raise Misfit(f"{wanted.name} cannot represent value: {value!r}")
    return value


def _object(schema: Schema, value: Any, wanted: Type) -> Json:
    if not isinstance(value, dict):
        raise Misfit(f'Expected type "{wanted.name}" to be an object.')
    given, fields = cast("Json", value), schema.inputs[wanted.name]
    for name in given:
        if name not in fields:
            raise Misfit(f'Field "{name}" is not defined by type "{wanted.name}".')
    for name, kind in fields.items():
        if kind.required and name not in given:
            raise Misfit(f'Field "{name}" of required type "{kind}" was not provided.')
    return {name: coerced(schema, inner, fields[name]) for name, inner in given.items()}


def _is_scalar(value: Any, name: str) -> bool:
    if name in TEXTS:
        return isinstance(value, str)
    if name in TIMES:
        return isinstance(value, str) and _is_time(value)
    match name:
        case "Boolean":
            return isinstance(value, bool)
        case "Int":
            return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**31
        case "Float":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case _:
            return True


def _is_time(value: str) -> bool:
    try:
        datetime.fromisoformat(value)
    except ValueError:
        try:
            date.fromisoformat(value)
        except ValueError:
            return value.lstrip("-").startswith("P")  # a duration, which Linear takes as well
    return True


def variables_of(schema: Schema, operation: Operation, given: Mapping[str, Any]) -> Json:
    """The variables of a request, checked; Misfit names the one that is wrong."""
    made: Json = {}
    for name, wanted in operation.variables.items():
        if name not in given:
            if wanted.required:
                raise Misfit(f'Variable "${name}" of required type "{wanted}" was not provided.')
            continue
        try:
            made[name] = coerced(schema, given[name], wanted)
        except Misfit as misfit:
            raise Misfit(f'Variable "${name}" got invalid value: {misfit}') from None
    return made


def filled(value: Any, variables: Json) -> Any:
    """A value with the variables in it replaced; fields whose variable was left out are left out."""
    if isinstance(value, Variable):
        return variables.get(value.name)
    if isinstance(value, dict):
        given = cast("Json", value)
        left_out = {
            key for key, one in given.items() if isinstance(one, Variable) and one.name not in variables
        }
        return {key: filled(one, variables) for key, one in given.items() if key not in left_out}
    if isinstance(value, list):
        return [filled(one, variables) for one in cast("list[Any]", value)]
    return value


def complexity_of(schema: Schema, document: Document, operation: Operation, variables: Json) -> int:
    """Points: 0.1 a property, 1 an object, and what is in a connection times its `first`."""
    root = ROOTS[operation.kind]
    return math.ceil(_points(schema, document, operation.selections, root, variables))


def _points(
    schema: Schema, document: Document, selections: tuple[Selection, ...], parent: str, variables: Json
) -> float:
    total = 0.0
    for selection in selections:
        if isinstance(selection, Spread):
            inside = selection.selections or document.fragments[selection.name].selections
            total += _points(schema, document, inside, parent, variables)
        elif not selection.selections:
            total += 0.1
        else:
            base = schema.types[parent][selection.name].type.base
            inside = _points(schema, document, selection.selections, base, variables)
            if base.endswith("Connection"):
                asked = filled(selection.arguments, variables)
                total += inside * (asked.get("first") or asked.get("last") or DEFAULT_FIRST)
            else:
                total += 1 + inside
    return total
