"""GitHub's objects as plain data, the same from its API and from its webhooks. Pure, and never raises."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any, cast

from omniforge.core.clock import rfc3339

Json = dict[str, Any]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}/(?!\.{1,2}$)[A-Za-z0-9._-]{1,100}")
REPOSITORY_ADDRESS = re.compile(r"(?:https?://)?(?:www\.)?github\.com/([^/?#\s]+/[^/?#\s]+)")
BODY_MARK = re.compile(r"\s*<!-- omniforge mark ([A-Za-z0-9_.:-]{4,120}) -->")
COMMIT_MARK = re.compile(r"\s*^OmniForge-Mark: ([A-Za-z0-9_.:-]{4,120})$", re.MULTILINE)


# --- looking into what came ------------------------------------------------------------------------------


def at(value: Any, *path: str) -> Any:
    """What stands under the names, one after the other; None where there is nothing."""
    for name in path:
        value = cast("Json", value).get(name) if isinstance(value, dict) else None
    return value


def words(value: Any, *path: str) -> str:
    found = at(value, *path)
    return found if isinstance(found, str) else ""


def whole(value: Any, *path: str) -> int | None:
    found = at(value, *path)
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def objects(value: Any, *path: str) -> list[Json]:
    """The objects of a list; whatever else is in it is left out."""
    found = at(value, *path)
    listed = cast("list[Any]", found) if isinstance(found, list) else []
    return [cast("Json", one) for one in listed if isinstance(one, dict)]


def texts(value: Any, *path: str) -> list[str]:
    """The texts of a list."""
    found = at(value, *path)
    listed = cast("list[Any]", found) if isinstance(found, list) else []
    return [one for one in listed if isinstance(one, str)]


def moment(value: Any, *path: str) -> datetime | None:
    """A time, which GitHub writes as ISO 8601 or, in pushes, as seconds since 1970."""
    found = at(value, *path)
    try:
        if isinstance(found, str):
            parsed = datetime.fromisoformat(found)
            return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).astimezone(UTC)
        if isinstance(found, int) and not isinstance(found, bool):
            return datetime.fromtimestamp(found, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return None


def shown_time(value: Any, *path: str) -> str | None:
    found = moment(value, *path)
    return rfc3339(found) if found else None


# --- names and marks -------------------------------------------------------------------------------------


def repository_name(given: str) -> str:
    """`owner/name` from that or from an address on github.com; ValueError for anything else."""
    stripped = given.strip()
    address = REPOSITORY_ADDRESS.match(stripped)
    name = (address[1] if address else stripped).removesuffix(".git")
    if not REPOSITORY.fullmatch(name):
        raise ValueError("a repository as owner/name, or its address on github.com")
    return name


def with_mark(text: str, mark: str | None) -> str:
    """The text with the mark as a comment that GitHub does not show."""
    return f"{text}\n\n<!-- omniforge mark {mark} -->".lstrip() if mark else text


def has_mark(text: str, mark: str | None = None) -> bool:
    """Whether the text bears this mark, or any."""
    found = [*BODY_MARK.findall(text), *COMMIT_MARK.findall(text)]
    return mark in found if mark else bool(found)


def without_mark(text: str) -> str:
    return BODY_MARK.sub("", text)


def commit_message(message: str, mark: str | None) -> str:
    """The message with the mark as a trailer, in the manner of `Signed-off-by`."""
    return f"{message.rstrip()}\n\nOmniForge-Mark: {mark}" if mark else message


# --- objects ---------------------------------------------------------------------------------------------


def repository(found: Json) -> Json:
    """`items` counts open issues and open pull requests together, as GitHub does."""
    return {
        "id": words(found, "full_name"),
        "name": words(found, "full_name"),
        "url": words(found, "html_url"),
        "items": whole(found, "open_issues_count"),
        "description": words(found, "description"),
        "private": at(found, "private") is True,
        "archived": at(found, "archived") is True,
        "default_branch": words(found, "default_branch"),
        "language": words(found, "language") or None,
        "pushed_at": shown_time(found, "pushed_at"),
    }


def issue(found: Json) -> Json:
    return {
        **_discussed(found),
        "state": words(found, "state"),
        "state_reason": words(found, "state_reason") or None,
        "comments": whole(found, "comments"),
    }


def pull_request(found: Json) -> Json:
    """`state` is `open`, `closed` or `merged`; sizes are there only when one is read."""
    shown: Json = {
        **_discussed(found),
        "state": "merged" if at(found, "merged_at") else words(found, "state"),
        "draft": at(found, "draft") is True,
        "merged_at": shown_time(found, "merged_at"),
        "branch": words(found, "head", "ref"),
        "base": words(found, "base", "ref"),
        "reviewers": [words(user, "login") for user in objects(found, "requested_reviewers")],
    }
    if words(found, "merged_by", "login"):
        shown["merged_by"] = words(found, "merged_by", "login")
    sizes = {name: whole(found, name) for name in ("commits", "additions", "deletions", "changed_files")}
    return {**shown, **{name: size for name, size in sizes.items() if size is not None}}


def _discussed(found: Json) -> Json:
    """What issues and pull requests have alike."""
    return {
        "id": str(whole(found, "number") or ""),
        "number": whole(found, "number"),
        "url": words(found, "html_url"),
        "title": words(found, "title"),
        "text": without_mark(words(found, "body")),
        "author": words(found, "user", "login"),
        "labels": [words(label, "name") for label in objects(found, "labels")],
        "assignees": [words(user, "login") for user in objects(found, "assignees")],
        "milestone": words(found, "milestone", "title") or None,
        "created_at": shown_time(found, "created_at"),
        "updated_at": shown_time(found, "updated_at"),
        "closed_at": shown_time(found, "closed_at"),
    }


def comment(found: Json) -> Json:
    return {
        "id": str(whole(found, "id") or ""),
        "url": words(found, "html_url"),
        "author": words(found, "user", "login"),
        "text": without_mark(words(found, "body")),
        "created_at": shown_time(found, "created_at"),
        "updated_at": shown_time(found, "updated_at"),
    }


def changed_file(found: Json) -> Json:
    return {
        "path": words(found, "filename"),
        "status": words(found, "status"),
        "additions": whole(found, "additions"),
        "deletions": whole(found, "deletions"),
        "patch": words(found, "patch"),
    }


def commit(found: Json) -> Json:
    """From a list of commits; one in a push has another shape, see `pushed_commit`."""
    return {
        "id": words(found, "sha"),
        "url": words(found, "html_url"),
        "message": COMMIT_MARK.sub("", words(found, "commit", "message")),
        "author": words(found, "author", "login") or words(found, "commit", "author", "name"),
        "at": shown_time(found, "commit", "committer", "date"),
    }


def pushed_commit(found: Json) -> Json:
    return {
        "id": words(found, "id"),
        "url": words(found, "url"),
        "message": COMMIT_MARK.sub("", words(found, "message")),
        "author": words(found, "author", "username") or words(found, "author", "name"),
        "at": shown_time(found, "timestamp"),
    }


def release(found: Json) -> Json:
    return {
        "id": str(whole(found, "id") or ""),
        "url": words(found, "html_url"),
        "tag": words(found, "tag_name"),
        "name": words(found, "name") or words(found, "tag_name"),
        "text": without_mark(words(found, "body")),
        "author": words(found, "author", "login"),
        "draft": at(found, "draft") is True,
        "prerelease": at(found, "prerelease") is True,
        "created_at": shown_time(found, "created_at"),
        "published_at": shown_time(found, "published_at"),
        "assets": [
            {"name": words(one, "name"), "downloads": whole(one, "download_count")}
            for one in objects(found, "assets")
        ],
    }
