"""Work of the board goes on after workers and servers are killed, and is done once."""

from __future__ import annotations

import asyncio
import signal
import subprocess
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from sqlalchemy import update
from tests.board.test_chain import SPEC

from living_server import Server
from omniforge.board.store.tasks import TaskRow
from omniforge.cli.demo import free_port
from omniforge.cli.server import ask, serving
from omniforge.core.clock import SystemClock
from omniforge.core.config import Settings
from omniforge.db import Database

Json = dict[str, Any]
SLOW = SPEC.partition("### TSK-002")[0].replace("echo hello >", "sleep 2; echo hello >")
SOON = 60.0
WAY = ("analyzing", "building", "building-done", "testing", "done")
KINDS = ("task.completed", "commit.linked", "ticket.transitioned")


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    started = Server(tmp_path / "home")
    await started.start()
    yield started
    await started.close()


@asynccontextmanager
async def tables_of(server: Server) -> AsyncGenerator[Database]:
    db = Database(f"sqlite+aiosqlite:///{server.home / 'omniforge.db'}")
    try:
        yield db
    finally:
        await db.close()


async def imported(client: httpx.AsyncClient) -> dict[str, str]:
    """Ids by the names in the spec; the work begins."""
    project = (await ask(client, "POST", "/api/v1/projects", json={"name": "Shop"}))["id"]
    given = {"project_id": project, "title": "Greeting"}
    spec = (await ask(client, "POST", "/api/v1/specs", json=given))["id"]
    body = {"documents": [{"path": "spec.md", "content": SLOW}]}
    said = await ask(client, "POST", f"/api/v1/specs/{spec}/import", json=body)
    return {"project": project, **{name: one["id"] for name, one in said["map"].items()}}


async def shown(client: httpx.AsyncClient, kind: str, one: str) -> Json:
    return await ask(client, "GET", f"/api/v1/{kind}/{one}")


async def until(client: httpx.AsyncClient, kind: str, one: str, *statuses: str) -> Json:
    async with asyncio.timeout(SOON):
        while (found := await shown(client, kind, one))["status"] not in statuses:
            await asyncio.sleep(0.05)
    return found


async def until_at_work(client: httpx.AsyncClient, task: str) -> None:
    """Its worker has begun with a command."""
    async with asyncio.timeout(SOON):
        while True:
            if sandbox := (await shown(client, "tasks", task))["sandbox_id"]:
                told = await ask(client, "GET", f"/api/v1/sandboxes/{sandbox}/trajectory")
                if "command.started" in {event["type"] for event in told["events"]}:
                    return
            await asyncio.sleep(0.05)


def workers_of(pid: int | None = None) -> list[psutil.Process]:
    """What runs the kit's worker below a process; below this one unless it is named."""
    found: list[psutil.Process] = []
    for one in psutil.Process(pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # it has ended meanwhile
            found += [one] if "sandbox_kit.worker" in one.cmdline() else []
    return found


async def no_longer_waits(db: Database, task: str, **values: Any) -> None:
    """As if the time had gone by that somebody is waited for."""
    async with db.transaction() as session:
        await session.execute(update(TaskRow).where(TaskRow.id == task).values(**values))


async def test_a_worker_that_is_killed_is_seen_and_its_task_done_by_another(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home", port=free_port())
    async with serving(settings) as running, httpx.AsyncClient(base_url=settings.url, timeout=30) as client:
        ids = await imported(client)
        task, db = ids["TSK-001"], running.house.db
        await until_at_work(client, task)
        workers = workers_of()
        assert workers
        for worker in workers:
            with suppress(psutil.NoSuchProcess):  # the first one takes those below it along
                worker.kill()
        await asyncio.to_thread(psutil.wait_procs, workers)
        assert (await shown(client, "tasks", task))["status"] == "running", "nobody misses it yet"
        await no_longer_waits(db, task, lease_expires_at=SystemClock().now())
        tried = await until(client, "tasks", task, "queued")
        assert (tried["retry_count"], tried["feedback"][0]["error_code"]) == (1, "heartbeat_lost")
        await no_longer_waits(db, task, not_before=None)
        assert (await until(client, "tasks", task, "completed"))["attempt"] == 2
        async with asyncio.timeout(SOON):
            while workers_of():
                await asyncio.sleep(0.05)


async def test_a_server_that_is_killed_is_followed_by_one_that_finishes_everything(server: Server) -> None:
    ids = await imported(server.client)
    task = ids["TSK-001"]
    await until_at_work(server.client, task)
    await server.stop(signal.SIGKILL)
    await server.start()
    async with tables_of(server) as db:
        await no_longer_waits(db, task, lease_expires_at=SystemClock().now())
        found = await until(server.client, "tasks", task, "queued", "completed")
        if found["status"] == "queued":
            await no_longer_waits(db, task, not_before=None)
    await until(server.client, "tickets", ids["TKT-001"], "done")
    assert server.process is not None
    async with asyncio.timeout(SOON):
        while workers_of(server.process.pid):
            await asyncio.sleep(0.05)
    told = [event["type"] for event in await every_event(server.client, ids["project"])]
    assert (told.count("task.completed"), told.count("commit.linked")) == (1, 1)
    assert told.count("ticket.transitioned") == len(WAY)
    (repository,) = (server.home / "repositories").glob("**/HEAD")
    git = ("git", "-C", str(repository.parent), "log", "--format=%s", "main")
    log = await asyncio.to_thread(subprocess.run, git, capture_output=True, text=True, check=True)
    assert [one for one in log.stdout.splitlines() if one.startswith("TSK-")] == ["TSK-001: Write it"]


async def every_event(client: httpx.AsyncClient, project: str) -> list[Json]:
    params: Json = {"project_id": project, "limit": 200, "event_types": ",".join(KINDS)}
    return (await ask(client, "GET", "/api/v1/events", params=params))["events"]
