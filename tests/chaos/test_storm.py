"""A small storm over each store: no run is lost, no finished step is done again, nothing is told twice."""

from __future__ import annotations

import pytest

from chaos.profiles import PROFILES
from chaos.storm import STORMS, storm


@pytest.mark.parametrize("store", STORMS)
async def test_a_storm_of_kills_and_faults_loses_and_doubles_nothing(store: str) -> None:
    profile = PROFILES["small"][store]
    outcome = await storm(store, profile, 20261121, lambda _number, _what: None)
    verdict = outcome.verdict
    assert (outcome.problems, outcome.missed) == ([], [])
    assert (verdict.lost, verdict.duplicated, verdict.integrity, verdict.chain) == ([], [], "ok", "ok")
    assert outcome.kills >= profile.kills
    assert outcome.faults["wrong_clocks"] > 0
