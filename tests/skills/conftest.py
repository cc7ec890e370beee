"""A skill service over an empty library."""

from __future__ import annotations

from pathlib import Path

import pytest

from omniforge.db import Database
from omniforge.skills.service import SkillService


@pytest.fixture
def library(tmp_path: Path) -> Path:
    return tmp_path / "home" / "skills"


@pytest.fixture
def bundled(tmp_path: Path) -> Path:
    folder = tmp_path / "bundled"
    folder.mkdir()
    return folder


@pytest.fixture
def skills(database: Database, library: Path, bundled: Path) -> SkillService:
    return SkillService(database, library, bundled=bundled)
