"""A skill's files at their place in a root: read, replaced and removed under one lock per root."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from contextlib import suppress

from omniforge.core.errors import Conflict, Unavailable
from omniforge.skills import folders
from omniforge.skills.document import SKILL_FILE
from omniforge.skills.errors import SkillChanged, SkillNotFound
from omniforge.skills.resolver import Root, Skill


def read(skill: Skill) -> dict[str, bytes]:
    """Every file of a skill that was found; a flat one is just its text."""
    with suppress(FileNotFoundError), folders.open_folder(skill.root.base, *skill.root.steps) as parent:
        if skill.is_flat:
            data = folders.read_file_at(parent, skill.path.name)
            files = None if data is None else {SKILL_FILE: data}
        else:
            files = folders.read_tree(parent, skill.name)
        if files is not None:
            return files
    raise SkillNotFound.here(skill.name)


def replace(root: Root, name: str, files: Mapping[str, bytes], seen: Collection[str]) -> None:
    """The change on disk: compare, switch, read again. `seen`: hashes of what may be overwritten."""
    with folders.open_folder(root.base, *root.steps, create=True) as parent, folders.locked(parent):
        folders.remove_drafts(parent, name)
        _check_unchanged(parent, name, seen)
        folders.switch_tree(parent, name, files)
        _remove_flat(parent, name)
        written = folders.read_tree(parent, name)
        if written is None or folders.content_hash(written) != folders.content_hash(files):
            message = f"The skill {name} reads back differently from how it was written."
            raise Unavailable(message, code="not_written", name=name)


def remove(root: Root, name: str, seen: Collection[str]) -> None:
    """Take folder and flat form away, when they are what was `seen`."""
    with folders.open_folder(root.base, *root.steps) as parent, folders.locked(parent):
        folders.remove_drafts(parent, name)
        _check_unchanged(parent, name, seen)
        folders.remove_tree(parent, name)
        _remove_flat(parent, name)


def _remove_flat(parent: int, name: str) -> None:
    if folders.read_file_at(parent, f"{name}.md") is not None:  # not a link or a folder of that name
        os.unlink(f"{name}.md", dir_fd=parent)
        os.fsync(parent)


def _check_unchanged(parent: int, name: str, seen: Collection[str]) -> None:
    flat = folders.read_file_at(parent, f"{name}.md")
    forms = [folders.read_tree(parent, name), None if flat is None else {SKILL_FILE: flat}]
    there = [folders.content_hash(files) for files in forms if files is not None]
    if not set(there) <= set(seen):
        raise SkillChanged.meanwhile(name, there[0])
    if path := folders.passed_over(parent, name):
        message = f"The folder {name} holds {path[:80]!r}, which is no file of a skill and would be lost."
        raise Conflict(message, code="other_files", name=name, path=path[:200])
