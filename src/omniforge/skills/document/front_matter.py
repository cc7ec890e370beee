"""Front matter: where it is, and its YAML read strictly and in bounded time into plain values (pure)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from omniforge.core.errors import Invalid

Value = bool | int | str | list["Value"] | dict[str, "Value"] | None

MAX_CHARACTERS = 32_768
MAX_DEPTH = 10
MAX_NODES = 2_000
_MAX_BLANK_LINES = 20
_MAX_MENDED_LINES = 300

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_LINE = re.compile(r"[^\r\n]*(?:\r\n?|\n|\Z)")
_LOOKS_LIKE_YAML = re.compile(r"[A-Za-z_][\w-]*[ \t]*:(?:\s|$)|[ \t]+\S|- ")
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})")
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}


class BadYaml(Invalid):
    """The front matter cannot be read; `line` counts from 1 inside it."""

    code = "bad_yaml"

    def __init__(self, message: str, line: int = 1, *, is_syntax: bool = False) -> None:
        super().__init__(message, line=line)
        self.line = line
        self.is_syntax = is_syntax


@dataclass(frozen=True, slots=True)
class Parts:
    """A text taken apart. `yaml` is None when there is no front matter; lines count from 1 in the file."""

    yaml: str | None
    yaml_line: int
    body: str
    body_line: int
    is_closed: bool = True


def split(text: str) -> Parts:
    """Front matter and body. The body is as it was, without the one empty line that may open it."""
    lines = _LINE.finditer(text)
    for number, match in enumerate(lines, 1):
        line = match[0].strip()
        if line == "---":
            return _split_after(text, match.end(), number + 1)
        if line or number > _MAX_BLANK_LINES or not match[0]:
            break
    return Parts(None, 1, text, 1)


def _split_after(text: str, start: int, first: int) -> Parts:
    kept: list[str] = []
    fields_end: tuple[int, int] | None = None
    at, number = start, first
    for match in _LINE.finditer(text, start):
        line, at = match[0].rstrip(), match.end()
        if line in {"---", "..."}:
            return _parts(text, kept, first, at, number + 1)
        if at - start > MAX_CHARACTERS and fields_end is None:
            return Parts(text[start : start + MAX_CHARACTERS + 1], first, "", number)  # refused as too long
        if not match[0] or at - start > MAX_CHARACTERS:
            break
        if fields_end is None and not _LOOKS_LIKE_YAML.match(line):
            fields_end = len(kept), match.start()
        kept.append(line)
        number += 1
    count, end = fields_end or (len(kept), at)
    if count == 0:
        return Parts(None, 1, text, 1)
    return _parts(text, kept[:count], first, end, first + count, is_closed=False)


def _parts(text: str, kept: list[str], first: int, at: int, line: int, *, is_closed: bool = True) -> Parts:
    empty = next((mark for mark in ("\r\n", "\n", "\r") if text.startswith(mark, at)), "")
    return Parts("\n".join(kept), first, text[at + len(empty) :], line + bool(empty), is_closed)


@dataclass(frozen=True, slots=True)
class Fields:
    """Values of the top level, each with its line (from 1, inside the YAML text)."""

    values: Mapping[str, Value]
    lines: Mapping[str, int]


def read_fields(text: str) -> Fields:
    """Read one mapping of plain values, or raise `BadYaml`.

    Refused: aliases, anchors, tags, duplicate or structured keys, several documents, deep or huge input.
    Numbers with a point, dates and yes/no stay the text they are.
    """
    if len(text) > MAX_CHARACTERS:
        raise BadYaml(f"The front matter is longer than {MAX_CHARACTERS} characters.")
    try:
        return _Reading(text).fields()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = text.count("\n", 0, mark.index) + 1 if mark else 1
        raise BadYaml(f"This is not YAML: {error.problem}.", line, is_syntax=True) from None
    except (yaml.YAMLError, ValueError):
        raise BadYaml("This is not YAML: it holds a character that must not be there.") from None


class _Reading:
    """One pass over the parser's events: nothing is built that could be large, recursive or of a class."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.events: Iterator[Any] = iter(yaml.parse(text, Loader=_LOADER))
        self.nodes = 0

    def fields(self) -> Fields:
        next(self.events)  # the stream starts
        if isinstance(next(self.events), yaml.StreamEndEvent):
            return Fields({}, {})
        event = next(self.events)
        lines: dict[str, int] = {}
        match event:
            case yaml.MappingStartEvent():
                self._count(event, 1)
                values = self._mapping(1, lines)
            case yaml.ScalarEvent() if not event.value:
                values = {}
            case _:
                raise BadYaml("The front matter must be fields such as `name: value`.", self._line(event))
        next(self.events)  # the document ends
        event = next(self.events)
        if not isinstance(event, yaml.StreamEndEvent):
            raise BadYaml("The front matter holds more than one document.", self._line(event))
        return Fields(values, lines)

    def _line(self, event: Any) -> int:
        return self.text.count("\n", 0, event.start_mark.index) + 1

    def _count(self, event: Any, depth: int) -> None:
        """Every node passes here before it is looked into."""
        self.nodes += 1
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            raise BadYaml("Anchors and aliases (& and *) are not allowed here.", self._line(event))
        if event.tag is not None:
            raise BadYaml("Tags (!) are not allowed here: only plain values.", self._line(event))
        if depth > MAX_DEPTH:
            raise BadYaml(f"Values are nested more than {MAX_DEPTH} levels deep.", self._line(event))
        if self.nodes > MAX_NODES:
            raise BadYaml(f"The front matter holds more than {MAX_NODES} values.", self._line(event))

    def _value(self, event: Any, depth: int) -> Value:
        self._count(event, depth)
        match event:
            case yaml.ScalarEvent():
                return _plain(event.value) if event.implicit[0] else str(event.value)
            case yaml.SequenceStartEvent():
                items: list[Value] = []
                while not isinstance(item := next(self.events), yaml.SequenceEndEvent):
                    items.append(self._value(item, depth + 1))
                return items
            case _:
                return self._mapping(depth)

    def _mapping(self, depth: int, lines: dict[str, int] | None = None) -> dict[str, Value]:
        found: dict[str, Value] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            self._count(event, depth)
            if not isinstance(event, yaml.ScalarEvent):
                raise BadYaml("The name of a field must be one word.", self._line(event))
            key = str(event.value)
            if key in found:
                raise BadYaml(f"The field {key[:60]!r} is there twice.", self._line(event))
            if lines is not None:
                lines[key] = self._line(event)
            found[key] = self._value(next(self.events), depth + 1)
        return found


