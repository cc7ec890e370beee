"""Events on disk, in order, until they were taken: nothing is lost by a restart, nothing is told twice
under another number."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections import deque
from typing import Any

from sandbox_kit.worker.state import State

Json = dict[str, Any]
EPOCH = 1_767_225_600
"""2026-01-01. Numbers begin at four per second since then, so that a worker whose disk was lost still
goes on above everything it has said; they fit into 31 bits until 2043."""
LARGEST = 4_000_000
"""Bytes of events that were taken before the file is begun anew."""


class Spool:
    """Safe to use from several threads."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._place = state.folder / "events.jsonl"
        self._lock = threading.Lock()
        taken = state.load("events-taken", 0)
        self._waiting: deque[Json] = deque()
        self._last = max(taken, (int(time.time()) - EPOCH) * 4)
        whole = self._read(taken)
        with self._place.open("ab") as file:
            file.truncate(whole)

    def _read(self, taken: int) -> int:
        """Take up what waits; the length of the file up to its last whole line."""
        whole = 0
        if not self._place.exists():
            return whole
        with self._place.open("rb") as file:
            for line in file:
                try:
                    event: Json = json.loads(line)
                except ValueError:
                    break  # the worker ended while it wrote this one: it was never sent
                if not line.endswith(b"\n"):
                    break
                whole += len(line)
                self._last = max(self._last, event["client_seq"])
                if event["client_seq"] > taken:
                    self._waiting.append(event)
        return whole

    def add(self, event: Json) -> None:
        """Number it and keep it. It may be sent once this returns."""
        with self._lock:
            self._last += 1
            event = {**event, "client_seq": self._last}
            line = json.dumps(event, ensure_ascii=False).encode("utf-8", "replace") + b"\n"
            with contextlib.suppress(OSError), self._place.open("ab") as file:
                file.write(line)  # where there is no room left it is sent all the same
            self._waiting.append(event)

    def first(self, most: int, most_bytes: int) -> list[Json]:
        """The oldest that wait, at least one if there is one."""
        found: list[Json] = []
        size = 0
        with self._lock:
            for event in self._waiting:
                size += len(json.dumps(event).encode())
                if len(found) == most or (found and size > most_bytes):
                    break
                found.append(event)
        return found

    def taken(self, events: list[Json]) -> None:
        """These are told: the oldest ones, as `first` gave them."""
        with self._lock:
            for _ in events:
                self._waiting.popleft()
            self._state.keep("events-taken", events[-1]["client_seq"])
            if not self._waiting and self._place.exists() and self._place.stat().st_size > LARGEST:
                os.truncate(self._place, 0)

    def __len__(self) -> int:
        return len(self._waiting)
