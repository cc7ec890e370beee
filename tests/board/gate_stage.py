"""A board with real gates for tests: a repository, an engine, and check sandboxes that are plain folders."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from sqlalchemy import select
from starlette.exceptions import HTTPException
from tests.sandboxes.plain_workspaces import PlainWorkspaces, tar_of

from any_engine import make_engine
from board_stage import BASE, Json, Stage
from omniforge.api.app import http_error, omniforge_error, validation_error
from omniforge.board.artifacts import Artifacts
from omniforge.board.branches import branch_name
from omniforge.board.checks import Checks
from omniforge.board.endpoints import ROUTERS
from omniforge.board.gate_runs import KIND, GateStep
from omniforge.board.judging import Judging
from omniforge.board.moves import system_actor
from omniforge.board.repository import Repositories
from omniforge.board.service import BoardService
from omniforge.board.store.evidence import ApprovalRow, ArtifactRow, DecisionRow, ReceiptRow
from omniforge.board.store.projects import ProjectRow
from omniforge.board.store.tasks import TaskRow
from omniforge.board.store.tickets import TicketRow
from omniforge.board.vocabulary import OPEN_TASKS, PhaseId
from omniforge.core.clock import SystemClock, new_id
from omniforge.core.config import Settings
from omniforge.core.crypto import MasterKeys
from omniforge.core.errors import OmniForgeError
from omniforge.db import Database
from omniforge.engine.active import Handler
from omniforge.runs.service import RunService
from omniforge.sandboxes.service import SandboxService
from omniforge.sandboxes.store import SandboxRow
from omniforge.tenants import SecretBox, TenantService
from omniforge.tenants.auth import load_jwt_key

WORK = {"main.py": "print('hello')\n"}


@dataclass
class GateStage(Stage):
    """`http` is the owner of everything; who signs in beside is made by `sign_in`."""

    judging: Judging
    repositories: Repositories
    provider: PlainWorkspaces
    runs: RunService

    # --- tickets -------------------------------------------------------------------------------------------

    async def project(self, **fields: Any) -> str:
        project_id = await super().project(**fields)
        async with self.db.read() as session:
            await self.repositories.ensure(await session.get_one(ProjectRow, project_id))
        return project_id

    async def building(self, settings: Json | None = None, *, done: bool = True, **project: Any) -> str:
        """A ticket that stands in building with work of its own; `done`: nothing is left to do."""
        project_id = await self.project(settings=settings or {}, **project)
        ticket_id = await self.ticket(project_id, phase_id="PHASE_IMPLEMENTATION")
        await self.work(ticket_id)
        if done:
            await self.settle_tasks(ticket_id)
        return ticket_id

    async def testing(self, settings: Json | None = None, **project: Any) -> str:
        """A ticket in testing where nothing is left to do; the gates before were forced."""
        ticket_id = await self.building(settings, **project)
        await self.bring(ticket_id, "building-done", "testing")
        await self.settle_tasks(ticket_id)
        return ticket_id

    async def row(self, ticket_id: str) -> TicketRow:
        async with self.db.read() as session:
            return await session.get_one(TicketRow, ticket_id)

    async def open_tasks(self, ticket_id: str) -> list[TaskRow]:
        query = select(TaskRow).where(TaskRow.ticket_id == ticket_id, TaskRow.status.in_(OPEN_TASKS))
        async with self.db.read() as session:
            return list(await session.scalars(query))

    async def task(self, ticket_id: str, phase_id: PhaseId) -> None:
        """Something to do on the ticket."""
        async with self.db.transaction() as session:
            ticket = await session.get_one(TicketRow, ticket_id)
            actor = system_actor("default", "advance")
            await self.board.tasks.create_in(session, actor, ticket, title="More", phase_id=phase_id)

    async def work(self, ticket_id: str, files: Mapping[str, str] = WORK) -> str:
        """Merge these files, and no others, into the branch of the ticket; the commit."""
        ticket = await self.row(ticket_id)
        branch = branch_name(ticket)
        parent = await self.repositories.head(ticket.project_id, branch)
        tree = tar_of(files)
        made = await self.repositories.snapshot(ticket.project_id, tree, parent, "work")
        return await self.repositories.merge(ticket.project_id, branch, made.commit, "work")

    async def artifact(self, ticket_id: str, artifact_type: str, phase_id: str, **content: Any) -> None:
        """What a worker sent."""
        ticket = await self.row(ticket_id)
        async with self.db.transaction() as session:
            session.add(
                ArtifactRow(
                    id=new_id("art"),
                    tenant_id=ticket.tenant_id,
                    ticket_id=ticket_id,
                    phase_id=phase_id,
                    artifact_type=artifact_type,
                    path=content.pop("path", ""),
                    content=content,
                    content_hash=new_id("hash"),
                    collected_by=content.pop("by", "sandbox:sbx-1"),
                    created_at=self.judging.clock.now(),
                )
            )

    # --- gates ---------------------------------------------------------------------------------------------

    async def status(self, ticket_id: str, **at: Any) -> Json:
        return await self.call("GET", f"/tickets/{ticket_id}/gate-status", **at)

    async def check(self, ticket_id: str, key: str) -> Json:
        """One criterion of the gate before a ticket."""
        found = (await self.status(ticket_id))["criteria"]
        return next(one for one in found if one["key"] == key)

    async def statuses(self, ticket_id: str) -> dict[str, str]:
        return {one["key"]: one["status"] for one in (await self.status(ticket_id))["criteria"]}

    async def advance(self, ticket_id: str) -> Json:
        """As far as it goes, with the commands of its gates."""
        answer = await self.call("POST", f"/board/auto-transition/{ticket_id}")
        await self.rest()
        return answer

    async def rest(self) -> None:
        """Until no evaluation runs any more."""
        while True:
            runs, _ = await self.runs.engine.store.list_runs(
                "default", subject="gate:", status=("queued", "running", "waiting")
            )
            if not runs:
                return
            for run, _ in runs:
                await self.runs.engine.wait(run.id)

    async def evaluations(self) -> int:
        _, total = await self.runs.engine.store.list_runs("default", subject="gate:")
        return total

    async def receipts(self, ticket_id: str) -> list[ReceiptRow]:
        query = select(ReceiptRow).where(ReceiptRow.ticket_id == ticket_id).order_by(ReceiptRow.started_at)
        async with self.db.read() as session:
            return list(await session.scalars(query))

    async def decisions(self, ticket_id: str) -> list[DecisionRow]:
        query = select(DecisionRow).where(DecisionRow.ticket_id == ticket_id).order_by(DecisionRow.created_at)
        async with self.db.read() as session:
            return list(await session.scalars(query))

    async def is_proved(self, decision: DecisionRow) -> bool:
        """By a run of a command on the files that were judged, or somebody's yes."""
        async with self.db.read() as session:
            for one in decision.criteria:
                if one["status"] != "pass" or not one["evidence"] or not one["required"]:
                    continue
                if one["kind"] == "command":
                    receipt = await session.get_one(ReceiptRow, one["evidence"])
                    if receipt.passed and receipt.tree_hash == decision.tree_hash:
                        return True
                if one["kind"] == "approval":
                    asked = await session.get_one(ApprovalRow, one["evidence"])
                    return asked.status == "approved" and (asked.decided_by or "").startswith("user:")
        return False

    async def sandboxes(self) -> list[SandboxRow]:
        async with self.db.read() as session:
            return list(await session.scalars(select(SandboxRow).order_by(SandboxRow.requested_at)))

    # --- people --------------------------------------------------------------------------------------------

    async def asked(self, **query: Any) -> list[Json]:
        return (await self.call("GET", "/approvals", **query))["approvals"]

    async def decide(
        self, approval_id: str, decision: str = "approve", status: int = 200, **more: Any
    ) -> Json:
        client: httpx.AsyncClient = more.pop("client", self.http)
        given = {"decision": decision, **more}
        answer = await client.post(f"/api/v1/approvals/{approval_id}/decide", json=given)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def age(self, ticket_id: str, **by: float) -> None:
        """Make a ticket and all its receipts older."""
        async with self.db.transaction() as session:
            ticket = await session.get_one(TicketRow, ticket_id)
            ticket.evidence_since -= timedelta(**by)
            for row in await session.scalars(select(ReceiptRow).where(ReceiptRow.ticket_id == ticket_id)):
                row.started_at -= timedelta(**by)

    async def move_on(self, ticket_id: str) -> None:
        """What the board does by itself whenever something happened."""
        await self.board.moves.advance_ticket(system_actor("default", "advance"), ticket_id)
        await self.rest()


