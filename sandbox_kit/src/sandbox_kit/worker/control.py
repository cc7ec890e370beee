"""Whether to go on: asked by who works, told by heartbeats, messages and signals."""

from __future__ import annotations

import threading


class Stopped(Exception):
    """All work ends now; `reason` says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Interrupted(Exception):
    """The turn under way ends; what people said is looked at next."""


class Control:
    """Safe to use from several threads."""

    def __init__(self) -> None:
        self.stopping = threading.Event()
        self.interrupting = threading.Event()
        self.reason = ""

    def stop(self, reason: str) -> None:
        if not self.stopping.is_set():
            self.reason = reason
            self.stopping.set()

    def interrupt(self) -> None:
        self.interrupting.set()

    def check(self) -> None:
        """Raise `Stopped` or `Interrupted` when that is wanted. An interruption holds until it is taken."""
        if self.stopping.is_set():
            raise Stopped(self.reason)
        if self.interrupting.is_set():
            raise Interrupted

    def take_interruption(self) -> bool:
        """Whether there was one."""
        was = self.interrupting.is_set()
        self.interrupting.clear()
        return was

    def pause(self, seconds: float) -> None:
        """Wait, unless everything stops; then raise `Stopped`."""
        if self.stopping.wait(seconds):
            raise Stopped(self.reason)
