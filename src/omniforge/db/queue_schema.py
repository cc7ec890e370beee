"""The job queue's own tables on PostgreSQL, kept at the revision of the installed procrastinate."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, text

from omniforge.core.errors import Unavailable

LOCK = 0x6F6D6E69
"""Advisory lock of whoever brings the database up to date: several processes may start at once."""


def upgrade_queue(connection: Connection) -> None:
    """Create the queue's tables, or run those of its migrations that are missing.

    `queue_revisions` remembers which have been run; a fresh schema contains them all.
    """
    try:
        from procrastinate.schema import SchemaManager  # noqa: PLC0415 - an optional dependency
    except ImportError as error:
        raise Unavailable(
            "PostgreSQL needs the optional part of this program: pip install 'omniforge[postgres]'.",
            code="extra_missing",
            extra="postgres",
        ) from error
    scripts = sorted(Path(SchemaManager.get_migrations_path()).glob("*.sql"))
    connection.execute(text("CREATE TABLE IF NOT EXISTS queue_revisions (name text PRIMARY KEY)"))
    known = set(connection.scalars(text("SELECT name FROM queue_revisions")))
    exists = connection.scalar(text("SELECT to_regclass('procrastinate_jobs')")) is not None
    if not exists:
        _run(connection, SchemaManager.get_schema())
    for script in scripts:
        if script.name in known:
            continue
        if exists and known:
            _run(connection, script.read_text(encoding="utf-8"))
        insert = text("INSERT INTO queue_revisions (name) VALUES (:name)")
        connection.execute(insert, {"name": script.name})


def _run(connection: Connection, script: str) -> None:
    connection.exec_driver_sql(script, execution_options={"no_parameters": True})
