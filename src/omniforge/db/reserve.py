"""A few megabytes that are given up when the disk is full, so that what was promised can be written."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
from pathlib import Path

from omniforge.core.errors import Unavailable

RESERVE = 4 * 1024 * 1024
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def is_full(error: BaseException | None) -> bool:
    """Whether this error means that the disk has no room."""
    if isinstance(error, sqlite3.OperationalError):
        return error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_FULL
    return isinstance(error, OSError) and error.errno in _FULL


def disk_full() -> Unavailable:
    return Unavailable(
        "The disk is full; free some space. Runs wait and go on by themselves.", code="disk_full"
    )


class Reserve:
    """A file beside the database. While it cannot be made again, nothing new is taken."""

    def __init__(self, database: Path, size: int = RESERVE) -> None:
        self.path = database.with_name(f"{database.name}-reserve")
        self.size = size
        self.is_held = False

    def hold(self) -> bool:
        """Make it unless it is there; False while the disk has no room for it, and for as much besides."""
        if self.is_held:
            return True
        if shutil.disk_usage(self.path.parent).free < 2 * self.size:
            return False
        try:
            handle = os.open(self.path, os.O_WRONLY | os.O_CREAT, 0o600)
            try:
                _fill(handle, self.size)
            finally:
                os.close(handle)
        except OSError as error:
            self.path.unlink(missing_ok=True)
            if not is_full(error):
                raise
            return False
        self.is_held = True
        return True

    def give_up(self) -> bool:
        """Make its room free; False when that has been done before."""
        was_held, self.is_held = self.is_held, False
        self.path.unlink(missing_ok=True)
        return was_held


def _fill(handle: int, size: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(handle, 0, size)
        return
    while size > 0:
        size -= os.write(handle, bytes(min(size, 1024 * 1024)))
