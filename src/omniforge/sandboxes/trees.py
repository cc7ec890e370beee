"""A workspace's content as a tar archive: read with suspicion, written the same way by everybody.

Files with their executable bit and links that stay inside, nothing else. Archives come from a docker daemon
or from inside a sandbox, so the reader is our own: it knows ustar, long names of pax and GNU, no more.
"""

from __future__ import annotations

import io
import os
import stat
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from omniforge.sandboxes.archive import BLOCK, REGULAR, ArchiveRefused, octal, parents, read_header, text
from omniforge.sandboxes.protocol import MIB
from omniforge.sandboxes.workspaces import TreeRefused

MAX_BYTES = 256 * MIB
MAX_FILES = 50_000
MAX_PATH = 1000
PRIVATE = ".git"
"""A repository inside a tree is somebody else's configuration and history: never carried."""

SAME, LINK, PAX = b"1", b"2", b"x"
ABOUT_NEXT = {PAX: "", b"L": "path", b"K": "linkpath"}
"""Kinds of members that tell of the one after them."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One file, or a link when `target` is set."""

    path: str
    content: bytes = b""
    is_executable: bool = False
    target: str | None = None


def unpack_tree(data: bytes, *, below: str | None = None) -> list[Entry]:
    """What an archive holds, sorted by path; raises `TreeRefused` when it is broken or too large.

    `below`: the one folder everything lies in, which is cut off. Members that climb out, lie in a `.git`,
    lead out as links or are neither file nor link are left out; of one path the last counts.
    """
    found: dict[str, Entry] = {}
    total = 0
    try:
        for name, entry in _members(data):
            path = _inside(name, below)
            if path is None or not is_tree_path(path):
                continue
            if entry.target is not None and not stays_inside(path, entry.target):
                continue
            total += len(entry.content)
            found[path] = Entry(path, entry.content, entry.is_executable, entry.target)
            _check_size(total, len(found))
    except ArchiveRefused as error:
        raise TreeRefused(f"The archive of the workspace cannot be read: {error.message}") from error
    return _settle(found)


def pack_tree(
    entries: Iterable[Entry], *, owner: int = 0, below: str = "", modes: tuple[int, int] = (0o644, 0o755)
) -> bytes:
    """The same bytes for the same entries. `owner`: uid and gid in the headers. `below`: folder to put all
    in. `modes`: of a file, and of an executable or folder."""
    plain, executable = modes
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        made: set[str] = set()
        for entry in entries:
            path = f"{below}/{entry.path}" if below else entry.path
            for folder in parents(path):
                if folder not in made:
                    made.add(folder)
                    archive.addfile(_member(folder, tarfile.DIRTYPE, executable, owner))
            if entry.target is not None:
                link = _member(path, tarfile.SYMTYPE, 0o777, owner)
                link.linkname = entry.target
                archive.addfile(link)
                continue
            info = _member(path, tarfile.REGTYPE, executable if entry.is_executable else plain, owner)
            info.size = len(entry.content)
            archive.addfile(info, io.BytesIO(entry.content))
        if below and not made:
            archive.addfile(_member(below, tarfile.DIRTYPE, executable, owner))
    return out.getvalue()


def write_folder(folder: Path, entries: Iterable[Entry], *, owner: int | None) -> None:
    """Fill a folder that nobody else can enter yet; all of it belongs to `owner` afterwards. Blocking."""
    whose = -1 if owner is None else owner
    made: set[str] = set()
    for entry in entries:
        for parent in parents(entry.path):
            if parent not in made:
                made.add(parent)
                os.mkdir(folder / parent)
                os.chmod(folder / parent, 0o755)  # noqa: S103 - as git has it
                os.chown(folder / parent, whose, whose)
        place = folder / entry.path
        if entry.target is not None:
            os.symlink(entry.target, place)
            os.chown(place, whose, whose, follow_symlinks=False)
            continue
        with open(place, "xb") as file:
            file.write(entry.content)
            os.fchmod(file.fileno(), 0o755 if entry.is_executable else 0o644)
            os.fchown(file.fileno(), whose, whose)
    os.chown(folder, whose, whose)


def read_folder(folder: Path) -> list[Entry]:
    """What somebody else's folder holds, no link of it followed. Blocking; `TreeRefused` when too large.

    Programs may go on changing it meanwhile: what vanishes under our hands is left out.
    """
    found: dict[str, Entry] = {}
    total = 0
    for place, folders, files, descriptor in os.fwalk(folder, follow_symlinks=False, onerror=_ignore):
        folders[:] = [name for name in folders if name != PRIVATE]
        inside = os.path.relpath(place, folder)
        for name in [*files, *folders]:
            path = name if inside == "." else f"{inside}/{name}"
            entry = _read_entry(path, name, descriptor) if is_tree_path(path) else None
            if entry is None:
                continue
            found[path] = entry
            total += len(entry.content)
            _check_size(total, len(found))
    return _settle(found)


