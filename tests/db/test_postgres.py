"""PostgreSQL as the database: the same schema by the same migrations, and the queue's tables beside it."""

from __future__ import annotations

import asyncio
from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, text

import omniforge.bootstrap  # noqa: F401 - imports every table
from omniforge.db import Base
from omniforge.db.migrate import sync_url, upgrade
from postgres_server import PostgresServer


def ours(_object: Any, name: str | None, kind: str, _reflected: bool, _other: Any) -> bool:
    return kind != "table" or not str(name).startswith(("procrastinate_", "queue_revisions"))


async def test_the_migrated_schema_is_the_one_of_the_models(postgres: PostgresServer) -> None:
    name = postgres.create_database("template1")
    await asyncio.gather(upgrade(postgres.url(name)), upgrade(postgres.url(name)))
    engine = create_engine(sync_url(postgres.url(name)))
    with engine.connect() as connection:
        options = {"compare_type": False, "include_object": ours}
        assert compare_metadata(MigrationContext.configure(connection, opts=options), Base.metadata) == []
        assert connection.scalar(text("SELECT count(*) FROM procrastinate_jobs")) == 0
        missing = connection.scalar(text("SELECT count(*) FROM queue_revisions"))
        assert missing
    engine.dispose()
    postgres.drop_database(name)
