"""Claims: a queued task becomes a running attempt, for exactly one claimer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Any, NoReturn

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.board.admission import DISPATCH, reasons_against, task_event
from omniforge.board.errors import TaskFinished, TaskHasSandbox, TaskNotReady
from omniforge.board.leases import Leases
from omniforge.board.store import tasks as store
from omniforge.board.store.queue import Capacity, Take, is_full, take_best
from omniforge.board.store.tasks import AttemptRow, TaskRow
from omniforge.board.store.tickets import get_ticket
from omniforge.board.vocabulary import TaskStatus
from omniforge.board.workplaces import begin_attempt
from omniforge.core.actor import Actor
from omniforge.core.clock import new_id
from omniforge.core.errors import RateLimited
from omniforge.db import Database
from omniforge.sandboxes.log import sandbox_event
from omniforge.sandboxes.store import LIVE_STATES, SandboxRow

ASK_AGAIN = 5.0
"""Seconds after which a place may be free."""

StartRun = Callable[[AsyncSession, TaskRow], Awaitable[str]]
"""Called in the transaction of a claim with the task as it is claimed (its attempt and sandbox are on it):
remembers to start the attempt's run and gives the run's id. What is slow it does after the commit."""


class NoCapacity(RateLimited):
    """Every place is taken."""

    code = "no_capacity"


@dataclass(frozen=True, slots=True)
class Claimed:
    """A task that runs from now on, its attempt and the sandbox that is to be made."""

    task: TaskRow
    attempt: AttemptRow
    sandbox: SandboxRow
    score: float


class Claims:
    def __init__(
        self,
        db: Database,
        leases: Leases,
        start: StartRun,
        capacity: Capacity = Capacity(),  # noqa: B008 - immutable
    ) -> None:
        self.db, self.leases, self.start, self.capacity = db, leases, start, capacity
        self.clock, self.events = leases.clock, leases.attempts.events

    async def claim_task(
        self,
        claimer: str,
        capabilities: Collection[str] = (),
        *,
        only: ColumnElement[bool] | None = None,
    ) -> Claimed | None:
        """The best task that may run now; None only when there is none, or no free place for it.

        Attempts that nobody works on any more are settled first, so their places count. `only`: a further
        condition on rows of tasks, for what this claimer cannot run.
        """
        async with self.db.transaction() as session:
            return await self.claim_in(session, claimer, capabilities, only=only)

    async def claim_in(
        self,
        session: AsyncSession,
        claimer: str,
        capabilities: Collection[str] = (),
        *,
        only: ColumnElement[bool] | None = None,
    ) -> Claimed | None:
        """`claim_task` in the caller's transaction."""
        await self.leases.settle_due(session)
        take = Take(claimer, new_id("sbx"), self.clock.now(), self.capacity, capabilities, only=only)
        return await self._take(session, take, DISPATCH)

    async def claim_one(self, actor: Actor, task_id: str, **asked: Any) -> Claimed:
        """That very task, also in a project that takes none by itself and before the time of its next try.
        `asked` are columns of its sandbox (provider, worker, agent_id, keep_until).

        `TaskFinished`, `TaskHasSandbox`, `TaskNotReady` (details.reasons) or `NoCapacity` say why not.
        """
        actor.require("board:sandbox")
        async with self.db.transaction() as session:
            await self.leases.settle_due(session)
            now = self.clock.now()
            take = Take(actor.by, new_id("sbx"), now, self.capacity, None, task_id=task_id)
            await store.get_task(session, actor, task_id)
            claimed = await self._take(session, take, actor.by, asked)
            if claimed is None:
                await self._refuse(session, actor, task_id)
            return claimed

    async def _take(
        self, session: AsyncSession, take: Take, by: str, asked: dict[str, Any] | None = None
    ) -> Claimed | None:
        await session.flush()
        found = await take_best(session, take, is_sqlite=self.db.is_sqlite)
        if found is None:
            return None
        task, score = found
        ticket, project = await store.home_of(session, task)
        run_id = await self.start(session, task)
        attempt, sandbox = begin_attempt(session, task, ticket, project, run_id)
        for name, value in (asked or {}).items():
            setattr(sandbox, name, value)
        await session.flush()
        told = {
            "attempt": task.attempt,
            "run_id": run_id,
            "score": round(score, 6),
            "lease_expires_at": task.lease_expires_at.isoformat() if task.lease_expires_at else None,
        }
        requested = {"kind": sandbox.kind, "provider": sandbox.provider, "attempt": task.attempt}
        await self.events.append(
            session,
            task.tenant_id,
            task_event("task.claimed", task, take.now, by, sandbox_id=sandbox.id, **told),
            sandbox_event("sandbox.requested", sandbox, take.now, by, **requested),
        )
        return Claimed(task, attempt, sandbox, score)

    async def _refuse(self, session: AsyncSession, actor: Actor, task_id: str) -> NoReturn:
        task = await store.get_task(session, actor, task_id)
        status = TaskStatus(task.status)
        if status.is_finished or status is TaskStatus.FAILED:
            raise TaskFinished(f"This task is {status}.", task_status=status.value)
        live = select(SandboxRow.id).where(SandboxRow.task_id == task_id, SandboxRow.state.in_(LIVE_STATES))
        if (sandbox_id := await session.scalar(live)) is not None:
            message = "Somebody works on this task already."
            raise TaskHasSandbox(message, sandbox_id=sandbox_id, task_status=status.value)
        ticket = await get_ticket(session, actor, task.ticket_id)
        _, project = await store.home_of(session, task)
        reasons = [reason.value for reason in reasons_against(task, ticket, project, self.clock.now())]
        if status is not TaskStatus.QUEUED or reasons or not await is_full(session, task, self.capacity):
            message = "This task cannot be worked on yet."
            raise TaskNotReady(message, task_status=status.value, reasons=reasons or [status.value])
        raise NoCapacity("Every place for sandboxes is taken; try again soon.", retry_after=ASK_AGAIN)
