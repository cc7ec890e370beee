"""Archives unpacked in memory: nothing outside, no links, never more than the limits, whatever they say."""

from __future__ import annotations

import bz2
import io
import lzma
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from typing import IO, Protocol

from omniforge.core.errors import Invalid, PayloadTooLarge
from omniforge.skills.folders import MAX_TOTAL

MAX_ENTRIES = 2_000
MAX_NAME = 1_000
_ROOM_FOR_HEADERS = 4 * 1_048_576
_ZIP, _GZIP, _BZIP2, _XZ = b"PK\x03\x04", b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00"
_ZIP_EMPTY = b"PK\x05\x06"
_XZ_MEMORY = 256 * 1_048_576
_BROKEN = (
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, struct.error),
    *(EOFError, OSError, RuntimeError, ValueError, OverflowError, IndexError, KeyError),
)


class UnsafeArchive(Invalid):
    """It reaches outside, holds links or devices, or is no archive that can be read."""

    code = "unsafe_archive"


def is_archive(data: bytes) -> bool:
    return data.startswith((_ZIP, _ZIP_EMPTY, _GZIP, _BZIP2, _XZ)) or data[257:262] == b"ustar"


def unpack(data: bytes) -> dict[str, bytes]:
    """Path → bytes of a zip or tar (plain, gzip, bzip2, xz). `UnsafeArchive`; `PayloadTooLarge`."""
    try:
        if data.startswith((_ZIP, _ZIP_EMPTY)):
            return _gathered(_zip_members(data))
        return _gathered(_tar_members(_inflated(data)))
    except _BROKEN as error:
        what = str(error)[:100] or type(error).__name__
        raise UnsafeArchive(f"This archive cannot be read: {what}.") from None


def pack(files: Mapping[str, bytes]) -> bytes:
    """A zip; the same files give the same bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(files):
            entry = zipfile.ZipInfo(path)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, files[path], zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def _gathered(members: Iterator[tuple[str, bytes]]) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    for name, data in members:
        path = _path(name)
        if path in files:
            raise UnsafeArchive(f"The archive holds {path[:80]!r} twice.", path=path[:200])
        files[path] = data
    return files


def _path(name: str) -> str:
    """The member's path, or `UnsafeArchive` when it is absolute or leads up."""
    steps = name.replace("\\", "/").split("/")
    wrong = not steps[0] or ".." in steps or ":" in steps[0] or "\0" in name
    if wrong or len(name) > MAX_NAME or not name.isprintable():
        raise UnsafeArchive(f"The archive holds {name[:80]!r}, which leads outside.", path=name[:200])
    return "/".join(step for step in steps if step not in {"", "."})


class _Room:
    """Counts what is unpacked, while it is unpacked."""

    def __init__(self) -> None:
        self.entries = 0
        self.left = MAX_TOTAL

    def enter(self) -> None:
        self.entries += 1
        if self.entries > MAX_ENTRIES:
            raise _too_large()

    def read(self, file: IO[bytes]) -> bytes:
        data = file.read(self.left + 1)
        if len(data) > self.left:
            raise _too_large()
        self.left -= len(data)
        return data


def _too_large() -> PayloadTooLarge:
    message = f"Unpacked it is larger than {MAX_TOTAL // 1_048_576} MB or {MAX_ENTRIES} files."
    return PayloadTooLarge(message, code="archive_too_large", limit=MAX_TOTAL)


def _zip_members(data: bytes) -> Iterator[tuple[str, bytes]]:
    room = _Room()
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for info in archive.infolist():
            room.enter()
            kind = stat.S_IFMT(info.external_attr >> 16)
            if kind not in {0, stat.S_IFREG, stat.S_IFDIR}:
                raise UnsafeArchive(f"The archive holds a link or device, {info.filename[:80]!r}.")
            if info.flag_bits & 1:
                raise UnsafeArchive("The archive is encrypted; unpack it first.")
            if info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
                raise UnsafeArchive("The archive is packed in a way that is not taken here.")
            if info.is_dir():
                _path(info.filename)
                continue
            with archive.open(info) as file:
                yield info.filename, room.read(file)


def _tar_members(data: bytes) -> Iterator[tuple[str, bytes]]:
    room = _Room()
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
        for member in archive:
            room.enter()
            if member.isdir():
                _path(member.name)
                continue
            if not member.isreg() or member.sparse is not None:
                raise UnsafeArchive(f"The archive holds a link or device, {member.name[:80]!r}.")
            file = archive.extractfile(member)
            if file is not None:
                yield member.name, room.read(file)


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


def _inflated(data: bytes) -> bytes:
    """A compressed tar in plain, never more than the limit of it in memory."""
    if data.startswith(_GZIP):
        return _drained(zlib.decompressobj(wbits=31), data)
    if data.startswith(_BZIP2):
        return _drained(bz2.BZ2Decompressor(), data)
    if data.startswith(_XZ):
        return _drained(lzma.LZMADecompressor(lzma.FORMAT_XZ, _XZ_MEMORY), data)
    return data


def _drained(decompressor: _Decompressor, data: bytes) -> bytes:
    made = decompressor.decompress(data, MAX_TOTAL + _ROOM_FOR_HEADERS + 1)
    if len(made) > MAX_TOTAL + _ROOM_FOR_HEADERS:
        raise _too_large()
    if not decompressor.eof:
        raise UnsafeArchive("The archive ends too early.")
    return made
