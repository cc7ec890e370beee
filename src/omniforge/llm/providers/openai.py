"""OpenAI's Responses and Chat Completions, and every server that speaks the latter."""

from __future__ import annotations

from openai import AsyncOpenAI
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.profiles.openai import OpenAIModelProfile
from pydantic_ai.providers.openai import OpenAIProvider

from omniforge.llm.providers import Seat

ADDRESS = "https://api.openai.com/v1"
NO_KEY = "none"
"""Servers of one's own often want none; the client wants something to send."""


def open_responses(seat: Seat, model: str) -> OpenAIResponsesModel:
    return OpenAIResponsesModel(model, provider=OpenAIProvider(openai_client=client_of(seat, ADDRESS)))


def open_chat(seat: Seat, model: str) -> OpenAIChatModel:
    return OpenAIChatModel(model, provider=OpenAIProvider(openai_client=client_of(seat, ADDRESS)))


def open_compatible(seat: Seat, model: str) -> OpenAIChatModel:
    """A server of one's own: `max_tokens` instead of OpenAI's newer name, which few of them know."""
    return OpenAIChatModel(
        model,
        provider=OpenAIProvider(openai_client=client_of(seat, ADDRESS)),
        profile=OpenAIModelProfile(
            openai_chat_supports_max_completion_tokens=False, openai_supports_strict_tool_definition=False
        ),
    )


def client_of(seat: Seat, address: str) -> AsyncOpenAI:
    return AsyncOpenAI(
        api_key=seat.key or NO_KEY,
        base_url=seat.address or address,
        max_retries=0,
        http_client=seat.http(),
    )
