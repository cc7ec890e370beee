"""Read, Write and Glob over the step's own working folder; nothing outside it is ever touched."""

from __future__ import annotations

import asyncio
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from omniforge.core.errors import Invalid, NotFound
from omniforge.integrations.manifest import Access
from omniforge.runtime.tools.protocol import CallScope, Json, LocalTool

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


class GlobArguments(_Arguments):
    pattern: str = Field(default="**/*", min_length=1, max_length=200)


def inside(workspace: Path, path: str) -> Path:
    """The file a relative path names; `Invalid` when it would leave the folder, links included."""
    if "\x00" in path:
        raise Invalid("A path holds no NUL character.", code="path_outside")
    root = workspace.resolve()
    found = (root / path).resolve()
    if not found.is_relative_to(root) or found == root:
        raise Invalid(f"{path!r} is outside the working folder.", code="path_outside", path=path)
    return found


async def read(args: ReadArguments, scope: CallScope) -> Json:
    file = inside(scope.workspace, args.path)

    def load() -> str:
        try:
            if file.stat().st_size > MAX_FILE:
                raise Invalid(f"{args.path} is larger than {MAX_FILE} bytes.", code="too_large")
            return file.read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            raise NotFound(f"There is no file {args.path!r} in the working folder.") from error

    return {"path": args.path, "text": await asyncio.to_thread(load)}


async def write(args: WriteArguments, scope: CallScope) -> Json:
    file = inside(scope.workspace, args.path)
    data = args.text.encode()

    def store() -> None:
        files = [entry for entry in scope.workspace.rglob("*") if entry.is_file()]
        total = sum(entry.stat().st_size for entry in files)
        if len(files) >= MAX_FILES or total + len(data) > MAX_TOTAL:
            raise Invalid("The working folder is full.", code="workspace_full", files=len(files), bytes=total)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            partial = file.with_name(f".{file.name}.partial")
            partial.write_bytes(data)
            partial.replace(file)
        except (FileExistsError, IsADirectoryError, NotADirectoryError) as error:
            raise Invalid(f"{args.path!r} is no place for a file here.", code="path_taken") from error

    await asyncio.to_thread(store)
    return {"path": args.path, "bytes": len(data)}


async def glob(args: GlobArguments, scope: CallScope) -> Json:
    if args.pattern.startswith("/") or ".." in Path(args.pattern).parts:
        raise Invalid("A pattern stays inside the working folder.", code="path_outside")

    def search() -> list[str]:
        root = scope.workspace.resolve()
        found = (path for path in root.glob(args.pattern) if path.is_file() and not path.is_symlink())
        return sorted(str(path.relative_to(root)) for path in found)[:MAX_FILES]

    return {"files": await asyncio.to_thread(search)}


TOOLS = (
    LocalTool(
        name="Read",
        description="Read a text file of the working folder.",
        arguments=ReadArguments,
        access=Access.READ,
        run=read,
        subject_field="path",
    ),
    LocalTool(
        name="Write",
        description="Write a text file in the working folder.",
        arguments=WriteArguments,
        access=Access.READ,  # changes nothing outside the step
        run=write,
        subject_field="path",
    ),
    LocalTool(
        name="Glob",
        description="List files of the working folder by pattern.",
        arguments=GlobArguments,
        access=Access.READ,
        run=glob,
        subject_field="pattern",
    ),
)
