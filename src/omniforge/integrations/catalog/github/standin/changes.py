"""What the local server lets itself be told: issues, comments, files, release drafts, and signed-out apps."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from typing import Any, cast

from starlette.responses import JSONResponse, Response

from omniforge.integrations.catalog.github.standin import discussions, history
from omniforge.integrations.catalog.github.standin.account import (
    Activity,
    Comment,
    Commit,
    Item,
    Release,
    Repository,
    blob_sha,
    sha_of,
)
from omniforge.integrations.catalog.github.standin.answers import (
    Call,
    Unprocessable,
    item_of,
    repository_of,
)
from omniforge.integrations.standin import Json, Refusal

FIRST_ID = 2_000_000_000
LONGEST_TITLE = 256
LONGEST_BODY = 65_536


def _now(call: Call) -> datetime:
    return call.state.now().replace(microsecond=0)


def _next_id(call: Call) -> int:
    return FIRST_ID + call.state.new_number()


def _person(call: Call) -> str:
    return call.grant.person or call.state.account.people[0].login


def _wrong(resource: str, field: str, code: str = "invalid", **more: Any) -> Json:
    return {"resource": resource, "code": code, "field": field, **more}


def _texts(call: Call, name: str) -> list[str] | None:
    given = call.body.get(name)
    if given is None:
        return None
    if not isinstance(given, list) or not all(isinstance(one, str) for one in cast("list[Any]", given)):
        raise Unprocessable(_wrong("Issue", name))
    return [str(one) for one in cast("list[Any]", given)]


def _checked(call: Call, one: Repository, *, new: bool) -> list[Json]:
    """What is wrong with the fields of an issue."""
    body, problems = call.body, list[Json]()
    title = body.get("title")
    if new and title is None:
        problems.append(_wrong("Issue", "title", "missing_field"))
    elif title is not None and (not isinstance(title, str) or not title.strip()):
        problems.append(_wrong("Issue", "title"))
    elif isinstance(title, str) and len(title) > LONGEST_TITLE:
        said = f"title is too long (maximum is {LONGEST_TITLE} characters)"
        problems.append(_wrong("Issue", "title", "custom", message=said))
    if len(str(body.get("body") or "")) > LONGEST_BODY:
        said = f"body is too long (maximum is {LONGEST_BODY} characters)"
        problems.append(_wrong("Issue", "body", "custom", message=said))
    for login in _texts(call, "assignees") or []:
        if not call.state.account.is_person(login):
            problems.append(_wrong("Issue", "assignees", value=login))
    milestone = body.get("milestone")
    if milestone is not None and milestone not in [known.number for known in one.milestones]:
        problems.append(_wrong("Issue", "milestone", value=milestone))
    return problems


async def create_issue(call: Call) -> Response:
    one, account = repository_of(call), call.state.account
    if problems := _checked(call, one, new=True):
        raise Unprocessable(*problems)
    now, number = _now(call), one.next_number()
    item = Item(
        _next_id(call),
        number,
        call.body["title"],
        call.body.get("body"),
        _person(call),
        now,
        now,
        labels=[one.label(name).name for name in _texts(call, "labels") or []],
        assignees=[account.user(login).login for login in _texts(call, "assignees") or []],
        milestone=call.body.get("milestone"),
        through_app=bool(call.grant.account),
    )
    one.items[number] = item
    call.happened("issue.opened", repository=one.full_name, number=number)
    return JSONResponse(discussions.issue_json(account, one, item), 201)


async def update_issue(call: Call) -> Json:
    one = repository_of(call)
    item, body, now = item_of(call, one), call.body, _now(call)
    if problems := _checked(call, one, new=False):
        raise Unprocessable(*problems)
    if body.get("state", item.state) not in ("open", "closed"):
        raise Unprocessable(_wrong("Issue", "state"))
    item.title = body.get("title", item.title)
    item.body = body.get("body", item.body)
    if (labels := _texts(call, "labels")) is not None:
        item.labels = [one.label(name).name for name in labels]
    if (assignees := _texts(call, "assignees")) is not None:
        item.assignees = [call.state.account.user(login).login for login in assignees]
    match body.get("state"):
        case "closed" if item.closed is None:
            item.closed, item.reason = now, body.get("state_reason") or "completed"
        case "open" if item.closed is not None:
            item.closed, item.reason = None, "reopened"
        case _:
            item.reason = body.get("state_reason") or item.reason
    item.updated = now
    return discussions.issue_json(call.state.account, one, item)


async def add_comment(call: Call) -> Response:
    one = repository_of(call)
    item, text = item_of(call, one), call.body.get("body")
    if not isinstance(text, str) or not text.strip():
        raise Unprocessable(_wrong("IssueComment", "body", "missing_field"))
    comment = Comment(_next_id(call), _person(call), text, _now(call))
    item.comments.append(comment)
    item.updated = comment.created
    return JSONResponse(discussions.comment_json(call.state.account, one, item, comment), 201)


async def write_file(call: Call) -> Response:
    one, body, path = repository_of(call), call.body, call.segment("path").strip("/")
    branch = str(body.get("branch") or one.default_branch)
    if branch not in one.branches:
        raise Refusal(404, "", f"Branch {branch} not found")
    if not isinstance(body.get("message"), str) or not isinstance(body.get("content"), str):
        raise Unprocessable(message='Invalid request.\n\n"message", "content" weren\'t supplied.')
    try:
        content = base64.b64decode(body["content"], validate=True)
    except (binascii.Error, ValueError):
        raise Unprocessable(message="content is not valid Base64") from None
    there, given = one.file(branch, path), body.get("sha")
    if there is not None and given is None:
        raise Unprocessable(message='Invalid request.\n\n"sha" wasn\'t supplied.')
    if given is not None and (there is None or blob_sha(there) != given):
        raise Refusal(409, "", f"{path} does not match {given}")
    before = one.head(branch)
    made = _next_id(call)
    commit = Commit(
        sha_of(one.full_name, path, made), _person(call), body["message"], _now(call), (path,), branch
    )
    one.files[branch, path] = content
    one.commits.append(commit)
    one.activities.append(Activity(made, "push", branch, before, commit.sha, commit.at, commit.login))
    call.happened("push", repository=one.full_name, sha=commit.sha)
    shown = history.written_json(one, branch, path, content, commit)
    return JSONResponse(shown, 201 if there is None else 200)


async def create_release(call: Call) -> Response:
    one, body, now = repository_of(call), call.body, _now(call)
    tag = body.get("tag_name")
    if not isinstance(tag, str) or not tag:
        raise Unprocessable(_wrong("Release", "tag_name", "missing_field"))
    is_draft = body.get("draft") is True
    if not is_draft and any(known.tag == tag and not known.draft for known in one.releases):
        raise Unprocessable(_wrong("Release", "tag_name", "already_exists"))
    target = str(body.get("target_commitish") or one.default_branch)
    release = Release(
        _next_id(call),
        tag,
        body.get("name"),
        body.get("body"),
        _person(call),
        now,
        None if is_draft else now,
        draft=is_draft,
        prerelease=body.get("prerelease") is True,
        target=target,
    )
    one.releases.append(release)
    if not is_draft:
        call.happened("release.published", repository=one.full_name, id=release.id)
    return JSONResponse(history.release_json(call.state.account, one, release), 201)
