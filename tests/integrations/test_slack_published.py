"""The local Slack's answers against the types that Slack publishes for its clients, and its deliveries."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from omniforge.integrations.catalog.slack.standin import CLIENT_ID, CLIENT_SECRET, StandinState, create_app
from omniforge.integrations.catalog.slack.standin.app import SERVICE
from omniforge.integrations.catalog.slack.standin.deliveries import delivery
from omniforge.integrations.standin import Grant, new_code

Json = dict[str, Any]
PUBLISHED: Json = json.loads((Path(__file__).parent / "published" / "slack" / "types.json").read_text())
EVERY_ANSWER: Json = {
    "ok": "boolean",
    "error": "string",
    "warning": "string",
    "needed": "string",
    "provided": "string",
}
METADATA: Json = {"warnings": "string[]", "next_cursor": "string", "messages": "string[]"}


def mistakes(answer: str, given: Json) -> list[str]:
    """Fields that Slack's types do not know, or know otherwise. Null stands for a field that is not there."""
    types = {name: dict(fields) for name, fields in PUBLISHED["answers"][answer]["types"].items()}
    types[answer] |= EVERY_ANSWER
    types[answer]["response_metadata"] = "ResponseMetadata"
    types["ResponseMetadata"] = {**types.get("ResponseMetadata", {}), **METADATA}
    found: list[str] = []

    def check(value: Any, kind: str, path: str) -> None:
        if value is None or kind == "any":
            return
        if kind.endswith("[]"):
            if not isinstance(value, list):
                found.append(f"{path}: a list")
                return
            for number, one in enumerate(cast("list[Any]", value)):
                check(one, kind[:-2], f"{path}[{number}]")
            return
        plain = {"string": (str,), "number": (int, float), "boolean": (bool,)}.get(kind)
        if plain is not None:
            if not isinstance(value, plain) or (kind == "number" and isinstance(value, bool)):
                found.append(f"{path}: {kind}, not {value!r}")
            return
        if not isinstance(value, dict):
            found.append(f"{path}: {kind}")
            return
        for key, inner in cast("Json", value).items():
            if key not in types[kind]:
                found.append(f"{path}.{key}: not known to {kind}")
            else:
                check(inner, types[kind][key], f"{path}.{key}")

    check(given, answer, "")
    return found


@pytest.fixture
def state() -> StandinState:
    return StandinState(rate_per_second=None, open_to=Grant())


@pytest.fixture
async def http(state: StandinState) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_app(state))
    async with httpx.AsyncClient(transport=transport, base_url="http://slack.invalid") as client:
        client.headers["Authorization"] = "Bearer any"
        yield client


def test_the_check_finds_what_is_wrong() -> None:
    wrong = {"ok": "yes", "channels": [{"id": 1, "colour": "red"}], "response_metadata": {"next_cursor": 3}}
    assert mistakes("ConversationsListResponse", wrong) == [
        ".ok: boolean, not 'yes'",
        ".channels[0].id: string, not 1",
        ".channels[0].colour: not known to Channel",
        ".response_metadata.next_cursor: string, not 3",
    ]


READS: dict[str, tuple[str, dict[str, str]]] = {
    "auth.test": ("AuthTestResponse", {}),
    "conversations.list": (
        "ConversationsListResponse",
        {"types": "public_channel,private_channel", "limit": "3"},
    ),
    "users.conversations": ("UsersConversationsResponse", {}),
    "conversations.info": ("ConversationsInfoResponse", {"include_num_members": "true"}),
    "conversations.history": (
        "ConversationsHistoryResponse",
        {"include_all_metadata": "true", "oldest": "1.0", "limit": "50"},
    ),
    "users.list": ("UsersListResponse", {"limit": "2"}),
    "users.lookupByEmail": ("UsersLookupByEmailResponse", {"email": "maya@acme.example"}),
}


