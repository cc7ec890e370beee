"""The parts of Notion's API that are used, over the workspace that is held."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from typing import Any, cast

from starlette.applications import Starlette

from omniforge.integrations import standin
from omniforge.integrations.catalog.notion.standin import shapes
from omniforge.integrations.catalog.notion.standin.query import NotAccepted, page_of, select
from omniforge.integrations.catalog.notion.standin.signin import SERVICE
from omniforge.integrations.catalog.notion.standin.state import StandinState
from omniforge.integrations.catalog.notion.standin.workspace import Block, Json, Row, Table
from omniforge.integrations.standin import Refusal


class Call:
    """One request of the API: the workspace asked, and the checked id of its path."""

    def __init__(self, call: standin.Call[StandinState]) -> None:
        self.request, self.grant, self.body = call.request, call.grant, call.body
        self.workspace = call.state.workspace_of(call.grant.account)
        self.happened = call.happened

    @property
    def id(self) -> str:
        given = str(self.request.path_params["id"])
        try:
            return str(uuid.UUID(given))
        except ValueError:
            raise Refusal(
                400,
                "validation_error",
                f"path failed validation: id should be a valid uuid, instead was `{given}`.",
            ) from None

    def table(self, given: str, *, source: bool) -> Table:
        table = self.workspace.table(given)
        wrong = table is not None and given == (table.id if source else table.source_id)
        if table is None or wrong:
            kind = "data source" if source else "database"
            raise _missing(kind, given)
        return table

    def row(self, given: str) -> tuple[Table, Row]:
        row = self.workspace.rows.get(given)
        table = self.workspace.table(row.table_id) if row else None
        if row is None or table is None:
            raise _missing("page", given)
        return table, row


Answer = Callable[[Call], Awaitable[Json]]


def _missing(kind: str, given: str) -> Refusal:
    said = f"Could not find {kind} with ID: {given}. Make sure it is shared with your integration."
    return Refusal(404, "object_not_found", said)


async def me(call: Call) -> Json:
    owner = call.workspace.person(call.grant.person) or call.workspace.people[0]
    return shapes.bot_json(call.workspace, owner)


async def users(call: Call) -> Json:
    asked = call.request.query_params
    people = [shapes.person_json(person) for person in call.workspace.people]
    return _listed(people, "user", asked.get("start_cursor"), asked.get("page_size"))


async def search(call: Call) -> Json:
    given = call.body.get("filter")
    wanted = cast("Json", given) if isinstance(given, dict) else {}
    kind = wanted.get("value")
    if wanted and (wanted.get("property") != "object" or kind not in ("page", "data_source")):
        raise NotAccepted('body.filter.value should be "page" or "data_source"')
    words = str(call.body.get("query") or "").casefold()
    found: list[Json] = []
    if kind in (None, "data_source"):
        found += [
            shapes.source_json(call.workspace, table)
            for table in call.workspace.tables
            if words in table.name.casefold()
        ]
    if kind in (None, "page"):
        for table in call.workspace.tables:
            found += [
                shapes.page_json(call.workspace, table, row)
                for row in call.workspace.rows_of(table)
                if words in str(row.values.get(table.title, "")).casefold()
            ]
    found.sort(key=lambda item: str(item["last_edited_time"]), reverse=True)
    return _listed(found, "page_or_data_source", call.body.get("start_cursor"), call.body.get("page_size"))


async def database(call: Call) -> Json:
    return shapes.database_json(call.workspace, call.table(call.id, source=False))


async def data_source(call: Call) -> Json:
    return shapes.source_json(call.workspace, call.table(call.id, source=True))


async def query(call: Call) -> Json:
    table = call.table(call.id, source=True)
    rows = select(table, call.workspace.rows_of(table), call.body)
    part, cursor = page_of(rows, call.body.get("start_cursor"), call.body.get("page_size"))
    only = set(call.request.query_params.getlist("filter_properties[]")) or None
    pages = [shapes.page_json(call.workspace, table, row, only) for row in part]
    return _list(pages, "page_or_data_source", cursor)


async def read_page(call: Call) -> Json:
    return shapes.page_json(call.workspace, *call.row(call.id))


async def create_page(call: Call) -> Json:
    parent = call.body.get("parent")
    source_id = cast("Json", parent).get("data_source_id") if isinstance(parent, dict) else None
    if not isinstance(source_id, str):
        raise NotAccepted("body failed validation: body.parent.data_source_id should be defined.")
    table, workspace = call.table(source_id, source=True), call.workspace
    values = shapes.written_values(workspace, table, call.body.get("properties"))
    blocks = shapes.written_blocks(workspace, call.body.get("children"))
    now = workspace.now()
    row = Row(workspace.new_id(), table.id, now, now, workspace.bot_id, values, blocks)
    workspace.rows[row.id] = row
    call.happened("page.created", page=row.id)
    return shapes.page_json(workspace, table, row)


async def update_page(call: Call) -> Json:
    table, row = call.row(call.id)
    if "archived" in call.body:
        raise NotAccepted("body.archived is not supported, use body.in_trash")
    row.values = {
        **row.values,
        **shapes.written_values(call.workspace, table, call.body.get("properties", {})),
    }
    row.in_trash = call.body.get("in_trash") is True
    row.edited = call.workspace.now()
    changed = list(call.body.get("properties", {}))
    kind = "page.deleted" if row.in_trash else "page.properties_updated"
    call.happened(kind, page=row.id, properties=changed)
    return shapes.page_json(call.workspace, table, row)


async def children(call: Call) -> Json:
    asked = call.request.query_params
    inside, parent = _inside(call)
    blocks = [shapes.block_json(call.workspace, block, parent) for block in inside]
    return _listed(blocks, "block", asked.get("start_cursor"), asked.get("page_size"))


async def append(call: Call) -> Json:
    if "after" in call.body:
        raise NotAccepted("body.after is not supported, use body.position")
    inside, parent = _inside(call)
    made = shapes.written_blocks(call.workspace, call.body.get("children"))
    inside.extend(made)
    return _list([shapes.block_json(call.workspace, block, parent) for block in made], "block", None)


def _inside(call: Call) -> tuple[list[Block], Json]:
    """The blocks in a page or in a block, and how they name what they are in."""
    row = call.workspace.rows.get(call.id)
    if row is not None:
        return row.blocks, {"type": "page_id", "page_id": row.id}
    block = call.workspace.block(call.id)
    if block is None:
        raise _missing("block", call.id)
    return block.children, {"type": "block_id", "block_id": block.id}


def _listed(results: list[Json], kind: str, cursor: Any, size: Any) -> Json:
    part, following = page_of(results, cursor, size)
    return _list(part, kind, following)


def _list(results: list[Json], kind: str, cursor: str | None) -> Json:
    return {
        "object": "list",
        "results": results,
        "next_cursor": cursor,
        "has_more": cursor is not None,
        "type": kind,
        kind: {},
        "request_id": str(uuid.uuid4()),
    }


def _api(answer: Answer) -> standin.Handler[StandinState]:
    """A handler whose refused bodies are told as Notion's `validation_error`."""

    async def handler(call: standin.Call[StandinState]) -> Json:
        try:
            return await answer(Call(call))
        except NotAccepted as error:
            raise Refusal(400, "validation_error", str(error)) from None

    return handler


API = (
    ("GET", "/v1/users/me", me),
    ("GET", "/v1/users", users),
    ("POST", "/v1/search", search),
    ("GET", "/v1/databases/{id}", database),
    ("GET", "/v1/data_sources/{id}", data_source),
    ("POST", "/v1/data_sources/{id}/query", query),
    ("POST", "/v1/pages", create_page),
    ("GET", "/v1/pages/{id}", read_page),
    ("PATCH", "/v1/pages/{id}", update_page),
    ("GET", "/v1/blocks/{id}/children", children),
    ("PATCH", "/v1/blocks/{id}/children", append),
)


def create_app(state: StandinState | None = None) -> Starlette:
    """The server over one state."""
    api = [(method, path, _api(answer)) for method, path, answer in API]
    return standin.create_app(SERVICE, state or StandinState(), api)
