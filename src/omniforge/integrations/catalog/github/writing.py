"""The tools that change something, and those that look whether a change has arrived."""

from __future__ import annotations

import base64
from collections.abc import Iterable

from omniforge.integrations.catalog.github import arguments as ask
from omniforge.integrations.catalog.github import shapes
from omniforge.integrations.catalog.github.client import GitHub, repository_path
from omniforge.integrations.catalog.github.reading import content_of, milestone_number
from omniforge.integrations.catalog.github.shapes import Json, has_mark, objects, whole, with_mark, words
from omniforge.integrations.errors import ConflictThere, ResourceNotFound, ServiceDown
from omniforge.integrations.rest import RestClient

LOOKED_AT_FOR_MARK = 200


async def create_issue(client: RestClient, args: ask.CreateIssue) -> Json:
    github = GitHub(client)
    body: Json = {"title": args.title, "body": with_mark(args.text or "", args.mark)}
    body |= {name: value for name, value in (("labels", args.labels), ("assignees", args.assignees)) if value}
    if args.milestone:
        body["milestone"] = await milestone_number(github, args.repository, args.milestone)
    made = await client.post(repository_path(args.repository, "issues"), body, changes=True)
    return _issue(made, args.labels, args.assignees)


async def update_issue(client: RestClient, args: ask.UpdateIssue) -> Json:
    changes = args.changes
    if "text" in changes:
        changes["body"] = changes.pop("text")
    made = await client.patch(repository_path(args.repository, "issues", args.number), changes)
    return _issue(made, args.labels or (), args.assignees or ())


def _issue(made: Json, labels: Iterable[str], assignees: Iterable[str]) -> Json:
    """`ignored` names what GitHub left out without a word, as it does for who may not set it."""
    got = {
        "labels": _names(words(one, "name") for one in objects(made, "labels")),
        "assignees": _names(words(one, "login") for one in objects(made, "assignees")),
    }
    asked = {"labels": _names(labels), "assignees": _names(assignees)}
    return {
        **_made(made, "number"),
        "number": whole(made, "number"),
        "ignored": [name for name, names in asked.items() if not names <= got[name]],
    }


def _names(given: Iterable[str]) -> set[str]:
    return {name.casefold() for name in given}


async def add_comment(client: RestClient, args: ask.AddComment) -> Json:
    path = repository_path(args.repository, "issues", args.number, "comments")
    return _made(await client.post(path, {"body": with_mark(args.text, args.mark)}, changes=True), "id")


async def write_file(client: RestClient, args: ask.WriteFile) -> Json:
    try:
        return await _replace(client, args)
    except ConflictThere:
        if args.expected_sha is not None:
            raise
        return await _replace(
            client, args
        )  # somebody was at the branch just then: one more look, one more try


async def _replace(client: RestClient, args: ask.WriteFile) -> Json:
    """Look first: what is there already is not written again, and GitHub wants to know what is replaced."""
    there = await _present(client, args)
    sha = words(there, "sha") or None
    if args.expected_sha is not None and sha != args.expected_sha:
        raise ConflictThere(
            f"{args.path} was changed on GitHub since it was read. Nothing was overwritten.", sha=sha
        )
    if there is not None and content_of(there) == args.content.encode():
        return {"path": args.path, "sha": sha, "url": words(there, "html_url"), "commit": None}
    return await _put(client, args, sha)


async def _present(client: RestClient, args: ask.WriteFile) -> Json | None:
    path = repository_path(args.repository, "contents", args.path)
    try:
        return await client.get(path, [("ref", args.branch)] if args.branch else [])
    except ResourceNotFound:
        return None


async def _put(client: RestClient, args: ask.WriteFile, sha: str | None) -> Json:
    body: Json = {
        "message": shapes.commit_message(args.message, args.mark),
        "content": base64.b64encode(args.content.encode()).decode(),
    }
    body |= {name: value for name, value in (("branch", args.branch), ("sha", sha)) if value}
    path = repository_path(args.repository, "contents", args.path)
    made = await client.request("PUT", path, body=body, changes=True)
    commit = words(made, "commit", "sha")
    if not commit:
        raise _unclear()
    return {
        "path": args.path,
        "sha": words(made, "content", "sha"),
        "url": words(made, "content", "html_url"),
        "commit": commit,
    }


