"""Where files are: a folder that nothing leads out of, or bytes in memory for samples."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any, Protocol, TypeVar

from filelock import FileLock, Timeout

from omniforge.core.errors import Invalid
from omniforge.integrations.clients import Strike
from omniforge.integrations.errors import (
    AnswerTooLarge,
    ConflictThere,
    PermissionDeniedThere,
    ResourceNotFound,
    ServiceDown,
)

KINDS = (".csv", ".tsv", ".json", ".xlsx")
LARGEST = 10 * 1024 * 1024
MOST_FILES = 500
DEEPEST = 8
LOCK_SECONDS = 20.0
PART = re.compile(r"[^\x00-\x1f\x7f/\\:*?\"<>|.][^\x00-\x1f\x7f/\\:*?\"<>|]{0,119}")
TITLE = "Files"

Done = TypeVar("Done")


@dataclass(frozen=True, slots=True)
class Entry:
    name: str
    size: int
    changed_at: datetime


class Disk(Protocol):
    """Files by name (`reports/clients.csv`). Blocking: called in a thread. Names were checked before."""

    def entries(self) -> list[Entry]: ...

    def read(self, name: str) -> bytes | None:
        """The whole file; None when there is none."""
        ...

    def write(self, files: Mapping[str, bytes], now: datetime) -> None:
        """Each file is the old one or the new one at any moment, in this order."""
        ...

    def locked(self) -> Any:
        """A context in which nobody else changes anything here."""
        ...


def checked_name(name: str) -> str:
    """The name of a file as it is kept; Invalid for one that leads elsewhere or is no table."""
    parts = name.split("/")
    plain = 1 <= len(parts) <= DEEPEST and all(
        PART.fullmatch(part) and part == part.strip() for part in parts
    )
    if not plain or not name.isprintable() or PurePosixPath(name).suffix.lower() not in KINDS:
        rule = f"a name such as reports/clients.csv, ending in {', '.join(KINDS)}"
        raise Invalid(
            "That is not the name of a table here.",
            fields=[{"field": "file", "value": name[:200], "rule": rule}],
        )
    return name


@dataclass(frozen=True, slots=True)
class FolderDisk:
    """A folder of this computer; made when the first file is written."""

    root: Path

    def entries(self) -> list[Entry]:
        if not self.root.is_dir():
            return []
        with our_words():
            found = [path for path in self.root.rglob("*") if path.suffix.lower() in KINDS]
            return sorted(
                (self._entry(path) for path in found if self._is_ours(path)), key=lambda entry: entry.name
            )

    def read(self, name: str) -> bytes | None:
        with our_words():
            path = self._path(name)
            try:
                descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            except FileNotFoundError:
                return None
            with os.fdopen(descriptor, "rb") as file:
                content = file.read(LARGEST + 1)
        return not_too_large(name, content)

    def write(self, files: Mapping[str, bytes], now: datetime) -> None:
        with our_words(changes=True):
            for name, content in files.items():
                path = self._path(name)
                path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                self._replace(path, not_too_large(name, content), now)

    @contextmanager
    def locked(self) -> Generator[None]:
        with our_words():
            self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
            with FileLock(self.root / ".lock", timeout=LOCK_SECONDS):
                yield

    def _path(self, name: str) -> Path:
        """Inside the folder for sure: links on the way are followed before it is compared."""
        path = self.root / name
        if not path.parent.resolve().is_relative_to(self.root.resolve()) or path.is_symlink():
            raise PermissionError(13, "leads out of the folder")
        return path

    def _is_ours(self, path: Path) -> bool:
        relative = path.relative_to(self.root)
        hidden = any(part.startswith(".") for part in relative.parts)
        return not hidden and path.is_file() and not path.is_symlink()

    def _entry(self, path: Path) -> Entry:
        stat = path.stat()
        name = path.relative_to(self.root).as_posix()
        return Entry(name, stat.st_size, datetime.fromtimestamp(stat.st_mtime, UTC))

    def _replace(self, path: Path, content: bytes, now: datetime) -> None:
        draft = path.with_name(f".{secrets.token_hex(8)}.draft")
        try:
            with draft.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.utime(draft, (now.timestamp(), now.timestamp()))
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


@dataclass(frozen=True, slots=True)
class MemoryDisk:
    """Sample files. Each read and write is a step that can be made to fail."""

    files: dict[str, tuple[bytes, datetime]]
    strike: Strike

    def entries(self) -> list[Entry]:
        found = [Entry(name, len(content), at) for name, (content, at) in sorted(self.files.items())]
        return self._do(lambda: [entry for entry in found if not entry.name.startswith(".")])

    def read(self, name: str) -> bytes | None:
        return self._do(lambda: self.files[name][0] if name in self.files else None)

    def write(self, files: Mapping[str, bytes], now: datetime) -> None:
        for name, content in files.items():
            not_too_large(name, content)
        step = {name: (content, now) for name, content in files.items()}
        self._do(lambda: self.files.update(step), changes=True)

    @contextmanager
    def locked(self) -> Generator[None]:
        yield

    def _do(self, step: Callable[[], Done], *, changes: bool = False) -> Done:
        with our_words(changes=changes):
            return self.strike(step, sample_fault)


def sample_fault(name: str, answer: Mapping[str, Any]) -> Exception:
    return OSError(int(answer["errno"]), str(answer["said"])) if "errno" in answer else Timeout(name)


def not_too_large(name: str, content: bytes) -> bytes:
    if len(content) > LARGEST:
        raise AnswerTooLarge(
            f"{name} is larger than {LARGEST // 1_048_576} MB; {TITLE} takes no more. Split it up.",
            retryable=False,
        )
    return content


@contextmanager
def our_words(*, changes: bool = False) -> Generator[None]:
    """What the file system says, in our errors. A change that fails may have happened."""
    try:
        yield
    except Timeout as error:
        raise ConflictThere(
            f"{TITLE}: somebody else is writing there all the time. Nothing was changed; try again."
        ) from error
    except FileNotFoundError as error:
        raise ResourceNotFound(f"{TITLE}: that file is not there any more.") from error
    except PermissionError as error:
        raise PermissionDeniedThere(
            f"{TITLE}: this installation may not read or write that. Its administrator can change it.",
            said=str(error.strerror),
        ) from error
    except OSError as error:
        raise ServiceDown(
            f"{TITLE}: the disk does not take or give that now ({error.strerror}).",
            retryable=True,
            outcome_unknown=changes,
        ) from error
