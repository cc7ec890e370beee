"""Who serves models. Each module here makes pydantic-ai's model of a name: `open(seat, model) -> Model`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from omniforge.llm.scripts import Script

PROVIDERS: Mapping[str, str] = {
    "anthropic": "omniforge.llm.providers.anthropic:open_model",
    "openai": "omniforge.llm.providers.openai:open_responses",
    "openai-chat": "omniforge.llm.providers.openai:open_chat",
    "openrouter": "omniforge.llm.providers.openrouter:open_model",
    "scripted": "omniforge.llm.providers.scripted:open_model",
}
"""By the name in front of the colon; any other has to be one of the configured servers."""
COMPATIBLE = "omniforge.llm.providers.openai:open_compatible"
SIMULATED = frozenset({"scripted"})
AGENT = "claude-agent"
"""The Claude Agent SDK, which brings a loop of its own (see `llm.claude`)."""


@dataclass(frozen=True, slots=True)
class Seat:
    """What a provider is given: where it is, who we are there, and how it is reached."""

    address: str | None
    key: str | None
    http: Callable[[], Any]
    """The installation's HTTP client, made at the first call."""
    script: Script | None = None
