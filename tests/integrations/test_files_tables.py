"""Tables in files: what is read is what was written, in every form they come in."""

from __future__ import annotations

import io
import json
import zipfile
from datetime import UTC, date, datetime

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniforge.core.errors import Invalid
from omniforge.integrations.catalog.files import selecting, tables
from omniforge.integrations.catalog.files.tables import Table, read_table, with_columns, write_table

TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"), exclude_characters="\ufeff"), max_size=20
)
WORDS = TEXT.map(lambda text: f"w{text}")
"""Text that is no number, no yes or no, and does not begin like a formula."""


@pytest.mark.parametrize(
    ("text", "delimiter"),
    [
        ("a,b\n1,2\n", ","),
        ("a;b\n1,5;2,5\n3,5;4,5\n", ";"),
        ("a\tb\n1, 2\t3\n", "\t"),
        ("a|b|c\n1|2|3\n", "|"),
        ('name,text\nx,"a;b;c"\ny,"d;e;f"\n', ","),
        ("only one column\nx\n", ","),
        ("", ","),
    ],
)
def test_the_delimiter_is_told_by_the_lines(text: str, delimiter: str) -> None:
    assert tables.delimiter_of(text) == delimiter


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_common_encodings_are_read_and_kept(encoding: str) -> None:
    content = "Name;Ort\r\nMüller;Zürich\r\n".encode(encoding)
    table = read_table("a.csv", content)
    assert table.rows == [{"Name": "Müller", "Ort": "Zürich"}]
    grown = write_table("a.csv", with_columns(table, [{"Name": "Weiß", "Ort": "Köln"}]), content)
    assert grown.startswith(content.removesuffix(b"\r\n")[:-4])
    assert read_table("a.csv", grown).rows[1] == {"Name": "Weiß", "Ort": "Köln"}
    assert b"\r" in grown


def test_what_does_not_fit_the_old_encoding_is_written_in_another_one() -> None:
    table = read_table("a.csv", "Name\nMüller\n".encode("cp1252"))
    content = write_table("a.csv", with_columns(table, [{"Name": "渡辺"}]))
    assert [row["Name"] for row in read_table("a.csv", content).rows] == ["Müller", "渡辺"]


def test_columns_have_types_and_numbers_with_leading_zeros_stay_text() -> None:
    content = (
        b"Zip,Count,Share,Open,Due,Note\n00501,3,0.5,true,2026-11-02,x\n12345,,2,FALSE,2026-12-01 08:00,\n"
    )
    table = read_table("a.csv", content)
    assert {name: table.type_of(name) for name in table.columns} == {
        "Zip": "text", "Count": "number", "Share": "number",
        "Open": "checkbox", "Due": "date", "Note": "text",
    }  # fmt: skip
    assert table.rows[0] == {
        "Zip": "00501", "Count": 3, "Share": 0.5, "Open": True, "Due": "2026-11-02", "Note": "x",
    }  # fmt: skip
    assert table.rows[1]["Count"] is None


def test_columns_without_a_name_or_with_the_same_one_are_told_apart() -> None:
    table = read_table("a.csv", b"\n,A,A\n1,2,3,4\n\n")
    assert table.columns == ["Column 1", "A", "A 2", "Column 4"]
    assert table.rows == [{"Column 1": 1, "A": 2, "A 2": 3, "Column 4": 4}]


@pytest.mark.parametrize("text", ["=1+1", "@SUM(A1)", "+cmd|' /C calc'!A0", "-2+3", "\t=1", "'=1"])
def test_text_that_spreadsheets_take_for_a_formula_is_written_as_text(text: str) -> None:
    table = with_columns(Table(), [{"Note": text, "Change": -5}])
    content = write_table("a.csv", table)
    assert f"'{text}".encode() in content.replace(b'"', b"")
    assert read_table("a.csv", content).rows[0] == {"Note": text, "Change": -5}
    book = openpyxl.load_workbook(io.BytesIO(write_table("a.xlsx", table)))
    assert book["Sheet1"]["A2"].data_type == "s"
    assert book["Sheet1"]["A2"].value == text


