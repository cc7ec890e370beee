"""Fixtures every test may use: a fresh database and actors."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from omniforge.core.actor import Actor, Role
from omniforge.db import Database
from omniforge.tenants.roles import permissions_of
from postgres_server import PostgresServer

EVERY_PERMISSION = permissions_of(Role.OWNER)


STORES = ("sqlite", "postgres")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--store", choices=STORES, default="sqlite", help="the database behind `database`")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "both_stores: run this over SQLite and over PostgreSQL")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if metafunc.definition.get_closest_marker("both_stores") and "store" in metafunc.fixturenames:
        metafunc.parametrize("store", STORES, indirect=True)


@pytest.fixture
def store(request: pytest.FixtureRequest) -> str:
    """`sqlite` or `postgres`: which database `database` is. `--store` says so, or the mark `both_stores`."""
    return str(getattr(request, "param", request.config.getoption("--store")))


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server, started when a test first asks for it."""
    server = PostgresServer.start()
    yield server
    server.close()


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> Iterator[str]:
    """The address of an empty database that has the queue's tables."""
    name = postgres.create_database()
    yield postgres.url(name)
    postgres.drop_database(name)


@pytest.fixture
def database_url(store: str, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    if store == "postgres":
        return str(request.getfixturevalue("postgres_url"))
    return f"sqlite+aiosqlite:///{tmp_path / 'omniforge.db'}"


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """An empty database with every table of the rooms imported so far."""
    db = Database(database_url)
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
