"""A model client before a model that says what a test wants: over each provider, or from a script alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pydantic import SecretStr

from model_server import RunningModels
from omniforge.core.config import ModelSettings
from omniforge.llm.client import Meter, Models
from omniforge.llm.protocol import Answer, Ask, AskEvent, ToolOffer
from omniforge.llm.scripts import Script, Turn, Writer, parse_turns
from standin_server import HandClock

NAMES = {
    "anthropic": "anthropic:claude-test-1",
    "openai": "openai:gpt-test-1",
    "openai-chat": "openai-chat:gpt-test-1",
    "openrouter": "openrouter:some/model-1",
    "local": "local:llama-test",
}
"""A model of every provider that is reached over HTTP; `local` is a server of one's own."""
KEY = "key-of-this-test-0123456789"


def settings_for(server: RunningModels, **changes: Any) -> ModelSettings:
    """Every provider at the local server."""
    given: dict[str, Any] = {
        "anthropic_api_key": SecretStr(KEY),
        "openai_api_key": SecretStr(KEY),
        "openrouter_api_key": SecretStr(KEY),
        "server_keys": {"local": SecretStr(KEY)},
        "servers": {
            "anthropic": server.url,
            "openai": f"{server.url}/v1",
            "openai-chat": f"{server.url}/v1",
            "openrouter": f"{server.url}/api/v1",
            "local": f"{server.url}/v1",
        },
    }
    return ModelSettings(**{**given, **changes})


@dataclass
class ModelStage:
    """`server` is None for the scripted model."""

    model: str
    client: Models
    clock: HandClock
    server: RunningModels | None = None
    events: list[AskEvent] = field(default_factory=list[AskEvent])

    @classmethod
    def over(cls, server: RunningModels, model: str, **changes: Any) -> ModelStage:
        clock = HandClock()
        return cls(model, Models(settings_for(server, **changes), clock=clock), clock, server)

    @classmethod
    def scripted(cls, *turns: dict[str, Any] | Turn, **changes: Any) -> ModelStage:
        return cls.written(Script([as_turn(turn) for turn in turns]), **changes)

    @classmethod
    def written(cls, script: Script | Writer, *, meter: Meter | None = None, **changes: Any) -> ModelStage:
        clock = HandClock()
        played = script if isinstance(script, Script) else Script(script)
        settings = ModelSettings(default="scripted:actor", **changes)
        return cls("scripted:actor", Models(settings, script=played, clock=clock, meter=meter), clock)

    async def ask(self, prompt: str = "Do it.", *, stream: bool = False, **given: Any) -> Answer:
        asked: dict[str, Any] = {"model": self.model, "on_event": self._note if stream else None, **given}
        return await self.client.ask(Ask("You are a test.", prompt, **asked))

    async def _note(self, event: AskEvent) -> None:
        self.events.append(event)


def as_turn(turn: dict[str, Any] | Turn) -> Turn:
    return turn if isinstance(turn, Turn) else parse_turns([turn])[0]


def tool(name: str, call: Any, **properties: str) -> ToolOffer:
    """A tool whose arguments are all required: `tool("look", look, room="string")`."""
    schema = {
        "type": "object",
        "properties": {name: {"type": kind} for name, kind in properties.items()},
        "required": list(properties),
    }
    return ToolOffer(name, f"Does {name}.", schema, call)