def is_tree_path(path: str) -> bool:
    """A relative path below the workspace that git and people can hold."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    parts = path.split("/")
    return 0 < len(path) <= MAX_PATH and not {"", ".", "..", PRIVATE} & set(parts) and "\0" not in path


def _read_entry(path: str, name: str, descriptor: int) -> Entry | None:
    try:
        mode = os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_mode
        if stat.S_ISLNK(mode):
            target = os.readlink(name, dir_fd=descriptor)
            return Entry(path, target=target) if stays_inside(path, target) else None
        if not stat.S_ISREG(mode):
            return None
        # The entry may have become a link or a pipe since it was looked at.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
        with open(os.open(name, flags, dir_fd=descriptor), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return None
            content = file.read(MAX_BYTES + 1)
    except OSError:
        return None
    return Entry(path, content, bool(mode & 0o100))


def _members(data: bytes) -> Iterator[tuple[str, Entry]]:
    position, named, files = 0, dict[str, str](), dict[str, Entry]()
    while True:
        header = data[position : position + BLOCK]
        if not header or header == bytes(BLOCK):
            return
        if len(header) < BLOCK:
            raise ArchiveRefused("The archive ends too early.")
        name, size, kind = _read_header(header)
        start = position + BLOCK
        position = start + -(-size // BLOCK) * BLOCK
        if start + size > len(data):
            raise ArchiveRefused("The archive ends too early.")
        content = data[start : start + size]
        if kind in ABOUT_NEXT:
            named |= _read_pax(content) if kind == PAX else {ABOUT_NEXT[kind]: text(content)}
            continue
        name = named.get("path", name)
        target = named.get("linkpath", text(header[157:257]))
        named = {}
        mode = octal(header[100:108])
        if kind in REGULAR:
            files[name] = Entry(name, content, bool(mode & 0o100))
            yield name, files[name]
        elif kind == SAME and target in files:  # a second name of a file that came before
            yield name, files[target]
        elif kind == LINK:
            yield name, Entry(name, target=target)


def _read_header(header: bytes) -> tuple[str, int, bytes]:
    """As of ustar; GNU's writer differs in the magic and uses the prefix for other things."""
    if header[257:265] == b"ustar  \0":
        changed = bytearray(header[:345] + bytes(BLOCK - 345))
        changed[257:265] = b"ustar\x0000"
        changed[148:156] = b" " * 8
        checksum = sum(header[:148]) + 8 * ord(" ") + sum(header[156:])
        if octal(header[148:156]) != checksum:
            raise ArchiveRefused("A header of the archive is broken.")
        changed[148:156] = b"%06o\0 " % sum(changed)
        header = bytes(changed)
    return read_header(header)


def _read_pax(content: bytes) -> dict[str, str]:
    """`path` and `linkpath` of records `LENGTH KEY=VALUE\\n`; sizes have to be those of the headers."""
    found: dict[str, str] = {}
    while content:
        digits, _, _ = content.partition(b" ")
        if not digits.isdigit() or len(digits) > 8 or not 0 < int(digits) <= len(content):
            raise ArchiveRefused("An extended header of the archive is broken.")
        record, content = content[len(digits) + 1 : int(digits) - 1], content[int(digits) :]
        key, _, value = record.partition(b"=")
        if key.startswith(b"GNU.sparse") or key == b"size":
            raise ArchiveRefused("The archive holds a file in pieces.")
        if key in (b"path", b"linkpath"):
            found[key.decode()] = value.decode("utf-8", "surrogateescape")
    return found


def _inside(name: str, below: str | None) -> str | None:
    path = name.removeprefix("./").rstrip("/")
    if below is None:
        return path
    return path.removeprefix(f"{below}/") if path.startswith(f"{below}/") else None


def stays_inside(path: str, target: str) -> bool:
    """Whether a link at `path` leads to something below the workspace, by its words alone."""
    try:
        target.encode()
    except UnicodeEncodeError:
        return False
    if not target or target.startswith("/") or "\0" in target or len(target) > MAX_PATH:
        return False
    depth = path.count("/")
    for part in target.split("/"):
        if part in {"", "."}:
            continue
        if part == PRIVATE:
            return False
        depth += -1 if part == ".." else 1
        if depth < 0:
            return False
    return True


def _settle(found: Mapping[str, Entry]) -> list[Entry]:
    """Sorted; without what lies below a file or a link, which no folder can hold."""
    return [
        entry for path, entry in sorted(found.items()) if not any(parent in found for parent in parents(path))
    ]


def _check_size(total: int, count: int) -> None:
    if total > MAX_BYTES or count > MAX_FILES:
        raise TreeRefused(
            f"The workspace holds more than {MAX_BYTES // MIB} MB or {MAX_FILES} files. "
            "Remove what is built or downloaded, or list it in .gitignore and delete it before the work ends."
        )


def _member(path: str, kind: bytes, mode: int, owner: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(path)
    info.type, info.mode, info.uid, info.gid, info.mtime = kind, mode, owner, owner, 0
    return info


def _ignore(_: OSError) -> None:
    """Folders that a program has made unreadable for us are left out."""
