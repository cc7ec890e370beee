"""Migrations give the very schema the models describe, and can be run again without harm."""

from __future__ import annotations

import asyncio
from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, text

import omniforge.bootstrap  # noqa: F401 - imports every table
from omniforge.core.config import shipped
from omniforge.db import Base
from omniforge.db.migrate import newest_revision, sync_url, upgrade


async def test_the_migrated_schema_is_the_one_of_the_models(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'fresh.db'}"
    await upgrade(url)
    engine = create_engine(sync_url(url))
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": False})
        assert compare_metadata(context, Base.metadata) == []
    engine.dispose()


async def test_a_second_upgrade_changes_nothing_and_keeps_rows(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'kept.db'}"
    await upgrade(url)
    engine = create_engine(sync_url(url))
    row = (
        "INSERT INTO event_cursors (subscriber, position, updated_at) VALUES ('me', 7, '2026-01-01 00:00:00')"
    )
    with engine.begin() as connection:
        connection.execute(text(row))
    await upgrade(url)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT position FROM event_cursors")).scalar() == 7
    engine.dispose()


def test_the_newest_revision_is_told_as_by_alembic_also_where_there_are_several(tmp_path: Path) -> None:
    folder = shipped("migrations")
    assert newest_revision(folder / "versions") == ScriptDirectory(str(folder)).get_current_head()
    for name, follows in (("a", "None"), ("b", '"a"'), ("c", "'b'")):
        script = f'revision: str = "{name}"\ndown_revision: str | None = {follows}\n'
        (tmp_path / f"{name}.py").write_text(script)
    assert newest_revision(tmp_path) == "c"


async def test_processes_that_start_together_make_the_tables_once(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path}/new.db"
    await asyncio.gather(*(upgrade(url) for _ in range(4)))
    engine = create_engine(sync_url(url))
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM alembic_version")).scalar() == 1
    engine.dispose()
