"""The HTTP of schedules and of the ledger of fires, over a small app."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from tests.agents.conftest import House, TurnableClock

from omniforge.agents.fires import EventFire
from omniforge.agents.ledger_endpoints import router
from omniforge.agents.triggers import Scheduler
from omniforge.core.actor import Actor
from omniforge.core.errors import OmniForgeError
from omniforge.tenants.endpoints import current_actor

HOURLY: dict[str, Any] = {"trigger_type": "scheduled", "schedule": "0 * * * *"}


@pytest.fixture
async def http(house: House, actor: Actor, foreign_actor: Actor) -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    app.include_router(router)
    app.state.agents = house.agents

    def who(request: Request) -> Actor:
        return foreign_actor if request.headers.get("x-who") == "stranger" else actor

    app.dependency_overrides[current_actor] = who

    @app.exception_handler(OmniForgeError)
    async def answer(_: Request, error: OmniForgeError) -> JSONResponse:  # pyright: ignore[reportUnusedFunction]
        return JSONResponse({"error": error.code}, error.status)

    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test/api/v1", timeout=20) as client:
        yield client


async def test_fires_are_shown_with_their_executions_and_those_to_come(
    http: httpx.AsyncClient, house: House, actor: Actor, clock: TurnableClock
) -> None:
    made = await house.active(actor, **HOURLY)
    clock.turn(hours=1, seconds=3)
    await Scheduler(house.agents, clock).fire_due()
    answer = (await http.get(f"/agents/{made.id}/fires", params={"limit": 1})).json()
    (line,) = answer["fires"]
    executions, _ = await house.runs.list_runs(actor, mode="live")
    assert line["execution_id"] == executions[0].run.id
    assert (line["kind"], line["status"], line["lag_seconds"], line["count"]) == (
        "schedule",
        "started",
        3.0,
        1,
    )
    assert line["logical_time"] == "2026-11-21T11:00:00Z"
    assert len(answer["next"]) == 3
    assert (answer["total"], answer["limit"], answer["offset"]) == (1, 1, 0)
    (entry,) = (await http.get("/schedules")).json()["schedules"]
    assert (entry["id"], entry["last_fire"]["execution_id"]) == (made.id, line["execution_id"])


async def test_who_belongs_elsewhere_gets_the_same_answer_as_for_what_there_is_not(
    http: httpx.AsyncClient, house: House, actor: Actor, clock: TurnableClock
) -> None:
    made = await house.active(actor, **HOURLY)
    event = EventFire("a", {"id": "1"}, clock.now(), "notion")
    await house.agents.fires.fire_event("default", made.id, event)
    stranger = {"x-who": "stranger"}
    answers = [
        await http.get(f"/agents/{made.id}/fires", headers=stranger),
        await http.get("/agents/nobody/fires"),
    ]
    assert [(answer.status_code, answer.json()["error"]) for answer in answers] == [(404, "not_found")] * 2
    assert (await http.get("/schedules", headers=stranger)).json()["schedules"] == []


@pytest.mark.parametrize("query", [{"limit": 0}, {"limit": 201}, {"offset": -1}, {"who": "me"}])
async def test_pages_beyond_reason_are_refused(
    http: httpx.AsyncClient, house: House, actor: Actor, query: dict[str, Any]
) -> None:
    made = await house.make(actor, **HOURLY)
    assert (await http.get(f"/agents/{made.id}/fires", params=query)).status_code == 422
