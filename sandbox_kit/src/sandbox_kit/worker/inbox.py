"""What people say to the worker: fetched by a thread of its own, kept on disk before it is acknowledged."""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass
from typing import Any

from sandbox_kit.worker.client import Client, Refused, Unreached
from sandbox_kit.worker.control import Control, Stopped
from sandbox_kit.worker.settings import Settings
from sandbox_kit.worker.state import State

LEAST = 2.5
"""Seconds between two calls where the other side does not let us wait."""


@dataclass(frozen=True)
class Message:
    id: str
    seq: int
    text: str
    kind: str


class Inbox:
    """Asking for what follows a message acknowledges it; by then it is on disk."""

    def __init__(self, settings: Settings, client: Client, control: Control, state: State) -> None:
        self._settings, self._client, self._control, self._state = settings, client, control, state
        self._lock = threading.Lock()
        kept = state.load("messages", {"after": 0, "unread": []})
        self._after: int = kept["after"]
        self._unread: list[dict[str, Any]] = kept["unread"]
        if any(message["message_type"] == "interrupt" for message in self._unread):
            control.interrupt()

    def start(self) -> None:
        threading.Thread(target=self._fetch_always, name="messages", daemon=True).start()

    def take(self) -> list[Message]:
        """What was said since the last call, oldest first."""
        with self._lock:
            found, self._unread = self._unread, []
            if found:
                self._keep()
        return [
            Message(str(one.get("id", "")), one["seq"], str(one.get("content", "")), one["message_type"])
            for one in found
        ]

    def _fetch_always(self) -> None:
        with contextlib.suppress(Stopped):
            while self._fetch():
                pass

    def _fetch(self) -> bool:
        """Whether to ask again."""
        poll, begun = self._settings.poll, time.monotonic()
        try:
            answer = self._client.get(
                f"/sandboxes/{self._settings.sandbox_id}/messages",
                after=self._after,
                wait=f"{poll:g}",
                timeout=poll + 15,
                patience=poll,
            )
        except Unreached:
            return True
        except Refused as refusal:
            if refusal.is_dismissal:
                self._control.stop("dismissed")
            self._control.pause(self._settings.heartbeat)
            return True
        if not self._note(answer.get("messages") or []) and time.monotonic() - begun < poll / 2:
            self._control.pause(min(LEAST, poll))
        return True

    def _note(self, messages: list[dict[str, Any]]) -> bool:
        """Whether one of them is not known yet."""
        fresh = [one for one in messages if one["seq"] > self._after]
        if not fresh:
            return False
        with self._lock:
            self._unread += fresh
            self._after = max(one["seq"] for one in fresh)
            self._keep()
        if any(one["message_type"] == "interrupt" for one in fresh):
            self._control.interrupt()
        return True

    def _keep(self) -> None:
        self._state.keep("messages", {"after": self._after, "unread": self._unread})
