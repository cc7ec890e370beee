"""A board for tests of proofs: a ticket with a task, and a workspace that notes and answers commands."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy import select
from tests.board.task_http import STRANGER, VIEWER
from tests.board.task_stage import OWNER, Stage

from omniforge.api.app import omniforge_error, validation_error
from omniforge.board.checks import CheckSubject
from omniforge.board.endpoints import results
from omniforge.board.gate_definitions import Check, check_from
from omniforge.board.proofs import Proofs
from omniforge.board.store.evidence import ReceiptRow, ResultRow
from omniforge.board.store.tickets import TicketRow
from omniforge.board.vocabulary import CheckKind
from omniforge.core.actor import Actor, Role
from omniforge.core.clock import new_id
from omniforge.core.errors import OmniForgeError
from omniforge.db import Database
from omniforge.engine.artifacts import ArtifactFolder
from omniforge.sandboxes.workspaces import Execution
from omniforge.tenants.endpoints import current_actor
from omniforge.tenants.roles import permissions_of

Json = dict[str, Any]
TREE, OTHER_TREE = "a" * 64, "b" * 64
IMAGE = "local/debian"
OTTO = Actor("default", "otto", Role.OWNER, "user:otto", permissions_of(Role.OWNER))


def command(line: str | list[str] = "make test", key: str = "test", **fields: Any) -> Check:
    return check_from(key, CheckKind.COMMAND, {"command": line, **fields})


@dataclass
class Workspace:
    """Answers every command but `rm` with `code` and `output`, leaving `leaves` as files."""

    code: int = 0
    output: bytes = b"ok\n"
    seconds: float = 1.5
    timed_out: bool = False
    truncated: bool = False
    files: dict[str, bytes] = field(default_factory=dict[str, bytes])
    leaves: dict[str, bytes] = field(default_factory=dict[str, bytes])
    is_locked: bool = False
    ran: list[tuple[tuple[str, ...], str, float]] = field(default_factory=list[Any])

    async def execute(self, argv: Sequence[str], cwd: str, timeout: float) -> Execution:
        if argv[0] == "rm":
            if not self.is_locked:
                self.files.pop(argv[-1], None)
            return self._ended(b"", 0)
        self.ran.append((tuple(argv), cwd, timeout))
        self.files |= self.leaves
        return self._ended(self.output, self.code)

    def _ended(self, output: bytes, code: int) -> Execution:
        digest = hashlib.sha256(output).hexdigest()
        return Execution(code, output, digest, self.truncated, self.timed_out, self.seconds)

    async def read_file(self, path: str) -> bytes | None:
        return self.files.get(path)


class ProofStage:
    def __init__(self, db: Database, folder: Path) -> None:
        self.stage = Stage(db)
        self.db, self.clock = db, self.stage.clock
        self.kept = ArtifactFolder(folder)
        self.proofs = Proofs(db, self.stage.events, self.clock, self.kept)

    async def open(self) -> ProofStage:
        self.project = await self.stage.project()
        self.ticket = await self.stage.ticket(self.project, ref="TKT-001")
        self.task = await self.stage.task(self.ticket)
        return self

    def subject(self, **more: Any) -> CheckSubject:
        return CheckSubject("default", self.project, self.ticket, 1, **more)

    async def run(
        self, check: Check | None = None, workspace: Workspace | None = None, tree: str = TREE, **about: Any
    ) -> ReceiptRow:
        at = workspace or Workspace()
        return await self.proofs.checks.run_command(
            "system:host",
            check or command(),
            execute=at.execute,
            read_file=at.read_file,
            about=self.subject(**about),
            tree_hash=tree,
            image=IMAGE,
        )

    async def result(self, attempt: int = 1, **fields: Any) -> str:
        made: Json = {
            "id": new_id("res"),
            "tenant_id": "default",
            "task_id": self.task,
            "attempt": attempt,
            "sandbox_id": "sbx-1",
            "status": "completed",
            "body_hash": new_id("hash"),
            "summary": "Signed in.",
            "files_changed": [],
            "commits": [],
            "artifacts": [],
            "claims": "unchecked",
            "verification": "none",
            "created_at": self.clock.now(),
        }
        async with self.db.transaction() as session:
            session.add(ResultRow(**{**made, **fields}))
        return str({**made, **fields}["id"])

    async def row(self, ticket_id: str | None = None) -> TicketRow:
        async with self.db.read() as session:
            return await session.get_one(TicketRow, ticket_id or self.ticket)

    async def receipts(self) -> list[ReceiptRow]:
        async with self.db.read() as session:
            return list(await session.scalars(select(ReceiptRow).order_by(ReceiptRow.started_at)))

    @asynccontextmanager
    async def http(self) -> AsyncGenerator[Http]:
        app = FastAPI()
        app.include_router(results.router)
        app.state.proofs = self.proofs
        app.add_exception_handler(OmniForgeError, omniforge_error)
        app.add_exception_handler(RequestValidationError, validation_error)
        people = {"local": OWNER, "otto": OTTO, "vera": VIEWER, "sam": STRANGER}

        def who(request: Request) -> Actor:
            return people[request.headers.get("x-who", "local")]

        app.dependency_overrides[current_actor] = who
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://test/api/v1", timeout=20
        ) as client:
            yield Http(client)


@dataclass
class Http:
    client: httpx.AsyncClient

    async def ask(self, method: str, path: str, status: int = 200, *, who: str = "local", **more: Any) -> Any:
        answer = await self.client.request(method, path, headers={"x-who": who}, **more)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def refused(self, method: str, path: str, status: int, code: str, **more: Any) -> Json:
        """The details of a refusal."""
        said = await self.ask(method, path, status, **more)
        assert said["error"] == code
        assert set(said) == {"error", "message", "details"}
        return said["details"]
