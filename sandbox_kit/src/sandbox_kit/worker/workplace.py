"""All that work has at hand: the host, the workspace, what was there before, and what people say."""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sandbox_kit.worker.brief import Brief
from sandbox_kit.worker.client import Client, Refused, Unreached
from sandbox_kit.worker.control import Control
from sandbox_kit.worker.inbox import Inbox, Message
from sandbox_kit.worker.running import Commands
from sandbox_kit.worker.settings import Settings
from sandbox_kit.worker.state import State
from sandbox_kit.worker.telemetry import Telemetry
from sandbox_kit.worker.tree import Change, Look, as_json, compare, from_json, look_at

Json = dict[str, Any]
MOST_TOLD = 200
"""Changed files that are told one by one after one step; the result names all."""
PATIENCE = 5.0
"""Seconds for telling progress: it is not worth more."""


class OutsideWorkspace(ValueError):
    """A path that leads out of the workspace, or into what is not to be touched."""


class Workplace:
    """Made once the brief is known."""

    def __init__(
        self,
        *,
        settings: Settings,
        client: Client,
        control: Control,
        state: State,
        telemetry: Telemetry,
        inbox: Inbox,
        environment: Mapping[str, str],
        brief: Brief,
    ) -> None:
        self.settings, self.client, self.control, self.state = settings, client, control, state
        self.telemetry, self.inbox, self.brief = telemetry, inbox, brief
        self.environment = environment
        self.workspace, self.merge = settings.workspace, settings.merge
        self.commands = Commands(self)
        self._begun = self._first_seen()
        self._before = self._as_it_was()
        self._last = self._before
        numbers = itertools.count(1)
        session = f"{int(time.time() * 1000):x}"
        self._ids = (f"{session}-{number}" for number in numbers)

    @property
    def seconds_left(self) -> float | None:
        """Until the time limit; None without one."""
        minutes = self.brief.minutes
        return None if minutes is None else max(0.0, self._begun + minutes * 60 - time.time())

    def call_id(self) -> str:
        return next(self._ids)

    def path(self, given: str) -> Path:
        """A place inside the workspace; raises `OutsideWorkspace`."""
        place = (self.workspace / given).resolve()
        if not place.is_relative_to(self.workspace):
            raise OutsideWorkspace(f"{given} is outside of the workspace.")
        if ".git" in place.relative_to(self.workspace).parts:
            raise OutsideWorkspace(f"{given} belongs to version control.")
        return place

    def tell_changes(self) -> list[Change]:
        """What has changed since the last call, told as file.*."""
        now = look_at(self.workspace, self._last)
        changes = compare(self._last, now)
        self._last = now
        for change in changes[:MOST_TOLD]:
            told = {name: value for name, value in change.shown().items() if name != "action"}
            self.telemetry.tell(f"file.{change.action}", **told)
        return changes

    def all_changes(self) -> list[Change]:
        """What has changed since the work began."""
        return compare(self._before, look_at(self.workspace, self._last))

    def tell_progress(self, kind: str, message: str, percent: int | None = None) -> None:
        """For people on the board. Work does not depend on it."""
        body: Json = {"event_type": kind, "message": self.telemetry.masked(message)[:1_000]}
        if percent is not None:
            body["progress_percent"] = percent
        try:
            path = f"/sandbox/task/{self.settings.task_id}/progress"
            self.client.call("POST", path, body, patience=PATIENCE, timeout=PATIENCE)
        except (Refused, Unreached):
            pass

    def hear(self) -> list[Message]:
        """What people have said since; told as taken in."""
        messages = self.inbox.take()
        for message in messages:
            if message.kind == "interrupt":
                self.telemetry.agent("interrupted", message_id=message.id)
            if message.text.strip():
                self.telemetry.agent("input_received", text=message.text, message_id=message.id)
        return messages

    def _first_seen(self) -> float:
        """When the work on this attempt began, by this computer's clock, whichever worker began it."""
        kept = self.state.load("begun")
        if kept is None:
            self.state.keep("begun", kept := time.time())
        return float(kept)

    def _as_it_was(self) -> Look:
        kept = self.state.load("tree-before")
        if kept is not None:
            return from_json(kept)
        before = look_at(self.workspace)
        self.state.keep("tree-before", as_json(before))
        return before
