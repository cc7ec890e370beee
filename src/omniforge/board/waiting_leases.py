"""Leases of attempts in which no worker speaks: before its first word, and while its work is looked at."""

from __future__ import annotations

from sqlalchemy import select, update

from omniforge.board.leases import Leases
from omniforge.board.store.queue import LEASE
from omniforge.board.store.tasks import AttemptRow, TaskRow
from omniforge.board.vocabulary import TaskStatus
from omniforge.engine.state import UNFINISHED
from omniforge.engine.store import RunRow
from omniforge.sandboxes.provisioning import PATIENCE
from omniforge.sandboxes.store import SandboxRow

HOST_WORKS = ("pending", "creating", "completing")


async def renew_waiting(leases: Leases) -> int:
    """Renew the lease of every attempt that the host works on while its run goes on. How many there were.

    The engine takes runs over from processes that died, so a run that goes on is somebody who works; what
    never comes to life is ended after a while all the same.
    """
    now = leases.clock.now()
    unfinished = RunRow.status.in_([status.value for status in UNFINISHED])
    in_work = (
        select(AttemptRow.task_id)
        .join(SandboxRow, SandboxRow.id == AttemptRow.sandbox_id)
        .join(RunRow, RunRow.id == AttemptRow.run_id)
        .where(
            AttemptRow.task_id == TaskRow.id,
            AttemptRow.attempt == TaskRow.attempt,
            SandboxRow.state.in_(HOST_WORKS),
            (SandboxRow.state == "completing") | (SandboxRow.requested_at > now - PATIENCE),
            unfinished,
        )
    )
    statement = (
        update(TaskRow)
        .where(
            TaskRow.status == TaskStatus.RUNNING, in_work.exists(), TaskRow.lease_expires_at < now + LEASE / 2
        )
        .values(lease_expires_at=now + LEASE)
        .returning(TaskRow.id)
        .execution_options(synchronize_session=False)
    )
    async with leases.db.transaction() as session:
        return len(list(await session.scalars(statement)))
