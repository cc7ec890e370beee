"""Fixtures every test may use: a fresh database and actors."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from omniforge.core.actor import Actor, Role
from omniforge.db import Database
from omniforge.tenants.roles import permissions_of

EVERY_PERMISSION = permissions_of(Role.OWNER)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    """An empty SQLite database with every table of the rooms imported so far."""
    db = Database(f"sqlite+aiosqlite:///{tmp_path / 'omniforge.db'}")
    await db.create_tables()
    yield db
    await db.close()


def make_actor(tenant_id: str = "default", user_id: str = "local", role: Role = Role.OWNER) -> Actor:
    return Actor(tenant_id, user_id, role, f"user:{user_id}", EVERY_PERMISSION)


@pytest.fixture
def actor() -> Actor:
    return make_actor()


@pytest.fixture
def foreign_actor() -> Actor:
    return make_actor("other", "stranger")
