"""How bubblewrap is asked for a box: the walls as arguments, and the start of the process."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path
from socket import socket, socketpair

from omniforge.sandboxes.protocol import MIB, Limits
from omniforge.sandboxes.seccomp import BRIDGE_ONLY, build_filter
from omniforge.sandboxes.staging import INPUTS, KIT

NOBODY = "65534"
OPEN_FILES = 256
SHARED_MEMORY = 16 * MIB
DIST_PACKAGES = Path("/usr/lib/python3/dist-packages")
"""What happens to be installed on this computer; scripts get the standard library and `sandbox_kit` only."""

ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "HOME": "/workspace",
    "TMPDIR": "/tmp",  # noqa: S108 - of the sandbox
    "LANG": "C.UTF-8",
    "PYTHONPATH": KIT,
    "PYTHONDONTWRITEBYTECODE": "1",
}


@dataclass(slots=True)
class Box:
    """A running box and our ends of its pipes. Whoever reads a pipe closes it."""

    process: subprocess.Popen[bytes]
    pidfd: int
    stdout: int
    stderr: int
    results: int
    info: int
    bridge: socket | None
    first_pid: int | None = None
    """Host pid of the first process of the box: when it ends, everything in the box has ended."""
    first_pidfd: int | None = None

    def found(self, first_pid: int) -> None:
        with suppress(ProcessLookupError):
            self.first_pidfd = os.pidfd_open(first_pid)
            self.first_pid = first_pid

    def kill(self) -> None:
        """All of it, at once: the first process takes the whole process namespace with it.

        Bubblewrap itself is left to bury it and ends by that; killed too, it would leave a zombie behind.
        """
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.first_pidfd or self.pidfd, signal.SIGKILL)

    def close(self) -> int:
        """The exit code of the ended process, 128 + n after signal n."""
        for pidfd in (self.first_pidfd, self.pidfd):
            if pidfd is not None:
                os.close(pidfd)
        if self.bridge is not None:
            self.bridge.close()
        code = self.process.wait()
        return 128 - code if code < 0 else code


@dataclass(frozen=True, slots=True)
class Shell:
    """What every box of a provider has in common."""

    bwrap: Path
    python: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Interior:
    """What one kind of box differs in from the box of a single program."""

    writable: Mapping[str, Path] = field(default_factory=dict[str, Path])
    """Path inside → host folder that stays when the box is gone; in place of the passing one there."""
    environment: Mapping[str, str] = field(default_factory=lambda: ENVIRONMENT)
    families: Sequence[int] = BRIDGE_ONLY
    """Of sockets; all but unix ones end at the box's own loopback."""
    cwd: str = "/workspace"
    """Where the program starts when nothing is handed out."""
    hides_packages: bool = True
    """Of this computer's Python."""
    open_files: int = OPEN_FILES
    hands_out: bool = True
    """Files at the end; otherwise the program takes the launcher's place: both pipes are one, and a program
    that is missing ends with 127 as in a shell."""
    socket: str | None = None
    """Of `sandbox_kit.forward`, the way out."""


PLAIN = Interior()


def start_box(
    shell: Shell,
    program: Sequence[str],
    *,
    stdin: bytes,
    binds: Mapping[str, Path],
    limits: Limits,
    uid: int | None,
    has_bridge: bool = False,
    interior: Interior = PLAIN,
) -> Box:
    """Start `program` in a box, as `uid` when we are root; `OSError` when bubblewrap cannot be started.

    Only on a thread that outlives the box: the box dies with the thread that started it.
    """
    with ExitStack() as theirs, ExitStack() as ours:
        pipes = [os.pipe() for _ in range(4)]
        for reading, writing in pipes:
            ours.callback(os.close, reading)
            theirs.callback(os.close, writing)
        stdout, stderr, results, info = (writing for _, writing in pipes)
        stdin_fd = theirs.enter_context(_sealed(stdin))
        filter_fd = theirs.enter_context(_sealed(build_filter(families=interior.families)))
        bridge, far_end = socketpair() if has_bridge else (None, None)
        for ends, end in ((ours, bridge), (theirs, far_end)):
            if end is not None:
                ends.callback(end.close)
        bridge_fd = None if far_end is None else far_end.fileno()
        # Neither as arguments, which everybody on this computer may read, nor known to the box's first
        # process, which all others in there may look into.
        environment_fd = theirs.enter_context(_sealed(_pack_variables(interior.environment)))
        inherited = [results, info, filter_fd, environment_fd, *([] if bridge_fd is None else [bridge_fd])]
        process = subprocess.Popen(
            [
                *_walls(
                    shell,
                    binds,
                    limits,
                    interior,
                    filter_fd=filter_fd,
                    info_fd=info,
                    has_bridge=has_bridge,
                ),
                *_launcher(
                    shell,
                    limits,
                    interior,
                    results_fd=results,
                    environment_fd=environment_fd,
                    bridge_fd=bridge_fd,
                    has_inputs=INPUTS in binds,
                ),
                *program,
            ],
            stdin=stdin_fd,
            stdout=stdout,
            stderr=stderr if interior.hands_out else stdout,
            pass_fds=inherited,
            cwd="/",
            env={},
            user=uid,
            group=uid,
            extra_groups=None if uid is None else [],
            start_new_session=True,
        )
        pidfd = os.pidfd_open(process.pid)
        ours.pop_all()
    out, err, handed_out, said = (reading for reading, _ in pipes)
    return Box(process, pidfd, stdout=out, stderr=err, results=handed_out, info=said, bridge=bridge)


