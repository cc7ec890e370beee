"""Repositories at GitHub as a person sees them, through that person's own connection."""

from __future__ import annotations

import base64
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeVar, cast
from urllib.parse import quote

from omniforge.board import github_reading as read
from omniforge.board.errors import GitHubFailed, NameTaken, VersionConflict
from omniforge.board.shapes import github as shapes
from omniforge.core.actor import Actor
from omniforge.core.errors import Conflict, Forbidden, NotFound, ProviderError
from omniforge.core.paging import Paging
from omniforge.integrations import IntegrationService
from omniforge.integrations.catalog.github.client import next_link
from omniforge.integrations.errors import (
    ConflictThere,
    ConnectionExpired,
    ConnectionMissing,
    PermissionDeniedThere,
    RefusedThere,
    ResourceNotFound,
)
from omniforge.integrations.rest import RestClient

Json = dict[str, Any]
Params = Sequence[tuple[str, str]]
Done = TypeVar("Done")
PAGE = 100
"""Most results GitHub gives at once."""


@dataclass(slots=True)
class Part:
    """A window of a list. `total` None: the list goes on, and nobody said how far."""

    items: list[Json] = field(default_factory=list[Json])
    total: int | None = None


class GitHub:
    def __init__(self, integrations: IntegrationService) -> None:
        self.integrations = integrations

    async def ask(self, actor: Actor, do: Callable[[RestClient], Awaitable[Done]]) -> Done:
        """Something of GitHub, with its refusals in our words."""
        async with in_our_words():
            return await self.integrations.use(actor, "github", do)

    async def one(self, actor: Actor, path: str, params: Params = ()) -> Json:
        return await self.ask(actor, lambda rest: rest.get(path, params))

    async def part(self, actor: Actor, path: str, paging: Paging, params: Params = ()) -> Part:
        return await self.ask(actor, lambda rest: window(rest, path, paging, params))

    # --- read ----------------------------------------------------------------------------------------------

    async def repos(self, actor: Actor, query: shapes.RepoQuery) -> shapes.RepoList:
        actor.require("board:view")
        given = {"visibility": query.visibility, "sort": query.sort}
        found = await self.part(actor, "/user/repos", query, _said(given))
        return shapes.RepoList(repos=[read.repo(one) for one in found.items], **_edges(found, query))

    async def repo(self, actor: Actor, place: shapes.Place) -> shapes.Repo:
        actor.require("board:view")
        found = read.repo(await self.one(actor, path_of(place)))
        _check_read(bool(found.full_name and found.id))
        return found

    async def branches(self, actor: Actor, place: shapes.Place, paging: Paging) -> shapes.BranchList:
        actor.require("board:view")
        found = await self.part(actor, path_of(place, "branches"), paging)
        shown = [read.branch(one) for one in found.items]
        return shapes.BranchList(branches=shown, **_edges(found, paging))

    async def file(self, actor: Actor, place: shapes.Place, path: str, ref: str | None) -> shapes.File:
        """NotFound for a folder as well: it has no content."""
        actor.require("board:view")
        where = path_of(place, "contents", path)
        answer = await self.ask(actor, lambda rest: rest.fetch("GET", where, params=_said({"ref": ref})))
        found: Any = answer.json
        if isinstance(found, list):
            raise NotFound("There is a folder at this path, and no file.", path=path)
        shown = read.file(cast("Json", found) if isinstance(found, dict) else {})
        _check_read(bool(shown.sha))
        return shown

    async def folder(self, actor: Actor, place: shapes.Place, query: shapes.FolderQuery) -> shapes.FolderList:
        actor.require("board:view")
        where = path_of(place, "contents", query.path)
        params = _said({"ref": query.ref})
        answer = await self.ask(actor, lambda rest: rest.fetch("GET", where, params=params))
        found: Any = answer.json
        if not isinstance(found, list):
            raise NotFound("There is a file at this path, and no folder.", path=query.path)
        entries = [read.folder_entry(one) for one in read.objects(cast("list[Any]", found))]
        return shapes.FolderList(entries=_cut(entries, query), **_whole(entries, query))

    async def tree(self, actor: Actor, place: shapes.Place, query: shapes.TreeQuery) -> shapes.Tree:
        actor.require("board:view")
        params = [("recursive", "1")] if query.recursive else []
        answer = await self.one(actor, path_of(place, "git/trees", query.tree_sha), params)
        _check_read(isinstance(answer.get("tree"), list))
        entries = [read.tree_entry(one) for one in read.objects(answer.get("tree"))]
        truncated = bool(answer.get("truncated"))
        return shapes.Tree(entries=_cut(entries, query), truncated=truncated, **_whole(entries, query))

    async def commits(
        self, actor: Actor, place: shapes.Place, query: shapes.CommitQuery
    ) -> shapes.RepoCommitList:
        """None of a repository that is empty."""
        actor.require("board:view")
        params = _said({"sha": query.sha, "path": query.path})
        try:
            found = await self.part(actor, path_of(place, "commits"), query, params)
        except GitHubFailed as failed:
            if failed.details.get("said_code") != ConflictThere.code:
                raise
            found = Part(total=0)
        shown = [read.commit(one) for one in found.items]
        return shapes.RepoCommitList(commits=shown, **_edges(found, query))

    async def pulls(self, actor: Actor, place: shapes.Place, query: shapes.PullQuery) -> shapes.PullList:
        actor.require("board:view")
        found = await self.part(actor, path_of(place, "pulls"), query, [("state", query.state)])
        return shapes.PullList(pulls=[read.pull(one) for one in found.items], **_edges(found, query))

    # --- write ---------------------------------------------------------------------------------------------

    async def make_branch(
        self, actor: Actor, place: shapes.Place, given: shapes.BranchGiven
    ) -> shapes.BranchMade:
        """`NameTaken` when there is one of that name."""
        actor.require("board:github")
        body = {"ref": f"refs/heads/{given.branch_name}", "sha": given.from_sha}
        where, message = path_of(place, "git/refs"), "There is a branch of this name already."
        made = await self._write(actor, "POST", where, body, NameTaken, message)
        ref, sha = read.text(made, "ref"), read.text(made, "object", "sha")
        _check_read(bool(ref and sha))
        return shapes.BranchMade(ref=ref, sha=sha)

    async def write_file(
        self, actor: Actor, place: shapes.Place, path: str, given: shapes.FileGiven
    ) -> shapes.FileWritten:
        """`VersionConflict` when the file is not the one that was to be replaced."""
        actor.require("board:github")
        body: Json = {
            "message": given.message,
            "content": base64.b64encode(given.content.encode()).decode(),
        }
        body |= {name: value for name in ("branch", "sha") if (value := getattr(given, name)) is not None}
        where, message = path_of(place, "contents", path), "This file has changed; look at it again."
        made = await self._write(actor, "PUT", where, body, VersionConflict, message)
        shas = (read.text(made, "commit", "sha"), read.text(made, "content", "sha"))
        _check_read(all(shas))
        return shapes.FileWritten(commit_sha=shas[0], content_sha=shas[1])

    async def make_pull(self, actor: Actor, place: shapes.Place, given: shapes.PullGiven) -> shapes.PullMade:
        """`NameTaken` when these branches have one that is open."""
        made = await self.write_pull(actor, place, given.model_dump(exclude_none=True))
        shown = read.pull(made)
        _check_read(bool(shown.number and shown.html_url))
        return shapes.PullMade(number=shown.number, html_url=shown.html_url, state=shown.state)

    async def write_pull(self, actor: Actor, place: shapes.Place, body: Json) -> Json:
        """The same in GitHub's own words."""
        actor.require("board:github")
        where, message = path_of(place, "pulls"), "There is a pull request for this branch already."
        return await self._write(actor, "POST", where, body, NameTaken, message)

    async def _write(  # noqa: PLR0917 - what is written where, and what stands in its way
        self, actor: Actor, method: str, path: str, body: Json, conflict: type[Conflict], message: str
    ) -> Json:
        async def send(rest: RestClient) -> Json:
            return await rest.request(method, path, body=body, changes=True)

        async with in_our_words():
            try:
                return await self.integrations.use(actor, "github", send)
            except ConflictThere as there:
                raise conflict(message, said=there.details.get("said")) from None
            except RefusedThere as there:
                if _is_taken(there):
                    raise conflict(message, said=there.details.get("said")) from None
                raise


