"""Some of what `make fuzz` asks: no odd request is answered with 5xx, nor refused in other than our words."""

from __future__ import annotations

from pathlib import Path

from bench.fuzz import fuzz, server


def test_odd_requests_are_answered_in_our_words(tmp_path: Path) -> None:
    with server(tmp_path) as url:
        found, told, _ = fuzz(url, examples=3, start=1, every=8)
    assert found == []
    assert told["requests"] > told["operations"]
