"""Runs one program in a container to its end, with all that it starts.

    python3 -I execute.py SECONDS FOLDER -- PROGRAM ARGUMENT…

It gets a home of its own that goes with it, so that nothing an earlier program left at home has a say. After
SECONDS everything is killed, and the exit code is 137.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile

PR_SET_CHILD_SUBREAPER = 36


def main(arguments: list[str]) -> int:
    seconds, folder, _, *argv = arguments
    adopt_orphans()
    home = tempfile.mkdtemp(prefix="home-")
    try:
        return run(argv, float(seconds), folder, os.environ | {"HOME": home})
    finally:
        shutil.rmtree(home, ignore_errors=True)


def adopt_orphans() -> None:
    """Processes below us whose parents end become our children."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def run(
    argv: list[str], seconds: float, folder: str, environment: dict[str, str], output: int | None = None
) -> int:
    """The exit code, 128 + n after signal n; 127 and 126 as in a shell. `output`: takes what it says."""
    try:
        program = subprocess.Popen(
            argv, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
    except OSError as error:
        reason = f"{error.filename or argv[0]}: {error.strerror}\n"
        os.write(2 if output is None else output, reason.encode("utf-8", "replace"))
        return 127 if isinstance(error, FileNotFoundError) else 126
    try:
        code = program.wait(seconds)
    except subprocess.TimeoutExpired:
        code = -signal.SIGKILL
    kill_children()
    return 128 - code if code < 0 else code


def kill_children() -> None:
    """All of them: those whose parents end come to us."""
    while True:
        for pid in children():
            os.kill(pid, signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def children() -> list[int]:
    found: list[int] = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as stat:
                    parent = stat.read().rpartition(b")")[2].split()[1]
            except OSError:
                continue  # it has ended since it was listed
            if int(parent) == os.getpid():
                found.append(int(name))
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
