"""The account the local server holds: people, repositories, and what is in them."""

from __future__ import annotations

import copy
import hashlib
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

NOTHING = "0" * 40


def stable_number(*parts: object) -> int:
    """The same id for the same thing in every start, in the range of GitHub's own."""
    return 100_000_000 + zlib.crc32("/".join(str(part) for part in parts).encode()) % 800_000_000


def sha_of(*parts: object) -> str:
    return hashlib.sha1("/".join(str(part) for part in parts).encode(), usedforsecurity=False).hexdigest()


def blob_sha(content: bytes) -> str:
    """The name git gives this content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


@dataclass(slots=True)
class User:
    id: int
    login: str
    name: str
    kind: str = "User"


@dataclass(slots=True)
class Label:
    name: str
    color: str = "ededed"
    description: str | None = None


@dataclass(slots=True)
class Milestone:
    number: int
    title: str
    state: str
    due: datetime | None
    created: datetime


@dataclass(slots=True)
class Comment:
    id: int
    login: str
    body: str
    created: datetime
    path: str = ""
    line: int | None = None


@dataclass(slots=True)
class ChangedFile:
    path: str
    status: str
    additions: int
    deletions: int
    patch: str


@dataclass(slots=True)
class Pull:
    """What makes an item a pull request."""

    branch: str
    base: str = "main"
    draft: bool = False
    merged: datetime | None = None
    merged_by: str | None = None
    reviewers: list[str] = field(default_factory=list[str])
    files: list[ChangedFile] = field(default_factory=list[ChangedFile])
    notes: list[Comment] = field(default_factory=list[Comment])


@dataclass(slots=True)
class Item:
    """An issue or a pull request; they share their numbers."""

    id: int
    number: int
    title: str
    body: str | None
    login: str
    created: datetime
    updated: datetime
    labels: list[str] = field(default_factory=list[str])
    assignees: list[str] = field(default_factory=list[str])
    milestone: int | None = None
    closed: datetime | None = None
    reason: str | None = None
    comments: list[Comment] = field(default_factory=list[Comment])
    pull: Pull | None = None
    through_app: bool = False

    @property
    def state(self) -> str:
        return "closed" if self.closed else "open"


@dataclass(slots=True)
class Commit:
    sha: str
    login: str
    message: str
    at: datetime
    paths: tuple[str, ...]
    branch: str


@dataclass(slots=True)
class Release:
    id: int
    tag: str
    name: str | None
    body: str | None
    login: str
    created: datetime
    published: datetime | None
    draft: bool = False
    prerelease: bool = False
    target: str = "main"


@dataclass(slots=True)
class Activity:
    """One push, as the repository's own record has it."""

    id: int
    kind: str
    branch: str
    before: str
    after: str
    at: datetime
    login: str


@dataclass(slots=True)
class Repository:
    id: int
    owner: str
    name: str
    description: str | None
    language: str | None
    private: bool
    created: datetime
    default_branch: str = "main"
    labels: list[Label] = field(default_factory=list[Label])
    milestones: list[Milestone] = field(default_factory=list[Milestone])
    branches: list[str] = field(default_factory=list[str])
    items: dict[int, Item] = field(default_factory=dict[int, Item])
    commits: list[Commit] = field(default_factory=list[Commit])
    releases: list[Release] = field(default_factory=list[Release])
    activities: list[Activity] = field(default_factory=list[Activity])
    files: dict[tuple[str, str], bytes] = field(default_factory=dict[tuple[str, str], bytes])
    """Content by branch and path; what a branch has not of its own is the default branch's."""

    @property
    def full_name(self) -> str:
        return f"{self.owner}/{self.name}"

    @property
    def open_items(self) -> int:
        return sum(item.closed is None for item in self.items.values())

    @property
    def pushed(self) -> datetime:
        return max((commit.at for commit in self.commits), default=self.created)

    def issues(self) -> list[Item]:
        """Pull requests included, as GitHub lists them."""
        return list(self.items.values())

    def history(self, branch: str) -> list[Commit]:
        """The latest first."""
        seen = [commit for commit in self.commits if commit.branch in (branch, self.default_branch)]
        return sorted(seen, key=lambda commit: (commit.at, commit.sha), reverse=True)

    def head(self, branch: str) -> str:
        return next((commit.sha for commit in self.history(branch)), sha_of(self.full_name, branch))

    def file(self, branch: str, path: str) -> bytes | None:
        return self.files.get((branch, path), self.files.get((self.default_branch, path)))

    def next_number(self) -> int:
        return max(self.items, default=0) + 1

    def label(self, name: str) -> Label:
        """The label, made when it is new."""
        known = next((one for one in self.labels if one.name.casefold() == name.casefold()), None)
        if known is None:
            known = Label(name)
            self.labels.append(known)
        return known


@dataclass(slots=True)
class Account:
    """`people[0]` is who signs in. `renamed` maps a repository's old full name to its id."""

    people: list[User]
    organization: User
    now: Callable[[], datetime]
    repositories: list[Repository] = field(default_factory=list[Repository])
    renamed: dict[str, int] = field(default_factory=dict[str, int])
    answers_for_unknown: bool = False
    """Samples only: a repository nobody knows has what the first one has."""

    def user(self, login: str) -> User:
        everybody = (*self.people, self.organization)
        known = next((one for one in everybody if one.login.casefold() == login.casefold()), None)
        return known or User(stable_number("user", login), login, login)

    def is_person(self, login: str) -> bool:
        return any(person.login.casefold() == login.casefold() for person in self.people)

    def repository(self, full_name: str) -> Repository | None:
        wanted = full_name.casefold()
        for one in self.repositories:
            if wanted in (one.full_name.casefold(), f"id:{one.id}"):
                return one
        if not self.answers_for_unknown or wanted.startswith("id:"):
            return None
        return self.add_like_first(full_name)

    def add_like_first(self, full_name: str) -> Repository:
        """One more repository with the content of the first."""
        made = copy.deepcopy(self.repositories[0])
        made.owner, _, made.name = full_name.partition("/")
        made.id = stable_number("repository", full_name)
        self.repositories.append(made)
        return made
