"""Attempts with sandboxes behind the real HTTP, for tests: whoever works in them is the test itself."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from tests.board.task_stage import Stage
from tests.sandboxes.plain_workspaces import PlainWorkspaces, tar_of

from omniforge.api.app import Intake, omniforge_error, validation_error
from omniforge.board.claims import Claimed
from omniforge.board.endpoints import sandboxes, tasks, workers
from omniforge.board.work import WorkService
from omniforge.board.workshop import Workshop
from omniforge.core.actor import Role
from omniforge.core.clock import SystemClock
from omniforge.core.config import Settings
from omniforge.core.crypto import MasterKeys
from omniforge.core.errors import OmniForgeError
from omniforge.sandboxes.service import SandboxService
from omniforge.sandboxes.store import SandboxRow
from omniforge.tenants import SecretBox, TenantService
from omniforge.tenants.auth import load_jwt_key

BASE = "http://127.0.0.1:8700"
Json = dict[str, Any]


@dataclass
class Worker:
    """Who works on an attempt, with the token that its sandbox was started with."""

    http: httpx.AsyncClient
    sandbox_id: str
    task_id: str
    token: str

    async def ask(self, method: str, path: str, status: int = 200, **more: Any) -> Any:
        answer = await self.http.request(method, f"/api/v1{path}", **more)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def tell(self, event_type: str, status: int = 201, /, **more: Any) -> Json:
        given = {"event_type": event_type, **more}
        return await self.ask("POST", f"/sandboxes/{self.sandbox_id}/events", status, json=given)

    async def beat(self, status: int = 200, /, **more: Any) -> Json:
        given = {"sandbox_id": self.sandbox_id, "status": "working", **more}
        return await self.ask("POST", "/sandbox/heartbeat", status, json=given)

    async def hear(self, after: int = 0, wait: float = 0, status: int = 200) -> Json:
        where = f"/sandboxes/{self.sandbox_id}/messages"
        return await self.ask("GET", where, status, params={"after": after, "wait": wait})


@dataclass
class Works:
    """`http` is the owner; `stage` makes rows, `provider` holds the workspaces."""

    stage: Stage
    provider: PlainWorkspaces
    sandboxes: SandboxService
    work: WorkService
    workshop: Workshop
    tenants: TenantService
    transport: httpx.ASGITransport
    http: httpx.AsyncClient
    project: str
    ticket: str

    async def ask(self, method: str, path: str, status: int = 200, **more: Any) -> Any:
        answer = await self.http.request(method, f"/api/v1{path}", **more)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def claimed(self, **fields: Any) -> Claimed:
        """An attempt of a task of its own."""
        await self.stage.task(self.ticket, **fields)
        return await self.stage.claimed()

    async def worker(self, **fields: Any) -> Worker:
        """Of an attempt that was claimed and whose sandbox is there; it has not spoken yet."""
        return await self.start(await self.claimed(**fields))

    async def start(self, claimed: Claimed) -> Worker:
        sandbox_id = claimed.sandbox.id
        await self.sandboxes.provision(sandbox_id, tar_of({"README.md": "# Shop\n"}))
        row = await self.row(sandbox_id)
        assert row.provider_ref is not None
        env = self.provider.places[row.provider_ref].env
        assert env is not None
        return self.speak_as(sandbox_id, claimed.task.id, env["OMNIFORGE_TOKEN"])

    def speak_as(self, sandbox_id: str, task_id: str, token: str) -> Worker:
        headers = {"Authorization": f"Bearer {token}"}
        http = httpx.AsyncClient(transport=self.transport, base_url=BASE, headers=headers, timeout=20)
        return Worker(http, sandbox_id, task_id, token)

    async def sign_in(self, role: Role, tenant_id: str = "default") -> httpx.AsyncClient:
        user_id = await self.tenants.create_user(tenant_id, role.value, role)
        tokens = await self.tenants.issue_tokens(tenant_id, user_id)
        headers = {"Authorization": f"Bearer {tokens.access_token}"}
        return httpx.AsyncClient(transport=self.transport, base_url=BASE, headers=headers, timeout=20)

    async def row(self, sandbox_id: str) -> SandboxRow:
        return await self.sandboxes.get(sandbox_id)

    async def told(self, sandbox_id: str) -> list[str]:
        """Types of the events about a sandbox, in their order."""
        rows = await self.stage.events.read("default")
        return [row.type for row in rows if row.entity == f"sandbox:{sandbox_id}"]


@asynccontextmanager
async def open_works(stage: Stage, home: Path, **given: Any) -> AsyncGenerator[Works]:
    """`given`: provider, project, ticket of works that were open before, over the same database."""
    settings = Settings(home=home)
    box = SecretBox(MasterKeys.from_settings(settings))
    tenants = TenantService(stage.db, settings, SystemClock(), box, load_jwt_key(settings))
    await tenants.bootstrap()
    provider: PlainWorkspaces = given.get("provider") or PlainWorkspaces(home / "plain")
    held = {"local": provider}
    service = SandboxService(stage.db, stage.events, stage.clock, held, api_url=BASE, box=box)
    # The board's start of runs is the stage's; a test reads there which were started.
    work = WorkService(stage.db, stage.tasks, start=stage.claims.start, capacity=stage.capacity)
    app = FastAPI()
    app.state.tenants, app.state.work = tenants, work
    app.state.workshop = workshop = Workshop(service, work)
    for router in (sandboxes.router, workers.router, tasks.router):
        app.include_router(router)
    app.add_exception_handler(OmniForgeError, omniforge_error)
    app.add_exception_handler(RequestValidationError, validation_error)
    app.add_middleware(Intake, limit=settings.max_body_bytes)
    transport = httpx.ASGITransport(app)
    project = given.get("project") or await stage.project()
    ticket = given.get("ticket") or await stage.ticket(project)
    async with httpx.AsyncClient(transport=transport, base_url=BASE, timeout=20) as http:
        yield Works(stage, provider, service, work, workshop, tenants, transport, http, project, ticket)
