"""Sandboxes over HTTP for people: asked for, looked at, spoken to, taken away; and how much room there is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from tests.board.task_stage import Stage
from tests.board.worker_stage import Works, open_works

from omniforge.board.store.queue import Capacity
from omniforge.board.vocabulary import TicketStatus
from omniforge.core.actor import Role
from omniforge.db import Database


@pytest.fixture
async def works(database: Database, tmp_path: Path) -> AsyncIterator[Works]:
    async with open_works(Stage(database), tmp_path) as opened:
        yield opened


async def test_a_worker_from_outside_gets_its_token_once(works: Works, store: str) -> None:
    task_id = await works.stage.task(works.ticket)
    env = {"SHOP_KEY": "hunter2-hunter2"}
    asked = {"task_id": task_id, "worker": "external", "env": env, "keep_seconds": 3600}
    made = await works.ask("POST", "/sandboxes", 201, json=asked)
    assert (made["state"], made["worker"], made["task_id"], made["attempt"]) == (
        "pending",
        "external",
        task_id,
        1,
    )
    assert works.stage.started == [(task_id, 1)]
    assert made["keep_until"] is not None
    assert "token" not in await works.ask("GET", f"/sandboxes/{made['id']}")
    worker = works.speak_as(made["id"], task_id, made["token"])
    assert (await worker.hear())["messages"] == []
    await works.sandboxes.provision(made["id"], b"\0" * 10_240)
    assert (await works.row(made["id"])).state == "creating"
    place = works.provider.places[(await works.row(made["id"])).provider_ref or ""]
    assert place.env is None, "nobody starts a program there"
    await worker.tell("agent.message", event_data={"text": "key is hunter2-hunter2"})
    assert (await works.stage.payloads("agent.replied"))[0]["text"] == "key is [secret removed]"
    assert (await works.row(made["id"])).state == "running"
    if store != "sqlite":
        return
    files = list(works.stage.db.path.parent.glob(f"{works.stage.db.path.name}*"))
    everything = b"".join(path.read_bytes() for path in files if path.suffix != ".reserve")
    assert task_id.encode() in everything
    assert b"hunter2" not in everything
    assert made["token"].encode() not in everything


async def test_a_sandbox_of_ours_shows_no_token(works: Works) -> None:
    task_id = await works.stage.task(works.ticket)
    made = await works.ask("POST", "/sandboxes", 201, json={"task_id": task_id, "agent_id": "agent-1"})
    assert (made["token"], made["worker"], made["agent_id"]) == (None, "kit", "agent-1")


async def test_why_there_is_no_sandbox_for_a_task(works: Works) -> None:
    async def refused(task_id: str, status: int = 409, **more: object) -> str:
        asked = {"task_id": task_id, **more}
        return (await works.ask("POST", "/sandboxes", status, json=asked))["error"]

    task_id = await works.stage.task(works.ticket)
    assert await refused("nothing", 404) == "not_found"
    assert await refused(task_id, 422, env={"OMNIFORGE_TOKEN": "mine"}) == "invalid"
    assert await refused(task_id, 422, env={"A=B": "x"}) == "invalid"
    assert await refused(task_id, 422, provider="cloud") == "invalid"
    assert await refused(task_id, 422, keep_seconds=86_401) == "invalid"
    assert await refused(task_id, 503, provider="docker") == "provider_unavailable"
    waits = await works.stage.task(works.ticket, task_id)
    assert await refused(waits) == "task_not_ready"
    await works.ask("POST", "/sandboxes", 201, json={"task_id": task_id})
    assert await refused(task_id) == "task_has_sandbox"
    await works.ask("POST", f"/tasks/{waits}/cancel")
    assert await refused(waits) == "task_finished"
    viewer = await works.sign_in(Role.VIEWER)
    assert (await viewer.post("/api/v1/sandboxes", json={"task_id": task_id})).status_code == 403


async def test_when_every_place_is_taken(database: Database, tmp_path: Path) -> None:
    async with open_works(Stage(database, capacity=Capacity(tenant=1, installation=2)), tmp_path) as works:
        await works.claimed()
        task_id = await works.stage.task(works.ticket)
        answer = await works.http.post("/api/v1/sandboxes", json={"task_id": task_id})
        assert (answer.status_code, answer.json()["error"]) == (429, "no_capacity")
        assert int(answer.headers["retry-after"]) >= 1
        room = await works.ask("GET", "/sandboxes/capacity")
        assert room == {
            "running": 1,
            "max": 1,
            "available": 0,
            "at_capacity": True,
            "queued": 1,
            "waiting": [{"task_id": task_id, "reason": "tenant_full"}],
        }


async def test_how_much_room_there_is_and_what_waits_for_what(works: Works) -> None:
    room = await works.ask("GET", "/sandboxes/capacity", params={"project_id": works.project})
    assert (room["running"], room["max"], room["available"], room["at_capacity"]) == (0, 100, 100, False)
    quiet = await works.stage.project(autonomous=False)
    narrow = await works.stage.project(settings={"max_concurrent_sandboxes": 1})
    tickets = {name: await works.stage.ticket(name) for name in (quiet, narrow)}
    by_hand = await works.stage.task(tickets[quiet])
    await works.stage.task(tickets[narrow])
    await works.stage.claimed()
    full = await works.stage.task(tickets[narrow])
    later = await works.stage.task(works.ticket)
    await works.stage.set_task(later, not_before=works.stage.clock.now().replace(year=2027))
    ready, nobody = await works.stage.task(works.ticket), await works.stage.task(works.ticket)

    async def unusable(_session: object, task: object) -> str | None:
        return "no_agent" if getattr(task, "id", "") == nobody else None

    works.workshop.places.unusable = unusable
    room = await works.ask("GET", "/sandboxes/capacity")
    assert {one["task_id"]: one["reason"] for one in room["waiting"]} == {
        by_hand: "project_not_autonomous",
        full: "project_full",
        later: "not_before",
        ready: "next",
        nobody: "no_agent",
    }
    assert (room["queued"], room["running"]) == (5, 1)
    one = await works.ask("GET", "/sandboxes/capacity", params={"project_id": narrow})
    assert (one["at_capacity"], one["queued"]) == (True, 1)
    await works.ask("GET", "/sandboxes/capacity", 404, params={"project_id": "nothing"})


async def test_health_is_asked_and_kept_for_ten_seconds(works: Works) -> None:
    first = await works.ask("GET", "/sandboxes/health")
    told = "Plain processes, for tests only."
    assert first["providers"] == [{"name": "local", "healthy": True, "isolated": False, "message": told}]
    assert (first["status"], first["service"]) == ("ok", "sandboxes")
    works.provider.broken = {"health"}
    assert (await works.ask("GET", "/sandboxes/health"))["status"] == "ok"
    assert works.provider.asked_health == 1
    works.stage.clock.turn(10)
    worse = await works.ask("GET", "/sandboxes/health")
    assert (worse["status"], works.provider.asked_health) == ("degraded", 2)
    assert worse["providers"][0]["healthy"] is False


async def test_sandboxes_are_listed_newest_first(works: Works) -> None:
    one, two = await works.worker(), await works.worker()
    await two.beat()
    listed = await works.ask("GET", "/sandboxes")
    assert [row["id"] for row in listed["sandboxes"]] == [two.sandbox_id, one.sandbox_id]
    assert (listed["total"], listed["limit"], listed["offset"]) == (2, 50, 0)
    for asked, found in (
        ({"status": "running"}, [two.sandbox_id]),
        ({"task_id": one.task_id}, [one.sandbox_id]),
        ({"kind": "check"}, []),
        ({"project_id": "nothing"}, []),
        ({"limit": 1, "offset": 1}, [one.sandbox_id]),
    ):
        rows = (await works.ask("GET", "/sandboxes", params=asked))["sandboxes"]
        assert [row["id"] for row in rows] == found
    await works.ask("GET", "/sandboxes", 422, params={"status": "asleep"})
    task = await works.ask("GET", f"/sandboxes/{one.sandbox_id}/task")
    assert task["id"] == one.task_id


@pytest.mark.parametrize(
    ("then", "status", "retries"),
    [("requeue", "queued", 0), ("fail", "failed", 0), ("cancel", "cancelled", 0)],
)
async def test_taking_a_sandbox_away(works: Works, then: str, status: str, retries: int) -> None:
    worker = await works.worker()
    await worker.beat()
    path = f"/sandboxes/{worker.sandbox_id}"
    gone = await works.ask("DELETE", path, params={"task": then})
    assert gone == {"status": "terminated", "task_status": status}
    assert await works.ask("DELETE", path) == {"status": "terminated", "task_status": status}
    assert (await worker.beat(401))["error"] == "token_revoked"
    assert works.provider.places == {}
    task = await works.stage.get(worker.task_id)
    assert (task.retry_count, task.sandbox_id) == (0, None)
    assert (await works.told(worker.sandbox_id)).count("sandbox.terminated") == 1
    if then == "requeue":
        assert (await works.stage.claimed()).task.id == worker.task_id


async def test_what_was_done_in_a_sandbox(works: Works) -> None:
    worker = await works.worker()
    await worker.beat()
    for number in range(5):
        await worker.tell("agent.message", event_data={"text": str(number)})
    await worker.beat()
    await worker.tell("sandbox.metrics", event_data={"metrics": {"load": 0.5}})
    path = f"/sandboxes/{worker.sandbox_id}"
    listed = await works.ask("GET", f"{path}/events", params={"limit": 2})
    assert [one["type"] for one in listed["events"]] == ["sandbox.measured", "sandbox.heartbeat_received"]
    assert (listed["total"], listed["limit"]) == (11, 2)
    later = await works.ask(
        "GET", f"{path}/events", params={"order": "asc", "after": listed["events"][1]["seq"]}
    )
    assert [one["type"] for one in later["events"]] == ["sandbox.measured"]

    whole = await works.ask("GET", f"{path}/trajectory", params={"limit": 3})
    assert [one["payload"]["text"] for one in whole["events"]] == ["2", "3", "4"]
    assert whole["heartbeat_summary"]["count"] == 2
    assert (whole["total_events"], whole["trajectory_events"], whole["total"]) == (11, 8, 8)
    before = whole["events"][0]["seq"]
    back = await works.ask("GET", f"{path}/trajectory", params={"limit": 3, "before": before})
    assert [one["type"] for one in back["events"]] == ["sandbox.started", "agent.replied", "agent.replied"]
    row = await works.ask("GET", path)
    assert row["metrics"] == {"busy": False, "load": 0.5}


async def test_strangers_find_nothing(works: Works) -> None:
    worker = await works.worker()
    await works.tenants.create_tenant("other", "Other")
    stranger: httpx.AsyncClient = await works.sign_in(Role.OWNER, "other")
    for path in ("", "/events", "/trajectory", "/task", "/messages"):
        for sandbox_id in (worker.sandbox_id, "sbx_nothing"):
            answer = await stranger.get(f"/api/v1/sandboxes/{sandbox_id}{path}")
            assert (answer.status_code, answer.json()["error"]) == (404, "not_found")
    path, said = f"/api/v1/sandboxes/{worker.sandbox_id}/messages", {"content": "hello"}
    assert (await stranger.post(path, json=said)).status_code == 404
    assert (await stranger.delete(f"/api/v1/sandboxes/{worker.sandbox_id}")).status_code == 404
    assert (await stranger.get("/api/v1/sandboxes")).json()["sandboxes"] == []
    asked = {"task_id": worker.task_id}
    assert (await stranger.post("/api/v1/sandboxes", json=asked)).status_code == 404
    assert (await stranger.get("/api/v1/sandboxes/capacity")).json()["running"] == 0


async def test_a_check_has_no_task(works: Works) -> None:
    ticket = await works.stage.ticket(works.project, TicketStatus.TESTING)
    async with works.stage.db.transaction() as session:
        check = await works.sandboxes.request_check_in(
            session, tenant_id="default", project_id=works.project, ticket_id=ticket, run_id=None
        )
    await works.ask("GET", f"/sandboxes/{check.id}/task", 404)
    gone = await works.ask("DELETE", f"/sandboxes/{check.id}")
    assert gone == {"status": "terminated", "task_status": None}
    events = await works.ask("GET", f"/sandboxes/{check.id}/events")
    assert [one["type"] for one in events["events"]] == ["sandbox.terminated", "sandbox.requested"]
    assert events["events"][0]["ticket_id"] == ticket
