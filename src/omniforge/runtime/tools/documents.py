"""Document: text and tables of files in the working folder: PDF, Word, Excel, CSV, pages, plain text."""

from __future__ import annotations

import asyncio
from pathlib import PurePosixPath

from pydantic import BaseModel, ConfigDict, Field

from omniforge.core.errors import Invalid
from omniforge.core.plaintext import text_of_html
from omniforge.integrations.catalog.files.tables import read_table
from omniforge.integrations.manifest import Access
from omniforge.runtime.tools.pages import PAGED, read_pages
from omniforge.runtime.tools.protocol import CallScope, Json, LocalTool
from omniforge.runtime.tools.workspace import load_bytes, place_of, relative

MAX_ROWS = 5_000
TABLES = frozenset({".csv", ".tsv", ".xlsx"})
PAGES = frozenset({".html", ".htm"})
PLAIN = frozenset({".txt", ".md", ".json", ".log", ".xml", ".yaml", ".yml", ""})


class DocumentArguments(BaseModel):
    model_config = ConfigDict(extra="forbid")

    path: str = Field(min_length=1, max_length=500)
    sheet: str | None = Field(default=None, max_length=100)
    """Of a workbook; without one, the first."""
    rows: int = Field(default=1_000, ge=1, le=MAX_ROWS)


async def document(args: DocumentArguments, scope: CallScope) -> Json:
    file = place_of(scope, args.path)
    data = await asyncio.to_thread(load_bytes, file, args.path)
    suffix = PurePosixPath(args.path).suffix.lower()
    if suffix in TABLES:
        return await asyncio.to_thread(_table, args, data)
    if suffix in PAGES:
        return {"path": args.path, "text": text_of_html(data.decode("utf-8", "replace"))}
    if suffix in PAGED:
        return {"path": args.path, **await read_pages(suffix, data, args.rows)}
    if suffix in PLAIN:
        return {"path": args.path, "text": data.decode("utf-8", "replace")}
    raise Invalid(
        f"Files like {suffix} cannot be read here; PDF, DOCX, CSV, XLSX, HTML and plain text can.",
        code="not_supported",
        path=args.path,
    )


def _table(args: DocumentArguments, data: bytes) -> Json:
    table = read_table(args.path, data, args.sheet)
    told: Json = {"path": args.path, "columns": table.columns, "rows": table.rows[: args.rows]}
    told |= {"rows_in_all": len(table.rows), "truncated": len(table.rows) > args.rows}
    return told | ({"sheet": table.sheet, "sheets": table.sheets} if table.sheets else {})


DOCUMENT = LocalTool(
    name="Document",
    description="Text and tables of a file: PDF, DOCX, CSV, XLSX, HTML or plain text.",
    arguments=DocumentArguments,
    access=Access.READ,
    run=document,
    subject_field="path",
    plain_subject=relative,
)
