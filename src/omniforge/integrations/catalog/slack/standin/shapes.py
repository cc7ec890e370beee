"""Slack's JSON for the workspace that is held."""

from __future__ import annotations

from omniforge.integrations.catalog.slack.standin.state import CLIENT_ID
from omniforge.integrations.catalog.slack.standin.workspace import (
    Channel,
    Json,
    Message,
    Person,
    Workspace,
    slack_id,
)

APP_ID = slack_id("A", CLIENT_ID)


def person_json(workspace: Workspace, person: Person) -> Json:
    first, _, last = person.name.partition(" ")
    profile: Json = {
        "title": person.title,
        "phone": "",
        "real_name": person.name,
        "real_name_normalized": person.name,
        "display_name": first,
        "display_name_normalized": first,
        "first_name": first,
        "last_name": last,
        "status_text": "",
        "status_emoji": "",
        "team": workspace.id,
    }
    if person.email:
        profile["email"] = person.email
    user: Json = {
        "id": person.id,
        "team_id": workspace.id,
        "name": person.handle,
        "deleted": person.deleted,
        "profile": profile,
        "is_bot": bool(person.bot_id),
        "is_app_user": False,
        "updated": int(workspace.now().timestamp()),
    }
    if person.bot_id:
        profile |= {"bot_id": person.bot_id, "api_app_id": APP_ID}
    if not person.deleted:
        user |= {"real_name": person.name, "tz": person.tz, "is_admin": False, "is_owner": False}
    return user


def channel_json(
    workspace: Workspace, channel: Channel, *, counted: bool, told_membership: bool = True
) -> Json:
    created = int(channel.created.timestamp())
    if channel.direct_to:
        return {
            "id": channel.id,
            "created": created,
            "is_im": True,
            "is_org_shared": False,
            "is_archived": False,
            "user": channel.direct_to,
        }
    creator = workspace.people[0].id
    shown: Json = {
        "id": channel.id,
        "name": channel.name,
        "name_normalized": channel.name,
        "is_channel": not channel.private,
        "is_group": False,
        "is_im": False,
        "is_mpim": False,
        "is_private": channel.private,
        "is_archived": channel.archived,
        "is_general": channel.name == "general",
        "is_shared": False,
        "is_ext_shared": False,
        "is_org_shared": False,
        "is_pending_ext_shared": False,
        "created": created,
        "creator": creator,
        "unlinked": 0,
        "updated": created * 1000,
        "context_team_id": workspace.id,
        "topic": {"value": channel.topic, "creator": creator if channel.topic else "", "last_set": created},
        "purpose": {
            "value": channel.purpose,
            "creator": creator if channel.purpose else "",
            "last_set": created,
        },
        "previous_names": [],
    }
    if told_membership:
        shown["is_member"] = workspace.app.id in channel.members
    if counted:
        shown["num_members"] = len([member for member in channel.members if member != workspace.app.id])
    return shown


def message_json(workspace: Workspace, channel: Channel, message: Message, *, metadata: bool = False) -> Json:
    """A message as history shows it. Without `metadata` only the type of its metadata is told."""
    shown: Json = {
        "type": "message",
        "user": message.user,
        "text": message.text,
        "ts": message.ts,
        "team": workspace.id,
    }
    shown |= {key: value for key, value in message.content.items() if key != "metadata"}
    if message.user == workspace.app.id:
        shown |= {"bot_id": workspace.app.bot_id, "app_id": APP_ID, "bot_profile": bot_profile(workspace)}
    if given := message.content.get("metadata"):
        shown["metadata"] = given if metadata else {"event_type": given["event_type"]}
    if message.thread_ts:
        shown["thread_ts"] = message.thread_ts
        parent = channel.message(message.thread_ts)
        if parent is not None:
            shown["parent_user_id"] = parent.user
    if message.edited_ts:
        shown["edited"] = {"user": message.user, "ts": message.edited_ts}
    if message.reactions:
        shown["reactions"] = [
            {"name": name, "users": users, "count": len(users)} for name, users in message.reactions.items()
        ]
    if replies := channel.replies_to(message.ts):
        shown |= {
            "thread_ts": message.ts,
            "reply_count": len(replies),
            "reply_users": sorted({reply.user for reply in replies}),
            "reply_users_count": len({reply.user for reply in replies}),
            "latest_reply": replies[-1].ts,
            "is_locked": False,
            "subscribed": False,
        }
    return shown


def bot_profile(workspace: Workspace) -> Json:
    app = workspace.app
    return {
        "id": app.bot_id,
        "app_id": APP_ID,
        "name": app.name,
        "team_id": workspace.id,
        "deleted": False,
        "updated": int(workspace.now().timestamp()),
        "icons": {},
    }
