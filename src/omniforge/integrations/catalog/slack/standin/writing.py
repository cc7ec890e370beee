"""Methods that change something: messages, memberships, direct conversations."""

from __future__ import annotations

from typing import Any, cast

from omniforge.integrations.catalog.slack.shapes import Json, stamp_of
from omniforge.integrations.catalog.slack.standin.asked import Asked, NotOk
from omniforge.integrations.catalog.slack.standin.shapes import channel_json, message_json
from omniforge.integrations.catalog.slack.standin.workspace import Channel, Message
from omniforge.integrations.loose import items, mapping, text

LONGEST_TEXT = 40_000
MOST_BLOCKS = 50
LONGEST_SECTION = 3000
LONGEST_BLOCKS = 13_200
LARGEST_METADATA = 8000
TOLD_OF_A_CHANGE = (
    "type",
    "user",
    "text",
    "team",
    "app_id",
    "bot_id",
    "bot_profile",
    "blocks",
    "metadata",
    "edited",
)
"""The message as a change of it shows it: neither its time nor its thread is among it."""
BLOCK_TYPES = frozenset(
    (
        "actions",
        "call",
        "context",
        "divider",
        "file",
        "header",
        "image",
        "input",
        "markdown",
        "rich_text",
        "section",
        "table",
        "video",
    )
)


async def post_message(asked: Asked) -> Json:
    asked.require("chat:write")
    channel, workspace = asked.channel(by_name=True), asked.workspace
    if channel.archived:
        raise NotOk("is_archived")
    if workspace.app.id not in channel.members:
        raise NotOk("not_in_channel")
    content = _content(asked)
    words = asked.text("text")
    if not words.strip() and "blocks" not in content:
        raise NotOk("no_text")
    thread = asked.text("thread_ts")
    if thread and channel.message(thread) is None:
        raise NotOk("thread_not_found")
    if thread and asked.flag("reply_broadcast"):
        content["subtype"] = "thread_broadcast"
    message = workspace.add(
        channel, workspace.app.id, words[:LONGEST_TEXT], thread_ts=thread, content=content
    )
    asked.happened("message", team=workspace.id, channel=channel.id, ts=message.ts)
    shown = message_json(workspace, channel, message, metadata=True)
    return {"channel": channel.id, "ts": message.ts, "message": shown}


async def update_message(asked: Asked) -> Json:
    """Fields that are not given stay; a new text without blocks takes the old blocks away."""
    asked.require("chat:write")
    channel = asked.channel()
    message = channel.message(asked.text("ts"))
    if message is None:
        raise NotOk("message_not_found")
    if message.user != asked.workspace.app.id:
        raise NotOk("cant_update_message")
    content = _content(asked)
    if asked.text("text"):
        message.text = asked.text("text")[:LONGEST_TEXT]
        message.content.pop("blocks", None)
        message.edited_ts = stamp_of(asked.workspace.now())
    elif "blocks" not in content:
        raise NotOk("no_text")
    message.content |= content
    asked.happened("message_changed", team=asked.workspace.id, channel=channel.id, ts=message.ts)
    shown = message_json(asked.workspace, channel, message, metadata=True)
    told = {key: shown[key] for key in TOLD_OF_A_CHANGE if key in shown}
    return {"channel": channel.id, "ts": message.ts, "text": message.text, "message": told}


def _content(asked: Asked) -> Json:
    """Blocks and metadata of a message, checked as far as Slack tells how."""
    content: Json = {}
    if blocks := _blocks(asked.args.get("blocks")):
        content["blocks"] = blocks
    if (given := asked.args.get("metadata")) is not None:
        metadata = mapping(given)
        if not text(metadata.get("event_type")) or not isinstance(metadata.get("event_payload"), dict):
            raise NotOk("invalid_metadata_format")
        if len(str(metadata)) > LARGEST_METADATA:
            raise NotOk("metadata_too_large")
        content["metadata"] = metadata
    return content


def _blocks(given: Any) -> list[Json]:
    if not given:
        return []
    if not isinstance(given, list):
        raise NotOk("invalid_blocks_format")
    blocks = items(cast("list[Any]", given))
    if len(blocks) != len(cast("list[Any]", given)) or len(blocks) > MOST_BLOCKS:
        raise _invalid(f"no more than {MOST_BLOCKS} items allowed [json-pointer:/blocks]")
    total = 0
    for number, block in enumerate(blocks):
        if block.get("type") not in BLOCK_TYPES:
            raise _invalid(f"unsupported type: {block.get('type')} [json-pointer:/blocks/{number}/type]")
        words = text(mapping(block.get("text")).get("text")) or text(block.get("text"))
        total += len(words)
        if block["type"] == "section" and len(words) > LONGEST_SECTION:
            said = f"must be less than {LONGEST_SECTION + 1} characters"
            raise _invalid(f"{said} [json-pointer:/blocks/{number}/text/text]")
    if total > LONGEST_BLOCKS:
        raise NotOk("msg_blocks_too_long")
    return blocks


def _invalid(said: str) -> NotOk:
    return NotOk("invalid_blocks", errors=[said], response_metadata={"messages": [f"[ERROR] {said}"]})


async def join(asked: Asked) -> Json:
    asked.require("channels:join")
    channel, app = asked.channel(), asked.workspace.app
    if channel.private or channel.direct_to:
        raise NotOk("method_not_supported_for_channel_type")
    if channel.archived:
        raise NotOk("is_archived")
    answer: Json = {}
    if app.id in channel.members:
        answer = {"warning": "already_in_channel", "response_metadata": {"warnings": ["already_in_channel"]}}
    else:
        channel.members.append(app.id)
        _note_joined(asked, channel)
    return {"channel": channel_json(asked.workspace, channel, counted=False), **answer}


def _note_joined(asked: Asked, channel: Channel) -> Message:
    app = asked.workspace.app
    words = f"<@{app.id}> has joined the channel"
    return asked.workspace.add(channel, app.id, words, content={"subtype": "channel_join"})


async def open_direct(asked: Asked) -> Json:
    """Asking twice gives the same conversation."""
    asked.require("im:write")
    person = asked.person(asked.text("users"))
    if person.bot_id:
        raise NotOk("cant_dm_bot")
    if person.deleted:
        raise NotOk("user_disabled")
    channel = asked.workspace.direct(person)
    shown = channel_json(asked.workspace, channel, counted=False) if asked.flag("return_im") else {}
    return {"channel": {**shown, "id": channel.id}}