@asynccontextmanager
async def open_gates(db: Database, home: Path, auditor: str | None = None) -> AsyncGenerator[GateStage]:
    await db.create_tables()
    settings, clock = Settings(home=home), SystemClock()
    box = SecretBox(MasterKeys.from_settings(settings))
    tenants = TenantService(db, settings, clock, box, load_jwt_key(settings))
    await tenants.bootstrap()
    handlers: dict[str, Handler] = {}
    engine = make_engine(db, handlers, home)
    events, clock = engine.events, engine.clock
    runs = RunService(engine, max_unfinished=100)
    provider, repositories = PlainWorkspaces(home / "plain"), Repositories(home / "repositories", clock)
    sandboxes = SandboxService(db, events, clock, {"local": provider}, api_url=BASE, box=box)
    artifacts = Artifacts(db, events, clock)
    judging = Judging(
        db,
        events,
        clock,
        repositories,
        engine.artifacts,
        runs=runs,
        handovers=artifacts,
        auditor=auditor,
    )
    board = BoardService(db, events, clock, gates=judging.gates, setback=judging.setbacks)
    judging.connect(board.moves, life=board.specs.life, reviews=board.reviews)
    checks = Checks(db, events, clock, engine.artifacts)
    handlers[KIND] = GateStep(db, judging.standings, checks, sandboxes, repositories, board.moves, artifacts)
    app = FastAPI()
    app.state.tenants, app.state.board, app.state.judging = tenants, board, judging
    for router in ROUTERS:
        app.include_router(router)
    app.add_exception_handler(OmniForgeError, omniforge_error)
    app.add_exception_handler(RequestValidationError, validation_error)
    app.add_exception_handler(HTTPException, http_error)
    transport = httpx.ASGITransport(app)
    await engine.open()
    async with httpx.AsyncClient(transport=transport, base_url=BASE, timeout=20) as http:
        yield GateStage(db, tenants, board, transport, http, judging, repositories, provider, runs)
    await engine.close()
