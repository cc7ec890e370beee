"""The local server keeps Notion's rules: versions, errors, sign-in, pace, and data that fits any weekday."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, timezone

import httpx
import pytest

from omniforge.integrations.catalog.notion.standin import CLIENT_ID, CLIENT_SECRET, StandinState, create_app
from omniforge.integrations.catalog.notion.standin.data import acme_workspace
from omniforge.integrations.catalog.notion.standin.signin import SERVICE
from omniforge.integrations.standin import FaultKind, new_code

HEADERS = {"Notion-Version": "2026-03-11"}
CLIENT = (CLIENT_ID, CLIENT_SECRET)


class Hand:
    def __init__(self) -> None:
        self.moment = datetime(2026, 11, 18, 15, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.moment


@pytest.fixture
def hand() -> Hand:
    return Hand()


@pytest.fixture
def state(hand: Hand) -> StandinState:
    return StandinState(now=hand, rate_per_second=None)


@pytest.fixture
async def http(state: StandinState) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_app(state))
    headers = {**HEADERS, "Authorization": f"Bearer {state.new_key()}"}
    async with httpx.AsyncClient(
        transport=transport, base_url="http://notion.test", headers=headers
    ) as client:
        yield client


def is_error(answer: httpx.Response, status: int, code: str) -> bool:
    body = answer.json()
    shape = {"object", "status", "code", "message", "request_id"} == set(body)
    return shape and (answer.status_code, body["status"], body["code"]) == (status, status, code)


@pytest.mark.parametrize("days", range(7))
@pytest.mark.parametrize("hours", [-11, 0, 13])
def test_on_every_weekday_and_in_every_zone_last_week_has_enough_edits(days: int, hours: int):
    now = datetime(2026, 11, 16, 0, 20, tzinfo=UTC) + timedelta(days=days)
    workspace = acme_workspace(lambda: now)
    local = now.astimezone(timezone(timedelta(hours=hours)))
    today = local.replace(hour=0, minute=0, second=0, microsecond=0)
    monday = today - timedelta(days=today.weekday())
    edits = {
        table.name: [r for r in workspace.rows_of(table) if monday - timedelta(weeks=1) <= r.edited < monday]
        for table in workspace.tables
    }
    assert len(edits["Client Projects"]) >= 12
    assert len(edits["Internal Initiatives"]) >= 3
    assert any(row.values["Status"] == "At Risk" for row in edits["Client Projects"])
    assert any(row.values["Blockers"] for row in edits["Client Projects"])
    assert len({row.values["Client"] for row in edits["Client Projects"]}) >= 5
    assert all(row.edited <= now and row.created <= row.edited for row in workspace.rows.values())
    assert [len(workspace.rows_of(table)) for table in workspace.tables] == [42, 8, 156]


def test_the_data_are_the_same_at_every_start():
    def now() -> datetime:
        return datetime(2026, 11, 18, tzinfo=UTC)

    assert acme_workspace(now).rows == acme_workspace(now).rows


async def test_errors_have_notions_shape(http, state):
    table = state.workspace.tables[0]
    good = f"/v1/data_sources/{table.source_id}/query"
    unknown = "00000000-0000-4000-8000-000000000000"
    assert is_error(
        await http.get("/v1/users/me", headers={"Authorization": "Bearer no"}), 401, "unauthorized"
    )
    assert is_error(
        await http.get("/v1/users/me", headers={"Notion-Version": "1999-01-01"}), 400, "validation_error"
    )
    assert is_error(await http.get(f"/v1/databases/{unknown}"), 404, "object_not_found")
    assert is_error(await http.get("/v1/databases/x"), 400, "validation_error")
    assert is_error(await http.get(f"/v1/databases/{table.source_id}"), 404, "object_not_found")
    assert is_error(await http.get("/v1/nothing"), 400, "invalid_request_url")
    assert is_error(await http.post(good, content="{"), 400, "invalid_json")
    for body in (
        {"page_size": 101},
        {"start_cursor": "x"},
        {"filter": {"property": "Nothing", "select": {"equals": "x"}}},
        {"filter": {"property": "Status", "select": {"equals": "x"}}},
        {"filter": {"property": "Status", "status": {"contains": "x"}}},
        {"filter": {"timestamp": "last_edited_time", "last_edited_time": {"after": "soon"}}},
        {"sorts": [{"property": "Nothing"}]},
    ):
        assert is_error(await http.post(good, json=body), 400, "validation_error"), body
    bare = httpx.Request(
        "GET", "http://notion.test/v1/users/me", headers={"Authorization": http.headers["authorization"]}
    )
    assert is_error(await http.send(bare), 400, "missing_version")


async def test_filters_nest_and_paging_is_complete(http, state):
    path = f"/v1/data_sources/{state.workspace.tables[2].source_id}/query"
    question = {
        "filter": {
            "or": [
                {"property": "Status", "status": {"equals": "Cancelled"}},
                {"and": [{"property": "Tags", "multi_select": {"contains": "data"}}]},
            ]
        },
        "sorts": [{"property": "Project", "direction": "ascending"}],
        "page_size": 7,
    }
    ids: list[str] = []
    cursor = None
    while True:
        answer = (await http.post(path, json=question | ({"start_cursor": cursor} if cursor else {}))).json()
        ids += [page["id"] for page in answer["results"]]
        cursor = answer["next_cursor"]
        if not answer["has_more"]:
            break
    rows = [state.workspace.rows[row_id] for row_id in ids]
    expected = [
        row
        for row in state.workspace.rows_of(state.workspace.tables[2])
        if row.values["Status"] == "Cancelled" or "data" in row.values["Tags"]
    ]
    assert len(ids) == len(set(ids)) == len(expected)
    assert [r.values["Project"] for r in rows] == sorted(
        (r.values["Project"] for r in expected), key=str.casefold
    )


async def test_codes_and_refresh_tokens_work_once(http, state):
    redirect = "http://127.0.0.1:8700/oauth/callback/notion"
    code = new_code(SERVICE, state, redirect)
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect}

    async def token(body: dict[str, str], auth: tuple[str, str] = CLIENT) -> httpx.Response:
        return await http.post("/v1/oauth/token", json=body, auth=auth)

    assert (await token(form, ("x", "y"))).status_code == 401
    assert (await token({**form, "redirect_uri": redirect + "x"})).json()["error"] == "invalid_grant"
    pair = (await token(form)).json()
    assert pair["workspace_name"] == "Acme Operations"
    assert "expires_in" not in pair
    refresh = {"grant_type": "refresh_token", "refresh_token": pair["refresh_token"]}
    following = (await token(refresh)).json()
    assert following["refresh_token"] != pair["refresh_token"]
    old = await http.get("/v1/users/me", headers={"Authorization": f"Bearer {pair['access_token']}"})
    assert old.status_code == 401
    assert (await token(refresh)).json()["error"] == "invalid_grant"
    assert following["access_token"] not in state.access  # reuse ended the whole authorization
    assert (await token({"grant_type": "password"})).json()["error"] == "invalid_request"


async def test_the_consent_page_shows_what_is_asked_and_refuses_strange_addresses(http):
    asked = {"client_id": CLIENT_ID, "response_type": "code", "state": '"><script>'}
    page = await http.get("/v1/oauth/authorize", params={**asked, "redirect_uri": "http://127.0.0.1/x"})
    assert "Client Projects" in page.text
    assert "Cancel" in page.text
    assert "<script>" not in page.text
    for address in (
        "https://evil.example/x",
        "http://127.0.0.1.evil.example/",
        "javascript:alert(1)",
        "http://[",
    ):
        page = await http.get("/v1/oauth/authorize", params={**asked, "redirect_uri": address})
        assert page.status_code == 400
        assert (
            await http.post("/v1/oauth/authorize", data={**asked, "redirect_uri": address})
        ).status_code == 400


async def test_bursts_pass_and_the_average_is_held(http, state, hand):
    state.rate_per_second, state.burst = 3.0, 5
    statuses = [(await http.get("/v1/users/me")).status_code for _ in range(7)]
    assert statuses == [200] * 5 + [429] * 2
    hand.moment += timedelta(seconds=1)
    statuses = [(await http.get("/v1/users/me")).status_code for _ in range(4)]
    assert statuses == [200] * 3 + [429]
    assert (await http.get("/v1/users/me")).headers["retry-after"] == "1"


async def test_faults_are_switched_on_from_outside_and_requests_are_told(http):
    switched = await http.post("/_control", json={"faults": [{"kind": "server_error", "times": 1}]})
    assert switched.json()["faults"][0]["kind"] == FaultKind.SERVER_ERROR
    assert (await http.get("/v1/users/me")).status_code == 500
    assert (await http.get("/v1/users/me")).status_code == 200
    told = (await http.get("/_control/requests")).json()["requests"]
    assert [(entry["path"], entry["status"]) for entry in told] == [
        ("/v1/users/me", 500),
        ("/v1/users/me", 200),
    ]
    for bad in ({"faults": [{"kind": "x"}]}, {"faults": [{}]}, {"faults": [{"kind": "slow", "times": "y"}]}):
        assert (await http.post("/_control", json=bad)).status_code == 422
    await http.post("/_control", json={"reset": True, "tokens": "revoke"})
    assert (await http.get("/v1/users/me")).status_code == 401


async def test_writes_keep_notions_limits(http, state):
    parent = {"data_source_id": state.workspace.tables[0].source_id}
    title = {"Project": {"title": [{"text": {"content": "x"}}]}}
    for body in (
        {"parent": {"database_id": "x"}, "properties": title},
        {"parent": parent, "properties": {"Project": {"title": [{"text": {"content": "x" * 2001}}]}}},
        {"parent": parent, "properties": {"Status": {"status": {"name": "Unheard of"}}}},
        {"parent": parent, "properties": {"Owner": {"people": [{"id": "nobody"}]}}},
        {"parent": parent, "properties": title, "children": [{"type": "divider", "divider": {}}] * 101},
        {"parent": parent, "properties": title, "children": [{"type": "paragraph"}]},
        {"parent": parent, "properties": {"Nothing": {"title": []}}},
    ):
        assert is_error(await http.post("/v1/pages", json=body), 400, "validation_error"), body
    made = await http.post("/v1/pages", json={"parent": parent, "properties": title})
    assert made.json()["created_by"]["id"] == state.workspace.bot_id
    page = f"/v1/pages/{made.json()['id']}"
    assert (await http.patch(page, json={"in_trash": True})).json()["in_trash"] is True
    assert is_error(await http.patch(page, json={"archived": True}), 400, "validation_error")
