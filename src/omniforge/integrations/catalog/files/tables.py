"""Tables as bytes: CSV, TSV, JSON and Excel to columns and rows, and back (pure)."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, cast

from omniforge.integrations.catalog.files import workbook
from omniforge.integrations.catalog.files.workbook import Json, refused, refused_rows

MOST_ROWS = 50_000
MOST_COLUMNS = 300
LONGEST_CELL = 100_000
DELIMITERS = ",;\t|"
SNIFFED = 50
"""Lines that are looked at to tell the delimiter."""
NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,14})(\.[0-9]{1,15})?")
DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ][0-9:.+Z-]{1,25})?")
FORMULA = re.compile(r"'*[=@\t\r]|'*[+-](?![0-9.]+$)")
"""Text that spreadsheet programs would take for a formula; such a cell is written with a `'` in front."""


@dataclass(frozen=True, slots=True)
class Style:
    """How a text file is written, so that it is written the same way again."""

    encoding: str = "utf-8"
    delimiter: str = ","
    newline: str = "\n"


@dataclass(slots=True)
class Table:
    """Columns in order, and rows of plain JSON values."""

    columns: list[str] = field(default_factory=list[str])
    rows: list[Json] = field(default_factory=list[Json])
    style: Style = field(default_factory=Style)
    sheet: str | None = None
    sheets: list[str] = field(default_factory=list[str])

    def type_of(self, column: str) -> str:
        """`number`, `checkbox`, `date` or `text`, by what stands in it."""
        values = [row[column] for row in self.rows if row.get(column) not in (None, "")]
        if values and all(isinstance(value, bool) for value in values):
            return "checkbox"
        if values and all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
            return "number"
        return "date" if values and all(DATE.fullmatch(str(value)) for value in values) else "text"


def kind_of(name: str) -> str:
    return PurePosixPath(name).suffix.lower().removeprefix(".")


def read_table(name: str, content: bytes, sheet: str | None = None) -> Table:
    """The table in a file; Invalid says what cannot be read in it."""
    match kind_of(name):
        case "xlsx":
            sheets, used, cells = workbook.read_cells(content, sheet, MOST_ROWS, MOST_COLUMNS)
            table = _from_cells(cells)
            table.sheet, table.sheets = used, sheets
        case "json":
            table = _from_json(content)
        case kind:
            table = _from_text(content, "\t" if kind == "tsv" else None)
    _check_size(table)
    return table


def write_table(name: str, table: Table, old: bytes | None = None) -> bytes:
    """The bytes of a table. Of an Excel file in `old` the other sheets stay as they are."""
    _check_size(table)
    match kind_of(name):
        case "xlsx":
            cells = [table.columns, *(_cells_of(table, row) for row in table.rows)]
            return workbook.write_cells(cells, table.sheet or "Sheet1", old)
        case "json":
            text = json.dumps(table.rows, ensure_ascii=False, indent=2, allow_nan=False)
            return (text + "\n").encode()
        case kind:
            style = table.style if kind == "csv" else Style(table.style.encoding, "\t", table.style.newline)
            return _as_text(table, style)


def append_table(name: str, table: Table, added: int, old: bytes) -> bytes:
    """The bytes of a table whose last `added` rows are not in `old` yet."""
    if kind_of(name) != "xlsx" or table.sheet is None:
        return write_table(name, table, old)
    _check_size(table)
    rows = [_cells_of(table, row) for row in table.rows[len(table.rows) - added :]]
    return workbook.append_cells(table.columns, rows, table.sheet, old)


def _check_size(table: Table) -> None:
    if len(table.rows) > MOST_ROWS or len(table.columns) > MOST_COLUMNS:
        raise refused(f"a table of at most {MOST_ROWS} rows and {MOST_COLUMNS} columns")


def _cells_of(table: Table, row: Json) -> list[Any]:
    return [row.get(column) for column in table.columns]


def with_columns(table: Table, rows: Sequence[Json]) -> Table:
    """The table with those rows at its end, and columns for all that is in them."""
    columns = list(dict.fromkeys([*table.columns, *(name for row in rows for name in row)]))
    added = [{name: plain(value) for name, value in row.items()} for row in rows]
    return Table(columns, [*table.rows, *added], table.style, table.sheet, table.sheets)


def plain(value: Any) -> Any:
    """What a cell can hold: text, a number, yes or no, or nothing."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, list):
        return ", ".join(str(item) for item in cast("list[Any]", value))
    if not isinstance(value, str):
        raise refused_rows("a cell holds text, a number, true or false")
    if len(value) > LONGEST_CELL:
        raise refused_rows(f"a cell holds at most {LONGEST_CELL} characters")
    return value


