"""Patterns that people wrote, searched with an end: whatever they wrote, nothing waits for it for long."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from functools import lru_cache

import regex

SECONDS = 20.0
"""For all patterns over all lines together."""


class TooSlow(Exception):
    """A pattern that would search for ever."""


@lru_cache(maxsize=500)
def compiled(pattern: str) -> regex.Pattern[str]:
    """ValueError with what is wrong with it."""
    try:
        return regex.compile(pattern)
    except (regex.error, OverflowError, RecursionError, ValueError) as flaw:
        raise ValueError(f"no regular expression: {flaw}") from None


def first_match(
    patterns: Sequence[str], lines: Iterable[tuple[str, str]], seconds: float = SECONDS
) -> tuple[str, str, str] | None:
    """(pattern, path, line) of the first line that matches; slow, so call it in a thread of its own.

    `TooSlow` names the pattern that was still at work when the time was over.
    """
    wanted = [compiled(pattern) for pattern in patterns]
    end = time.monotonic() + seconds
    for path, line in lines:
        for pattern in wanted:
            left = max(end - time.monotonic(), 0.001)
            try:
                found = pattern.search(line, timeout=left, concurrent=True)
            except TimeoutError:
                raise TooSlow(pattern.pattern) from None
            if found:
                return pattern.pattern, path, line
            if time.monotonic() > end:
                raise TooSlow(pattern.pattern)
    return None
