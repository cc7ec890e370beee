"""A running server and a local Notion for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from living_server import LocalNotion, Server


@pytest.fixture
async def notion() -> AsyncIterator[LocalNotion]:
    local = LocalNotion()
    await local.start()
    yield local
    await local.stop()


@pytest.fixture
async def server(tmp_path: Path, notion: LocalNotion) -> AsyncIterator[Server]:
    started = Server(tmp_path / "home", notion)
    await started.start()
    yield started
    await started.close()
