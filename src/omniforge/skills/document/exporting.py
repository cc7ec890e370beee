"""A document in the form another reader expects, and what was changed for it (pure)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from omniforge.core.errors import Invalid
from omniforge.skills.allowed_tools import AllowedTools
from omniforge.skills.document.front_matter import Value
from omniforge.skills.document.profiles import (
    FIELDS,
    MAX_DESCRIPTION,
    MAX_NAME,
    MAX_SUMMARY,
    RESERVED_NAMES,
    Profile,
)
from omniforge.skills.document.reading import Diagnostic, Document, Severity
from omniforge.skills.document.writing import render

SKILL_FILE = "SKILL.md"


class ExportForm(StrEnum):
    ORIGINAL = "original"
    OMNIFORGE = "omniforge"
    PORTABLE = "portable"
    CLAUDE_CODE = "claude-code"


@dataclass(frozen=True, slots=True)
class Exported:
    """`name` is the folder the files belong into; `notes` say what differs from the skill as it is here."""

    name: str
    files: Mapping[str, bytes]
    notes: tuple[Diagnostic, ...] = ()

    @property
    def content(self) -> bytes:
        return self.files[SKILL_FILE]


CLAUDE_CODE_TOOLS = (
    *("Read", "Write", "Edit", "Glob", "Grep", "Bash", "WebFetch", "WebSearch"),
    *("Skill", "Agent", "NotebookEdit"),
)
_OURS_UNDER_METADATA = ("priority", "tags", "model", "context", "user-invocable")
_FOREIGN_UNDER_METADATA = ("author", "version", "source")
_ANGLES = {ord("<"): "\u2039", ord(">"): "\u203a"}
_WHEN_TO_USE = re.compile(r"^#{1,6}[ \t]*when to use[^\n]*\n(.*?)(?=^#{1,6}[ \t]|\Z)", re.I | re.M | re.S)


def export(document: Document, form: ExportForm | str, files: Mapping[str, bytes] | None = None) -> Exported:
    """The skill in a form. Only SKILL.md changes; `original` keeps every byte. ValueError: no such form.

    `Invalid` for a document that could not be loaded, except as `original`.
    """
    form = ExportForm(form)
    others = {path: data for path, data in (files or {}).items() if path != SKILL_FILE}
    if form is ExportForm.ORIGINAL:
        return Exported(document.name or "skill", {SKILL_FILE: document.data, **others})
    if not document.loadable:
        raise Invalid("This file cannot be read, so it can only be exported as it is.", code="skill_invalid")
    name = portable_name(document.name or "")
    notes: list[Diagnostic] = []
    if name != document.name:
        notes.append(_note(document, "name", f"the name was written as {name}"))
    match form:
        case ExportForm.OMNIFORGE:
            fields, body = _omniforge(document, name, notes)
        case ExportForm.PORTABLE:
            fields, body = _portable(document, name, notes), document.body
        case ExportForm.CLAUDE_CODE:
            fields, body = _claude_code(document, name, notes), document.body
    return Exported(name, {SKILL_FILE: render(fields, body), **others}, tuple(notes))


def portable_name(name: str) -> str:
    """The nearest name every reader takes: ASCII, single inner hyphens, at most 64 characters."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    words = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:MAX_NAME].strip("-")
    if not words or not words[0].isalpha():
        words = f"skill-{words}"[:MAX_NAME].strip("-")
    return f"{words}-skill" if words in RESERVED_NAMES else words


def shorten(text: str, longest: int) -> str:
    """The first sentence if it fits, else as many whole words as do."""
    line = " ".join(text.split())
    if len(line) <= longest:
        return line
    sentence = re.match(r"(.+?[.!?])(?:\s|$)", line)
    if sentence and len(sentence[1]) <= longest:
        return sentence[1]
    words = line[: longest + 1].rpartition(" ")[0].rstrip(" ,;:-") or line[:longest]
    return words[:longest]


def _omniforge(document: Document, name: str, notes: list[Diagnostic]) -> tuple[dict[str, Value], str]:
    whole = _summary(document)
    summary = shorten(whole, MAX_SUMMARY)
    body = document.body
    if summary != whole:
        body = f"{body.rstrip()}\n\n## When to use\n\n{whole}\n".lstrip("\n")
        notes.append(_note(document, "description", "it was shortened; the whole text is in the body"))
    fields: dict[str, Value] = {"name": name, "description": summary}
    if document.allowed_tools is not None:
        fields["allowed-tools"] = _as_list(document.allowed_tools)
    for field in ("model", "context", "user-invocable", "priority", "tags"):
        value: Value = list(document.tags) if field == "tags" else document.fields.get(field)
        fits = not list(FIELDS[Profile.OMNIFORGE][field](value))
        if field in document.fields and fits:
            fields[field] = value
    _note_left_out(document, fields, notes)
    return fields, body


