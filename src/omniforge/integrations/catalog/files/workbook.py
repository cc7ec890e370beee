"""Excel workbooks as rows of cells (pure). Text is written as text: never a formula."""

from __future__ import annotations

import io
import struct
import warnings
import zipfile
import zlib
from collections.abc import Sequence
from contextlib import closing
from datetime import date, datetime, time
from typing import Any

from omniforge.core.errors import Invalid

LARGEST_INSIDE = 60 * 1024 * 1024
"""Bytes of all parts unpacked: a small file can hold a great many."""
MOST_PARTS = 2000
LOST = ("xl/drawings/", "xl/charts/", "xl/media/", "xl/pivotTables/", "xl/vbaProject", "xl/externalLinks/")
"""Parts that would be lost or broken if such a workbook were written again."""

LONGEST_CELL = 32_767

Json = dict[str, Any]


def refused(rule: str) -> Invalid:
    """A file that cannot be read or written again."""
    entry = {"field": "file", "value": "…", "rule": rule}
    return Invalid(f"This file cannot be used: it has to be {rule}.", fields=[entry])


def refused_rows(rule: str) -> Invalid:
    """Rows that cannot be written."""
    entry = {"field": "rows", "value": "…", "rule": rule}
    return Invalid(f"These rows cannot be written: {rule}.", fields=[entry])


def read_cells(
    content: bytes, sheet: str | None, most_rows: int, most_columns: int
) -> tuple[list[str], str, list[list[Any]]]:
    """Names of all sheets, the one that was read (the first without a name), and its rows."""
    _check_parts(content)
    with closing(_opened(content, read_only=True)) as book:
        name = _sheet_name(book, sheet)
        rows = book[name].iter_rows(max_row=most_rows + 2, max_col=most_columns + 1, values_only=True)
        return list(book.sheetnames), name, [_trimmed([_plain(cell) for cell in row]) for row in rows]


def write_cells(cells: Sequence[Sequence[Any]], sheet: str, old: bytes | None) -> bytes:
    """A workbook with those cells in one sheet; the other sheets of `old` stay."""
    if old is None:
        book = _excel().Workbook()
        place = book.active
        place.title = sheet[:31]
    else:
        _check_parts(old, keep=True)
        book = _opened(old, read_only=False)
        place = book[sheet] if sheet in book.sheetnames else book.create_sheet(sheet[:31])
        place.delete_rows(1, place.max_row or 1)
    _put(place, 1, cells)
    return _saved(book)


def append_cells(columns: Sequence[str], rows: Sequence[Sequence[Any]], sheet: str, old: bytes) -> bytes:
    """The workbook with rows below what is in a sheet, whose formulas and styles stay."""
    _check_parts(old, keep=True)
    book = _opened(old, read_only=False)
    place = book[sheet]
    filled = (row[0].row for row in place.iter_rows() if any(cell.value not in (None, "") for cell in row))
    head = next(filled, 1)
    for number, name in enumerate(columns, 1):
        if place.cell(row=head, column=number).value in (None, ""):
            _put_text(place.cell(row=head, column=number), name)
    _put(place, (place.max_row or head) + 1, rows)
    return _saved(book)


def _put(place: Any, first: int, cells: Sequence[Sequence[Any]]) -> None:
    for number, row in enumerate(cells, first):
        for column, value in enumerate(row, 1):
            if isinstance(value, str):
                _put_text(place.cell(row=number, column=column), value)
            elif value is not None:
                place.cell(row=number, column=column).value = value


def _put_text(cell: Any, text: str) -> None:
    """Text stays text, whatever it begins with."""
    cell.value = _writable(text)
    cell.data_type = "s"


DAMAGED = (
    *(OSError, ValueError, TypeError, AttributeError, LookupError, ArithmeticError, RuntimeError),
    *(EOFError, SyntaxError, AssertionError, zipfile.BadZipFile, zlib.error, struct.error),
)
"""Ways in which reading a damaged workbook fails."""


def _excel() -> Any:
    import openpyxl  # noqa: PLC0415 - a quarter of a second, and few installations read workbooks

    return openpyxl


def _saved(book: Any) -> bytes:
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _opened(content: bytes, *, read_only: bool) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about styles and extensions that do not matter here
            return _excel().load_workbook(
                io.BytesIO(content), read_only=read_only, data_only=read_only, keep_links=False
            )
    except DAMAGED as error:
        raise refused("an Excel workbook that can be read") from error


def _check_parts(content: bytes, *, keep: bool = False) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            parts = archive.infolist()
    except (zipfile.BadZipFile, ValueError, RuntimeError):
        raise refused("an Excel workbook (.xlsx)") from None
    if len(parts) > MOST_PARTS or sum(part.file_size for part in parts) > LARGEST_INSIDE:
        raise refused(f"a workbook of at most {LARGEST_INSIDE // 1_048_576} MB inside")
    lost = [part.filename for part in parts if part.filename.startswith(LOST)]
    if keep and lost:
        raise refused(
            "a workbook without charts, pictures and macros: writing would lose them; write another"
        )


def _sheet_name(book: Any, sheet: str | None) -> str:
    names: list[str] = [place.title for place in book.worksheets]
    if sheet is None and names:
        return names[0]
    if sheet is None or sheet not in names:
        raise Invalid(
            f"There is no sheet {sheet!r} in this workbook.",
            fields=[{"field": "sheet", "value": sheet, "rule": f"one of {', '.join(names[:20])}"}],
        )
    return sheet


def _trimmed(row: list[Any]) -> list[Any]:
    """Without the empty cells at the end."""
    while row and row[-1] in (None, ""):
        row.pop()
    return row


def _plain(cell: Any) -> Any:
    match cell:
        case datetime():
            midnight = cell.time() == time(0)
            return cell.date().isoformat() if midnight else cell.isoformat(timespec="seconds")
        case date() | time():
            return cell.isoformat()
        case str() | bool() | int() | float() | None:
            return cell
        case _:
            return str(cell)


def _writable(text: str) -> str:
    """Without control characters, which the format has no place for."""
    if len(text) > LONGEST_CELL:
        raise refused_rows(f"a cell of an Excel file holds at most {LONGEST_CELL} characters")
    return "".join(char for char in text if char >= " " or char in "\t\n\r")
