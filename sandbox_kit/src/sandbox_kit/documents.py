"""Documents (text, Markdown, CSV, HTML) taken apart: labels with what stands beside them, and tables."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any, cast

from sandbox_kit.values import key_of, named, words_of

LONGEST = 1_000_000
LONGEST_LABEL = 60
LONGEST_VALUE = 2_000
LONGEST_LINE = 20_000
MOST_ROWS = 2_000
MOST_LINES = 20_000
TEXT_KEYS = frozenset({"text", "content", "body", "document", "report", "markdown", "html", "csv"})
"""Names under which an object holds the text of a document."""

_TAG = re.compile(
    r"<(?:!doctype|html|body|table|tr|td|p|div|br|ul|li|dl|dt|span|h[1-6]|form|b|strong)\b", re.IGNORECASE
)
_MARKS = re.compile(r"\*\*|__|`|^\s{0,3}(?:#{1,6}\s+|>\s?|[-*+•]\s+(?:\[[ xX]\]\s+)?)")
_RULE = re.compile(r"^[\s|:=_*+.-]*$")
_LABELLED = re.compile(r"([^:=|]{1,60}?)\s*(?::|=|\s[\u2013\u2014]\s)(?!//)\s*(.*)")
_NUMBERED = re.compile(
    r"([^\W\d_][\w. ]{0,40}?\s*(?:#|\b(?:no|nr|num|number|id)\b\.?))\s*(\S*\d\S*)", re.IGNORECASE
)
_PRICED = re.compile(
    r"([^\W\d_][^\d:]{1,40}?)\s+((?:[A-Z]{3}\s?|[$€£¥₹]\s?)-?[\d.,]+|-?[\d.,]*\d\s?(?:[$€£¥₹]|[A-Z]{3}\b))"
)
_INNER = re.compile(r"(?<=\S)(\s+)(?=(?:[^\W_][\w.#/'-]*\s+){0,4}[^\W_][\w.#/'-]*\s*:\s)")
"""Where a further label may begin inside a value."""
_LEADERS = re.compile(r"\s*:?\s*(?:\.\s?){4,}:?\s*")
_EMPTY = re.compile(
    r"[\s_.:\-\u2013\u2014/?*\[\]()]*|n/?a|none|unknown|tbd|tba|not (?:given|known|stated|available)", re.I
)


@dataclass(frozen=True)
class Pair:
    """A label and its value; `how`: beside, below, column, or held (an object had it)."""

    label: str
    value: Any
    how: str = "beside"


@dataclass
class Document:
    """What was found in one document, in its order. Rows of tables have their headings as names."""

    pairs: list[Pair] = field(default_factory=list[Pair])
    tables: list[list[dict[str, str]]] = field(default_factory=list[list[dict[str, str]]])
    text: str = ""


def read_document(given: Any, vocabulary: Collection[str] = ()) -> Document:
    """A text, an object with fields, or a list of them. `vocabulary`: words that labels are made of, by which
    several of them on one line are told apart."""
    document = Document()
    _read(given, "", document, frozenset(vocabulary), 0)
    return document


def _read(given: Any, name: str, document: Document, vocabulary: frozenset[str], depth: int) -> None:
    if isinstance(given, Mapping) and depth < 6:
        for key, value in cast("Mapping[Any, Any]", given).items():
            _read(value, str(key), document, vocabulary, depth + 1)
    elif isinstance(given, (list, tuple)) and depth < 6:
        items = cast("list[Any]", given)
        if items and all(isinstance(item, Mapping) for item in items):
            document.tables.append([_row(item) for item in items[:MOST_ROWS]])
        elif name:
            document.pairs.append(
                Pair(name, [one for one in items if not isinstance(one, (Mapping, list))], "held")
            )
        else:
            for item in items[:MOST_ROWS]:
                _read(item, "", document, vocabulary, depth + 1)
    elif isinstance(given, str) and (not name or key_of(name) in TEXT_KEYS or given.count("\n") > 3):
        _read_text(given[:LONGEST], document, vocabulary)
    elif name and given is not None:
        document.pairs.append(Pair(name, given, "held"))


def _row(item: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in cast("Mapping[Any, Any]", item).items():
        if key == "fields" and isinstance(value, Mapping):
            found.update({str(name): one for name, one in cast("Mapping[Any, Any]", value).items()})
        else:
            found[str(key)] = value
    return found


def _read_text(text: str, document: Document, vocabulary: frozenset[str]) -> None:
    plain = plain_text(text)
    document.text = f"{document.text}\n{plain}".strip()
    rows = csv_rows(plain)
    if rows is not None:
        _add_table(rows, document, vocabulary)
        return
    lines = [_LEADERS.sub(": ", line).rstrip() for line in plain.splitlines()[:MOST_LINES]]
    at = 0
    while at < len(lines):
        block = _table_block(lines, at)
        if block:
            rows = [_cells(line) for line in block if not _RULE.fullmatch(line)]
            _add_table(rows, document, vocabulary)
            at += len(block)
            continue
        following = next((line for line in lines[at + 1 : at + 4] if line.strip()), "")
        document.pairs += _pairs_of_line(lines[at], following, vocabulary)
        at += 1


# --- tables -------------------------------------------------------------------------------------------------


def csv_rows(text: str) -> list[list[str]] | None:
    """Rows of a text that is a CSV file through and through: the same columns in each line, names on top."""
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) < 2 or lines[0].lstrip().startswith("|"):
        return None
    for delimiter in (";", "\t", ","):
        if delimiter not in lines[0]:
            continue
        try:
            rows = [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if any(row)]
        except csv.Error:
            continue
        names = [cell.strip() for cell in rows[0]] if rows else []
        is_head = all(name and len(name) <= LONGEST_LABEL and not name.endswith(":") for name in names)
        if len(names) > 1 and is_head and len(rows) > 1 and all(len(row) == len(names) for row in rows):
            if delimiter == "," and any(":" in name for name in names):
                continue
            return [[cell.strip() for cell in row] for row in rows[: MOST_ROWS + 1]]
    return None


def _table_block(lines: list[str], at: int) -> list[str]:
    """Lines of a table that begins here, or none. Columns are parted by `|`, tabs or wide gaps."""
    count, is_piped = len(_cells(lines[at])), "|" in lines[at]
    if count < 2 or (not is_piped and _has_label(lines[at])):
        return []
    block = [lines[at]]
    for line in lines[at + 1 : at + MOST_ROWS]:
        is_rule = bool(line.strip()) and bool(_RULE.fullmatch(line))
        fits = len(_cells(line)) == count and ("|" in line) == is_piped
        if not is_rule and (not fits or (not is_piped and _has_label(line))):
            break
        block.append(line)
    return block if len(block) > 1 or is_piped else []


def _has_label(line: str) -> bool:
    return any(_LABELLED.fullmatch(cell) for cell in _cells(line))


def _cells(line: str) -> list[str]:
    text = line.strip()
    if "|" in text:
        inner = text.removeprefix("|")
        inner = inner[:-1] if inner.endswith("|") and not inner.endswith("\\|") else inner
        return [clean(cell).replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", inner)]
    return [clean(cell) for cell in re.split(r"\t+| {2,}", text)] if text else []


def _add_table(rows: list[list[str]], document: Document, vocabulary: frozenset[str]) -> None:
    """Each row under its headings; a row that holds a label and one value is a pair as well."""
    if not rows:
        return
    head, *body = rows
    is_heading = len(head) != 2 or (bool(body) and all(word in vocabulary for word in words_of(head[1])))
    for row in body if is_heading else rows:
        filled = [cell for cell in row if cell]
        if len(filled) == 2 and row[0] == filled[0] and len(row[0]) <= LONGEST_LABEL:
            document.pairs.append(Pair(row[0].rstrip(": "), filled[1]))
    if body:
        names = [name or f"column {n}" for n, name in enumerate(head, 1)]
        document.tables.append([dict(zip(names, row)) for row in body])  # noqa: B905 - Python 3.9


# --- lines --------------------------------------------------------------------------------------------------


def _pairs_of_line(line: str, following: str, vocabulary: frozenset[str]) -> Iterable[Pair]:
    """`Label: value`, several of them beside each other, or a label with its value on the next line."""
    segments = [part for part in re.split(r"\t+| {2,}", clean(line[:LONGEST_LINE])) if part]
    found: list[Pair] = []
    at = 0
    while at < len(segments):
        segment = segments[at]
        match = _LABELLED.fullmatch(segment) or _NUMBERED.fullmatch(segment) or _PRICED.fullmatch(segment)
        at += 1
        if match is None:
            continue
        label, rest = match[1].strip(), match[2].strip()
        if not rest and at < len(segments) and not _LABELLED.fullmatch(segments[at]):
            rest, at = segments[at], at + 1
        found += _apart(label, rest, vocabulary)
    if len(segments) == 1 and (not found or (len(found) == 1 and not found[0].value)):
        label = segments[0].rstrip(" :=")
        below = clean(following)
        if len(label) <= LONGEST_LABEL and below and not _LABELLED.fullmatch(below):
            return [Pair(label, below[:LONGEST_VALUE], "below")]
    return found


def _apart(label: str, rest: str, vocabulary: frozenset[str]) -> list[Pair]:
    """One pair, or several when further labels stand inside the value: `PO: 7 Due date: 2 May 2026`."""
    found: list[Pair] = []
    pieces = _INNER.split(rest[:LONGEST_LINE])
    value, at = pieces[0], 1
    while at < len(pieces):
        end = at + 1
        inner = pieces[end]
        while ":" not in inner and end + 2 < len(pieces):
            inner += pieces[end + 1] + pieces[end + 2]
            end += 2
        name, _, after = inner.partition(":")
        words = words_of(name)
        if words and all(word in vocabulary for word in words):
            found.append(Pair(label, _trimmed(value)))
            label, value, at = name.strip(), after, end + 1
        else:
            value, at = value + pieces[at] + pieces[at + 1], at + 2
    return [*found, Pair(label, _trimmed(value))]


def _trimmed(value: str) -> str:
    return value.strip().rstrip(",;|").strip()[:LONGEST_VALUE]


def clean(line: str) -> str:
    """Without the marks of Markdown."""
    return _MARKS.sub("", _MARKS.sub("", line)).strip()


def is_empty(value: Any) -> bool:
    """Whether a value says nothing: dashes, blanks to be filled in, `n/a`."""
    if value is None or value in ("", [], {}):
        return True
    return isinstance(value, str) and _EMPTY.fullmatch(value.strip()) is not None


# --- HTML ---------------------------------------------------------------------------------------------------


def plain_text(text: str) -> str:
    """HTML as text whose tables are lines of cells; anything else as it is."""
    text = text.lstrip("\ufeff").replace("\r\n", "\n").replace("\r", "\n").replace("\u00a0", " ")
    if _TAG.search(text[:5_000]) is None:
        return text
    page = _Page()
    page.feed(text)
    page.close()
    return page.text()


class _Page(HTMLParser):
    """Collects the words of a page, line by line."""

    BLOCKS = frozenset(
        named("p div br li ul ol dl dt section article header footer h1 h2 h3 h4 h5 h6 form tr")
    )
    HIDDEN = frozenset({"script", "style", "head", "template"})

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.row: list[str] | None = None
        self.hidden = 0

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag in self.HIDDEN:
            self.hidden += 1
        elif tag == "tr":
            self.row = []
        elif tag in ("td", "th") and self.row is not None:
            self.row.append("")
        elif tag in self.BLOCKS and self.row is None:
            self.parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in self.HIDDEN:
            self.hidden = max(0, self.hidden - 1)
        elif tag == "tr" and self.row is not None:
            cells = " | ".join(" ".join(cell.split()).replace("|", "/") or " " for cell in self.row)
            self.parts.append(f"\n| {cells} |\n" if self.row else "\n")
            self.row = None
        elif tag == "dt":
            self.parts.append(": ")
        elif tag in self.BLOCKS and self.row is None:
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        if self.hidden:
            return
        if self.row is None:
            self.parts.append(re.sub(r"\s+", " ", data))
        elif self.row:
            self.row[-1] += data

    def text(self) -> str:
        lines = [line.strip() for line in "".join(self.parts).split("\n")]
        return re.sub(r"\|\n+\|", "|\n|", re.sub(r"\n{3,}", "\n\n", "\n".join(lines)))
