"""Methods that read: who the app is, channels, messages, people."""

from __future__ import annotations

from omniforge.integrations.catalog.slack.standin.asked import Asked, NotOk
from omniforge.integrations.catalog.slack.standin.shapes import channel_json, message_json, person_json
from omniforge.integrations.catalog.slack.standin.workspace import Channel, Json, Message, visible_to_app


async def auth_test(asked: Asked) -> Json:
    workspace = asked.workspace
    return {
        "url": f"https://{workspace.domain}.slack.com/",
        "team": workspace.name,
        "user": workspace.app.handle,
        "team_id": workspace.id,
        "user_id": workspace.app.id,
        "bot_id": workspace.app.bot_id,
        "is_enterprise_install": False,
    }


async def conversations_list(asked: Asked) -> Json:
    """Archived ones are left out after a page was cut, so that pages may be short and yet not the last."""
    asked.require("channels:read", "groups:read")
    kinds = {kind.strip() for kind in (asked.text("types") or "public_channel").split(",")}
    channels = [c for c in visible_to_app(asked.workspace, asked.workspace.channels) if _kind(c) in kinds]
    part, following = asked.page(channels)
    shown = [c for c in part if not (asked.flag("exclude_archived") and c.archived)]
    return {
        "channels": [channel_json(asked.workspace, channel, counted=True) for channel in shown],
        "response_metadata": {"next_cursor": following},
    }


async def users_conversations(asked: Asked) -> Json:
    """Those the app is in. How many are in them, and that the app is, is not said."""
    asked.require("channels:read", "groups:read", "im:read")
    kinds = {kind.strip() for kind in (asked.text("types") or "public_channel").split(",")}
    ours = [
        c
        for c in asked.workspace.channels
        if asked.workspace.app.id in c.members
        and _kind(c) in kinds
        and not (asked.flag("exclude_archived") and c.archived)
    ]
    part, following = asked.page(ours)
    shown = [channel_json(asked.workspace, c, counted=False, told_membership=False) for c in part]
    return {"channels": shown, "response_metadata": {"next_cursor": following}}


def _kind(channel: Channel) -> str:
    return "im" if channel.direct_to else "private_channel" if channel.private else "public_channel"


async def conversations_info(asked: Asked) -> Json:
    channel = asked.channel()
    asked.require("groups:read" if channel.private else "channels:read")
    return {"channel": channel_json(asked.workspace, channel, counted=asked.flag("include_num_members"))}


async def conversations_history(asked: Asked) -> Json:
    """The latest first, without what was said in threads only."""
    channel = asked.readable_channel()
    seen = [message for message in channel.messages if not _in_thread_only(message)]
    part, following = asked.page(asked.window(seen)[::-1], most=999)
    metadata = asked.flag("include_all_metadata")
    answer: Json = {
        "messages": [message_json(asked.workspace, channel, one, metadata=metadata) for one in part],
        "has_more": bool(following),
        "pin_count": 0,
        "channel_actions_ts": None,
        "channel_actions_count": 0,
    }
    if following:
        answer["response_metadata"] = {"next_cursor": following}
    if asked.text("latest"):
        answer["latest"] = asked.text("latest")
    if asked.text("oldest"):
        answer["oldest"] = asked.text("oldest")
    return answer


async def conversations_replies(asked: Asked) -> Json:
    """A message and its replies, the oldest first; the message itself is there whatever the window."""
    channel = asked.readable_channel()
    first = channel.message(asked.text("ts"))
    if first is None:
        raise NotOk("thread_not_found")
    replies = [] if first.thread_ts else asked.window(channel.replies_to(first.ts))
    part, following = asked.page([first, *replies])
    metadata = asked.flag("include_all_metadata")
    answer: Json = {
        "messages": [message_json(asked.workspace, channel, one, metadata=metadata) for one in part],
        "has_more": bool(following),
    }
    if following:
        answer["response_metadata"] = {"next_cursor": following}
    return answer


def _in_thread_only(message: Message) -> bool:
    return bool(message.thread_ts) and message.content.get("subtype") != "thread_broadcast"


async def users_list(asked: Asked) -> Json:
    asked.require("users:read")
    part, following = asked.page(asked.workspace.everybody)
    return {
        "members": [_person(asked, person.id) for person in part],
        "cache_ts": int(asked.workspace.now().timestamp()),
        "response_metadata": {"next_cursor": following},
    }


async def users_info(asked: Asked) -> Json:
    asked.require("users:read")
    return {"user": _person(asked, asked.person(asked.text("user")).id)}


async def users_lookup_by_email(asked: Asked) -> Json:
    asked.require("users:read.email")
    person = asked.workspace.person(asked.text("email")) if "@" in asked.text("email") else None
    if person is None or person.deleted:
        raise NotOk("users_not_found")
    return {"user": _person(asked, person.id)}


def _person(asked: Asked, person_id: str) -> Json:
    """E-mail addresses are told only to who may see them."""
    person = next(p for p in asked.workspace.everybody if p.id == person_id)
    shown = person_json(asked.workspace, person)
    if asked.grant.scopes and "users:read.email" not in asked.grant.scopes:
        shown["profile"].pop("email", None)
    return shown
