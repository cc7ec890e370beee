"""What a SKILL.md may hold, per profile: one table of fields, and every problem with its field and line."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from omniforge.skills import allowed_tools as tools
from omniforge.skills.document.front_matter import Value
from omniforge.skills.document.reading import Diagnostic, Document, Reason, Severity
from omniforge.skills.document.references import check_references


class Profile(StrEnum):
    """Whose rules a file follows: ours, the open standard's, or those of Claude Code."""

    OMNIFORGE = "omniforge"
    PORTABLE = "portable"
    CLAUDE_CODE = "claude-code"


MAX_NAME = 64
MAX_SUMMARY = 80
MAX_DESCRIPTION = 1024
MAX_BODY_LINES = 500
RESERVED_NAMES = frozenset({"skill", "agent", "tool", "system", "admin", "root"})
FORBIDDEN_FIELDS = frozenset(
    {"schedule", "trigger", "created-by", "source", "author", "created-at", "updated-at"}
)
NAME = re.compile(r"[a-z][a-z0-9-]*")
_MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,199}")
_STRICT = (Profile.OMNIFORGE, Profile.PORTABLE)


@dataclass(frozen=True, slots=True)
class Problem:
    code: str
    message: str
    severity: Severity = Severity.ERROR


Check = Callable[[Value], Iterator[Problem]]


def _warn(code: str, message: str) -> Problem:
    return Problem(code, message, Severity.WARNING)


def _of_type(kind: type, words: str) -> Check:
    def check(value: Value) -> Iterator[Problem]:
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            yield Problem("wrong_type", f"must be {words}")

    return check


def _one_of(*choices: str) -> Check:
    def check(value: Value) -> Iterator[Problem]:
        if value not in choices:
            yield Problem("bad_value", f"must be {' or '.join(choices)}")

    return check


def _text(longest: int | None = None, *, one_line: bool = False) -> Check:
    def check(value: Value) -> Iterator[Problem]:
        if not isinstance(value, str):
            yield Problem("wrong_type", "must be text (put it in quotes)")
            return
        if longest is not None and not 1 <= len(value.strip()) <= longest:
            yield Problem("bad_length", f"must have 1 to {longest} characters, has {len(value.strip())}")
        if one_line and len(value.strip().splitlines()) > 1:
            yield Problem("not_one_line", "must be one line")
        if any(unicodedata.category(char) == "Cc" and char not in "\t\n\r" for char in value):
            yield Problem("control_character", "must not hold control characters")

    return check


def _name_omniforge(value: Value) -> Iterator[Problem]:
    if not isinstance(value, str):
        yield Problem("wrong_type", "must be text (put it in quotes)")
        return
    if not NAME.fullmatch(value):
        rule = "lower-case letters, digits and hyphens, starting with a letter"
        yield Problem("bad_name", f"must be {rule}")
    if not 1 <= len(value) <= MAX_NAME:
        yield Problem("bad_length", f"must have 1 to {MAX_NAME} characters, has {len(value)}")
    if value in RESERVED_NAMES:
        yield Problem("reserved_name", f"must not be {value!r}: that word is reserved")


def _name_portable(value: Value) -> Iterator[Problem]:
    if not isinstance(value, str):
        yield Problem("wrong_type", "must be text (put it in quotes)")
        return
    name = unicodedata.normalize("NFKC", value.strip())
    if not 1 <= len(name) <= MAX_NAME:
        yield Problem("bad_length", f"must have 1 to {MAX_NAME} characters, has {len(name)}")
    if name != name.lower() or not all(char.isalnum() or char == "-" for char in name):
        yield Problem("bad_name", "must be lower-case letters, digits and hyphens")
    if name.startswith("-") or name.endswith("-") or "--" in name:
        yield Problem("bad_name", "must have single hyphens, and only inside")
    if not name.isascii():
        yield _warn("not_ascii", "is best written in ASCII: not every reader takes other letters")


def _name_claude_code(value: Value) -> Iterator[Problem]:
    if not isinstance(value, str):
        yield Problem("wrong_type", "must be text (put it in quotes)")
    elif not re.fullmatch(r"[a-z0-9-]{1,64}", value):
        yield _warn("bad_name", "should be at most 64 lower-case letters, digits and hyphens")


