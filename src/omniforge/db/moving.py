"""Copies every row of a database into an empty PostgreSQL database, and checks that nothing changed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any, cast

import psycopg
from sqlalchemy import JSON, Connection, Integer, Table, Text, func, select, text, type_coerce
from sqlalchemy import cast as as_type

from omniforge.core.errors import Conflict, Invalid
from omniforge.db.base import Base

Row = tuple[Any, ...]
READ_TOGETHER = 1_000


def check_empty(target: Connection) -> None:
    """`Conflict` unless every table of ours is empty there."""
    for table in Base.metadata.sorted_tables:
        if target.execute(select(1).select_from(table).limit(1)).first() is not None:
            raise Conflict(
                f"The target holds data already (table {table.name}); move into an empty database.",
                code="target_not_empty",
                table=table.name,
            )


def copy_tables(source: Connection, target: Connection, left_out: Iterable[str] = ()) -> dict[str, int]:
    """Copy all rows and check them; table → rows. Nothing is committed here.

    `Invalid` names the table with a value the target cannot hold.
    """
    copied: dict[str, int] = {}
    for table in Base.metadata.sorted_tables:
        if table.name in left_out:
            continue
        before = _Digest()
        fill(target, table, before.following(_rows(source, table)))
        after = _Digest()
        for _ in after.following(_rows(target, table)):
            pass
        if before.value != after.value:
            raise Conflict(
                f"The rows of {table.name} read back differently.", code="copy_differs", table=table.name
            )
        copied[table.name] = before.rows
        _set_sequence(target, table)
    return copied


def fill(target: Connection, table: Table, rows: Iterable[Row]) -> None:
    """Put rows (every column, in order) into a table of a PostgreSQL database."""
    names = ", ".join(f'"{column.name}"' for column in table.columns)
    driver = cast("psycopg.Connection[Any]", target.connection.driver_connection)
    try:
        statement = f'COPY "{table.name}" ({names}) FROM STDIN'.encode()
        with driver.cursor() as cursor, cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row(row)
    except psycopg.DataError as error:
        raise Invalid(
            f"PostgreSQL cannot hold a row of {table.name}: {error}",
            code="row_refused",
            table=table.name,
        ) from error


class _Digest:
    """Rows in any order as one number."""

    def __init__(self) -> None:
        self.value = 0
        self.rows = 0

    def following(self, rows: Iterable[Row]) -> Iterator[Row]:
        for row in rows:
            digest = hashlib.sha256(repr(row).encode("utf-8", "surrogatepass")).digest()
            self.value = (self.value + int.from_bytes(digest, "big")) % (1 << 256)
            self.rows += 1
            yield row


def _rows(connection: Connection, table: Table) -> Iterator[Row]:
    """Rows with JSON as the very text that is stored."""
    is_sqlite = connection.dialect.name == "sqlite"
    columns = [
        column
        if not isinstance(column.type, JSON)
        else type_coerce(column, Text)
        if is_sqlite
        else as_type(column, Text)
        for column in table.columns
    ]
    with connection.execute(select(*columns).execution_options(yield_per=READ_TOGETHER)) as found:
        for row in found:
            yield tuple(row)


def _set_sequence(target: Connection, table: Table) -> None:
    """New rows get numbers above those that were copied."""
    column = table.autoincrement_column
    if column is None or not isinstance(column.type, Integer):
        return
    sequence = target.scalar(
        text("SELECT pg_get_serial_sequence(:table, :column)"), {"table": table.name, "column": column.name}
    )
    highest = target.scalar(select(func.max(column)))
    if sequence is not None and highest is not None:
        target.execute(text("SELECT setval(:sequence, :value)"), {"sequence": sequence, "value": highest})
