"""The workspace the local server holds: people, channels, messages."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from omniforge.integrations.catalog.slack.shapes import moment_of, stamp_of
from omniforge.integrations.standin import stable_id

FIXTURES = Path(__file__).parent.parent / "fixtures"

Json = dict[str, Any]


def slack_id(prefix: str, *parts: object) -> str:
    """An id as Slack writes them, the same in every start: `C` for channels, `U` for people …"""
    digits, number = "", int(stable_id("slack", prefix, *parts).replace("-", ""), 16)
    while len(digits) < 10:
        number, rest = divmod(number, 36)
        digits += "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"[rest]
    return prefix + digits


@dataclass(slots=True)
class Person:
    id: str
    name: str
    handle: str
    email: str = ""
    title: str = ""
    tz: str = "Europe/Stockholm"
    deleted: bool = False
    bot_id: str = ""
    """Set for apps only."""


@dataclass(slots=True)
class Message:
    """`content` are fields of the message beside those named here (blocks, metadata, subtype …)."""

    ts: str
    user: str
    text: str
    thread_ts: str = ""
    edited_ts: str = ""
    reactions: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    content: Json = field(default_factory=dict[str, Any])


@dataclass(slots=True)
class Channel:
    id: str
    name: str
    created: datetime
    members: list[str]
    private: bool = False
    archived: bool = False
    topic: str = ""
    purpose: str = ""
    direct_to: str = ""
    """The other person, when this is a direct message."""
    messages: list[Message] = field(default_factory=list[Message])
    """By time."""

    def message(self, ts: str) -> Message | None:
        return next((message for message in self.messages if message.ts == ts), None)

    def replies_to(self, ts: str) -> list[Message]:
        return [message for message in self.messages if message.thread_ts == ts and message.ts != ts]


@dataclass(slots=True)
class Workspace:
    id: str
    name: str
    domain: str
    app: Person
    now: Callable[[], datetime]
    people: list[Person] = field(default_factory=list[Person])
    channels: list[Channel] = field(default_factory=list[Channel])
    like: str | None = None
    """Sample data: a channel or person that is not there is made up, as a dry run cannot know them all; what
    is said in the channel of this name is said there, too."""

    @property
    def everybody(self) -> list[Person]:
        """All users, in the order they came: people, Slack's own robot, the app."""
        slackbot = Person("USLACKBOT", "Slackbot", "slackbot")
        return [*self.people, slackbot, self.app]

    def person(self, given: str) -> Person | None:
        """By id, full name, or e-mail address."""
        found = next((p for p in self.everybody if given and given in (p.id, p.name, p.email)), None)
        if found is None and self.like and given:
            handle = given.removeprefix("@").partition("@")[0].lower().replace(" ", ".")
            found = Person(slack_id("U", "made up", given), given.removeprefix("@"), handle, given)
            self.people.append(found)
        return found

    def channel(self, given: str) -> Channel | None:
        """By id or name."""
        name = given.removeprefix("#")
        found = next(
            (c for c in self.channels if given == c.id or (name == c.name and not c.direct_to)), None
        )
        if found is None and self.like and name:
            known = given if not given.startswith("#") else slack_id("C", "made up", name)
            found = self.make_up(known, name.lower())
        return found

    def called(self, name: str) -> Channel:
        return next(channel for channel in self.channels if channel.name == name)

    def make_up(self, channel_id: str, name: str) -> Channel:
        """A channel of everybody in which the same is said as in the one called `like`."""
        model = self.called(str(self.like))
        channel = self.add_channel(channel_id, name, list(model.members))
        channel.messages = [replace(message) for message in model.messages]
        return channel

    def add_channel(self, channel_id: str, name: str, members: list[str], **more: Any) -> Channel:
        channel = Channel(channel_id, name, self.now() - timedelta(days=400), members, **more)
        self.channels.append(channel)
        return channel

    def direct(self, person: Person) -> Channel:
        """The conversation between the app and somebody."""
        found = next((channel for channel in self.channels if channel.direct_to == person.id), None)
        if found is None:
            direct_id = slack_id("D", self.id, person.id)
            found = self.add_channel(direct_id, "", [person.id, self.app.id], direct_to=person.id)
        return found

    def add(
        self, channel: Channel, user: str, text: str, when: datetime | None = None, **more: Any
    ) -> Message:
        """A message at a moment of its own: no two messages of a channel have the same `ts`."""
        moment, taken = when or self.now(), {message.ts for message in channel.messages}
        while (ts := stamp_of(moment)) in taken:
            moment += timedelta(microseconds=100)
        message = Message(ts, user, text, **more)
        channel.messages.append(message)
        channel.messages.sort(key=lambda one: moment_of(one.ts) or self.now())
        return message


