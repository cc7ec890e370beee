"""The sample files of a dry run, made from `fixtures/` relative to a moment."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

from omniforge.integrations.catalog.files import tables
from omniforge.integrations.catalog.files.disk import checked_name
from omniforge.integrations.catalog.files.tables import Json, Table

FIXTURES = Path(__file__).parent / "fixtures"
MADE_UP = 4
"""Rows of a file that is known only by its columns."""


def files(
    now: datetime, *, resources: Sequence[Mapping[str, Any]] = (), empty: bool = False
) -> dict[str, tuple[bytes, datetime]]:
    """File contents and times by name. `{"days": -3}` in a fixture is a date three days ago."""
    raw: dict[str, list[Json]] = json.loads((FIXTURES / "files.json").read_text(encoding="utf-8"))
    world: dict[str, tuple[bytes, datetime]] = {}
    for number, (name, rows) in enumerate(raw.items()):
        dated = [{column: _value(value, now) for column, value in row.items()} for row in rows]
        table = tables.with_columns(Table(columns=list(rows[0])), [] if empty else dated)
        world[name] = (_content(name, table), now - timedelta(days=number + 1))
    for resource in resources:
        name = checked_name(str(resource.get("id")))
        fields = cast("list[Json]", resource.get("fields") or [])
        columns = [str(field.get("name")) for field in fields]
        made = [{str(f.get("name")): _made_up(f, number, now) for f in fields} for number in range(MADE_UP)]
        table = tables.with_columns(Table(columns=columns), [] if empty else made)
        world[name] = (_content(name, table), now - timedelta(days=1))
    return world


def _content(name: str, table: Table) -> bytes:
    """An empty JSON table has no place for its columns: there it has none."""
    return tables.write_table(name, table)


def _value(value: Any, now: datetime) -> Any:
    if isinstance(value, dict):
        days = cast("Json", value)["days"]
        return (now + timedelta(days=days)).date().isoformat()
    return value


def _made_up(field: Json, number: int, now: datetime) -> Any:
    match field.get("type"):
        case "number":
            return (number + 1) * 10
        case "checkbox":
            return number % 2 == 0
        case "date":
            return (now - timedelta(days=number)).date().isoformat()
        case _:
            return f"Sample {number + 1}"
