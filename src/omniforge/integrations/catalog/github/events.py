"""What can start an agent at GitHub: read from signed deliveries, or asked for from time to time."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from omniforge.core.clock import rfc3339
from omniforge.core.errors import Invalid
from omniforge.integrations.catalog.github import shapes
from omniforge.integrations.catalog.github.client import GitHub, repository_path, second
from omniforge.integrations.catalog.github.reading import second_of
from omniforge.integrations.catalog.github.shapes import (
    EPOCH,
    Json,
    at,
    has_mark,
    moment,
    objects,
    whole,
    words,
)
from omniforge.integrations.errors import ResourceNotFound
from omniforge.integrations.manifest import EventKind, Occurrence
from omniforge.integrations.rest import RestClient

BRANCH = "refs/heads/"
NOTHING = "0" * 40
"""In place of the commit before a branch was made, or after it was deleted."""
MOST_COMMITS = 250
PUSHES = ("push", "force_push", "branch_creation", "pr_merge", "merge_queue_merge")
"""Kinds of activity for which GitHub sends a push."""


# --- deliveries ------------------------------------------------------------------------------------------


def read_delivery(headers: Mapping[str, str], payload: Json) -> list[Occurrence]:
    """What a delivery tells of; nothing for pings and everything else nobody can wait for."""
    resource = words(payload, "repository", "full_name") or None
    kind = next((value for name, value in headers.items() if name.casefold() == "x-github-event"), "")
    found: Occurrence | None = None
    match kind, payload.get("action"):
        case "issues", "opened":
            found = _issue_opened(at(payload, "issue"), resource)
        case "pull_request", "opened":
            found = _pull_opened(at(payload, "pull_request"), resource)
        case "pull_request", "closed" if at(payload, "pull_request", "merged") is True:
            found = _pull_merged(at(payload, "pull_request"), resource)
        case "push", _:
            found = _delivered_push(payload, resource)
        case "release", "published":
            found = _release_published(at(payload, "release"), resource)
        case _:
            pass
    return [found] if found is not None else []


def _issue_opened(found: Any, resource: str | None) -> Occurrence | None:
    return _occurrence("issue.opened", found, "number", "created_at", resource, shapes.issue)


def _pull_opened(found: Any, resource: str | None) -> Occurrence | None:
    return _occurrence("pull_request.opened", found, "number", "created_at", resource, shapes.pull_request)


def _pull_merged(found: Any, resource: str | None) -> Occurrence | None:
    return _occurrence("pull_request.merged", found, "number", "merged_at", resource, shapes.pull_request)


def _release_published(found: Any, resource: str | None) -> Occurrence | None:
    return _occurrence("release.published", found, "id", "published_at", resource, shapes.release)


def _occurrence(  # noqa: PLR0917 - one row of what differs
    kind: str, found: Any, key: str, when: str, resource: str | None, shown: Any
) -> Occurrence | None:
    number, moment_of = whole(found, key), moment(found, when)
    if number is None or moment_of is None:
        return None
    return Occurrence(
        type=kind,
        id=str(number),
        version=rfc3339(moment_of),
        at=moment_of,
        resource=resource,
        item=shown(found),
        author=_maker(found),
    )


def _maker(found: Json) -> str | None:
    """Who made it through us. A person works with the same name by hand, so a name alone says nothing."""
    person = whole(found, "user", "id") or whole(found, "author", "id")
    through_app = at(found, "performed_via_github_app") is not None
    return str(person) if person and (through_app or has_mark(words(found, "body"))) else None


def _delivered_push(payload: Json, resource: str | None) -> Occurrence | None:
    commits = objects(payload, "commits")
    pushed = moment(payload, "repository", "pushed_at") or moment(payload, "head_commit", "timestamp")
    messages = [words(one, "message") for one in (*commits, at(payload, "head_commit"))]
    return _push(
        payload,
        pushed,
        resource,
        [shapes.pushed_commit(one) for one in commits],
        whole(payload, "sender", "id") if any(has_mark(message) for message in messages) else None,
    )


def _push(
    found: Json, pushed: datetime | None, resource: str | None, commits: list[Json], author: int | None
) -> Occurrence | None:
    """A push to a branch. The same two commits can follow each other twice, so the time belongs to it."""
    ref, before, after = words(found, "ref"), words(found, "before"), words(found, "after")
    if pushed is None or not ref.startswith(BRANCH) or not after or after == NOTHING:
        return None
    branch = ref.removeprefix(BRANCH)
    return Occurrence(
        type="push",
        id=ref,
        version=f"{after}@{int(pushed.timestamp())}",
        at=pushed,
        resource=resource,
        item={
            "branch": branch,
            "before": None if before == NOTHING else before,
            "after": after,
            "url": f"https://github.com/{resource}/commits/{branch}",
            "pusher": words(found, "actor", "login") or words(found, "pusher", "name"),
            "commits": commits,
        },
        author=str(author) if author else None,
    )


# --- asking from time to time ----------------------------------------------------------------------------


async def _poll_issues(client: RestClient, resource: str | None, since: datetime) -> list[Occurrence]:
    repository = _named(resource)
    found = await GitHub(client).gather(
        repository_path(repository, "issues"),
        [("state", "all"), ("sort", "created"), ("direction", "desc"), ("since", second(since))],
        keep=lambda one: "pull_request" not in one,
        done=lambda one: _is_before(one, "created_at", since),
    )
    return _told([_issue_opened(one, repository) for one in found.results], since)


async def _poll_pulls(client: RestClient, resource: str | None, since: datetime) -> list[Occurrence]:
    repository = _named(resource)
    found = await GitHub(client).gather(
        repository_path(repository, "pulls"),
        [("state", "all"), ("sort", "created"), ("direction", "desc")],
        done=lambda one: _is_before(one, "created_at", since),
    )
    return _told([_pull_opened(one, repository) for one in found.results], since)


async def _poll_merges(client: RestClient, resource: str | None, since: datetime) -> list[Occurrence]:
    repository = _named(resource)
    github = GitHub(client)
    found = await github.gather(
        repository_path(repository, "pulls"),
        [("state", "closed"), ("sort", "updated"), ("direction", "desc")],
        keep=lambda one: at(one, "merged_at") is not None and not _is_before(one, "merged_at", since),
        done=lambda one: _is_before(one, "updated_at", since),
    )
    # who merged it and how large it is are told of one pull request only
    whole_ones = [
        await github.one(repository_path(repository, "pulls", whole(one, "number"))) for one in found.results
    ]
    return _told([_pull_merged(one, repository) for one in whole_ones], since)


async def _poll_releases(client: RestClient, resource: str | None, since: datetime) -> list[Occurrence]:
    repository = _named(resource)
    found = await GitHub(client).gather(
        repository_path(repository, "releases"), keep=lambda one: at(one, "draft") is not True
    )
    return _told([_release_published(one, repository) for one in found.results], since)


async def _poll_pushes(client: RestClient, resource: str | None, since: datetime) -> list[Occurrence]:
    """From the repository's record of pushes: a list of commits would miss old ones that are pushed late."""
    repository = _named(resource)
    github = GitHub(client)
    found = await github.gather(
        repository_path(repository, "activity"),
        [("direction", "desc")],
        keep=lambda one: words(one, "activity_type") in PUSHES,
        done=lambda one: _is_before(one, "timestamp", since),
    )
    told: list[Occurrence | None] = []
    for one in found.results:
        commits = await _commits_of(github, repository, one)
        ours = any(has_mark(words(commit, "commit", "message")) for commit in commits)
        author = whole(one, "actor", "id") if ours else None
        shown = [shapes.commit(commit) for commit in commits]
        told.append(_push(one, moment(one, "timestamp"), repository, shown, author))
    return _told(told, since)


