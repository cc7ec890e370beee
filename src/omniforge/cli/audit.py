"""`omniforge audit`: whether the log of everything that happened is whole, and a copy of it for elsewhere."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, cast

import typer
from rich.console import Console
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.cli.terminal import run, settings_with
from omniforge.core.config import Settings
from omniforge.core.errors import Invalid, NotFound
from omniforge.db import Database
from omniforge.engine.events import EventRow, first_broken

Json = dict[str, Any]

app = typer.Typer(no_args_is_help=True)
console = Console(stderr=True)
FORMAT = "omniforge.audit/1"


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong with the log of one tenant, at which of its rows."""

    tenant: str
    seq: int
    what: str


@app.command()
def verify(
    against: Annotated[
        Path | None, typer.Option(help="An export of earlier: what it holds has to be there still.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON line on stdout.")] = False,
) -> None:
    """Check every row of the event log against the one before it. Exit code 1 when something was edited,
    removed, moved or cut off.

    Rows cut off at the end show on SQLite by themselves; on PostgreSQL, and after somebody who can change the
    whole file, only against an export that was kept elsewhere.
    """
    raise typer.Exit(run(_verify(settings_with(), against, as_json=as_json)))


@app.command()
def export(
    to: Annotated[
        Path, typer.Argument(help="A new file: one JSON object per row, and the heads at its end.")
    ],
) -> None:
    """Copy the event log of every tenant, with its hashes."""
    raise typer.Exit(run(_export(settings_with(), to)))


async def _verify(settings: Settings, against: Path | None, *, as_json: bool) -> int:
    kept = {} if against is None else _heads(against)
    db = _opened(settings)
    try:
        async with db.read() as session:
            tenants = await _tenants(session)
            rows = await session.scalar(select(func.count()).select_from(EventRow)) or 0
            findings = [one for tenant in tenants if (one := await _broken(session, tenant))]
            findings += await _cut_off(session, db)
            findings += [one for tenant, head in kept.items() if (one := await _lost(session, tenant, head))]
    finally:
        await db.close()
    if as_json:
        found = [{"tenant": one.tenant, "seq": one.seq, "what": one.what} for one in findings]
        told = {"whole": not findings, "tenants": len(tenants), "events": rows, "findings": found}
        sys.stdout.write(json.dumps(told) + "\n")
    for one in findings:
        console.print(f"[red]{one.tenant}, event {one.seq}: {one.what}[/]", highlight=False)
    if not findings and not as_json:
        console.print(
            f"[green]Whole:[/] {rows:,} events of {len(tenants)} tenants, each bound to the one before."
        )
    return 1 if findings else 0


async def _tenants(session: AsyncSession) -> list[str]:
    return list(await session.scalars(select(EventRow.tenant_id).distinct().order_by(EventRow.tenant_id)))


async def _broken(session: AsyncSession, tenant: str) -> Finding | None:
    seq = await first_broken(session, tenant)
    return None if seq is None else Finding(tenant, seq, "it was edited, removed or moved")


async def _cut_off(session: AsyncSession, db: Database) -> list[Finding]:
    """SQLite keeps the highest number it ever gave out; PostgreSQL's may be ahead for good reasons."""
    if not db.is_sqlite:
        return []
    given = await session.scalar(text("SELECT seq FROM sqlite_sequence WHERE name = 'events'")) or 0
    last = await session.scalar(select(func.max(EventRow.position))) or 0
    missing = given - last
    return [Finding("the log", last, f"{missing} events behind it were cut off")] if missing > 0 else []


async def _lost(session: AsyncSession, tenant: str, head: Json) -> Finding | None:
    """Whether the last row that an export knows of a tenant is there, as it was."""
    query = select(EventRow.hash).where(EventRow.tenant_id == tenant, EventRow.seq == head["seq"])
    if await session.scalar(query) == head["hash"]:
        return None
    return Finding(tenant, int(head["seq"]), "the export knows another one, or this one is gone")


async def _export(settings: Settings, to: Path) -> int:
    if to.exists():
        raise Invalid(f"{to} is there already; an export never writes over another.", code="file_exists")
    db = _opened(settings)
    heads: dict[str, Json] = {}
    draft = to.with_name(f".{to.name}.part")
    try:
        async with db.read() as session:
            with draft.open("w", encoding="utf-8") as file:
                ordered = select(EventRow).order_by(EventRow.tenant_id, EventRow.seq)
                async for row in await session.stream_scalars(ordered):
                    file.write(
                        json.dumps({"tenant_id": row.tenant_id, **row.shown(), "hash": row.hash}) + "\n"
                    )
                    heads[row.tenant_id] = {"seq": row.seq, "hash": row.hash}
                file.write(json.dumps({"format": FORMAT, "heads": heads}) + "\n")
        draft.rename(to)
    finally:
        draft.unlink(missing_ok=True)
        await db.close()
    console.print(f"{sum(head['seq'] for head in heads.values()):,} events of {len(heads)} tenants in {to}.")
    return 0


def _heads(export_file: Path) -> dict[str, Json]:
    """What stands at the end of an export."""
    if not export_file.is_file():
        raise NotFound(f"There is no export {export_file}.", code="not_found")
    last = ""
    with export_file.open(encoding="utf-8", errors="replace") as file:
        for last in file:  # noqa: B007 - the last line is what is wanted
            pass
    try:
        told = cast("Json", json.loads(last))
        if told["format"] == FORMAT:
            return cast("dict[str, Json]", told["heads"])
    except (ValueError, KeyError, TypeError):
        pass
    raise Invalid(
        f"{export_file} is no whole export: its last line has to name the heads.", code="invalid_export"
    )


def _opened(settings: Settings) -> Database:
    if settings.database_url is None and not settings.sqlite_path.exists():
        raise NotFound(f"There is no installation in {settings.home}.", code="not_found")
    return Database(settings.database)
