"""Files of a step: its working folder, and its skill's folder to read from; nothing outside is touched."""

from __future__ import annotations

import asyncio
import posixpath
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from omniforge.core.errors import Invalid, NotFound
from omniforge.integrations.manifest import Access
from omniforge.runtime.tools.protocol import CallScope, Json, LocalTool

WORKSPACE = "/workspace"
MAX_FILE = 1_048_576
MAX_FILES = 1_000
MAX_TOTAL = 20 * 1_048_576


class _Arguments(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ReadArguments(_Arguments):
    path: str = Field(min_length=1, max_length=500)


class WriteArguments(_Arguments):
    path: str = Field(min_length=1, max_length=500)
    text: str = Field(max_length=MAX_FILE)


class EditArguments(_Arguments):
    path: str = Field(min_length=1, max_length=500)
    old: str = Field(min_length=1, max_length=MAX_FILE)
    """The text to replace; it stands in the file exactly once, unless `everywhere`."""
    new: str = Field(max_length=MAX_FILE)
    everywhere: bool = False


class GlobArguments(_Arguments):
    pattern: str = Field(default="**/*", min_length=1, max_length=200)


def relative(path: str) -> str:
    """A path of the working folder as allow-lists write it; any other path as it is, made plain."""
    plain = posixpath.normpath(path) if path else path
    return plain.removeprefix(f"{WORKSPACE}/")


def inside(workspace: Path, path: str) -> Path:
    """The file a relative path names; `Invalid` when it would leave the folder, links included."""
    if "\x00" in path:
        raise Invalid("A path holds no NUL character.", code="path_outside")
    root = workspace.resolve()
    found = (root / path).resolve()
    if not found.is_relative_to(root) or found == root:
        raise Invalid(f"{path!r} is outside the working folder.", code="path_outside", path=path)
    return found


def place_of(scope: CallScope, path: str) -> Path:
    """The file that is meant: of the working folder, or of another folder that the step may read."""
    for name, folder in scope.folders.items():
        if path.startswith(f"{name}/"):
            return inside(folder, path.removeprefix(f"{name}/"))
    return inside(scope.workspace, path.removeprefix(f"{WORKSPACE}/"))


def own_files(workspace: Path) -> Iterator[Path]:
    """Regular files of a working folder; blocking."""
    return (path for path in workspace.rglob("*") if path.is_file() and not path.is_symlink())


def load_text(file: Path, path: str) -> str:
    """A file's text; blocking."""
    return load_bytes(file, path).decode("utf-8", "replace")


def load_bytes(file: Path, path: str) -> bytes:
    """A file's bytes, of bounded size; blocking."""
    try:
        if file.stat().st_size > MAX_FILE:
            raise Invalid(f"{path} is larger than {MAX_FILE} bytes.", code="too_large")
        return file.read_bytes()
    except OSError as error:
        raise NotFound(f"There is no file {path!r} in the working folder.") from error


def store_text(workspace: Path, file: Path, path: str, text: str) -> int:
    """Put a text in the place of a file of the working folder, wholly or not at all; blocking."""
    data = text.encode("utf-8", "replace")
    files = list(own_files(workspace))
    total = sum(entry.stat().st_size for entry in files)
    if len(files) >= MAX_FILES or total + len(data) > MAX_TOTAL:
        raise Invalid("The working folder is full.", code="workspace_full", files=len(files), bytes=total)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        partial = file.with_name(f".{file.name}.partial")
        partial.write_bytes(data)
        partial.replace(file)
    except (FileExistsError, IsADirectoryError, NotADirectoryError) as error:
        raise Invalid(f"{path!r} is no place for a file here.", code="path_taken") from error
    return len(data)


async def read(args: ReadArguments, scope: CallScope) -> Json:
    file = place_of(scope, args.path)
    return {"path": args.path, "text": await asyncio.to_thread(load_text, file, args.path)}


async def write(args: WriteArguments, scope: CallScope) -> Json:
    file = inside(scope.workspace, relative(args.path))
    return {
        "path": args.path,
        "bytes": await asyncio.to_thread(store_text, scope.workspace, file, args.path, args.text),
    }


async def edit(args: EditArguments, scope: CallScope) -> Json:
    file = inside(scope.workspace, relative(args.path))

    def change() -> int:
        text = load_text(file, args.path)
        found = text.count(args.old)
        if not found or (found > 1 and not args.everywhere):
            problem = "is not in it" if not found else f"is in it {found} times"
            raise Invalid(f"The text to replace {problem}: {args.path}.", code="not_one_place", found=found)
        store_text(scope.workspace, file, args.path, text.replace(args.old, args.new))
        return found

    return {"path": args.path, "replaced": await asyncio.to_thread(change)}


async def glob(args: GlobArguments, scope: CallScope) -> Json:
    base, prefix, pattern = scope.workspace, "", relative(args.pattern)
    for name, folder in scope.folders.items():
        if pattern.startswith(f"{name}/"):
            base, prefix, pattern = folder, f"{name}/", pattern.removeprefix(f"{name}/")
    if pattern.startswith("/") or ".." in Path(pattern).parts:
        raise Invalid("A pattern stays inside the working folder.", code="path_outside")

    def search() -> list[str]:
        root = base.resolve()
        found = (path for path in root.glob(pattern) if path.is_file() and not path.is_symlink())
        return sorted(prefix + str(path.relative_to(root)) for path in found)[:MAX_FILES]

    return {"files": await asyncio.to_thread(search)}


TOOLS = (
    LocalTool(
        name="Read",
        description="Read a text file of the working folder, or of the skill's folder under /skill/.",
        arguments=ReadArguments,
        access=Access.READ,
        run=read,
        subject_field="path",
        plain_subject=relative,
    ),
    LocalTool(
        name="Write",
        description="Write a text file in the working folder.",
        arguments=WriteArguments,
        access=Access.READ,  # changes nothing outside the step
        run=write,
        subject_field="path",
        plain_subject=relative,
    ),
    LocalTool(
        name="Glob",
        description="List files of the working folder (or of /skill/) by pattern.",
        arguments=GlobArguments,
        access=Access.READ,
        run=glob,
        subject_field="pattern",
        plain_subject=relative,
    ),
    LocalTool(
        name="Edit",
        description="Replace one text in a file of the working folder by another.",
        arguments=EditArguments,
        access=Access.READ,  # changes nothing outside the step
        run=edit,
        subject_field="path",
        plain_subject=relative,
    ),
)
