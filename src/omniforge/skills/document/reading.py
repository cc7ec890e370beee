"""One SKILL.md as it was read: original bytes, fields with their lines, body, and what had to be forgiven."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from omniforge.skills import allowed_tools as tools
from omniforge.skills.allowed_tools import AllowedTools
from omniforge.skills.document.front_matter import BadYaml, Fields, Parts, Value, mend, read_fields, split

MAX_BYTES = 1_048_576
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_FIRST_PART = 65_536
_PARAGRAPH_END = re.compile(r"\n[ \t]*\n")
_NO_PROSE = ("#", "```", "~~~", "---", "***", "<!--", "|")


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class Reason(StrEnum):
    """Why a file cannot be loaded."""

    NOT_TEXT = "not_text"
    TOO_LARGE = "too_large"
    BAD_YAML = "bad_yaml"
    NO_DESCRIPTION = "no_description"


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One problem. `field` is a front matter field, or `file`, `front matter`, `body`; lines count from 1."""

    code: str
    field: str
    line: int
    message: str
    severity: Severity = Severity.ERROR


@dataclass(frozen=True, slots=True)
class Document:
    """`notes` say what reading forgave, and what made the file unreadable. `folder` is its address."""

    data: bytes
    folder: str | None = None
    reason: Reason | None = None
    fields: Mapping[str, Value] = field(default_factory=dict[str, Value])
    lines: Mapping[str, int] = field(default_factory=dict[str, int])
    body: str = ""
    body_line: int = 1
    notes: tuple[Diagnostic, ...] = ()

    @property
    def loadable(self) -> bool:
        return self.reason is None

    @property
    def name(self) -> str | None:
        """The address: the folder's name; without a folder, the `name` field."""
        return self.folder or self._text("name")

    @property
    def description(self) -> str:
        """The field, else the first paragraph of the body."""
        return self._text("description") or first_paragraph(self.body)

    @property
    def allowed_tools(self) -> AllowedTools | None:
        """None when the field is absent. There but empty or unreadable, it allows nothing."""
        if "allowed-tools" not in self.fields:
            return None
        return tools.parse(self.fields["allowed-tools"])

    @property
    def disallowed_tools(self) -> AllowedTools:
        return tools.parse(self.fields.get("disallowed-tools"))

    @property
    def tags(self) -> tuple[str, ...]:
        value = self.fields.get("tags")
        items = value.split(",") if isinstance(value, str) else value if isinstance(value, list) else []
        return tuple(item.strip() for item in items if isinstance(item, str) and item.strip())

    @property
    def priority(self) -> int:
        value = self.fields.get("priority")
        return value if isinstance(value, int) and not isinstance(value, bool) else 0

    @property
    def is_hidden_from_model(self) -> bool:
        return self.fields.get("disable-model-invocation") is True

    def _text(self, name: str) -> str | None:
        value = self.fields.get(name)
        return value.strip() or None if isinstance(value, str) else None


def load(data: bytes, *, folder: str | None = None) -> Document:
    """Read any bytes leniently; never raises. `folder` is the name of the skill's folder, when it has one."""
    if len(data) > MAX_BYTES:
        return _unloadable(
            data,
            folder,
            Diagnostic(Reason.TOO_LARGE, "file", 1, f"The file is larger than {MAX_BYTES} bytes."),
        )
    if b"\0" in data:
        return _unloadable(
            data, folder, Diagnostic(Reason.NOT_TEXT, "file", 1, "The file is not text: it holds NUL bytes.")
        )
    try:
        text = data.removeprefix(_BYTE_ORDER_MARK).decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return _unloadable(
            data, folder, Diagnostic(Reason.NOT_TEXT, "file", line, "The file is not UTF-8 text.")
        )
    parts = split(text)
    notes = _notes_on_form(data, parts)
    try:
        fields, mended = _read_leniently(parts.yaml or "")
    except BadYaml as error:
        line = parts.yaml_line + error.line - 1
        return _unloadable(data, folder, Diagnostic(Reason.BAD_YAML, "front matter", line, error.message))
    if mended is not None:
        notes.append(
            _note(
                "mended_yaml",
                f"Read by putting quotes and spaces where they were missing. {mended.message}",
                parts.yaml_line + mended.line - 1,
            )
        )
    lines = {name: parts.yaml_line + line - 1 for name, line in fields.lines.items()}
    document = Document(data, folder, None, fields.values, lines, parts.body, parts.body_line, tuple(notes))
    if document.description:
        return document
    absent = Diagnostic(Reason.NO_DESCRIPTION, "description", 1, "The file says nowhere what the skill does.")
    return Document(
        data,
        folder,
        Reason.NO_DESCRIPTION,
        fields.values,
        lines,
        parts.body,
        parts.body_line,
        (*notes, absent),
    )


def first_paragraph(body: str) -> str:
    """The first prose of a Markdown text as one line, at most 1,024 characters; "" when there is none."""
    text = body[:_FIRST_PART].replace("\r\n", "\n").replace("\r", "\n")
    for block in _PARAGRAPH_END.split(text):
        lines = [line.strip() for line in block.split("\n")]
        while lines and (not lines[0] or lines[0].startswith("#")):
            lines.pop(0)
        if lines and not lines[0].startswith(_NO_PROSE):
            return " ".join(filter(None, lines))[:1024].strip()
    return ""


def _read_leniently(text: str) -> tuple[Fields, BadYaml | None]:
    """The fields, and what was wrong before it was mended."""
    try:
        return read_fields(text), None
    except BadYaml as error:
        if not error.is_syntax:
            raise
        mended = mend(text)
        if mended == text:
            raise
        try:
            return read_fields(mended), error
        except BadYaml:
            raise error from None


def _notes_on_form(data: bytes, parts: Parts) -> list[Diagnostic]:
    notes: list[Diagnostic] = []
    if data.startswith(_BYTE_ORDER_MARK):
        notes.append(_note("byte_order_mark", "The file starts with a byte-order mark.", at="file"))
    if b"\r" in data:
        line = data.count(b"\n", 0, data.find(b"\r")) + 1
        message = "Lines end with carriage returns."
        notes.append(Diagnostic("carriage_returns", "file", line, message, Severity.NOTE))
    if parts.yaml is None:
        notes.append(_note("no_front_matter", "There is no front matter between two lines of ---."))
    elif not parts.is_closed:
        notes.append(_note("unclosed_front_matter", "No line of --- ends the front matter."))
    if parts.yaml is not None and parts.yaml_line > 2:
        notes.append(_note("late_front_matter", "Empty lines stand before the front matter."))
    return notes


def _note(code: str, message: str, line: int = 1, *, at: str = "front matter") -> Diagnostic:
    return Diagnostic(code, at, line, message, Severity.WARNING)


def _unloadable(data: bytes, folder: str | None, problem: Diagnostic) -> Document:
    return Document(data, folder, Reason(problem.code), notes=(problem,))
