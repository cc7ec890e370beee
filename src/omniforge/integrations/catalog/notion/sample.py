"""Sample data for dry runs: the pages of `fixtures/`, answered by Notion's protocol inside this process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, cast

import httpx

from omniforge.integrations.catalog.notion.shapes import Json
from omniforge.integrations.catalog.notion.standin.app import create_app
from omniforge.integrations.catalog.notion.standin.state import StandinState
from omniforge.integrations.catalog.notion.standin.workspace import (
    Field,
    Row,
    Table,
    Workspace,
    empty_workspace,
    make_blocks,
    read_fixture,
    stable_id,
)
from omniforge.integrations.loose import items
from omniforge.integrations.standin import Grant, sample_transport

SAMPLE_DAYS = (1, 2, 3, 4, 5, 6, 8, 10, 12)


def transport(
    now: datetime, *, resources: Sequence[Mapping[str, Any]] = (), empty: bool = False
) -> httpx.AsyncBaseTransport:
    """Answers every request of a dry run; the same for the same arguments, and gone with the transport."""
    state = StandinState(
        now=lambda: now,
        rate_per_second=None,
        steady=True,
        open_to=Grant(),
        fill=lambda _: sample_workspace(now, resources, empty=empty),
    )
    return sample_transport(create_app(state))


def sample_workspace(
    now: datetime, resources: Sequence[Mapping[str, Any]] = (), *, empty: bool = False
) -> Workspace:
    """The fixture's databases, then one database for each resource whose fields are known."""
    workspace = empty_workspace(lambda: now)
    workspace.stand_in_for = workspace.tables[0].id
    by_name = {person.name: person.id for person in workspace.people}
    if not empty:
        for table in workspace.tables:
            for number, source in enumerate(read_fixture("sample_rows.json")[table.name]):
                _add(
                    workspace,
                    table,
                    number,
                    _values(source, now, by_name),
                    source["days_ago"],
                    source["text"],
                )
    for resource in resources:
        _add_resource(workspace, resource, empty=empty)
    return workspace


def _values(source: Json, now: datetime, people: Mapping[str, str]) -> Json:
    values = {name: value for name, value in source.items() if name not in ("days_ago", "text")}
    values["Owner"] = [people[name] for name in source["Owner"]]
    due = source["Due"]
    values["Due"] = None if due is None else (now + timedelta(days=due)).date().isoformat()
    return values


def _add(  # noqa: PLR0917 - one row
    workspace: Workspace, table: Table, number: int, values: Json, days: int, text: str
) -> None:
    row_id = stable_id("sample", table.id, number)
    noon = workspace.now().replace(hour=12, minute=number % 60, second=0, microsecond=0)
    edited = noon - timedelta(days=days)
    created = edited - timedelta(days=20 + number)
    author = workspace.people[number % len(workspace.people)].id
    blocks = make_blocks(row_id, text, created)
    workspace.rows[row_id] = Row(row_id, table.id, created, edited, author, values, blocks)


def _add_resource(workspace: Workspace, resource: Mapping[str, Any], *, empty: bool) -> None:
    fields = [
        Field(
            str(f.get("name")),
            str(f.get("type")),
            [str(o) for o in cast("list[Any]", f.get("options") or [])],
        )
        for f in items(resource.get("fields"))
    ]
    known = [table for table in workspace.tables if table.id == resource.get("id")]
    if known or not any(f.type == "title" for f in fields):
        return
    name, table_id = str(resource.get("name")), str(resource.get("id"))
    table = Table(table_id, stable_id("source of", table_id), name, fields, workspace.now())
    workspace.tables.append(table)
    for number, days in enumerate(() if empty else SAMPLE_DAYS):
        values = {f.name: _made_up(workspace, f, number) for f in fields}
        _add(workspace, table, number, values, days, "")


def _made_up(workspace: Workspace, field: Field, number: int) -> Any:
    """A value of the field's type, from its own options where it has some."""
    match field.type:
        case "title":
            return f"Sample {number + 1}"
        case "rich_text":
            return "" if number % 3 == 2 else f"Sample text {number + 1} for {field.name}."
        case "select" | "status":
            return field.options[number % len(field.options)] if field.options else None
        case "multi_select":
            return field.options[: number % 3]
        case "people":
            return [workspace.people[number % len(workspace.people)].id]
        case "date":
            return (workspace.now() + timedelta(days=number * 3)).date().isoformat()
        case "checkbox":
            return number % 2 == 0
        case "number":
            return (number + 1) * 10
        case "url":
            return f"https://example.com/{number + 1}"
        case "email":
            return f"person{number + 1}@example.com"
        case _:
            return None
