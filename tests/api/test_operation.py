"""Breakers and slots over the API: seen by those who may, reset by those who manage integrations."""

from __future__ import annotations

from typing import Any

from omniforge.core.actor import Role


async def test_an_open_breaker_is_shown_and_reset_by_hand(application: Any) -> None:
    breakers = application.house.breakers
    for _ in range(3):
        await breakers.record("default", "integration:notion", True)
    shown = (await application.local.get("/api/v1/breakers")).json()["breakers"]
    assert [(item["name"], item["status"]) for item in shown] == [("integration:notion", "open")]
    viewer = await application.member(Role.VIEWER)
    assert (await viewer.post("/api/v1/breakers/integration:notion/reset")).status_code == 403
    reset = await application.local.post("/api/v1/breakers/integration:notion/reset")
    assert (reset.status_code, reset.json()["status"]) == (200, "closed")
    stranger = await application.member(Role.OWNER, "other", "stranger")
    assert (await stranger.get("/api/v1/breakers")).json() == {"breakers": []}


async def test_the_slots_are_for_the_operator_of_the_installation(application: Any) -> None:
    figures = (await application.local.get("/api/v1/admission")).json()
    assert figures["held"] == 0
    assert figures["free"] == figures["limit"] > 0
    assert figures["paused"] is False
    stranger = await application.member(Role.OWNER, "other", "stranger")
    assert (await stranger.get("/api/v1/admission")).status_code == 403
