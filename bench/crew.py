"""Worker processes of a workload: the same module, started again with `work: worker`; both sides use this."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

READY = "ready\n"


def say_ready() -> None:
    """What a worker says once it takes work."""
    sys.stdout.write(READY)
    sys.stdout.flush()


@contextmanager
def crew(module: str, asked: dict[str, Any], workers: int = 3) -> Generator[list[subprocess.Popen[str]]]:
    """So many ready workers; they are killed at the end."""
    started = [
        subprocess.Popen(
            [sys.executable, "-m", module, json.dumps(asked | {"work": "worker", "worker": number})],
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(workers)
    ]
    try:
        for process in started:
            assert process.stdout is not None  # noqa: S101 - asked for above
            if process.stdout.readline() != READY:
                raise RuntimeError(f"a worker of {module} ended before it was ready")
        yield started
    finally:
        for process in started:
            process.kill()
            process.wait()