async def _commits_of(github: GitHub, repository: str, push: Json) -> list[Json]:
    """The commits a push brought; none when one of its ends is not there (any more)."""
    before, after = words(push, "before"), words(push, "after")
    if NOTHING in (before, after):
        return []
    try:
        found = await github.one(
            repository_path(repository, "compare", f"{before}...{after}"), [("per_page", str(MOST_COMMITS))]
        )
    except ResourceNotFound:
        return []
    return objects(found, "commits")


def _named(resource: str | None) -> str:
    if resource is None:
        raise Invalid(
            "Say which repository to watch.",
            fields=[{"field": "resource", "value": None, "rule": "a repository as owner/name"}],
        )
    try:
        return shapes.repository_name(resource)
    except ValueError as error:
        rule = {"field": "resource", "value": resource[:200], "rule": str(error)}
        raise Invalid(f"{resource[:200]} is not a repository.", fields=[rule]) from None


def _is_before(one: Json, name: str, since: datetime) -> bool:
    return (moment(one, name) or EPOCH) < second_of(since)


def _told(found: list[Occurrence | None], since: datetime) -> list[Occurrence]:
    kept = [one for one in found if one is not None and one.at >= second_of(since)]
    return sorted(kept, key=lambda one: one.at)


EVENTS: tuple[EventKind, ...] = tuple(
    EventKind(name=name, title=title, resource_kind="repository", push=True, poll=poll)
    for name, title, poll in (
        ("issue.opened", "a new issue in a repository", _poll_issues),
        ("pull_request.opened", "a new pull request in a repository", _poll_pulls),
        ("pull_request.merged", "a pull request that was merged", _poll_merges),
        ("push", "new commits on a branch", _poll_pushes),
        ("release.published", "a release that was published", _poll_releases),
    )
)
