"""Envelopes of the Events API: what the local server tells of what happened in its workspace."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from omniforge.integrations.catalog.slack.shapes import stamp_of
from omniforge.integrations.catalog.slack.standin.shapes import APP_ID, message_json
from omniforge.integrations.catalog.slack.standin.state import StandinState
from omniforge.integrations.catalog.slack.standin.workspace import Channel, Json, Message, Workspace, slack_id
from omniforge.integrations.loose import text

NAMES = {"message.posted": "message", "mention.received": "app_mention", "reaction.added": "reaction_added"}


def delivery(state: StandinState, about: Json) -> tuple[Json, Mapping[str, str]]:
    """Body and headers from `{event, channel, ts, user, text, thread_ts, subtype, reaction, by, team}`.

    All but `event` may be left out. It is `message`, `app_mention`, `reaction_added`, `message_changed`, or
    our name for one of them. Without `ts` somebody says `text` just now: the message is there from then on.
    """
    workspace = state.workspace_of(text(about.get("team")))
    kind = _kind(about)
    channel = workspace.channel(text(about.get("channel")) or "general")
    if channel is None:
        raise ValueError(f"channel {about.get('channel')!r} is not there")
    message = channel.message(text(about.get("ts"))) or _said(workspace, channel, about)
    event = _event(workspace, channel, message, kind, about)
    number = state.new_number()
    envelope: Json = {
        "token": "local-verification-token",
        "team_id": workspace.id,
        "context_team_id": workspace.id,
        "api_app_id": APP_ID,
        "event": event,
        "type": "event_callback",
        "event_id": slack_id("Ev", workspace.id, number, message.ts),
        "event_time": int(workspace.now().timestamp()),
        "authorizations": [
            {
                "enterprise_id": None,
                "team_id": workspace.id,
                "user_id": workspace.app.id,
                "is_bot": True,
                "is_enterprise_install": False,
            }
        ],
        "is_ext_shared_channel": False,
        "event_context": f"4-{number}",
    }
    return envelope, {"User-Agent": "Slackbot 1.0 (+https://api.slack.com/robots)"}


def _kind(about: Json) -> str:
    given = str(about["event"])
    return NAMES.get(given, given)


def _said(workspace: Workspace, channel: Channel, about: Json) -> Message:
    person = workspace.person(text(about.get("user"))) or workspace.people[0]
    words = text(about.get("text")) or "Hello from the local Slack."
    if _kind(about) == "app_mention" and workspace.app.id not in words:
        words = f"<@{workspace.app.id}> {words}"
    content: dict[str, Any] = {"subtype": about["subtype"]} if about.get("subtype") else {}
    return workspace.add(channel, person.id, words, thread_ts=text(about.get("thread_ts")), content=content)


def _event(workspace: Workspace, channel: Channel, message: Message, kind: str, about: Json) -> Json:
    shown = message_json(workspace, channel, message, metadata=True)
    now = stamp_of(workspace.now())
    place = "im" if channel.direct_to else "group" if channel.private else "channel"
    match kind:
        case "message":
            return {**shown, "channel": channel.id, "event_ts": message.ts, "channel_type": place}
        case "app_mention":
            return {**shown, "type": "app_mention", "channel": channel.id, "event_ts": message.ts}
        case "message_changed":
            return {
                "type": "message",
                "subtype": "message_changed",
                "hidden": True,
                "channel": channel.id,
                "channel_type": place,
                "ts": now,
                "event_ts": now,
                "message": shown,
                "previous_message": {**shown, "text": "(before)"},
            }
        case "reaction_added":
            person = workspace.person(text(about.get("by"))) or workspace.people[1]
            name = text(about.get("reaction")) or "eyes"
            message.reactions.setdefault(name, []).append(person.id)
            return {
                "type": "reaction_added",
                "user": person.id,
                "reaction": name,
                "item_user": message.user,
                "item": {"type": "message", "channel": channel.id, "ts": message.ts},
                "event_ts": now,
            }
        case _:
            raise ValueError(
                f"event {kind!r} is not one of message, app_mention, reaction_added, message_changed"
            )
