"""What can be done with files: the tools, their arguments, and where their writes go."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from omniforge.core.clock import rfc3339
from omniforge.integrations.catalog.files import sample, selecting
from omniforge.integrations.catalog.files.disk import TITLE, FolderDisk, MemoryDisk
from omniforge.integrations.catalog.files.folder import Folder
from omniforge.integrations.catalog.files.tables import MOST_ROWS, Json, Table
from omniforge.integrations.clients import Strike, Surroundings
from omniforge.integrations.errors import ServiceDown
from omniforge.integrations.manifest import Access, Arguments, Destination, IntegrationTool, Lookup, Mark

SECONDS = 60.0

Name = Annotated[str, StringConstraints(min_length=1, max_length=500)]
Sheet = Annotated[str, StringConstraints(min_length=1, max_length=31)]
Rows = Annotated[list[dict[str, Any]], Field(min_length=1, max_length=MOST_ROWS)]


class _Arguments(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ListFiles(_Arguments):
    search: str | None = Field(default=None, max_length=200, description="Part of the name.")


class OneFile(_Arguments):
    file: Name
    sheet: Sheet | None = Field(default=None, description="Of an Excel workbook; its first one without.")


class RowFilter(_Arguments):
    field: str = Field(description="Name of a column.")
    op: str = Field(description=f"One of {', '.join(selecting.OPS)}.")
    value: str | float | bool | None = None


class Sort(_Arguments):
    field: str
    descending: bool = False


class ReadFile(OneFile):
    time_field: str | None = Field(default=None, description="Column that the time window is about.")
    after: AwareDatetime | None = Field(default=None, description="Included.")
    before: AwareDatetime | None = Field(default=None, description="Excluded.")
    filters: list[RowFilter] = Field(default_factory=list[RowFilter], max_length=20)
    sort: Sort | None = None
    limit: int = Field(default=10_000, ge=1, le=MOST_ROWS)


class AppendRows(OneFile):
    rows: Rows
    mark: Mark | None = Field(default=None, description="Idempotency mark to find the rows by.")


class WriteFile(OneFile):
    rows: Rows


class FindRows(_Arguments):
    file: Name
    mark: Mark


async def list_files(folder: Folder, args: ListFiles) -> Json:
    def look() -> Json:
        entries, more = folder.entries(args.search)
        files: list[Json] = []
        for entry in entries:
            table = folder.table(entry.name)
            changed = rfc3339(entry.changed_at)
            files.append(
                {"id": entry.name, "name": entry.name, "items": len(table.rows), "edited_at": changed}
            )
        return {"files": files, "truncated": more}

    return await _in_thread(look)


async def describe_file(folder: Folder, args: OneFile) -> Json:
    def look() -> Json:
        table = folder.table(args.file, args.sheet)
        fields = [{"name": column, "type": table.type_of(column)} for column in table.columns]
        shown: Json = {"id": args.file, "name": args.file, "fields": fields, "items": len(table.rows)}
        return {**shown, "sheets": table.sheets} if table.sheets else shown

    return await _in_thread(look)


async def read_file(folder: Folder, args: ReadFile) -> Json:
    def look() -> Json:
        table = folder.table(args.file, args.sheet)
        found = _chosen(table, args)
        rows = [{"id": f"{args.file}#{number}", "fields": row} for number, row in found[: args.limit]]
        return {"rows": rows, "truncated": len(found) > args.limit}

    return await _in_thread(look)


def _chosen(table: Table, args: ReadFile) -> list[tuple[int, Json]]:
    """Rows with their numbers, the first row of data being 1."""
    tests = [selecting.condition(table, one.field, one.op, one.value) for one in args.filters]
    if args.after is not None or args.before is not None:
        column = args.time_field or next((c for c in table.columns if table.type_of(c) == "date"), "")
        tests.append(selecting.within(table, column, args.after, args.before))
    found = [(n, row) for n, row in enumerate(table.rows, 1) if all(passes(row) for passes in tests)]
    if args.sort is not None:
        column = selecting.known(table, args.sort.field)
        return selecting.ordered(found, column, descending=args.sort.descending)
    return found


async def append_rows(folder: Folder, args: AppendRows) -> Json:
    return await _in_thread(lambda: folder.append(args.file, args.rows, args.sheet, args.mark))


async def write_file(folder: Folder, args: WriteFile) -> Json:
    return await _in_thread(lambda: folder.replace(args.file, args.rows, args.sheet))


async def find_rows(folder: Folder, args: FindRows) -> Json:
    return {"rows": await _in_thread(lambda: folder.find(args.file, args.mark))}


async def _in_thread(look: Any) -> Any:
    """Files are read and written beside the loop. A thread cannot be stopped: it ends by itself, unheard."""
    try:
        async with asyncio.timeout(SECONDS):
            return await asyncio.to_thread(look)
    except TimeoutError as error:
        raise ServiceDown(
            f"{TITLE}: the disk does not answer.", retryable=True, reason="timeout", outcome_unknown=True
        ) from error


@asynccontextmanager
async def open_client(surroundings: Surroundings) -> AsyncGenerator[Folder]:
    yield Folder(FolderDisk(surroundings.folder), surroundings.clock)


@asynccontextmanager
async def open_sample(world: Any, surroundings: Surroundings, strike: Strike) -> AsyncGenerator[Folder]:
    yield Folder(MemoryDisk(world, strike), surroundings.clock)


samples = sample.files


def _file(args: Arguments) -> Destination | None:
    name = args.get("file")
    return Destination(name, name) if isinstance(name, str) and name else None


def _look_up(args: Arguments) -> Lookup | None:
    if not args.get("mark"):
        return None
    return Lookup("files.find_rows", {"file": args["file"], "mark": args["mark"]}, "rows")


def _said(args: Mapping[str, Any]) -> str:
    rows = args.get("rows")
    count = len(rows) if isinstance(rows, list) else 0  # pyright: ignore[reportUnknownArgumentType]
    return "1 row" if count == 1 else f"{count} rows"


TOOLS: tuple[IntegrationTool, ...] = (
    IntegrationTool(
        name="files.list_files",
        description="Lists the tables (CSV, TSV, JSON, Excel) of the files folder with their row counts.",
        arguments=ListFiles,
        access=Access.READ,
        summary=lambda _: "lists files",
        run=list_files,
    ),
    IntegrationTool(
        name="files.describe_file",
        description="Lists the columns of a table with their types.",
        arguments=OneFile,
        access=Access.READ,
        summary=lambda args: f"reads the columns of {args.get('file', 'a file')}",
        run=describe_file,
    ),
    IntegrationTool(
        name="files.read_file",
        description="Reads rows of a table, within a time window and by conditions on columns.",
        arguments=ReadFile,
        access=Access.READ,
        summary=lambda args: f"reads {args.get('file', 'a file')}",
        run=read_file,
    ),
    IntegrationTool(
        name="files.append_rows",
        description="Adds rows at the end of a table; makes the file and new columns as needed.",
        arguments=AppendRows,
        access=Access.WRITE,
        summary=lambda args: f"adds {_said(args)} to {args.get('file', 'a file')}",
        destination=_file,
        lookup=_look_up,
        run=append_rows,
    ),
    IntegrationTool(
        name="files.write_file",
        description="Writes a whole table in place of what was there; the same rows again change nothing.",
        arguments=WriteFile,
        access=Access.WRITE,
        summary=lambda args: f"writes {args.get('file', 'a file')} with {_said(args)}",
        destination=_file,
        run=write_file,
    ),
    IntegrationTool(
        name="files.find_rows",
        description="Finds the rows that were added with a mark.",
        arguments=FindRows,
        access=Access.READ,
        summary=lambda args: f"looks for rows added to {args.get('file', 'a file')}",
        run=find_rows,
    ),
)