def _portable(document: Document, name: str, notes: list[Diagnostic]) -> dict[str, Value]:
    fields: dict[str, Value] = {"name": name, "description": _portable_description(document, notes)}
    if document.allowed_tools is not None:
        fields["allowed-tools"] = " ".join(map(str, document.allowed_tools))
    for field, longest in (("license", 500), ("compatibility", 500)):
        value = document.fields.get(field)
        if isinstance(value, str) and value.strip():
            fields[field] = shorten(_without_controls(value), longest)
    metadata: dict[str, Value] = {}
    given = document.fields.get("metadata")
    for key, value in given.items() if isinstance(given, dict) else ():
        if isinstance(value, str | int):
            metadata[_without_controls(key)] = _as_text(value)
    for field in (*_FOREIGN_UNDER_METADATA, *_OURS_UNDER_METADATA):
        value = ", ".join(document.tags) if field == "tags" else document.fields.get(field)
        if field in document.fields and isinstance(value, str | int) and value != "":
            metadata[f"omniforge-{field}" if field in _OURS_UNDER_METADATA else field] = _as_text(value)
    if metadata:
        fields["metadata"] = metadata
    kept = {*fields, *(key.removeprefix("omniforge-") for key in metadata)}
    _note_left_out(document, kept, notes)
    return fields


def _portable_description(document: Document, notes: list[Diagnostic]) -> str:
    """Summary and the occasion to use it, without angle brackets, cut between words only."""
    summary = _summary(document)
    occasion = document.fields.get("when_to_use")
    if not isinstance(occasion, str) or not occasion.strip():
        section = _WHEN_TO_USE.search(document.body[:65_536].replace("\r\n", "\n"))
        occasion = section[1].strip().partition("\n\n")[0] if section else ""
    words = " ".join(re.sub(r"^[-*+] ", "", line.strip()) for line in occasion.splitlines())
    words = " ".join(_without_controls(words).split())
    text = summary
    if words and words != summary and "use when" not in summary.lower():
        end = "" if summary.endswith((".", "!", "?")) else "."
        lead = re.match(r"use (?:this skill |this |it )?when(?:ever)?\s+", words, re.I)
        rest = words[lead.end() :] if lead else words[:1].lower() + words[1:]
        text = f"{summary}{end} Use when {rest}"
    plain = text.translate(_ANGLES)
    if len(plain) > MAX_DESCRIPTION:
        notes.append(_note(document, "description", f"it was cut to {MAX_DESCRIPTION} characters"))
        plain = plain[: MAX_DESCRIPTION + 1].rpartition(" ")[0] or plain[:MAX_DESCRIPTION]
    return plain


def _claude_code(document: Document, name: str, notes: list[Diagnostic]) -> dict[str, Value]:
    checks = FIELDS[Profile.CLAUDE_CODE]
    fields: dict[str, Value] = {"name": name, "description": _summary(document)}
    for field, value in document.fields.items():
        if field not in {"name", "description", "priority", "tags", "allowed-tools", "disallowed-tools"}:
            check = checks.get(field)
            problems = list(check(value)) if check else [None]
            if not any(problem is None or problem.severity is Severity.ERROR for problem in problems):
                fields[field] = value
    allowed, refused = document.allowed_tools, document.disallowed_tools
    if allowed is not None:
        fields["allowed-tools"] = _as_list(allowed)
        named = {rule.tool for rule in allowed}
        rest: list[Value] = [tool for tool in CLAUDE_CODE_TOOLS if tool not in named]
        fields["disallowed-tools"] = [*rest, *(str(rule) for rule in refused if str(rule) not in rest)]
        notes.append(
            _note(
                document,
                "allowed-tools",
                "Claude Code only pre-approves these; the others are listed as disallowed-tools. "
                "Patterns do not restrict there",
            )
        )
    elif len(refused):
        fields["disallowed-tools"] = _as_list(refused)
    _note_left_out(document, fields, notes)
    return fields


def _note_left_out(document: Document, kept: Mapping[str, Value] | set[str], notes: list[Diagnostic]) -> None:
    notes += [_note(document, field, "it was left out") for field in document.fields if field not in kept]


def _summary(document: Document) -> str:
    """The description on one line; where only control characters stood, the name has to do."""
    return " ".join(_without_controls(document.description).split()) or f"Skill {document.name or ''}".strip()


def _as_list(tools: AllowedTools) -> list[Value]:
    return [str(rule) for rule in tools]


def _as_text(value: str | int) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return _without_controls(str(value))


def _without_controls(text: str) -> str:
    """Line breaks become spaces; other control characters go."""
    return "".join(
        " " if char.isspace() else char
        for char in text
        if char.isspace() or unicodedata.category(char) != "Cc"
    )


def _note(document: Document, field: str, what: str) -> Diagnostic:
    message = f"{field[:80]}: {what}."
    return Diagnostic("exported", field[:80], document.lines.get(field, 1), message, Severity.NOTE)
