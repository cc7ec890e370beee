"""An archive, a file or a folder from outside as the skills in it: lenient, and it says what it did."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from omniforge.core.errors import Invalid
from omniforge.skills import folders
from omniforge.skills.document import (
    MAX_BYTES,
    NAME,
    SKILL_FILE,
    Diagnostic,
    Document,
    Profile,
    Severity,
    load,
    portable_name,
    validate,
)
from omniforge.skills.document.profiles import FORBIDDEN_FIELDS, MAX_NAME, RESERVED_NAMES
from omniforge.skills.findings import Finding
from omniforge.skills.intake.archives import is_archive, unpack
from omniforge.skills.intake.risks import risks

MAX_SKILLS = 50
_SHOWN_FOREIGN = (*sorted(FORBIDDEN_FIELDS), "license", "version", "compatibility", "hooks", "homepage")
_WORTHLESS = frozenset({"__MACOSX", "__pycache__", ".DS_Store", "Thumbs.db", ".git"})
_MAX_SHOWN = 500


@dataclass(frozen=True, slots=True)
class Incoming:
    """A skill as it came. `files` are the bytes as they were; `foreign` what is shown and never obeyed."""

    name: str
    files: Mapping[str, bytes]
    document: Document
    diagnostics: Sequence[Diagnostic]
    findings: Sequence[Finding]
    foreign: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def hash(self) -> str:
        return folders.content_hash(self.files)


def read_source(data: bytes, label: str = "") -> list[Incoming]:
    """The skills in an archive, or in one file that is a SKILL.md. `label`: what the source is called.

    `UnsafeArchive`, `PayloadTooLarge`, or `Invalid` when there is no skill in it.
    """
    if is_archive(data):
        return read_files(unpack(data), label)
    if len(data) > MAX_BYTES:
        raise Invalid(f"A SKILL.md has at most {MAX_BYTES} bytes.", code="skill_too_large")
    return [_incoming({SKILL_FILE: data}, "", _stem(label), [])]


def read_files(files: Mapping[str, bytes], label: str = "") -> list[Incoming]:
    """The skills among the files of a folder or archive: each is a folder with a SKILL.md."""
    homes = _homes(files)
    if not homes:
        raise Invalid(f"There is no {SKILL_FILE} in this.", code="no_skill_found")
    if len(homes) > MAX_SKILLS:
        raise Invalid(f"There are more than {MAX_SKILLS} skills in this.", code="too_many_skills")
    found: list[Incoming] = []
    for home, file in homes.items():
        prefix = f"{home}/" if home else ""
        inside = {path[len(prefix) :]: files[path] for path in sorted(files) if path.startswith(prefix)}
        notes: list[Diagnostic] = []
        kept = _kept(inside, file, notes)
        folder = home.rpartition("/")[2]
        found.append(_incoming(kept, folder, _stem(label), notes))
    return _named_apart(found)


def _homes(files: Mapping[str, bytes]) -> dict[str, str]:
    """Outermost folders with a SKILL.md, and how that file is spelled there."""
    spelled: dict[str, str] = {}
    for path in sorted(files):
        home, _, name = path.rpartition("/")
        is_skill = name.lower() == "skill.md" and not _WORTHLESS & set(path.split("/"))
        if is_skill and (name == SKILL_FILE or home not in spelled):
            spelled[home] = name
    return {
        home: name
        for home, name in spelled.items()
        if not any(home != other and (not other or home.startswith(f"{other}/")) for other in spelled)
    }


def _kept(inside: Mapping[str, bytes], skill_file: str, notes: list[Diagnostic]) -> dict[str, bytes]:
    """The files that a folder here can hold; of the others it is said that they were left out."""
    kept: dict[str, bytes] = {SKILL_FILE: inside[skill_file][: MAX_BYTES + 1]}
    if skill_file != SKILL_FILE:
        notes.append(_note("renamed", f"The file {skill_file} was taken as {SKILL_FILE}."))
    for path, data in inside.items():
        if path in {SKILL_FILE, skill_file} or _WORTHLESS & set(path.split("/")):
            continue
        if len(kept) == folders.MAX_FILES:
            notes.append(_note("left_out", f"Only the first {folders.MAX_FILES} files were taken."))
            break
        try:
            folders.check_files({SKILL_FILE: b"", path: data})
            folders.check_files({**kept, path: data})
        except Invalid as error:
            notes.append(_note("left_out", f"{path[:120]!r} was left out: {_rule(error)}."))
        else:
            kept[path] = data
    return kept


def _rule(error: Invalid) -> str:
    fields: list[dict[str, Any]] = error.details.get("fields", [])
    return str(fields[0]["rule"]) if fields else error.message


def _note(code: str, message: str) -> Diagnostic:
    return Diagnostic(code, "file", 1, message, Severity.WARNING)


def _incoming(files: dict[str, bytes], folder: str, stem: str, notes: list[Diagnostic]) -> Incoming:
    data = files[SKILL_FILE]
    said = load(data).name or ""
    name = _usable(folder) or _usable(said) or portable_name(folder or said or stem or "imported-skill")
    document = load(data, folder=name)
    if folder and folder != name:
        notes.append(_note("renamed", f"The folder {folder[:80]!r} was taken as {name!r}."))
    problems = validate(document, Profile.OMNIFORGE, folder=name, files=files.keys())
    return Incoming(name, files, document, [*notes, *problems], risks(files), _foreign(document))


def _usable(name: str) -> str:
    good = NAME.fullmatch(name) and len(name) <= MAX_NAME and name not in RESERVED_NAMES
    return name if good else ""


def _stem(label: str) -> str:
    """`pdf tools-main.tar.gz` → `pdf tools-main`; a SKILL.md on its own says nothing."""
    name = re.sub(r"(?i)(\.(?:zip|tar|tgz|gz|bz2|xz|md|skill|txt))+$", "", re.split(r"[/\\]", label)[-1])
    return "" if name.lower() == "skill" else name[:200]


def _named_apart(found: list[Incoming]) -> list[Incoming]:
    names = [each.name for each in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise Invalid(
            f"There are several skills called {twice[0]} in this; import them one by one.",
            code="duplicate_name",
            names=twice,
        )
    return found


def _foreign(document: Document) -> dict[str, Any]:
    """Metadata of others: author, source, version, licence, schedule … as short text."""
    metadata = document.fields.get("metadata")
    given = {**(metadata if isinstance(metadata, dict) else {}), **document.fields}
    found: dict[str, Any] = {}
    for key in _SHOWN_FOREIGN:
        value = given.get(key)
        if value not in (None, "", [], {}):
            text = " ".join(str(value).split())[:_MAX_SHOWN]
            found[key] = text.encode("utf-8", "replace").decode()
    return found
