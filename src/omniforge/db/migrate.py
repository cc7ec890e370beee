"""Brings a database to the newest revision, at every start."""

from __future__ import annotations

import asyncio

from alembic import command
from alembic.config import Config
from sqlalchemy import URL, Connection, Engine, create_engine, text
from sqlalchemy.exc import OperationalError

from omniforge.core.config import shipped
from omniforge.core.errors import Unavailable
from omniforge.db.queue_schema import LOCK, upgrade_queue
from omniforge.db.session import address


def sync_url(url: str | URL) -> URL:
    """The same database through its synchronous driver, which migrations use."""
    made = address(url)
    return made.set(drivername=made.drivername.replace("+aiosqlite", ""))


async def upgrade(url: str | URL) -> None:
    """Run every migration that is missing; harmless when there is none. All of it or nothing.

    `Unavailable` when the database does not answer.
    """
    await asyncio.to_thread(_upgrade, sync_url(url))


def _upgrade(url: URL) -> None:
    config = Config()
    config.set_main_option("script_location", str(shipped("migrations")))
    engine = create_engine(url)
    try:
        with _connected(engine) as connection:
            config.attributes["connection"] = connection
            if url.get_backend_name() == "postgresql":
                connection.execute(text(f"SELECT pg_advisory_xact_lock({LOCK})"))
                command.upgrade(config, "head")
                upgrade_queue(connection)
            else:
                command.upgrade(config, "head")
            connection.commit()
    finally:
        engine.dispose()


def _connected(engine: Engine) -> Connection:
    try:
        return engine.connect()
    except OperationalError as error:
        raise Unavailable(f"The database does not answer: {error.orig}", code="database_down") from error
