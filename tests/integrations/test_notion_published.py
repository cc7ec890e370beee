"""What we send to Notion, and what the local server answers, against what Notion publishes.

`published/notion` holds the types of Notion's own JavaScript client as JSON Schema, and the OpenAPI document
of Notion's own tool server, both reduced to what is used here. The types are exact; the document is looser
than the service inside of bodies (it has children as texts), so it is asked for addresses and names only.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from jsonschema import Draft7Validator

from omniforge.core.clock import SystemClock
from omniforge.integrations import load_catalog
from omniforge.integrations.catalog.notion.standin import CLIENT_ID, CLIENT_SECRET, StandinState, create_app
from omniforge.integrations.catalog.notion.standin.signin import SERVICE
from omniforge.integrations.rest import RestClient
from omniforge.integrations.standin import new_code

PUBLISHED = Path(__file__).parent / "published" / "notion"
NOTION = load_catalog()["notion"]
ID = r"[0-9a-f-]{36}"

ANSWERS = {
    ("GET", "/v1/users/me"): "Self",
    ("GET", "/v1/databases/ID"): "Database",
    ("GET", "/v1/data_sources/ID"): "DataSource",
    ("POST", "/v1/pages"): "Page",
    ("GET", "/v1/pages/ID"): "Page",
    ("PATCH", "/v1/pages/ID"): "Page",
}
LISTS = {
    ("GET", "/v1/users"): ("user", "User"),
    ("POST", "/v1/search"): ("page_or_data_source", "DataSource"),
    ("POST", "/v1/data_sources/ID/query"): ("page_or_data_source", "Page"),
    ("GET", "/v1/blocks/ID/children"): ("block", "Block"),
    ("PATCH", "/v1/blocks/ID/children"): ("block", "Block"),
}
REQUESTS = {
    ("POST", "/v1/search"): "Search",
    ("POST", "/v1/data_sources/ID/query"): "Query",
    ("POST", "/v1/pages"): "CreatePage",
    ("PATCH", "/v1/pages/ID"): "UpdatePage",
    ("PATCH", "/v1/blocks/ID/children"): "Append",
}


@cache
def types() -> dict[str, Any]:
    return json.loads((PUBLISHED / "client-types.json").read_text())


@cache
def validator(name: str) -> Draft7Validator:
    assert name in types()["definitions"]
    return Draft7Validator({**types(), "$ref": f"#/definitions/{name}"})


@cache
def operations() -> list[tuple[str, re.Pattern[str], dict[str, Any]]]:
    document = json.loads((PUBLISHED / "openapi.json").read_text())
    return [
        (method.upper(), re.compile(re.sub(r"\{\w+\}", ID, path) + "$"), operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


def fits(name: str, value: Any) -> None:
    errors = sorted(validator(name).iter_errors(value), key=lambda error: len(error.absolute_path))
    assert not errors, f"{name}: {best(errors[0])}"


def best(error: Any) -> str:
    """The mistake itself, in the branch of a union that comes nearest."""
    while error.context:
        error = max(error.context, key=lambda inner: (len(inner.absolute_path), inner.validator != "const"))
    return f"{list(error.absolute_path)}: {error.message[:300]}"


class Witness(httpx.AsyncBaseTransport):
    """The local server inside this process, and everything that was said."""

    def __init__(self, state: StandinState) -> None:
        self._inner = httpx.ASGITransport(create_app(state))
        self.heard: list[tuple[httpx.Request, Any, int, Any]] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        sent = json.loads(request.content) if request.content else None
        response = await self._inner.handle_async_request(request)
        body = json.loads(await response.aread())
        self.heard.append((request, sent, response.status_code, body))
        return response


@pytest.fixture
def state() -> StandinState:
    return StandinState(rate_per_second=None)


@pytest.fixture
def witness(state: StandinState) -> Witness:
    return Witness(state)


@pytest.fixture
async def client(state: StandinState, witness: Witness) -> AsyncIterator[RestClient]:
    key = state.new_key()

    async def token(rejected: str | None = None) -> str:
        return key

    async with httpx.AsyncClient(transport=witness) as http:
        yield RestClient(
            http,
            title="Notion",
            base_url="https://api.notion.com",
            token=token,
            clock=SystemClock(),
            headers=NOTION.manifest.headers,
        )


async def use_every_tool(client: RestClient) -> None:
    async def call(name: str, **args: Any) -> dict[str, Any]:
        return await NOTION.tool(f"notion.{name}").call(client, args)

    await call("who_am_i")
    listed = (await call("list_databases", search="i"))["databases"]
    projects = next(d["id"] for d in listed if d["name"] == "Client Projects")
    await call("describe_database", database_id=projects)
    conditions = [
        {"field": "Project", "op": "contains", "value": "o"},
        {"field": "Client", "op": "is_not_empty"},
        {"field": "Status", "op": "does_not_equal", "value": "Done"},
        {"field": "Owner", "op": "contains", "value": "Maya Lindholm"},
        {"field": "Tags", "op": "does_not_contain", "value": "launch"},
        {"field": "Due", "op": "on_or_after", "value": "2020-01-01"},
        {"field": "Edited", "op": "after", "value": "2020-01-01"},
        {"field": "created_at", "op": "before", "value": "2100-01-01T00:00:00Z"},
    ]
    for condition in conditions:
        await call("query_database", database_id=projects, filters=[condition], limit=3)
    await call(
        "query_database",
        database_id=projects,
        edited_after="2020-01-01T00:00:00Z",
        edited_before="2100-01-01T00:00:00Z",
        filters=conditions[:2],
        sort={"field": "Due", "direction": "descending"},
    )
    await call("query_database", database_id=projects, sort={"field": "edited_at"}, limit=1)
    markdown = "# One\n## Two\n### Three\ntext **bold** more\n- a\n1. b\n- [ ] c\n- [x] d\n> q\n---\n"
    markdown += "```\ncode\n```\n"
    everything = {
        "Project": "A" * 4100,
        "Client": "Aurora Health",
        "Status": "On Track",
        "Owner": ["Maya Lindholm"],
        "Latest Update": "Words",
        "Due": "2026-11-24",
        "Tags": ["data", "website"],
    }
    made = await call(
        "create_page", database_id=projects, fields=everything, text=markdown + "line\n\n" * 150, mark="m.123"
    )
    await call("read_page", page_id=made["id"])
    nothing = dict.fromkeys(everything, None) | {"Project": "B", "Status": "Done"}
    await call("update_page", page_id=made["id"], fields=nothing)
    await call("find_page", database_id=projects, mark="m.123")
    await call("find_change", page_id=made["id"], fields={"Project": "B"})


def shape_of(request: httpx.Request) -> tuple[str, str]:
    return request.method, re.sub(ID, "ID", urlsplit(str(request.url)).path)


async def test_what_we_send_is_what_notion_publishes(client: RestClient, witness: Witness) -> None:
    await use_every_tool(client)
    seen: set[tuple[str, str]] = set()
    for request, sent, _, _ in witness.heard:
        shape = shape_of(request)
        seen.add(shape)
        operation = next(
            known
            for method, path, known in operations()
            if method == request.method and path.match(urlsplit(str(request.url)).path)
        )
        check_parameters(request, operation)
        if sent is not None:
            fits(REQUESTS[shape], sent)
            schema = operation["requestBody"]["content"]["application/json"]["schema"]
            assert set(schema.get("required", ())) <= set(sent) <= set(schema["properties"])
    assert seen == set(ANSWERS) | set(LISTS)


def check_parameters(request: httpx.Request, operation: dict[str, Any]) -> None:
    named = {
        one["name"].removesuffix("[]") for one in operation.get("parameters", []) if one.get("in") == "query"
    }
    asked = {name.removesuffix("[]") for name, _ in parse_qsl(urlsplit(str(request.url)).query)}
    assert asked <= named | {"filter_properties"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", request.headers["notion-version"])


async def test_what_the_local_server_answers_is_what_notion_publishes(
    client: RestClient, witness: Witness
) -> None:
    await use_every_tool(client)
    for request, _, status, body in witness.heard:
        assert status == 200, body
        shape = shape_of(request)
        if shape in ANSWERS:
            fits(ANSWERS[shape], {name: value for name, value in body.items() if name != "request_id"})
            continue
        kind, item = LISTS[shape]
        envelope = {"object", "results", "next_cursor", "has_more", "type", kind}
        assert envelope <= set(body) <= envelope | {"request_id"}
        assert (body["object"], body["type"], body[kind]) == ("list", kind, {})
        assert body["has_more"] is (body["next_cursor"] is not None)
        for result in body["results"]:
            if set(result) > {"object", "id"} and "filter_properties" not in str(request.url):
                fits(item, result)


async def test_sign_in_speaks_as_notion_publishes(state: StandinState) -> None:
    redirect = "http://127.0.0.1:8700/oauth/callback/notion"
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(create_app(state)),
        base_url="http://notion.test",
        auth=(CLIENT_ID, CLIENT_SECRET),
    ) as http:
        form = {
            "grant_type": "authorization_code",
            "code": new_code(SERVICE, state, redirect),
            "redirect_uri": redirect,
        }
        fits("TokenBody", form)
        pair = (await http.post("/v1/oauth/token", json=form)).json()
        fits("TokenAnswer", pair)
        again = {"grant_type": "refresh_token", "refresh_token": pair["refresh_token"]}
        fits("TokenBody", again)
        pair = (await http.post("/v1/oauth/token", json=again)).json()
        fits("TokenAnswer", pair)
        fits("RevokeBody", {"token": pair["access_token"]})
        fits(
            "RevokeAnswer", (await http.post("/v1/oauth/revoke", json={"token": pair["access_token"]})).json()
        )


def test_the_check_finds_a_wrong_body() -> None:
    with pytest.raises(AssertionError):
        fits("CreatePage", {"parent": {"database": "x"}, "properties": {}})
    with pytest.raises(AssertionError):
        fits("Page", {"object": "page", "id": "x"})
