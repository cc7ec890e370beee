"""Faults beside kills: a wrong clock, a full disk, a database that others keep locked."""

from __future__ import annotations

import ctypes
import errno
import gc
import os
import resource
import sqlite3
import subprocess
import threading
import time
from collections.abc import Generator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any, cast

DAY = 86_400.0


def shift_machine_clock(seconds: float) -> None:
    """From now on this process believes that the machine's clock is off by this much."""
    true_time, true_time_ns, true_now = time.time, time.time_ns, datetime.now

    def now(_cls: Any, tz: tzinfo | None = None) -> datetime:
        return true_now(tz) + timedelta(seconds=seconds)

    time.time = lambda: true_time() + seconds
    time.time_ns = lambda: true_time_ns() + int(seconds * 1e9)
    names = cast("dict[str, Any]", gc.get_referents(datetime.__dict__)[0])
    names["now"] = classmethod(now)
    ctypes.pythonapi.PyType_Modified(ctypes.py_object(datetime))


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Generator[bool]:
    """A file system of this size at `folder`; False, and nothing done, where one may not make any."""
    folder.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=700", "tmpfs", str(folder)]
    made = os.geteuid() == 0 and subprocess.run(command, capture_output=True, check=False).returncode == 0
    try:
        yield made
    finally:
        if made:
            subprocess.run(["umount", "--lazy", str(folder)], check=False, capture_output=True)


def fill_disk(folder: Path) -> Path:
    """Take all the room that is left; remove the file to give it back."""
    path = folder / "filler"
    with path.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
    return path


def forbid_growth(seconds: float, files: Path) -> None:
    """Where there is no small disk: files of this process cannot grow for a while."""
    largest = max((path.stat().st_size for path in files.iterdir() if path.is_file()), default=0)
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest, hard))
    timer = threading.Timer(seconds, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard)))
    timer.daemon = True
    timer.start()


def crowd(database: str, seconds: float, writers: int = 50) -> int:
    """Foreign programs that write to the database all the time; how many transactions they made."""
    end, made = time.monotonic() + seconds, [0] * writers

    def write(number: int) -> None:
        with closing(sqlite3.connect(database, isolation_level=None, timeout=30)) as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS foreign_notes (writer, at)")
            while time.monotonic() < end:
                connection.execute("BEGIN IMMEDIATE")
                connection.execute("INSERT INTO foreign_notes VALUES (?, ?)", (number, time.monotonic()))
                time.sleep(0.005)
                connection.execute("COMMIT")
                made[number] += 1

    threads = [threading.Thread(target=write, args=(number,)) for number in range(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(made)