# --- text


def decoded(content: bytes) -> tuple[str, str]:
    """The text and its encoding: by its mark, UTF-8, or else the Western one that spreadsheets write."""
    for mark, encoding in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if content.startswith(mark):
            return _strictly(content, encoding), encoding
    try:
        return content.decode(), "utf-8"
    except UnicodeDecodeError:
        return _strictly(content, "cp1252"), "cp1252"


def _strictly(content: bytes, encoding: str) -> str:
    try:
        return content.decode(encoding)
    except UnicodeError:
        raise refused("text in UTF-8, UTF-16 or Windows-1252") from None


def delimiter_of(text: str) -> str:
    """The delimiter by which most lines have the same number of cells, the most cells first."""
    lines = text.splitlines()[:SNIFFED]

    def score(delimiter: str) -> tuple[float, int]:
        widths = [len(row) for row in _cells(lines, delimiter) if row]
        width = max(set(widths), key=widths.count, default=0)
        return (widths.count(width) / len(widths), width) if width > 1 else (0.0, 0)

    return max(DELIMITERS, key=score)


def _cells(lines: Iterable[str], delimiter: str) -> list[list[str]]:
    try:
        return list(csv.reader(lines, delimiter=delimiter))
    except csv.Error:
        return []


def _from_text(content: bytes, delimiter: str | None) -> Table:
    text, encoding = decoded(content)
    if "\0" in text:
        raise refused("text, without NUL characters")
    delimiter = delimiter or delimiter_of(text)
    try:
        cells = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    except csv.Error as error:
        raise refused(f"rows of cells ({error})") from None
    table = _from_cells([[_unquoted(cell) for cell in row] for row in cells])
    for column in table.columns:
        _convert(table, column)
    table.style = Style(encoding, delimiter, "\r\n" if "\r\n" in text[:10_000] else "\n")
    return table


def _convert(table: Table, column: str) -> None:
    """Text to numbers and to yes or no where all of a column is; `007` stays what it is."""
    values = [row[column] for row in table.rows if row[column] != ""]
    if values and all(NUMBER.fullmatch(value) for value in values):
        change = _number
    elif values and all(value.lower() in ("true", "false") for value in values):
        change = _yes_or_no
    else:
        return
    for row in table.rows:
        row[column] = None if row[column] == "" else change(row[column])


def _number(text: str) -> int | float:
    return float(text) if "." in text else int(text)


def _yes_or_no(text: str) -> bool:
    return text.lower() == "true"


def _as_text(table: Table, style: Style) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=style.delimiter, lineterminator=style.newline)
    writer.writerow([_quoted(column) for column in table.columns])
    for row in table.rows:
        writer.writerow([_quoted(_shown(row.get(column))) for column in table.columns])
    text = out.getvalue()
    try:
        return text.encode(style.encoding)
    except UnicodeEncodeError:  # what is added does not fit the old encoding
        return text.encode("utf-8-sig")


def _shown(value: Any) -> str:
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _quoted(cell: str) -> str:
    return f"'{cell}" if FORMULA.match(cell) else cell


def _unquoted(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and FORMULA.match(cell) else cell


# --- cells and JSON


def _from_cells(cells: Sequence[Sequence[Any]]) -> Table:
    """The first row that has anything in it names the columns; empty rows are passed over."""
    filled = [row for row in cells if any(cell not in (None, "") for cell in row)]
    if not filled:
        return Table()
    width = max(len(row) for row in filled)
    columns = _names(filled[0], width)
    rows = [dict(zip(columns, [*row, *[""] * (width - len(row))], strict=True)) for row in filled[1:]]
    return Table(columns, rows)


def _names(head: Sequence[Any], width: int) -> list[str]:
    names: list[str] = []
    for index in range(width):
        given = str(head[index]).strip() if index < len(head) and head[index] not in (None, "") else ""
        name = base = given or f"Column {index + 1}"
        number = 2
        while name in names:
            name, number = f"{base} {number}", number + 1
        names.append(name)
    return names


def _from_json(content: bytes) -> Table:
    try:
        parsed: Any = json.loads(decoded(content)[0], parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise refused("JSON that can be read") from None
    if not isinstance(parsed, list) or not all(isinstance(row, dict) for row in cast("list[Any]", parsed)):
        raise refused("a list of objects, one per row")
    rows = cast("list[Json]", parsed)
    columns = list(dict.fromkeys(name for row in rows for name in row))
    return Table(columns, [{name: _flat(row.get(name)) for name in columns} for row in rows])


def _flat(value: Any) -> Any:
    """Lists and objects inside a row are shown as JSON."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else value


def _no_constant(name: str) -> Any:
    raise ValueError(name)
