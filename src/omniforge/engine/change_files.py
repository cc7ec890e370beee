"""The two files that changes are appended to before the tables have them: numbered, checksummed records."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

from omniforge.core.errors import Unavailable

_HEAD = struct.Struct("<QII")  # number, length of the data, CRC-32 of both
_TAIL = struct.Struct("<I")  # CRC-32 of head and data
_NUMBERS = struct.Struct("<QI")
_NOTHING = bytes(_HEAD.size)
data_sync = getattr(os, "fdatasync", os.fsync)
"""Waits until what was written to a file is on the disk."""


class JournalDamaged(Unavailable):
    """A file of changes does not hold what was written to it; nothing of it has been applied."""

    code = "journal_damaged"


class ChangeFiles:
    """Appends records to one of two files, while the other is emptied once all of it is safe in the tables.

    Records are numbered without gaps over the life of a database; the first number is random, so that files
    of another database are noticed. A record that was being written when the process died is no record.
    """

    def __init__(self, database: Path) -> None:
        self.paths = [database.with_name(f"{database.name}-changes-{n}") for n in (1, 2)]
        self.number = 0
        """Of the record that was appended last."""
        self._files: list[int] = []
        self._current = 0
        self._sizes = [0, 0]
        self._torn = False

    def open(self) -> None:
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
        self._files = [os.open(path, flags, 0o600) for path in self.paths]
        _sync_folder(self.paths[0].parent)

    def close(self) -> None:
        for file in self._files:
            os.close(file)
        self._files = []

    def left(self, applied: int) -> list[bytes]:
        """The data of the records after `applied`, oldest first; afterwards their numbers go on.

        `JournalDamaged` when one of them does not hold, or is missing.
        """
        found = [list(_records(path)) for path in self.paths]
        found.sort(key=lambda records: records[0][0] if records else 0)
        self.number = applied
        left: list[bytes] = []
        for number, data, path in (record for records in found for record in records):
            if number <= applied:
                continue
            if number != self.number + 1:
                missing = f"changes {self.number + 1} to {number - 1} are missing before those in it"
                raise _damaged(path, 0, f"{missing}, or it belongs to another database")
            self.number = number
            left.append(data)
        return left

    def append(self, data: bytes) -> None:
        """Write one record after the others. When that fails, nothing of it stays."""
        number = self.number + 1
        head = _HEAD.pack(number, len(data), zlib.crc32(_NUMBERS.pack(number, len(data))))
        record = head + data + _TAIL.pack(zlib.crc32(data, zlib.crc32(head)))
        file, size = self._files[self._current], self._sizes[self._current]
        if self._torn:
            os.ftruncate(file, size)
        self._torn = True
        try:
            written = os.pwrite(file, record, size)
            while written < len(record):
                written += os.pwrite(file, record[written:], size + written)
        except OSError:
            os.ftruncate(file, size)
            raise
        self._torn = False
        self._sizes[self._current], self.number = size + written, number

    def sync(self) -> None:
        """Wait until what was appended is on the disk; for a thread."""
        data_sync(self._files[self._current])

    def take_back(self, size: int, number: int) -> None:
        """Forget what was appended after `mark` gave these."""
        self._torn = True
        self._sizes[self._current], self.number = size, number
        os.ftruncate(self._files[self._current], size)
        self._torn = False

    def mark(self) -> tuple[int, int]:
        """Where the files end now, for `take_back`."""
        return self._sizes[self._current], self.number

    @property
    def spare_is_empty(self) -> bool:
        return self._sizes[1 - self._current] == 0

    def switch(self) -> None:
        """Append to the other file from now on; it has to be empty."""
        self._current = 1 - self._current

    def empty_spare(self) -> None:
        """What is in the file that is not appended to is safe in the tables."""
        os.ftruncate(self._files[1 - self._current], 0)
        self._sizes[1 - self._current] = 0

    def empty(self) -> None:
        """Everything is safe in the tables."""
        self.empty_spare()
        os.ftruncate(self._files[self._current], 0)
        self._sizes[self._current] = 0
        self._torn = False


def _records(path: Path) -> Iterator[tuple[int, bytes, Path]]:
    """(number, data, path) of each whole record."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return
    at = 0
    while len(content) - at >= _HEAD.size:
        head = content[at : at + _HEAD.size]
        if head == _NOTHING and not content[at:].strip(b"\0"):
            return  # the machine went down before the disk had it
        number, length, check = _HEAD.unpack(head)
        if check != zlib.crc32(_NUMBERS.pack(number, length)):
            raise _damaged(path, at, "the head of a record does not hold")
        end = at + _HEAD.size + length
        if end + _TAIL.size > len(content):
            return  # the process died while it wrote this
        data = content[at + _HEAD.size : end]
        if _TAIL.unpack_from(content, end) != (zlib.crc32(data, zlib.crc32(head)),):
            raise _damaged(path, at, f"the checksum of record {number} does not hold")
        yield number, data, path
        at = end + _TAIL.size


def _damaged(path: Path, at: int, what: str) -> JournalDamaged:
    return JournalDamaged(
        f"The file {path} of changes that the database lacks is damaged (byte {at}): {what}."
        " Nothing of it was applied. Put it back from a backup,"
        " or move it away to go on without those changes.",
        file=str(path),
        byte=at,
    )


def _sync_folder(folder: Path) -> None:
    """A new file is there after a power cut only once its folder is on the disk."""
    if hasattr(os, "O_DIRECTORY"):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
