"""Carries a checked operation out over rows, with errors and nulls as GraphQL has them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

from omniforge.integrations.catalog.linear.standin.graphql import (
    Document,
    Field,
    Operation,
    Schema,
    Selection,
    Spread,
    Type,
)
from omniforge.integrations.catalog.linear.standin.validate import ROOTS, Json, coerced, filled

Resolve = Callable[[str, Json, str, Json], Any]
"""(type, row, field, arguments) to a scalar, a row, a list of rows, or None; raises Problem."""


class Problem(Exception):
    """One error of an answer. `kind` is `extensions.type`, `shown` what is meant for people."""

    def __init__(self, message: str, *, code: str, kind: str, status: int = 400, shown: str = "") -> None:
        super().__init__(message)
        self.code, self.kind, self.status, self.shown = code, kind, status, shown

    def as_json(self, path: Sequence[str | int] = ()) -> Json:
        """As Linear words it."""
        extensions: Json = {
            "type": self.kind,
            "code": self.code,
            "statusCode": self.status,
            "userError": self.status < 500,
        }
        if self.shown:
            extensions["userPresentableMessage"] = self.shown
        error: Json = {"message": str(self)}
        return (
            {**error, "path": list(path), "extensions": extensions}
            if path
            else {**error, "extensions": extensions}
        )


class _NoValue(Exception):
    """A required field has no value, so what holds it has none either."""


class Execution:
    """One operation being carried out."""

    def __init__(self, schema: Schema, document: Document, variables: Json, resolve: Resolve) -> None:
        self._schema, self._document = schema, document
        self._variables, self._resolve = variables, resolve
        self.errors: list[Json] = []

    def run(self, operation: Operation) -> Json | None:
        """The data; None when something required at the top is missing."""
        try:
            return self._object(operation.selections, ROOTS[operation.kind], {}, [])
        except _NoValue:
            return None

    def _object(
        self, selections: tuple[Selection, ...], type_name: str, row: Json, path: list[str | int]
    ) -> Json:
        made: Json = {}
        for field in self._fields(selections):
            value = self._field(field, type_name, row, [*path, field.alias])
            before = made.get(field.alias)
            both = isinstance(before, dict) and isinstance(value, dict)
            made[field.alias] = {**cast("Json", before), **cast("Json", value)} if both else value
        return made

    def _fields(self, selections: tuple[Selection, ...]) -> list[Field]:
        """Fields in order, those of fragments in the place of their spread."""
        found: list[Field] = []
        for selection in selections:
            if isinstance(selection, Spread):
                inside = selection.selections or self._document.fragments[selection.name].selections
                found += self._fields(inside)
            else:
                found.append(selection)
        return found

    def _field(self, field: Field, type_name: str, row: Json, path: list[str | int]) -> Any:
        if field.name == "__typename":
            return type_name
        known = self._schema.types[type_name][field.name]
        given = filled(field.arguments, self._variables)
        arguments = {
            name: coerced(self._schema, value, known.arguments[name]) for name, value in given.items()
        }
        try:
            return self._value(field, known.type, self._resolve(type_name, row, field.name, arguments), path)
        except Problem as problem:
            self.errors.append(problem.as_json(path))
            if known.type.required:
                raise _NoValue from None
            return None
        except _NoValue:
            if known.type.required:
                raise
            return None

    def _value(self, field: Field, wanted: Type, value: Any, path: list[str | int]) -> Any:
        if value is None:
            if wanted.required:
                said = f"Cannot return null for non-nullable field {field.name}."
                raise Problem(said, code="INTERNAL_SERVER_ERROR", kind="internal error", status=500)
            return None
        if wanted.of is not None:
            listed = cast("list[Any]", value)
            return [self._value(field, wanted.of, one, [*path, n]) for n, one in enumerate(listed)]
        if wanted.name in self._schema.types:
            return self._object(field.selections, wanted.name, cast("Json", value), path)
        return value
