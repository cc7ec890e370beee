"""The tools that look: who we are, repositories and what is in them."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from datetime import datetime

from omniforge.integrations.catalog.github import arguments as ask
from omniforge.integrations.catalog.github import shapes
from omniforge.integrations.catalog.github.client import Gathered, GitHub, repository_path, second
from omniforge.integrations.catalog.github.shapes import EPOCH, Json, at, moment, objects, whole, words
from omniforge.integrations.errors import ConflictThere, PermissionDeniedThere, ResourceNotFound, ServiceDown
from omniforge.integrations.rest import RestClient

MOST_COMMENTS = 1000
MOST_FILES = 3000
LONGEST_PATCH = 4000


async def who_am_i(client: RestClient, _: ask.Nothing) -> Json:
    """The workspace is the one account the app is installed on, and the person's own otherwise."""
    github = GitHub(client)
    me = await github.me()
    if whole(me, "id") is None or not words(me, "login"):
        raise ServiceDown("GitHub did not say who we are.", retryable=True, reason="unreadable")
    try:
        found = await github.one("/user/installations", [("per_page", "100")])
        accounts = [at(one, "account") for one in objects(found, "installations")]
    except (PermissionDeniedThere, ResourceNotFound):  # access keys belong to no app
        accounts = []
    account = accounts[0] if len(accounts) == 1 and words(accounts[0], "login") else me
    return {
        "user": {
            "id": str(whole(me, "id")),
            "name": words(me, "name") or words(me, "login"),
            "login": words(me, "login"),
        },
        "workspace": {"id": str(whole(account, "id")), "name": words(account, "login")},
    }


async def list_repositories(client: RestClient, args: ask.ListRepositories) -> Json:
    search = (args.search or "").casefold()
    found = await GitHub(client).gather(
        "/user/repos",
        [("sort", "full_name")],
        keep=lambda one: search in words(one, "full_name").casefold(),
    )
    return {
        "repositories": [shapes.repository(one) for one in found.results],
        "truncated": found.truncated,
    }


async def describe_repository(client: RestClient, args: ask.OneRepository) -> Json:
    github = GitHub(client)
    found = await github.one(repository_path(args.repository))
    labels = await github.gather(repository_path(args.repository, "labels"))
    milestones = await github.gather(repository_path(args.repository, "milestones"), [("state", "all")])
    branches = await github.gather(repository_path(args.repository, "branches"))
    return {
        **shapes.repository(found),
        "labels": [
            {"name": words(one, "name"), "description": words(one, "description")} for one in labels.results
        ],
        "milestones": [
            {
                "title": words(one, "title"),
                "state": words(one, "state"),
                "due_at": shapes.shown_time(one, "due_on"),
                "open_issues": whole(one, "open_issues"),
                "closed_issues": whole(one, "closed_issues"),
            }
            for one in milestones.results
        ],
        "branches": [
            {"name": words(one, "name"), "protected": at(one, "protected") is True}
            for one in branches.results
        ],
        "fields": _fields(labels, milestones),
        "truncated": labels.truncated or milestones.truncated or branches.truncated,
    }


def _fields(labels: Gathered, milestones: Gathered) -> list[Json]:
    """What can be asked for and set of an issue, in the words of the other services' fields."""
    return [
        {"name": "title", "type": "title"},
        {"name": "text", "type": "rich_text"},
        {"name": "state", "type": "select", "options": ["open", "closed"]},
        {
            "name": "labels",
            "type": "multi_select",
            "options": [words(one, "name") for one in labels.results],
        },
        {
            "name": "milestone",
            "type": "select",
            "options": [words(one, "title") for one in milestones.results if words(one, "state") == "open"],
        },
        {"name": "assignees", "type": "people"},
        {"name": "created_at", "type": "date"},
        {"name": "updated_at", "type": "date"},
    ]


async def list_issues(client: RestClient, args: ask.ListIssues) -> Json:
    github = GitHub(client)
    params = [("state", args.state)]
    if args.author:
        params.append(("creator", args.author))
    if args.assignee:
        params.append(("assignee", args.assignee))
    if args.milestone:
        number = await milestone_number(github, args.repository, args.milestone)
        params.append(("milestone", str(number)))
    if args.labels and not any("," in label for label in args.labels):
        params.append(("labels", ",".join(args.labels)))
    lower = _lowest(args.created_after, args.updated_after, args.closed_after)
    if lower:
        params.append(("since", second(lower)))
    found = await _listed(
        github,
        repository_path(args.repository, "issues"),
        params,
        args,
        lower,
        lambda one: "pull_request" not in one and _is_wanted(one, args),
    )
    return {"issues": [shapes.issue(one) for one in found.results], "truncated": found.truncated}