def _plain(text: str) -> Value:
    if text in _NULLS:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    return int(text) if _INTEGER.fullmatch(text) else text


_ENTRY = re.compile(r"(?P<lead>[ \t]*(?:- +)?(?:[A-Za-z_][\w-]*)[ \t]*:)(?:[ \t]+(?P<value>\S.*))?")


def mend(text: str) -> str:
    """Put quotes around values that break YAML by a colon or a sign, and spaces for tabs, line by line.

    Only entries that are no YAML on their own are touched: what is refused on purpose stays as it is.
    """
    if text.count("\n") > _MAX_MENDED_LINES:
        return text
    mended: list[str] = []
    for block in _blocks(text.split("\n")):
        lines = [_without_tabs(line) for line in block]
        entry = _ENTRY.fullmatch(lines[0])
        if entry is None or _is_yaml("\n".join(lines)):
            mended += lines
        elif (value := entry["value"]) and value[0] not in "|>":
            folded = " ".join([value, *(line.strip() for line in lines[1:] if line.strip())])
            if _is_unfinished(folded):
                return text
            mended += [f"{entry['lead']} {_quoted(folded)}", *[""] * (len(lines) - 1)]
        else:
            mended += [lines[0], *(_mended_line(line) for line in lines[1:])]
    return "\n".join(mended)


def _blocks(lines: list[str]) -> Iterator[list[str]]:
    """A top-level entry with the lines that belong to it."""
    block: list[str] = []
    for line in lines:
        if block and line[:1] not in ("", " ", "\t", "-", "#"):
            yield block
            block = []
        block.append(line)
    if block:
        yield block


def _without_tabs(line: str) -> str:
    rest = line.lstrip(" \t")
    return line[: len(line) - len(rest)].replace("\t", "  ") + rest.replace(":\t", ": ", 1)


def _mended_line(line: str) -> str:
    entry = _ENTRY.fullmatch(line)
    if entry is None or not entry["value"] or entry["value"][0] in "|>" or _is_yaml(line.strip()):
        return line
    return f"{entry['lead']} {_quoted(entry['value'])}"


def _is_yaml(text: str) -> bool:
    try:
        read_fields(text)
    except BadYaml as error:
        return not error.is_syntax
    return True


def _is_unfinished(value: str) -> bool:
    """A list, map or quotation that nobody closed: what was meant to follow cannot be known."""
    match value[0]:
        case "[":
            return value.count("[") > value.count("]")
        case "{":
            return value.count("{") > value.count("}")
        case '"' | "'":
            return value.count(value[0]) == 1
        case _:
            return False


def _quoted(value: str) -> str:
    """In single quotes, where nothing but the quote is special; quotes that enclose it all are dropped."""
    bare = value.strip()
    if len(bare) > 1 and bare[0] == bare[-1] and bare[0] in "\"'":
        bare = bare[1:-1]
    return "'" + bare.replace("'", "''") + "'"
