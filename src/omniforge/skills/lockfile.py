"""Which skills were put into a project, in which version, and the hash of what they were then."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from omniforge.core.errors import Invalid
from omniforge.skills import folders, place
from omniforge.skills.document import SKILL_FILE, load
from omniforge.skills.errors import SkillNotFound
from omniforge.skills.resolver import Root, Skill

FORMAT = 1
FILE_NAME = "skills.lock"


class State(StrEnum):
    SAME = "same"
    CHANGED = "changed"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Locked:
    """`sha256` is over all paths and bytes of the folder; `source` says where it came from."""

    version: str
    sha256: str
    source: str


def lock_of(root: Root) -> Path:
    """Beside the folder of skills: `.omniforge/skills.lock`, `~/.omniforge/skills.lock`."""
    return root.path.parent / FILE_NAME


def read(path: Path) -> dict[str, Locked]:
    """By name; empty when there is no such file. `Invalid` when somebody broke it."""
    try:
        found: Any = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except ValueError:
        found = None
    try:
        entries: Any = found["skills"] if found["format"] == FORMAT else None
        return {
            str(name): Locked(str(entry["version"]), str(entry["sha256"]), str(entry["source"]))
            for name, entry in entries.items()
        }
    except (TypeError, KeyError, AttributeError):
        message = f"{path} is not the list of installed skills it should be. Mend it or take it away."
        raise Invalid(message, code="lock_damaged", path=str(path)) from None


def write(path: Path, entries: Mapping[str, Locked]) -> None:
    """Wholly or not at all; the same entries give the same bytes."""
    skills = {
        name: {"version": entry.version, "sha256": entry.sha256, "source": entry.source}
        for name, entry in sorted(entries.items())
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{FILE_NAME}.")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(json.dumps({"format": FORMAT, "skills": skills}, indent=2, ensure_ascii=False) + "\n")
        file.flush()
        os.fsync(file.fileno())
    Path(draft).replace(path)


def state_of(root: Root, name: str, locked: Locked) -> State:
    files = files_at(root, name)
    if files is None:
        return State.MISSING
    return State.SAME if folders.content_hash(files) == locked.sha256 else State.CHANGED


def files_at(root: Root, name: str) -> dict[str, bytes] | None:
    """What lies there under this name now; None when nothing does."""
    skill = Skill(name, root, root.path / name / SKILL_FILE, load(b""))
    try:
        return place.read(skill)
    except SkillNotFound:
        return None
