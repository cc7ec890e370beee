"""The whole board with its engine and dispatcher over plain workspaces; tests are the workers, over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from tests.board.worker_stage import BASE, Worker
from tests.sandboxes.plain_workspaces import PlainWorkspaces

from omniforge.api.app import http_error, omniforge_error, validation_error
from omniforge.board.endpoints import ROUTERS
from omniforge.board.rooms import BoardRooms, Ground
from omniforge.board.store.queue import Capacity
from omniforge.core.clock import SystemClock
from omniforge.core.config import Settings
from omniforge.core.crypto import MasterKeys
from omniforge.core.errors import OmniForgeError
from omniforge.db import Database
from omniforge.engine.active import Handler
from omniforge.engine.embedded import EmbeddedEngine, Engine
from omniforge.engine.stores import open_engine
from omniforge.llm.client import build_models
from omniforge.runs.service import RunService
from omniforge.sandboxes.service import SandboxService
from omniforge.skills.service import SkillService
from omniforge.tenants import SecretBox, TenantService
from omniforge.tenants.auth import load_jwt_key

Json = dict[str, Any]
SOON = 20.0
Work = Callable[[Path, Json], Json]
"""What a worker does in its workspace with its brief; the result it submits."""


@dataclass
class House:
    """`http` is the owner. Workers are started by `provider`, which lets nobody work by itself."""

    db: Database
    engine: Engine
    rooms: BoardRooms
    provider: PlainWorkspaces
    http: httpx.AsyncClient
    transport: httpx.ASGITransport
    served: set[str] = field(default_factory=set[str])
    """References of workspaces whose worker has begun."""

    async def ask(self, method: str, path: str, status: int = 200, **more: Any) -> Any:
        answer = await self.http.request(method, f"/api/v1{path}", **more)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def project(self, **fields: Any) -> str:
        given = {"name": "Shop", **fields}
        return (await self.ask("POST", "/projects", 201, json=given))["id"]

    async def imported(self, project: str, text: str, **options: Any) -> dict[str, str]:
        """Ids of everything in a spec, by the names in its text."""
        given = {"project_id": project, "title": "The spec"}
        spec = (await self.ask("POST", "/specs", 201, json=given))["id"]
        body = {"documents": [{"path": "spec.md", "content": text}], "options": options}
        said = await self.ask("POST", f"/specs/{spec}/import", json=body)
        return {name: one["id"] for name, one in said["map"].items()}

    async def ticket(self, project: str, /, **fields: Any) -> str:
        """A ticket in building, or what is given as phase; its opening task is cancelled."""
        given = {
            "project_id": project,
            "title": "Search",
            "phase_id": "PHASE_IMPLEMENTATION",
            "check_duplicates": False,
            "start": False,
            **fields,
        }
        ticket = (await self.ask("POST", "/tickets", 201, json=given))["id"]
        for task in (await self.tasks(ticket))["tasks"]:
            await self.ask("POST", f"/tasks/{task['id']}/cancel", json={})
        return ticket

    async def task(self, ticket: str, /, **fields: Any) -> str:
        given = {"ticket_id": ticket, "title": "Write it", "work": {"kind": "commands", "commands": ["true"]}}
        return (await self.ask("POST", "/tasks", 201, json={**given, **fields}))["id"]

    async def tasks(self, ticket: str) -> Json:
        return await self.ask("GET", "/tasks", params={"ticket_id": ticket})

    async def shown(self, kind: str, one: str) -> Json:
        return await self.ask("GET", f"/{kind}/{one}")

    async def until(self, kind: str, one: str, *statuses: str) -> Json:
        """The ticket or task once it has one of these statuses."""
        async with asyncio.timeout(SOON):
            while True:
                arrived = self.engine.events.arrival()
                shown = await self.shown(kind, one)
                if shown["status"] in statuses:
                    return shown
                await arrived.wait()

    async def told(self, *types: str, after: int = 0) -> list[str]:
        """Types of the board's events in their order, engine's left out."""
        rows = await self.engine.events.read("default", types=types, after=after, limit=10_000)
        return [row.type for row in rows if row.type.partition(".")[0] not in ("run", "step", "tenant")]

    async def heard(self, type_: str) -> None:
        """Returns when this has been told."""
        async with asyncio.timeout(SOON):
            while True:
                arrived = self.engine.events.arrival()
                if await self.told(type_):
                    return
                await arrived.wait()

    async def payloads(self, type_: str) -> list[Json]:
        rows = await self.engine.events.read("default", types=[type_], limit=10_000)
        return [row.shown()["payload"] for row in rows]

    async def crash(self) -> None:
        """What is under way here ends at once, and nothing is told to anybody."""
        await self.engine.close()

    # --- workers -------------------------------------------------------------------------------------------

    async def worker(self, task_id: str | None = None) -> Worker:
        """The next one that was started, or the one of that task."""
        async with asyncio.timeout(SOON):
            while True:
                arrived = self.engine.events.arrival()
                for ref, place in self.provider.places.items():
                    env = place.env
                    if env is None or ref in self.served:
                        continue
                    if task_id in (None, env["OMNIFORGE_TASK_ID"]):
                        self.served.add(ref)
                        told = ("OMNIFORGE_SANDBOX_ID", "OMNIFORGE_TASK_ID", "OMNIFORGE_TOKEN")
                        return self.speak(*(env[name] for name in told))
                waiting = asyncio.ensure_future(arrived.wait())
                await asyncio.wait([waiting], timeout=0.02)  # a worker that is started tells nobody
                waiting.cancel()

    def speak(self, sandbox_id: str, task_id: str, token: str) -> Worker:
        headers = {"Authorization": f"Bearer {token}"}
        http = httpx.AsyncClient(transport=self.transport, base_url=BASE, headers=headers, timeout=20)
        return Worker(http, sandbox_id, task_id, token)

    async def folder(self, worker: Worker) -> Path:
        row = await self.rooms.workshop.sandboxes.get(worker.sandbox_id)
        return self.provider.places[str(row.provider_ref)].folder

    async def serve(self, work: Work) -> None:
        """Work on whatever is started, one after the other, until cancelled."""
        while True:
            worker = await self.worker()
            await self.do(worker, work)

    async def do(self, worker: Worker, work: Work) -> Json:
        brief = await worker.ask("GET", "/sandbox/task")
        body = await asyncio.to_thread(work, await self.folder(worker), brief)
        path = f"/api/v1/sandbox/task/{worker.task_id}/results"
        answer = await worker.http.post(path, json=body)
        assert answer.status_code in (200, 202), answer.text
        return answer.json()


def done(summary: str = "It is done.", **more: Any) -> Json:
    return {"status": "completed", "summary": summary, **more}


@asynccontextmanager
async def open_house(
    home: Path,
    *,
    provider: PlainWorkspaces | None = None,
    dispatches: bool = True,
    url: str | None = None,
    drives: int = 0,
) -> AsyncGenerator[House]:
    """`provider`: of a house that was open before over the same home. `url`, `drives`: a database that
    several processes share, and how many runs this one drives at once."""
    settings = Settings(home=home, database_url=url)
    db = Database(settings.database)
    await db.create_tables()
    handlers: dict[str, Handler] = {}
    engine = open_engine(db, handlers, SystemClock(), settings, drives=drives)
    box = SecretBox(MasterKeys.from_settings(settings))
    tenants = TenantService(db, settings, engine.clock, box, load_jwt_key(settings))
    await tenants.bootstrap()
    plain = provider or PlainWorkspaces(home / "plain")
    models = build_models(settings)
    held = {"local": plain}
    sandboxes = SandboxService(db, engine.events, engine.clock, held, api_url=BASE, box=box)
    runs = RunService(engine, 1_000)
    skills = SkillService(db, home / "skills")
    rooms = BoardRooms.make(
        Ground(runs, sandboxes, skills, models, home / "repositories", Capacity(100, 100))
    )
    handlers |= rooms.handlers
    app = FastAPI()
    app.state.tenants = tenants
    rooms.attach(app.state)
    for router in ROUTERS:
        app.include_router(router)
    app.add_exception_handler(OmniForgeError, omniforge_error)
    app.add_exception_handler(RequestValidationError, validation_error)
    app.add_exception_handler(HTTPException, http_error)
    transport = httpx.ASGITransport(app)
    await engine.open()
    rooms.follow()
    if dispatches:
        rooms.chain.dispatch.begin()
    async with httpx.AsyncClient(transport=transport, base_url=BASE, timeout=30) as http:
        yield House(db, engine, rooms, plain, http, transport)
    await rooms.close()
    await _come_to_rest(engine)
    await engine.close()
    await models.close()
    await db.close()


async def _come_to_rest(engine: Engine) -> None:
    """What is under way in the database is not torn away."""
    for _ in range(200):
        if not isinstance(engine, EmbeddedEngine) or not engine.worker.active:
            return
        await asyncio.sleep(0.01)
