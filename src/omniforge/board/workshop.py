"""Where attempts are worked on: sandboxes as the board asks for them, hears them and takes them down."""

from __future__ import annotations

from sqlalchemy import func, select

from omniforge.board.places import Places
from omniforge.board.shapes.tasks import Task
from omniforge.board.spawning import Spawning
from omniforge.board.store.projects import ProjectRow
from omniforge.board.store.queue import Capacity
from omniforge.board.upkeep import Upkeep
from omniforge.board.vocabulary import ProjectStatus
from omniforge.board.work import WorkService
from omniforge.board.worker_calls import WorkerCalls
from omniforge.core.actor import Actor
from omniforge.core.errors import NotFound
from omniforge.core.paging import Paging
from omniforge.sandboxes import history
from omniforge.sandboxes.health import HealthChecks
from omniforge.sandboxes.schemas import (
    EventList,
    EventQuery,
    Health,
    MessageQuery,
    Sandbox,
    SandboxList,
    SandboxQuery,
    Trajectory,
    TrajectoryQuery,
)
from omniforge.sandboxes.service import SandboxService
from omniforge.sandboxes.store import SandboxMessageRow, SandboxRow, get_sandbox, list_sandboxes


class Workshop:
    """`calls`: what workers say. `spawning`: what people ask for. `upkeep`: what dispatch does now and then.
    `places`: how much may be done at once."""

    def __init__(self, sandboxes: SandboxService, work: WorkService) -> None:
        self.db, self.sandboxes, self.work = sandboxes.db, sandboxes, work
        capacity = Capacity() if work.claims is None else work.claims.capacity
        self.calls = WorkerCalls(sandboxes, work.attempts, work.leases)
        self.spawning = Spawning(sandboxes, work.attempts, work.edits, work.claims)
        self.upkeep = Upkeep(sandboxes, work.attempts)
        self.places = Places(self.db, sandboxes.clock, capacity)
        self._health = HealthChecks(sandboxes.providers, sandboxes.clock)

    async def health(self, actor: Actor) -> Health:
        """`degraded` when a provider does not work that active projects use."""
        actor.require("board:view")
        chosen = func.coalesce(ProjectRow.settings["sandbox_provider"].as_string(), "local")
        query = select(chosen).where(ProjectRow.status == ProjectStatus.ACTIVE).distinct()
        async with self.db.read() as session:
            needed = set(await session.scalars(query))
        return await self._health.ask(needed or {"local"})

    async def find(self, actor: Actor, query: SandboxQuery) -> SandboxList:
        actor.require("board:view")
        wanted = {
            "state": query.status,
            "task_id": query.task_id,
            "project_id": query.project_id,
            "kind": query.kind,
        }
        paging = Paging(limit=query.limit, offset=query.offset)
        async with self.db.read() as session:
            rows, total = await list_sandboxes(session, actor, wanted, paging)
        shown = [Sandbox.model_validate(row) for row in rows]
        return SandboxList(sandboxes=shown, total=total, limit=query.limit, offset=query.offset)

    async def get(self, actor: Actor, sandbox_id: str) -> SandboxRow:
        actor.require("board:view")
        async with self.db.read() as session:
            return await get_sandbox(session, actor, sandbox_id)

    async def events(self, actor: Actor, sandbox_id: str, query: EventQuery) -> EventList:
        row = await self.get(actor, sandbox_id)
        async with self.db.read() as session:
            return await history.list_events(session, row, query)

    async def trajectory(self, actor: Actor, sandbox_id: str, query: TrajectoryQuery) -> Trajectory:
        row = await self.get(actor, sandbox_id)
        async with self.db.read() as session:
            return await history.show_trajectory(session, row, query)

    async def task(self, actor: Actor, sandbox_id: str) -> Task:
        """NotFound where only commands are run."""
        row = await self.get(actor, sandbox_id)
        if row.task_id is None:
            raise NotFound("Nobody works on a task in this sandbox.", sandbox_id=row.id)
        return await self.work.views.show(actor, row.task_id)

    async def messages(self, actor: Actor, sandbox_id: str, query: MessageQuery) -> list[SandboxMessageRow]:
        """What was said in there; looking at it acknowledges nothing."""
        row = await self.get(actor, sandbox_id)
        return await self.sandboxes.messages.wait(row, query.after, query.wait)
