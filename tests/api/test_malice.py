"""What is read but cannot be kept, or would take for ever, is refused and leaves nothing behind."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from omniforge.api.app import Intake
from omniforge.core.paging import LARGEST
from omniforge.core.plainjson import MAX_DEPTH

JSON = {"Content-Type": "application/json"}
REFERENCE = {"name": "hello", "order": 1}
SKILL = "---\nname: hello\ndescription: Says hello.\n---\n\n# Hello\n\n1. Say hello.\n"


def checked(answer: httpx.Response, status: int = 422) -> dict[str, Any]:
    body = answer.json()
    assert answer.status_code == status, answer.text[:300]
    assert set(body) == {"error", "message", "details"}
    assert "Traceback" not in answer.text
    return body


async def post(application: Any, path: str, text: str | bytes) -> httpx.Response:
    return await application.local.post(f"/api/v1{path}", content=text, headers=JSON)


BODIES = [
    ("/conversation/start", '{"message": %s}', "message"),
    ("/conversation/start", '{"timezone": %s}', "timezone"),
    ("/agents", '{"name": %s, "skills": [{"name": "hello", "order": 1}]}', "name"),
    (
        "/agents",
        '{"name": "x", "skills": [{"name": "hello", "config": {"a": [%s]}}]}',
        "skills[0].config.a[0]",
    ),
    ("/agents", '{"name": "x", "skill_files": {"hello": {"SKILL.md": %s}}}', "skill_files.hello.SKILL.md"),
    ("/agents/validate", '{"description": %s}', "description"),
    ("/skills", '{"scope": "tenant", "content": %s}', "content"),
    ("/skills/validate", '{"content": %s}', "content"),
    ("/keys", '{"name": %s, "permissions": ["agent:view"]}', "name"),
    ("/connections", '{"integration": "notion", "key": %s}', "key"),
    ("/oauth/init", '{"integration": "notion", "return_to": %s}', "return_to"),
    ("/auth/refresh", '{"refresh": %s}', "refresh"),
]


@pytest.mark.parametrize("value", [r'"a\u0000b"', r'"a\ud800b"', r'"\udfff"', "NaN", "-Infinity", "1e400"])
async def test_what_cannot_be_kept_is_named_and_refused_in_every_field(application: Any, value: str) -> None:
    for path, body, field in BODIES:
        told = checked(await post(application, path, body % value))
        assert told["error"] == "invalid"
        if "I" not in value and "N" not in value:  # the two words are no JSON at all and have no place
            assert told["details"]["fields"][0]["field"] == field
    for path in ("agents", "conversation", "keys"):
        assert (await application.local.get(f"/api/v1/{path}")).json()["total"] == 0


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"name": "a", "name": "b"}', "given once"),
        (rb'{"a\ud800": 1}', "surrogate"),
        (b'{"message": "\xed\xa0\x80"}', "UTF-8"),
        ('{"message": "hello"}'.encode("utf-16"), "UTF-8"),
        (b'{"message": ' + b"9" * 5000 + b"}", "digits"),
        (b"[" * (MAX_DEPTH + 1) + b"1" + b"]" * (MAX_DEPTH + 1), "nested"),
        (b'{"a":' * 100_000, "nested"),
    ],
)
async def test_bodies_that_two_readers_would_read_differently(
    application: Any, body: bytes, said: str
) -> None:
    assert said in checked(await post(application, "/agents", body))["message"]


async def test_what_is_nested_as_deeply_as_allowed_can_be_told_again(application: Any) -> None:
    deep: Any = 1
    for _ in range(MAX_DEPTH - 5):  # the body, its skills, the reference and its inputs are levels too
        deep = [deep]
    reference: dict[str, Any] = {**REFERENCE, "inputs": {"a": deep}}
    made = await post(application, "/agents", json.dumps({"name": "Deep", "skills": [reference]}))
    assert made.status_code == 201, made.text
    told = (await application.local.get(f"/api/v1/agents/{made.json()['id']}")).json()
    assert told["skills"][0]["inputs"] == {"a": deep}
    reference["inputs"] = {"a": [[deep]]}
    refused = await post(application, "/agents", json.dumps({"name": "Deep", "skills": [reference]}))
    assert "nested" in checked(refused)["message"]


@pytest.mark.parametrize(
    "address", ["/agents/a%00b", "/agents?search=%00", "/skills/%00/export", "/runs/%00"]
)
async def test_addresses_with_nul(application: Any, address: str) -> None:
    checked(await application.local.get(f"/api/v1{address}"))


@pytest.mark.parametrize(
    "address", ["/agents/%ed%a0%80", "/agents/" + "x" * 5000, "/runs/%F0%9F%98%80", "/agents/%EF%BC%A8ello"]
)
async def test_addresses_of_nothing(application: Any, address: str) -> None:
    checked(await application.local.get(f"/api/v1{address}"), 404)


async def test_every_list_takes_the_largest_offset_and_refuses_a_larger_one(application: Any) -> None:
    schema = (await application.local.get("/openapi.json")).json()
    lists = [
        path
        for path, item in schema["paths"].items()
        if "{" not in path
        and not path.endswith("/github/repos")
        and any(p["name"] == "offset" for p in item.get("get", {}).get("parameters", ()))
    ]
    assert len(lists) >= 8
    for path in lists:
        assert (await application.local.get(path, params={"offset": LARGEST})).status_code == 200, path
        for offset in (LARGEST + 1, 10**30):
            checked(await application.local.get(path, params={"offset": offset}))


async def finished_run(application: Any) -> str:
    given = {"name": "Hello", "skills": [REFERENCE], "skill_files": {"hello": {"SKILL.md": SKILL}}}
    agent = (await application.local.post("/api/v1/agents", json=given)).json()
    started = await application.local.post(
        f"/api/v1/agents/{agent['id']}/test", json={}, headers={"Prefer": "wait=60"}
    )
    assert started.status_code == 200, started.text
    tests = (await application.local.get("/api/v1/runs")).json()
    return tests["runs"][0]["id"]


async def test_streams_begin_somewhere_whatever_the_browser_says_it_knows(application: Any) -> None:
    run_id = await finished_run(application)
    for path in (f"/api/v1/runs/{run_id}/events", f"/api/v1/executions/{run_id}/events"):
        for known in ("garbage", "-1", "1e9", "9" * 4000, b"\xff\xfe", "0x10"):
            headers = {"Last-Event-ID": known, "Accept": "text/event-stream"}
            answer = await application.local.get(path, headers=headers)
            assert answer.status_code == 200, (path, known)
            assert ("id: " in answer.text) == (known != "9" * 4000)
        checked(await application.local.get(path, params={"after": 10**30}))


@pytest.mark.parametrize("moment", ["9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59", "1e400", ""])
async def test_a_key_that_would_hold_beyond_the_calendar(application: Any, moment: str) -> None:
    given = {"name": "k", "permissions": ["agent:view"], "expires_at": moment}
    told = checked(await application.local.post("/api/v1/keys", json=given))
    assert "expires_at" in told["message"]


@pytest.mark.parametrize(
    "message",
    [
        "",
        "   \n\t",
        "\u202enoitoN morf troper",
        "\U0001f600" * 1000,
        "\u05e9\u05dc\u05d5\u05dd",
        "x" * 100_000,
        "\x01\x1b[31m\x7f",
        "every " + "9" * 4000 + " minutes",
        "${input.x} {{7*7}} <script>alert(1)</script> '; DROP TABLE agents;--",
    ],
)
async def test_a_conversation_goes_on_whatever_was_said(application: Any, message: str) -> None:
    started = (await application.local.post("/api/v1/conversation/start", json={})).json()
    path = f"/api/v1/conversation/{started['session_id']}"
    reply = await application.local.post(f"{path}/message", json={"message": message})
    assert reply.status_code == 200
    assert reply.json()["text"]
    assert (await application.local.get(path)).status_code == 200


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("timezone", "../../etc/passwd"),
        ("timezone", "/etc/passwd"),
        ("timezone", "Europe"),
        ("schedule", "0 0 31 2 *"),
        ("schedule", "*/0 * * * *"),
        ("schedule", "60 * * * *"),
        ("schedule", "0 0 * * MON#6"),
        ("schedule", "\u0663 * * * *"),
    ],
)
async def test_zones_that_are_files_and_schedules_that_never_come(
    application: Any, field: str, value: str
) -> None:
    given = {
        "name": "x",
        "trigger_type": "scheduled",
        "schedule": "0 8 * * *",
        "skills": [REFERENCE],
        field: value,
    }
    told = checked(await application.local.post("/api/v1/agents", json=given))
    assert [item["field"] for item in told["details"]["fields"]] == [field]


async def test_a_body_that_never_ends_is_given_up() -> None:
    async def unreachable(*_: Any) -> None:
        raise AssertionError("the application was called without a body")

    said: list[Any] = []
    parts = [{"type": "http.request", "body": b"{", "more_body": True}]

    async def receive() -> Any:
        if parts:
            return parts.pop()
        raise TimeoutError  # what the clock does to a wait

    async def send(message: Any) -> None:
        said.append(message)

    scope = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": []}
    await Intake(unreachable, limit=10)(scope, receive, send)
    assert said[0]["status"] == 408
    assert json.loads(said[1]["body"])["error"] == "too_slow"


@pytest.mark.parametrize("key", ["ntn_" + "x" * 5000, "ntn_with\ttab", ""])
async def test_a_pasted_key_is_never_told_back(application: Any, key: str) -> None:
    answer = await application.local.post("/api/v1/connections", json={"integration": "notion", "key": key})
    assert answer.status_code == 422
    assert "ntn_" not in answer.text
