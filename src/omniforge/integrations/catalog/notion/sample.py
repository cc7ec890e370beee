"""Sample data for dry runs: the pages of `fixtures/`, answered by Notion's protocol inside this process."""

from __future__ import annotations

import re
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
from omniforge.integrations.fitting import ANYWHERE, FITTING, fitting_values
from omniforge.integrations.loose import items
from omniforge.integrations.standin import Grant, sample_transport

_DAY = re.compile(r"\d{4}-\d\d-\d\d$")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?$")
BESIDE = 100
"""Added to the numbers of rows that stand beside those of the fixture."""
SAMPLE_DAYS = (0, 1, 2, 3, 4, 5, 6, 8, 10, 12)


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
    edited = noon - timedelta(days=days) if days else workspace.now() - timedelta(minutes=90)
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
    wanted = fitting_values(resource, workspace.now())
    table = next((table for table in workspace.tables if table.id == resource.get("id")), None)
    if (table is not None and not wanted) or not any(f.type == "title" for f in fields):
        return
    numbered = list(enumerate(SAMPLE_DAYS))
    if table is not None:  # it has rows of its own
        numbered = [(number + BESIDE, days) for number, days in numbered[:FITTING]]
    else:
        name, table_id = str(resource.get("name")), str(resource.get("id"))
        table = Table(table_id, stable_id("source of", table_id), name, fields, workspace.now())
        workspace.tables.append(table)
    for number, days in () if empty else numbered:
        values = {f.name: _made_up(workspace, f, number) for f in fields}
        if number % BESIDE < FITTING:
            fits = {f.name: _fitting(workspace, f, wanted[f.name]) for f in fields if f.name in wanted}
            values |= {
                name: value for name, value in fits.items() if value is not None or wanted[name] is None
            }
        _add(workspace, table, number, values, days, wanted.get(ANYWHERE) or "")


def _fitting(workspace: Workspace, field: Field, wanted: str | None) -> Any:
    """The wanted value as the field has it; None where it cannot be."""
    if wanted is None:
        return [] if field.type in ("people", "multi_select") else "" if field.type == "rich_text" else None
    option = next((one for one in field.options if one.casefold() == wanted.casefold()), None)
    match field.type:
        case "title" | "rich_text" | "url" | "email":
            return wanted
        case "date" if _DAY.match(wanted):
            return wanted
        case "select" | "status":
            return option
        case "multi_select":
            return [option] if option else None
        case "people":
            return [p.id for p in workspace.people if p.name.casefold() == wanted.casefold()] or None
        case "checkbox":
            return wanted.casefold() in ("true", "yes")
        case "number" if _NUMBER.match(wanted):
            return float(wanted)
        case _:
            return None


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
