"""Brings the tables of runs, steps and events up to date with what the journal holds, in one transaction."""

from __future__ import annotations

import logging
import secrets
import sqlite3
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from sqlalchemy import Integer
from sqlalchemy.orm import Mapped, mapped_column

from omniforge.core.errors import Unavailable
from omniforge.db import Base
from omniforge.engine.change_files import ChangeFiles
from omniforge.engine.events import HEAD_SQL, INSERT_SQL, chained
from omniforge.engine.ledger import Row, Rows
from omniforge.engine.records import RUN_COLUMNS, STEP_COLUMNS, checked
from omniforge.engine.sqlite_file import connect, safe_on_disk
from omniforge.engine.standing import Standing
from omniforge.engine.store import OPEN_RUNS

log = logging.getLogger(__name__)


class JournalRow(Base):
    """One row: the number of the last record of the journal's files that the tables hold."""

    __tablename__ = "journal"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    applied: Mapped[int] = mapped_column(Integer)


_NOW = "status, error, request, wake_at, started_at, finished_at"
_FIXED = tuple(name for name in RUN_COLUMNS.replace(",", "").split() if name != "status")
_STATUS_AT = RUN_COLUMNS.replace(",", "").split().index("status")
_INSERT_PLAN = "INSERT OR IGNORE INTO plans (hash, plan) VALUES (?, ?)"
_INSERT_RUNS = f"INSERT OR IGNORE INTO runs ({', '.join(_FIXED)}, {_NOW}) VALUES "
_UPDATE_RUN = f"UPDATE runs SET ({_NOW}) = (?, ?, ?, ?, ?, ?) WHERE id = ?"
_PUT_STEPS = f"INSERT OR REPLACE INTO run_steps ({STEP_COLUMNS}) VALUES "
_INSERT_EVENTS = INSERT_SQL.partition("VALUES")[0] + "VALUES "
_TOGETHER = (240, 48, 12, 3, 1)
"""Rows in one statement: few statements, whose texts are known already."""
_TAKE_OVER = f"UPDATE runs SET epoch = epoch + 1 WHERE {OPEN_RUNS}"
_APPLIED = "SELECT applied FROM journal WHERE id = 1"
_FIRST = "INSERT INTO journal (id, applied) VALUES (1, ?)"
_SET_APPLIED = "UPDATE journal SET applied = ? WHERE id = 1 AND applied = ?"


def last_applied(connection: sqlite3.Connection) -> int:
    """Number of the last record in the tables; of a fresh database a random one."""
    found = connection.execute(_APPLIED).fetchone()
    if found is None:
        found = (secrets.randbits(40),)
        connection.execute(_FIRST, found)
    return int(found[0])


def take_over(connection: sqlite3.Connection) -> None:
    """Own every unfinished run: whoever wrote before this is refused from now on."""
    connection.execute(_TAKE_OVER)


class JournalTaken(Unavailable):
    """Another process has applied these changes since; this one owns the journal no more."""

    code = "already_running"


def apply_rows(connection: sqlite3.Connection, rows: Rows, after: int, number: int) -> None:
    """Put what the records `after` … `number` hold into the tables and note that, or do nothing."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        _put(connection, rows)
        _note_applied(connection, after, number)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _note_applied(connection: sqlite3.Connection, after: int, number: int) -> None:
    if connection.execute(_SET_APPLIED, (number, after)).rowcount != 1:
        raise JournalTaken("Another OmniForge process works on these data now; this one has to stop.")


def _put(connection: sqlite3.Connection, rows: Rows) -> None:
    if rows.plans:
        connection.executemany(_INSERT_PLAN, rows.plans.items())
    if rows.new:
        _insert(connection, _INSERT_RUNS, [_run_row(row, rows.runs[row[0]]) for row in rows.new.values()])
    old = [(*_now(run), run_id) for run_id, run in rows.runs.items() if run_id not in rows.new]
    if old:
        connection.executemany(_UPDATE_RUN, old)
    newest = {(row[0], row[1]): row for row in rows.steps}
    _insert(connection, _PUT_STEPS, [checked(row) for row in newest.values()])
    heads: dict[str, tuple[int, str]] = {}
    for tenant_id in {event[0] for event in rows.events}:
        found = connection.execute(HEAD_SQL, (tenant_id,)).fetchone()
        if found is not None:
            heads[tenant_id] = found
    _insert(connection, _INSERT_EVENTS, list(chained(heads, rows.events)))


def _insert(connection: sqlite3.Connection, statement: str, rows: Sequence[Row]) -> None:
    if not rows:
        return
    marks = f"({', '.join('?' * len(rows[0]))})"
    start = 0
    for count in _TOGETHER:
        if len(rows) - start < count:
            continue
        many = statement + ", ".join([marks] * count)
        while len(rows) - start >= count:
            connection.execute(many, tuple(chain.from_iterable(rows[start : start + count])))
            start += count


def _run_row(row: Row, run: Standing) -> Row:
    return (*row[:_STATUS_AT], *row[_STATUS_AT + 1 :], *_now(run))


def _now(run: Standing) -> tuple[Any, ...]:
    return (run.status.value, run.error, run.request, run.wake_at, run.started_at, run.finished_at)


def settle_left_over(database: Path) -> None:
    """Bring the tables up to date with what a crash left; for whoever reads them without an engine.

    Only while no engine works on this database. `JournalDamaged` when what was left does not hold.
    """
    connection, files = connect(database), ChangeFiles(database)
    try:
        files.open()
        apply_left(connection, files, database)
    finally:
        files.close()
        connection.close()


def apply_left(connection: sqlite3.Connection, files: ChangeFiles, database: Path) -> int:
    """Returns the number of the last record that is in the tables."""
    applied = last_applied(connection)
    rows = Rows()
    for data in files.left(applied):
        rows.add(Rows.from_json(data))
    if rows.changes:
        log.info("%d changes of before are brought into the tables", rows.changes)
        apply_rows(connection, rows, applied, files.number)
    safe_on_disk(database)
    files.empty()
    return files.number