VALUES = st.one_of(
    st.none(), st.integers(-(10**12), 10**12), WORDS, st.booleans(), st.floats(-1e9, 1e9, allow_nan=False)
)


@given(st.lists(st.fixed_dictionaries({"A": VALUES, "B": WORDS}), min_size=1, max_size=6))
def test_json_tables_come_back_as_they_were(rows: list[dict[str, object]]) -> None:
    table = with_columns(Table(), rows)
    assert read_table("a.json", write_table("a.json", table)).rows == table.rows


@given(
    st.lists(st.fixed_dictionaries({"A": WORDS, "B": TEXT}), min_size=1, max_size=6),
    st.sampled_from(["a.csv", "a.tsv"]),
)
def test_text_tables_come_back_as_they_were(rows: list[dict[str, str]], name: str) -> None:
    content = write_table(name, with_columns(Table(), rows))
    back = read_table(name, content).rows
    assert [row["A"] for row in back] == [row["A"] for row in rows]
    assert [_said(row["B"]) for row in back] == [_said(row["B"]) for row in rows]


def _said(value: object) -> str:
    """Numbers and yes or no are read as such: compared by what they mean."""
    try:
        return str(float(str(value)))
    except ValueError:
        return str(value).lower() if str(value).lower() in ("true", "false") else str(value or "")


def book_of(**sheets: list[list[object]]) -> bytes:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        place = book.create_sheet(name)
        for row in rows:
            place.append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def test_a_workbook_is_read_by_sheet_with_dates_in_iso_form() -> None:
    content = book_of(
        First=[
            ["Day", "When", "N"],
            [date(2026, 1, 2), datetime(2026, 1, 2, 8, 30, tzinfo=UTC).replace(tzinfo=None), 3],
        ],
        Second=[["X"], ["y"]],
    )
    table = read_table("a.xlsx", content)
    assert (table.sheets, table.sheet) == (["First", "Second"], "First")
    assert table.rows == [{"Day": "2026-01-02", "When": "2026-01-02T08:30:00", "N": 3}]
    assert read_table("a.xlsx", content, "Second").rows == [{"X": "y"}]
    with pytest.raises(Invalid, match="no sheet 'Third'"):
        read_table("a.xlsx", content, "Third")


def test_rows_added_to_a_workbook_leave_formulas_and_other_sheets_alone() -> None:
    content = book_of(First=[[], ["A", "Twice"], [2, "=A3*2"]], Second=[["X"], ["y"]])
    table = with_columns(read_table("a.xlsx", content), [{"A": 5, "More": "=not a formula"}])
    book = openpyxl.load_workbook(io.BytesIO(tables.append_table("a.xlsx", table, 1, content)))
    cells = [[cell.value for cell in row] for row in book["First"].iter_rows()]
    assert cells[1:] == [["A", "Twice", "More"], [2, "=A3*2", None], [5, None, "=not a formula"]]
    assert book["First"]["C4"].data_type == "s"
    assert book["Second"]["A2"].value == "y"


def test_a_workbook_that_would_lose_something_is_not_written_again() -> None:
    content = io.BytesIO(book_of(First=[["A"], [1]]))
    with zipfile.ZipFile(content, "a") as archive:
        archive.writestr("xl/charts/chart1.xml", "<x/>")
    table = read_table("a.xlsx", content.getvalue())
    with pytest.raises(Invalid, match="charts"):
        write_table("a.xlsx", table, content.getvalue())


def test_a_small_workbook_with_very_much_inside_is_refused() -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", b"0" * (61 * 1024 * 1024))
    with pytest.raises(Invalid, match="MB inside"):
        read_table("a.xlsx", packed.getvalue())


