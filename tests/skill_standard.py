"""The open standard's reference validator over a skill's files: for whatever is shipped or generated."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

import skills_ref

from omniforge.skills.document import SKILL_FILE, ExportForm, Profile, Severity, export, load, validate


def problems_by_the_standard(name: str, files: Mapping[str, bytes]) -> list[str]:
    """What the reference validator says about the skill exported as `portable`; empty: accepted."""
    made = export(load(files[SKILL_FILE], folder=name), ExportForm.PORTABLE, files)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / made.name
        for path, data in made.files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(data)
        problems = list(skills_ref.validate(folder))
        if not problems:
            properties = skills_ref.read_properties(folder)
            assert properties.name == made.name
            assert properties.description
    return problems


def assert_follows_every_rule(name: str, files: Mapping[str, bytes]) -> None:
    """Valid in our own profile, and exported in the open standard's, by our reading and by theirs."""
    own = validate(load(files[SKILL_FILE], folder=name), Profile.OMNIFORGE, folder=name, files=files.keys())
    assert [item for item in own if item.severity is Severity.ERROR] == []
    made = export(load(files[SKILL_FILE], folder=name), ExportForm.PORTABLE, files)
    moved = load(made.content, folder=made.name)
    exported = validate(moved, Profile.PORTABLE, folder=made.name, files=made.files.keys())
    assert [item for item in exported if item.severity is Severity.ERROR] == []
    assert problems_by_the_standard(name, files) == []
