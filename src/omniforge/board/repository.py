"""Repositories of projects: bare ones of our own, each changed by one writer at a time."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from filelock import AsyncFileLock

from omniforge.board import git_objects as objects
from omniforge.board import trees
from omniforge.board.branches import branch_name, commit_id, folder_name, reference
from omniforge.board.diffs import Change, read_added_lines
from omniforge.board.git import NO_ATTRIBUTES, REMOTE_SECONDS, Author, Git, GitFailed, bearer
from omniforge.board.git_objects import Commit, MergeConflict
from omniforge.core.clock import Clock, SystemClock
from omniforge.core.errors import NotFound, ProviderError
from omniforge.sandboxes.trees import write_folder

__all__ = ["Author", "Change", "Commit", "MergeConflict", "Remote", "Repositories", "Snapshot", "branch_name"]

STALE_SECONDS = 3600.0
LOCKED_SECONDS = 60.0
"""Writing a branch takes milliseconds."""
HASHES_KEPT = 500
HOST = Author()


class RemoteRefused(ProviderError):
    """The other repository did not take or give a branch."""

    code = "github_error"


class ProjectLike(Protocol):
    @property
    def id(self) -> Any: ...
    @property
    def default_branch(self) -> Any: ...


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A tree as a commit on no branch, and how it differs from its parent."""

    commit: str
    tree_hash: str
    changes: list[Change]


@dataclass(frozen=True, slots=True)
class Remote:
    """Another repository. `token` is asked for each time, and never stands in an address or a command."""

    url: str
    token: Callable[[], Awaitable[str]] | None = None

    @classmethod
    def github(cls, owner: str, repo: str, token: Callable[[], Awaitable[str]]) -> Remote:
        return cls(f"https://github.com/{owner}/{repo}.git", token)


