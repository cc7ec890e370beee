"""Commits, trees and their differences in one bare repository, by git's plumbing."""

from __future__ import annotations

import re
from collections.abc import Sequence, Set
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from omniforge.board import trees
from omniforge.board.branches import commit_id
from omniforge.board.diffs import Change, read_changes
from omniforge.board.git import EMPTY_TREE, Author, Git
from omniforge.board.trees import Held
from omniforge.core.errors import Conflict, NotFound
from omniforge.sandboxes.archive import parents

_SIDE = re.compile(r"~[0-9a-f]{40}(?:_\d+)?$")


class MergeConflict(Conflict):
    """Both sides changed the same; `paths` and `details.paths` say where."""

    code = "merge_conflict"

    def __init__(self, paths: Sequence[str]) -> None:
        named = ", ".join(paths[:5]) + (" and others" if len(paths) > 5 else "")
        super().__init__(f"The change does not go together with its branch: {named}.", paths=list(paths))
        self.paths = list(paths)


@dataclass(frozen=True, slots=True)
class Commit:
    """`message` whole; `files` are the paths it changed against its first parent."""

    sha: str
    message: str
    authored_at: datetime
    changes: list[Change]


async def write_tree(git: Git, folder: Path, paths: Set[str], parent: str | None) -> str:
    """The id of the tree of `folder/tree`, which holds these paths. What of the parent no workspace carries
    stays where nothing took its place."""
    env = {"GIT_INDEX_FILE": str(folder / "index"), "GIT_WORK_TREE": str(folder / "tree")}
    staying: list[Held] = []
    if parent is not None:
        await git.run("read-tree", parent, env=env)
        staying = await _not_carried(git, parent)
        await _into_index(git, env, [f"0 {'0' * 40}\t{one.path}" for one in staying])
    await git.run("add", "--all", "--", ".", env=env, cwd=folder / "tree")
    folders = {above for path in paths for above in parents(path)}
    free = [one for one in staying if one.path not in folders and not {one.path, *parents(one.path)} & paths]
    await _into_index(git, env, [f"{one.mode} {one.blob}\t{one.path}" for one in free])
    return (await git.run("write-tree", env=env)).text()


async def _not_carried(git: Git, commit: str) -> list[Held]:
    rows = await listed(git, commit)
    links = await _contents(git, [one.blob for one in rows if one.mode == trees.LINK])
    with_targets = (replace(one, content=links.get(one.blob, b"")) for one in rows)
    return [one for one in with_targets if not trees.is_carried(one)]


async def _into_index(git: Git, env: dict[str, str], rows: Sequence[str]) -> None:
    if rows:
        stdin = "".join(f"{row}\0" for row in rows).encode("utf-8", "surrogateescape")
        await git.run("update-index", "-z", "--index-info", stdin=stdin, env=env)


async def write_commit(  # noqa: PLR0917 - what a commit is made of
    git: Git, tree: str, parents: Sequence[str], message: str, author: Author, at: datetime
) -> str:
    named = [part for parent in parents for part in ("-p", parent)]
    text = message.replace("\0", "").encode("utf-8", "replace") or b"(no message)"
    return (await git.run("commit-tree", *named, tree, stdin=text, env=author.environment(at))).text()


async def merged_tree(git: Git, ours: str, theirs: str) -> str:
    tree, paths = await marked_tree(git, ours, theirs)
    if paths:
        raise MergeConflict(paths)
    return tree


async def marked_tree(git: Git, ours: str, theirs: str) -> tuple[str, list[str]]:
    """The tree of both, and the paths where they do not go together; both versions stand in those, between
    the usual marks."""
    options = ("--write-tree", "--allow-unrelated-histories", "--no-messages", "--name-only", "-z")
    output = await git.run("merge-tree", *options, ours, theirs, accept=(0, 1))
    tree, *paths = output.fields()
    if output.exit_code == 0:
        return tree, []
    named = {trees.shown(_SIDE.sub("", path)) for path in paths if path}
    return tree, sorted(named) or ["."]  # folders may part without a file that does


async def resolve(git: Git, name: str) -> str | None:
    output = await git.run("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}", accept=(0, 1, 128))
    return output.text() or None


async def known(git: Git, commit: str) -> None:
    if await resolve(git, commit) is None:
        raise NotFound("There is no such commit.", commit=commit)


async def is_ancestor(git: Git, older: str, newer: str) -> bool:
    return (await git.run("merge-base", "--is-ancestor", older, newer, accept=(0, 1))).exit_code == 0


async def listed(git: Git, commit: str, *paths: str) -> list[Held]:
    """Every file, without its content."""
    await known(git, commit_id(commit))
    found: list[Held] = []
    for line in (await git.run("ls-tree", "-r", "-z", "--full-tree", commit, "--", *paths)).fields():
        head, _, path = line.partition("\t")
        mode, _, blob = head.split(" ")
        found.append(Held(path, mode, blob))
    return found


async def held_by(git: Git, commit: str) -> list[Held]:
    """Every file with its content."""
    rows = await listed(git, commit)
    contents = await _contents(git, [one.blob for one in rows if one.mode != trees.SUBMODULE])
    return [replace(one, content=contents.get(one.blob, one.blob.encode())) for one in rows]


async def _contents(git: Git, blobs: Sequence[str]) -> dict[str, bytes]:
    wanted = list(dict.fromkeys(blobs))
    stdin = "".join(f"{blob}\n" for blob in wanted).encode()
    stream = (await git.run("cat-file", "--batch", "--buffer", stdin=stdin)).stdout if wanted else b""
    found: dict[str, bytes] = {}
    position = 0
    for blob in wanted:
        line_end = stream.index(b"\n", position)
        size = int(stream[position:line_end].rpartition(b" ")[2])
        found[blob] = stream[line_end + 1 : line_end + 1 + size]
        position = line_end + size + 2
    return found


async def pair(git: Git, base: str | None, commit: str) -> tuple[str, str]:
    await known(git, commit_id(commit))
    if base is None:
        return EMPTY_TREE, commit
    await known(git, commit_id(base))
    return base, commit


async def changes_of(git: Git, base: str | None, commit: str) -> list[Change]:
    options = ("-r", "--raw", "--numstat", "-z", "--no-renames", "--no-ext-diff", "--no-textconv")
    return read_changes((await git.run("diff-tree", *options, *await pair(git, base, commit))).fields())


async def read_commit(git: Git, sha: str) -> Commit:
    said = (await git.run("show", "--no-patch", "--format=%at%x00%P%x00%B", sha)).stdout
    moment, parents, message = said.decode("utf-8", "replace").split("\0", 2)
    first = parents.split()[0] if parents else None
    authored = datetime.fromtimestamp(int(moment), UTC)
    return Commit(sha, message.strip("\n"), authored, await changes_of(git, first, sha))
