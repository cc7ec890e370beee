"""What the fakes of docker and daytona run commands in: a real box with one process and network namespace.

Several programs share it, leave processes behind, and are all gone when it is stopped, as in a container.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
import socket
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path

AGENT = """
import json, os, socket, subprocess, sys, threading
sock = socket.socket(fileno=int(sys.argv[1]))
sock.set_inheritable(False)
def wait(number, program):
    code = program.wait()
    sock.send(json.dumps({"id": number, "exit": 128 - code if code < 0 else code}).encode())
while True:
    message, fds, _, _ = socket.recv_fds(sock, 1 << 18, 3)
    if not message:
        break
    asked = json.loads(message)
    try:
        program = subprocess.Popen(asked["argv"], env=asked["env"], cwd=asked["cwd"],
                                   stdin=fds[0], stdout=fds[1], stderr=fds[2])
    except OSError as error:
        os.write(fds[2], f"OCI runtime exec failed: {error}".encode())
        sock.send(json.dumps({"id": asked["id"], "exit": 127}).encode())
    else:
        threading.Thread(target=wait, args=(asked["id"], program), daemon=True).start()
    for fd in fds:
        os.close(fd)
"""
PLACES = ("workspace", "kit", "skills", "tmp")


class FakeBox:
    """`root`: its file system, of which only PLACES exist. `writable`: those its programs may change."""

    def __init__(self, root: Path, writable: Sequence[str] = ("workspace", "tmp")) -> None:
        self.root, self._writable = root, writable
        for place in PLACES:
            (root / place).mkdir(parents=True, exist_ok=True)
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[int]] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        argv = ["bwrap", "--unshare-all", "--die-with-parent", "--uid", "1000", "--gid", "1000"]
        argv += ["--ro-bind", "/usr", "/usr", "--proc", "/proc", "--dev", "/dev", "--clearenv"]
        for link in ("bin", "sbin", "lib", "lib64"):
            argv += ["--symlink", f"usr/{link}", f"/{link}"]
        for place in PLACES:
            argv += [
                "--bind" if place in self._writable else "--ro-bind",
                str(self.root / place),
                f"/{place}",
            ]
        argv += ["--", "/usr/bin/python3", "-I", "-c", AGENT, str(theirs.fileno())]
        self._process = subprocess.Popen(argv, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
        theirs.close()
        ours.setblocking(False)
        self._socket = ours
        asyncio.get_running_loop().add_reader(ours.fileno(), self._take)

    async def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            await asyncio.to_thread(self._process.wait)
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket.fileno())
            self._socket.close()
            self._socket = None
        self._lose()

    async def spawn(
        self, argv: Sequence[str], env: Mapping[str, str], cwd: str, fds: tuple[int, int, int]
    ) -> asyncio.Future[int]:
        """The future exit code. The descriptors are closed here."""
        assert self._socket is not None, "the box does not run"
        number = next(self._numbers)
        ended = asyncio.get_running_loop().create_future()
        self._waiting[number] = ended
        asked = {"id": number, "argv": list(argv), "env": {"PATH": "/usr/bin:/bin", **env}, "cwd": cwd}
        socket.send_fds(self._socket, [json.dumps(asked).encode()], fds)
        for fd in set(fds):
            os.close(fd)
        return ended

    async def output_of(self, argv: Sequence[str]) -> tuple[int, bytes]:
        reading, writing = os.pipe()
        nothing = os.open("/dev/null", os.O_RDWR)
        ended = await self.spawn(argv, {}, "/workspace", (nothing, writing, writing))
        output = await asyncio.to_thread(read_all, reading)
        return await ended, output

    def put(self, archive: bytes, path: str) -> None:
        with tarfile.open(fileobj=BytesIO(archive)) as tar:
            tar.extractall(self.root / path.lstrip("/"), filter=as_ours)

    def get(self, path: str) -> bytes:
        out = BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
            tar.add(self.root / path.lstrip("/"), path.rstrip("/").rpartition("/")[2])
        return out.getvalue()

    def _take(self) -> None:
        assert self._socket is not None
        try:
            message = self._socket.recv(65536)
        except OSError:
            message = b""
        if not message:
            asyncio.get_running_loop().remove_reader(self._socket.fileno())
            self._lose()
            return
        told = json.loads(message)
        self._waiting.pop(told["id"]).set_result(told["exit"])

    def _lose(self) -> None:
        waiting, self._waiting = self._waiting, {}
        for ended in waiting.values():
            if not ended.done():
                ended.set_result(137)


def as_ours(member: tarfile.TarInfo, _: str) -> tarfile.TarInfo:
    """Whoever it belongs to in there is us out here."""
    return member.replace(uid=os.getuid(), gid=os.getgid(), uname="", gname="", deep=False)


def read_all(descriptor: int) -> bytes:
    with os.fdopen(descriptor, "rb") as file:
        return file.read()
