"""Every shipped skill follows our rules and, exported, those of the open standard by its own validator."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from omniforge.skills import folders
from omniforge.skills.library import bundled, privacy
from omniforge.skills.library.publishing import check_published
from skill_standard import assert_follows_every_rule, problems_by_the_standard

SHIPPED = Path(__file__).resolve().parents[2] / "skills"
NAMES = sorted(path.name for path in SHIPPED.iterdir() if path.is_dir())


def files_of(name: str) -> dict[str, bytes]:
    with folders.open_folder(SHIPPED) as parent:
        files = folders.read_tree(parent, name)
    assert files is not None
    return files


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_skill_passes_the_reference_validator(name: str) -> None:
    assert_follows_every_rule(name, files_of(name))
    check_published(name, files_of(name))
    assert privacy.private_parts(files_of(name)) == []


def test_the_reference_validator_is_really_asked() -> None:
    long = f"---\nname: x\ndescription: {'y ' * 2000}\n---\n\nz\n".encode()
    assert problems_by_the_standard("x", {"SKILL.md": long}) == []
    with pytest.raises(AssertionError):
        assert_follows_every_rule("x", {"SKILL.md": long})


def test_the_index_names_what_is_shipped() -> None:
    index = json.loads((SHIPPED / bundled.INDEX).read_bytes())
    assert set(index) <= set(NAMES)
    assert [skill.name for skill in bundled.read(SHIPPED)] == NAMES
