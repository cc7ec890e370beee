"""What a sandbox's launcher hands out at the end. Pure, and suspicious: the program could have forged it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from omniforge.sandboxes.archive import ArchiveRefused, unpack
from omniforge.sandboxes.bridge import parse_object
from omniforge.sandboxes.protocol import InterpreterMissing, Limits

READY = b'{"ready": true}\n'
MAX_TOLD = 100


@dataclass(frozen=True, slots=True)
class HandedOut:
    """The launcher's words. `exit_code` is None when it did not live to tell."""

    is_ready: bool = False
    exit_code: int | None = None
    is_disk_full: bool = False
    files: dict[str, bytes] = field(default_factory=dict[str, bytes])
    left_out: dict[str, str] = field(default_factory=dict[str, str])


def most_bytes(limits: Limits) -> int:
    """How long the stream may be: the files, the archive's headers and padding, the lines before it."""
    return limits.artifact_bytes + (limits.artifact_files + 256) * 1024


def read_results(stream: bytes, limits: Limits) -> HandedOut:
    """Line `{"ready": true}`, line `{"exit_code", "disk_full", "left_out"}`, ustar archive.

    Anything else is read as far as it makes sense. Raises `InterpreterMissing` when the second line says
    `{"not_started": why}`.
    """
    if not stream.startswith(READY):
        return HandedOut()
    line, _, archive = stream.removeprefix(READY).partition(b"\n")
    try:
        ended = parse_object(line)
    except ValueError:
        return HandedOut(is_ready=True)
    if "not_started" in ended:
        raise InterpreterMissing(f"The sandbox cannot start {str(ended['not_started'])[:200]}.")
    files: dict[str, bytes] = {}
    left_out = _told(ended.get("left_out"))
    try:
        unpacked = unpack(archive, max_bytes=limits.artifact_bytes, max_files=limits.artifact_files)
    except ArchiveRefused as error:
        left_out["/workspace"] = error.message
    else:
        files = unpacked.files
        left_out |= unpacked.left_out
    return HandedOut(True, _exit_code(ended), ended.get("disk_full") is True, files, left_out)


def _told(value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        return {}
    told = list(cast("Mapping[str, object]", value).items())[:MAX_TOLD]
    return {path[:255]: str(reason)[:255] for path, reason in told}


def _exit_code(ended: Mapping[str, Any]) -> int | None:
    match ended.get("exit_code"):
        case bool():
            return None
        case int() as code if 0 <= code <= 255:
            return code
        case _:
            return None
