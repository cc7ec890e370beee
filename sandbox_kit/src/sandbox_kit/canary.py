"""Run inside a sandbox to prove its walls: prints `{"alive": true, "broken": [what does not hold, …]}`.

    canary.py BYTES [workspace]

BYTES: how large its file systems may be. `workspace`: in the box of a workspace, which has a loopback of
its own and a folder that stays.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import socket
import sys
from collections.abc import Callable

EXPECTED_ENVIRONMENT = frozenset(
    {
        "PATH",
        "HOME",
        "LANG",
        "TMPDIR",
        "PWD",
        "PYTHONPATH",
        "PYTHONDONTWRITEBYTECODE",
        "OMNIFORGE_BRIDGE_FD",
        "LC_CTYPE",
    }
)
OF_WORKSPACES = frozenset(
    {"USER", "OMNIFORGE_URL", "OMNIFORGE_WORKSPACE", "OMNIFORGE_SKILLS", "OMNIFORGE_SANDBOX_ID"}
    | {
        f"{kind}_{end}"
        for kind in ("HTTP", "HTTPS", "NO", "http", "https", "no")
        for end in ("PROXY", "proxy")
    }
)
CLONE_NEWUSER = 0x10000000
FOREIGN = ("/etc/passwd", "/etc/shadow", "/root", "/home", "/var", "/run", "/sys", "/boot")


def main() -> None:
    walls = WALLS | OTHERWISE if sys.argv[2:] == ["workspace"] else WALLS
    broken = [wall for wall, holds in walls.items() if not holds()]
    sys.stdout.write(json.dumps({"alive": True, "broken": broken}) + "\n")


def is_refused(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except OSError:
        return True
    return False


def status() -> dict[str, str]:
    with open("/proc/self/status") as lines:
        return dict(line.rstrip("\n").split(":\t", 1) for line in lines if ":\t" in line)


def write(path: str) -> None:
    with open(path, "wb") as file:
        file.write(b"canary")


def is_small_tmpfs(place: str) -> bool:
    space = os.statvfs(place)
    is_writable(place)
    return space.f_blocks * space.f_frsize <= int(sys.argv[1])


def is_writable(place: str) -> bool:
    write(f"{place}/canary")
    os.unlink(f"{place}/canary")
    return True


def has_only_loopback() -> bool:
    with open("/proc/net/dev") as lines:
        return [line.split(":")[0].strip() for line in lines if ":" in line] in ([], ["lo"])


def knows_only_itself() -> bool:
    with open("/etc/passwd") as lines:
        return [line.split(":")[2] for line in lines] == [str(os.getuid())]


def is_without_privileges() -> bool:
    now = status()
    sets = (int(now[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"))
    return not any(sets) and now["NoNewPrivs"] == "1" and now["Seccomp"] == "2"


def can_see_host_processes() -> bool:
    return any(int(name) > 64 for name in os.listdir("/proc") if name.isdigit())


WALLS: dict[str, Callable[[], bool]] = {
    "files of the computer are out of sight": lambda: not any(map(os.path.lexists, FOREIGN)),
    "the file system is read-only": lambda: all(
        is_refused(lambda path=path: write(path))
        for path in ("/canary", "/usr/canary", "/kit/canary", "/dev/canary")
    ),
    "the workspace is small and writable": lambda: is_small_tmpfs("/workspace"),
    "temporary space is small and writable": lambda: all(map(is_small_tmpfs, ("/tmp", "/dev/shm"))),  # noqa: S108
    "there is no network": lambda: (
        all(
            is_refused(lambda family=family: socket.socket(family, socket.SOCK_DGRAM))
            for family in (socket.AF_INET, socket.AF_INET6)
        )
        and has_only_loopback()
    ),
    "no new user namespace": lambda: ctypes.CDLL(None).unshare(CLONE_NEWUSER) != 0,
    "no privileges": is_without_privileges,
    "not the superuser": lambda: os.getuid() != 0 and os.geteuid() != 0,
    "the environment is scrubbed": lambda: set(os.environ) <= EXPECTED_ENVIRONMENT,
    "other processes are out of sight": lambda: not can_see_host_processes(),
    "processes are limited": lambda: resource.getrlimit(resource.RLIMIT_NPROC)[1] != resource.RLIM_INFINITY,
    "files are limited": lambda: resource.getrlimit(resource.RLIMIT_FSIZE)[1] != resource.RLIM_INFINITY,
}

OTHERWISE: dict[str, Callable[[], bool]] = {
    "files of the computer are out of sight": lambda: (
        not any(map(os.path.lexists, [path for path in FOREIGN if path != "/etc/passwd"]))
        and knows_only_itself()
    ),
    "the workspace is small and writable": lambda: (
        is_refused(lambda: write("/skills/canary")) and is_writable("/workspace")
    ),
    "there is no network": lambda: (
        has_only_loopback() and is_refused(lambda: socket.create_connection(("192.0.2.1", 9), 0.2))
    ),
    "the environment is scrubbed": lambda: set(os.environ) <= EXPECTED_ENVIRONMENT | OF_WORKSPACES,
}
"""What holds in the box of a workspace in place of the walls of the same name."""


if __name__ == "__main__":
    main()
