"""The house that tests of runs live in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from engine_house import HastyClock, House
from omniforge.db import Database


@pytest.fixture
async def house(database: Database, tmp_path: Path) -> AsyncIterator[House]:
    made = House(database, tmp_path)
    await made.engine.open()
    yield made
    await made.engine.close()


@pytest.fixture
async def hasty_house(database: Database, tmp_path: Path) -> AsyncIterator[House]:
    """A house where an hour passes in 3.6 seconds."""
    made = House(database, tmp_path, clock=HastyClock())
    await made.engine.open()
    yield made
    await made.engine.close()
