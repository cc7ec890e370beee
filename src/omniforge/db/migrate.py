"""Brings a database to the newest revision, at every start."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, create_engine, text
from sqlalchemy.exc import DatabaseError, OperationalError

from omniforge.core.config import shipped
from omniforge.core.errors import Unavailable
from omniforge.db.queue_schema import LOCK, upgrade_queue
from omniforge.db.session import address

PATIENCE = 60.0
"""Seconds for which a process waits while another makes the tables."""


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
    engine = create_engine(url, connect_args={"timeout": PATIENCE} if url.drivername == "sqlite" else {})
    try:
        with _connected(engine) as connection:
            if url.get_backend_name() == "sqlite" and (_is_newest(connection) or _was_made(connection)):
                return
            from alembic import command  # noqa: PLC0415 - a quarter of a second that most starts do not need
            from alembic.config import Config  # noqa: PLC0415

            config = Config()
            config.set_main_option("script_location", str(shipped("migrations")))
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


def newest_revision(folder: Path) -> str:
    """The revision in that folder which no other one follows."""
    texts = [path.read_text(encoding="utf-8") for path in folder.glob("*.py")]
    revisions = {found[1] for text_ in texts if (found := _REVISION.search(text_))}
    followed = {found[1] for text_ in texts if (found := _FOLLOWS.search(text_))}
    (newest,) = revisions - followed
    return newest


_REVISION = re.compile(r"^revision\b[^=\n]*= *[\"']([^\"']+)", re.M)
_FOLLOWS = re.compile(r"^down_revision\b[^=\n]*= *[\"']([^\"']+)", re.M)


def _is_newest(connection: Connection) -> bool:
    """Whether nothing is missing; False as well for a database without tables."""
    try:
        found = connection.execute(text("SELECT version_num FROM alembic_version")).scalars().all()
    except DatabaseError:
        return False
    return list(found) == [newest_revision(shipped("migrations") / "versions")]


def _was_made(connection: Connection) -> bool:
    """Take SQLite's only writing place; whether somebody else who had it before made everything meanwhile."""
    connection.rollback()
    connection.exec_driver_sql("BEGIN IMMEDIATE")
    return _is_newest(connection)


def _connected(engine: Engine) -> Connection:
    try:
        return engine.connect()
    except OperationalError as error:
        raise Unavailable(f"The database does not answer: {error.orig}", code="database_down") from error
