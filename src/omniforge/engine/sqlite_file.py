"""The SQLite file beneath the journal: how it is opened, and what makes it safe on the disk."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from omniforge.db.session import sqlite_pragmas
from omniforge.engine.change_files import data_sync


def connect(path: Path) -> sqlite3.Connection:
    """NORMAL also where FULL is asked for: what this commits stays in the files until the disk has it."""
    connection = sqlite3.connect(path, isolation_level=None, cached_statements=64, check_same_thread=False)
    for pragma in sqlite_pragmas("NORMAL"):
        connection.execute(pragma)
    connection.execute("PRAGMA wal_autocheckpoint=0")
    return connection


def safe_on_disk(path: Path) -> int:
    """Wait until the disk has all that was committed so far; returns the size of the write-ahead log.

    The database file itself is SQLite's to open: closing a handle of our own on it would drop every lock that
    this process has there, and the next process that looks in would take the log for left over and delete it.
    SQLite has the disk keep the file before it counts a page of the log as copied.
    """
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
        written_ahead = path.with_name(f"{path.name}-wal")
        if not written_ahead.exists():
            return 0
        handle = os.open(written_ahead, os.O_RDWR)
        try:
            data_sync(handle)
            return os.fstat(handle).st_size
        finally:
            os.close(handle)
    finally:
        connection.close()


def begin_log_anew(path: Path) -> None:
    """Wait a moment for readers of the write-ahead log, then make it empty."""
    connection = sqlite3.connect(path, isolation_level=None, timeout=0.5)
    try:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        connection.close()
