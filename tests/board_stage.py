"""A board over a real database, behind the real HTTP endpoints. Nobody works on its tasks."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.exceptions import HTTPException

from omniforge.api.app import http_error, omniforge_error, validation_error
from omniforge.api.once import OnceOnly
from omniforge.board.endpoints import ROUTERS
from omniforge.board.log import board_event
from omniforge.board.ports import Gatekeeper
from omniforge.board.service import BoardService
from omniforge.board.similarity import Embedder
from omniforge.board.store.evidence import DecisionRow
from omniforge.board.store.tasks import TaskRow
from omniforge.board.store.tickets import TicketRow
from omniforge.board.vocabulary import (
    OPEN_TASKS,
    GateReadiness,
    GateVerdict,
    MoveCause,
    TaskStatus,
    TicketStatus,
)
from omniforge.board.workflow import stage_of
from omniforge.core.actor import Role
from omniforge.core.clock import Clock, SystemClock, new_id
from omniforge.core.config import Settings
from omniforge.core.crypto import MasterKeys
from omniforge.core.errors import OmniForgeError
from omniforge.db import Database
from omniforge.engine.events import EventLog
from omniforge.engine.stores import event_log
from omniforge.tenants import SecretBox, TenantService
from omniforge.tenants.auth import load_jwt_key

BASE = "http://127.0.0.1:8700"
Json = dict[str, Any]


@dataclass
class PlainGates:
    """A gatekeeper who says what it is told: readiness and verdict by the status a ticket leaves."""

    events: EventLog
    standing: dict[str, GateReadiness] = field(default_factory=dict[str, GateReadiness])
    verdicts: dict[str, GateVerdict] = field(default_factory=dict[str, GateVerdict])
    started: list[str] = field(default_factory=list[str])

    async def readiness(self, session: AsyncSession, ticket: TicketRow) -> GateReadiness:
        return self.standing.get(ticket.status, GateReadiness.NOT_CONFIGURED)

    async def judge(self, session: AsyncSession, ticket: TicketRow, now: Any, by: str) -> DecisionRow | None:
        to = stage_of(TicketStatus(ticket.status)).forward
        row = DecisionRow(
            id=new_id("decision"),
            tenant_id=ticket.tenant_id,
            ticket_id=ticket.id,
            from_status=ticket.status,
            to_status=str(to),
            phase_entry=ticket.phase_entry,
            decision=self.verdicts.get(ticket.status, GateVerdict.GO).value,
            criteria=[{"key": "test", "tier": 1, "kind": "command", "status": "fail"}],
            conditions=[],
            decided_by=by,
            created_at=now,
        )
        session.add(row)
        ids = {"project_id": ticket.project_id, "ticket_id": ticket.id}
        await self.events.append(
            session,
            ticket.tenant_id,
            board_event("gate.decided", row.id, now, by, **ids, decision=row.decision),
        )
        return row

    async def criteria(self, session: AsyncSession, ticket: TicketRow) -> Sequence[Json]:
        return [{"key": "test", "tier": 1, "kind": "command", "status": "pending"}]

    async def start_missing(self, ticket_id: str, cause: MoveCause = MoveCause.AUTO) -> bool:
        self.started.append(ticket_id)
        return False


@dataclass
class Stage:
    """`http` is the owner; `sign_in(role)` gives others."""

    db: Database
    tenants: TenantService
    board: BoardService
    transport: httpx.ASGITransport
    http: httpx.AsyncClient

    async def sign_in(self, role: Role, tenant_id: str = "default") -> httpx.AsyncClient:
        user_id = await self.tenants.create_user(tenant_id, role.value, role)
        tokens = await self.tenants.issue_tokens(tenant_id, user_id)
        headers = {"Authorization": f"Bearer {tokens.access_token}"}
        return httpx.AsyncClient(transport=self.transport, base_url=BASE, headers=headers)

    async def call(self, method: str, path: str, status: int = 200, /, **json: Any) -> Json:
        """Ask, expect this status, give the body."""
        body = {"json": json} if method != "GET" else {"params": json}
        answer = await self.http.request(method, f"/api/v1{path}", **body)  # pyright: ignore[reportArgumentType]
        assert answer.status_code == status, answer.text
        return answer.json()

    async def project(self, **fields: Any) -> str:
        given = {"name": new_id("name"), "autonomous": False} | fields
        return (await self.call("POST", "/projects", 201, **given))["id"]

    async def ticket(self, project_id: str, title: str = "Search", **fields: Any) -> str:
        given = {"project_id": project_id, "title": title, "check_duplicates": False} | fields
        return (await self.call("POST", "/tickets", 201, **given))["id"]

    async def bring(self, ticket_id: str, *way: str) -> Json:
        """Along a way by force, and cancel what was opened, so that nothing is left to be done."""
        ticket: Json = {}
        for status in way:
            ticket = await self.call(
                "POST", f"/tickets/{ticket_id}/transition", to_status=status, force=True, reason="staged"
            )
        return ticket

    async def settle_tasks(self, ticket_id: str, status: TaskStatus = TaskStatus.COMPLETED) -> None:
        """All open tasks of a ticket end like this."""
        async with self.db.transaction() as session:
            open_tasks = select(TaskRow).where(TaskRow.ticket_id == ticket_id, TaskRow.status.in_(OPEN_TASKS))
            for task in await session.scalars(open_tasks):
                task.status, task.completed_at = status.value, self.board.clock.now()

    async def events(self, *types: str) -> list[Json]:
        return [row.shown() for row in await self.board.events.read("default", types=types)]


@asynccontextmanager
async def open_stage(
    db: Database,
    home: Path,
    *,
    gated: bool = True,
    has_tables: bool = False,
    clock: Clock | None = None,
    embedder: Embedder | None = None,
) -> AsyncGenerator[Stage]:
    """`gated`: without a gatekeeper; otherwise `stage.board.gates` is a `PlainGates` that lets through.
    `clock`: of the board alone."""
    if not has_tables:
        await db.create_tables()
    settings = Settings(home=home)
    box = SecretBox(MasterKeys.from_settings(settings))
    tenants = TenantService(db, settings, SystemClock(), box, load_jwt_key(settings))
    await tenants.bootstrap()
    events = event_log(db)
    gates: Gatekeeper | None = None if gated else PlainGates(events)
    board = BoardService(db, events, clock or SystemClock(), gates=gates, embedder=embedder)
    app = FastAPI()
    app.state.tenants, app.state.board = tenants, board
    for router in ROUTERS:
        app.include_router(router)
    app.add_exception_handler(OmniForgeError, omniforge_error)
    app.add_exception_handler(RequestValidationError, validation_error)
    app.add_exception_handler(HTTPException, http_error)
    app.add_middleware(OnceOnly, tenants=tenants)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url=BASE) as http:
        yield Stage(db, tenants, board, transport, http)
    await events.close()