class Repositories:
    """Every repository below `root`. Several processes may use the same folder.

    Readers need no lock. A commit that is on no branch yet is kept for two weeks at least.
    """

    def __init__(self, root: Path, clock: Clock | None = None) -> None:
        self.root, self.clock = root, clock or SystemClock()
        self._hashes: dict[str, str] = {}

    # --- branches ------------------------------------------------------------------------------------------

    async def ensure(self, project: ProjectLike) -> None:
        """Make the project's repository where there is none; its main branch is the project's."""
        target = reference(project.default_branch)
        git = await self._open(project.id)
        async with self._writer(git):
            if await git.text("symbolic-ref", "HEAD") != target:
                await git.run("symbolic-ref", "HEAD", target)

    async def head(self, project_id: str, branch: str) -> str | None:
        """The commit a branch stands at; None where there is no such branch."""
        return await objects.resolve(await self._open(project_id), reference(branch))

    async def default_head(self, project_id: str) -> str | None:
        return await objects.resolve(await self._open(project_id), "HEAD")

    async def merge(
        self,
        project_id: str,
        branch: str,
        commit: str,
        message: str,
        *,
        at: datetime | None = None,
        author: Author = HOST,
    ) -> str:
        """Bring a commit into a branch and answer where the branch stands then; `MergeConflict` changes
        nothing. A branch that is not there begins at the main branch. What is in it already changes nothing.
        """
        name, commit = reference(branch), commit_id(commit)
        git = await self._open(project_id)
        async with self._writer(git):
            await objects.known(git, commit)
            old = await objects.resolve(git, name)
            start = old or await objects.resolve(git, "HEAD")
            if start is None or await objects.is_ancestor(git, start, commit):
                done = commit
            elif await objects.is_ancestor(git, commit, start):
                done = start
            else:
                tree = await objects.merged_tree(git, start, commit)
                done = await objects.write_commit(
                    git, tree, [start, commit], message, author, at or self.clock.now()
                )
            if done != old:
                await git.run("update-ref", name, done, old or "0" * 40)
                await git.run("gc", "--auto", "--quiet")
        return done

    async def take_in(
        self, project_id: str, branch: str, commit: str, message: str, *, at: datetime | None = None
    ) -> list[str]:
        """Bring a commit into a branch whatever it changes, to be mended there: the paths of files that hold
        both versions between marks now."""
        name, commit = reference(branch), commit_id(commit)
        git = await self._open(project_id)
        async with self._writer(git):
            old = await objects.resolve(git, name)
            if old is None or await objects.is_ancestor(git, commit, old):
                return []
            tree, paths = await objects.marked_tree(git, old, commit)
            done = await objects.write_commit(git, tree, [old, commit], message, HOST, at or self.clock.now())
            await git.run("update-ref", name, done, old)
        return paths

    async def keep(self, project_id: str, name: str, commit: str) -> None:
        """Hold a commit that is merged nowhere, such as `attempts/<task>/<n>`; the last of a name counts."""
        git = await self._open(project_id)
        async with self._writer(git):
            await objects.known(git, commit_id(commit))
            await git.run("update-ref", reference(name), commit)

    # --- trees ---------------------------------------------------------------------------------------------

    async def snapshot(
        self,
        project_id: str,
        tree: bytes,
        parent: str | None,
        message: str,
        *,
        at: datetime | None = None,
        author: Author = HOST,
    ) -> Snapshot:
        """The files of a workspace (tar) as a commit, without what its `.gitignore` names; files that the
        parent has are never ignored. A tree equal to the parent's is the parent. What no workspace carries
        (submodules, links that lead out) stays as the parent has it."""
        if parent is not None:
            commit_id(parent)
        entries = await asyncio.to_thread(trees.unpack, tree)
        git = await self._open(project_id)
        async with _scratch(git) as folder:
            if parent is not None:
                await objects.known(git, parent)
            await asyncio.to_thread(write_folder, folder / "tree", entries, owner=None)
            tree_id = await objects.write_tree(git, folder, {one.path for one in entries}, parent)
        if parent is not None and await git.text("rev-parse", f"{parent}^{{tree}}") == tree_id:
            commit = parent
        else:
            moment = at or self.clock.now()
            commit = await objects.write_commit(
                git, tree_id, [parent] if parent else [], message, author, moment
            )
        changes = await objects.changes_of(git, parent, commit)
        return Snapshot(commit, await self._hash(git, commit), changes)

    async def tree(self, project_id: str, commit: str | None) -> bytes:
        """The files of a commit as a tar; of none, an empty one."""
        if commit is None:
            return trees.pack([])
        git = await self._open(project_id)
        return await asyncio.to_thread(trees.pack, await objects.held_by(git, commit))

    async def tree_hash(self, project_id: str, commit: str) -> str:
        """SHA-256 over the sorted (path, mode, SHA-256 of the content) of all its files."""
        return await self._hash(await self._open(project_id), commit_id(commit))

    async def _hash(self, git: Git, commit: str) -> str:
        await objects.known(git, commit)
        tree = await git.text("rev-parse", f"{commit}^{{tree}}")
        if tree not in self._hashes:
            held = await objects.held_by(git, commit)
            if len(self._hashes) >= HASHES_KEPT:
                self._hashes.clear()
            self._hashes[tree] = await asyncio.to_thread(trees.hash_of, held)
        return self._hashes[tree]

    async def files(self, project_id: str, commit: str) -> list[str]:
        """Paths of every file and link, sorted."""
        rows = await objects.listed(await self._open(project_id), commit)
        return sorted(trees.shown(one.path) for one in rows if one.mode != trees.SUBMODULE)

    async def file(self, project_id: str, commit: str, path: str) -> bytes | None:
        """The content of a regular file; None for links, folders and what is not there."""
        git = await self._open(project_id)
        for one in await objects.listed(git, commit, path) if path and "\0" not in path else []:
            if one.path == path and one.mode in {trees.FILE, trees.PROGRAM}:
                return (await git.run("cat-file", "blob", one.blob)).stdout
        return None

    # --- differences ---------------------------------------------------------------------------------------

    async def changes(self, project_id: str, base: str | None, commit: str) -> list[Change]:
        """Every file that differs, by path; without a base, every file."""
        return await objects.changes_of(await self._open(project_id), base, commit)

    async def added_lines(self, project_id: str, base: str | None, commit: str) -> Iterable[tuple[str, str]]:
        """(path, line) of every line the commit has and the base has not."""
        git = await self._open(project_id)
        pair = await objects.pair(git, base, commit)
        options = ("-r", "-p", "-U0", "--no-renames", "--no-ext-diff", "--no-textconv", "--no-color")
        patch = await git.run("diff-tree", *options, "--src-prefix=a/", "--dst-prefix=b/", *pair)
        return read_added_lines(patch.stdout)

    async def fork_point(self, project_id: str, one: str, other: str) -> str | None:
        """Where two commits have parted; None where they have nothing in common."""
        git = await self._open(project_id)
        pair = await objects.pair(git, one, other)
        return (await git.run("merge-base", *pair, accept=(0, 1))).text() or None

    async def commits(self, project_id: str, base: str | None, commit: str) -> list[Commit]:
        """What leads from the base to the commit, oldest first; without a base, all of it."""
        git = await self._open(project_id)
        wanted = [commit_id(commit), *([f"^{commit_id(base)}"] if base else [])]
        found = (await git.text("rev-list", "--reverse", "--topo-order", *wanted)).split()
        return [await objects.read_commit(git, sha) for sha in found]

    # --- other repositories --------------------------------------------------------------------------------

    async def push(self, project_id: str, branch: str, remote: Remote) -> str:
        """Give a branch away as it stands, and answer its commit. `RemoteRefused` also when the other side
        has commits on it that we have not: nothing there is overwritten."""
        name = reference(branch)
        git = await self._open(project_id)
        commit = await objects.resolve(git, name)
        if commit is None:
            raise NotFound("There is no such branch.", branch=branch)
        await _talk(
            git, remote, "push", "--quiet", "--no-verify", "--end-of-options", remote.url, f"{commit}:{name}"
        )
        async with self._writer(git):
            await git.run("update-ref", theirs(branch), commit)
        return commit

    async def pushed(self, project_id: str, branch: str) -> str | None:
        """Where the branch stood on the other side when we last gave or took it."""
        reference(branch)
        return await objects.resolve(await self._open(project_id), theirs(branch))

    async def fetch(self, project_id: str, branch: str, remote: Remote) -> str:
        """Take over a branch of the other side where ours has nothing of its own; answers where it stands."""
        name, there = reference(branch), theirs(branch)
        git = await self._open(project_id)
        async with self._writer(git):
            asked = ("fetch", "--quiet", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head")
            await _talk(git, remote, *asked, "--end-of-options", remote.url, f"+{name}:{there}")
            found, own = await objects.resolve(git, there), await objects.resolve(git, name)
            if found is None:
                raise NotFound("There is no such branch.", branch=branch)
            if own is not None and not await objects.is_ancestor(git, own, found):
                return own
            await git.run("update-ref", name, found, own or "0" * 40)
        return found

    # --- folders -------------------------------------------------------------------------------------------

    async def _open(self, project_id: str) -> Git:
        git = Git(self.root / folder_name(project_id))
        if not git.folder.exists():
            self.root.mkdir(parents=True, exist_ok=True)
            async with self._writer(git):
                await _make(git)
        return git

    @asynccontextmanager
    async def _writer(self, git: Git) -> AsyncGenerator[None]:
        """Alone among all processes of this machine."""
        async with AsyncFileLock(git.folder.with_suffix(".lock")):
            await asyncio.to_thread(_unlock, git.folder)
            yield


def theirs(branch: str) -> str:
    """What we remember of a branch on the other side."""
    return f"refs/remotes/origin/{branch}"


async def _make(git: Git) -> None:
    """Whole or not at all: under another name first."""
    if git.folder.exists():
        return
    half = Git(git.folder.with_suffix(".half"))
    await asyncio.to_thread(shutil.rmtree, half.folder, ignore_errors=True)
    await half.run("init", "--quiet", "--bare", "--template=", "--initial-branch=main")
    (half.folder / "info").mkdir(exist_ok=True)
    (half.folder / "info" / "attributes").write_text(NO_ATTRIBUTES)
    half.folder.rename(git.folder)


def _unlock(folder: Path) -> None:
    """A git that was killed while it wrote a branch leaves a lock that nobody else would ever take away."""
    for lock in (*folder.glob("*.lock"), *(folder / "refs").rglob("*.lock")):
        with contextlib.suppress(FileNotFoundError):
            if lock.stat().st_mtime < time.time() - LOCKED_SECONDS:
                lock.unlink()


@asynccontextmanager
async def _scratch(git: Git) -> AsyncGenerator[Path]:
    """A folder that is gone afterwards; those of processes that died go with the next one."""
    home = git.folder / "scratch"
    await asyncio.to_thread(_sweep, home)
    folder = Path(tempfile.mkdtemp(dir=home))
    (folder / "tree").mkdir()
    try:
        yield folder
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


def _sweep(home: Path) -> None:
    home.mkdir(exist_ok=True)
    for folder in home.iterdir():
        with contextlib.suppress(FileNotFoundError):  # somebody else's work has just ended
            if folder.stat().st_mtime < time.time() - STALE_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)


async def _talk(git: Git, remote: Remote, *args: str) -> None:
    """Over https or a folder of this machine, nothing else."""
    scheme = "https" if remote.url.startswith("https://") else "file"
    settings = {f"protocol.{scheme}.allow": "always"}
    if remote.token is not None:
        settings[f"http.{remote.url}.extraHeader"] = bearer(await remote.token())
    try:
        await git.run(*args, settings=settings, timeout=REMOTE_SECONDS)
    except GitFailed as error:
        said = str(error.details.get("said", error.message))
        raise RemoteRefused(f"The other repository refused: {said}", retryable=True) from error
