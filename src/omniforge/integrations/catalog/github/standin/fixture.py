"""The account of `fixtures/account.json`, its times relative to the present."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from omniforge.integrations.catalog.github.standin.account import (
    NOTHING,
    Account,
    Activity,
    ChangedFile,
    Comment,
    Commit,
    Item,
    Label,
    Milestone,
    Pull,
    Release,
    Repository,
    User,
    sha_of,
    stable_number,
)
from omniforge.integrations.standin import Json

FIXTURES = Path(__file__).parent.parent / "fixtures"


@cache
def _source() -> Json:
    content: Json = json.loads((FIXTURES / "account.json").read_text(encoding="utf-8"))
    return content


def sample_account(now: Callable[[], datetime], *, empty: bool = False) -> Account:
    """Acme Operations as `fixtures/account.json` has it, its times relative to the present."""
    source = _source()
    organization = User(
        stable_number("organization"), source["organization"]["login"], source["organization"]["name"]
    )
    organization.kind = "Organization"
    people = [
        User(stable_number("user", one["login"]), one["login"], one["name"]) for one in source["people"]
    ]
    account = Account(people, organization, now)
    for one in source["repositories"]:
        account.repositories.append(_repository(organization.login, one, now(), empty=empty))
    return account


def _repository(owner: str, source: Json, now: datetime, *, empty: bool) -> Repository:
    made = Repository(
        stable_number("repository", source["name"]),
        owner,
        source["name"],
        source["description"],
        source["language"],
        source["private"],
        now - timedelta(days=400),
        labels=[Label(*parts) for parts in source["labels"]],
        branches=["main", *source["branches"]],
        milestones=[
            Milestone(
                number,
                one["title"],
                one["state"],
                noon(now, -one["due_in"]),
                now - timedelta(days=90),
            )
            for number, one in enumerate(source["milestones"], 1)
        ],
    )
    if not empty:
        _fill(made, source, now)
    return made


def noon(now: datetime, days_ago: float) -> datetime:
    """Around midday so many days ago, so that it is the same day in every zone."""
    whole = int(days_ago)
    moment = now.replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=whole)
    return moment - timedelta(hours=6 * (days_ago - whole))


def _fill(made: Repository, source: Json, now: datetime) -> None:
    titles = {one.title: one.number for one in made.milestones}
    everything = [*source["issues"], *source["pulls"]]
    for number, one in enumerate(sorted(everything, key=lambda one: -one["days_ago"]), 1):
        made.items[number] = _item(made, number, one, now, titles)
    for one in reversed(source["commits"]):
        at = noon(now, one["days_ago"])
        sha = sha_of(made.full_name, one["message"])
        before = made.commits[-1].sha if made.commits else NOTHING
        made.commits.append(Commit(sha, one["by"], one["message"], at, (one["path"],), "main"))
        kind = "push" if before != NOTHING else "branch_creation"
        made.activities.append(Activity(stable_number("push", sha), kind, "main", before, sha, at, one["by"]))
    for one in source["releases"]:
        at = noon(now, one["days_ago"])
        release_id = stable_number("release", made.name, one["tag"])
        pre = one.get("prerelease", False)
        made.releases.append(
            Release(release_id, one["tag"], one["name"], one["text"], one["by"], at, at, prerelease=pre)
        )
    made.files = {("main", path): text.encode() for path, text in source["files"].items()}


def _item(made: Repository, number: int, source: Json, now: datetime, titles: dict[str, int]) -> Item:
    key = (made.name, number)
    over = source.get("merged", source.get("closed"))
    comments = [_comment(key, place, one, now) for place, one in enumerate(source.get("comments", []))]
    created, closed = noon(now, source["days_ago"]), None if over is None else noon(now, over)
    return Item(
        stable_number("item", *key),
        number,
        source["title"],
        source["text"] or None,
        source["by"],
        created,
        max(time for time in (created, closed, *(one.created for one in comments)) if time is not None),
        labels=list(source["labels"]),
        assignees=list(source.get("assignees", [])),
        milestone=titles.get(source.get("milestone") or ""),
        closed=closed,
        reason=source.get("reason"),
        comments=comments,
        pull=_pull(key, source, now) if "branch" in source else None,
    )


def _pull(key: tuple[str, int], source: Json, now: datetime) -> Pull:
    return Pull(
        source["branch"],
        draft=source.get("draft", False),
        merged=noon(now, source["merged"]) if "merged" in source else None,
        merged_by=source.get("merged_by"),
        reviewers=list(source["reviewers"]),
        files=[ChangedFile(*parts) for parts in source["files"]],
        notes=[
            _comment((*key, "note"), place, one, now) for place, one in enumerate(source.get("notes", []))
        ],
    )


def _comment(key: tuple[Any, ...], place: int, source: Json, now: datetime) -> Comment:
    at = noon(now, source["days_ago"])
    number = stable_number("comment", *key, place)
    return Comment(number, source["by"], source["text"], at, source.get("path", ""), source.get("line"))