def test_entities_in_a_workbook_are_not_expanded() -> None:
    good = io.BytesIO(book_of(First=[["A"], ["x"]]))
    bad = io.BytesIO()
    bomb = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>'
    with zipfile.ZipFile(good) as source, zipfile.ZipFile(bad, "w") as archive:
        for part in source.namelist():
            content = source.read(part)
            archive.writestr(part, bomb + content if part == "xl/workbook.xml" else content)
    with pytest.raises(Invalid):
        read_table("a.xlsx", bad.getvalue())


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.xlsx", b"not a zip"),
        ("a.xlsx", b"PK\x03\x04 cut"),
        ("a.json", b"{"),
        ("a.json", b'{"a": 1}'),
        ("a.json", b"[1, 2]"),
        ("a.json", b'[{"a": NaN}]'),
        ("a.json", b"[" * 100_000),
        ("a.csv", b"a,b\n\x00,1\n"),
        ("a.csv", b"\xff\xfea"),
        ("a.csv", b"a\n" + b"x\n" * 50_001),
        ("a.csv", b",".join(b"c" for _ in range(301))),
    ],
)
def test_what_is_no_table_is_said_to_be_none(name: str, content: bytes) -> None:
    with pytest.raises(Invalid):
        read_table(name, content)


@given(st.binary(max_size=300), st.sampled_from(["a.csv", "a.tsv", "a.json", "a.xlsx"]))
def test_any_bytes_are_a_table_or_refused(content: bytes, name: str) -> None:
    try:
        table = read_table(name, content)
    except Invalid:
        return
    assert all(set(row) == set(table.columns) for row in table.rows)
    json.dumps(table.rows)


@pytest.mark.parametrize(
    ("op", "value", "found"),
    [
        ("equals", "ada", ["Ada"]),
        ("does_not_equal", "Ada", ["Bo", ""]),
        ("contains", "d", ["Ada"]),
        ("does_not_contain", "d", ["Bo", ""]),
        ("starts_with", "b", ["Bo"]),
        ("is_empty", None, [""]),
        ("is_not_empty", None, ["Ada", "Bo"]),
    ],
)
def test_rows_are_chosen_by_text(op: str, value: str | None, found: list[str]) -> None:
    table = Table(["N"], [{"N": "Ada"}, {"N": "Bo"}, {"N": ""}])
    passes = selecting.condition(table, "N", op, value)
    assert [row["N"] for row in table.rows if passes(row)] == found


@pytest.mark.parametrize(
    ("op", "value", "found"),
    [
        ("less_than", 10, [2, 9.5]),
        ("greater_than", "9", [9.5, 10]),
        ("equals", "10", [10]),
        ("before", "x", []),
    ],
)
def test_rows_are_chosen_by_number(op: str, value: object, found: list[float]) -> None:
    table = Table(["N"], [{"N": 2}, {"N": 9.5}, {"N": 10}, {"N": None}])
    passes = selecting.condition(table, "N", op, value)
    assert [row["N"] for row in table.rows if passes(row)] == found


def test_rows_are_chosen_by_time_and_put_in_order() -> None:
    days = ["2026-03-02", "2026-03-01T12:00:00+02:00", "", "soon"]
    table = Table(["D"], [{"D": day} for day in days])
    start = datetime(2026, 3, 1, 10, tzinfo=UTC)
    passes = selecting.within(table, "D", start, datetime(2026, 3, 2, tzinfo=UTC))
    assert [row["D"] for row in table.rows if passes(row)] == [days[1]]
    numbered = list(enumerate(table.rows, 1))
    assert [n for n, _ in selecting.ordered(numbered, "D", descending=False)] == [2, 1, 4, 3]
    assert [n for n, _ in selecting.ordered(numbered, "D", descending=True)] == [4, 1, 2, 3]
    with pytest.raises(Invalid, match="no column 'X'"):
        selecting.condition(table, "X", "equals", 1)
    with pytest.raises(Invalid, match="cannot be chosen"):
        selecting.condition(table, "D", "resembles", 1)
