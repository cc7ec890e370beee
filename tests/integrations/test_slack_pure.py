"""What needs no server: texts into Slack's markup and back, troubles, destinations, and events."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from folder_contract import looks_plain
from omniforge.integrations import Access
from omniforge.integrations.catalog.slack.client import channel_given, person_given
from omniforge.integrations.catalog.slack.events import posted_since, read_delivery
from omniforge.integrations.catalog.slack.mrkdwn import mrkdwn
from omniforge.integrations.catalog.slack.shapes import moment_of, plain, shown_message, stamp_of
from omniforge.integrations.catalog.slack.standin import StandinState
from omniforge.integrations.catalog.slack.standin.deliveries import delivery
from omniforge.integrations.catalog.slack.troubles import TROUBLES, read_trouble
from omniforge.integrations.manifest import CATALOG, Destination, Occurrence, load_integration
from omniforge.integrations.rest import Answer, Trouble
from omniforge.integrations.samples import sample_client

Json = dict[str, Any]
SLACK = load_integration(CATALOG / "slack")
NOW = datetime(2026, 11, 23, 8, 30, tzinfo=UTC)

# --- texts


@pytest.mark.parametrize(
    ("markdown", "expected"),
    [
        ("plain words", "plain words"),
        ("# Top #\n## Sub **x**", "*Top*\n*Sub x*"),
        ("**bold** and __not__ and *italic* and ~~gone~~", "*bold* and __not__ and _italic_ and ~gone~"),
        ("- one\n  * two\n+ three", "• one\n  • two\n• three"),
        ("1. first", "1. first"),
        ("[a & b](https://x.example/?q=1&r=2)", "<https://x.example/?q=1&amp;r=2|a &amp; b>"),
        ("- **[A \\| B](https://a.example)** — x", "• *<https://a.example|A ¦ B>* — x"),
        ("[a](javascript:alert(1))", "[a](javascript:alert(1))"),
        ("![chart](https://x.example/c.png)", "<https://x.example/c.png|chart>"),
        ("<https://x.example>", "<https://x.example>"),
        ("mail [me](mailto:a@b.example)", "mail <mailto:a@b.example|me>"),
        ("`<b>` stays", "`&lt;b&gt;` stays"),
        ("```py\nif a < b:\n  # *x*\n```", "```\nif a &lt; b:\n  # *x*\n```"),
        ("```\nnever closed", "```\nnever closed\n```"),
        (
            "| a | b |\n| - | - |\n| 1 \\| 2 | <x> |\nend",
            "```\n| a | b |\n| - | - |\n| 1 | 2 | &lt;x&gt; |\n```\nend",
        ),
        ("> said *so*", "> said _so_"),
        ("---", "———"),
        ("2 * 3 * 4 and snake_case_name", "2 * 3 * 4 and snake_case_name"),
        ("\\*no bold\\* \\# \\- \\[x\\]", "*no bold* # - [x]"),
        ("\r\nline\r\n", "line"),
        ("***both***", "*_both_*"),
    ],
)
def test_markdown_becomes_slacks_markup(markdown: str, expected: str) -> None:
    assert mrkdwn(markdown) == expected


@pytest.mark.parametrize(
    "hostile",
    ["<!channel>", "<!here|here>", "<@U024BE7LH>", "<#C024BE91L>", "<!subteam^S1|@all>", "<mailto:x>"],
)
@pytest.mark.parametrize(
    "around", ["{}", "**{}**", "# {}", "- {}", "[{}](https://a.example)", "`{}`", "| {} |"]
)
def test_nothing_in_a_text_calls_people_or_channels(hostile: str, around: str) -> None:
    made = mrkdwn(around.format(hostile))
    assert "<!" not in made
    assert "<@" not in made
    assert "<#" not in made


@given(st.text(alphabet=st.sampled_from("ab <>&|@!#*_~`[]()\\\n-:/.hts"), max_size=200))
@example("[<!a>](https://x)")
def test_whatever_the_text_only_addresses_stand_in_angle_brackets(words: str) -> None:
    made = mrkdwn(words)
    for piece in made.split("<")[1:]:
        assert piece.startswith(("http://", "https://", "mailto:"))
        assert ">" in piece


@pytest.mark.parametrize("piece", ["[", "\\", "*", "**a", "[a](", "`", "~~", "<http://", "![", "| ", "# "])
def test_a_text_made_to_be_slow_is_read_all_the_same(piece: str) -> None:
    assert len(mrkdwn(piece * 8000)) < 400_000


@pytest.mark.parametrize(
    ("markup", "expected"),
    [
        ("Hi <@U024BE7LH> and <@U000000001|ben>", "Hi @Maya and @ben"),
        ("<#C024BE91L|general> <#C024BE91L>", "#general #C024BE91L"),
        ("<!here> <!subteam^S1|@devs> <!date^1^{date}|Monday>", "@here @devs Monday"),
        ("<https://a.example|A> <https://b.example>", "A (https://a.example) https://b.example"),
        ("<mailto:a@b.example|a@b.example>", "a@b.example"),
        ("1 &lt; 2 &amp;&amp; &amp;copy;", "1 < 2 && &copy;"),
    ],
)
def test_slacks_markup_becomes_the_words_people_see(markup: str, expected: str) -> None:
    assert plain(markup, {"U024BE7LH": "Maya"}) == expected


def test_a_message_without_text_is_shown_by_its_blocks_or_attachments() -> None:
    blocks = [
        {"type": "header", "text": {"type": "plain_text", "text": "Build 7"}},
        {
            "type": "section",
            "fields": [{"type": "mrkdwn", "text": "*ok*"}, {"type": "mrkdwn", "text": "3 min"}],
        },
    ]
    message: Json = {"ts": "1.000001", "bot_id": "B1", "username": "CI", "text": "", "blocks": blocks}
    shown = shown_message(message, "C1", {})
    assert shown["text"] == "Build 7\n*ok*\n3 min"
    assert shown["author"] == {"id": "B1", "name": "CI", "app": True}
    attached = {"ts": "1.000001", "attachments": [{"fallback": "Disk full"}]}
    assert shown_message(attached, "C1", {})["text"] == "Disk full"


@given(st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2200, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_a_time_and_its_id_say_the_same_to_the_microsecond(moment: datetime) -> None:
    assert moment_of(stamp_of(moment)) == moment


# --- who and where


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        ("#team-updates", "#team-updates"),
        (" Team-Updates ", "#team-updates"),
        ("C024BE91L", "C024BE91L"),
        ("#C024BE91L", "#c024be91l"),
        ("<#C024BE91L|general>", "C024BE91L"),
        ("https://acme.slack.com/archives/C024BE91L/p1732192800000100", "C024BE91L"),
        ("https://app.slack.com/client/T024BE7LD/C024BE91L", "C024BE91L"),
        ("#größe", "#größe"),
    ],
)
def test_a_channel_may_be_named_in_many_ways(given_: str, expected: str) -> None:
    assert channel_given(given_) == expected
    tool = SLACK.tool("slack.post_message")
    assert tool.destination({"channel": given_}) == Destination(expected, expected)
    assert tool.summary({"channel": given_}) == f"posts to {expected}"


@pytest.mark.parametrize(
    "given_", ["", "#", "two words", "#a,#b", "https://evil.example/archives/C024BE91L", "<#", "@maya"]
)
def test_what_is_no_channel_has_no_destination(given_: str) -> None:
    with pytest.raises(ValueError, match="Slack channel"):
        channel_given(given_)
    assert SLACK.tool("slack.post_message").destination({"channel": given_}) is None


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        ("@maya", "@maya"),
        ("Maya  Lindholm", "@Maya Lindholm"),
        ("Maya@Acme.example", "maya@acme.example"),
        ("U024BE7LH", "U024BE7LH"),
        ("<@U024BE7LH|maya>", "U024BE7LH"),
    ],
)
def test_a_person_may_be_named_in_many_ways(given_: str, expected: str) -> None:
    assert person_given(given_) == expected
    tool = SLACK.tool("slack.send_direct_message")
    assert tool.destination({"person": given_}) == Destination(expected, expected)


def test_reading_has_no_destination_and_sending_reaches_people() -> None:
    access = {name.removeprefix("slack."): tool.access for name, tool in SLACK.tools.items()}
    assert {name for name, kind in access.items() if kind is Access.SEND} == {
        "post_message",
        "reply_in_thread",
        "send_direct_message",
    }
    assert {name for name, kind in access.items() if kind is Access.WRITE} == {
        "update_message",
        "join_channel",
    }


# --- troubles


def answered(body: Any, status: int = 200) -> Answer:
    return Answer(status, httpx.Headers(), json.dumps(body).encode())


@pytest.mark.parametrize("code", TROUBLES)
def test_every_known_trouble_is_told_in_plain_words_that_name_slack(code: str) -> None:
    said = TROUBLES[code]
    assert read_trouble(answered({"ok": False, "error": code})) == said
    if said.text:
        assert looks_plain(said.text)
        assert "Slack" in said.text


@pytest.mark.parametrize(
    ("code", "trouble", "lasting"),
    [
        ("invalid_auth", Trouble.SIGNED_OUT, False),
        ("token_expired", Trouble.SIGNED_OUT, False),
        ("token_revoked", Trouble.SIGNED_OUT, True),
        ("account_inactive", Trouble.SIGNED_OUT, True),
        ("ratelimited", Trouble.SLOW_DOWN, False),
        ("not_in_channel", Trouble.FORBIDDEN, False),
        ("channel_not_found", Trouble.NOT_FOUND, False),
        ("is_archived", Trouble.CONFLICT, False),
        ("msg_too_long", Trouble.REFUSED, False),
        ("internal_error", Trouble.DOWN, False),
    ],
)
def test_troubles_mean_what_slack_says_of_them(code: str, trouble: Trouble, lasting: bool) -> None:
    said = read_trouble(answered({"ok": False, "error": code}))
    assert said is not None
    assert (said.trouble, said.lasting) == (trouble, lasting)


def test_an_unknown_trouble_is_told_in_slacks_own_words() -> None:
    said = read_trouble(answered({"ok": False, "error": "moon_is_full"}))
    assert said is not None
    assert (said.trouble, said.text) == (Trouble.REFUSED, "Slack did not accept that. It says: moon is full.")


def test_good_answers_are_no_trouble_and_answers_of_another_kind_are_left_to_their_status() -> None:
    assert read_trouble(answered({"ok": True})) is None
    assert read_trouble(Answer(502, httpx.Headers(), b"<html>")) is None
    assert read_trouble(answered({"message": "gone"}, 404)) is None
    assert read_trouble(answered([1])) is None
    strange = read_trouble(answered({"object": "list"}))
    assert strange is not None
    assert strange.trouble is Trouble.DOWN


# --- events


@pytest.fixture
def state() -> StandinState:
    return StandinState(now=lambda: NOW, rate_per_second=None)


def told(state: StandinState, **about: Any) -> list[Occurrence]:
    payload, headers = delivery(state, {"channel": "#general", **about})
    return read_delivery(headers, json.loads(json.dumps(payload)))


def test_a_posted_message_is_told_as_the_reading_tools_show_it(state: StandinState) -> None:
    (happened,) = told(state, event="message", user="Derek Osei", text="Is it <https://a.example|live>?")
    derek = state.workspace.person("Derek Osei")
    assert derek is not None
    channel = state.workspace.called("general")
    assert happened.type == "message.posted"
    assert happened.id == happened.version == happened.item["id"] == channel.messages[-1].ts
    assert happened.resource == happened.item["channel"] == channel.id
    assert happened.author == derek.id
    assert happened.item["text"] == "Is it live (https://a.example)?"
    assert happened.at == NOW


def test_a_mention_and_a_reaction_are_told(state: StandinState) -> None:
    (mention,) = told(state, event="app_mention", user="Maya Lindholm", text="summary please")
    assert mention.type == "mention.received"
    assert mention.item["text"] == f"@{state.workspace.app.id} summary please"
    message = state.workspace.called("general").messages[0]
    (reaction,) = told(state, event="reaction_added", ts=message.ts, reaction="eyes", by="Jonas Weber")
    jonas = state.workspace.person("Jonas Weber")
    assert jonas is not None
    assert (reaction.type, reaction.id, reaction.author) == ("reaction.added", message.ts, jonas.id)
    assert (reaction.item["reaction"], reaction.item["message_author"]) == ("eyes", message.user)
    state.now = lambda: NOW + timedelta(seconds=1)
    state.workspace.now = state.now
    (again,) = told(state, event="reaction_added", ts=message.ts, reaction="eyes", by="Jonas Weber")
    assert again.version != reaction.version  # taken away and given again


@pytest.mark.parametrize(
    "about",
    [
        {"event": "message_changed"},
        {"event": "message", "subtype": "channel_join", "text": "<@U1> has joined the channel"},
        {"event": "message", "subtype": "channel_topic"},
        {"event": "message", "subtype": "message_deleted"},
        {"event": "message", "subtype": "bot_add"},
    ],
)
def test_edits_joins_and_the_like_are_no_posted_messages(state: StandinState, about: Json) -> None:
    assert told(state, **about) == []


@pytest.mark.parametrize("subtype", ["file_share", "me_message", "thread_broadcast"])
def test_messages_of_people_with_a_subtype_are_posted_messages(state: StandinState, subtype: str) -> None:
    assert [one.type for one in told(state, event="message", subtype=subtype)] == ["message.posted"]


def test_a_reply_seen_in_its_thread_only_is_none(state: StandinState) -> None:
    parent = state.workspace.called("general").messages[0].ts
    assert told(state, event="message", thread_ts=parent, text="Reply") == []
    assert told(state, event="message", thread_ts=parent, text="Loud", subtype="thread_broadcast")


def test_our_own_messages_are_told_with_the_app_as_their_author(state: StandinState) -> None:
    app = state.workspace.app
    (happened,) = told(state, event="message", user=app.name, text="From us")
    assert happened.author == app.id
    payload, headers = delivery(state, {"event": "message", "channel": "#general", "user": app.name})
    old = payload["event"] | {"subtype": "bot_message"}
    del old["user"]
    (classic,) = read_delivery(headers, {**payload, "event": old})
    assert classic.author == app.id
    (other,) = read_delivery(headers, {**payload, "event": {**old, "app_id": "A000000000", "bot_id": "B7"}})
    assert other.author == "B7"


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"type": "url_verification", "challenge": "x"},
        {"type": "event_callback"},
        {"type": "event_callback", "event": []},
        {"type": "event_callback", "event": {"type": "message", "ts": "٣.1", "channel": "C1"}},
        {"type": "event_callback", "event": {"type": "message", "ts": "99999999999999.1", "channel": "C1"}},
        {"type": "event_callback", "event": {"type": "message", "ts": "1.1", "channel": "C1", "subtype": []}},
        {"type": "event_callback", "event": {"type": "reaction_added", "item": "x", "event_ts": 1}},
        {"type": "event_callback", "event": {"type": "app_mention", "ts": {}, "channel": None}},
        {
            "type": "event_callback",
            "event": {"type": "message", "app_id": "A"},
            "api_app_id": "A",
            "authorizations": [1],
        },
    ],
)
def test_deliveries_of_any_form_are_read_without_an_error(payload: Json) -> None:
    assert all(isinstance(one, Occurrence) for one in read_delivery({}, payload))


async def test_looking_finds_what_a_delivery_tells_with_the_same_key(state: StandinState) -> None:
    async with sample_client(SLACK, NOW) as client:
        found = await posted_since(client, "#team-updates", NOW - timedelta(days=30))
        assert [one.at for one in found] == sorted(one.at for one in found)
        assert [one.item["author"]["name"] for one in found] == ["Derek", "Jonas", "Derek", "Sandra", "Maya"]
        everywhere = await posted_since(client, None, NOW - timedelta(days=30))
        assert {one.resource for one in everywhere} >= {found[0].resource}
        assert len(everywhere) > len(found)
    channel = state.workspace.called("team-updates")
    seen = {(one.resource, one.id, one.version) for one in found}
    for message in channel.messages[-5:]:
        pushed = told(state, event="message", channel="#team-updates", ts=message.ts)
        assert {(one.resource, one.id, one.version) for one in pushed} <= seen


# --- sample data


async def test_a_channel_and_a_person_that_samples_do_not_have_are_made_up() -> None:
    async with sample_client(SLACK, NOW) as client:
        read = SLACK.tool("slack.read_messages")
        assert len((await read.call(client, {"channel": "#our-own-channel"}))["messages"]) == 5
        assert (await read.call(client, {"channel": "C0OUROWN01"}))["messages"]
        posted = await SLACK.tool("slack.post_message").call(
            client, {"channel": "#our-own-channel", "text": "x"}
        )
        assert posted["channel"]["name"] == "#our-own-channel"
        direct = SLACK.tool("slack.send_direct_message")
        for person in ("@somebody", "somebody@else.example", "U0SOMEBODY"):
            assert (await direct.call(client, {"person": person, "text": "x"}))["person"]["id"]


async def test_samples_take_a_known_channel_by_its_own_id() -> None:
    known: Json = {"id": "C0KNOWN001", "name": "#leads", "fields": []}
    async with sample_client(SLACK, NOW, resources=[known]) as client:
        posted = await SLACK.tool("slack.post_message").call(client, {"channel": "#leads", "text": "x"})
    assert posted["channel"]["id"] == "C0KNOWN001"