@pytest.mark.parametrize("method", READS)
async def test_what_is_read_has_the_published_shape(
    http: httpx.AsyncClient, state: StandinState, method: str
) -> None:
    shape, params = READS[method]
    for name in ("general", "team-updates", "finance"):
        asked = {**params, "channel": state.workspace.called(name).id}
        answer = (await http.get(f"/api/{method}", params=asked)).json()
        assert answer["ok"] is True
        assert mistakes(shape, answer) == []


async def test_what_is_written_has_the_published_shape(http: httpx.AsyncClient, state: StandinState) -> None:
    channel, person = state.workspace.called("general").id, state.workspace.people[0].id

    async def post(method: str, shape: str, **body: Any) -> Json:
        answer = (await http.post(f"/api/{method}", json=body)).json()
        assert answer["ok"] is True, answer
        assert mistakes(shape, answer) == []
        return answer

    metadata = {"event_type": "x", "event_payload": {"mark": "y"}}
    content = {"text": "Hello", "blocks": [{"type": "divider"}], "metadata": metadata}
    first = await post("chat.postMessage", "ChatPostMessageResponse", channel=channel, **content)
    reply = {"channel": channel, "thread_ts": first["ts"], "text": "Reply"}
    await post("chat.postMessage", "ChatPostMessageResponse", **reply)
    await post("chat.update", "ChatUpdateResponse", channel=channel, ts=first["ts"], text="Changed")
    await post("conversations.open", "ConversationsOpenResponse", users=person, return_im=True)
    leads = state.workspace.called("leads").id
    for _ in range(2):
        await post("conversations.join", "ConversationsJoinResponse", channel=leads)
    asked = {"channel": channel, "ts": first["ts"], "include_all_metadata": "true"}
    thread = (await http.get("/api/conversations.replies", params=asked)).json()
    assert [message["text"] for message in thread["messages"]] == ["Changed", "Reply"]
    assert mistakes("ConversationsRepliesResponse", thread) == []
    assert thread["messages"][0]["metadata"] == metadata
    somebody = (await http.get("/api/users.info", params={"user": person})).json()
    assert mistakes("UsersInfoResponse", somebody) == []


