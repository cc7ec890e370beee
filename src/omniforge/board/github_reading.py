"""What GitHub says of repositories, in our shapes. Pure."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast

from omniforge.board.shapes.github import (
    File,
    FolderEntry,
    PullRequest,
    Repo,
    RepoBranch,
    RepoCommit,
    TreeEntry,
)

Json = dict[str, Any]


def part(given: Json, *names: str) -> Any:
    """What stands at a way of names; None where the way ends."""
    here: Any = given
    for name in names:
        here = cast("Json", here).get(name) if isinstance(here, dict) else None
    return here


def text(given: Json, *names: str) -> str:
    here = part(given, *names)
    return here if isinstance(here, str) else ""


def whole(given: Json, *names: str) -> int:
    here = part(given, *names)
    return here if isinstance(here, int) and not isinstance(here, bool) else 0


def moment(given: Json, *names: str) -> datetime | None:
    """An aware time; None for what is none."""
    try:
        read = datetime.fromisoformat(text(given, *names))
    except ValueError:
        return None
    return read if read.tzinfo is not None else None


def objects(given: Any) -> list[Json]:
    if not isinstance(given, list):
        return []
    return [cast("Json", one) for one in cast("Sequence[Any]", given) if isinstance(one, dict)]


def within(given: Json, name: str) -> Json:
    """The object of that name; empty where there is none."""
    here = given.get(name)
    return cast("Json", here) if isinstance(here, dict) else {}


def texts(given: Any) -> list[str]:
    if not isinstance(given, list):
        return []
    return [one for one in cast("Sequence[Any]", given) if isinstance(one, str)]


def repo(given: Json) -> Repo:
    return Repo(
        id=whole(given, "id"),
        name=text(given, "name"),
        full_name=text(given, "full_name"),
        owner=text(given, "owner", "login"),
        description=text(given, "description") or None,
        private=bool(given.get("private")),
        default_branch=text(given, "default_branch") or "main",
        html_url=text(given, "html_url"),
        language=text(given, "language") or None,
        pushed_at=moment(given, "pushed_at"),
    )


def branch(given: Json) -> RepoBranch:
    sha = text(given, "commit", "sha")
    return RepoBranch(name=text(given, "name"), sha=sha, protected=bool(given.get("protected")))


def commit(given: Json) -> RepoCommit:
    return RepoCommit(
        sha=text(given, "sha"),
        message=text(given, "commit", "message"),
        author=text(given, "author", "login") or text(given, "commit", "author", "name") or None,
        authored_at=moment(given, "commit", "author", "date"),
        html_url=text(given, "html_url") or None,
    )


def pull(given: Json) -> PullRequest:
    return PullRequest(
        number=whole(given, "number"),
        title=text(given, "title"),
        state=text(given, "state"),
        html_url=text(given, "html_url"),
        head=text(given, "head", "ref"),
        base=text(given, "base", "ref"),
        draft=bool(given.get("draft")),
        author=text(given, "user", "login") or None,
        created_at=moment(given, "created_at"),
        merged_at=moment(given, "merged_at"),
    )


def file(given: Json) -> File:
    return File(
        name=text(given, "name"),
        path=text(given, "path"),
        sha=text(given, "sha"),
        size=whole(given, "size"),
        content=_content(given),
        html_url=text(given, "html_url") or None,
    )


def _content(given: Json) -> str | None:
    if given.get("encoding") != "base64":  # GitHub gives no content of what is too large
        return None
    try:
        read = base64.b64decode(text(given, "content"), validate=False).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
    return None if "\0" in read else read


def folder_entry(given: Json) -> FolderEntry:
    return FolderEntry(
        name=text(given, "name"),
        path=text(given, "path"),
        type=text(given, "type"),
        size=whole(given, "size"),
        sha=text(given, "sha"),
    )


def tree_entry(given: Json) -> TreeEntry:
    size = whole(given, "size") if "size" in given else None
    return TreeEntry(path=text(given, "path"), type=text(given, "type"), sha=text(given, "sha"), size=size)
