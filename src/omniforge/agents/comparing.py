"""How two versions of an agent differ: settings by field, skills by text (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import unified_diff
from typing import Any, cast

from omniforge.agents.content import SkillReference, Snapshot
from omniforge.agents.version_schemas import Change, FileChange, SettingChange, SkillChange

MOST_LINES = 2_000
"""Lines of difference that are shown of one file."""
Files = Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two. files: step key → the files of its skill."""

    snapshot: Snapshot
    files: Mapping[str, Files]


def setting_changes(before: Snapshot, after: Snapshot) -> list[SettingChange]:
    """Fields that differ, those of the agent first, then those of each skill's use."""
    old, new = _settings(before), _settings(after)
    names = [*old, *(name for name in new if name not in old)]
    return [
        SettingChange(field=name, before=old.get(name), after=new.get(name))
        for name in names
        if old.get(name) != new.get(name)
    ]


def skill_changes(before: Side, after: Side) -> list[SkillChange]:
    """Skills that came, went, or have other files; those of both sides in the order of the newer one."""
    old = {reference.key: reference for reference in before.snapshot.content.skills}
    new = {reference.key: reference for reference in after.snapshot.content.skills}
    found: list[SkillChange] = []
    for key in [*new, *(key for key in old if key not in new)]:
        files = file_changes(before.files.get(key, {}), after.files.get(key, {}))
        if key not in old:
            found.append(_skill(new[key], Change.ADDED, files))
        elif key not in new:
            found.append(_skill(old[key], Change.REMOVED, files))
        elif files:
            found.append(_skill(new[key], Change.CHANGED, files))
    return found


def file_changes(before: Files, after: Files) -> list[FileChange]:
    """Files that differ, by path."""
    found: list[FileChange] = []
    for path in sorted(before.keys() | after.keys()):
        old, new = before.get(path), after.get(path)
        if old == new:
            continue
        change = Change.ADDED if old is None else Change.REMOVED if new is None else Change.CHANGED
        found.append(FileChange(path=path, change=change, lines=_lines(old or b"", new or b"")))
    return found


def _lines(before: bytes, after: bytes) -> list[str]:
    try:
        old, new = before.decode(), after.decode()
    except UnicodeDecodeError:
        return []
    lines = list(unified_diff(old.splitlines(), new.splitlines(), lineterm="", n=1))[2:]
    if len(lines) > MOST_LINES:
        return [*lines[:MOST_LINES], f"… and {len(lines) - MOST_LINES} more lines"]
    return lines


def _skill(reference: SkillReference, change: Change, files: list[FileChange]) -> SkillChange:
    return SkillChange(key=reference.key, name=reference.name, change=change, files=files)


def _settings(snapshot: Snapshot) -> dict[str, Any]:
    whole = snapshot.content.model_dump(mode="json")
    uses = {str(use["key"]): use for use in whole.pop("skills")}
    return _flat(whole) | _flat({"skills": uses})


def _flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested objects as dotted fields; lists and empty objects are values."""
    found: dict[str, Any] = {}
    for name, part in value.items():
        if isinstance(part, dict) and part:
            found |= _flat(cast("dict[str, Any]", part), f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = part
    return found
