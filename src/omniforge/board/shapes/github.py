"""GitHub on the wire: repositories, what is in them, and how a project is connected with one."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, Field, StringConstraints

from omniforge.board.shapes.projects import Branch, Owner, Repository
from omniforge.board.shapes.words import Given, Id
from omniforge.core.paging import Paging


def _inside(path: str) -> str:
    parts = path.split("/")
    if any(part in ("", ".", "..") for part in parts):
        raise ValueError("a path inside the repository, such as docs/notes.md")
    return path


def _folder(path: str) -> str:
    return _inside(path.strip("/")) if path.strip("/") else ""


Sha = Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F]{40,64}$", to_lower=True)]
Ref = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=r"^[^\s~^:?*\[\\]+$")]
FilePath = Annotated[str, StringConstraints(min_length=1, max_length=1_000), AfterValidator(_inside)]
FolderPath = Annotated[str, StringConstraints(max_length=1_000), AfterValidator(_folder)]
Message = Annotated[str, StringConstraints(min_length=1, max_length=20_000, strip_whitespace=True)]


class ConnectGiven(Given):
    """`webhook_secret`: without one it is made and told once."""

    project_id: Id
    owner: Owner
    repo: Repository
    webhook_secret: Annotated[str, StringConstraints(min_length=8, max_length=255)] | None = None


class Connected(BaseModel):
    success: bool = True
    message: str
    project_id: str
    webhook_url: str
    webhook_secret: str | None = None


class ConnectedRepository(BaseModel):
    project_id: str
    owner: str
    repo: str
    connected: bool
    webhook_configured: bool


class Window(BaseModel):
    """Of a list of GitHub; `total` is null where it was not read to its end."""

    total: int | None
    limit: int
    offset: int


class ConnectedList(Window):
    repositories: list[ConnectedRepository]


class Taken(BaseModel):
    """Of a delivery."""

    success: bool = True
    message: str


class SyncGiven(Given):
    project_id: Id


class SyncStarted(BaseModel):
    success: bool = True
    run_id: str


# --- repositories ------------------------------------------------------------------------------------------


class RepoQuery(Paging):
    visibility: Literal["all", "public", "private"] | None = None
    sort: Literal["created", "updated", "pushed", "full_name"] | None = None


class Repo(BaseModel):
    id: int
    name: str
    full_name: str
    owner: str
    description: str | None
    private: bool
    default_branch: str
    html_url: str
    language: str | None
    pushed_at: datetime | None


class RepoList(Window):
    repos: list[Repo]


class RepoBranch(BaseModel):
    name: str
    sha: str
    protected: bool


class BranchList(Window):
    branches: list[RepoBranch]


class BranchGiven(Given):
    branch_name: Branch
    from_sha: Sha


class BranchMade(BaseModel):
    success: bool = True
    ref: str
    sha: str


class FileQuery(Given):
    ref: Ref | None = None


class File(BaseModel):
    """`content` is null for what is no text."""

    name: str
    path: str
    sha: str
    size: int
    content: str | None
    html_url: str | None


class FileGiven(Given):
    """`sha`: of the file that is replaced; needed where there is one."""

    content: Annotated[str, StringConstraints(max_length=1_000_000)]
    message: Message
    branch: Branch | None = None
    sha: Sha | None = None


class FileWritten(BaseModel):
    success: bool = True
    commit_sha: str
    content_sha: str


class FolderQuery(Paging):
    path: FolderPath = ""
    ref: Ref | None = None


class FolderEntry(BaseModel):
    name: str
    path: str
    type: str
    size: int
    sha: str


class FolderList(Window):
    entries: list[FolderEntry]


class TreeQuery(Paging):
    tree_sha: Ref = "HEAD"
    recursive: bool = True


class TreeEntry(BaseModel):
    path: str
    type: str
    sha: str
    size: int | None


class Tree(Window):
    """`truncated`: GitHub shows no more of it."""

    entries: list[TreeEntry]
    truncated: bool


class CommitQuery(Paging):
    sha: Ref | None = None
    path: FilePath | None = None


class RepoCommit(BaseModel):
    sha: str
    message: str
    author: str | None
    authored_at: datetime | None
    html_url: str | None


class RepoCommitList(Window):
    commits: list[RepoCommit]


class PullQuery(Paging):
    state: Literal["open", "closed", "all"] = "open"


class PullRequest(BaseModel):
    number: int
    title: str
    state: str
    html_url: str
    head: str
    base: str
    draft: bool
    author: str | None
    created_at: datetime | None
    merged_at: datetime | None


class PullList(Window):
    pulls: list[PullRequest]


class PullGiven(Given):
    title: Annotated[str, StringConstraints(min_length=1, max_length=256, strip_whitespace=True)]
    head: Ref
    base: Ref
    body: Annotated[str, StringConstraints(max_length=65_000)] | None = None
    draft: bool = False


class PullMade(BaseModel):
    success: bool = True
    number: int
    html_url: str
    state: str


class Place(BaseModel):
    """A repository in an address."""

    owner: Owner
    repo: Annotated[Repository, Field(pattern=r"^[A-Za-z0-9._-]*[A-Za-z0-9_-][A-Za-z0-9._-]*$")]
