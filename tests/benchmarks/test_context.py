"""Opening what is needed costs a good third less than being given everything, and finds the same."""

from __future__ import annotations

from bench.context import BAR, measure


def test_on_demand_finds_the_same_for_fewer_tokens() -> None:
    figures = measure()
    assert figures["ok"], figures
    assert figures["saved"] >= BAR
    assert len(figures["scenarios"]) >= 6
