"""Brings a database to the newest revision, at every start."""

from __future__ import annotations

import asyncio

from alembic import command
from alembic.config import Config
from sqlalchemy import URL, create_engine
from sqlalchemy.engine import make_url

from omniforge.core.config import shipped


def sync_url(url: str | URL) -> URL:
    """The same database through its synchronous driver, which migrations use."""
    made = make_url(url)
    return made.set(drivername=made.drivername.replace("+aiosqlite", "").replace("+asyncpg", "+psycopg"))


async def upgrade(url: str | URL) -> None:
    """Run every migration that is missing; harmless when there is none. All of it or nothing on SQLite."""
    await asyncio.to_thread(_upgrade, sync_url(url))


def _upgrade(url: URL) -> None:
    config = Config()
    config.set_main_option("script_location", str(shipped("migrations")))
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            connection.commit()
    finally:
        engine.dispose()
