"""A home of its own for every test, and a server beside it in this process."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from omniforge.cli.demo import free_port
from omniforge.cli.server import Running, serving
from omniforge.core.config import Settings
from omniforge.integrations.standin import find_standins

OURS = ("OMNIFORGE_", *(f"{name.upper()}_" for name in find_standins()))


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """This person's home, in a folder without projects; nothing is set up in the environment."""
    for name in [name for name in os.environ if name.startswith(OURS)]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("OMNIFORGE_HOME", str(tmp_path / "home"))
    project = tmp_path / "project"
    project.mkdir()
    monkeypatch.chdir(project)
    return tmp_path / "home"


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Running]:
    settings = Settings(home=tmp_path / "server", port=free_port())
    async with serving(settings) as running:
        yield running
