"""Anthropic's Messages."""

from __future__ import annotations

from anthropic import AsyncAnthropic
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.providers.anthropic import AnthropicProvider

from omniforge.llm.providers import Seat

ADDRESS = "https://api.anthropic.com"


def open_model(seat: Seat, model: str) -> AnthropicModel:
    client = AsyncAnthropic(
        api_key=seat.key, base_url=seat.address or ADDRESS, max_retries=0, http_client=seat.http()
    )
    return AnthropicModel(model, provider=AnthropicProvider(anthropic_client=client))