@asynccontextmanager
async def in_our_words() -> AsyncGenerator[None]:
    """Refusals of GitHub: what it does not let this person do is 403, what it does not have 404, all else
    502."""
    try:
        yield
    except (ConnectionMissing, ConnectionExpired, PermissionDeniedThere) as there:
        raise Forbidden(there.message, said=there.details.get("said")) from None
    except ResourceNotFound as there:
        raise NotFound(there.message, said=there.details.get("said")) from None
    except (ConflictThere, RefusedThere, ProviderError) as there:
        _fail(there)


def _fail(there: ConflictThere | RefusedThere | ProviderError) -> NoReturn:
    said = there.details.get("said")
    raise GitHubFailed(there.message, said=said, said_code=there.code) from None


def _is_taken(there: RefusedThere) -> bool:
    said = f"{there.message} {there.details.get('said') or ''}".casefold()
    return any(sign in said for sign in ("already exists", "is taken already", '"sha" wasn\'t supplied'))


def _check_read(is_readable: bool) -> None:
    if not is_readable:
        raise GitHubFailed("GitHub sent something that cannot be read.")


def path_of(place: shapes.Place, *parts: str) -> str:
    """`/repos/owner/name/…`; slashes of a part stay slashes."""
    return "/".join([f"/repos/{place.owner}/{place.repo}", *(quote(one, safe="/") for one in parts if one)])


async def window(rest: RestClient, path: str, paging: Paging, params: Params = ()) -> Part:
    """The part of a list that is asked for; its end is known only where it was reached."""
    page, skip = paging.offset // PAGE + 1, paging.offset % PAGE
    found: list[Json] = []
    while True:
        asked = [*params, ("per_page", str(PAGE)), ("page", str(page))]
        answer = await rest.fetch("GET", path, params=asked)
        _check_read(isinstance(answer.json, list))
        items = read.objects(answer.json)
        found += items
        if next_link(answer) is None:
            is_beyond = not items and page > 1  # where it ended nobody says
            total = None if is_beyond else (page - 1) * PAGE + len(items)
            return Part(found[skip : skip + paging.limit], total)
        if len(found) >= skip + paging.limit:
            return Part(found[skip : skip + paging.limit])
        page += 1


def _said(given: dict[str, str | None]) -> Params:
    return [(name, value) for name, value in given.items() if value]


def _edges(found: Part, paging: Paging) -> Json:
    return {"total": found.total, "limit": paging.limit, "offset": paging.offset}


def _whole(entries: Sequence[Any], paging: Paging) -> Json:
    return {"total": len(entries), "limit": paging.limit, "offset": paging.offset}


def _cut(entries: list[Done], paging: Paging) -> list[Done]:
    return entries[paging.offset : paging.offset + paging.limit]
