"""A running server and local services for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from living_server import LocalService, Server


@pytest.fixture
async def notion() -> AsyncIterator[LocalService]:
    local = LocalService("notion")
    await local.start()
    yield local
    await local.stop()


@pytest.fixture
async def slack() -> AsyncIterator[LocalService]:
    local = LocalService("slack")
    await local.start()
    yield local
    await local.stop()


@pytest.fixture
async def server(tmp_path: Path, notion: LocalService) -> AsyncIterator[Server]:
    started = Server(tmp_path / "home", notion)
    await started.start()
    yield started
    await started.close()


@pytest.fixture
async def office(tmp_path: Path, notion: LocalService, slack: LocalService) -> AsyncIterator[Server]:
    """A server beside a local Notion and a local Slack; nothing is connected yet."""
    started = Server(tmp_path / "office", notion, slack)
    await started.start()
    yield started
    await started.close()
