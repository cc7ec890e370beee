"""What a sandbox gets to see: copies that its own uid can read, and the uids themselves."""

from __future__ import annotations

import os
import random
import shutil
import stat
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from omniforge.core.errors import Invalid
from omniforge.sandboxes.archive import is_safe_path
from omniforge.sandboxes.protocol import SandboxRequest, SandboxUnavailable

UNUSED_UIDS = range(0x70000000, 0x7FFFFFFF)
"""Above everything that Linux distributions, systemd and container tools hand out."""
FEW_UIDS = range(30000, 60000)
"""Where only 65536 uids are mapped, as in most containers."""

KIT, INPUTS = "/kit", "/inputs"
RESERVED = frozenset(
    {KIT, INPUTS, "/workspace", "/tmp", "/usr", "/lib", "/lib64", "/bin", "/sbin", "/etc", "/proc", "/dev"}  # noqa: S108
)


@dataclass(slots=True)
class Uids:
    """Hands out a uid of its own to every running sandbox."""

    pool: range
    taken: set[int] = field(default_factory=set[int])

    @contextmanager
    def lease(self) -> Generator[int]:
        uid = random.choice(self.pool)  # noqa: S311 - spreads processes of one host, hides nothing
        while uid in self.taken:
            uid = random.choice(self.pool)  # noqa: S311
        self.taken.add(uid)
        try:
            yield uid
        finally:
            self.taken.discard(uid)


def usable_uids(uid_map: str) -> Uids:
    """The uids that exist here, by the text of `/proc/self/uid_map`."""
    spans = [tuple(map(int, line.split())) for line in uid_map.splitlines()]
    for pool in (UNUSED_UIDS, FEW_UIDS):
        if any(first <= pool.start and pool.stop <= first + count for first, _, count in spans):
            return Uids(pool)
    raise SandboxUnavailable(
        "Root has no other uids here to run a sandbox as. Start OmniForge as an ordinary user."
    )


def new_place(parent: Path | None) -> Path:
    """An empty folder only we can enter. The caller removes it with all that is put into it."""
    return Path(tempfile.mkdtemp(prefix="omniforge-sandbox-", dir=parent))


def fill_place(place: Path, request: SandboxRequest, kit: Path, *, owner: int | None) -> dict[str, Path]:
    """Put what the sandbox gets to see where it can reach it; path inside → host folder to bind. Blocking.

    With `owner` (we are root, the sandbox is not) folders are copied to `place`, which becomes that uid's;
    without, they are bound where they are. Given workspace files wait under `/inputs`.
    """
    sources = {f"{KIT}/sandbox_kit": kit, **request.folders, **request.programs}
    _check(request, sources)
    binds = dict(sources)
    if owner is not None:
        for number, (inside, source) in enumerate(sources.items()):
            is_no_secret = source == kit or inside in request.programs
            if is_no_secret and _is_open_to_all(source.resolve()):
                binds[inside] = source.resolve()
                continue
            binds[inside] = place / str(number)
            _copy_tree(source, binds[inside])
    if request.workspace_files:
        binds[INPUTS] = place / "inputs"
        _write_files(binds[INPUTS], request.workspace_files)
    if owner is not None:
        os.chown(place, owner, owner)
    return binds


def remove_place(place: Path) -> None:
    shutil.rmtree(place, ignore_errors=True)


def _check(request: SandboxRequest, sources: Mapping[str, Path]) -> None:
    for inside in (*request.folders, *request.programs):
        if inside.count("/") != 1 or not is_safe_path(inside[1:]) or inside in RESERVED:
            raise _refused("folders", inside, "one folder of your own at the top, such as /skill")
    for inside, source in sources.items():
        if not source.is_dir():
            raise _refused("folders", inside, f"an existing folder ({source} is none)")
    for path in request.workspace_files:
        if not is_safe_path(path):
            raise _refused("workspace_files", path, "a relative path without '..'")


def _refused(field_name: str, value: str, rule: str) -> Invalid:
    return Invalid(
        f"The sandbox cannot be given {value!r}: it must be {rule}.",
        fields=[{"field": field_name, "value": value, "rule": rule}],
    )


def _copy_tree(source: Path, target: Path) -> None:
    """Regular files, folders and links as links. We may be root: nothing a link names is ever read."""
    _make_folder(target)
    with os.scandir(source) as entries:
        for entry in entries:
            copy = target / entry.name
            if entry.is_symlink():
                copy.symlink_to(os.readlink(entry.path))
            elif entry.is_dir(follow_symlinks=False):
                _copy_tree(Path(entry.path), copy)
            elif entry.is_file(follow_symlinks=False):
                _copy_file(entry.path, copy)


def _copy_file(source: str, target: Path) -> None:
    # O_NOFOLLOW and O_NONBLOCK: the entry may have become a link or a pipe since it was listed.
    with open(os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as reading:
        mode = os.fstat(reading.fileno()).st_mode
        if not stat.S_ISREG(mode):
            return
        with target.open("xb") as writing:
            shutil.copyfileobj(reading, writing)
    target.chmod(0o755 if mode & 0o111 else 0o644)


def _is_open_to_all(folder: Path) -> bool:
    """Whether every user can reach this folder, no link on the way, and read the files right in it."""
    is_reachable = all(place.stat().st_mode & 0o001 for place in (folder, *folder.parents))
    return is_reachable and all(file.stat().st_mode & 0o004 for file in folder.iterdir() if file.is_file())


def _write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    _make_folder(folder)
    for path, content in files.items():
        target = folder / path
        for parent in reversed(Path(path).parents[:-1]):
            _make_folder(folder / parent)
        target.write_bytes(content)
        target.chmod(0o644)


def _make_folder(path: Path) -> None:
    """Readable by the sandbox's uid whatever our umask is."""
    path.mkdir(exist_ok=True)
    path.chmod(0o755)
