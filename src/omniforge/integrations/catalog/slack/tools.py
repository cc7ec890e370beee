"""What can be done in Slack: the tools, where their messages go, and how to find them again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

import httpx

from omniforge.integrations.catalog.slack import posting, reading
from omniforge.integrations.catalog.slack.arguments import (
    FindMessage,
    ListChannels,
    Nothing,
    OneChannel,
    PostMessage,
    ReadMessages,
    ReplyInThread,
    SearchPeople,
    SendDirectMessage,
    UpdateMessage,
)
from omniforge.integrations.catalog.slack.client import channel_given, person_given
from omniforge.integrations.catalog.slack.troubles import read_trouble
from omniforge.integrations.manifest import Access, Arguments, Destination, IntegrationTool, Lookup

__all__ = ["TOOLS", "read_trouble", "samples"]

READERS: dict[str, Callable[[str], str]] = {"channel": channel_given, "person": person_given}


def _place(args: Arguments, key: str) -> str | None:
    """The channel or person as it will be looked up; None for what cannot be meant."""
    try:
        return READERS[key](str(args.get(key) or ""))
    except ValueError:
        return None


def _to(key: str) -> Callable[[Arguments], Destination | None]:
    def destination(args: Arguments) -> Destination | None:
        place = _place(args, key)
        return Destination(place, place) if place else None

    return destination


def _summary(before: str, key: str, after: str = "") -> Callable[[Arguments], str]:
    return lambda args: f"{before} {_place(args, key) or f'a Slack {key}'}{after}"


def _found_by_mark(*keys: str) -> Callable[[Arguments], Lookup | None]:
    """The search for what a call with these arguments would have posted; None when it carries no mark."""

    def lookup(args: Arguments) -> Lookup | None:
        if not args.get("mark"):
            return None
        wanted = {key: args[key] for key in (*keys, "mark") if key in args}
        return Lookup("slack.find_message", wanted, "message")

    return lookup


def _window(args: Arguments) -> str:
    words = (("after", "since"), ("before", "before"))
    parts = [f"{word} {args[key]}" for key, word in words if args.get(key)]
    return f" ({', '.join(parts)})" if parts else ""


def samples(
    now: datetime, *, resources: Sequence[Arguments] = (), empty: bool = False
) -> httpx.AsyncBaseTransport:
    """The sample workspace of `fixtures/`, behind Slack's own protocol and without a network."""
    from omniforge.integrations.catalog.slack import sample  # noqa: PLC0415 - only dry runs need it

    return sample.transport(now, resources=resources, empty=empty)


TOOLS: tuple[IntegrationTool, ...] = (
    IntegrationTool(
        name="slack.who_am_i",
        description="Says as whom the app acts, and in which workspace.",
        arguments=Nothing,
        access=Access.READ,
        summary=lambda _: "looks up which Slack workspace this is",
        run=reading.who_am_i,
    ),
    IntegrationTool(
        name="slack.list_channels",
        description="Lists the channels the app can see, each with its number of members.",
        arguments=ListChannels,
        access=Access.READ,
        summary=lambda _: "lists Slack channels",
        run=reading.list_channels,
    ),
    IntegrationTool(
        name="slack.describe_channel",
        description="Tells topic, purpose and members of a channel, and what its messages are made of.",
        arguments=OneChannel,
        access=Access.READ,
        summary=_summary("looks at", "channel"),
        run=reading.describe_channel,
    ),
    IntegrationTool(
        name="slack.read_messages",
        description="Reads what people wrote in a channel within a time window, oldest first.",
        arguments=ReadMessages,
        access=Access.READ,
        summary=lambda args: (
            f"reads messages of {_place(args, 'channel') or 'a Slack channel'}{_window(args)}"
        ),
        run=reading.read_messages,
    ),
    IntegrationTool(
        name="slack.search_people",
        description="Finds people of the workspace by part of a name, e-mail address or title.",
        arguments=SearchPeople,
        access=Access.READ,
        summary=lambda _: "searches people in Slack",
        run=reading.search_people,
    ),
    IntegrationTool(
        name="slack.find_message",
        description="Finds the message that was posted or changed with a given idempotency mark.",
        arguments=FindMessage,
        access=Access.READ,
        summary=lambda _: "checks whether the message was posted already",
        run=reading.find_message,
    ),
    IntegrationTool(
        name="slack.post_message",
        description="Posts a message to a channel, as Markdown or as blocks.",
        arguments=PostMessage,
        access=Access.SEND,
        summary=_summary("posts to", "channel"),
        run=posting.post_message,
        destination=_to("channel"),
        lookup=_found_by_mark("channel"),
    ),
    IntegrationTool(
        name="slack.reply_in_thread",
        description="Replies to a message in its thread, and in the channel besides when asked.",
        arguments=ReplyInThread,
        access=Access.SEND,
        summary=_summary("replies in a thread of", "channel"),
        run=posting.reply_in_thread,
        destination=_to("channel"),
        lookup=_found_by_mark("channel", "thread"),
    ),
    IntegrationTool(
        name="slack.send_direct_message",
        description="Sends a message to one person.",
        arguments=SendDirectMessage,
        access=Access.SEND,
        summary=_summary("sends a direct message to", "person"),
        run=posting.send_direct_message,
        destination=_to("person"),
        lookup=_found_by_mark("person"),
    ),
    IntegrationTool(
        name="slack.update_message",
        description="Replaces the text of a message that the app posted.",
        arguments=UpdateMessage,
        access=Access.WRITE,
        summary=_summary("changes its own message in", "channel"),
        run=posting.update_message,
        destination=_to("channel"),
        lookup=_found_by_mark("channel", "message"),
    ),
    IntegrationTool(
        name="slack.join_channel",
        description="Lets the app join a public channel, so that it can read and post there.",
        arguments=OneChannel,
        access=Access.WRITE,
        summary=_summary("joins", "channel"),
        run=posting.join_channel,
        destination=_to("channel"),
    ),
)