async def list_pull_requests(client: RestClient, args: ask.ListPullRequests) -> Json:
    params = [("state", "closed" if args.state == "merged" else args.state)]
    if args.base:
        params.append(("base", args.base))

    def wanted(one: Json) -> bool:
        merged = moment(one, "merged_at")
        return (
            (args.state != "merged" or merged is not None)
            and _is_within(one, "merged_at", args.merged_after, args.merged_before)
            and _is_wanted(one, args)
        )

    lower = _lowest(args.created_after, args.updated_after, args.closed_after, args.merged_after)
    found = await _listed(
        GitHub(client), repository_path(args.repository, "pulls"), params, args, lower, wanted
    )
    return {
        "pull_requests": [shapes.pull_request(one) for one in found.results],
        "truncated": found.truncated,
    }


async def _listed(  # noqa: PLR0917 - one question
    github: GitHub,
    path: str,
    params: list[tuple[str, str]],
    args: ask.ListIssues | ask.ListPullRequests,
    lower: datetime | None,
    wanted: Callable[[Json], bool],
) -> Gathered:
    """Issues or pull requests in the order asked for.

    Whatever was created, closed or merged after a time was updated after it, so the latest updates are read
    until that time. They are never read from the oldest on: what changes meanwhile would slip past.
    """
    by_update = lower is not None or args.sort == "updated"
    rising = args.direction == "ascending"
    sort, direction = ("updated", "desc") if by_update else (args.sort, "asc" if rising else "desc")
    as_asked = not by_update or (args.sort == "updated" and not rising)
    found = await github.gather(
        path,
        [*params, ("sort", sort), ("direction", direction)],
        keep=wanted,
        done=lambda one: lower is not None and (moment(one, "updated_at") or EPOCH) < second_of(lower),
        limit=args.limit if as_asked else ask.MOST,
    )
    if not as_asked:
        found.results.sort(key=lambda one: moment(one, f"{args.sort}_at") or EPOCH, reverse=not rising)
        found.truncated |= len(found.results) > args.limit
        del found.results[args.limit :]
    return found


def second_of(given: datetime) -> datetime:
    """GitHub's times are whole seconds: what happened in that second counts."""
    return given.replace(microsecond=0)


def _lowest(*bounds: datetime | None) -> datetime | None:
    """Nothing that is wanted was updated before this."""
    return max((bound for bound in bounds if bound is not None), default=None)


def _is_wanted(one: Json, args: ask.ListIssues | ask.ListPullRequests) -> bool:
    labels = {words(label, "name").casefold() for label in objects(one, "labels")}
    people = {words(user, "login").casefold() for user in objects(one, "assignees")}
    return (
        _is_within(one, "created_at", args.created_after, args.created_before)
        and _is_within(one, "updated_at", args.updated_after, args.updated_before)
        and _is_within(one, "closed_at", args.closed_after, args.closed_before)
        and labels.issuperset(label.casefold() for label in args.labels)
        and (args.author is None or words(one, "user", "login").casefold() == args.author.casefold())
        and (args.assignee is None or args.assignee.casefold() in people)
    )


def _is_within(one: Json, name: str, after: datetime | None, before: datetime | None) -> bool:
    if after is None and before is None:
        return True
    found = moment(one, name)
    return found is not None and (after is None or found >= after) and (before is None or found < before)


async def list_commits(client: RestClient, args: ask.ListCommits) -> Json:
    given = {
        "sha": args.branch,
        "path": args.path,
        "author": args.author,
        "since": second(args.after) if args.after else None,
        "until": second(args.before) if args.before else None,
    }
    params = [(name, value) for name, value in given.items() if value]

    def wanted(one: Json) -> bool:
        found = moment(one, "commit", "committer", "date")
        return (args.after is None or (found is not None and found >= args.after)) and (
            args.before is None or (found is not None and found < args.before)
        )

    try:
        found = await GitHub(client).gather(
            repository_path(args.repository, "commits"), params, keep=wanted, limit=args.limit
        )
    except ConflictThere:  # GitHub's answer about a repository without any commit
        found = Gathered()
    return {"commits": [shapes.commit(one) for one in found.results], "truncated": found.truncated}


