"""What workers are heard with: every call renews the lease of its attempt, the first one starts its time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.board.admission import task_event
from omniforge.board.attempts import Attempts
from omniforge.board.errors import TaskFinished
from omniforge.board.leases import Leases
from omniforge.board.shapes.workers import ProgressGiven
from omniforge.board.store import tasks as store
from omniforge.board.store.queue import is_overdue
from omniforge.board.store.tasks import TaskRow
from omniforge.sandboxes.limits import Ask, take, too_many
from omniforge.sandboxes.schemas import EventGiven, Heard, HeartbeatGiven
from omniforge.sandboxes.service import SandboxService
from omniforge.sandboxes.store import SandboxMessageRow
from omniforge.sandboxes.telemetry import Kept, read_told
from omniforge.sandboxes.tokens import Lapsed, WorkerCall, lapse_of, refuse

ABORT = "abort"
"""Stop now."""


class WorkerCalls:
    def __init__(self, sandboxes: SandboxService, attempts: Attempts, leases: Leases) -> None:
        self.db, self.events, self.clock = sandboxes.db, sandboxes.events, sandboxes.clock
        self.sandboxes, self.attempts, self.leases = sandboxes, attempts, leases

    async def hear(self, call: WorkerCall, ask: Ask = Ask.OTHER) -> None:
        """Count the call and renew the lease. RateLimited when there were too many; Unauthenticated when its
        attempt has ended meanwhile."""
        async with self.db.transaction() as session:
            await self.hear_in(session, call, ask)

    async def hear_in(
        self, session: AsyncSession, call: WorkerCall, ask: Ask = Ask.OTHER, times: int = 1
    ) -> datetime | None:
        """`hear` in the caller's transaction: when the lease ends now. A token that has lapsed renews
        nothing: None."""
        now = self.clock.now()
        if not await take(session, call.sandbox.id, ask, now, times):
            raise too_many(ask, now)
        if call.lapsed is not None:
            return None
        until = await self.leases.renew_in(session, call.task_id, call.attempt)
        if until is None:
            raise refuse(Lapsed.REVOKED)
        if call.sandbox.state == "creating" and await self.sandboxes.started_in(session, call.sandbox):
            await self.attempts.start_in(session, call.tenant_id, call.task_id, call.attempt, call.by)
        return until

    async def heartbeat(self, call: WorkerCall, given: HeartbeatGiven) -> Heard:
        """When the lease ends now; `abort` once its time is over, though nobody has settled it yet."""
        async with self.db.transaction() as session:
            until = await self.hear_in(session, call, Ask.HEARTBEATS)
            await self.sandboxes.telemetry.heartbeat_in(session, call, given.busy, given.metrics)
            late = select(TaskRow.id).where(TaskRow.id == call.task_id, is_overdue(self.clock.now()))
            commands = [] if await session.scalar(late) is None else [ABORT]
        return Heard(commands=commands, lease_expires_at=until)

    async def tell(self, call: WorkerCall, given: Sequence[EventGiven]) -> list[Kept]:
        """All of these events are in the log, or none."""
        told = read_told(given)
        async with self.db.transaction() as session:
            await self.hear_in(session, call, Ask.EVENTS, len(told))
            return await self.sandboxes.telemetry.record_in(session, call, told)

    async def progress(self, call: WorkerCall, given: ProgressGiven) -> Kept:
        told: dict[str, object] = {"message": given.message, "event_type": given.event_type.value}
        told["details"] = given.details
        step = given.details.get("step")
        if isinstance(step, str):
            told["step"] = step
        if given.progress_percent is not None:
            told["percent"] = given.progress_percent
        async with self.db.transaction() as session:
            return await self._progressed(session, await self._task(session, call), call, **told)

    async def work_on(self, call: WorkerCall, message: str | None) -> TaskRow:
        """Its worker says that it has begun, which the host knows already."""
        async with self.db.transaction() as session:
            task = await self._task(session, call)
            if message:
                await self._progressed(session, task, call, message=message)
        return task

    async def poll(self, call: WorkerCall, after: int, seconds: float) -> list[SandboxMessageRow]:
        """What was said behind `after`, which acknowledges everything up to there. Whoever waits in vain
        because the attempt counts no more is told so at once: Unauthenticated."""
        async with self.db.transaction() as session:
            await self.hear_in(session, call, Ask.POLLS)
            await self.sandboxes.messages.acknowledge_in(session, call, after)
        found = await self.sandboxes.messages.wait(call.sandbox, after, seconds)
        if not found and seconds:
            sandbox = await self.sandboxes.get(call.sandbox.id)
            if (lapsed := lapse_of(sandbox, self.clock.now())) is not None:
                raise refuse(lapsed)
        return found

    async def _task(self, session: AsyncSession, call: WorkerCall) -> TaskRow:
        task = await store.find_task(session, call.tenant_id, call.task_id)
        if task is None or task.attempt != call.attempt:
            raise TaskFinished("This attempt counts no more.", your_attempt=call.attempt)
        return task

    async def _progressed(
        self, session: AsyncSession, task: TaskRow, call: WorkerCall, **told: object
    ) -> Kept:
        ids = {"sandbox_id": call.sandbox.id, "attempt": call.attempt}
        event = task_event("task.progressed", task, self.clock.now(), call.by, **ids, **told)
        return await self.sandboxes.telemetry.tell_in(session, call, event)
