"""What a program in a workspace says, and what it is told by its environment."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
from collections.abc import Mapping, Sequence

from omniforge.core.errors import Invalid
from omniforge.sandboxes.workspaces import OUTPUT_KEPT, WORKSPACE, Execution

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
FOLDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
KILLED = 137
LONGEST = 24 * 3600.0

BASE = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/tmp",  # noqa: S108 - of the sandbox
    "TMPDIR": "/tmp",  # noqa: S108
    "LANG": "C.UTF-8",
    "USER": "worker",
    "PYTHONDONTWRITEBYTECODE": "1",
}
"""The clean environment of whatever runs in a workspace; home is not there, as that is part of the tree."""


class Transcript:
    """All that was said: a hash of everything, the first part as it was."""

    def __init__(self, keep: int = OUTPUT_KEPT) -> None:
        self._keep = keep
        self._kept = bytearray()
        self._hash = hashlib.sha256()
        self.length = 0

    def add(self, chunk: bytes) -> None:
        self._hash.update(chunk)
        self.length += len(chunk)
        self._kept += chunk[: max(self._keep - len(self._kept), 0)]

    def ended(self, exit_code: int, *, timed_out: bool, seconds: float) -> Execution:
        return Execution(
            exit_code=KILLED if timed_out else exit_code,
            output=bytes(self._kept),
            output_hash=self._hash.hexdigest(),
            truncated=self.length > len(self._kept),
            timed_out=timed_out,
            seconds=seconds,
        )


async def drain(pipe: int, transcript: Transcript) -> None:
    """All that comes out of `pipe`, to its end; closes it."""
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(pipe, "rb", buffering=0)
    )
    try:
        while chunk := await reader.read(65536):
            transcript.add(chunk)
    finally:
        transport.close()


def check_program(argv: Sequence[str], cwd: str, timeout: float) -> str:
    """The folder inside that `cwd` means; raises `Invalid`."""
    if not argv or not argv[0] or any("\0" in word for word in argv):
        raise Invalid("A command needs a program to run, as arguments without NUL characters.")
    if not 0 < timeout <= LONGEST:
        raise Invalid(f"A command may take between 0 and {LONGEST:.0f} seconds, not {timeout}.")
    parts = [part for part in cwd.split("/") if part not in {"", "."}]
    if cwd.startswith("/") or ".." in parts or "\0" in cwd:
        raise Invalid(f"{cwd[:200]!r} is not a folder below the workspace.")
    return "/".join([WORKSPACE, *parts])


def check_skill_name(name: str) -> str:
    """The name of a folder beside the workspace; raises `Invalid`."""
    if not FOLDER.fullmatch(name):
        raise Invalid(f"{name[:100]!r} cannot be the name of a folder beside the workspace.")
    return name


def check_variables(env: Mapping[str, str] | None) -> dict[str, str]:
    """As given; raises `Invalid`, without showing a value."""
    for name, value in (env or {}).items():
        if not NAME.fullmatch(name) or "\0" in value:
            raise Invalid(f"{name[:100]!r} cannot be a variable of an environment, or its value cannot.")
    return dict(env or {})
