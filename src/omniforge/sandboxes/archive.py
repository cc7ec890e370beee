"""The guard for what leaves a sandbox: a strict reader of hostile tar bytes.

Only plain ustar regular files pass. The standard library's reader is not used here: it follows extension
headers, sparse maps and negative offsets, and a crafted archive makes it loop or recurse.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from omniforge.core.errors import OmniForgeError

BLOCK = 512
REGULAR = (b"0", b"\0")


class ArchiveRefused(OmniForgeError):
    """The bytes are not the archive that was promised."""

    status = 422
    code = "archive_refused"


@dataclass(slots=True)
class Unpacked:
    """Path → content of what passed, path → reason of what did not."""

    files: dict[str, bytes] = field(default_factory=dict[str, bytes])
    left_out: dict[str, str] = field(default_factory=dict[str, str])


def is_safe_path(path: str) -> bool:
    """A relative path that stays below where it is put, in printable characters."""
    return (
        0 < len(path.encode("utf-8", "replace")) <= 255
        and path.isprintable()
        and "\\" not in path
        and all(part not in {"", ".", ".."} for part in path.split("/"))
    )


def unpack(data: bytes, *, max_bytes: int, max_files: int) -> Unpacked:
    """Read a ustar archive; raises `ArchiveRefused` when a header is broken or the end is missing.

    Members that are absolute, climb with `..`, are links or devices, repeat a path, use a file as a folder or
    exceed the caps are left out with the reason.
    """
    result = Unpacked()
    folders: set[str] = set()
    total = position = 0
    while True:
        header = data[position : position + BLOCK]
        if len(header) < BLOCK:
            raise ArchiveRefused("The archive ends too early.")
        if header == bytes(BLOCK):
            return result
        path, size, kind = read_header(header)
        start = position + BLOCK
        position = start + -(-size // BLOCK) * BLOCK
        if start + size > len(data):
            raise ArchiveRefused("The archive ends too early.")
        reason = _objection(path, kind, result.files, folders)
        if reason is None and len(result.files) >= max_files:
            reason = f"more than {max_files} files"
        if reason is None and total + size > max_bytes:
            reason = f"more than {max_bytes} bytes of files"
        if reason is not None:
            if len(result.left_out) < max_files:
                result.left_out[shown(path)] = reason
            continue
        total += size
        result.files[path] = data[start : start + size]
        folders.update(parents(path))


def read_header(header: bytes) -> tuple[str, int, bytes]:
    """Path, size and kind of one member; raises `ArchiveRefused`."""
    unsigned = sum(header[:148]) + 8 * ord(" ") + sum(header[156:])
    if header[257:263] != b"ustar\0" or octal(header[148:156]) != unsigned:
        raise ArchiveRefused("A header of the archive is broken.")
    name, prefix = (text(header[a:b]) for a, b in ((0, 100), (345, 500)))
    return (f"{prefix}/{name}" if prefix else name), octal(header[124:136]), header[156:157]


def octal(raw: bytes) -> int:
    """A number of a header; raises `ArchiveRefused`."""
    digits = raw.rstrip(b" \0")
    if not digits or digits.strip(b"01234567"):
        raise ArchiveRefused("A number in the archive is broken.")
    return int(digits, 8)


def text(raw: bytes) -> str:
    """A field of a header, up to its first NUL."""
    return raw.split(b"\0", 1)[0].decode("utf-8", "surrogateescape")


def shown(path: str) -> str:
    """A hostile path as something that can be told."""
    return path.encode("utf-8", "backslashreplace").decode()[:255]


def _objection(path: str, kind: bytes, files: dict[str, bytes], folders: set[str]) -> str | None:
    if kind not in REGULAR:
        return "not a regular file"
    if not is_safe_path(path):
        return "unsafe path"
    if path in files or path in folders or any(parent in files for parent in parents(path)):
        return "path used twice"
    return None


def parents(path: str) -> list[str]:
    """The folders a path lies in, outermost first."""
    parts = path.split("/")[:-1]
    return ["/".join(parts[: end + 1]) for end in range(len(parts))]
