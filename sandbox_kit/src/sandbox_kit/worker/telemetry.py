"""What the worker tells while it works: kept first, sent by a thread of its own."""

from __future__ import annotations

import json
import re
import sys
import threading
import time
from typing import Any

from sandbox_kit.worker.client import Client, Refused, Unreached
from sandbox_kit.worker.control import Control, Stopped
from sandbox_kit.worker.settings import Settings
from sandbox_kit.worker.spool import Spool

Json = dict[str, Any]
MOST = 50
"""Events in one call."""
MOST_BYTES = 400_000
LONGEST_TEXT = 20_000
"""Characters of one text in an event."""
LARGEST_EVENT = 60_000
"""Characters of an event's data as JSON; the other side takes 100 KB, some characters have several bytes."""
LEAVING = 2.0
"""Seconds for one try while everything stops."""
COLOUR = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")
"""Sequences that move and colour in a terminal."""
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


class Telemetry:
    """Safe to use from several threads."""

    def __init__(self, settings: Settings, client: Client, control: Control, spool: Spool) -> None:
        self._client, self._control, self._spool = client, control, spool
        self._token = settings.token
        self._path = f"/sandboxes/{settings.sandbox_id}/events"
        self._wanted = threading.Event()
        self._sending = threading.Lock()
        self._is_dismissed = False
        threading.Thread(target=self._send_always, name="telemetry", daemon=True).start()

    @property
    def backlog(self) -> int:
        return len(self._spool)

    def tell(self, event_type: str, source: str = "worker", **data: Any) -> None:
        """`data` with None left out, long texts cut in their middle, what is secret masked."""
        told = {name: self._safe(value) for name, value in data.items() if value is not None}
        if len(json.dumps(told, ensure_ascii=False)) > LARGEST_EVENT:
            told = {name: _shown(value) for name, value in told.items()}
        self._spool.add({"event_type": event_type, "event_data": told, "source": source})
        self._wanted.set()

    def agent(self, event: str, **data: Any) -> None:
        """`agent("replied", text=…)` tells `agent.replied`."""
        self.tell(f"agent.{event}", "agent", **data)

    def flush(self, seconds: float) -> bool:
        """Wait until all was taken, no longer than this; whether it was. Raises `Stopped`."""
        until = time.monotonic() + seconds
        while self.backlog and not self._is_dismissed and time.monotonic() < until:
            self._wanted.set()
            self._control.pause(0.02)
        return not self.backlog

    def flush_while_leaving(self) -> None:
        """One try to tell what is left, also when everything stops."""
        if not self._sending.acquire(timeout=LEAVING):
            return
        try:
            while (events := self._spool.first(MOST, MOST_BYTES)) and not self._is_dismissed:
                self._client.call("POST", self._path, {"events": events}, patience=0, timeout=LEAVING)
                self._spool.taken(events)
        except (Refused, Unreached, Stopped):
            pass  # it stays on disk
        finally:
            self._sending.release()

    def masked(self, text: str) -> str:
        return text.replace(self._token, "***")

    def _safe(self, value: Any) -> Any:
        match value:
            case str():
                return cut(self.masked(plain(value)), LONGEST_TEXT)
            case dict():
                return {str(name): self._safe(part) for name, part in value.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
            case list():
                return [self._safe(part) for part in value]  # pyright: ignore[reportUnknownVariableType]
            case _:
                return value

    def _send_always(self) -> None:
        try:
            while not self._is_dismissed:
                self._wanted.wait()
                self._wanted.clear()
                while self.backlog and not self._is_dismissed:
                    with self._sending:
                        self._send(self._spool.first(MOST, MOST_BYTES))
        except Stopped:
            pass  # whoever leaves tries once more

    def _send(self, events: list[Json]) -> None:
        """All of them in one call. What is refused together is sent one by one, and only what is refused
        alone is given up."""
        if not events:
            return
        try:
            self._client.call("POST", self._path, {"events": events})
        except Refused as refusal:
            if refusal.is_dismissal:
                self._is_dismissed = True
                return
            if len(events) > 1:
                for event in events:
                    self._send([event])
                return
            sys.stderr.write(f"An event was not taken: {events[0]['event_type']}: {refusal.code}\n")
        self._spool.taken(events)


def plain(text: str) -> str:
    """Without what only a terminal understands, and without what is no Unicode."""
    return CONTROL.sub("", COLOUR.sub("", text)).encode("utf-8", "replace").decode()


def cut(text: str, most: int) -> str:
    """Its beginning and its end, and how much was left out between them."""
    if len(text) <= most:
        return text
    head, tail = most // 3, most - most // 3
    return f"{text[:head]}\n[… {len(text) - most} characters left out …]\n{text[-tail:]}"


def _shown(value: Any) -> Any:
    if not isinstance(value, str | dict | list):
        return value
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return cut(text, LONGEST_TEXT // 2) if len(text) > LONGEST_TEXT // 2 else value  # pyright: ignore[reportUnknownVariableType]
