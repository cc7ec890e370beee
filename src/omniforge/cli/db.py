"""`omniforge db`: what is done to the database as a whole."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout
from rich.console import Console
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, OperationalError

from omniforge.core.config import Settings
from omniforge.core.errors import Conflict, Invalid, Unavailable


async def move(settings: Settings, to: str, console: Console) -> None:
    """Copy and check everything in one transaction. Errors leave the target as empty as it was."""
    from omniforge.db.migrate import upgrade  # noqa: PLC0415

    target = _target_url(to)
    if not settings.database.startswith("sqlite"):
        raise Invalid("Only an installation on SQLite can be moved; this one is on PostgreSQL already.")
    if not Path(str(make_url(settings.database).database)).exists():
        raise Invalid(f"There is no installation to move in {settings.home}.")
    lock = FileLock(settings.home / "engine.lock")
    try:
        lock.acquire(blocking=False)
    except Timeout as error:
        raise Conflict(
            "OmniForge is running on these data; stop it first.", code="already_running"
        ) from error
    try:
        await upgrade(settings.database)
        await _settle(settings)
        try:
            await upgrade(target)
        except OperationalError as error:
            raise Unavailable(f"The target does not answer: {error.orig}", code="database_down") from error
        copied = await asyncio.to_thread(_copy, settings, target)
    finally:
        lock.release()
    console.print(f"Copied and checked {sum(copied.values())} rows of {len(copied)} tables.")
    console.print("From now on start every process with this address:")
    console.print(f"  OMNIFORGE_DATABASE_URL={target}", soft_wrap=True, highlight=False)


async def _settle(settings: Settings) -> None:
    """Bring what the journal keeps for itself into the tables."""
    from omniforge.core.clock import SystemClock  # noqa: PLC0415
    from omniforge.db import Database  # noqa: PLC0415
    from omniforge.engine.embedded import EmbeddedEngine  # noqa: PLC0415

    db = Database(settings.database, synchronous=settings.sqlite_synchronous)
    try:
        engine = EmbeddedEngine(db, {}, SystemClock(), settings.home, slots=1)
        await engine.journal.open()
        await engine.journal.close()
    finally:
        await db.close()


def _target_url(to: str) -> str:
    try:
        url = make_url(to)
    except ArgumentError as error:
        raise Invalid(f"This is no address of a database: {to}") from error
    if url.get_backend_name() not in ("postgresql", "postgres"):
        raise Invalid("The target has to be PostgreSQL: --to postgresql://user:password@host/database")
    return url.set(drivername="postgresql+psycopg").render_as_string(hide_password=False)


def _copy(settings: Settings, to: str) -> dict[str, int]:
    from omniforge.db.base import Base  # noqa: PLC0415 - migrating has imported every table
    from omniforge.db.migrate import sync_url  # noqa: PLC0415
    from omniforge.db.moving import check_empty, copy_tables, fill  # noqa: PLC0415

    source, target = create_engine(sync_url(settings.database)), create_engine(to)
    try:
        with source.connect() as reading, target.begin() as writing:
            check_empty(writing)
            copied = copy_tables(reading, writing, left_out=("artifacts", "journal"))
            check_chains(writing)
            files = list(_artifacts(reading, settings.home / "artifacts"))
            fill(writing, Base.metadata.tables["artifacts"], (_loaded(*file) for file in files))
            copied["artifacts"] = len(files)
    finally:
        source.dispose()
        target.dispose()
    return copied


def check_chains(connection: Connection) -> None:
    """`Conflict` when the event log of a tenant does not hold together."""
    from omniforge.engine.events import FIRST_HASH, row_hash  # noqa: PLC0415

    fields = "tenant_id, seq, type, entity, run_id, at, actor, payload, hash"
    rows = text(f"SELECT {fields} FROM events ORDER BY tenant_id, seq")  # noqa: S608 - a constant
    tenant, last, expected = None, FIRST_HASH, 1
    with connection.execute(rows, execution_options={"yield_per": 1000}) as found:
        for row in found:
            if row.tenant_id != tenant:
                tenant, last, expected = row.tenant_id, FIRST_HASH, 1
            if row.seq != expected or row.hash != row_hash(last, *row[:-1]):
                raise Conflict(
                    f"The event log of tenant {tenant} does not hold from event {expected} on.",
                    code="events_damaged",
                    tenant=tenant,
                    seq=expected,
                )
            last, expected = row.hash, expected + 1


def _artifacts(reading: Connection, root: Path) -> Iterator[tuple[str, Path]]:
    """(tenant, file) of everything that is kept beside the database."""
    tenants = [str(row[0]) for row in reading.execute(text("SELECT DISTINCT tenant_id FROM runs"))]
    folders = {hashlib.sha256(tenant.encode()).hexdigest()[:16]: tenant for tenant in tenants}
    for file in sorted(root.glob("*/*/*")):
        tenant = folders.get(file.parent.parent.name)
        if tenant is not None and len(file.name) == 64:
            yield tenant, file


def _loaded(tenant: str, file: Path) -> tuple[str, str, bytes]:
    data = file.read_bytes()
    if hashlib.sha256(data).hexdigest() != file.name:
        raise Conflict(f"The file {file} is damaged.", code="artifact_damaged", file=str(file))
    return tenant, file.name, data
