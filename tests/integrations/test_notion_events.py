"""New and changed rows of Notion: told by deliveries and found by asking, complete and only once."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from omniforge.core.clock import SystemClock
from omniforge.core.errors import OmniForgeError
from omniforge.integrations import load_catalog
from omniforge.integrations.catalog.notion import events
from omniforge.integrations.catalog.notion.standin import StandinState, create_app
from omniforge.integrations.catalog.notion.standin.shapes import delivery_json
from omniforge.integrations.rest import RestClient
from omniforge.integrations.standin import Grant

NOW = datetime(2026, 11, 18, 15, 0, tzinfo=UTC)
NOTION = load_catalog()["notion"]


async def token(rejected: str | None = None) -> str:
    return "any"


def client_over(transport: httpx.AsyncBaseTransport) -> RestClient:
    return RestClient(
        httpx.AsyncClient(transport=transport),
        title="Notion",
        base_url="https://api.notion.com",
        token=token,
        clock=SystemClock(),
        headers=NOTION.manifest.headers,
    )


@pytest.fixture
def state() -> StandinState:

    return StandinState(now=lambda: NOW, rate_per_second=None, open_to=Grant(), steady=True)


@pytest.fixture
def client(state: StandinState) -> RestClient:
    return client_over(httpx.ASGITransport(create_app(state)))


def projects(state: StandinState) -> Any:
    return state.workspace.tables[0]


async def test_a_new_row_is_found_once_and_only_from_its_time_on(client, state):
    table = projects(state)
    before = await events.created_rows(client, table.id, NOW)
    assert before == []
    made = await NOTION.tool("notion.create_page").call(
        client, {"database_id": table.id, "fields": {"Project": "Fresh", "Status": "On Track"}}
    )
    found = await events.created_rows(client, table.id, NOW)
    assert [one.id for one in found] == [made["id"]]
    event = found[0]
    assert (event.type, event.resource, event.at) == ("row.created", table.id, NOW)
    assert event.item["fields"]["Status"] == "On Track"
    who = await NOTION.tool("notion.who_am_i").call(client, {})
    assert event.author == who["acts_as"]["id"] != who["user"]["id"]
    assert await events.updated_rows(client, table.id, NOW) == []  # made, and not changed since
    assert await events.created_rows(client, table.id, NOW + timedelta(seconds=1)) == []


async def test_a_changed_row_tells_each_change(client, state):
    table = projects(state)
    row = state.workspace.rows_of(table)[0]
    change = {"page_id": row.id, "fields": {"Status": "Blocked"}}
    await NOTION.tool("notion.update_page").call(client, change)
    first = await events.updated_rows(client, table.id, NOW)
    assert [(one.id, one.at, one.item["fields"]["Status"]) for one in first] == [(row.id, NOW, "Blocked")]
    state.workspace.now = lambda: NOW + timedelta(minutes=2)
    await NOTION.tool("notion.update_page").call(client, change)
    second = await events.updated_rows(client, table.id, NOW)
    assert [one.id for one in second] == [row.id]
    assert second[0].version != first[0].version


async def test_every_row_of_every_database_is_found_over_all_pages(client, state):
    found = await events.created_rows(client, None, NOW - timedelta(days=3000))
    assert len(found) == len({one.id for one in found}) == 42 + 8 + 156
    assert {one.resource for one in found} == {table.id for table in state.workspace.tables}
    assert all(one.item["title"] for one in found)


def answering(pages: Callable[[str], tuple[list[dict[str, Any]], bool]]) -> RestClient:
    """A Notion that answers at most two rows to one question, and says so."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            source = {"id": "0b" * 16}
            return httpx.Response(200, json={"id": "0a" * 16, "data_sources": [source]})

        start = json.loads(request.content)["filter"]["created_time"]["on_or_after"]
        results, cut = pages(start)
        status = {"type": "incomplete" if cut else "complete"}
        body = {"results": results, "has_more": False, "next_cursor": None, "request_status": status}
        return httpx.Response(200, json=body)

    return client_over(httpx.MockTransport(answer))


def page(number: int, minute: int) -> dict[str, Any]:
    at = f"2026-11-18T15:{minute:02}:00.000Z"
    return {"id": f"{number:032x}", "created_time": at, "last_edited_time": at, "properties": {}}


async def test_what_does_not_fit_into_one_answer_is_asked_for_from_there_on():
    rows = [page(1, 1), page(2, 2), page(3, 2), page(4, 3), page(5, 9)]

    def answer(start: str) -> tuple[list[dict[str, Any]], bool]:
        after = [row for row in rows if row["created_time"] >= start]
        return after[:3], len(after) > 3

    found = await events.created_rows(answering(answer), "0a" * 16, NOW)
    assert [one.id for one in found] == [row["id"] for row in rows]


async def test_more_in_one_minute_than_can_be_read_is_said_and_not_left_out():
    rows = [page(number, 5) for number in range(1, 4)]
    with pytest.raises(OmniForgeError, match="Too many rows"):
        await events.created_rows(
            answering(lambda _: (rows, True)), "0a" * 16, datetime(2026, 11, 18, 15, 5, tzinfo=UTC)
        )


@pytest.mark.parametrize(
    ("told", "kind"),
    [("page.created", "row.created"), ("page.properties_updated", "row.updated"), ("page.deleted", None)],
)
def test_a_delivery_names_the_row_its_database_and_who_did_it(state, told, kind):
    row = state.workspace.rows_of(projects(state))[3]
    maya = state.workspace.people[0].id
    payload = delivery_json(state.workspace, {"event": told, "page": row.id, "author": maya})
    found = events.read_delivery({}, payload)
    if kind is None:
        assert found == []
        return
    assert [(one.type, one.id, one.resource, one.author) for one in found] == [
        (kind, row.id, projects(state).id, maya)
    ]
    assert found[0].at == NOW


async def test_a_new_row_told_and_found_is_one_and_the_same(client, state):
    row = state.workspace.rows_of(projects(state))[0]
    told = events.read_delivery(
        {}, delivery_json(state.workspace, {"event": "page.created", "page": row.id})
    )[0]
    found = next(
        one for one in await events.created_rows(client, projects(state).id, row.created) if one.id == row.id
    )
    assert (told.type, told.id, told.version) == (found.type, found.id, found.version)


def test_pages_outside_of_databases_and_other_news_are_no_rows(state):
    row = state.workspace.rows_of(projects(state))[0]
    good = delivery_json(state.workspace, {"event": "page.created", "page": row.id})
    for change in (
        {"data": {"parent": {"id": row.id, "type": "page"}}},
        {"data": {"parent": {"id": row.id, "type": "space"}}},
        {"entity": {"id": row.id, "type": "comment"}},
        {"entity": {"id": "x", "type": "page"}},
        {"timestamp": "soon"},
        {"timestamp": None},
        {"type": "comment.created"},
        {"verification_token": "secret_x", "type": None},
    ):
        assert events.read_delivery({}, {**good, **change}) == []


@pytest.mark.parametrize("name", ["row.created", "row.updated"])
async def test_what_a_delivery_leaves_out_is_read_by_the_tool_it_names(client, state, name):
    kind = NOTION.events[name]
    row = state.workspace.rows_of(projects(state))[0]
    assert kind.read_tool is not None
    item = await NOTION.tool(kind.read_tool).call(client, {kind.read_argument: row.id})
    found = await events.created_rows(client, projects(state).id, row.created)
    same = next(one.item for one in found if one.id == row.id)
    assert {key: item[key] for key in same} == same
