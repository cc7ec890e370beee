"""What we send to GitHub, and what the local server answers and delivers, against what GitHub publishes.

`published/github` holds reduced extracts of GitHub's OpenAPI document (`rest.json`), of the schemas of its
deliveries (`webhooks.json`), and of the example deliveries (`deliveries.json`); each names its source.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator

from omniforge.integrations import load_catalog
from omniforge.integrations.catalog.github.events import read_delivery
from omniforge.integrations.catalog.github.standin import StandinState, create_app
from omniforge.integrations.catalog.github.standin.webhooks import delivery
from omniforge.integrations.rest import RestClient
from omniforge.integrations.samples import LogicalClock
from omniforge.integrations.standin import Grant

Json = dict[str, Any]
PUBLISHED = Path(__file__).parent / "published" / "github"
NOW = datetime(2026, 11, 23, 8, 30, tzinfo=UTC)
GITHUB = load_catalog()["github"]
STORE = "acme-operations/storefront"
BUSY = "acme-operations/warehouse-api"


@cache
def published(name: str) -> Json:
    return json.loads((PUBLISHED / name).read_text())


def problems(name: str, schema: Json, value: Any) -> list[str]:
    document = {"schemas": published(name)["schemas"], **schema}
    found: Any = Draft202012Validator(document, format_checker=Draft202012Validator.FORMAT_CHECKER)
    return [f"{error.json_path}: {error.message[:200]}" for error in found.iter_errors(value)]


@cache
def operations() -> list[tuple[str, re.Pattern[str], str]]:
    """Method, path and name of each; a path of a file may have slashes, an id stands for owner and name."""
    found: list[tuple[str, re.Pattern[str], str]] = []
    for name in published("rest.json")["operations"]:
        method, _, path = name.partition(" ")
        pattern = re.sub(r"\{(\w+)\}", lambda m: r".+" if m[1] == "path" else r"[^/]+", path)
        pattern = pattern.replace(r"/repos/[^/]+/[^/]+", r"(?:/repos/[^/]+/[^/]+|/repositories/\d+)")
        found.append((method, re.compile(pattern), name))
    return found


class Checked(httpx.AsyncBaseTransport):
    """The local server in this process; every request and every answer is held against the description."""

    def __init__(self, state: StandinState) -> None:
        self.inner = httpx.ASGITransport(create_app(state))
        self.seen: set[str] = set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        name = next(
            (
                name
                for method, pattern, name in operations()
                if method == request.method and pattern.fullmatch(request.url.path)
            ),
            None,
        )
        assert name is not None, f"GitHub has no {request.method} {request.url.path}"
        self.seen.add(name)
        described = published("rest.json")["operations"][name]
        for key, value in request.url.params.items():
            assert key in described["query"], f"{name} takes no {key}"
            kind = described["query"][key]
            given = int(value) if kind.get("type") == "integer" else value
            assert problems("rest.json", kind, given) == [], f"{name}?{key}={value}"
        if request.content:
            assert problems("rest.json", described["body"], json.loads(request.content)) == [], name
        response = await self.inner.handle_async_request(request)
        body = await response.aread()
        status = str(response.status_code)
        if status in described["answers"]:
            assert problems("rest.json", described["answers"][status], json.loads(body)) == [], name
        else:
            assert status in (*described["refusals"], "422"), f"{name} answers {status}"
            kind = "validation-error" if b'"errors"' in body else "basic-error"
            schema = {"$ref": f"#/schemas/{kind}"}
            assert problems("rest.json", schema, json.loads(body)) == [], (name, body)
        return httpx.Response(status_code=response.status_code, headers=response.headers, content=body)


@pytest.fixture
def transport() -> Checked:
    grant = Grant(person="maya-lindholm", account="acme")
    return Checked(StandinState(now=lambda: NOW, rate_per_second=None, open_to=grant, steady=True))


@pytest.fixture
async def client(transport: Checked) -> AsyncIterator[RestClient]:
    async def token(rejected: str | None = None) -> str:
        return "any"

    async with httpx.AsyncClient(transport=transport) as http:
        yield RestClient(
            http,
            title="GitHub",
            base_url="https://api.github.com",
            token=token,
            clock=LogicalClock(NOW),
            headers=GITHUB.manifest.headers,
            read_trouble=GITHUB.read_trouble,
        )


async def test_every_tool_asks_and_is_answered_as_github_describes_it(client: RestClient, transport: Checked):
    week = {"created_after": "2026-11-01T00:00:00Z", "created_before": "2026-12-01T00:00:00Z"}
    store, busy = {"repository": STORE}, {"repository": BUSY}
    calls: list[tuple[str, Json]] = [
        ("who_am_i", {}),
        ("list_repositories", {"search": "acme"}),
        ("describe_repository", store),
        ("list_issues", busy),
        (
            "list_issues",
            {**store, "author": "maya-lindholm", "assignee": "derek-osei", "labels": ["bug"], **week},
        ),
        ("list_issues", {**store, "milestone": "Spring release", "sort": "created"}),
        ("list_pull_requests", {**store, "state": "merged", "base": "main", **week}),
        ("list_commits", {**store, "branch": "main", "path": "src/app.ts", "author": "derek-osei"}),
        ("list_commits", {**busy, "after": "2026-10-01T00:00:00Z", "before": "2026-12-01T00:00:00Z"}),
        ("list_releases", store),
        ("read_issue", {**store, "number": 6}),
        ("read_pull_request", {**store, "number": 8}),
        ("read_file", {**store, "path": "docs/releasing.md"}),
        ("read_file", {**store, "path": "docs"}),
        (
            "create_issue",
            {**store, "title": "New", "labels": ["bug"], "assignees": ["derek-osei"],
             "milestone": "Spring release", "mark": "mark-1"},
        ),
        ("update_issue", {**store, "number": 6, "state": "closed", "state_reason": "not_planned"}),
        ("add_comment", {**store, "number": 6, "text": "Done", "mark": "mark-2"}),
        ("write_file", {**store, "path": "docs/a b.md", "content": "x", "message": "Add", "mark": "mark-3"}),
        ("write_file", {**store, "path": "README.md", "content": "x", "message": "Change", "branch": "main"}),
        ("draft_release", {**store, "tag": "v9", "target": "main", "mark": "mark-4"}),
        ("find_issue", {**store, "mark": "mark-1"}),
        ("find_changed_issue", {**store, "number": 6, "state": "closed"}),
        ("find_comment", {**store, "number": 6, "mark": "mark-2"}),
        ("find_written_file", {**store, "path": "README.md", "branch": "main", "mark": "mark-3"}),
        ("find_release", {**store, "mark": "mark-4"}),
    ]  # fmt: skip
    for name, args in calls:
        assert await GITHUB.tool(f"github.{name}").call(client, args)
    for event in GITHUB.events.values():
        assert event.poll is not None
        assert await event.poll(client, STORE, NOW - timedelta(days=14))
    assert {name for name, _ in calls} == {name.partition(".")[2] for name in GITHUB.tools}
    assert transport.seen == set(published("rest.json")["operations"])


@pytest.mark.parametrize(
    "event",
    ["ping", "issue.opened", "pull_request.opened", "pull_request.merged", "push", "release.published"],
)
def test_the_local_server_delivers_as_github_describes_it(event: str):
    state = StandinState(now=lambda: NOW)
    body, headers = delivery(state, {"event": event, "repository": STORE})
    kind = headers["X-GitHub-Event"]
    name = f"{kind}${body['action']}" if "action" in body else f"{kind}$event"
    assert problems("webhooks.json", {"$ref": f"#/schemas/{name}"}, body) == []
    assert [told.type for told in read_delivery(headers, body)] == ([] if event == "ping" else [event])


def test_githubs_own_examples_are_read():
    examples = published("deliveries.json")["examples"]
    told: dict[str, int] = {}
    for example in examples:
        for one in read_delivery({"x-github-event": example["event"]}, example["payload"]):
            told[one.type] = told.get(one.type, 0) + 1
            assert one.resource == example["payload"]["repository"]["full_name"]
            assert one.at.tzinfo is not None
            assert one.id
            assert one.version
    assert len({example["event"] for example in examples}) > 50
    assert told == {
        "issue.opened": 4,
        "pull_request.opened": 4,
        "push": 2,  # the other five are of tags
        "release.published": 3,
    }
