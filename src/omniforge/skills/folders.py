"""Skill folders on disk: read whole, switched whole; reached by descriptors, so no link is followed."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import hashlib
import os
import re
import secrets
import shutil
import stat
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from omniforge.core.errors import Conflict, Invalid, NotFound, Unavailable
from omniforge.skills.document import MAX_BYTES, SKILL_FILE

MAX_FILES = 200
MAX_TOTAL = 20 * 1_048_576
MAX_DEPTH = 6
MAX_PATH = 200

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_EXCHANGE = 2
_UNREAL_PATH = re.compile(r"[\x00-\x1f\x7f\\:]")
_IGNORED = frozenset({"__pycache__"})
_WORTHLESS = _IGNORED | {".DS_Store"}
_READ_TRIES = 5


def content_hash(files: Mapping[str, bytes]) -> str:
    """SHA-256 over the sorted paths and their bytes, each preceded by its length."""
    digest = hashlib.sha256()
    for path in sorted(files):
        for part in (path.encode(), files[path]):
            digest.update(len(part).to_bytes(8, "big"))
            digest.update(part)
    return digest.hexdigest()


def check_files(files: Mapping[str, bytes]) -> None:
    """`Invalid`, with every mistake, unless this is a folder we may write and would read back alike."""
    wrong: list[dict[str, object]] = [
        {"field": f"files[{path[:80]}]", "value": path[:MAX_PATH], "rule": rule}
        for path, data in files.items()
        if (rule := _wrong_with(path, data))
    ]
    if SKILL_FILE not in files:
        wrong.append({"field": "files", "value": None, "rule": f"holds a {SKILL_FILE}"})
    if len(files) > MAX_FILES or sum(map(len, files.values())) > MAX_TOTAL:
        rule = f"at most {MAX_FILES} files and {MAX_TOTAL} bytes"
        wrong.append({"field": "files", "value": len(files), "rule": rule})
    folders = {path[:at].lower() for path in files for at in range(len(path)) if path[at] == "/"}
    lower = [path.lower() for path in files]
    if len(set(lower)) != len(lower) or folders & set(lower):
        wrong.append({"field": "files", "value": None, "rule": "no two paths in each other's place"})
    if wrong:
        raise Invalid(f"These files cannot be stored: {wrong[0]['rule']}.", fields=wrong)


def _wrong_with(path: str, data: bytes) -> str | None:
    steps = path.split("/")
    if not path.isprintable() or _UNREAL_PATH.search(path) or not 1 <= len(path.encode()) <= MAX_PATH:
        return f"a relative path of at most {MAX_PATH} printable characters"
    if any(not step or step.startswith(".") or step in _IGNORED for step in steps):
        return "a relative path inside the folder, without hidden parts"
    if len(steps) > MAX_DEPTH:
        return f"at most {MAX_DEPTH} levels deep"
    return f"at most {MAX_BYTES} bytes" if len(data) > MAX_BYTES else None


@contextmanager
def open_folder(root: Path, *steps: str, create: bool = False) -> Generator[int]:
    """A descriptor of a folder below `root`, reached step by step. The root itself is trusted.

    FileNotFoundError when it is missing; `Conflict` when a step is a link or no folder.
    """
    if create:
        root.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for step in steps:
            if create:
                with suppress(FileExistsError):
                    os.mkdir(step, dir_fd=descriptor)
            inner = _open_inside(step, descriptor)
            os.close(descriptor)
            descriptor = inner
        yield descriptor
    finally:
        os.close(descriptor)


def _open_inside(name: str, folder: int) -> int:
    try:
        return os.open(name, _DIRECTORY, dir_fd=folder)
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENOTDIR}:
            message = f"{name!r} is a link or no folder: only real folders hold skills."
            raise Conflict(message, code="unsafe_path", name=name) from None
        raise


def read_file_at(folder: int, name: str, limit: int = MAX_BYTES) -> bytes | None:
    """Bytes of a regular file, at most `limit` + 1 of them; None when it is missing, a link or a device."""
    try:
        descriptor = os.open(name, _FILE, dir_fd=folder)
    except OSError as error:
        if error.errno in {errno.ENOENT, errno.ELOOP, errno.ENXIO, errno.ENOTDIR, errno.EACCES}:
            return None
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return None
    with os.fdopen(descriptor, "rb") as file:
        return file.read(limit + 1)


def read_inside(root: Path, lead: Sequence[str], path: str) -> bytes:
    """One file by its path below `root`/`lead`; NotFound for what is missing, hidden, a link or outside."""
    *steps, name = path.split("/")
    if _wrong_with(path, b""):
        raise NotFound(f"The skill has no file {path[:80]!r}.", path=path[:MAX_PATH])
    try:
        with open_folder(root, *lead, *steps) as folder:
            data = read_file_at(folder, name)
    except (FileNotFoundError, Conflict):
        data = None
    if data is None or len(data) > MAX_BYTES:
        raise NotFound(f"The skill has no file {path[:80]!r}.", path=path[:MAX_PATH])
    return data


def read_tree(parent: int, name: str) -> dict[str, bytes] | None:
    """Every file of the folder `name` at one moment; None when there is no such folder with a SKILL.md.

    Links, hidden entries and devices are not read. `Invalid` beyond the limits.
    """
    for _ in range(_READ_TRIES):
        try:
            folder = os.open(name, _DIRECTORY, dir_fd=parent)
        except OSError:
            return None
        try:
            files: dict[str, bytes] = {}
            with suppress(FileNotFoundError):  # switched while it was read: seen below
                _collect(folder, "", files)
            if _is_same(folder, parent, name):
                return files if SKILL_FILE in files else None
        finally:
            os.close(folder)
    raise Unavailable(f"The skill {name} is being written over and over; try again.", name=name)


def _is_same(folder: int, parent: int, name: str) -> bool:
    try:
        there = os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return False
    here = os.fstat(folder)
    return (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)


def _collect(folder: int, prefix: str, files: dict[str, bytes]) -> None:
    for name in sorted(os.listdir(folder)):
        path = f"{prefix}{name}"
        if _wrong_with(path, b""):
            continue
        info = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if stat.S_ISDIR(info.st_mode):
            inner = _open_inside(name, folder)
            try:
                _collect(inner, f"{path}/", files)
            finally:
                os.close(inner)
        elif stat.S_ISREG(info.st_mode) and (data := read_file_at(folder, name)) is not None:
            files[path] = data
            too_much = len(files) > MAX_FILES or sum(map(len, files.values())) > MAX_TOTAL
            if too_much or (len(data) > MAX_BYTES and path != SKILL_FILE):
                message = f"The folder of this skill is too large, at {path!r}."
                raise Invalid(message, code="skill_too_large", path=path)


def passed_over(parent: int, name: str) -> str | None:
    """A path in the folder `name` that `read_tree` does not give: replacing the folder would lose it."""
    try:
        folder = os.open(name, _DIRECTORY, dir_fd=parent)
    except OSError:
        return None
    try:
        is_skill = read_file_at(folder, SKILL_FILE) is not None
        return _first_unread(folder, "", is_skill=is_skill)
    finally:
        os.close(folder)


def _first_unread(folder: int, prefix: str, *, is_skill: bool) -> str | None:
    for name in sorted(set(os.listdir(folder)) - _WORTHLESS):
        path = f"{prefix}{name}"
        mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
        if _wrong_with(path, b"") or not (stat.S_ISDIR(mode) or (is_skill and stat.S_ISREG(mode))):
            return path
        if stat.S_ISDIR(mode):
            with opened(name, folder) as inner:
                if found := _first_unread(inner, f"{path}/", is_skill=is_skill):
                    return found
    return None


@contextmanager
def locked(folder: int) -> Generator[None]:
    """One writer at a time in a folder, over all processes."""
    fcntl.flock(folder, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(folder, fcntl.LOCK_UN)


def switch_tree(parent: int, name: str, files: Mapping[str, bytes]) -> None:
    """Put a folder in the place of another: everybody sees the old one or the new one, also after a crash.

    Hold `locked(parent)`. The files are on the disk before the switch.
    """
    draft = f".{name}.{secrets.token_hex(8)}"
    try:
        os.mkdir(draft, 0o755, dir_fd=parent)
        with opened(draft, parent) as folder:
            for path, data in files.items():
                _write(folder, path, data)
            _sync_folders(folder)
        _put(parent, draft, name)
        os.fsync(parent)
    except OSError as error:
        message = f"The skill could not be written: {error.strerror}. The one before is still there."
        raise Unavailable(message, code="not_written", name=name) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True, dir_fd=parent)


def _put(parent: int, draft: str, name: str) -> None:
    try:
        os.rename(draft, name, src_dir_fd=parent, dst_dir_fd=parent)
    except OSError as error:
        if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
            raise
        _exchange(parent, draft, name)


def _exchange(parent: int, first: str, second: str) -> None:
    """Swap two names in one instant (Linux); else in two renames, and `remove_drafts` mends a crash."""
    swap = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if swap is not None and swap(parent, first.encode(), parent, second.encode(), _EXCHANGE) == 0:
        return
    if swap is not None and ctypes.get_errno() not in {errno.ENOSYS, errno.EINVAL}:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    aside = f".{second}.before"
    os.rename(second, aside, src_dir_fd=parent, dst_dir_fd=parent)
    os.rename(first, second, src_dir_fd=parent, dst_dir_fd=parent)
    shutil.rmtree(aside, ignore_errors=True, dir_fd=parent)


def remove_drafts(parent: int, name: str) -> None:
    """Clear what a crash left of this skill. Hold `locked(parent)`: a draft then is nobody's work."""
    left = re.compile(rf"\.{re.escape(name)}\.(before|[0-9a-f]{{16}})")
    entries = os.listdir(parent)
    if f".{name}.before" in entries and name not in entries:
        os.rename(f".{name}.before", name, src_dir_fd=parent, dst_dir_fd=parent)
    for entry in filter(left.fullmatch, entries):
        shutil.rmtree(entry, ignore_errors=True, dir_fd=parent)


def remove_tree(parent: int, name: str) -> None:
    """Take a folder away in one instant, then its files. Hold `locked(parent)`."""
    aside = f".{name}.{secrets.token_hex(8)}"
    with suppress(FileNotFoundError):
        os.rename(name, aside, src_dir_fd=parent, dst_dir_fd=parent)
        os.fsync(parent)
        shutil.rmtree(aside, ignore_errors=True, dir_fd=parent)


@contextmanager
def opened(name: str, parent: int) -> Generator[int]:
    """A folder right inside another. `Conflict` when it is a link or no folder."""
    descriptor = _open_inside(name, parent)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _write(folder: int, path: str, data: bytes) -> None:
    step, slash, rest = path.partition("/")
    if slash:
        with suppress(FileExistsError):
            os.mkdir(step, 0o755, dir_fd=folder)
        with opened(step, folder) as inner:
            _write(inner, rest, data)
        return
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(step, flags, 0o644, dir_fd=folder), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_folders(folder: int) -> None:
    for name in os.listdir(folder):
        if stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            with opened(name, folder) as inner:
                _sync_folders(inner)
    os.fsync(folder)
