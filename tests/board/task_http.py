"""The HTTP of tasks over a small app, for tests: who calls is who the header X-Who names."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from tests.board.task_stage import OWNER, Stage

from omniforge.api.app import omniforge_error, validation_error
from omniforge.board.blocking import Blocking
from omniforge.board.endpoints import graph, tasks
from omniforge.board.endpoints.workers import person_or_worker
from omniforge.board.work import WorkService
from omniforge.core.actor import Actor, Role
from omniforge.core.errors import OmniForgeError
from omniforge.tenants.endpoints import current_actor
from omniforge.tenants.roles import permissions_of

Json = dict[str, Any]
VIEWER = Actor("default", "vera", Role.VIEWER, "user:vera", permissions_of(Role.VIEWER))
STRANGER = Actor("other", "sam", Role.OWNER, "user:sam", permissions_of(Role.OWNER))


class Http:
    """`project` and `ticket` are there, the ticket in building."""

    def __init__(self, client: httpx.AsyncClient, work: WorkService, project: str, ticket: str) -> None:
        self.client, self.work, self.project, self.ticket = client, work, project, ticket

    async def ask(self, method: str, path: str, status: int = 200, **more: Any) -> Any:
        answer = await self.client.request(method, path, **more)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def refused(self, method: str, path: str, status: int, code: str, **more: Any) -> Json:
        """The details of a refusal."""
        said = await self.ask(method, path, status, **more)
        assert said["error"] == code
        assert set(said) == {"error", "message", "details"}
        return said["details"]

    async def make(self, *depends_on: str, **fields: Any) -> Json:
        given = {"ticket_id": self.ticket, "title": "Write it", "depends_on": list(depends_on), **fields}
        return await self.ask("POST", "/tasks", 201, json=given)


@asynccontextmanager
async def open_http(stage: Stage) -> AsyncGenerator[Http]:
    async def start(_session: Any, task: Any) -> str:
        return f"run-{task.id}"

    work = WorkService(stage.db, stage.tasks, blocker=Blocking(stage.tasks), start=start)
    app = FastAPI()
    app.include_router(tasks.router)
    app.include_router(graph.router)
    app.state.work = work
    app.add_exception_handler(OmniForgeError, omniforge_error)
    app.add_exception_handler(RequestValidationError, validation_error)
    people = {"local": OWNER, "vera": VIEWER, "sam": STRANGER}

    def who(request: Request) -> Actor:
        return people[request.headers.get("x-who", "local")]

    app.dependency_overrides[current_actor] = app.dependency_overrides[person_or_worker] = who
    transport = httpx.ASGITransport(app)
    project = await stage.project()
    ticket = await stage.ticket(project)
    async with httpx.AsyncClient(transport=transport, base_url="http://test/api/v1", timeout=20) as client:
        yield Http(client, work, project, ticket)
