"""The run of an attempt: started with its claim, woken when something came of it."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Coroutine
from typing import Any

from sqlalchemy import exists, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.board.planner import WORK_STEP, input_for_attempt, key_of_attempt, plan_for_attempt
from omniforge.board.standing import TERMINAL
from omniforge.board.store.evidence import ResultRow
from omniforge.board.store.tasks import AttemptRow, TaskRow
from omniforge.board.vocabulary import TaskStatus
from omniforge.core.actor import Actor, Role
from omniforge.core.clock import new_id
from omniforge.core.errors import Conflict, OmniForgeError
from omniforge.db import Database
from omniforge.engine.events import EventRow
from omniforge.engine.state import RunStatus, StepStatus
from omniforge.engine.store import RunRow
from omniforge.runs.service import RunService, StartRequest

log = logging.getLogger(__name__)

ENDS = (
    "result.submitted",
    "task.completed",
    "task.cancelled",
    "task.attempt_failed",
    "task.review_requested",
)
"""After these there is something for the run of an attempt to do."""
PATIENCE = (0.05, 0.2, 1.0, 5.0)
"""Seconds between looks at a run that is not waiting yet."""
LAST_WORDS = 1.0
SUBJECT = "task:"


def run_starter(tenant_id: str) -> Actor:
    """Who starts and follows the runs of attempts."""
    allowed = frozenset({"agent:execute", "agent:view"})
    return Actor(tenant_id, "system", Role.VIEWER, "system:dispatch", allowed)


class AttemptRuns:
    """Runs of attempts. Everything may be done any number of times."""

    def __init__(self, db: Database, runs: RunService) -> None:
        self.db, self.runs = db, runs
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_closed = False

    async def start_in(self, session: AsyncSession, task: TaskRow) -> str:
        """In the transaction of a claim: the id of the run that begins when it has committed."""
        run_id, tenant_id, task_id, attempt = new_id("run"), task.tenant_id, task.id, task.attempt

        def begin() -> None:
            self._go(self.start(tenant_id, task_id, attempt, run_id))

        session.info.setdefault("after_commit", []).append(begin)
        return run_id

    async def start(self, tenant_id: str, task_id: str, attempt: int, run_id: str) -> None:
        """Start the run of an attempt, unless that was done."""
        request = StartRequest(
            plan=plan_for_attempt(),
            subject=f"{SUBJECT}{task_id}",
            input=input_for_attempt(task_id, attempt),
            trigger_type="board",
            idempotency_key=key_of_attempt(task_id, attempt),
            run_id=run_id,
        )
        try:
            await self.runs.start_run(run_starter(tenant_id), request)
        except OmniForgeError as refused:
            log.warning("attempt %s of task %s is not under way yet: %s", attempt, task_id, refused)

    async def start_missing(self) -> int:
        """Start the runs of attempts whose claimer died before it could; how many there were."""
        query = (
            select(AttemptRow.tenant_id, AttemptRow.task_id, AttemptRow.attempt, AttemptRow.run_id)
            .join(TaskRow, (TaskRow.id == AttemptRow.task_id) & (TaskRow.attempt == AttemptRow.attempt))
            .outerjoin(RunRow, RunRow.id == AttemptRow.run_id)
            .where(TaskRow.status == TaskStatus.RUNNING, RunRow.id.is_(None))
        )
        async with self.db.read() as session:
            found = (await session.execute(query)).all()
        for tenant_id, task_id, attempt, run_id in found:
            await self.start(tenant_id, task_id, attempt, run_id)
        return len(found)

    # --- something came of it ------------------------------------------------------------------------------

    async def hear(self, row: EventRow, tenant_id: str) -> None:
        """A reader of the log: the attempts of the task that is told of go on."""
        ids: dict[str, str] = json.loads(row.payload).get("ids", {})
        if (task_id := ids.get("task_id")) is None:
            return
        query = select(AttemptRow.run_id).where(
            AttemptRow.task_id == task_id, AttemptRow.tenant_id == tenant_id
        )
        query = query.join(RunRow, RunRow.id == AttemptRow.run_id).where(RunRow.finished_at.is_(None))
        async with self.db.read() as session:
            waiting = list(await session.scalars(query))
        for run_id in waiting:
            self._go(self.wake(tenant_id, run_id))

    async def wake_missed(self) -> int:
        """Wake runs that wait although something came of their attempt; how many there were."""
        said = exists().where(
            ResultRow.task_id == AttemptRow.task_id,
            ResultRow.attempt == AttemptRow.attempt,
            ResultRow.status.in_(TERMINAL),
        )
        query = (
            select(AttemptRow.tenant_id, AttemptRow.run_id)
            .join(RunRow, RunRow.id == AttemptRow.run_id)
            .where(RunRow.status == RunStatus.WAITING, or_(said, AttemptRow.outcome.is_not(None)))
        )
        async with self.db.read() as session:
            found = (await session.execute(query)).all()
        for tenant_id, run_id in found:
            await self.wake(tenant_id, run_id)
        return len(found)

    async def wake(self, tenant_id: str, run_id: str) -> None:
        """Have the run look again at what it waits for."""
        for delay in (*PATIENCE, None):
            stored = await self.runs.engine.store.run(run_id)
            if stored is None or stored.status.is_over:
                return
            state = stored.steps.get(WORK_STEP)
            if state is not None and state.status.is_over:
                return
            if state is not None and state.status is StepStatus.WAITING:
                try:
                    await self.runs.engine.control.answer(
                        tenant_id, run_id, WORK_STEP, "system:dispatch", None
                    )
                except Conflict:
                    pass  # somebody else was faster, or its moment came
                except OmniForgeError as refused:
                    log.info("the run %s is woken later: %s", run_id, refused)
                    return
                else:
                    return
            if delay is not None:
                await self.runs.engine.clock.sleep(delay)

    # --- tasks of ours -------------------------------------------------------------------------------------

    def _go(self, work: Coroutine[Any, Any, None]) -> None:
        if self._is_closed:  # the next process sees that it is missing
            work.close()
            return
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """What is being written is finished; what only waits ends, and nothing more is begun."""
        self._is_closed = True
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=LAST_WORDS)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
