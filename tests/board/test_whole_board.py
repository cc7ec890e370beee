"""The board in the whole application: from a project to a ticket in building, with its events in the log."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx

from omniforge.api.app import create_app
from omniforge.bootstrap import Installation
from omniforge.core.config import Settings


async def test_a_project_a_ticket_and_its_moves_over_http(tmp_path: Path) -> None:
    async with Installation.open(Settings(home=tmp_path / "home")) as house:
        transport = httpx.ASGITransport(create_app(house))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8700/api/v1") as http:
            await walk(http, house)


async def walk(http: httpx.AsyncClient, house: Installation) -> None:
    project = (await http.post("/projects", json={"name": "Shop"})).json()
    given = {"project_id": project["id"], "title": "Search", "start": True}
    once = {"Idempotency-Key": "one"}
    ticket = (await http.post("/tickets", json=given, headers=once)).json()
    assert (await http.post("/tickets", json=given, headers=once)).json() == ticket

    async def shown() -> dict[str, Any]:
        return (await http.get(f"/tickets/{ticket['id']}")).json()

    async with asyncio.timeout(20):  # an autonomous project pulls what is ready
        while (await shown())["status"] != "analyzing":
            await asyncio.sleep(0.01)
    assert [task["task_type"] for task in (await shown())["tasks"]] == ["analyze_requirements"]
    path = f"/tickets/{ticket['id']}/transition"
    refused = await http.post(path, json={"to_status": "building"})
    assert (refused.status_code, refused.json()["error"]) == (409, "gate_pending")
    body = {"to_status": "building", "force": True, "reason": "to see it"}
    assert (await http.post(path, json=body)).json()["status"] == "building"
    types = [row.type for row in await house.board.events.read("default") if row.type.startswith("ticket.")]
    assert types == ["ticket.created", "ticket.transitioned", "ticket.transitioned"]
    assert (await http.get("/phases/PHASE_IMPLEMENTATION")).json()["ticket_count"] == 1
    assert (await http.get("/board/view", params={"project_id": project["id"]})).json()["total"] == 1
