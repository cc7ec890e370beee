"""The workspace before and after: which files were made, changed, deleted, and by how many lines."""

from __future__ import annotations

import difflib
import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

from sandbox_kit.worker.ignoring import Ignored

LARGEST_TEXT = 1_000_000
"""Bytes of a file whose lines are counted."""
MOST_LINES = 2_000
"""Of a file that is compared in order; longer ones are compared as bags of lines."""
LONGEST_PATH = 1_000


@dataclass(frozen=True)
class File:
    """A file as it was. `lines` are short digests of its lines; None for what is no text of usual size."""

    stamp: tuple[int, int, int]
    digest: str
    lines: tuple[str, ...] | None


@dataclass(frozen=True)
class Change:
    path: str
    action: str
    lines_added: int | None = None
    lines_removed: int | None = None

    def shown(self) -> dict[str, Any]:
        """Without what is not known."""
        return {name: value for name, value in asdict(self).items() if value is not None}


Look = dict[str, File]


def look_at(root: Path, known: Look | None = None) -> Look:
    """Every file of the tree that counts. What looks untouched since `known` is not read again."""
    found: Look = {}
    for path, entry in _walk(root):
        try:
            status = entry.stat(follow_symlinks=False)
            stamp = (status.st_size, status.st_mtime_ns, status.st_ino)
            before = (known or {}).get(path)
            found[path] = before if before is not None and before.stamp == stamp else _read(entry, stamp)
        except OSError:
            continue  # it went away meanwhile, or may not be read
    return found


def compare(before: Look, after: Look) -> list[Change]:
    """In order of paths."""
    changes: list[Change] = []
    for path in sorted(before.keys() | after.keys()):
        old, new = before.get(path), after.get(path)
        if old is None or new is None or old.digest != new.digest:
            action = "created" if old is None else "deleted" if new is None else "modified"
            changes.append(Change(path, action, *_counts(old, new)))
    return changes


def as_json(look: Look) -> dict[str, Any]:
    return {path: [file.stamp, file.digest, file.lines] for path, file in look.items()}


def from_json(kept: dict[str, Any]) -> Look:
    return {
        path: File((stamp[0], stamp[1], stamp[2]), digest, None if lines is None else tuple(lines))
        for path, (stamp, digest, lines) in kept.items()
    }


def _walk(root: Path) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Regular files with a path that can be told; links are not followed."""
    ignored = Ignored(root)
    folders = [""]
    while folders:
        folder = folders.pop()
        try:
            with os.scandir(root / folder) as entries:
                here = list(entries)
        except OSError:
            continue
        for entry in here:
            path = f"{folder}/{entry.name}" if folder else entry.name
            is_folder = entry.is_dir(follow_symlinks=False)
            if not _is_told(path) or ignored.holds(path, is_folder=is_folder):
                continue
            if is_folder:
                folders.append(path)
            elif entry.is_file(follow_symlinks=False):
                yield path, entry


def _is_told(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return len(path) <= LONGEST_PATH and path.isprintable() and "\\" not in path


def _read(entry: os.DirEntry[str], stamp: tuple[int, int, int]) -> File:
    whole = hashlib.sha256()
    with open(entry.path, "rb") as file:
        if stamp[0] <= LARGEST_TEXT:
            content = file.read()
            whole.update(content)
            is_text = b"\0" not in content
            return File(stamp, whole.hexdigest(), _digests(content) if is_text else None)
        while chunk := file.read(1 << 20):
            whole.update(chunk)
    return File(stamp, whole.hexdigest(), None)


def _digests(content: bytes) -> tuple[str, ...]:
    return tuple(hashlib.blake2b(line, digest_size=6).hexdigest() for line in content.splitlines())


def _counts(old: File | None, new: File | None) -> tuple[int | None, int | None]:
    """Lines added and removed; None where one of the two is no text."""
    before = () if old is None else old.lines
    after = () if new is None else new.lines
    return (None, None) if before is None or after is None else count_lines(before, after)


def count_lines(before: Sequence[str], after: Sequence[str]) -> tuple[int, int]:
    """Lines added and removed, as between two versions of a text."""
    for _ in range(2):  # without the lines that are the same at the front, then at the back
        same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(before, after, strict=False)))
        before, after = before[same:][::-1], after[same:][::-1]
    if max(len(before), len(after)) > MOST_LINES:
        more, less = Counter(after), Counter(before)
        return (more - less).total(), (less - more).total()
    added = removed = 0
    steps = difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes()
    for kind, start, end, from_, to in steps:
        if kind != "equal":
            added, removed = added + to - from_, removed + end - start
    return added, removed