def _description_portable(value: Value) -> Iterator[Problem]:
    yield from _text(MAX_DESCRIPTION)(value)
    if isinstance(value, str) and ("<" in value or ">" in value):
        yield _warn("angle_brackets", "is best written without < and >: not every reader takes them")


def _description_claude_code(value: Value) -> Iterator[Problem]:
    yield from _text()(value)
    if isinstance(value, str) and len(value) > MAX_DESCRIPTION:
        yield _warn("bad_length", f"is cut after {MAX_DESCRIPTION} characters, has {len(value)}")


def _tools(value: Value) -> Iterator[Problem]:
    read = tools.parse(value)
    if not isinstance(value, str | list | None):
        yield Problem("wrong_type", "must be a list of tools, or a string of them")
        return
    for problem in read.problems:
        yield Problem("bad_tool", f"holds an entry that cannot be read: {problem}")
    for unknown in read.unknown:
        yield _warn("unknown_tool", f"names a tool that is not known here: {unknown}")


def _tools_omniforge(value: Value) -> Iterator[Problem]:
    if isinstance(value, list):
        yield from _tools(value)
    else:
        yield Problem("wrong_type", "must be a list")


def _tools_portable(value: Value) -> Iterator[Problem]:
    if not isinstance(value, str):
        yield Problem("wrong_type", "must be one string with spaces between the tools")
        return
    yield from _tools(value)
    if "," in re.sub(r"\([^()]*\)", "", value):
        yield Problem("bad_value", "must have spaces, not commas, between the tools")


def _model(*, may_inherit: bool) -> Check:
    def check(value: Value) -> Iterator[Problem]:
        if not isinstance(value, str) or not _MODEL.fullmatch(value):
            yield Problem("bad_value", "must be an alias or the id of a model")
        elif value == "inherit" and not may_inherit:
            yield Problem("bad_value", "must be an alias or the id of a model; leave it out to inherit")

    return check


def _tags(value: Value) -> Iterator[Problem]:
    if not isinstance(value, list) or not all(isinstance(item, str) and item.strip() for item in value):
        yield Problem("wrong_type", "must be a list of words")


def _metadata(value: Value) -> Iterator[Problem]:
    if not isinstance(value, dict):
        yield Problem("wrong_type", "must be a map of text to text")
        return
    for key, item in value.items():
        if not isinstance(item, str):
            yield Problem("wrong_type", f"must map text to text; put the value of {key!r} in quotes")


def _anything(_value: Value) -> Iterator[Problem]:
    return iter(())


def _ignored(_value: Value) -> Iterator[Problem]:
    yield Problem("ignored", "is not read by Claude Code", Severity.NOTE)


_FLAG = _of_type(bool, "true or false")

FIELDS: Mapping[Profile, Mapping[str, Check]] = {
    Profile.OMNIFORGE: {
        "name": _name_omniforge,
        "description": _text(MAX_SUMMARY, one_line=True),
        "allowed-tools": _tools_omniforge,
        "model": _model(may_inherit=False),
        "context": _one_of("inherit", "fork"),
        "user-invocable": _FLAG,
        "priority": _of_type(int, "a whole number"),
        "tags": _tags,
    },
    Profile.PORTABLE: {
        "name": _name_portable,
        "description": _description_portable,
        "allowed-tools": _tools_portable,
        "license": _text(),
        "compatibility": _text(500),
        "metadata": _metadata,
    },
    Profile.CLAUDE_CODE: {
        "name": _name_claude_code,
        "description": _description_claude_code,
        "allowed-tools": _tools,
        "disallowed-tools": _tools,
        "model": _model(may_inherit=True),
        "context": _one_of("fork"),
        "user-invocable": _FLAG,
        "disable-model-invocation": _FLAG,
        "priority": _ignored,
        "tags": _ignored,
        **dict.fromkeys(("license", "compatibility", "metadata", "when_to_use", "argument-hint"), _anything),
        **dict.fromkeys(("arguments", "agent", "effort", "background", "hooks", "paths", "shell"), _anything),
    },
}


