"""What may be written as a skill: a name, a set of files, a SKILL.md that follows the rules (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from omniforge.core.errors import Invalid
from omniforge.skills import folders
from omniforge.skills.document import SKILL_FILE, Diagnostic, Profile, Severity, is_valid, load, validate
from omniforge.skills.errors import SkillInvalid

_MAX_SHOWN = 50


class Origin(StrEnum):
    """Where the content of a version came from."""

    CUSTOM = "custom"
    GENERATED = "generated"
    IMPORTED = "imported"
    FILE = "file"
    PUBLIC = "public"
    BUNDLED = "bundled"


def check_skill(name: str, files: Mapping[str, bytes], origin: Origin = Origin.CUSTOM) -> None:
    """`SkillInvalid` or `Invalid` unless a folder of this name and content may be written.

    Imported ones only need to be loadable: their problems are shown, not refused.
    """
    named = load(b"---\nname: " + name.encode("utf-8", "replace")[:200] + b"\n---\n")
    problems = [item for item in validate(named, Profile.OMNIFORGE) if item.field == "name"]
    if problems or named.fields.get("name") != name:
        rule = problems[0].message if problems else "name must be lower-case letters, digits and hyphens"
        raise Invalid(
            f"{rule}.", code="skill_invalid", fields=[{"field": "name", "value": name[:80], "rule": rule}]
        )
    folders.check_files(files)
    document = load(files[SKILL_FILE], folder=name)
    found = validate(document, Profile.OMNIFORGE, folder=name, files=files.keys())
    if not document.loadable or (origin is not Origin.IMPORTED and not is_valid(found)):
        errors = [item for item in found if item.severity is Severity.ERROR]
        shown = errors[:_MAX_SHOWN]
        raise SkillInvalid(
            f"The skill {name} is not valid: {errors[0].message}",
            fields=[{"field": item.field, "value": None, "rule": item.message} for item in shown],
            diagnostics=[as_json(item) for item in shown],
        )


def as_json(item: Diagnostic) -> dict[str, str | int]:
    return {
        "code": item.code,
        "field": item.field,
        "line": item.line,
        "message": item.message,
        "severity": item.severity.value,
    }
