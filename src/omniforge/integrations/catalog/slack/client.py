"""Slack's methods for one connection: paging, names of channels and people, marks of messages."""

from __future__ import annotations

import difflib
import re
from collections.abc import AsyncGenerator, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from omniforge.core.errors import Invalid
from omniforge.integrations.catalog.slack.shapes import Json, is_person, moment_of, person_name
from omniforge.integrations.errors import ResourceNotFound, ServiceDown
from omniforge.integrations.loose import items, mapping, text
from omniforge.integrations.rest import RestClient

CHANNEL_ID = re.compile(r"[CGD][A-Z0-9]{8,30}")
PERSON_ID = re.compile(r"[UW][A-Z0-9]{8,30}")
CHANNEL_NAME = re.compile(r"[\w-]{1,80}")
IN_ADDRESS = re.compile(
    r"https://[\w.-]+\.slack\.com/(?:archives|client/T\w+)/([CGD][A-Z0-9]{8,30})(?:[/?#].*)?"
)

MOST_AT_ONCE = {"conversations.history": 200, "conversations.replies": 200}
PAGE = 500
MOST_PAGES = 400
FEW = 5
"""Up to so many people are asked for one by one; for more the whole list is read."""
LOOK_BACK = timedelta(days=2)
MOST_LOOKED_AT = 4_000
MARKED = "omniforge_message"
"""Type of the metadata that carry the mark of a message."""

Params = list[tuple[str, str]]


def channel_given(given: str) -> str:
    """The id or `#name` in what somebody wrote: an id, a name, a mention, or the channel's address."""
    words = given.strip()
    if words.startswith("<#"):
        words = words[2:].partition("|")[0].rstrip(">")
    if found := IN_ADDRESS.fullmatch(words):
        return found[1]
    if CHANNEL_ID.fullmatch(words):
        return words
    name = words.removeprefix("#").lower()
    if not CHANNEL_NAME.fullmatch(name):
        raise ValueError("a Slack channel: #name, its id, or its address")
    return f"#{name}"


def person_given(given: str) -> str:
    """The id, e-mail address or `@name` in what somebody wrote."""
    words = " ".join(given.split())
    if words.startswith("<@"):
        words = words[2:].partition("|")[0].rstrip(">")
    if PERSON_ID.fullmatch(words):
        return words
    name = words.removeprefix("@")
    if not name or any(sign in name for sign in "<>#|"):
        raise ValueError("a person in Slack: @name, an e-mail address, or an id")
    return name.lower() if "@" in name else f"@{name}"


@dataclass(slots=True)
class Gathered:
    """Results of all pages; `truncated` when there are more than we take."""

    results: list[Json] = field(default_factory=list[Json])
    truncated: bool = False


