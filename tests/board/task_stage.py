"""A board for tests of tasks: real rows, a clock that a test turns, runs that are noted down."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.board.attempts import Attempts
from omniforge.board.blocking import Blocking
from omniforge.board.claims import Claimed, Claims
from omniforge.board.leases import Leases
from omniforge.board.store.projects import ProjectRow
from omniforge.board.store.queue import Capacity
from omniforge.board.store.tasks import TaskEdgeRow, TaskRow
from omniforge.board.store.tickets import TicketEdgeRow, TicketRow
from omniforge.board.tasks import Tasks
from omniforge.board.vocabulary import AttemptOutcome, TicketStatus
from omniforge.board.workplaces import Ending
from omniforge.core.actor import Actor, Role
from omniforge.core.clock import Clock, new_id
from omniforge.db import Database
from omniforge.engine.stores import event_log
from omniforge.sandboxes.store import LIVE_STATES, SandboxRow
from omniforge.tenants.roles import permissions_of

START = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
OWNER = Actor("default", "local", Role.OWNER, "user:local", permissions_of(Role.OWNER))
LARGE = Capacity(1_000, 1_000)


class TurnedClock:
    """Goes a microsecond further with every look, and as far as a test turns it."""

    def __init__(self, moment: datetime = START) -> None:
        self.moment = moment

    def now(self) -> datetime:
        self.moment += timedelta(microseconds=1)
        return self.moment

    def turn(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)

    async def sleep(self, seconds: float) -> None:
        self.turn(seconds)


@dataclass
class Stage:
    db: Database
    clock: Any = field(default_factory=TurnedClock)
    capacity: Capacity = LARGE
    chance: float = 0.5
    started: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])
    """Task and attempt of every run that was started."""

    def __post_init__(self) -> None:
        clock: Clock = self.clock
        self.events = event_log(self.db)
        self.tasks = Tasks(self.events, clock)
        self.attempts = Attempts(self.db, self.tasks, Blocking(self.tasks), chance=lambda: self.chance)
        self.leases = Leases(self.db, self.attempts)
        self.claims = Claims(self.db, self.leases, self._start, self.capacity)

    async def _start(self, session: AsyncSession, task: TaskRow) -> str:
        session.info.setdefault("after_commit", []).append(
            lambda: self.started.append((task.id, task.attempt))
        )
        return f"run-{task.id}-{task.attempt}"

    async def project(self, tenant_id: str = "default", **fields: Any) -> str:
        made: dict[str, Any] = {
            "id": new_id("project"),
            "tenant_id": tenant_id,
            "name": new_id("name"),
            "status": "active",
            "default_phase_id": "PHASE_BACKLOG",
            "repository_kind": "local",
            "default_branch": "main",
            "autonomous": True,
            "settings": {"max_concurrent_sandboxes": 100},
            "created_by": "user:local",
            "created_at": self.clock.now(),
            "updated_at": self.clock.now(),
        }
        return await self._add(ProjectRow(**{**made, **fields}))

    async def ticket(
        self, project_id: str, status: TicketStatus = TicketStatus.BUILDING, **fields: Any
    ) -> str:
        now = self.clock.now()
        made: dict[str, Any] = {
            "id": new_id("ticket"),
            "tenant_id": "default",
            "project_id": project_id,
            "ref": new_id("TKT"),
            "title": "Sign in",
            "status": status.value,
            "status_since": now,
            "rank": 1.0,
            "priority": "MEDIUM",
            "ticket_type": "component",
            "tags": [],
            "blockers": [],
            "approval_status": "approved",
            "evidence_since": now,
            "context": {},
            "created_by": "user:local",
            "created_at": now,
            "updated_at": now,
        }
        return await self._add(TicketRow(**{**made, **fields}))

    async def _add(self, row: Any) -> str:
        row_id = str(row.id)
        async with self.db.transaction() as session:
            session.add(row)
        return row_id

    async def task(self, ticket_id: str, *depends_on: str, actor: Actor = OWNER, **fields: Any) -> str:
        async with self.db.transaction() as session:
            ticket = await session.get_one(TicketRow, ticket_id)
            given = {"title": "Write it", "depends_on": depends_on, **fields}
            return (await self.tasks.create_in(session, actor, ticket, **given)).id

    async def set_ticket(self, ticket_id: str, **fields: Any) -> None:
        """Change a ticket as the moves do: its row, then its tasks."""
        async with self.db.transaction() as session:
            ticket = await session.get_one(TicketRow, ticket_id, with_for_update=True)
            for name, value in fields.items():
                setattr(ticket, name, value)
            await self.events.append(
                session, ticket.tenant_id, *await self.tasks.readmit_ticket(session, ticket)
            )

    async def tickets_wait(self, ticket_id: str, awaited: str) -> None:
        edge = TicketEdgeRow(ticket_id=ticket_id, depends_on_ticket_id=awaited, tenant_id="default")
        async with self.db.transaction() as session:
            session.add(edge)

    async def set_task(self, task_id: str, **fields: Any) -> None:
        async with self.db.transaction() as session:
            row = await session.get_one(TaskRow, task_id)
            for name, value in fields.items():
                setattr(row, name, value)

    async def get(self, task_id: str) -> TaskRow:
        async with self.db.read() as session:
            return await session.get_one(TaskRow, task_id)

    async def status(self, *task_ids: str) -> list[str]:
        return [(await self.get(task_id)).status for task_id in task_ids]

    async def all_tasks(self) -> list[TaskRow]:
        async with self.db.read() as session:
            return list(await session.scalars(select(TaskRow).order_by(TaskRow.id)))

    async def edges(self) -> set[tuple[str, str]]:
        async with self.db.read() as session:
            rows = await session.scalars(select(TaskEdgeRow))
            return {(row.task_id, row.depends_on_task_id) for row in rows}

    async def sandboxes(self, task_id: str) -> list[SandboxRow]:
        async with self.db.read() as session:
            query = select(SandboxRow).where(SandboxRow.task_id == task_id).order_by(SandboxRow.attempt)
            return list(await session.scalars(query))

    async def take_down(self) -> None:
        """As hosts do: end the sandboxes of attempts that were called off."""
        async with self.db.transaction() as session:
            query = select(SandboxRow).where(
                SandboxRow.state.in_(LIVE_STATES), SandboxRow.token_revoked_at.is_not(None)
            )
            for row in await session.scalars(query):
                row.state, row.terminated_at = "terminated", self.clock.now()

    async def claim(self, *capabilities: str) -> Claimed | None:
        return await self.claims.claim_task("system:dispatch", capabilities)

    async def claimed(self, *capabilities: str) -> Claimed:
        found = await self.claim(*capabilities)
        assert found is not None
        return found

    async def settle(
        self, claimed: Claimed, outcome: AttemptOutcome = AttemptOutcome.COMPLETED, **more: Any
    ) -> TaskRow | None:
        task = claimed.task
        return await self.attempts.settle(
            task.tenant_id, task.id, claimed.attempt.attempt, Ending(outcome, **more)
        )

    async def told(self, *types: str) -> list[str]:
        """Types of every event in the order of the log, or of those types only."""
        rows = await self.events.read("default", types=types)
        return [row.type for row in rows]

    async def payloads(self, type_: str) -> list[dict[str, Any]]:
        return [row.shown()["payload"] for row in await self.events.read("default", types=[type_])]
