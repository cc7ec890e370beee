"""Alembic's entry: runs the migrations on the connection handed in by `omniforge.db.migrate`."""

from __future__ import annotations

from alembic import context
from sqlalchemy import create_engine

import omniforge.bootstrap  # noqa: F401 - imports every table
from omniforge.core.config import Settings
from omniforge.db import Base
from omniforge.db.migrate import sync_url


def run() -> None:
    connection = context.config.attributes.get("connection")
    if connection is None:  # called by the alembic command itself, e.g. to write a revision
        connection = create_engine(sync_url(Settings().database)).connect()
    context.configure(connection=connection, target_metadata=Base.metadata, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()


run()
