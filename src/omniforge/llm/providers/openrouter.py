"""OpenRouter: many vendors' models at one address."""

from __future__ import annotations

from pydantic_ai.models.openrouter import OpenRouterModel
from pydantic_ai.providers.openrouter import OpenRouterProvider

from omniforge.llm.providers import Seat
from omniforge.llm.providers.openai import client_of

ADDRESS = "https://openrouter.ai/api/v1"


def open_model(seat: Seat, model: str) -> OpenRouterModel:
    return OpenRouterModel(model, provider=OpenRouterProvider(openai_client=client_of(seat, ADDRESS)))