async def list_releases(client: RestClient, args: ask.ListReleases) -> Json:
    def wanted(one: Json) -> bool:
        is_draft = at(one, "draft") is True
        return (
            (args.drafts or not is_draft)
            and (args.prereleases or at(one, "prerelease") is not True)
            and _is_within(one, "published_at", args.published_after, args.published_before)
        )

    path = repository_path(args.repository, "releases")
    found = await GitHub(client).gather(path, keep=wanted, limit=args.limit)
    found.results.sort(
        key=lambda one: moment(one, "published_at") or moment(one, "created_at") or EPOCH, reverse=True
    )
    return {"releases": [shapes.release(one) for one in found.results], "truncated": found.truncated}


async def read_issue(client: RestClient, args: ask.OneNumber) -> Json:
    """Of a pull request, this is its conversation."""
    github = GitHub(client)
    found = await github.one(repository_path(args.repository, "issues", args.number))
    said = await _comments(github, args)
    return {
        **shapes.issue(found),
        "is_pull_request": "pull_request" in found,
        "said": [shapes.comment(one) for one in said.results],
        "truncated": said.truncated,
    }


async def read_pull_request(client: RestClient, args: ask.OneNumber) -> Json:
    github = GitHub(client)
    found = await github.one(repository_path(args.repository, "pulls", args.number))
    said = await _comments(github, args)
    path = repository_path(args.repository, "pulls", args.number)
    notes = await github.gather(f"{path}/comments", limit=MOST_COMMENTS)
    files = await github.gather(f"{path}/files", limit=MOST_FILES)
    return {
        **shapes.pull_request(found),
        "said": [shapes.comment(one) for one in said.results],
        "review": [
            {**shapes.comment(one), "path": words(one, "path"), "line": whole(one, "line")}
            for one in notes.results
        ],
        "files": [_file(one) for one in files.results],
        "truncated": said.truncated or notes.truncated or files.truncated,
    }


def _file(found: Json) -> Json:
    shown = shapes.changed_file(found)
    if len(shown["patch"]) > LONGEST_PATCH:
        shown |= {"patch": shown["patch"][:LONGEST_PATCH], "patch_cut": True}
    return shown


async def _comments(github: GitHub, args: ask.OneNumber) -> Gathered:
    path = repository_path(args.repository, "issues", args.number, "comments")
    return await github.gather(path, limit=MOST_COMMENTS)


async def read_file(client: RestClient, args: ask.OneFile) -> Json:
    """A file with its text (null when it is no text, or more than GitHub hands out), or a folder."""
    path = repository_path(args.repository, "contents", args.path)
    answer = await client.fetch("GET", path, params=[("ref", args.branch)] if args.branch else [])
    found = answer.json
    if isinstance(found, list):
        entries = [{"path": words(one, "path"), "kind": words(one, "type")} for one in objects(found)]
        return {"path": args.path, "kind": "folder", "entries": entries, "truncated": len(entries) >= 1000}
    content = content_of(found)
    try:
        text = content.decode() if content is not None else None
    except UnicodeDecodeError:
        text = None
    return {
        "path": words(found, "path"),
        "kind": words(found, "type"),
        "text": text,
        "sha": words(found, "sha"),
        "size": whole(found, "size"),
        "url": words(found, "html_url"),
        "truncated": content is None,
    }


def content_of(found: object) -> bytes | None:
    """The bytes of a file as the contents address gives them; None when it leaves them out."""
    if words(found, "encoding") != "base64":
        return None
    try:
        return base64.b64decode(words(found, "content"))
    except (binascii.Error, ValueError):
        return None


async def milestone_number(github: GitHub, repository: str, title: str) -> int:
    """The number behind a milestone's title."""
    found = await github.gather(repository_path(repository, "milestones"), [("state", "all")])
    for one in found.results:
        number = whole(one, "number")
        if number is not None and words(one, "title").casefold() == title.casefold():
            return number
    titles = ", ".join(words(one, "title") for one in found.results[:20])
    raise ResourceNotFound(
        f"{repository} has no milestone called {title}. {f'It has: {titles}.' if titles else 'It has none.'}"
    )
