"""Alembic's entry: runs the migrations on the connection handed in by `omniforge.db.migrate`."""

from __future__ import annotations

from typing import Any

from alembic import context
from sqlalchemy import create_engine

import omniforge.bootstrap  # noqa: F401 - imports every table
from omniforge.core.config import Settings
from omniforge.db import Base, UtcDateTime
from omniforge.db.migrate import sync_url


def rendered(kind: str, item: Any, _context: Any) -> str | bool:
    """Revisions name plain SQLAlchemy types: they must run unchanged whatever becomes of ours."""
    return "sa.DateTime(timezone=True)" if kind == "type" and isinstance(item, UtcDateTime) else False


def run() -> None:
    connection = context.config.attributes.get("connection")
    if connection is None:  # called by the alembic command itself, e.g. to write a revision
        connection = create_engine(sync_url(Settings().database)).connect()
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=True,
        render_item=rendered,
    )
    with context.begin_transaction():
        context.run_migrations()


run()
