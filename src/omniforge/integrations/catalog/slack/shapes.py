"""Slack's messages, people and channels as plain values. Pure."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from omniforge.core.clock import rfc3339
from omniforge.integrations.loose import items, mapping, text

Json = dict[str, Any]

STAMP = re.compile(r"[0-9]{1,10}\.[0-9]{1,6}")
"""`1732192800.000100`: seconds and microseconds, the id of a message within its channel."""
MARKUP = re.compile(r"<([^<>\n]{1,4000})>")
USER_MENTION = re.compile(r"<@([UW][A-Z0-9]{1,30})(?:\|[^<>\n]{0,200})?>")
WRITTEN_BY_SOMEBODY = frozenset({"", "bot_message", "me_message", "thread_broadcast", "file_share"})
"""Subtypes of messages that somebody wrote; the others tell of joins, edits, topics and the like."""
START = datetime(1970, 1, 1, tzinfo=UTC)
MOMENT = timedelta(microseconds=1)
"""The smallest step between two ids."""


def whole(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


# --- times


def moment_of(stamp: str) -> datetime | None:
    """The time in a message's id; None when it is none."""
    if not STAMP.fullmatch(stamp):
        return None
    seconds, _, rest = stamp.partition(".")
    return START + timedelta(seconds=int(seconds), microseconds=int(rest.ljust(6, "0")))


def stamp_of(moment: datetime) -> str:
    """A time as Slack writes it, to the microsecond."""
    since = moment - START
    return f"{since.days * 86400 + since.seconds}.{since.microseconds:06d}"


# --- people and channels


def person_name(user: Json) -> str:
    """What people call somebody: the display name, else the full name."""
    profile = mapping(user.get("profile"))
    names = (profile.get("display_name"), profile.get("real_name"), user.get("real_name"), user.get("name"))
    return next((name for name in map(text, names) if name), text(user.get("id")))


def shown_person(user: Json) -> Json:
    profile = mapping(user.get("profile"))
    return {
        "id": text(user.get("id")),
        "name": person_name(user),
        "full_name": text(profile.get("real_name")) or text(user.get("real_name")),
        "handle": text(user.get("name")),
        "email": text(profile.get("email")),
        "title": text(profile.get("title")),
        "timezone": text(user.get("tz")),
    }


def is_person(user: Json) -> bool:
    """A human being who is still there."""
    bot = user.get("is_bot") is True or user.get("id") == "USLACKBOT"
    return not bot and user.get("deleted") is not True


def shown_channel(channel: Json) -> Json:
    """`items` counts its members, as Slack has no count of messages."""
    members = channel.get("num_members")
    return {
        "id": text(channel.get("id")),
        "name": f"#{text(channel.get('name'), text(channel.get('id')))}",
        "items": members if isinstance(members, int) else None,
        "private": channel.get("is_private") is True,
        "app_is_in_it": channel.get("is_member") is True,
        "topic": plain(text(mapping(channel.get("topic")).get("value"))),
        "purpose": plain(text(mapping(channel.get("purpose")).get("value"))),
    }


# --- messages


def is_written(message: Json) -> bool:
    """Whether somebody wrote this, rather than that somebody joined, edited or set a topic."""
    hidden = message.get("hidden") is True or "deleted_ts" in message
    return text(message.get("subtype")) in WRITTEN_BY_SOMEBODY and not hidden


def is_inside_thread(message: Json) -> bool:
    """A reply that is seen in its thread only."""
    thread = text(message.get("thread_ts"))
    return bool(thread) and thread != message.get("ts") and message.get("subtype") != "thread_broadcast"


def author_of(message: Json) -> str:
    """The user id of the author: an app's messages carry that of its bot user, old ones its bot id only."""
    return text(message.get("user")) or text(message.get("bot_id"))


def shown_message(message: Json, channel: str, people: Mapping[str, str], site: str = "") -> Json:
    """A message as the tools show it; `id` is Slack's `ts`, `thread` the id of the message it replies to."""
    stamp, thread = text(message.get("ts")), text(message.get("thread_ts"))
    moment = moment_of(stamp)
    return {
        "id": stamp,
        "at": rfc3339(moment) if moment else "",
        "author": {
            "id": author_of(message),
            "name": _author_name(message, people),
            "app": bool(text(message.get("bot_id"))),
        },
        "text": words_of(message, people),
        "thread": thread if thread and thread != stamp else None,
        "replies": whole(message.get("reply_count")),
        "reactions": {text(r.get("name")): whole(r.get("count")) for r in items(message.get("reactions"))},
        "files": [text(f.get("title")) or text(f.get("name")) for f in items(message.get("files"))],
        "edited": isinstance(message.get("edited"), dict),
        "url": link_of(site, channel, stamp, thread),
    }


def link_of(site: str, channel: str, stamp: str, thread: str = "") -> str:
    """The address people open the message at; empty without the workspace's own address."""
    if not site or not moment_of(stamp):
        return ""
    within = f"?thread_ts={thread}&cid={channel}" if thread and thread != stamp else ""
    return f"{site.rstrip('/')}/archives/{channel}/p{stamp.replace('.', '')}{within}"


def _author_name(message: Json, people: Mapping[str, str]) -> str:
    author = author_of(message)
    named = people.get(author) or text(message.get("username"))
    return named or text(mapping(message.get("bot_profile")).get("name")) or author


def mentioned(messages: Iterable[Json]) -> set[str]:
    """User ids of authors and of people named in the texts."""
    found: set[str] = set()
    for message in messages:
        if author := text(message.get("user")):
            found.add(author)
        found.update(USER_MENTION.findall(text(message.get("text"))))
    return found


def words_of(message: Json, people: Mapping[str, str]) -> str:
    """The text; that of its blocks or attachments when an app gave no other."""
    given = text(message.get("text")) or block_words(message.get("blocks"))
    if not given:
        attached = items(message.get("attachments"))
        given = "\n".join(text(one.get("fallback")) or text(one.get("text")) for one in attached)
    return plain(given, people)


def block_words(blocks: Any) -> str:
    """All texts in blocks, in order."""
    found: list[str] = []
    pending: list[Any] = [blocks]
    while pending:
        given: Any = pending.pop()
        if isinstance(given, list):
            pending += reversed(cast("list[Any]", given))
        elif isinstance(given, dict):
            block = cast("Json", given)
            if isinstance(block.get("text"), str):
                found.append(block["text"])
            pending += reversed([block[key] for key in ("text", "fields", "elements") if key in block])
    return "\n".join(found)


def plain(markup: str, people: Mapping[str, str] | None = None) -> str:
    """Slack's `<…>` markup as the words people see."""
    return html.unescape(MARKUP.sub(lambda found: _plain_piece(found[1], people or {}), markup))


def _plain_piece(piece: str, people: Mapping[str, str]) -> str:
    target, _, label = piece.partition("|")
    match target[:1]:
        case "@":
            return f"@{people.get(target[1:]) or label or target[1:]}"
        case "#":
            return f"#{label or target[1:]}"
        case "!":
            return label or f"@{target[1:].partition('^')[0]}"
        case _ if not label or label == target.removeprefix("mailto:"):
            return target.removeprefix("mailto:")
        case _:
            return f"{label} ({target})"
