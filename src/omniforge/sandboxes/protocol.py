"""What a sandbox is: one program, its limits, one bridge to the host, and what comes back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from omniforge.core.errors import Fatal, Unavailable

MIB = 1024 * 1024

Bridge = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]
"""Answers one request object of the program with one response object. Calls may overlap."""


class SandboxUnavailable(Unavailable):
    """No sandbox works on this computer, so nothing that needs one is run."""

    code = "sandbox_unavailable"


class InterpreterMissing(Fatal):
    """The program named by `argv[0]` does not exist inside the sandbox."""

    code = "interpreter_missing"


class KilledBy(StrEnum):
    """The limit that ended the program. A cancelled run has no result: `CancelledError` leaves `run`."""

    WALL = "wall"
    MEMORY = "memory"
    CPU = "cpu"
    DISK = "disk"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits of one program and everything it starts."""

    wall_seconds: float = 30.0
    cpu_seconds: float = 30.0
    memory_bytes: int = 512 * MIB
    """Resident memory of all its processes together."""
    processes: int = 64
    """Processes and threads."""
    file_bytes: int = 32 * MIB
    """One file."""
    workspace_bytes: int = 64 * MIB
    """`/workspace`, and again `/tmp`."""
    output_bytes: int = 1 * MIB
    """stdout, and again stderr; the pipe is closed when it is used up."""
    artifact_bytes: int = 20 * MIB
    """Files handed back, together."""
    artifact_files: int = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxRequest:
    """One program to run. It starts in `/workspace`, without network and with a scrubbed environment."""

    argv: Sequence[str]
    stdin: bytes = b""
    folders: Mapping[str, Path] = field(default_factory=dict[str, Path])
    """Path inside (one level, such as `/skill`) → host folder, read-only. Links in it are never followed."""
    programs: Mapping[str, Path] = field(default_factory=dict[str, Path])
    """Like `folders`, for what is large and no secret: never copied when every user can read it."""
    workspace_files: Mapping[str, bytes] = field(default_factory=dict[str, bytes])
    """Relative path → content, there when the program starts."""
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxResult:
    """How the program ended and what it left behind."""

    exit_code: int
    """Of the program; 128 + n when signal n ended it."""
    stdout: bytes
    stderr: bytes
    truncated: bool = False
    """stdout or stderr reached its limit and was cut off."""
    killed_by: KilledBy | None = None
    seconds: float
    files: Mapping[str, bytes] = field(default_factory=dict[str, bytes])
    """Regular files left in `/workspace`: relative path → content. Empty when the program was killed."""
    left_out: Mapping[str, str] = field(default_factory=dict[str, str])
    """What was in `/workspace` and is not in `files`: path → why."""


class SandboxProvider(Protocol):
    """Runs programs where they can do no harm."""

    async def check(self) -> None:
        """Prove by a real run that the promised isolation holds; raises `SandboxUnavailable`."""
        ...

    async def run(self, request: SandboxRequest, bridge: Bridge | None = None) -> SandboxResult:
        """Run one program to its end. Without `bridge` it has no way to the host at all.

        Raises `SandboxUnavailable`, `InterpreterMissing`, or `Invalid` for a request that makes no sense.
        Cancelling kills the program and everything it started before `CancelledError` comes out.
        """
        ...
