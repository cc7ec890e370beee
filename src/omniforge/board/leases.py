"""Leases and times of running attempts: renewed by whoever works, settled by whoever looks next."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, Select, case, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.board.admission import DISPATCH
from omniforge.board.attempts import Attempts
from omniforge.board.store.queue import LEASE, NOW, is_abandoned, is_overdue
from omniforge.board.store.tasks import TaskRow
from omniforge.board.vocabulary import AttemptOutcome, TaskStatus
from omniforge.board.workplaces import Ending
from omniforge.core.actor import Actor
from omniforge.db import Database

AT_ONCE = 100
"""Attempts settled in one transaction; whoever claims next takes the rest."""


class Leases:
    def __init__(self, db: Database, attempts: Attempts) -> None:
        self.db, self.attempts, self.clock = db, attempts, attempts.clock

    async def renew_lease(self, task_id: str, attempt: int) -> datetime | None:
        """Somebody works on this attempt: when its lease ends now; None when the attempt counts no more."""
        async with self.db.transaction() as session:
            return await self.renew_in(session, task_id, attempt)

    async def renew_in(self, session: AsyncSession, task_id: str, attempt: int) -> datetime | None:
        until = self.clock.now() + LEASE
        running = (TaskRow.id == task_id, TaskRow.attempt == attempt, TaskRow.status == TaskStatus.RUNNING)
        statement = update(TaskRow).where(*running).values(lease_expires_at=until).returning(TaskRow.id)
        renewed = await session.scalar(statement.execution_options(synchronize_session=False))
        return None if renewed is None else until

    async def settle_due(self, session: AsyncSession, by: str = DISPATCH) -> int:
        """Settle attempts nobody has been heard of for as long as a lease lasts, and those that took longer
        than they may. How many there were."""
        return await self._settle(session, _DUE, by)

    async def clean_up(self, actor: Actor, project_id: str | None = None) -> tuple[int, int]:
        """Settle what took longer than it may; how many were settled, and how many there were."""
        actor.require("board:edit")
        now = self.clock.now()
        overdue = [is_overdue(now), TaskRow.tenant_id == actor.tenant_id]
        if project_id is not None:
            overdue.append(TaskRow.project_id == project_id)
        total = settled = 0
        async with self.db.transaction() as session:
            total = await session.scalar(select(func.count()).select_from(TaskRow).where(*overdue)) or 0
            while found := await self._settle(session, _due_if(*overdue), actor.by):
                settled += found
        return settled, total

    async def _settle(self, session: AsyncSession, due: Select[str, str, int, int, bool], by: str) -> int:
        found = (await session.execute(due, {"now": self.clock.now()})).all()
        settled = 0
        for task_id, tenant_id, attempt, seconds, is_late in found:
            ending = _late(seconds, by) if is_late else _lost(by)
            settled += await self.attempts.settle_in(session, tenant_id, task_id, attempt, ending) is not None
        return settled


def _due_if(*conditions: ColumnElement[bool]) -> Select[str, str, int, int, bool]:
    """Running tasks with their attempt, the seconds they may take, and whether they took longer."""
    late: ColumnElement[bool] = case((is_overdue(NOW), True), else_=False)
    columns = (TaskRow.id, TaskRow.tenant_id, TaskRow.attempt, TaskRow.timeout_seconds, late)
    return select(*columns).where(*conditions).order_by(TaskRow.lease_expires_at, TaskRow.id).limit(AT_ONCE)


_DUE = _due_if(or_(is_abandoned(NOW), is_overdue(NOW)))


def _late(seconds: int, by: str) -> Ending:
    message = f"It took longer than the {seconds} seconds it may take."
    return Ending(AttemptOutcome.TIMED_OUT, by, error_code="timed_out", message=message)


def _lost(by: str) -> Ending:
    message = f"Nobody was heard of for {LEASE.seconds} seconds."
    return Ending(AttemptOutcome.LOST, by, error_code="heartbeat_lost", message=message)
