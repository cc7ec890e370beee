"""The HTTP side: wire shapes, the page a service leads back to, and its cookie."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from omniforge.core.errors import OmniForgeError
from omniforge.integrations import load_catalog
from omniforge.integrations.endpoints import pages, router
from omniforge.tenants.endpoints import current_actor, known_source

BROWSER = {"sec-fetch-site": "same-origin", "sec-fetch-mode": "cors"}


async def refuse(_: Request, error: OmniForgeError) -> JSONResponse:
    body = {"error": error.code, "message": error.message, "details": error.details}
    return JSONResponse(body, error.status)


@pytest.fixture
async def http(service, actor) -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI(exception_handlers={OmniForgeError: refuse})
    app.include_router(router)
    app.include_router(pages)
    app.state.integrations = service
    app.dependency_overrides[current_actor] = lambda: actor
    app.dependency_overrides[known_source] = lambda: None
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8700") as client:
        yield client


class _Started:
    def __init__(self, body: dict) -> None:
        self.auth_url = body["auth_url"]


async def start(http: httpx.AsyncClient, consent, decision: str = "allow", headers=None, **extra) -> dict:
    begun = await http.post("/api/v1/oauth/init", json={"integration": "notion", **extra}, headers=headers)
    assert begun.status_code == 201, begun.text
    assert set(begun.json()) == {"auth_url", "state", "expires_at"}
    return await consent(_Started(begun.json()), decision)


async def test_the_catalogue_is_listed(http):
    listed = (await http.get("/api/v1/integrations")).json()
    assert (listed["total"], listed["limit"], listed["offset"]) == (len(load_catalog()), 50, 0)
    notion = (await http.get("/api/v1/integrations/notion")).json()
    assert notion in listed["integrations"]
    assert {"id", "title", "description", "configured", "connected", "events", "tools"} <= set(notion)
    assert notion["connected"] is False
    assert (await http.get("/api/v1/integrations/nothing")).status_code == 404


async def test_a_client_without_a_browser_finishes_by_itself(http, consent):
    answer = await start(http, consent)
    assert "omniforge_signin" not in str(http.cookies)
    body = {"integration": "notion", "code": answer["code"], "state": answer["state"]}
    done = await http.post("/api/v1/oauth/callback", json=body)
    assert done.status_code == 200
    assert set(done.json()) == {"credential_id", "workspace_name"}

    listed = (await http.get("/api/v1/connections", params={"integration": "notion"})).json()
    assert [c["id"] for c in listed["connections"]] == [done.json()["credential_id"]]
    assert (await http.get("/api/v1/connections", params={"integration": "slack"})).json()["total"] == 0
    connection = f"/api/v1/connections/{done.json()['credential_id']}"
    assert (await http.get(connection)).json()["status"] == "healthy"
    assert (await http.post(f"{connection}/check")).json()["status"] == "healthy"
    found = (await http.get(f"{connection}/resources", params={"search": "internal"})).json()
    assert [(r["name"], r["items"], r["kind"]) for r in found["resources"]] == [
        ("Internal Initiatives", 8, "database")
    ]
    described = await http.get(f"{connection}/resources/{found['resources'][0]['id']}")
    assert described.json()["fields"][0] == {"name": "Project", "type": "title"}
    assert (await http.delete(connection)).json() == {"success": True, "affected_agents": []}
    assert (await http.get(connection)).json()["status"] == "revoked"


async def test_the_page_says_connected_and_no_answer_holds_a_token(http, consent, notion):
    answer = await start(http, consent)
    page = await http.get("/oauth/callback/notion", params=answer)
    assert page.status_code == 200
    assert "Connected to Acme Operations. You can go back to the conversation." in page.text
    assert page.headers["cache-control"] == "no-store"
    again = await http.get("/oauth/callback/notion", params=answer)
    assert "Connected to Acme Operations" in again.text
    shown = page.text + (await http.get("/api/v1/connections")).text
    for token in [*notion.state.access, *notion.state.refresh]:
        assert token not in shown


async def test_the_page_returns_to_the_conversation(http, consent):
    answer = await start(http, consent, return_to="/chat/ses_1")
    page = await http.get("/oauth/callback/notion", params=answer)
    assert page.status_code == 303
    assert page.headers["location"] == "/chat/ses_1?connected=notion"


async def test_a_sign_in_started_in_a_browser_is_finished_in_that_browser(http, consent):
    answer = await start(http, consent, headers=BROWSER)
    cookie = dict(http.cookies)
    http.cookies.clear()
    stranger = await http.get("/oauth/callback/notion", params=answer)
    assert stranger.status_code == 422
    assert "Let&#x27;s start again" in stranger.text
    http.cookies.update(cookie)
    assert (await http.get("/oauth/callback/notion", params=answer)).status_code == 200


async def test_the_cookie_is_for_this_server_and_not_for_scripts(http):
    begun = await http.post("/api/v1/oauth/init", json={"integration": "notion"}, headers=BROWSER)
    cookie = begun.headers["set-cookie"]
    assert cookie.startswith("omniforge_signin_8700=")
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie


async def test_no_binding_where_the_browser_is_on_another_host_name(http, consent):
    http.base_url = "http://localhost:8700"
    answer = await start(http, consent, headers=BROWSER)
    http.base_url = "http://127.0.0.1:8700"
    assert (await http.get("/oauth/callback/notion", params=answer)).status_code == 200


async def test_a_decline_is_shown_calmly(http, consent):
    answer = await start(http, consent, "cancel", return_to="/chat/ses_1")
    page = await http.get("/oauth/callback/notion", params=answer)
    assert page.status_code == 200
    assert "You chose not to allow access" in page.text
    assert 'href="/chat/ses_1"' in page.text
    body = {"integration": "notion", "code": "x", "state": answer["state"]}
    declined = await http.post("/api/v1/oauth/callback", json=body)
    assert (declined.status_code, declined.json()["error"]) == (409, "connection_declined")


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"code": "x"},
        {"state": "x"},
        {"state": "x", "code": "y"},
        {"state": "x", "error": "<script>alert(1)</script>"},
        {"state": "x" * 3000, "code": "y"},
        {"state": "\x00", "code": "\ud7ff"},
    ],
)
async def test_a_wrong_link_back_gets_one_and_the_same_page(http, query):
    page = await http.get("/oauth/callback/notion", params=query)
    assert page.status_code == 422
    assert "The sign-in link has expired" in page.text
    assert "<script>" not in page.text
    assert (await http.get("/oauth/callback/nothing", params=query)).text == page.text


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"integration": "notion"},
        {"integration": "notion", "code": "", "state": "x"},
        {"integration": "notion", "code": "x", "state": "\ud800"},
        [],
        {"x": 1},
    ],
)
async def test_a_malformed_finish_is_422(http, body):
    answer = await http.post("/api/v1/oauth/callback", content=json.dumps(body))
    assert answer.status_code == 422


async def test_a_key_is_taken_and_never_shown(http, notion):
    key = notion.state.new_key()
    made = await http.post("/api/v1/connections", json={"integration": "notion", "key": key})
    assert made.status_code == 201
    assert made.json()["kind"] == "key"
    assert key not in made.text
    refused = await http.post("/api/v1/connections", json={"integration": "notion", "key": "bad\nkey"})
    assert (refused.status_code, refused.json()["error"]) == (422, "key_refused")
