"""What a call costs, from a dated table of prices. A price nobody knows is None, never zero."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any, cast

import yaml
from pydantic import BaseModel, Field, ValidationError

from omniforge.core.errors import Invalid
from omniforge.llm.choice import ModelName

MILLION = 1_000_000
LISTED = {
    **{"anthropic": "anthropic", "claude-agent": "anthropic"},
    **{"openai": "openai", "openai-chat": "openai", "openrouter": "openrouter"},
}
"""Providers whose models the library `genai-prices` lists, as it calls them; of others the table knows."""


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars for a million tokens, and the day they are from (None: as the library has them)."""

    tokens_in: float
    tokens_out: float
    tokens_cached: float | None = None
    day: date | None = None

    def of(self, tokens_in: int, tokens_out: int, tokens_cached: int = 0) -> float:
        """`tokens_in` includes the cached ones."""
        cached = self.tokens_in if self.tokens_cached is None else self.tokens_cached
        paid = (tokens_in - tokens_cached) * self.tokens_in + tokens_cached * cached
        return (paid + tokens_out * self.tokens_out) / MILLION


class _Line(BaseModel, extra="forbid"):
    input: float = Field(ge=0)
    output: float = Field(ge=0)
    cached: float | None = Field(default=None, ge=0)


class _Table(BaseModel, extra="forbid"):
    date: date
    prices: dict[str, _Line]


@dataclass(frozen=True, slots=True)
class Prices:
    """A table of one's own first (names may end in `*`), then the library's."""

    table: Mapping[str, Price] = field(default_factory=dict[str, Price])

    @classmethod
    def load(cls, path: Path | None) -> Prices:
        """YAML or JSON: `{date: 2026-01-31, prices: {"provider:model*": {input: 3, output: 15}}}`."""
        if path is None:
            return cls()
        try:
            read = _Table.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
        except (OSError, yaml.YAMLError, ValidationError) as error:
            raise Invalid(f"The table of prices {path} cannot be used: {error}", path=str(path)) from None
        lines = read.prices.items()
        return cls({name: Price(one.input, one.output, one.cached, read.date) for name, one in lines})

    def of(self, model: ModelName) -> Price | None:
        name = str(model)
        if name in self.table:
            return self.table[name]
        for pattern, price in self.table.items():
            if fnmatchcase(name, pattern):
                return price
        return _listed(model) if model.provider in LISTED else None


@cache
def _listed(model: ModelName) -> Price | None:
    """The library's price for short questions; it comes with the library and needs no network."""
    import genai_prices  # noqa: PLC0415 - 0.2 s for those who ask

    def cost(**tokens: int) -> float:
        usage = cast("Any", genai_prices.Usage(**tokens))
        listed = LISTED[model.provider]
        return float(genai_prices.calc_price(usage, model.model, provider_id=listed).total_price)

    thousand, factor = 1000, MILLION / 1000
    try:
        paid = cost(input_tokens=thousand) * factor, cost(output_tokens=thousand) * factor
        cached = cost(input_tokens=thousand, cache_read_tokens=thousand) * factor
    except (LookupError, ValueError):
        return None
    return Price(*paid, cached)
