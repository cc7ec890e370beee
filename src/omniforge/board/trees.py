"""The files of a commit: what of them a workspace can carry, as tar, and their hash. No git."""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Iterable
from dataclasses import dataclass

from omniforge.sandboxes.trees import Entry, is_tree_path, pack_tree, stays_inside, unpack_tree

FILE, PROGRAM, LINK, SUBMODULE = "100644", "100755", "120000", "160000"
"""Modes, as git writes them."""
_INVISIBLE = re.compile("[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")
_SHORT_NAME = re.compile(r"gi[0-9a-z]{1,4}~[0-9]")


@dataclass(frozen=True, slots=True)
class Held:
    """A file of a commit. Content of a link is the path it names, of a submodule the id of its commit. A path
    that is no UTF-8 holds lone surrogates. `blob` is git's name for the content."""

    path: str
    mode: str
    blob: str = ""
    content: bytes = b""


def shown(path: str) -> str:
    """A path that every store can hold."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def unpack(tar: bytes) -> list[Entry]:
    """The files and links of a workspace that a repository may hold, sorted by path. Broken or too large:
    `sandboxes.workspaces.TreeRefused`."""
    return [entry for entry in unpack_tree(tar) if _is_plain(entry.path, entry.target is not None)]


def file_in(tar: bytes, path: str) -> bytes | None:
    """The content of a regular file of a workspace, also of one that no repository takes."""
    wanted = posixpath.normpath(path)
    found = (one for one in unpack_tree(tar) if one.path == wanted and one.target is None)
    return next((one.content for one in found), None)


def pack(held: Iterable[Held]) -> bytes:
    """What a workspace begins with; equal for equal files."""
    return pack_tree(
        Entry(one.path, target=one.content.decode())
        if one.mode == LINK
        else Entry(one.path, one.content, one.mode == PROGRAM)
        for one in held
        if is_carried(one)
    )


def is_carried(one: Held) -> bool:
    """Whether it goes into a workspace and comes back. What does not stays in the repository as it is."""
    if one.mode == SUBMODULE or not is_tree_path(one.path) or not _is_plain(one.path, one.mode == LINK):
        return False
    return one.mode != LINK or stays_inside(one.path, one.content.decode("utf-8", "surrogateescape"))


def _is_plain(path: str, is_link: bool) -> bool:
    """Whether no file system takes it for a part of a repository, whatever it ignores of names."""
    parts = [_folded(part) for part in path.replace("\\", "/").split("/")]
    if any(part in {".git", "git~1"} for part in parts):
        return False
    return not is_link or not (parts[-1].startswith(".git") or _SHORT_NAME.fullmatch(parts[-1]))


def _folded(part: str) -> str:
    """As file systems see it that ignore case, invisible characters and what follows a colon."""
    return _INVISIBLE.sub("", part).casefold().partition(":")[0].rstrip(" .")


def hash_of(held: Iterable[Held]) -> str:
    """SHA-256 over the sorted (path, mode, SHA-256 of the content), each ended by a zero byte."""
    digest = hashlib.sha256()
    rows = {one.path.encode("utf-8", "surrogateescape"): one for one in held}
    for path, one in sorted(rows.items(), key=lambda row: row[0]):
        content = hashlib.sha256(one.content).hexdigest()
        digest.update(b"\0".join((path, one.mode.encode(), content.encode(), b"")))
    return digest.hexdigest()
