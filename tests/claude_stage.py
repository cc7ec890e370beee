"""Agents of the Claude Agent SDK before a scripted model: real ones, and some that tests play."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import psutil

from model_server import RunningModels
from model_stage import settings_for, tool
from omniforge.llm.claude.guest import Bridge, Enclosure, Ended, Guest
from omniforge.llm.client import Models
from omniforge.llm.protocol import (
    Answer,
    Ask,
    AskEvent,
    AskEventKind,
    Json,
    ModelUnavailable,
    ToolRefused,
)
from standin_server import HandClock

MODEL = "claude-agent:claude-test-1"
SCHEMA: Json = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
PROGRAM = "/claude/claude"
MESSAGES = "/v1/messages"
QUESTION: Json = {"model": "m", "stream": True, "messages": []}


@dataclass
class Stage:
    """A client whose agents run in sandboxes of this computer, and what it tells while it asks."""

    server: RunningModels
    enclosure: Enclosure
    changes: dict[str, Any] = field(default_factory=dict[str, Any])
    events: list[AskEvent] = field(default_factory=list[AskEvent])

    def __post_init__(self) -> None:
        self.client = Models(
            settings_for(self.server, **self.changes), clock=HandClock(), enclosure=self.enclosure
        )

    async def ask(
        self, prompt: str = "Do it.", instructions: str = "You are a test.", **given: Any
    ) -> Answer:
        asked: dict[str, Any] = {"model": MODEL, "on_event": self._note, **given}
        return await self.client.ask(Ask(instructions, prompt, **asked))

    async def _note(self, event: AskEvent) -> None:
        self.events.append(event)

    def told(self, kind: AskEventKind) -> list[AskEvent]:
        return [event for event in self.events if event.kind is kind]

    def requests(self) -> list[Json]:
        return [entry.body for entry in self.server.state.requests]


def programs() -> list[psutil.Process]:
    """Programs of the SDK that we have started and that still live."""
    return [found for found in psutil.Process().children(recursive=True) if is_program(found)]


def is_program(process: psutil.Process) -> bool:
    try:
        return PROGRAM in process.cmdline()[:1]
    except psutil.Error:
        return False


def call(at: Any, name: str = "mcp__own__look") -> Json:
    return {"tools": [{"name": name, "args": at if isinstance(at, str) else dict(at)}]}


def looking(seen: list[Json]) -> Any:
    async def look(args: Json) -> Any:
        seen.append(args)
        if args["at"] == "cellar":
            raise ToolRefused("It is dark.")
        if args["at"] == "roof":
            raise ModelUnavailable("fallen off", retryable=False)
        return {"seen": args["at"]}

    return tool("look", look, at="string")


Staged = Callable[..., Stage]
"""A stage with that enclosure and those changes of the settings; closed when the test ends."""


@dataclass
class Playing:
    """A guest without a program: does what a test wants it to."""

    play: Callable[[Bridge], Awaitable[Ended]]

    async def run(self, guest: Guest, bridge: Bridge) -> Ended:
        return await self.play(bridge)


def asks_once(text: str = json.dumps(QUESTION), path: str = MESSAGES) -> Playing:
    """A guest with one request, which it would read the answer of."""

    async def play(bridge: Bridge) -> Ended:
        await bridge({"op": "ask", "exchange": 1, "headers": {}, "more": False, "path": path, "text": text})
        return Ended(0)

    return Playing(play)
