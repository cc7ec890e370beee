"""Whatever comes in, an error is `{error, message, details}`, says what is wrong, and shows no insides."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

JSON = {"Content-Type": "application/json"}


def checked(answer: httpx.Response) -> dict[str, Any]:
    body = answer.json()
    assert set(body) == {"error", "message", "details"}, body
    assert isinstance(body["details"], dict)
    assert body["error"]
    assert body["message"]
    assert "Traceback" not in answer.text
    assert 'File "' not in answer.text
    return body


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("GET", "/api/v1/nowhere", 404, "not_found"),
        ("DELETE", "/api/v1/me", 405, "method_not_allowed"),
        ("GET", "/api/v1/agents/nobody", 404, "not_found"),
        ("GET", "/api/v1/agents/..%2f..%2fetc", 404, "not_found"),
        ("GET", "/api/v1/executions/run_nothing", 404, "not_found"),
        ("GET", "/api/v1/executions/run_nothing/events", 404, "not_found"),
        ("GET", "/api/v1/runs/run_nothing/events", 404, "not_found"),
        ("GET", "/api/v1/conversation/con_nothing", 404, "not_found"),
        ("GET", "/api/v1/agents?limit=0", 422, "invalid"),
        ("GET", "/api/v1/agents?limit=201", 422, "invalid"),
        ("GET", "/api/v1/runs?offset=-1", 422, "invalid"),
        ("GET", "/api/v1/inbox?limit=abc", 422, "invalid"),
    ],
)
async def test_unknown_addresses_ids_and_windows(
    application: Any, method: str, path: str, status: int, code: str
) -> None:
    answer = await application.local.request(method, path)
    assert (answer.status_code, checked(answer)["error"]) == (status, code)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"text"',
        b"\xff\xfe",
        b'{"message": 3}',
        b'{"unknown": 1}',
        b"{" * 2000,
        b"[" * 100_000,
    ],
)
async def test_bodies_that_make_no_sense(application: Any, body: bytes) -> None:
    started = (await application.local.post("/api/v1/conversation/start", json={})).json()
    path = f"/api/v1/conversation/{started['session_id']}/message"
    answer = await application.local.post(path, content=body, headers=JSON)
    assert answer.status_code in (400, 422)
    checked(answer)
    kept = (await application.local.get(f"/api/v1/conversation/{started['session_id']}")).json()
    assert len(kept["messages"]) == 1


async def test_a_body_that_is_too_large_is_refused_whether_or_not_it_says_its_size(application: Any) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b" " * 65_536

    sized = json.dumps({"message": "x" * 2_000_000}).encode()
    for content in (sized, endless()):
        answer = await application.local.post("/api/v1/conversation/start", content=content, headers=JSON)
        assert (answer.status_code, checked(answer)["error"]) == (413, "payload_too_large")


async def test_a_message_longer_than_can_be_read_loses_nothing(application: Any) -> None:
    started = (await application.local.post("/api/v1/conversation/start", json={})).json()
    path = f"/api/v1/conversation/{started['session_id']}/message"
    reply = (await application.local.post(path, json={"message": "a report " * 2000})).json()
    assert "shorter" in reply["text"]


async def test_an_unknown_time_zone_is_named(application: Any) -> None:
    answer = await application.local.post("/api/v1/conversation/start", json={"timezone": "Mars/Olympus"})
    assert answer.status_code == 422
    assert checked(answer)["details"]["fields"][0]["field"] == "timezone"


async def test_a_repeated_client_message_id_gets_the_stored_reply(application: Any) -> None:
    started = (await application.local.post("/api/v1/conversation/start", json={})).json()
    path = f"/api/v1/conversation/{started['session_id']}/message"
    said = {"message": "a weekly report from Notion", "client_message_id": "m1"}
    first = await application.local.post(path, json=said)
    again = await application.local.post(path, json=said)
    assert first.json() == again.json()
    kept = (await application.local.get(f"/api/v1/conversation/{started['session_id']}")).json()
    assert len(kept["messages"]) == 3


async def test_every_answer_forbids_guessing_its_type(application: Any) -> None:
    answer = await application.local.get("/health")
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_the_login_link_leads_to_a_page_that_says_what_to_do_next(application: Any) -> None:
    link = await application.house.tenants.create_login_link()
    browser = application.client(
        {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate", "User-Agent": "Mozilla/5.0"}
    )
    assert (await browser.get("/")).status_code == 401
    landed = await browser.get(link, follow_redirects=True)
    assert (landed.status_code, landed.url.path) == (200, "/")
    assert "omniforge chat" in landed.text
    assert (await browser.get(link)).status_code == 401
    assert (await browser.get("/")).status_code == 200
