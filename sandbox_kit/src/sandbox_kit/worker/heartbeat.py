"""The sign of life, on a thread of its own: it brings the order to stop."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from pathlib import Path
from typing import Any

from sandbox_kit.worker.client import Client, Refused, Unreached
from sandbox_kit.worker.control import Control, Stopped
from sandbox_kit.worker.settings import Settings

PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


class Heartbeat:
    """`status` is starting, working, waiting (for a person or the model) or stopping."""

    def __init__(self, settings: Settings, client: Client, control: Control) -> None:
        self._settings, self._client, self._control = settings, client, control
        self._begun = time.monotonic()
        self._measured = (time.monotonic(), used_ticks())
        self.status, self.busy = "starting", False

    def start(self) -> None:
        threading.Thread(target=self._beat_always, name="heartbeat", daemon=True).start()

    def _beat_always(self) -> None:
        with contextlib.suppress(Stopped):
            while True:
                begun = time.monotonic()
                self._beat()
                self._control.pause(max(0.0, begun + self._settings.heartbeat - time.monotonic()))

    def _beat(self) -> None:
        settings = self._settings
        body: dict[str, Any] = {
            "sandbox_id": settings.sandbox_id,
            "task_id": settings.task_id,
            "status": self.status,
            "busy": self.busy,
        }
        with contextlib.suppress(ValueError, IndexError):  # a process that ends is read in halves
            body["metrics"] = self._metrics()
        try:
            answer = self._client.call(
                "POST", "/sandbox/heartbeat", body, patience=settings.heartbeat, timeout=10
            )
        except Unreached:
            return  # the next one is due
        except Refused as refusal:
            if refusal.is_dismissal:
                self._control.stop("dismissed")
            return
        if "abort" in (answer.get("commands") or []):
            self._control.stop("abort")

    def _metrics(self) -> dict[str, Any]:
        now, ticks = time.monotonic(), used_ticks()
        before, ticks_before = self._measured
        self._measured = (now, ticks)
        share = (ticks - ticks_before) / TICKS / max(now - before, 0.001)
        return {
            "cpu_percent": round(max(share, 0.0) * 100, 1),
            "memory_mb": round(used_memory() / 1_048_576, 1),
            "uptime_seconds": round(now - self._begun),
        }


def used_ticks() -> int:
    """Processor time of all processes that can be seen, in ticks."""
    return sum(sum(map(int, fields[11:13])) for fields in _processes("stat"))


def used_memory() -> int:
    """Bytes in memory of all processes that can be seen."""
    return sum(int(fields[1]) * PAGE for fields in _processes("statm"))


def _processes(name: str) -> list[list[str]]:
    """The fields of every process' file of that name, after its program's name."""
    found: list[list[str]] = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            found.append((entry / name).read_text(errors="replace").rpartition(")")[2].split())
    return found
