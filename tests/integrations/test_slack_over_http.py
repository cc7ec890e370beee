"""Slack over real HTTP: connect, look around, read, post, and what becomes of bad answers."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from omniforge.core.actor import Actor
from omniforge.core.config import ServiceSettings, Settings
from omniforge.core.errors import Invalid, NotFound, OmniForgeError
from omniforge.integrations import Connection, ConnectionStatus, IntegrationService, StateInvalid
from omniforge.integrations.catalog.slack.client import MARKED
from omniforge.integrations.catalog.slack.events import read_delivery
from omniforge.integrations.catalog.slack.shapes import stamp_of
from omniforge.integrations.catalog.slack.standin import (
    CLIENT_ID,
    CLIENT_SECRET,
    StandinState,
    create_app,
)
from omniforge.integrations.catalog.slack.standin.workspace import Channel, Message
from omniforge.integrations.errors import (
    ConflictThere,
    ConnectionExpired,
    IntegrationNotConfigured,
    PermissionDeniedThere,
    RateLimitedThere,
    RefusedThere,
    ResourceNotFound,
    ServiceDown,
)
from omniforge.integrations.standin import Fault, FaultKind, Hook
from standin_server import HandClock, RunningServer, answer_consent

SIGNING_SECRET = "what deliveries are signed with"

Json = dict[str, Any]
Call = Callable[..., Awaitable[Json]]


@dataclass
class LocalSlack:
    """The running stand-in: its address and all it remembers."""

    url: str
    state: StandinState

    def paths(self) -> list[str]:
        return [entry.path.rpartition("/")[2] for entry in self.state.requests]

    def channel(self, name: str) -> Channel:
        return self.state.workspace.called(name)

    def last(self, name: str) -> Message:
        return self.channel(name).messages[-1]

    def person(self, name: str) -> str:
        return next(person.id for person in self.state.workspace.people if person.name == name)


@pytest.fixture(scope="module")
def slack_server() -> Iterator[RunningServer]:
    running = RunningServer.start(create_app())
    yield running
    running.stop()


@pytest.fixture
def slack(slack_server: RunningServer) -> LocalSlack:
    state = StandinState(rate_per_second=None)
    slack_server.use(state)
    return LocalSlack(slack_server.url, state)


@pytest.fixture
def settings(tmp_path: Path, slack: LocalSlack) -> Settings:
    registration = ServiceSettings(
        client_id=CLIENT_ID, client_secret=SecretStr(CLIENT_SECRET), base_url=slack.url
    )
    return Settings(home=tmp_path, services={"slack": registration})


@pytest.fixture
async def service(
    make_service: Callable[[Settings], IntegrationService], settings: Settings
) -> AsyncIterator[IntegrationService]:
    made = make_service(settings)
    yield made
    await made.close()


async def connect(service: IntegrationService, actor: Actor, **chosen: str) -> Connection:
    sign_in = await service.start_sign_in(actor, "slack")
    answer = await answer_consent(sign_in.auth_url, **chosen)
    return await service.finish_sign_in(actor, "slack", answer["code"], answer["state"])


@pytest.fixture
async def connection(service: IntegrationService, actor: Actor) -> Connection:
    return await connect(service, actor)


@pytest.fixture
def call(service: IntegrationService, actor: Actor, connection: Connection) -> Call:
    async def called(tool: str, **args: Any) -> Json:
        return await service.call_tool(actor.tenant_id, actor.user_id, connection.id, f"slack.{tool}", args)

    return called


# --- signing in


async def test_a_person_connects_and_the_channels_are_there_with_their_members(
    service: IntegrationService, actor: Actor, connection: Connection
) -> None:
    assert connection.workspace_name == "Acme Operations"
    assert connection.status is ConnectionStatus.HEALTHY
    assert "chat:write" in connection.scopes
    resources = await service.list_resources(actor, connection.id)
    found = {resource.name: resource.items for resource in resources}
    assert found == {
        "#general": 6,
        "#team-updates": 6,
        "#support": 6,
        "#finance": 2,
        "#leads": 6,
        "#engineering": 6,
    }
    described = await service.describe_resource(actor, connection.id, "#team-updates")
    assert described.name == "#team-updates"
    assert described.fields


async def test_the_link_asks_for_bot_scopes_by_commas_and_without_pkce(
    service: IntegrationService, actor: Actor, slack: LocalSlack
) -> None:
    asked = parse_qs(urlsplit((await service.start_sign_in(actor, "slack")).auth_url).query)
    assert asked["scope"][0].split(",") == [s.name for s in service.catalog["slack"].manifest.sign_in.scopes]
    assert "code_challenge" not in asked
    assert "user_scope" not in asked


async def test_another_workspace_is_another_connection(
    service: IntegrationService, actor: Actor, slack: LocalSlack
) -> None:
    first = await connect(service, actor)
    second = await connect(service, actor, account=slack.state.second.id)
    assert (first.workspace_name, second.workspace_name) == ("Acme Operations", "Acme Labs")
    assert await service.list_resources(actor, second.id) == []


async def test_without_rotation_tokens_do_not_end(connection: Connection, slack: LocalSlack) -> None:
    assert connection.expires_at is None
    assert slack.state.refreshes == 0


async def test_with_rotation_fifty_callers_on_an_expired_token_make_one_refresh(
    service: IntegrationService, actor: Actor, slack: LocalSlack, clock: HandClock
) -> None:
    slack.state.token_seconds = 43_200
    connection = await connect(service, actor)
    assert connection.expires_at is not None
    clock.forward(hours=12)

    async def ask() -> Json:
        return await service.call_tool(actor.tenant_id, actor.user_id, connection.id, "slack.who_am_i", {})

    answers = await asyncio.gather(*(ask() for _ in range(50)))
    assert {answer["workspace"]["name"] for answer in answers} == {"Acme Operations"}
    assert slack.state.refreshes == 1


async def test_a_token_that_ends_early_is_renewed_and_the_message_goes_out_once(
    service: IntegrationService, actor: Actor, slack: LocalSlack
) -> None:
    slack.state.token_seconds = 43_200
    connection = await connect(service, actor)
    slack.state.expire_access()
    args = {"channel": "#team-updates", "text": "Hello"}
    await service.call_tool(actor.tenant_id, actor.user_id, connection.id, "slack.post_message", args)
    assert slack.state.refreshes == 1
    assert [m.text for m in slack.channel("team-updates").messages].count("Hello") == 1


async def test_a_trouble_of_slack_while_renewing_does_not_break_the_connection(
    service: IntegrationService, actor: Actor, slack: LocalSlack, clock: HandClock
) -> None:
    slack.state.token_seconds = 43_200
    connection = await connect(service, actor)
    clock.forward(hours=12)
    slack.state.faults.append(Fault(FaultKind.SERVER_ERROR, path="/api/oauth.v2.access"))
    ask = (actor.tenant_id, actor.user_id, connection.id, "slack.who_am_i", dict[str, Any]())
    with pytest.raises(ServiceDown):
        await service.call_tool(*ask)
    assert (await service.call_tool(*ask))["workspace"]["name"] == "Acme Operations"


async def test_a_refused_renewal_breaks_the_connection(
    service: IntegrationService, actor: Actor, slack: LocalSlack, clock: HandClock
) -> None:
    slack.state.token_seconds = 43_200
    connection = await connect(service, actor)
    clock.forward(hours=12)
    slack.state.refresh.clear()
    with pytest.raises(ConnectionExpired):
        await service.call_tool(actor.tenant_id, actor.user_id, connection.id, "slack.who_am_i", {})
    assert (await service.connection(actor, connection.id)).status is ConnectionStatus.BROKEN


async def test_a_revoked_token_breaks_the_connection(
    service: IntegrationService, actor: Actor, call: Call, connection: Connection, slack: LocalSlack
) -> None:
    slack.state.revoke_all()
    with pytest.raises(ConnectionExpired):
        await call("who_am_i")
    assert (await service.connection(actor, connection.id)).status is ConnectionStatus.BROKEN


async def test_disconnecting_revokes_at_slack(
    service: IntegrationService, actor: Actor, connection: Connection, slack: LocalSlack
) -> None:
    assert slack.state.access
    await service.disconnect(actor, connection.id)
    assert slack.state.access == {}


async def test_a_pasted_bot_token_connects(
    service: IntegrationService, actor: Actor, slack: LocalSlack
) -> None:
    connection = await service.add_key_connection(actor, "slack", slack.state.new_key())
    assert connection.workspace_name == "Acme Operations"
    with pytest.raises(Invalid) as refusal:
        await service.add_key_connection(actor, "slack", "xoxb-wrong")
    assert refusal.value.code == "key_refused"


# --- looking around


async def test_who_am_i_names_the_app_and_the_workspace(call: Call, slack: LocalSlack) -> None:
    assert await call("who_am_i") == {
        "user": {"id": slack.state.workspace.app.id, "name": "omniforge"},
        "workspace": {
            "id": slack.state.workspace.id,
            "name": "Acme Operations",
            "url": "https://acme-operations.slack.com/",
        },
    }


async def test_channels_are_listed_through_all_pages_those_with_the_app_first(
    call: Call, slack: LocalSlack
) -> None:
    workspace = slack.state.workspace
    for number in range(1200):
        workspace.add_channel(
            f"C{number:09d}", f"project-{number}", [workspace.app.id], archived=number % 3 == 0
        )
    found = await call("list_channels")
    assert found["truncated"] is False
    assert len(found["channels"]) == 6 + 800
    assert slack.paths().count("conversations.list") == 3
    some = await call("list_channels", search="#PROJECT-11")
    assert {c["name"] for c in some["channels"]} >= {"#project-11", "#project-110"}
    assert [c["app_is_in_it"] for c in (await call("list_channels", search="e"))["channels"]][-1] is False


async def test_a_channel_is_described_by_name_id_mention_and_address(call: Call, slack: LocalSlack) -> None:
    channel = slack.channel("team-updates")
    ways = ("#team-updates", "Team-Updates", channel.id, f"<#{channel.id}|team-updates>")
    for way in (*ways, f"https://acme-operations.slack.com/archives/{channel.id}/p1"):
        found = await call("describe_channel", channel=way)
        assert (found["id"], found["topic"], found["items"]) == (channel.id, "What moved this week", 6)
        assert {field["name"] for field in found["fields"]} >= {"text", "author", "at"}


async def test_a_wrong_name_is_told_with_the_nearest_one(call: Call) -> None:
    with pytest.raises(ResourceNotFound, match="Did you mean #team-updates") as refusal:
        await call("post_message", channel="#team-update", text="x")
    assert "invite the app" in refusal.value.message


async def test_a_private_channel_without_the_app_is_not_there(call: Call, slack: LocalSlack) -> None:
    for given in ("#management", slack.channel("management").id):
        with pytest.raises(ResourceNotFound, match="Slack"):
            await call("read_messages", channel=given)


async def test_people_are_found_by_name_address_and_title(call: Call, slack: LocalSlack) -> None:
    assert [p["name"] for p in (await call("search_people", search="engineer"))["people"]] == [
        "Jonas",
        "Tomás",
    ]
    found = (await call("search_people", search="maya@acme"))["people"]
    assert [(p["full_name"], p["handle"], p["email"]) for p in found] == [
        ("Maya Lindholm", "maya", "maya@acme.example")
    ]
    assert (await call("search_people", search="Paul"))["people"] == []  # left the company
    assert (await call("search_people", search="omniforge"))["people"] == []  # an app


# --- reading


async def test_a_window_is_read_whole_with_names_and_links(call: Call, slack: LocalSlack) -> None:
    channel = slack.channel("team-updates")
    found = await call("read_messages", channel="#team-updates")
    assert len(found["messages"]) == len([m for m in channel.messages if not m.thread_ts]) == 245
    assert slack.paths().count("conversations.history") == 2
    times = [message["id"] for message in found["messages"]]
    assert times == sorted(times)
    blocked = next(m for m in found["messages"] if "Fraud" in m["text"])
    assert blocked["author"]["name"] == "Jonas"
    assert (blocked["replies"], blocked["reactions"], blocked["thread"]) == (2, {"eyes": 2}, None)
    assert blocked["url"] == (
        f"https://acme-operations.slack.com/archives/{channel.id}/p{blocked['id'].replace('.', '')}"
    )
    reminder = next(m for m in found["messages"] if m["edited"])
    assert reminder["text"].startswith("Reminder for @here:")
    general = await call("read_messages", channel="#general")
    assert "Thank you @Sandra!" in general["messages"][0]["text"]
    assert "Offer templates (https://files.acme.example/offers)" in general["messages"][1]["text"]


async def test_the_start_of_a_window_is_included_and_its_end_is_not(call: Call, slack: LocalSlack) -> None:
    channel = slack.channel("support")
    channel.messages.clear()
    noon = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
    person = slack.person("Maya Lindholm")
    for minutes in range(4):
        slack.state.workspace.add(channel, person, str(minutes), noon + timedelta(minutes=minutes))
    window = {"after": noon + timedelta(minutes=1), "before": noon + timedelta(minutes=3)}
    found = await call("read_messages", channel="#support", **{k: v.isoformat() for k, v in window.items()})
    assert [message["text"] for message in found["messages"]] == ["1", "2"]
    assert found["messages"][0]["at"] == "2026-11-20T12:01:00.000Z"


async def test_joins_and_edits_are_not_read_and_replies_only_when_asked(
    call: Call, slack: LocalSlack
) -> None:
    texts = [m["text"] for m in (await call("read_messages", channel="#support"))["messages"]]
    assert len(texts) == 3
    assert not any("has joined" in text for text in texts)
    with_replies = (await call("read_messages", channel="#support", replies=True))["messages"]
    assert [m["text"] for m in with_replies if m["thread"]] == ["Found it, fix goes out tonight."]


async def test_a_limit_keeps_the_latest_and_says_that_there_are_more(call: Call) -> None:
    found = await call("read_messages", channel="#team-updates", limit=3)
    assert found["truncated"] is True
    assert "Reminder" in found["messages"][-1]["text"]
    exact = await call("read_messages", channel="#team-updates", limit=245)
    assert (len(exact["messages"]), exact["truncated"]) == (245, False)


async def test_a_channel_the_app_is_not_in_says_how_to_invite_it_and_can_be_joined(call: Call) -> None:
    with pytest.raises(PermissionDeniedThere, match="Invite it there"):
        await call("read_messages", channel="#leads")
    joined = await call("join_channel", channel="#leads")
    assert joined["channel"]["name"] == "#leads"
    assert (await call("join_channel", channel="#leads"))["channel"]["id"] == joined["channel"]["id"]
    assert len((await call("read_messages", channel="#leads"))["messages"]) == 1


# --- posting


async def test_a_message_is_posted_where_it_was_meant_and_nothing_in_it_calls_people(
    call: Call, slack: LocalSlack
) -> None:
    posted = await call(
        "post_message",
        channel="#team-updates",
        text="# Week\n\n- **Done** [report](https://a.example/?a=1&b=2) <!channel> & <@U024BE7LH>",
    )
    message = slack.last("team-updates")
    assert posted == {
        "id": message.ts,
        "channel": {"id": slack.channel("team-updates").id, "name": "#team-updates"},
        "thread": None,
    }
    assert message.text == (
        "*Week*\n\n• *Done* <https://a.example/?a=1&amp;b=2|report> &lt;!channel&gt; &amp; &lt;@U024BE7LH&gt;"
    )
    read = (await call("read_messages", channel="#team-updates", limit=1))["messages"][0]
    assert read["author"] == {"id": slack.state.workspace.app.id, "name": "OmniForge", "app": True}


async def test_blocks_go_as_they_are_with_a_text_for_notifications(call: Call, slack: LocalSlack) -> None:
    blocks = [{"type": "section", "text": {"type": "mrkdwn", "text": "*Numbers* of the week"}}]
    await call("post_message", channel="#team-updates", blocks=blocks)
    assert slack.last("team-updates").content["blocks"] == blocks
    assert slack.last("team-updates").text == "*Numbers* of the week"


async def test_a_reply_goes_into_its_thread_and_into_the_channel_when_asked(
    call: Call, slack: LocalSlack
) -> None:
    parent = await call("post_message", channel="#support", text="Question")
    inside = await call("reply_in_thread", channel="#support", thread=parent["id"], text="Answer")
    assert inside["thread"] == parent["id"]
    await call("reply_in_thread", channel="#support", thread=parent["id"], text="Loud", also_in_channel=True)
    seen = [m["text"] for m in (await call("read_messages", channel="#support"))["messages"]]
    assert seen[-2:] == ["Question", "Loud"]
    with pytest.raises(ResourceNotFound, match="Was it deleted"):
        await call("reply_in_thread", channel="#support", thread="1.000001", text="x")


@pytest.mark.parametrize("given", ["@maya", "Maya Lindholm", "maya@acme.example", "id"])
async def test_a_direct_message_reaches_the_one_person_meant(
    call: Call, slack: LocalSlack, given: str
) -> None:
    maya = slack.person("Maya Lindholm")
    sent = await call("send_direct_message", person=maya if given == "id" else given, text="Ready")
    assert sent["person"]["id"] == maya
    direct = next(channel for channel in slack.state.workspace.channels if channel.direct_to == maya)
    assert [message.text for message in direct.messages] == ["Ready"]
    assert sent["channel"]["id"] == direct.id


async def test_a_name_of_two_people_is_asked_about_and_nothing_is_sent(call: Call, slack: LocalSlack) -> None:
    slack.state.workspace.people[1].handle = "maya"
    with pytest.raises(Invalid, match="2 people") as refusal:
        await call("send_direct_message", person="@maya", text="x")
    assert slack.person("Derek Osei") in refusal.value.details["fields"][0]["rule"]
    assert "chat.postMessage" not in slack.paths()
    with pytest.raises(ResourceNotFound, match="Did you mean @Sandra"):
        await call("send_direct_message", person="@sandre", text="x")


async def test_only_our_own_message_can_be_changed(call: Call, slack: LocalSlack) -> None:
    posted = await call("post_message", channel="#support", text="Draft", mark="first-mark")
    changed = await call(
        "update_message", channel="#support", message=posted["id"], text="Final", mark="edit-mark"
    )
    assert changed["id"] == posted["id"]
    message = slack.channel("support").message(posted["id"])
    assert message is not None
    assert message.text == "Final"
    payload = message.content["metadata"]["event_payload"]
    assert payload == {"mark": "first-mark", "edit": "edit-mark"}
    other = slack.channel("support").messages[1].ts
    with pytest.raises(PermissionDeniedThere, match="only the messages it posted itself"):
        await call("update_message", channel="#support", message=other, text="x")
    with pytest.raises(ResourceNotFound, match="Was it deleted"):
        await call("update_message", channel="#support", message="1.000001", text="x", mark="edit-mark")


@pytest.mark.parametrize(
    ("tool", "args"),
    [
        ("post_message", {"channel": "#team-updates"}),
        ("post_message", {"channel": "#team-updates", "text": "  "}),
        ("post_message", {"channel": "#team-updates", "text": "x" * 40_001}),
        ("post_message", {"channel": "two words", "text": "x"}),
        ("post_message", {"channel": "#team-updates", "text": "x", "mark": "a b"}),
        ("post_message", {"channel": "#team-updates", "blocks": [{"type": "divider"}] * 51}),
        ("send_direct_message", {"person": "<@", "text": "x"}),
        ("read_messages", {"channel": "#support", "after": "2026-01-01T00:00:00"}),
        ("reply_in_thread", {"channel": "#support", "thread": "yesterday", "text": "x"}),
        ("find_message", {"mark": "long-enough"}),
    ],
)
async def test_arguments_that_cannot_be_meant_name_the_mistake_before_slack_is_asked(
    call: Call, slack: LocalSlack, tool: str, args: Json
) -> None:
    before = len(slack.state.requests)
    with pytest.raises(Invalid) as refusal:
        await call(tool, **args)
    assert refusal.value.details["fields"][0]["rule"]
    assert len(slack.state.requests) == before


async def test_what_slack_finds_wrong_is_told_in_plain_words(call: Call, slack: LocalSlack) -> None:
    with pytest.raises(ConflictThere, match="archived"):
        await call("post_message", channel=slack.channel("website-2024").id, text="x")
    with pytest.raises(PermissionDeniedThere, match="not in that Slack channel"):
        await call("post_message", channel="#leads", text="x")
    with pytest.raises(RefusedThere, match="Block Kit"):
        await call(
            "post_message", channel="#support", blocks=[{"type": "section", "text": {"text": "x" * 3001}}]
        )
    with pytest.raises(RefusedThere, match="longer than Slack takes"):
        await call("post_message", channel="#support", blocks=[{"type": "markdown", "text": "x" * 14_000}])
    with pytest.raises(RefusedThere, match="characters long"):
        await call("post_message", channel="#support", text="&" * 20_000)
    for grant in slack.state.access.values():
        grant.scopes = ("channels:read",)
    with pytest.raises(PermissionDeniedThere, match=r"It needs: chat:write\. Reconnect Slack"):
        await call("post_message", channel="#support", text="x")


async def test_what_is_posted_is_delivered_signed_to_who_wants_to_know(call: Call, slack: LocalSlack) -> None:
    got: list[tuple[dict[str, str], bytes]] = []

    async def receive(request: Request) -> Response:
        got.append((dict(request.headers), await request.body()))
        return Response(status_code=202)

    listener = RunningServer.start(Starlette(routes=[Route("/hook", receive, methods=["POST"])]))
    slack.state.hooks.append(Hook(f"{listener.url}/hook", SIGNING_SECRET))
    posted = await call("post_message", channel="#support", text="Told")
    for _ in range(200):
        if got:
            break
        await asyncio.sleep(0.01)
    listener.stop()
    headers, body = got[0]
    signed = b"v0:" + headers["x-slack-request-timestamp"].encode() + b":" + body
    expected = hmac.new(SIGNING_SECRET.encode(), signed, hashlib.sha256).hexdigest()
    assert headers["x-slack-signature"] == f"v0={expected}"
    (happened,) = read_delivery(headers, json.loads(body))
    assert (happened.id, happened.author) == (posted["id"], slack.state.workspace.app.id)


# --- marks


async def test_a_message_is_found_by_its_mark_wherever_it_went(call: Call, slack: LocalSlack) -> None:
    in_channel = await call("post_message", channel="#team-updates", text="One", mark="mark-one")
    for number in range(250):
        slack.state.workspace.add(
            slack.channel("team-updates"), slack.person("Ana Kowalczyk"), f"Noise {number}"
        )
    found = await call("find_message", channel="#team-updates", mark="mark-one")
    assert found == {"message": in_channel}
    assert await call("find_message", channel="#team-updates", mark="mark-two") == {"message": None}
    thread = in_channel["id"]
    reply = await call("reply_in_thread", channel="#team-updates", thread=thread, text="Two", mark="mark-two")
    found = await call("find_message", channel="#team-updates", thread=thread, mark="mark-two")
    assert found == {"message": reply}
    direct = await call("send_direct_message", person="@maya", text="Three", mark="mark-three")
    found = await call("find_message", person="@maya", mark="mark-three")
    assert found["message"]["id"] == direct["id"]


async def test_nobody_elses_mark_counts(call: Call, slack: LocalSlack) -> None:
    metadata = {"event_type": MARKED, "event_payload": {"mark": "copied-mark"}}
    channel = slack.channel("support")
    slack.state.workspace.add(channel, slack.person("Ana Kowalczyk"), "x", content={"metadata": metadata})
    assert await call("find_message", channel="#support", mark="copied-mark") == {"message": None}


@pytest.mark.parametrize(
    ("tool", "args"),
    [
        ("post_message", {"channel": "#support"}),
        ("reply_in_thread", {"channel": "#support", "thread": "parent"}),
        ("send_direct_message", {"person": "@derek"}),
        ("update_message", {"channel": "#support", "message": "parent"}),
    ],
)
async def test_after_a_lost_answer_the_look_up_finds_what_was_written(
    service: IntegrationService, call: Call, slack: LocalSlack, tool: str, args: Json
) -> None:
    parent = (await call("post_message", channel="#support", text="Parent"))["id"]
    args = {key: parent if value == "parent" else value for key, value in args.items()}
    args |= {"text": "Written", "mark": "lost-answer"}
    lookup = service.catalog["slack"].tool(f"slack.{tool}").lookup(args)
    assert lookup is not None
    before = await call(lookup.tool.removeprefix("slack."), **lookup.args)
    assert before[lookup.found] is None
    slack.state.faults.append(Fault(FaultKind.LOST, path="/api/chat."))
    with pytest.raises(ServiceDown) as lost:
        await call(tool, **args)
    assert lost.value.details["outcome_unknown"] is True
    sent = [path for path in slack.paths() if path.startswith("chat.")]
    assert len(sent) == 2  # the parent, and this one: it was not repeated
    found = await call(lookup.tool.removeprefix("slack."), **lookup.args)
    assert found[lookup.found]["id"]


async def test_a_write_without_a_mark_has_no_look_up(service: IntegrationService) -> None:
    for tool in service.catalog["slack"].tools.values():
        assert tool.lookup({"channel": "#support", "text": "x"}) is None


async def test_too_much_noise_to_look_through_is_not_taken_for_nothing_there(
    call: Call, slack: LocalSlack
) -> None:
    channel = slack.channel("support")
    now = slack.state.now()
    person = slack.person("Ana Kowalczyk")
    channel.messages = [
        Message(stamp_of(now - timedelta(seconds=4_100 - number)), person, "x") for number in range(4_100)
    ]
    with pytest.raises(ServiceDown, match="Please look"):
        await call("find_message", channel="#support", mark="long-ago")


# --- bad answers


@pytest.mark.parametrize("kind", [FaultKind.GARBAGE, FaultKind.HALF_JSON, FaultKind.WRONG_SHAPE])
async def test_answers_that_cannot_be_read_say_so(call: Call, slack: LocalSlack, kind: FaultKind) -> None:
    slack.state.faults.append(Fault(kind, times=9))
    with pytest.raises(ServiceDown, match="Slack"):
        await call("list_channels")
    slack.state.faults[:] = [Fault(kind, times=9, path="/api/chat.postMessage")]
    with pytest.raises(ServiceDown) as unknown:
        await call("post_message", channel="#support", text="x")
    assert unknown.value.details["outcome_unknown"] is True


async def test_a_short_trouble_of_slack_is_waited_out_when_only_reading(
    call: Call, slack: LocalSlack
) -> None:
    slack.state.faults.append(Fault(FaultKind.SERVER_ERROR, times=2))
    assert (await call("who_am_i"))["workspace"]["name"] == "Acme Operations"


async def test_a_rate_limit_is_obeyed_for_as_long_as_slack_says(
    call: Call, slack: LocalSlack, clock: HandClock
) -> None:
    slack.state.faults.append(Fault(FaultKind.RATE_LIMITED, times=1, path="/api/chat.postMessage", seconds=7))
    await call("post_message", channel="#support", text="After the wait")
    assert 7 in clock.waits
    assert [m.text for m in slack.channel("support").messages].count("After the wait") == 1
    slack.state.faults.append(
        Fault(FaultKind.RATE_LIMITED, times=1, path="/api/chat.postMessage", seconds=90)
    )
    with pytest.raises(RateLimitedThere) as told:
        await call("post_message", channel="#support", text="x")
    assert told.value.retry_after == 90


async def test_each_method_has_a_pace_of_its_own(call: Call, slack: LocalSlack, clock: HandClock) -> None:
    slack.state.rate_per_second = 1.0
    slack.state.now = clock.now
    for _ in range(20):
        await call("list_channels")
    assert clock.waits == []
    with pytest.raises(RateLimitedThere):  # the twenty-first within a minute; the clock stands still
        await call("list_channels")
    await call("who_am_i")
    clock.forward(seconds=60)
    assert (await call("list_channels"))["channels"]


@pytest.mark.parametrize("kind", [FaultKind.FORBIDDEN, FaultKind.CONFLICT, FaultKind.UNAVAILABLE])
async def test_every_other_fault_ends_in_one_of_our_errors(
    call: Call, slack: LocalSlack, kind: FaultKind
) -> None:
    slack.state.faults.append(Fault(kind, times=9))
    with pytest.raises(OmniForgeError, match="Slack"):
        await call("post_message", channel="#support", text="x")


async def test_a_refused_code_and_a_wrong_secret_are_told_apart(
    service: IntegrationService,
    actor: Actor,
    make_service: Callable[[Settings], IntegrationService],
    settings: Settings,
) -> None:
    sign_in = await service.start_sign_in(actor, "slack")
    with pytest.raises(StateInvalid):
        await service.finish_sign_in(actor, "slack", "wrong", sign_in.state)
    settings.services["slack"].client_secret = SecretStr("wrong")
    other = make_service(settings)
    again = await other.start_sign_in(actor, "slack")
    answer = await answer_consent(again.auth_url)
    with pytest.raises(IntegrationNotConfigured):
        await other.finish_sign_in(actor, "slack", answer["code"], answer["state"])
    await other.close()


async def test_a_foreign_connection_is_not_there(
    service: IntegrationService, foreign_actor: Actor, connection: Connection
) -> None:
    with pytest.raises(NotFound):
        await service.list_resources(foreign_actor, connection.id)