class Slack:
    """Slack for one connection."""

    def __init__(self, rest: RestClient) -> None:
        self.rest = rest

    async def read(self, method: str, params: Sequence[tuple[str, str]] = ()) -> Json:
        return await self.rest.get(f"/api/{method}", params)

    async def write(self, method: str, body: Json, *, changes: bool = True) -> Json:
        return await self.rest.post(f"/api/{method}", body, changes=changes)

    async def me(self) -> Json:
        me = await self.read("auth.test")
        if not text(me.get("user_id")) or not text(me.get("team_id")):
            raise ServiceDown("Slack did not say who we are.", retryable=True, reason="unreadable")
        return me

    # --- channels

    async def channels(self, *, archived: bool = False) -> Gathered:
        """Every channel the app can see: public ones, and private ones it is in."""
        params = [
            ("types", "public_channel,private_channel"),
            ("exclude_archived", "false" if archived else "true"),
        ]
        return await self.gather("conversations.list", params, "channels")

    async def own_channels(self) -> Gathered:
        """The channels the app is in."""
        params = [("types", "public_channel,private_channel"), ("exclude_archived", "true")]
        return await self.gather("users.conversations", params, "channels")

    async def channel(self, channel_id: str) -> Json:
        params = [("channel", channel_id), ("include_num_members", "true")]
        found = mapping((await self.read("conversations.info", params)).get("channel"))
        if not text(found.get("id")):
            raise unreadable("a channel")
        return found

    async def find_channel(self, given: str) -> tuple[str, str]:
        """Id and `#name` of a channel as `channel_given` writes it; of an id the name is not looked up.

        Those the app is in are searched first: there are few, and only there can it post.
        """
        if not given.startswith("#"):
            return given, given
        name, names = given[1:], list[str]()
        for listed in (self.own_channels, self.channels):
            channels = (await listed()).results
            for channel in channels:
                if name in (channel.get("name"), channel.get("name_normalized")):
                    return text(channel.get("id")), given
            names = [text(channel.get("name")) for channel in channels]
        try:  # what is not listed only Slack can know
            found = await self.channel(given)
        except ResourceNotFound:
            hint = near(name, names, "#")
            raise ResourceNotFound(
                f"There is no channel {given} in this Slack that the app can see. {hint}"
                "If it is private, invite the app there first."
            ) from None
        return text(found.get("id")), given

    # --- people

    async def people(self) -> Gathered:
        return await self.gather("users.list", [], "members")

    async def names(self, ids: Collection[str]) -> dict[str, str]:
        """Names by user id; somebody Slack does not show is left out."""
        if len(ids) > FEW:
            everybody = (await self.people()).results
            return {text(user.get("id")): person_name(user) for user in everybody if user.get("id") in ids}
        found: dict[str, str] = {}
        for user_id in sorted(ids):
            try:
                user = mapping((await self.read("users.info", [("user", user_id)])).get("user"))
            except ResourceNotFound:
                continue
            found[user_id] = person_name(user)
        return found

    async def find_person(self, given: str) -> tuple[str, str]:
        """Id and name of the one person `person_given` means."""
        if PERSON_ID.fullmatch(given):
            return given, given
        if not given.startswith("@"):
            user = mapping((await self.read("users.lookupByEmail", [("email", given)])).get("user"))
            return text(user.get("id")), person_name(user)
        everybody = [user for user in (await self.people()).results if is_person(user)]
        found = [user for user in everybody if given[1:].casefold() in _ways_to_call(user)]
        if len(found) > 1:
            known = ", ".join(f"{person_name(user)} ({user.get('id')})" for user in found[:5])
            entry = {"field": "person", "value": given, "rule": f"one of these ids: {known}"}
            raise Invalid(f"Slack has {len(found)} people called {given}. Say which one.", fields=[entry])
        user = found[0] if found else await self._unlisted_person(given, everybody)
        return text(user.get("id")), person_name(user)

    async def _unlisted_person(self, given: str, everybody: Sequence[Json]) -> Json:
        """Somebody who is not listed only Slack can know."""
        try:
            return mapping((await self.read("users.info", [("user", given)])).get("user"))
        except ResourceNotFound:
            hint = near(given[1:].casefold(), [person_name(user) for user in everybody], "@")
            raise ResourceNotFound(f"There is nobody called {given} in this Slack. {hint}".strip()) from None

    async def direct_channel(self, person_id: str) -> str:
        """The conversation between the app and one person; asking twice gives the same one."""
        answer = await self.write("conversations.open", {"users": person_id}, changes=False)
        channel = text(mapping(answer.get("channel")).get("id"))
        if not channel:
            raise unreadable("a direct message")
        return channel

    # --- messages

    async def history(self, channel_id: str, params: Params, limit: int = PAGE * MOST_PAGES) -> Gathered:
        """Messages of a channel, the latest first."""
        return await self.gather(
            "conversations.history", [("channel", channel_id), *params], "messages", limit
        )

    async def thread(self, channel_id: str, stamp: str, params: Params, limit: int) -> Gathered:
        """The message and its replies, the first first; of a reply, that one only."""
        asked = [("channel", channel_id), ("ts", stamp), *params]
        return await self.gather("conversations.replies", asked, "messages", limit)

    async def message(self, channel_id: str, stamp: str) -> Json:
        """One message with its metadata, in a thread or not."""
        params = [
            ("oldest", stamp),
            ("latest", stamp),
            ("inclusive", "true"),
            ("include_all_metadata", "true"),
        ]
        found = (await self.thread(channel_id, stamp, params, 1)).results
        if not found or found[0].get("ts") != stamp:
            raise ResourceNotFound("I can't find that message in Slack any more. Was it deleted?")
        return found[0]

    async def recent(self, channel_id: str) -> Gathered:
        """Messages with metadata, back to two days before the latest one."""
        asked = [("channel", channel_id), ("include_all_metadata", "true")]
        found, newest = Gathered(), None
        async for page in self._pages("conversations.history", asked, "messages", PAGE):
            found.results += page
            times = [time for one in page if (time := moment_of(text(one.get("ts"))))]
            newest = newest or max(times, default=None)
            if newest and times and newest - min(times) > LOOK_BACK:
                break
            if len(found.results) >= MOST_LOOKED_AT:
                found.truncated = True
                break
        return found

    # --- paging

    async def gather(self, method: str, params: Params, key: str, limit: int = PAGE * MOST_PAGES) -> Gathered:
        """Page after page until the end or `limit` results."""
        found = Gathered()
        async for page in self._pages(method, params, key, limit + 1):
            found.results += page
            if len(found.results) > limit:
                found.truncated = True
                del found.results[limit:]
                break
        return found

    async def _pages(self, method: str, params: Params, key: str, most: int) -> AsyncGenerator[list[Json]]:
        size, cursor, seen = min(MOST_AT_ONCE.get(method, PAGE), most), "", set[str]()
        while True:
            paging = [("limit", str(size)), *([("cursor", cursor)] if cursor else [])]
            answer = await self.read(method, [*params, *paging])
            if not isinstance(answer.get(key), list):
                raise unreadable("a list")
            yield items(answer[key])
            cursor = text(mapping(answer.get("response_metadata")).get("next_cursor"))
            if not cursor:
                return
            if cursor in seen or len(seen) >= MOST_PAGES:
                raise ServiceDown("Slack sent a list without an end.", retryable=False, reason="unreadable")
            seen.add(cursor)


def unreadable(what: str) -> ServiceDown:
    return ServiceDown(f"Slack sent {what} that cannot be read.", retryable=True, reason="unreadable")


def near(wanted: str, names: Iterable[str], sign: str) -> str:
    """A sentence naming what may have been meant; empty when nothing is near."""
    by_word = {name.casefold(): f"{sign}{name}" for name in names}
    found = difflib.get_close_matches(wanted, by_word, n=3, cutoff=0.6)
    return f"Did you mean {' or '.join(by_word[word] for word in found)}? " if found else ""


def _ways_to_call(user: Json) -> set[str]:
    profile = mapping(user.get("profile"))
    names = (
        user.get("name"),
        user.get("real_name"),
        profile.get("real_name"),
        profile.get("display_name"),
        profile.get("email"),
    )
    return {text(name).casefold() for name in names} - {""}