async def draft_release(client: RestClient, args: ask.DraftRelease) -> Json:
    body: Json = {
        "tag_name": args.tag,
        "name": args.name or args.tag,
        "body": with_mark(args.text or "", args.mark),
        "draft": True,
        "prerelease": args.prerelease,
    }
    if args.target:
        body["target_commitish"] = args.target
    return _made(await client.post(repository_path(args.repository, "releases"), body, changes=True), "id")


def _made(made: Json, key: str) -> Json:
    number = whole(made, key)
    if number is None:
        raise _unclear()
    return {"id": str(number), "url": words(made, "html_url")}


def _unclear() -> ServiceDown:
    return ServiceDown(
        "GitHub's answer does not say what was written. I'll look there first.",
        retryable=True,
        outcome_unknown=True,
    )


# --- looking whether it has arrived ----------------------------------------------------------------------


async def find_issue(client: RestClient, args: ask.FindMarked) -> Json:
    """Among the issues this person made last; a search would show new ones only after a while."""
    github = GitHub(client)
    us = words(await github.me(), "login")
    found = await github.gather(
        repository_path(args.repository, "issues"),
        [("state", "all"), ("creator", us), ("sort", "created"), ("direction", "desc")],
        limit=LOOKED_AT_FOR_MARK,
    )
    return {"issue": next((_issue(one, (), ()) for one in found.results if _bears(one, args.mark)), None)}


async def find_changed_issue(client: RestClient, args: ask.UpdateIssue) -> Json:
    """The issue, when it is as the change wants it."""
    found = await client.get(repository_path(args.repository, "issues", args.number))
    shown = shapes.issue(found)
    lists = {"labels": args.labels, "assignees": args.assignees}
    is_so = all(
        _names(shown[name]) == _names(lists.get(name) or ()) if name in lists else _same(shown[name], value)
        for name, value in args.changes.items()
    )
    return {"issue": _issue(found, (), ()) if is_so else None}


def _same(there: object, wanted: object) -> bool:
    """Text goes to and fro between kinds of line ends."""
    return str(there or "").replace("\r\n", "\n").strip() == str(wanted).replace("\r\n", "\n").strip()


async def find_comment(client: RestClient, args: ask.FindComment) -> Json:
    github = GitHub(client)
    us = words(await github.me(), "login")
    found = await github.gather(
        repository_path(args.repository, "issues", args.number, "comments"),
        keep=lambda one: words(one, "user", "login") == us and _bears(one, args.mark),
    )
    return {"comment": next((_made(one, "id") for one in found.results), None)}


async def find_written_file(client: RestClient, args: ask.FindWrittenFile) -> Json:
    params = [("path", args.path), *([("sha", args.branch)] if args.branch else [])]
    path = repository_path(args.repository, "commits")
    try:
        found = await GitHub(client).gather(path, params, limit=LOOKED_AT_FOR_MARK)
    except ConflictThere:  # no commit at all yet
        return {"commit": None}
    ours = (one for one in found.results if has_mark(words(one, "commit", "message"), args.mark))
    return {"commit": next((shapes.commit(one) for one in ours), None)}


async def find_release(client: RestClient, args: ask.FindMarked) -> Json:
    """Drafts stand at the date of their commit, so all are looked at."""
    github = GitHub(client)
    us = words(await github.me(), "login")
    found = await github.gather(
        repository_path(args.repository, "releases"),
        keep=lambda one: words(one, "author", "login") == us and _bears(one, args.mark),
    )
    return {"release": next((_made(one, "id") for one in found.results), None)}


def _bears(one: Json, mark: str) -> bool:
    return has_mark(words(one, "body"), mark)
