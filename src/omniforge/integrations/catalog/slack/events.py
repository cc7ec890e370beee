"""What happens in Slack and can start an agent: from deliveries of the Events API, and by looking."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from omniforge.integrations.catalog.slack import shapes
from omniforge.integrations.catalog.slack.client import Slack, channel_given
from omniforge.integrations.catalog.slack.shapes import Json
from omniforge.integrations.loose import items, mapping, text
from omniforge.integrations.manifest import EventKind, Occurrence
from omniforge.integrations.rest import RestClient


def read_delivery(_headers: Mapping[str, str], payload: Json) -> list[Occurrence]:
    """What one envelope tells of. Our own messages are told too, with the app's user as their author."""
    if payload.get("type") != "event_callback":
        return []
    event = mapping(payload.get("event"))
    match event.get("type"):
        case "message":
            happened = _posted(event, text(event.get("channel")), _us(payload, event))
        case "app_mention":
            happened = _mentioned(event)
        case "reaction_added":
            happened = _reacted(event)
        case _:
            happened = None
    return [happened] if happened else []


def _us(payload: Json, event: Json) -> str:
    """The app's user, when the event is about the app's own message; empty otherwise.

    An app's messages carry the app's id; the user is missing in those of older apps.
    """
    if not event.get("app_id") or event.get("app_id") != payload.get("api_app_id"):
        return ""
    bots = [one for one in items(payload.get("authorizations")) if one.get("is_bot") is True]
    return text(bots[0].get("user_id")) if bots else ""


def _posted(
    message: Json, channel: str, us: str = "", people: Mapping[str, str] | None = None
) -> Occurrence | None:
    """A message in a channel. Edits, joins and replies that are seen in a thread only are something else."""
    moment = shapes.moment_of(text(message.get("ts")))
    if moment is None or not channel or not shapes.is_written(message) or shapes.is_inside_thread(message):
        return None
    return Occurrence(
        type="message.posted",
        id=text(message.get("ts")),
        version=text(message.get("ts")),
        at=moment,
        resource=channel,
        item={"channel": channel, **shapes.shown_message(message, channel, people or {})},
        author=text(message.get("user")) or us or shapes.author_of(message) or None,
    )


def _mentioned(event: Json) -> Occurrence | None:
    moment, channel = shapes.moment_of(text(event.get("ts"))), text(event.get("channel"))
    if moment is None or not channel or "edited" in event:
        return None
    return Occurrence(
        type="mention.received",
        id=text(event.get("ts")),
        version=text(event.get("ts")),
        at=moment,
        resource=channel,
        item={"channel": channel, **shapes.shown_message(event, channel, {})},
        author=shapes.author_of(event) or None,
    )


def _reacted(event: Json) -> Occurrence | None:
    about = mapping(event.get("item"))
    stamp, when = text(about.get("ts")), text(event.get("event_ts"))
    moment, channel = shapes.moment_of(when), text(about.get("channel"))
    if moment is None or about.get("type") != "message" or not channel or not shapes.moment_of(stamp):
        return None
    person, reaction = text(event.get("user")), text(event.get("reaction"))
    return Occurrence(
        type="reaction.added",
        id=stamp,
        version=f"{reaction}:{person}:{when}",
        at=moment,
        resource=channel,
        item={
            "channel": channel,
            "message": stamp,
            "reaction": reaction,
            "by": person,
            "message_author": text(event.get("item_user")),
        },
        author=person or None,
    )


async def posted_since(client: RestClient, resource: str | None, since: datetime) -> list[Occurrence]:
    """Every message since then, oldest first: in one channel (its id or `#name`), or in all the app is in."""
    slack = Slack(client)
    if resource is not None:
        channels = [(await slack.find_channel(channel_given(resource)))[0]]
    else:
        channels = [text(channel.get("id")) for channel in (await slack.own_channels()).results]
    window = [("oldest", shapes.stamp_of(since)), ("inclusive", "true")]
    found: list[Occurrence] = []
    for channel in channels:
        messages = (await slack.history(channel, window)).results
        people = await slack.names(shapes.mentioned(messages)) if messages else {}
        found += [one for message in messages if (one := _posted(message, channel, people=people))]
    return sorted(found, key=lambda one: (one.at, one.resource or ""))


EVENTS: tuple[EventKind, ...] = (
    EventKind(
        name="message.posted",
        title="a new message in a channel",
        resource_kind="channel",
        push=True,
        poll=posted_since,
    ),
    EventKind(name="mention.received", title="somebody mentions the app", resource_kind="channel", push=True),
    EventKind(name="reaction.added", title="a reaction to a message", resource_kind="channel", push=True),
)
