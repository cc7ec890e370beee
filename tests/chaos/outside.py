"""The outside: an append-only file that remembers what steps really did, whatever the engine believes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Told(StrEnum):
    """What a line tells of. `key` is the step's idempotency key, or the key that a run was started with."""

    STARTED = "started"
    """`start_run` gave this id (in `value`)."""
    BEGIN = "begin"
    """A handler was called; `value` is the attempt."""
    EFFECT = "effect"
    """Its effect happened; `value` is the attempt."""
    DURABLE = "durable"
    """The journal said that the step's checkpoint holds; `value` is the attempt."""
    KILLED = "killed"
    """The process kills itself at the boundary `key`."""


@dataclass(frozen=True, slots=True)
class Line:
    told: Told
    key: str
    value: str
    pid: int


class Outside:
    """One line per happening, on the disk before `tell` returns, in the order of all processes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def tell(self, told: Told, key: str, value: object = "-") -> None:
        os.write(self._file, f"{told.value} {key} {value} {os.getpid()}\n".encode())
        os.fsync(self._file)


def read_lines(path: Path) -> Iterator[Line]:
    for line in path.read_text().splitlines():
        told, key, value, pid = line.split()
        yield Line(Told(told), key, value, int(pid))
