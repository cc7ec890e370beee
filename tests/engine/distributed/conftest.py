"""A fleet without workers yet."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from fleet import Fleet
from omniforge.db import Database
from postgres_server import PostgresServer


@pytest.fixture
async def fleet(postgres: PostgresServer, tmp_path: Path) -> AsyncIterator[Fleet]:
    name = postgres.create_database()
    database = Database(postgres.url(name))
    await database.create_tables()
    made = Fleet(postgres.url(name), tmp_path / "steps.log", database)
    await made.engine.open()
    yield made
    await made.stop()
    await made.engine.close()
    await database.close()
    postgres.drop_database(name)
