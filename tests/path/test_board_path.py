"""A feature goes from its description to merged work, in real sandboxes and over the real HTTP."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
from tests.board.test_chain import SPEC

from omniforge.cli.demo import free_port
from omniforge.cli.server import Running, ask, serving
from omniforge.core.config import Settings

Json = dict[str, Any]


async def until_done(running: Running, client: httpx.AsyncClient, ticket: str) -> Json:
    events = running.house.engine.events
    async with asyncio.timeout(90):
        while True:
            arrived = events.arrival()
            shown = await ask(client, "GET", f"/api/v1/tickets/{ticket}")
            if shown["status"] == "done" or shown["is_blocked"]:
                return shown
            await arrived.wait()


async def test_an_imported_spec_ends_as_merged_work(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home", port=free_port())
    async with serving(settings) as running, httpx.AsyncClient(base_url=settings.url, timeout=30) as client:
        project = (await ask(client, "POST", "/api/v1/projects", json={"name": "Shop"}))["id"]
        given = {"project_id": project, "title": "Greeting"}
        spec = (await ask(client, "POST", "/api/v1/specs", json=given))["id"]
        body = {"documents": [{"path": "spec.md", "content": SPEC}]}
        said = await ask(client, "POST", f"/api/v1/specs/{spec}/import", json=body)
        ticket = await until_done(running, client, said["map"]["TKT-001"]["id"])
        assert (ticket["status"], ticket["blocked_reason"]) == ("done", None)
        tasks = (await ask(client, "GET", "/api/v1/tasks", params={"project_id": project}))["tasks"]
        tried = {(task["status"], task["attempt"]) for task in tasks}
        assert tried == {("completed", 1)}, [task["feedback"] for task in tasks]
        assert {task["result"]["claims"] for task in tasks} == {"unchecked", "match"}
        repositories = running.house.rooms.chain.repositories
        main = await repositories.default_head(project)
        assert await repositories.file(project, str(main), "hello.txt") == b"hello\n"
        assert await repositories.file(project, str(main), "world.txt") == b"world\n"
        told = await ask(client, "GET", f"/api/v1/sandboxes/{(await sandboxes(client))[0]['id']}/trajectory")
        assert "command.completed" in {event["type"] for event in told["events"]}


async def sandboxes(client: httpx.AsyncClient) -> list[Json]:
    found = await ask(client, "GET", "/api/v1/sandboxes", params={"kind": "task"})
    return found["sandboxes"]
