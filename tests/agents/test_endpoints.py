"""The HTTP of agents, executions and the inbox, over a small app."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from tests.agents.conftest import House, references, saying

from omniforge.agents import version_endpoints
from omniforge.agents.endpoints import router
from omniforge.core.actor import Actor, Role
from omniforge.core.errors import OmniForgeError
from omniforge.engine.active import StepCall
from omniforge.engine.state import StepResult
from omniforge.tenants.endpoints import current_actor
from omniforge.tenants.roles import permissions_of

AGENT = {"name": "Weekly Project Report", "skills": references("weekly-report")}
EVENT_STREAM = {"Accept": "text/event-stream"}


@pytest.fixture
def app(house: House, actor: Actor, foreign_actor: Actor) -> FastAPI:
    """The caller is who the header X-Who names; identity has tests of its own."""
    viewer = Actor("default", "vera", Role.VIEWER, "user:vera", permissions_of(Role.VIEWER))
    people = {"local": actor, "stranger": foreign_actor, "vera": viewer}
    app = FastAPI()
    app.include_router(router)
    app.include_router(version_endpoints.router)
    app.state.agents = house.agents

    def who(request: Request) -> Actor:
        return people[request.headers.get("x-who", "local")]

    app.dependency_overrides[current_actor] = who

    @app.exception_handler(OmniForgeError)
    async def answer(_: Request, error: OmniForgeError) -> JSONResponse:
        body = {"error": error.code, "message": error.message, "details": error.details}
        return JSONResponse(body, error.status)

    return app


@pytest.fixture
async def http(app: FastAPI, house: House, actor: Actor) -> AsyncIterator[httpx.AsyncClient]:
    await house.shelve(actor, "weekly-report")
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test/api/v1", timeout=20) as client:
        yield client


async def ask(http: httpx.AsyncClient, method: str, path: str, status: int = 200, **more: Any) -> Any:
    answer = await http.request(method, path, **more)
    assert answer.status_code == status, answer.text
    return answer.json()


async def active(http: httpx.AsyncClient, **fields: Any) -> str:
    """The id of an agent made, tested and switched on over HTTP."""
    made = await ask(http, "POST", "/agents", 201, json={**AGENT, **fields})
    path = f"/agents/{made['id']}"
    report = await ask(http, "POST", f"{path}/test", json={"mode": "dry"}, headers={"Prefer": "wait=60"})
    body = {"test_id": report["test_id"], "manifest_hash": report["manifest_hash"]}
    await ask(http, "POST", f"{path}/activate", json=body)
    return str(made["id"])


async def test_the_way_from_draft_to_result(http: httpx.AsyncClient, house: House, actor: Actor) -> None:
    sha = await house.engine.artifacts.put("default", b"# Weekly")
    artifact = {"sha256": sha, "path": "out/weekly \u2713.md", "title": "R", "media_type": "text/markdown"}
    house.script["weekly-report"] = saying(StepResult(output={"report": "# Weekly"}, artifacts=(artifact,)))
    schedule = {"trigger_type": "scheduled", "schedule": "30 8 * * MON", "timezone": "Europe/Berlin"}
    made = await ask(http, "POST", "/agents", 201, json={**AGENT, **schedule})
    path = f"/agents/{made['id']}"
    assert (made["status"], made["skills"][0]["key"]) == ("draft", "weekly-report")

    planned = await ask(http, "POST", f"{path}/plan", json={"input_data": {}})
    assert planned["waves"] == [["weekly-report"]]

    started = await ask(http, "POST", f"{path}/test", 202, json={"mode": "dry"})
    assert started["status"] == "pending"
    await house.runs.wait_for(actor, started["execution_id"])
    report = await ask(http, "GET", f"{path}/tests/{started['test_id']}")
    assert (report["verdict"], report["text"]) == ("passed", "# Weekly")
    assert (await ask(http, "GET", f"{path}/tests?mode=dry"))["tests"] == [report]
    assert (await ask(http, "GET", f"{path}/tests?mode=preview"))["total"] == 0

    body = {"test_id": report["test_id"], "manifest_hash": report["manifest_hash"], "expected_version": 1}
    switched = await ask(http, "POST", f"{path}/activate", json=body)
    assert (switched["status"], switched["next_fire_at"]) == ("active", "2026-11-23T07:30:00Z")
    found = await ask(http, "GET", f"{path}/schedule?count=2")
    assert found == {
        "cron": "30 8 * * MON",
        "timezone": "Europe/Berlin",
        "words": "At 08:30 on Monday",
        "next": ["2026-11-23T08:30:00+01:00", "2026-11-30T08:30:00+01:00"],
    }
    versions = await ask(http, "GET", f"{path}/versions")
    assert [version["version"] for version in versions["versions"]] == [1]

    run = await ask(http, "POST", f"{path}/run", 202, json={"input_data": {"timeframe": "7 days"}})
    assert run["status"] == "pending"
    await house.runs.wait_for(actor, run["execution_id"])
    execution = await ask(http, "GET", f"/executions/{run['execution_id']}")
    assert (execution["status"], execution["result"]["text"]) == ("completed", "# Weekly")
    listed = await ask(http, "GET", f"{path}/executions?mode=live")
    assert (listed["executions"], listed["total"]) == ([execution], 1)
    assert (await ask(http, "GET", "/executions?mode=live"))["executions"] == [execution]

    file = await http.get(f"/executions/{run['execution_id']}/artifacts/{sha}")
    assert (file.content, file.headers["content-type"]) == (b"# Weekly", "text/markdown; charset=utf-8")
    assert file.headers["content-disposition"] == "attachment; filename*=UTF-8''weekly%20%E2%9C%93.md"

    await house.settle(run["execution_id"])
    (item,) = (await ask(http, "GET", "/inbox?unread=true"))["items"]
    assert (item["text"], item["execution_id"]) == ("# Weekly", run["execution_id"])
    assert (await ask(http, "POST", f"/inbox/{item['id']}/read"))["read_at"]
    assert (await ask(http, "GET", "/inbox?unread=true"))["total"] == 0

    assert (await ask(http, "POST", f"{path}/pause", json={"reason": "holidays"}))["status"] == "paused"
    assert (await ask(http, "POST", f"{path}/activate"))["status"] == "active"
    assert (await ask(http, "DELETE", path))["success"]
    assert (await ask(http, "GET", "/agents"))["agents"] == []
    assert (await ask(http, "GET", "/agents?status=archived"))["total"] == 1


async def test_skill_files_come_with_the_agent(http: httpx.AsyncClient, house: House) -> None:
    body = {"name": "A", "skills": references("own"), "skill_files": {"own": {"SKILL.md": "---\n---\n"}}}
    made = await ask(http, "POST", "/agents", 201, json=body)
    assert ("default", made["id"], "own") in house.skills.hashes
    refused = await ask(http, "POST", "/agents", 422, json={**body, "skill_files": {"own": "text"}})
    assert refused["details"]["fields"][0]["field"] == "skill_files"


async def test_every_mistake_is_answered_at_once(http: httpx.AsyncClient) -> None:
    body = {**AGENT, "timezone": "Mars", "colour": "red", "trigger_type": "scheduled"}
    found = await ask(http, "POST", "/agents/validate", json=body)
    assert not found["valid"]
    assert {problem["field"] for problem in found["problems"]} == {"timezone", "colour", "schedule"}
    refused = await ask(http, "POST", "/agents", 422, json=body)
    assert refused["error"] == "invalid"
    assert refused["details"]["fields"] == found["problems"]
    assert (await ask(http, "POST", "/agents/validate", json=AGENT)) == {"valid": True, "problems": []}


async def test_changing_some_fields_and_replacing_all(http: httpx.AsyncClient) -> None:
    made = await ask(
        http, "POST", "/agents", 201, json={**AGENT, "description": "old", "timezone": "Asia/Tokyo"}
    )
    path = f"/agents/{made['id']}"
    changed = await ask(
        http, "PATCH", path, json={"name": "New", "expected_version": 1, "summary": "renamed"}
    )
    assert (changed["name"], changed["description"], changed["timezone"]) == ("New", "old", "Asia/Tokyo")
    replaced = await ask(http, "PUT", path, json={**AGENT, "id": made["id"]})
    assert (replaced["name"], replaced["description"], replaced["timezone"]) == (AGENT["name"], "", "UTC")
    conflict = await ask(http, "PATCH", path, 409, json={"name": "X", "expected_version": 9})
    assert (conflict["error"], conflict["details"]["version"]) == ("version_conflict", 1)
    refused = await ask(
        http, "PATCH", path, 422, json={"id": "other", "expected_version": "one", "summary": 1}
    )
    assert {field["field"] for field in refused["details"]["fields"]} == {"id", "expected_version", "summary"}


async def test_a_summary_becomes_the_versions_line(http: httpx.AsyncClient) -> None:
    agent_id = await active(http)
    await ask(http, "PATCH", f"/agents/{agent_id}", json={"misfire_policy": "all", "summary": "Catch up"})
    report = await ask(http, "POST", f"/agents/{agent_id}/test", headers={"Prefer": "respond-async, wait=30"})
    body = {"test_id": report["test_id"], "manifest_hash": report["manifest_hash"]}
    await ask(http, "POST", f"/agents/{agent_id}/activate", json=body)
    versions = (await ask(http, "GET", f"/agents/{agent_id}/versions"))["versions"]
    assert versions[0]["summary"] == "Catch up"


async def test_activation_refusals_have_codes(http: httpx.AsyncClient) -> None:
    made = await ask(http, "POST", "/agents", 201, json=AGENT)
    path = f"/agents/{made['id']}"
    assert (await ask(http, "POST", f"{path}/activate", 422, json={}))["error"] == "not_tested"
    report = await ask(http, "POST", f"{path}/test", headers={"Prefer": "wait=60"})
    body = {"test_id": report["test_id"], "manifest_hash": "no"}
    assert (await ask(http, "POST", f"{path}/activate", 422, json=body))["error"] == "manifest_not_approved"
    assert (await ask(http, "POST", f"{path}/run", 409, json={}))["error"] == "not_active"


async def test_a_test_that_takes_longer_than_wanted_is_answered_as_started(
    http: httpx.AsyncClient, house: House
) -> None:
    go = asyncio.Event()

    async def slow(call: StepCall) -> StepResult:
        await go.wait()
        return StepResult(output={"report": "r"})

    house.script["weekly-report"] = slow
    made = await ask(http, "POST", "/agents", 201, json=AGENT)
    path = f"/agents/{made['id']}"
    started = await ask(http, "POST", f"{path}/test", 202, headers={"Prefer": "wait=0"})
    under_way = await ask(http, "GET", f"{path}/tests/{started['test_id']}", 409)
    assert under_way["error"] == "test_under_way"
    assert under_way["details"]["execution_id"] == started["execution_id"]
    go.set()


async def test_the_same_idempotency_key_of_one_caller_is_one_run(http: httpx.AsyncClient) -> None:
    agent_id = await active(http)
    path = f"/agents/{agent_id}/run"
    ids = [
        (await ask(http, "POST", path, 202, json={}, headers={"Idempotency-Key": key}))["execution_id"]
        for key in ("a", "a", "b", "k" * 255)
    ]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3


def parsed(stream: str) -> list[dict[str, str]]:
    events = [block for block in stream.split("\n\n") if "data:" in block]
    return [dict(line.split(": ", 1) for line in block.splitlines()) for block in events]


async def test_events_are_streamed_on_request_and_listed_otherwise(
    http: httpx.AsyncClient, house: House, actor: Actor
) -> None:
    agent_id = await active(http)
    run = await ask(http, "POST", f"/agents/{agent_id}/run", 202)
    path = f"/executions/{run['execution_id']}/events"
    answer = await http.get(path, headers=EVENT_STREAM)
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = parsed(answer.text)
    assert [event["event"] for event in events] == [
        "execution_started",
        "skill_started",
        "skill_completed",
        "execution_finished",
    ]
    bodies = [json.loads(event["data"]) for event in events]
    assert [str(body["seq"]) for body in bodies] == [event["id"] for event in events]
    assert bodies[-1]["data"]["status"] == "completed"
    assert (await ask(http, "GET", path))["events"] == bodies
    after = bodies[1]["seq"]
    assert (await ask(http, "GET", f"{path}?after={after}"))["events"] == bodies[2:]
    rest = await http.get(path, headers={**EVENT_STREAM, "Last-Event-ID": str(after)})
    assert parsed(rest.text) == events[2:]
    garbage = await http.get(path, headers={**EVENT_STREAM, "Last-Event-ID": "what?"})
    assert parsed(garbage.text) == events


async def test_permissions_are_asked_for(http: httpx.AsyncClient, house: House) -> None:
    agent_id = await active(http)
    vera = {"X-Who": "vera"}
    await house.tenants.create_user("default", "Vera", Role.VIEWER, user_id="vera")
    await ask(http, "GET", f"/agents/{agent_id}", 404, headers=vera)
    await ask(http, "POST", f"/agents/{agent_id}/share", json={"with": ["Vera"]})
    assert (await ask(http, "GET", f"/agents/{agent_id}", headers=vera))["id"] == agent_id
    for method, path in (
        ("POST", "/agents"),
        ("PATCH", f"/agents/{agent_id}"),
        ("DELETE", f"/agents/{agent_id}"),
        ("POST", f"/agents/{agent_id}/test"),
        ("POST", f"/agents/{agent_id}/activate"),
        ("POST", f"/agents/{agent_id}/pause"),
        ("POST", f"/agents/{agent_id}/run"),
    ):
        body = AGENT if path == "/agents" else {}
        assert (await ask(http, method, path, 403, json=body, headers=vera))["error"] == "forbidden"


async def test_everything_of_another_tenant_is_unknown(
    http: httpx.AsyncClient, app: FastAPI, house: House, actor: Actor
) -> None:
    sha = await house.engine.artifacts.put("default", b"x")
    house.script["weekly-report"] = saying(
        StepResult(output={"report": "r"}, artifacts=({"sha256": sha, "path": "r.md"},))
    )
    agent_id = await active(http)
    test_id = (await ask(http, "GET", f"/agents/{agent_id}/tests"))["tests"][0]["test_id"]
    run = (await ask(http, "POST", f"/agents/{agent_id}/run", 202))["execution_id"]
    await house.runs.wait_for(actor, run)
    await house.settle(run)
    item = (await ask(http, "GET", "/inbox"))["items"][0]["id"]
    ids = {"agent_id": agent_id, "test_id": test_id, "execution_id": run, "item_id": item, "sha256": sha}
    real = {**ids, "name": "no-drafts", "version": "1", "other": "1"}
    bodies = {
        "/agents/{agent_id}/cases/{name}": {"expected": {}},
        "/agents/{agent_id}/rollback": {"version": 1},
        "/agents/{agent_id}/share": {"with": "tenant"},
    }
    unknown = {**dict.fromkeys(real, "0" * 64), "version": "1", "other": "1"}
    operations = [
        (method.upper(), path)
        for path, methods in app.openapi()["paths"].items()
        for method in methods
        if "{" in path
    ]
    assert len(operations) == 29
    for method, path in operations:
        address = path.removeprefix("/api/v1")
        body = bodies.get(address, AGENT if method in ("PUT", "PATCH") else None)
        foreign = await ask(
            http, method, address.format(**real), 404, json=body, headers={"X-Who": "stranger"}
        )
        missing = await ask(http, method, address.format(**unknown), 404, json=body)
        assert foreign["error"] == missing["error"] == "not_found"
        assert foreign["message"] == missing["message"]
    for ids in (real, unknown):
        headers = {"X-Who": "stranger", **EVENT_STREAM}
        await ask(http, "GET", f"/executions/{ids['execution_id']}/events", 404, headers=headers)
    for path in ("/agents", "/executions", "/inbox"):
        assert (await ask(http, "GET", path, headers={"X-Who": "stranger"}))["total"] == 0


async def test_a_test_is_found_under_its_own_agent_only(http: httpx.AsyncClient) -> None:
    one, two = await active(http), await active(http)
    test_id = (await ask(http, "GET", f"/agents/{one}/tests"))["tests"][0]["test_id"]
    await ask(http, "GET", f"/agents/{two}/tests/{test_id}", 404)


async def test_what_is_out_of_range_is_refused(http: httpx.AsyncClient) -> None:
    made = await ask(http, "POST", "/agents", 201, json=AGENT)
    body: dict[str, Any] = {"mode": "live", "input_data": []}
    for path in (
        "/agents?limit=0",
        "/agents?status=asleep",
        "/agents?colour=red",
        "/executions?mode=fast",
        "/agents/{id}/schedule?count=0",
        "/agents/{id}/tests?mode=quick",
    ):
        await ask(http, "GET", path.format(id=made["id"]), 422)
    for path in ("/agents/{id}/test", "/agents/{id}/run", "/agents", "/agents/validate"):
        await ask(http, "POST", path.format(id=made["id"]), 422, json=[body])
    for path in ("/agents/{id}/test", "/agents/{id}/run", "/agents"):
        await ask(http, "POST", path.format(id=made["id"]), 422, json=body)


async def test_a_cancelled_execution_says_so(http: httpx.AsyncClient, house: House) -> None:
    agent_id = await active(http)
    begun = asyncio.Event()

    async def hang(call: StepCall) -> StepResult:
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError

    house.script["weekly-report"] = hang
    run = (await ask(http, "POST", f"/agents/{agent_id}/run", 202))["execution_id"]
    await begun.wait()
    assert (await ask(http, "POST", f"/executions/{run}/cancel", 202))["status"] == "cancelled"
