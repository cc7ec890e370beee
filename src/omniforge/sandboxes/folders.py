"""The folders behind local workspaces: what lies where, to whom it belongs, and what runs in them."""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import shutil
import signal
import stat
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from omniforge.core.errors import Invalid
from omniforge.sandboxes.outputs import check_skill_name
from omniforge.sandboxes.processes import wait_for_end
from omniforge.sandboxes.staging import Uids
from omniforge.sandboxes.trees import MAX_FILES, Entry, read_folder, write_folder
from omniforge.sandboxes.workspaces import ProviderUnavailable, WorkspaceGone, WorkspaceOrder

REF = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
ORDER, TREE, SKILLS, RELAY, BOXES = "order.json", "tree", "skills", "relay", "boxes"
INSIDE_UID = 65534
SYSTEM_FILES = {
    "passwd": f"worker:x:{INSIDE_UID}:{INSIDE_UID}:worker:/tmp:/bin/sh\n",
    "group": f"worker:x:{INSIDE_UID}:\n",
    "hosts": "127.0.0.1 localhost sandbox\n::1 localhost sandbox\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
}


@dataclass(frozen=True, slots=True)
class Folder:
    """One workspace on the disk. `uid`: whose it is, when we are root."""

    ref: str
    place: Path
    order: WorkspaceOrder
    uid: int | None

    @property
    def tree(self) -> Path:
        return self.place / TREE

    @property
    def skills(self) -> Path:
        return self.place / SKILLS

    @property
    def relay(self) -> Path:
        return self.place / RELAY

    def replace_tree(self, entries: Sequence[Entry]) -> None:
        """All at once. Blocking."""
        fresh = Path(tempfile.mkdtemp(prefix="new-", dir=self.place))
        write_folder(fresh, entries, owner=self.uid)
        old = self.place / f"old-{fresh.name}"
        self.tree.rename(old)
        fresh.rename(self.tree)
        remove_tree(old)

    def read_tree(self) -> list[Entry]:
        return read_folder(self.tree)

    def put_skill(self, name: str, entries: Sequence[Entry]) -> None:
        """Below `skills`, ours, so that nobody inside can change it. Blocking."""
        target = self.skills / check_skill_name(name)
        fresh = Path(tempfile.mkdtemp(prefix="new-", dir=self.place))
        write_folder(fresh, entries, owner=None)
        fresh.chmod(0o755)
        if target.exists():
            remove_tree(target)
        fresh.rename(target)

    def is_too_large(self) -> bool:
        """Blocking; no link is followed."""
        total = count = 0
        for _, folders, files, descriptor in os.fwalk(self.tree, follow_symlinks=False):
            count += len(folders) + len(files)
            for name in files:
                with suppress(OSError):
                    total += os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_blocks * 512
            if total > self.order.disk_bytes or count > 4 * MAX_FILES:
                return True
        return False

    # --- what runs in it, whichever of our processes has started it ----------------------------------------

    def add_box(self, pid: int, role: str) -> None:
        """`pid`: of the first process in a box."""
        started = started_at(pid)
        if started is not None:
            with suppress(FileNotFoundError):  # destroyed meanwhile
                (self.place / BOXES / str(pid)).write_text(f"{started} {role}")

    def drop_box(self, pid: int) -> None:
        (self.place / BOXES / str(pid)).unlink(missing_ok=True)

    def boxes(self) -> dict[int, str]:
        """Pid → role of those that live; the traces of others are wiped away."""
        alive: dict[int, str] = {}
        for trace in self._traces():
            with suppress(OSError, ValueError):
                started, _, role = trace.read_text().partition(" ")
                if started_at(int(trace.name)) == int(started):
                    alive[int(trace.name)] = role
                else:
                    trace.unlink(missing_ok=True)
        return alive

    def has_worker(self) -> bool:
        return "worker" in self.boxes().values()

    async def kill_boxes(self) -> None:
        """Also those of other processes of ours on this computer."""
        for pid in self.boxes():
            with suppress(ProcessLookupError):
                descriptor = os.pidfd_open(pid)
                try:
                    signal.pidfd_send_signal(descriptor, signal.SIGKILL)
                    await wait_for_end(descriptor)
                finally:
                    os.close(descriptor)

    def _traces(self) -> list[Path]:
        try:
            return list((self.place / BOXES).iterdir())
        except FileNotFoundError:
            return []


