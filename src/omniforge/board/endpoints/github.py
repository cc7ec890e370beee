"""HTTP of GitHub as the board uses it: projects connected with it, its deliveries, and its repositories."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request

from omniforge.board.github_rooms import GitHubRooms
from omniforge.board.shapes.github import (
    BranchGiven,
    BranchList,
    BranchMade,
    CommitQuery,
    Connected,
    ConnectedList,
    ConnectGiven,
    File,
    FileGiven,
    FilePath,
    FileQuery,
    FileWritten,
    FolderList,
    FolderQuery,
    Place,
    PullGiven,
    PullList,
    PullMade,
    PullQuery,
    Repo,
    RepoCommitList,
    RepoList,
    RepoQuery,
    SyncGiven,
    SyncStarted,
    Taken,
    Tree,
    TreeQuery,
)
from omniforge.core.paging import Paging
from omniforge.tenants import CurrentActor


def rooms_of(request: Request) -> GitHubRooms:
    rooms: GitHubRooms = request.app.state.github
    return rooms


Rooms = Annotated[GitHubRooms, Depends(rooms_of)]
Page = Annotated[Paging, Query()]
Where = Annotated[Place, Path()]
AtPath = Annotated[FilePath, Path()]

router = APIRouter(prefix="/api/v1/github", tags=["github"])


@router.post("/connect")
async def connect_repository(body: ConnectGiven, actor: CurrentActor, rooms: Rooms) -> Connected:
    """A secret that was made is told this once."""
    return await rooms.projects.connect(actor, body)


@router.get("/connected")
async def list_connected(actor: CurrentActor, rooms: Rooms, paging: Page) -> ConnectedList:
    return await rooms.projects.connected(actor, paging)


@router.post("/webhooks/github")
async def take_delivery(request: Request, rooms: Rooms) -> Taken:
    """For GitHub itself: whoever signs with the secret of a project speaks for its repository."""
    handled = await rooms.deliveries.take(request.headers, await request.body())
    return Taken(message="Taken." if handled else "This was taken before.")


@router.post("/sync", status_code=202)
async def sync_project(body: SyncGiven, actor: CurrentActor, rooms: Rooms) -> SyncStarted:
    return SyncStarted(run_id=await rooms.projects.start_sync(actor, body.project_id))


@router.get("/repos")
async def list_repositories(
    actor: CurrentActor, rooms: Rooms, query: Annotated[RepoQuery, Query()]
) -> RepoList:
    return await rooms.repositories.repos(actor, query)


@router.get("/repos/{owner}/{repo}")
async def get_repository(place: Where, actor: CurrentActor, rooms: Rooms) -> Repo:
    return await rooms.repositories.repo(actor, place)


@router.get("/repos/{owner}/{repo}/branches")
async def list_branches(place: Where, actor: CurrentActor, rooms: Rooms, paging: Page) -> BranchList:
    return await rooms.repositories.branches(actor, place, paging)


@router.post("/repos/{owner}/{repo}/branches", status_code=201)
async def create_branch(place: Where, body: BranchGiven, actor: CurrentActor, rooms: Rooms) -> BranchMade:
    return await rooms.repositories.make_branch(actor, place, body)


@router.get("/repos/{owner}/{repo}/contents/{path:path}")
async def get_file(
    place: Where, path: AtPath, actor: CurrentActor, rooms: Rooms, query: Annotated[FileQuery, Query()]
) -> File:
    return await rooms.repositories.file(actor, place, path, query.ref)


@router.put("/repos/{owner}/{repo}/contents/{path:path}")
async def write_file(
    place: Where, path: AtPath, body: FileGiven, actor: CurrentActor, rooms: Rooms
) -> FileWritten:
    return await rooms.repositories.write_file(actor, place, path, body)


@router.get("/repos/{owner}/{repo}/directory")
async def list_folder(
    place: Where, actor: CurrentActor, rooms: Rooms, query: Annotated[FolderQuery, Query()]
) -> FolderList:
    return await rooms.repositories.folder(actor, place, query)


@router.get("/repos/{owner}/{repo}/tree")
async def get_tree(
    place: Where, actor: CurrentActor, rooms: Rooms, query: Annotated[TreeQuery, Query()]
) -> Tree:
    return await rooms.repositories.tree(actor, place, query)


@router.get("/repos/{owner}/{repo}/commits")
async def list_commits(
    place: Where, actor: CurrentActor, rooms: Rooms, query: Annotated[CommitQuery, Query()]
) -> RepoCommitList:
    return await rooms.repositories.commits(actor, place, query)


@router.get("/repos/{owner}/{repo}/pulls")
async def list_pulls(
    place: Where, actor: CurrentActor, rooms: Rooms, query: Annotated[PullQuery, Query()]
) -> PullList:
    return await rooms.repositories.pulls(actor, place, query)


@router.post("/repos/{owner}/{repo}/pulls", status_code=201)
async def create_pull(place: Where, body: PullGiven, actor: CurrentActor, rooms: Rooms) -> PullMade:
    return await rooms.repositories.make_pull(actor, place, body)