@pytest.mark.parametrize("rotating", [False, True])
@pytest.mark.parametrize("basic", [False, True])
async def test_the_token_address_answers_in_the_published_shape(
    http: httpx.AsyncClient, state: StandinState, rotating: bool, basic: bool
) -> None:
    state.token_seconds = 43_200 if rotating else None
    redirect = "http://127.0.0.1/callback"
    form = {"code": new_code(SERVICE, state, redirect, scopes=("chat:write",)), "redirect_uri": redirect}
    if not basic:
        form |= {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    if basic:
        http.auth = (CLIENT_ID, CLIENT_SECRET)
    answer = (await http.post("/api/oauth.v2.access", data=form)).json()
    assert answer["ok"] is True
    assert mistakes("OauthV2AccessResponse", answer) == []
    assert ("refresh_token" in answer, answer.get("expires_in")) == (rotating, 43_200 if rotating else None)
    again = await http.post("/api/oauth.v2.access", data=form)
    assert (again.status_code, again.json()) == (200, {"ok": False, "error": "invalid_code"})


async def test_a_refresh_token_works_once_and_the_old_token_lives_on(
    http: httpx.AsyncClient, state: StandinState
) -> None:
    state.token_seconds, state.open_to = 43_200, None
    client = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    code = {"code": new_code(SERVICE, state, "http://127.0.0.1/"), "redirect_uri": "http://127.0.0.1/"}
    first = (await http.post("/api/oauth.v2.access", data={**client, **code})).json()
    renewal = {**client, "grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
    second = (await http.post("/api/oauth.v2.access", data=renewal)).json()
    assert second["refresh_token"] != first["refresh_token"]
    for token in (first["access_token"], second["access_token"]):
        headers = {"Authorization": f"Bearer {token}"}
        assert (await http.get("/api/auth.test", headers=headers)).json()["ok"] is True
    refused = await http.post("/api/oauth.v2.access", data=renewal)
    assert (refused.status_code, refused.json()["error"]) == (200, "invalid_refresh_token")


@pytest.mark.parametrize(
    ("method", "params", "error"),
    [
        ("conversations.history", {"channel": "C000000000"}, "channel_not_found"),
        ("conversations.history", {"channel": "#general"}, "channel_not_found"),
        ("conversations.history", {"channel": "leads"}, "not_in_channel"),
        ("conversations.history", {"channel": "general", "limit": "1000"}, "invalid_limit"),
        ("conversations.history", {"channel": "general", "cursor": "bogus"}, "invalid_cursor"),
        ("conversations.history", {"channel": "general", "oldest": "yesterday"}, "invalid_ts_oldest"),
        ("conversations.replies", {"channel": "general", "ts": "1.000001"}, "thread_not_found"),
        ("conversations.info", {"channel": "management"}, "channel_not_found"),
        ("users.info", {"user": "U000000000"}, "user_not_found"),
        ("users.lookupByEmail", {"email": "nobody@acme.example"}, "users_not_found"),
        ("chat.postMessage", {"channel": "general"}, "no_text"),
        ("chat.postMessage", {"channel": "website-2024", "text": "x"}, "is_archived"),
        ("conversations.join", {"channel": "finance"}, "method_not_supported_for_channel_type"),
        ("conversations.open", {"users": "USLACKBOT0"}, "user_not_found"),
        ("views.publish", {}, "unknown_method"),
    ],
)
async def test_slack_says_no_with_status_200(
    http: httpx.AsyncClient, state: StandinState, method: str, params: dict[str, str], error: str
) -> None:
    if method.startswith("conversations") and params.get("channel", "#")[0] not in "#C":
        params = {**params, "channel": state.workspace.called(params["channel"]).id}
    answer = await http.get(f"/api/{method}", params=params)
    assert answer.status_code == 200
    assert (answer.json()["ok"], answer.json()["error"]) == (False, error)


async def test_pages_are_short_where_archived_channels_were_left_out(
    http: httpx.AsyncClient, state: StandinState
) -> None:
    cursor, sizes, names = "", list[int](), list[str]()
    while True:
        asked = {"types": "public_channel", "exclude_archived": "true", "limit": "2", "cursor": cursor}
        answer = (await http.get("/api/conversations.list", params=asked)).json()
        sizes.append(len(answer["channels"]))
        names += [channel["name"] for channel in answer["channels"]]
        if not (cursor := answer["response_metadata"]["next_cursor"]):
            break
    assert sizes == [2, 2, 1]
    assert names == ["general", "team-updates", "support", "leads", "engineering"]


async def test_metadata_are_told_only_when_asked_for(http: httpx.AsyncClient, state: StandinState) -> None:
    channel = state.workspace.called("general").id
    metadata = {"event_type": "x", "event_payload": {"mark": "y"}}
    await http.post("/api/chat.postMessage", json={"channel": channel, "text": "x", "metadata": metadata})
    shown = (await http.get("/api/conversations.history", params={"channel": channel})).json()["messages"][0]
    assert shown["metadata"] == {"event_type": "x"}


@pytest.mark.parametrize(
    ("about", "shape"),
    [
        ({"event": "message", "text": "Hi"}, "GenericMessageEvent"),
        ({"event": "message.posted", "text": "Hi"}, "GenericMessageEvent"),
        ({"event": "app_mention", "text": "Hi"}, "AppMentionEvent"),
        ({"event": "reaction_added", "reaction": "tada"}, "ReactionAddedEvent"),
        ({"event": "message_changed"}, "MessageChangedEvent"),
    ],
)
def test_deliveries_have_every_field_that_slack_promises(
    state: StandinState, about: Json, shape: str
) -> None:
    envelope, _ = delivery(state, {"channel": "#general", **about})
    assert set(PUBLISHED["events"][shape]) <= set(envelope["event"])
    assert envelope["type"] == "event_callback"
    assert envelope["team_id"] == state.workspace.id
    assert envelope["event_id"].startswith("Ev")