class Folders:
    """All workspaces of one installation on this computer."""

    def __init__(self, home: Path, *, root: Path | None, uids: Uids | None) -> None:
        self._uids = uids
        self.root = root or choose_root(home, is_root=uids is not None)

    def make(self, order: WorkspaceOrder) -> Folder:
        """A new one, in place of what a broken attempt may have left under this name. Blocking."""
        ref = order.sandbox_id
        if not REF.fullmatch(ref):
            raise Invalid(f"{ref[:100]!r} cannot be the name of a workspace.")
        self.remove(ref)
        root = self._ready_root()
        uid = None if self._uids is None else self._free_uid(self._uids, root)
        fresh = Path(tempfile.mkdtemp(prefix=".new-", dir=root))
        for name, mode, owner in (
            (TREE, 0o755, uid),
            (SKILLS, 0o755, None),
            (RELAY, 0o700, uid),
            (BOXES, 0o700, None),
        ):
            (fresh / name).mkdir()
            (fresh / name).chmod(mode)
            if owner is not None:
                os.chown(fresh / name, owner, owner)
        record = fresh / ORDER
        record.write_text(json.dumps({"uid": uid, "order": asdict(order)}))
        record.chmod(0o600)
        fresh.chmod(0o700 if uid is None else 0o711)
        fresh.rename(root / ref)
        return self.find(ref)

    def find(self, ref: str) -> Folder:
        place = self.root / ref
        if not REF.fullmatch(ref):
            raise WorkspaceGone(f"There is no workspace {ref[:100]!r} on this computer.")
        try:
            record: dict[str, Any] = json.loads((place / ORDER).read_bytes())
        except FileNotFoundError:
            raise WorkspaceGone(f"There is no workspace {ref!r} on this computer.") from None
        return Folder(ref, place, WorkspaceOrder(**record["order"]), record["uid"])

    def remove(self, ref: str) -> None:
        """Gone at once for everybody, then from the disk. Blocking."""
        if not REF.fullmatch(ref):
            return
        root = self.root
        gone = root / f".gone-{ref}-{random.randrange(1 << 40):x}"  # noqa: S311 - only has to differ
        with suppress(FileNotFoundError):
            (root / ref).rename(gone)
            remove_tree(gone)

    def names(self) -> list[str]:
        """Blocking; what a killed process was about to remove is removed."""
        found: list[str] = []
        if not self.root.is_dir():
            return found
        for entry in os.scandir(self.root):
            if entry.name.startswith(".gone-"):
                remove_tree(Path(entry.path))
            elif REF.fullmatch(entry.name):
                found.append(entry.name)
        return sorted(found)

    def system_files(self) -> dict[str, Path]:
        """Path inside → what programs expect to find about their user and their host."""
        return {f"/etc/{name}": self.root / ".etc" / name for name in SYSTEM_FILES}

    def tidy(self) -> None:
        """Leave nothing in the temporary folder when there is no workspace. Blocking."""
        if self.root.parent == Path(tempfile.gettempdir()) and not self.names():
            remove_tree(self.root)

    def _ready_root(self) -> Path:
        root = self.root
        try:
            root.mkdir(parents=True, exist_ok=True)
            _claim(root, 0o700 if self._uids is None else 0o711)
            _write_system_files(root / ".etc")
        except OSError as error:
            raise ProviderUnavailable(f"Workspaces cannot be kept in {root}: {error.strerror}.") from error
        return root

    def _free_uid(self, uids: Uids, root: Path) -> int:
        taken = {
            json.loads(record.read_bytes()).get("uid")
            for record in root.glob(f"[!.]*/{ORDER}")
            if record.is_file()
        }
        while (uid := random.choice(uids.pool)) in taken:  # noqa: S311 - as staging does
            pass
        return uid


def choose_root(home: Path, *, is_root: bool) -> Path:
    """`<home>/workspaces`, unless we are root and others cannot get there, as below `/root`: boxes run as
    uids of their own. Then it is a temporary folder; no worker outlives a restart of the computer anyway."""
    wanted = home.resolve() / "workspaces"
    closed = [place for place in wanted.parents if place.exists() and not place.stat().st_mode & 0o001]
    if not is_root or not closed:
        return wanted
    name = hashlib.sha256(str(wanted).encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"omniforge-workspaces-{name}"


def _claim(root: Path, mode: int) -> None:
    """Somebody else may have made a folder of that name before us."""
    found = os.lstat(root)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise ProviderUnavailable(f"{root} belongs to somebody else, so no workspace is kept there.")
    root.chmod(mode)


def _write_system_files(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    folder.chmod(0o755)
    for name, content in SYSTEM_FILES.items():
        if not (folder / name).exists():
            fresh = folder / f"{name}.{os.getpid()}"
            fresh.write_text(content)
            fresh.chmod(0o644)
            fresh.rename(folder / name)


def started_at(pid: int) -> int | None:
    """When a living process began, in ticks since boot; None when it has ended."""
    try:
        line = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    fields = line[line.rindex(b")") + 2 :].split()
    return None if fields[0] in (b"Z", b"X") else int(fields[19])


def remove_tree(folder: Path) -> None:
    """Whatever a program has done to the rights of what lies in it; fine when it is not there. Blocking."""
    if folder.is_symlink() or not folder.is_dir():
        return
    if os.geteuid() != 0:  # root needs no rights, and must not be led to change those of something else
        for place, names, _ in os.walk(folder):
            for path in (f"{place}/{name}" for name in names):
                if not os.path.islink(path):
                    with suppress(OSError):
                        os.chmod(path, 0o700)
    shutil.rmtree(folder, ignore_errors=True)
