"""What people do with tasks: make, change, link, cancel them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.board import changes, edges, unblocking
from omniforge.board.admission import task_event
from omniforge.board.edges import Edge, find_way_round
from omniforge.board.errors import TaskFinished, TaskNotReady, VersionConflict
from omniforge.board.shapes.tasks import ConversationGiven, TaskChanges, TaskGiven
from omniforge.board.store import tasks as store
from omniforge.board.store.tasks import TaskRow
from omniforge.board.store.tickets import get_ticket
from omniforge.board.tasks import WAITING, Tasks
from omniforge.board.vocabulary import TaskStatus
from omniforge.core.actor import Actor
from omniforge.core.errors import NotFound
from omniforge.db import Database
from omniforge.sandboxes.store import SandboxRow

Json = dict[str, Any]


class TaskEdits:
    def __init__(self, db: Database, tasks: Tasks) -> None:
        self.db, self.tasks = db, tasks
        self.events, self.clock = tasks.events, tasks.clock

    async def create(self, actor: Actor, given: TaskGiven) -> str:
        """The id of a task of that ticket."""
        actor.require("board:edit")
        fields = {name: getattr(given, name) for name in TaskGiven.model_fields if name != "ticket_id"}
        fields["deliverables"] = [one.model_dump() for one in given.deliverables]
        fields["work"] = given.work and given.work.model_dump()
        async with self.db.transaction() as session:
            ticket = await get_ticket(session, actor, given.ticket_id, lock=True)
            return (await self.tasks.create_in(session, actor, ticket, **fields)).id

    async def change(self, actor: Actor, task_id: str, given: TaskChanges) -> None:
        """`VersionConflict` when it is not the version that was looked at."""
        async with self._opened(actor, task_id) as (session, task):
            if given.expected_version not in (None, task.version):
                message = "Somebody changed this task meanwhile; look at it again."
                raise VersionConflict(message, version=task.version, expected_version=given.expected_version)
            wanted = given.changes()
            await self._apply(session, actor, task, wanted)
            if "title" in wanted:
                task.has_own_title = True

    async def set_timeout(self, actor: Actor, task_id: str, seconds: int) -> TaskRow:
        async with self._opened(actor, task_id) as (session, task):
            await self._apply(session, actor, task, {"timeout_seconds": seconds})
        return task

    async def register_conversation(self, actor: Actor, task_id: str, given: ConversationGiven) -> None:
        """Keep where the talk of its worker is found. A sandbox that is named is one of this task."""
        actor.require("board:edit")
        async with self.db.transaction() as session:
            task = await store.get_task(session, actor, task_id, lock=True)
            if given.sandbox_id is not None:
                own = select(SandboxRow.id).where(
                    SandboxRow.id == given.sandbox_id, SandboxRow.task_id == task.id
                )
                if await session.scalar(own) is None:
                    raise NotFound("This task has no such sandbox.", sandbox_id=given.sandbox_id)
            wanted = given.changes()
            wanted.pop("sandbox_id", None)
            kept = {name: value for name, value in wanted.items() if value is not None}
            await self._apply(session, actor, task, kept)

    async def cancel(self, actor: Actor, task_id: str, reason: str) -> TaskRow:
        actor.require("board:edit")
        async with self.db.transaction() as session:
            task = await self._locked(session, actor, task_id)
            events = await self.tasks.cancel_in(session, actor.by, task, reason)
            await self.events.append(session, actor.tenant_id, *events)
        return task

    # --- what it waits for ---------------------------------------------------------------------------------

    async def add_dependencies(self, actor: Actor, task_id: str, ids: Collection[str]) -> None:
        """Also those; what it waits for already stays."""
        await self._link(actor, task_id, add=ids)

    async def set_dependencies(self, actor: Actor, task_id: str, ids: Collection[str]) -> None:
        """Exactly those."""
        await self._link(actor, task_id, add=ids, only=True)

    async def remove_dependency(self, actor: Actor, task_id: str, needed: str) -> None:
        """NotFound where it does not wait for that one."""
        await self._link(actor, task_id, remove=needed)

    async def check_circular(self, actor: Actor, task_id: str, ids: Collection[str]) -> list[str] | None:
        """The cycle that these dependencies would close; nothing is written."""
        actor.require("board:view")
        async with self.db.read() as session:
            task = await store.get_task(session, actor, task_id)
            await store.known_tasks(session, actor.tenant_id, set(ids))
            added = [Edge(task.id, one) for one in sorted(set(ids))]
            return await find_way_round(session, actor.tenant_id, added)

    async def _link(
        self,
        actor: Actor,
        task_id: str,
        *,
        add: Collection[str] = (),
        remove: str | None = None,
        only: bool = False,
    ) -> None:
        actor.require("board:edit")
        async with self.db.transaction() as session:
            task = await self._locked(session, actor, task_id)
            _check_waiting(task)
            current = set((await store.dependencies_of(session, [task.id])).get(task.id, []))
            if remove is not None and remove not in current:
                message = "This task does not wait for that one."
                raise NotFound(message, task_id=task.id, depends_on_id=remove[:64])
            added = set(add) - current
            removed = current - set(add) if only else {remove} if remove else set[str]()
            if not added and not removed:
                return
            await edges.link(session, task, added, removed)
            now = self.clock.now()
            task.version += 1
            task.updated_at = now
            told = {"added": sorted(added), "removed": sorted(removed), "remaining": task.remaining}
            changed = task_event("task.dependencies_changed", task, now, actor.by, **told)
            admitted = await self.tasks.readmit(session, task, actor.by)
            admitted += await unblocking.waits_no_longer(session, task, removed, self.tasks, now, actor.by)
            await self.events.append(session, actor.tenant_id, changed, *admitted)

    # --- how ---------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def _opened(self, actor: Actor, task_id: str) -> AsyncGenerator[tuple[AsyncSession, TaskRow]]:
        """A task that may still be changed, in a transaction."""
        actor.require("board:edit")
        async with self.db.transaction() as session:
            task = await store.get_task(session, actor, task_id, lock=True)
            if TaskStatus(task.status).is_finished:
                message = f"This task is {task.status}; it is changed no more."
                raise TaskFinished(message, task_status=task.status)
            yield session, task

    async def _apply(self, session: AsyncSession, actor: Actor, task: TaskRow, wanted: Json) -> None:
        changed = changes.apply(task, wanted)
        if not changed:
            return
        task.version += 1
        task.updated_at = now = self.clock.now()
        await session.flush()
        told = task_event("task.updated", task, now, actor.by, changes=changes.short(changed))
        await self.events.append(session, actor.tenant_id, told)

    @staticmethod
    async def _locked(session: AsyncSession, actor: Actor, task_id: str) -> TaskRow:
        """The task, locked after its ticket as everywhere."""
        found = await store.get_task(session, actor, task_id)
        await get_ticket(session, actor, found.ticket_id, lock=True)
        return await store.get_task(session, actor, task_id, lock=True)


def _check_waiting(task: TaskRow) -> None:
    """What a task waits for changes only while nobody works on it."""
    status = TaskStatus(task.status)
    if status in WAITING:
        return
    message = f"This task is {status}; what it waits for is not changed any more."
    if status.is_finished or status is TaskStatus.FAILED:
        raise TaskFinished(message, task_status=status.value)
    raise TaskNotReady(message, task_status=status.value, reasons=[status.value])