@cache
def read_fixture(name: str) -> Json:
    content: Json = json.loads((FIXTURES / name).read_text(encoding="utf-8"))
    return content


def empty_workspace(now: Callable[[], datetime], which: str = "team") -> Workspace:
    """People and channels of `fixtures/workspace.json`, without a message; the second team has no channel."""
    source = read_fixture("workspace.json")
    team = source[which]
    team_id, name = slack_id("T", team["domain"]), source["app"]
    app = Person(slack_id("U", team_id, "app"), name, name.lower(), bot_id=slack_id("B", team_id))
    workspace = Workspace(team_id, team["name"], team["domain"], app, now)
    for p in source["people"]:
        person = Person(slack_id("U", p["handle"]), p["name"], p["handle"], p["email"], p["title"], p["tz"])
        person.deleted = p.get("deleted", False)
        workspace.people.append(person)
    for c in source["channels"] if which == "team" else ():
        wanted = c.get("members", [p.name for p in workspace.people if not p.deleted])
        members = [p.id for p in workspace.people if p.name in wanted] + ([app.id] if c["app"] else [])
        channel = workspace.add_channel(slack_id("C", c["name"]), c["name"], members)
        channel.private, channel.archived = c.get("private", False), c.get("archived", False)
        channel.topic, channel.purpose = c["topic"], c["purpose"]
    return workspace


def fill_with_samples(workspace: Workspace) -> None:
    """The messages of `fixtures/sample_messages.json`, at noon of their days."""
    for name, sources in read_fixture("sample_messages.json").items():
        channel = workspace.called(name)
        for number, source in enumerate(sources):
            noon = workspace.now().replace(hour=12, minute=number * 7 % 60, second=0, microsecond=100)
            _add_sample(workspace, channel, source, noon - timedelta(days=source["days_ago"]))


def _add_sample(workspace: Workspace, channel: Channel, source: Json, when: datetime) -> None:
    message = workspace.add(
        channel, _id_of(workspace, source["author"]), _text(workspace, source["text"]), when
    )
    if source.get("edited"):
        message.edited_ts = stamp_of(when + timedelta(minutes=2))
    for name, count in source.get("reactions", {}).items():
        message.reactions[name] = [person.id for person in workspace.people[:count]]
    for number, reply in enumerate(source.get("replies", ()), 1):
        author, words = _id_of(workspace, reply["author"]), _text(workspace, reply["text"])
        workspace.add(channel, author, words, when + timedelta(minutes=5 * number), thread_ts=message.ts)


def _id_of(workspace: Workspace, name: str) -> str:
    return next(person.id for person in workspace.everybody if person.name == name)


def _text(workspace: Workspace, words: str) -> str:
    """Names in `<@…>` and `<#…>` as the ids Slack puts there."""
    for person in workspace.people:
        words = words.replace(f"<@{person.name}>", f"<@{person.id}>")
    for channel in workspace.channels:
        words = words.replace(f"<#{channel.name}>", f"<#{channel.id}|{channel.name}>")
    return words


SUBJECTS = (
    "Aurora Health",
    "Bluefin Logistics",
    "Cobalt Bank",
    "Delta Foods",
    "Everline Retail",
    "Fjord Energy",
)
STATES = (
    "is on track",
    "waits for an answer",
    "ships on Thursday",
    "needs a decision",
    "is done",
    "is at risk",
)


def acme_workspace(now: Callable[[], datetime]) -> Workspace:
    """The samples, and a long history in #team-updates: 240 messages over 120 days."""
    workspace = empty_workspace(now)
    fill_with_samples(workspace)
    channel = workspace.called("team-updates")
    active = [person for person in workspace.people if not person.deleted]
    for number in range(240):
        when = now() - timedelta(days=13, hours=11 * number)
        words = f"{SUBJECTS[number % 6]} {STATES[number // 6 % 6]} (#{number + 1})."
        workspace.add(channel, active[number % len(active)].id, words, when)
    support = workspace.called("support")
    joined = Message(
        stamp_of(now() - timedelta(days=20)), active[3].id, f"<@{active[3].id}> has joined the channel"
    )
    joined.content = {"subtype": "channel_join"}
    support.messages.insert(0, joined)
    return workspace


def visible_to_app(workspace: Workspace, channels: Iterable[Channel]) -> list[Channel]:
    """Public channels, and private ones the app is in."""
    return [c for c in channels if not c.direct_to and (not c.private or workspace.app.id in c.members)]