def validate(
    document: Document,
    profile: Profile | str,
    *,
    folder: str | None = None,
    files: Collection[str] | None = None,
) -> list[Diagnostic]:
    """Every problem, by line; empty means valid. `files`: paths in the skill's folder, to check references.

    Only `error` makes a file invalid. ValueError for a profile that does not exist.
    """
    profile = Profile(profile)
    found = list(_on_form(document, profile))
    if document.reason in {None, Reason.NO_DESCRIPTION}:
        found += _on_required(document, profile)
        for name, value in document.fields.items():
            found += _on_field(document, profile, name, value)
        found += _on_address(document, profile, folder or document.folder)
        found += _on_body(document, profile)
        severity = Severity.ERROR if profile is Profile.OMNIFORGE else Severity.WARNING
        found += check_references(document, files, severity)
    return sorted(found, key=lambda diagnostic: diagnostic.line)


def is_valid(diagnostics: Collection[Diagnostic]) -> bool:
    return not any(diagnostic.severity is Severity.ERROR for diagnostic in diagnostics)


def _on_form(document: Document, profile: Profile) -> Iterator[Diagnostic]:
    """What reading noted: forgiven on import, but a strict reader does not forgive it."""
    for note in document.notes:
        if note.code == Reason.NO_DESCRIPTION and profile in _STRICT:
            continue  # said as a missing field
        strict = profile in _STRICT and note.severity is Severity.WARNING
        severity = Severity.ERROR if strict else note.severity
        yield Diagnostic(note.code, note.field, note.line, note.message, severity)


def _on_required(document: Document, profile: Profile) -> Iterator[Diagnostic]:
    if profile in _STRICT:
        for name in ("name", "description"):
            value = document.fields.get(name)
            if value is None or (isinstance(value, str) and not value.strip()):
                line = document.lines.get(name, 1)
                yield Diagnostic("missing_field", name, line, f"Missing required field: {name}")


def _on_field(document: Document, profile: Profile, name: str, value: Value) -> Iterator[Diagnostic]:
    line = document.lines.get(name, 1)
    check = FIELDS[profile].get(name)
    if check is None:
        yield _on_foreign(profile, name, line)
    elif profile in _STRICT and name in {"name", "description"} and _is_blank(value):
        return  # said as a missing field
    else:
        for problem in check(value):
            message = f"{name} {problem.message}"
            yield Diagnostic(problem.code, name, line, message, problem.severity)


def _is_blank(value: Value) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _on_foreign(profile: Profile, name: str, line: int) -> Diagnostic:
    shown = name[:80] or '""'
    match profile:
        case Profile.OMNIFORGE if name in FORBIDDEN_FIELDS:
            return Diagnostic("forbidden_field", shown, line, f"Forbidden field in SKILL.md: {shown}")
        case Profile.OMNIFORGE:
            return Diagnostic("unknown_field", shown, line, f"Unknown field: {shown}")
        case Profile.PORTABLE:
            message = f"Unknown field: {shown} (other values belong under metadata)"
            return Diagnostic("unknown_field", shown, line, message)
        case Profile.CLAUDE_CODE:
            message = f"{shown} is not read by Claude Code"
            return Diagnostic("ignored", shown, line, message, Severity.NOTE)


def _on_address(document: Document, profile: Profile, folder: str | None) -> Iterator[Diagnostic]:
    name = document.fields.get("name")
    if folder is None or not isinstance(name, str) or not name.strip():
        return
    if unicodedata.normalize("NFKC", name.strip()) != unicodedata.normalize("NFKC", folder):
        severity = Severity.ERROR if profile is Profile.PORTABLE else Severity.WARNING
        message = f"name is {name.strip()[:80]!r}, the folder {folder!r}: the folder's name is what counts"
        yield Diagnostic("name_differs", "name", document.lines.get("name", 1), message, severity)


def _on_body(document: Document, profile: Profile) -> Iterator[Diagnostic]:
    body = document.body.replace("\r\n", "\n").replace("\r", "\n")
    if not body.strip():
        message = "The body is empty: nothing says how the work is done."
        yield Diagnostic("empty_body", "body", document.body_line, message, Severity.WARNING)
    count = body.count("\n") + (not body.endswith("\n") and bool(body))
    if count > MAX_BODY_LINES:
        severity = Severity.ERROR if profile is Profile.OMNIFORGE else Severity.WARNING
        line = document.body_line + MAX_BODY_LINES
        message = f"The body has {count} lines; at most {MAX_BODY_LINES} are read well."
        yield Diagnostic("long_body", "body", line, message, severity)