def _pack_variables(variables: Mapping[str, str]) -> bytes:
    words = [f"{name}={value}" for name, value in variables.items()]
    return "\0".join(words).encode("utf-8", "surrogateescape")


def _walls(
    shell: Shell,
    binds: Mapping[str, Path],
    limits: Limits,
    interior: Interior,
    *,
    filter_fd: int,
    info_fd: int,
    has_bridge: bool,
) -> list[str]:
    argv = [str(shell.bwrap), "--unshare-all", "--unshare-user", "--disable-userns", "--die-with-parent"]
    argv += ["--new-session", "--cap-drop", "ALL", "--uid", NOBODY, "--gid", NOBODY, "--hostname", "sandbox"]
    argv += ["--clearenv"]
    if interior.hands_out:
        for name, value in {
            **interior.environment,
            **({"OMNIFORGE_BRIDGE_FD": "3"} if has_bridge else {}),
        }.items():
            argv += ["--setenv", name, value]
    argv += ["--ro-bind", "/usr", "/usr"]
    for link in ("bin", "sbin", "lib", "lib64"):
        argv += ["--symlink", f"usr/{link}", f"/{link}"]
    for path in ("/etc/ld.so.cache", "/etc/alternatives"):
        argv += ["--ro-bind-try", path, path]
    argv += ["--proc", "/proc", "--dev", "/dev"]
    if interior.hides_packages and DIST_PACKAGES.is_dir():
        argv += ["--tmpfs", str(DIST_PACKAGES), "--remount-ro", str(DIST_PACKAGES)]
    sizes = {"/workspace": limits.workspace_bytes, "/tmp": limits.workspace_bytes, "/dev/shm": SHARED_MEMORY}  # noqa: S108
    for place, size in sizes.items():
        if place not in interior.writable:
            argv += ["--size", str(size), "--tmpfs", place]
    for inside, outside in interior.writable.items():
        argv += ["--bind", str(outside), inside]
    for inside, outside in binds.items():
        argv += ["--ro-bind", str(outside), inside]
    argv += ["--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/workspace"]
    return [*argv, "--seccomp", str(filter_fd), "--info-fd", str(info_fd), "--"]


def _launcher(
    shell: Shell,
    limits: Limits,
    interior: Interior,
    *,
    results_fd: int,
    environment_fd: int,
    bridge_fd: int | None,
    has_inputs: bool,
) -> list[str]:
    """`sandbox_kit.launch` or `.enter`, which set these limits inside the user namespace."""
    argv = [str(shell.python), "-I", "-S"]
    if interior.hands_out:
        argv += [f"{KIT}/sandbox_kit/launch.py", str(results_fd)]
        argv += ["-" if bridge_fd is None else str(bridge_fd), INPUTS if has_inputs else "-"]
        argv += [str(limits.artifact_files), str(limits.artifact_bytes)]
    else:
        argv += [
            f"{KIT}/sandbox_kit/enter.py",
            str(results_fd),
            str(environment_fd),
            interior.socket or "-",
            interior.cwd,
        ]
    resource_limits = {
        "NPROC": limits.processes,
        "CPU": ceil(limits.cpu_seconds) + 1,  # per process; the watching host counts all of them
        "FSIZE": limits.file_bytes,
        "DATA": 2 * limits.memory_bytes,  # slows a memory bomb that is faster than the watching host
        "NOFILE": interior.open_files,
        "CORE": 0,
        "MSGQUEUE": 0,
    }
    return [*argv, *(f"{name}={value}" for name, value in resource_limits.items()), "--"]


@contextmanager
def _sealed(content: bytes) -> Generator[int]:
    """A descriptor to read `content` from, which nobody can change: the sandbox gets to hold it."""
    fd = os.memfd_create("input", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        with open(fd, "wb", closefd=False) as file:
            file.write(content)
        os.lseek(fd, 0, os.SEEK_SET)
        fcntl.fcntl(
            fd,
            fcntl.F_ADD_SEALS,
            fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL,
        )
        yield fd
    finally:
        os.close(fd)
