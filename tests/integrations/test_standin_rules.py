"""Every rule a local server can keep: client authentication, PKCE, scopes, refresh, deliveries, pages."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from omniforge.integrations import standin
from omniforge.integrations.manifest import (
    ClientAuth,
    Encoding,
    Refresh,
    SignatureData,
    TimestampData,
    WebhookData,
)
from omniforge.integrations.standin import (
    Account,
    Call,
    Consent,
    FaultKind,
    Grant,
    Pkce,
    Refusal,
    Service,
    SignInRules,
    StandinState,
    part_after,
    sample_transport,
)
from omniforge.integrations.standin.deliveries import signature_of
from omniforge.integrations.standin.signin import challenge_of
from standin_server import RunningServer

REDIRECT = "http://127.0.0.1:8700/oauth/callback/notes"
RULES = SignInRules(
    client_id="id of notes",
    client_secret="secret:of notes",
    authorize="/authorize",
    token="/token",
    revoke="/revoke",
    client_auth=frozenset({ClientAuth.BODY_FORM}),
    refresh=Refresh.ROTATES,
    scopes=frozenset({"read", "write"}),
    separator=",",
    token_seconds=3600,
    access_prefix="acc_",
)
WEBHOOK = WebhookData(
    signature=SignatureData(
        header="X-Sig", prefix="v1,", encoding=Encoding.BASE64, signed="{id}.{timestamp}.{body}"
    ),
    timestamp=TimestampData(header="X-At", tolerance_seconds=300),
    replay_key="header:webhook-id",
)


@dataclass(slots=True, kw_only=True)
class Notes(StandinState):
    notes: dict[str, str] = field(default_factory=lambda: {"n1": "First"})


async def list_notes(call: Call[Notes]) -> Any:
    return [{"id": key, "text": text, "who": call.grant.person} for key, text in call.state.notes.items()]


async def add_note(call: Call[Notes]) -> Any:
    if "text" not in call.params:
        raise Refusal(422, "invalid", "text is missing")
    made = call.state.new_id()
    call.state.notes[made] = call.params["text"]
    call.happened("note.created", id=made)
    return {"id": made}


def service_with(**rules: Any) -> Service[Notes]:
    return Service[Notes](
        title="Notes",
        sign_in=replace(RULES, **rules),
        consent=lambda _: Consent(
            app="OmniForge",
            accounts=[Account("t1", "Acme", "u1"), Account("t2", "Labs", "u2")],
            asks=["Read <notes>"],
        ),
        refuse=lambda refusal: JSONResponse({"message": str(refusal)}, refusal.status, refusal.headers),
        words={kind: Refusal(500, kind.value, f"{kind.value}!") for kind in FaultKind},
        signed_out=Refusal(401, "unauthorized", "Bad credentials"),
        unreadable=Refusal(400, "bad", "Problems parsing JSON"),
        unknown=lambda request: Refusal(404, "unknown", request.url.path),
        webhook=WEBHOOK,
        delivery=lambda state, about: (
            {"type": about["event"], "text": state.notes[about["id"]]},
            {"X-Event": "note"},
        ),
    )


class Hand:
    def __init__(self) -> None:
        self.moment = datetime(2026, 11, 23, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.moment


class Stage:
    """A local server inside this process, and a client that signs in at it."""

    def __init__(self, **rules: Any) -> None:
        self.now = Hand()
        self.state = Notes(now=self.now, rate_per_second=None)
        self.service = service_with(**rules)
        app = standin.create_app(
            self.service, self.state, [("GET", "/notes", list_notes), ("POST", "/notes", add_note)]
        )
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://notes.test")

    async def sign_in(self, **asked: str) -> httpx.Response:
        query = {"client_id": RULES.client_id, "redirect_uri": REDIRECT, "state": "s", "scope": "read,write"}
        page = await self.http.get("/authorize", params={**query, **asked})
        if page.status_code != 200:
            return page
        return await self.http.post("/authorize", data={**query, "decision": "allow", **asked})

    async def code(self, **asked: str) -> str:
        back = await self.sign_in(**asked)
        return parse_qs(urlsplit(back.headers["location"]).query)["code"][0]

    async def token(self, **form: str) -> httpx.Response:
        client = {"client_id": RULES.client_id, "client_secret": RULES.client_secret}
        return await self.http.post("/token", data={**client, **form})

    async def pair(self, **asked: str) -> dict[str, Any]:
        form = {"grant_type": "authorization_code", "redirect_uri": REDIRECT}
        return (await self.token(**form, code=await self.code(**asked))).json()

    async def refresh(self, token: str) -> dict[str, Any]:
        return (await self.token(grant_type="refresh_token", refresh_token=token)).json()

    async def works(self, access: str) -> bool:
        answer = await self.http.get("/notes", headers={"Authorization": f"Bearer {access}"})
        return answer.status_code == 200


async def test_a_sign_in_gives_what_was_asked_for_in_the_workspace_picked() -> None:
    stage = Stage()
    pair = await stage.pair(account="t2", scope="read")
    assert pair["scope"] == "read"
    assert (pair["token_type"], pair["expires_in"]) == ("bearer", 3600)
    assert pair["access_token"].startswith("acc_")
    listed = await stage.http.get("/notes", headers={"Authorization": f"Bearer {pair['access_token']}"})
    assert listed.json() == [{"id": "n1", "text": "First", "who": "u2"}]
    page = await stage.http.get(
        "/authorize", params={"client_id": RULES.client_id, "redirect_uri": REDIRECT, "scope": "read,write"}
    )
    assert "<li>write</li>" in page.text
    assert "Read &lt;notes&gt;" in page.text
    stage.now.moment += timedelta(hours=2)
    assert not await stage.works(pair["access_token"])


@pytest.mark.parametrize(
    "asked",
    [
        {"client_id": "other"},
        {"redirect_uri": "https://evil.example/"},
        {"scope": "read,admin"},
        {"scope": "read write"},
        {"response_type": "token"},
    ],
)
async def test_a_wrong_link_stays_on_the_services_page(asked: dict[str, str]) -> None:
    back = await Stage().sign_in(**asked)
    assert back.status_code == 400
    assert "location" not in back.headers


async def test_pkce_is_checked_when_given_and_wanted_when_required() -> None:
    verifier = "v" * 64
    given = {"code_challenge": challenge_of(verifier), "code_challenge_method": "S256"}
    stage = Stage(pkce=Pkce.CHECKED)
    form = {"grant_type": "authorization_code", "redirect_uri": REDIRECT}
    wrong = await stage.token(**form, code=await stage.code(**given), code_verifier="w" * 64)
    assert wrong.json()["error"] == "invalid_grant"
    right = await stage.token(**form, code=await stage.code(**given), code_verifier=verifier)
    assert right.status_code == 200
    assert (await stage.token(**form, code=await stage.code())).status_code == 200
    strict = Stage(pkce=Pkce.REQUIRED)
    assert (await strict.sign_in()).status_code == 400
    assert (await strict.sign_in(**given)).status_code == 302
    assert (await strict.sign_in(**{**given, "code_challenge_method": "plain"})).status_code == 400


@pytest.mark.parametrize("style", list(ClientAuth))
async def test_each_style_of_client_authentication_is_taken_where_it_is_the_services(
    style: ClientAuth,
) -> None:
    for allowed in ClientAuth:
        stage = Stage(client_auth=frozenset({allowed}))
        answer = await send_as(style, stage)
        assert answer.status_code == (200 if style is allowed else 401), (style, allowed)


async def send_as(style: ClientAuth, stage: Stage) -> httpx.Response:
    form = {
        "grant_type": "authorization_code",
        "redirect_uri": REDIRECT,
        "code": await stage.code(),
    }
    match style:
        case ClientAuth.BODY_FORM:
            return await stage.token(**form)
        case ClientAuth.BASIC_FORM:
            pair = b"id%20of%20notes:secret%3Aof%20notes"
            headers = {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
            return await stage.http.post("/token", data=form, headers=headers)
        case ClientAuth.BASIC_JSON:
            pair = f"{RULES.client_id}:{RULES.client_secret}".encode()
            headers = {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
            return await stage.http.post("/token", json=form, headers=headers)


async def test_a_rotating_refresh_token_works_once_and_reuse_ends_all() -> None:
    stage = Stage()
    first = await stage.pair()
    second = await stage.refresh(first["refresh_token"])
    assert second["refresh_token"] != first["refresh_token"]
    assert not await stage.works(first["access_token"])
    assert await stage.works(second["access_token"])
    assert (await stage.refresh(first["refresh_token"]))["error"] == "invalid_grant"
    assert not await stage.works(second["access_token"])
    assert (await stage.refresh(second["refresh_token"]))["error"] == "invalid_grant"


async def test_within_its_window_a_used_refresh_token_gives_the_same_pair_again() -> None:
    stage = Stage(reuse_seconds=1800, old_access_lives=True)
    first = await stage.pair()
    second = await stage.refresh(first["refresh_token"])
    assert await stage.works(first["access_token"])
    assert await stage.refresh(first["refresh_token"]) == second
    stage.now.moment += timedelta(minutes=31)
    assert (await stage.refresh(first["refresh_token"]))["error"] == "invalid_grant"


async def test_a_kept_refresh_token_goes_on_and_none_is_none() -> None:
    stage = Stage(refresh=Refresh.KEEPS)
    pair = await stage.pair()
    for _ in range(3):
        following = await stage.refresh(pair["refresh_token"])
        assert following["refresh_token"] == pair["refresh_token"]
        assert await stage.works(following["access_token"])
    bare = Stage(refresh=Refresh.NONE)
    assert "refresh_token" not in await bare.pair()
    assert (await bare.refresh("x"))["error"] == "invalid_request"


async def test_codes_end_after_their_time_and_at_their_first_use() -> None:
    stage = Stage(grant_type_needed=False, redirect_needed=False)
    late = await stage.code()
    stage.now.moment += timedelta(minutes=11)
    assert (await stage.token(code=late)).json()["error"] == "invalid_grant"
    code = await stage.code()
    pair = (await stage.token(code=code)).json()
    assert (await stage.token(code=code)).json()["error"] == "invalid_grant"
    assert not await stage.works(pair["access_token"])


async def test_sign_in_addresses_go_wrong_only_when_named() -> None:
    stage = Stage()
    await stage.http.post("/_control", json={"faults": [{"kind": "server_error", "times": 1}]})
    pair = await stage.pair()
    assert not await stage.works(pair["access_token"])
    await stage.http.post("/_control", json={"faults": [{"kind": "lost", "path": "/token"}]})
    answer = await stage.token(grant_type="refresh_token", refresh_token=pair["refresh_token"])
    assert answer.status_code == 500
    assert not await stage.works(pair["access_token"])  # it was carried out


async def test_the_control_side_takes_what_a_terminal_sends() -> None:
    stage = Stage()
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    body = b'{"faults": [{"kind": "unavailable"}], "token_seconds": 60}'
    told = (await stage.http.post("/_control", content=body, headers=form)).json()
    assert [fault["kind"] for fault in told["faults"]] == ["unavailable"]
    assert stage.state.token_seconds == 60


async def test_bodies_of_either_kind_are_read_and_others_refused() -> None:
    stage = Stage()
    headers = {"Authorization": f"Bearer {(await stage.pair())['access_token']}"}
    for body in ({"json": {"text": "a"}}, {"data": {"text": "b"}}):
        assert (await stage.http.post("/notes", headers=headers, **body)).status_code == 200
    assert (await stage.http.post("/notes", headers=headers, content=b"{")).status_code == 400
    assert (await stage.http.post("/notes", headers=headers, json={})).status_code == 422
    assert (await stage.http.get("/nothing")).status_code == 404
    await stage.http.post("/_control", json={"faults": [{"kind": "forbidden", "body": "special"}]})
    plain = await stage.http.post("/notes", headers=headers, json={"text": "usual"})
    special = await stage.http.post("/notes", headers=headers, json={"text": "special"})
    assert (plain.status_code, special.status_code) == (200, 500)


async def test_sample_data_need_no_token_and_repeat_themselves() -> None:
    async def made() -> list[str]:
        state = Notes(steady=True, open_to=Grant(person="u9"), rate_per_second=None)
        app = standin.create_app(service_with(), state, [("POST", "/notes", add_note)])
        async with httpx.AsyncClient(transport=sample_transport(app), base_url="http://x") as http:
            headers = {"Authorization": "Bearer anything"}
            return [
                (await http.post("/notes", json={"text": "a"}, headers=headers)).json()["id"] for _ in "ab"
            ]

    assert await made() == await made()
    assert len(set(await made())) == 2


@pytest.fixture
def receiver() -> Any:
    """A server that keeps what is delivered to it."""
    got: list[tuple[dict[str, str], bytes]] = []

    async def take(request: Request) -> Response:
        got.append((dict(request.headers), await request.body()))
        return JSONResponse({"received": True}, 202)

    running = RunningServer.start(Starlette(routes=[Route("/hook", take, methods=["POST"])]))
    yield running.url, got
    running.stop()


async def test_what_happens_is_delivered_signed_to_who_wants_to_know(receiver: Any) -> None:
    url, got = receiver
    stage = Stage()
    hook = {"url": f"{url}/hook", "secret": "whsec_" + base64.b64encode(b"k" * 24).decode()}
    assert (await stage.http.post("/_control", json={"hooks": [hook]})).status_code == 200
    headers = {"Authorization": f"Bearer {(await stage.pair())['access_token']}"}
    await stage.http.post("/notes", json={"text": "told"}, headers=headers)
    sent, body = got[0]
    assert body == b'{"type":"note.created","text":"told"}'
    assert sent["x-event"] == "note"
    expected = signature_of(WEBHOOK, hook["secret"], body, sent["x-at"], sent["webhook-id"])
    assert sent["x-sig"] == expected
    stranger = {"url": "https://elsewhere.example/x", "secret": "s"}
    assert (await stage.http.post("/_control", json={"hooks": [stranger]})).status_code == 422


async def test_a_delivery_is_sent_as_asked_for_old_and_repeated(receiver: Any) -> None:
    url, got = receiver
    stage = Stage()
    asked = {
        "url": f"{url}/hook",
        "secret": "s",
        "event": "note.created",
        "id": "n1",
        "age_seconds": 900,
        "times": 2,
    }
    told = (await stage.http.post("/_control/deliver", json=asked)).json()
    assert [answer["status"] for answer in told["answers"]] == [202, 202]
    assert got[0] == got[1]
    assert int(got[0][0]["x-at"]) == int(stage.now.moment.timestamp()) - 900
    for bad in ({}, {"url": "http://example.com", "secret": "s", "payload": {}}, {**asked, "id": "nothing"}):
        assert (await stage.http.post("/_control/deliver", json=bad)).status_code == 422


@given(count=st.integers(0, 40), size=st.integers(1, 12))
def test_pages_hold_everything_once_and_in_order(count: int, size: int) -> None:
    given_out: list[int] = []
    cursor: str | None = None
    while True:
        part, cursor = part_after(range(count), cursor, size)
        given_out += part
        assert len(part) <= size
        if cursor is None:
            break
    assert given_out == list(range(count))


@pytest.mark.parametrize("cursor", ["nonsense", "cursor-zz", "cursor--5", "cursor-ff", "7"])
def test_a_cursor_never_given_out_is_refused(cursor: str) -> None:
    with pytest.raises(ValueError, match=r"cursor|int"):
        part_after(range(20), cursor, 5)
