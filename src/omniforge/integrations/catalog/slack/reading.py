"""What the reading tools do: channels, messages and people."""

from __future__ import annotations

from collections.abc import Sequence

from omniforge.core.clock import rfc3339
from omniforge.integrations.catalog.slack import shapes
from omniforge.integrations.catalog.slack.arguments import (
    MOST_MESSAGES,
    FindMessage,
    ListChannels,
    Nothing,
    OneChannel,
    ReadMessages,
    SearchPeople,
)
from omniforge.integrations.catalog.slack.client import MARKED, Gathered, Params, Slack
from omniforge.integrations.catalog.slack.shapes import Json
from omniforge.integrations.errors import ServiceDown
from omniforge.integrations.loose import mapping, text
from omniforge.integrations.rest import RestClient

FIELDS = [
    {"name": "text", "type": "text"},
    {"name": "author", "type": "person"},
    {"name": "at", "type": "date"},
    {"name": "thread", "type": "text"},
    {"name": "replies", "type": "number"},
    {"name": "reactions", "type": "number"},
    {"name": "files", "type": "files"},
    {"name": "edited", "type": "checkbox"},
]
"""What a message is made of, in every channel."""


async def who_am_i(client: RestClient, _: Nothing) -> Json:
    me = await Slack(client).me()
    return {
        "user": {"id": text(me.get("user_id")), "name": text(me.get("user"), "Slack app")},
        "workspace": {
            "id": text(me.get("team_id")),
            "name": text(me.get("team"), "Slack workspace"),
            "url": text(me.get("url")),
        },
    }


async def list_channels(client: RestClient, args: ListChannels) -> Json:
    found = await Slack(client).channels(archived=args.archived)
    wanted = (args.search or "").strip().removeprefix("#").casefold()
    channels = [
        shapes.shown_channel(channel)
        for channel in found.results
        if wanted in text(channel.get("name")).casefold() and text(channel.get("id"))
    ]
    channels.sort(key=lambda channel: (not channel["app_is_in_it"], channel["name"]))
    return {"channels": channels, "truncated": found.truncated}


async def describe_channel(client: RestClient, args: OneChannel) -> Json:
    slack = Slack(client)
    channel_id, _ = await slack.find_channel(args.channel)
    channel = await slack.channel(channel_id)
    created = shapes.moment_of(f"{shapes.whole(channel.get('created'))}.0")
    return {
        **shapes.shown_channel(channel),
        "archived": channel.get("is_archived") is True,
        "created_at": rfc3339(created) if created else "",
        "fields": FIELDS,
    }


async def read_messages(client: RestClient, args: ReadMessages) -> Json:
    slack = Slack(client)
    channel_id, name = await slack.find_channel(args.channel)
    window = _window(args)
    found = await slack.history(channel_id, window, args.limit)
    written = [message for message in found.results if shapes.is_written(message)]
    truncated = found.truncated
    if args.replies:
        replies = await _replies(slack, channel_id, written, window)
        written += replies.results
        truncated |= replies.truncated
    written.sort(key=lambda message: text(message.get("ts")))
    truncated |= len(written) > args.limit
    written = written[-args.limit :]
    site = text((await slack.me()).get("url"))
    people = await slack.names(shapes.mentioned(written))
    return {
        "channel": {"id": channel_id, "name": name},
        "messages": [shapes.shown_message(message, channel_id, people, site) for message in written],
        "truncated": truncated,
    }


def _window(args: ReadMessages) -> Params:
    """Both ends included, as Slack has one word for both: the last moment is a microsecond earlier."""
    params: Params = []
    if args.after:
        params.append(("oldest", shapes.stamp_of(args.after)))
    if args.before:
        params.append(("latest", shapes.stamp_of(args.before - shapes.MOMENT)))
    return [*params, ("inclusive", "true")] if params else []


async def _replies(slack: Slack, channel_id: str, messages: Sequence[Json], window: Params) -> Gathered:
    """Replies in the window to those messages, without the ones that are in the channel anyway."""
    found = Gathered()
    for stamp in (
        text(message.get("ts")) for message in messages if shapes.whole(message.get("reply_count"))
    ):
        thread = await slack.thread(channel_id, stamp, window, MOST_MESSAGES)
        found.truncated |= thread.truncated
        found.results += [
            one for one in thread.results if shapes.is_inside_thread(one) and shapes.is_written(one)
        ]
    return found


async def search_people(client: RestClient, args: SearchPeople) -> Json:
    found = await Slack(client).people()
    wanted = args.search.strip().removeprefix("@").casefold()
    everybody = [shapes.shown_person(user) for user in found.results if shapes.is_person(user)]
    people = [
        person for person in everybody if any(wanted in str(value).casefold() for value in person.values())
    ]
    people.sort(key=lambda person: (person["name"].casefold(), person["id"]))
    return {"people": people[: args.limit], "truncated": found.truncated or len(people) > args.limit}


async def find_message(client: RestClient, args: FindMessage) -> Json:
    """Look for our own message that carries the mark, back to two days before the latest message there."""
    slack = Slack(client)
    if args.person is not None:
        person_id, name = await slack.find_person(args.person)
        channel_id = await slack.direct_channel(person_id)
    else:
        channel_id, name = await slack.find_channel(args.channel or "")
    if args.message is not None:
        looked_at = Gathered([await slack.message(channel_id, args.message)])
    elif args.thread is not None:
        metadata = [("include_all_metadata", "true")]
        looked_at = await slack.thread(channel_id, args.thread, metadata, MOST_MESSAGES)
    else:
        looked_at = await slack.recent(channel_id)
    us = text((await slack.me()).get("user_id"))
    for message in looked_at.results:
        if message.get("user") == us and args.mark in marks_of(message).values():
            return {"message": place_of(message, channel_id, name)}
    if looked_at.truncated:
        raise ServiceDown(
            f"So much was written in {name} in Slack that I can't tell whether the message is there. "
            "Please look, then decide whether it has to be sent again.",
            retryable=False,
            outcome_unknown=True,
        )
    return {"message": None}


def marks_of(message: Json) -> dict[str, str]:
    """`mark` of the write that posted a message, `edit` of the last one that changed it."""
    metadata = mapping(message.get("metadata"))
    if metadata.get("event_type") != MARKED:
        return {}
    payload = mapping(metadata.get("event_payload"))
    return {key: payload[key] for key in ("mark", "edit") if isinstance(payload.get(key), str)}


def place_of(message: Json, channel_id: str, name: str) -> Json:
    """Where a message is, so that it can be replied to or changed."""
    stamp, thread = text(message.get("ts")), text(message.get("thread_ts"))
    return {
        "id": stamp,
        "channel": {"id": channel_id, "name": name},
        "thread": thread if thread and thread != stamp else None,
    }
