"""Functions of SQL that each database spells its own way."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Text, literal_column
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement


class JsonText(FunctionElement[str]):
    """The text at a place in JSON that is kept as text; NULL where there is none."""

    type = Text()
    inherit_cache = True
    name = "json_text"


class Place(FunctionElement[int]):
    """Where a text begins in another, from 1; 0 where it does not stand."""

    inherit_cache = True
    name = "place"


def json_text(column: ColumnElement[Any] | Any, *path: str) -> JsonText:
    """path: names of ours, never of people: they are written into the statement."""
    if not all(name.isidentifier() for name in path):
        raise ValueError(f"{path} is no path of plain names")
    return JsonText(column, literal_column(f"'{'.'.join(path)}'"))


@compiles(JsonText, "sqlite")
def _json_text_sqlite(element: JsonText, compiler: SQLCompiler, **options: Any) -> str:
    column, path = element.clauses
    return f"json_extract({compiler.process(column, **options)}, '$.' || {compiler.process(path, **options)})"


@compiles(JsonText, "postgresql")
def _json_text_postgres(element: JsonText, compiler: SQLCompiler, **options: Any) -> str:
    column, path = element.clauses
    # PostgreSQL cannot take NUL out of JSON, wherever in the document it stands.
    whole = rf"replace({compiler.process(column, **options)}, '\u0000', '\ufffd')::json"
    return f"({whole} #>> string_to_array({compiler.process(path, **options)}, '.'))"


@compiles(Place, "sqlite")
def _place_sqlite(element: Place, compiler: SQLCompiler, **options: Any) -> str:
    return f"instr({compiler.process(element.clauses, **options)})"


@compiles(Place, "postgresql")
def _place_postgres(element: Place, compiler: SQLCompiler, **options: Any) -> str:
    return f"strpos({compiler.process(element.clauses, **options)})"
