"""How attempts begin and end: settled once, tried again after a while, answered by people."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.board import edges
from omniforge.board.admission import put_into_queue, task_event
from omniforge.board.errors import PreconditionFailed, TaskFinished
from omniforge.board.log import board_event
from omniforge.board.store import tasks as store
from omniforge.board.store.tasks import TaskRow
from omniforge.board.store.tickets import TicketRow, get_ticket
from omniforge.board.tasks import Tasks
from omniforge.board.vocabulary import AttemptOutcome, BlockerType, TaskStatus, TicketStatus
from omniforge.board.workflow import phase_of
from omniforge.board.workplaces import Ending, current_attempt, end_attempt
from omniforge.core.actor import Actor
from omniforge.db import Database
from omniforge.engine.events import Event

FIRST_WAIT = 10.0
LONGEST_WAIT = 300.0
SPREAD = 0.2
PERMANENT = frozenset(
    {"permission_denied", "invalid_input", "quota_exceeded", "budget_exceeded", "unsupported_capability"}
)
"""Codes after which another try would fail the same way."""
UNKNOWN = "unknown"
LONGEST_OUTPUT = 20_000
CODE_OF = {
    AttemptOutcome.LOST: "heartbeat_lost",
    AttemptOutcome.TIMED_OUT: "timed_out",
    AttemptOutcome.IDLE: "idle",
    AttemptOutcome.EVIDENCE_FAILED: "evidence_failed",
    AttemptOutcome.FAILED: UNKNOWN,
}


class Blocker(Protocol):
    """Who marks tickets as blocked, and takes that back."""

    async def block_in(  # noqa: PLR0917 - what a block is made of
        self,
        session: AsyncSession,
        ticket: TicketRow,
        blocker_type: BlockerType,
        reason: str,
        blockers: list[dict[str, Any]],
        by: str,
    ) -> list[Event]:
        """A block by the system that names what is waited for as `{kind, id, ref}`; the ticket's tasks are
        judged anew."""
        ...

    async def resolved_in(self, session: AsyncSession, task: TaskRow, by: str) -> list[Event]:
        """This task was completed, or is tried anew: blocks of the system that name it end, and the block of
        its ticket that it was made to end."""
        ...


def back_off(retry_count: int, chance: float) -> float:
    """Seconds before the next try; `chance` in 0..1 spreads them by a fifth to both sides."""
    wait = min(FIRST_WAIT * 4.0**retry_count, LONGEST_WAIT)
    return wait * (1.0 + SPREAD * (2.0 * chance - 1.0))


class Attempts:
    def __init__(
        self,
        db: Database,
        tasks: Tasks,
        blocker: Blocker,
        *,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.db, self.events, self.clock = db, tasks.events, tasks.clock
        self.tasks, self.blocker, self.chance = tasks, blocker, chance

    async def start_in(
        self, session: AsyncSession, tenant_id: str, task_id: str, attempt: int, by: str
    ) -> bool:
        """Its worker has spoken for the first time: its time runs from now. False when it did before, or
        when the attempt counts no more."""
        task = await self._running(session, tenant_id, task_id, attempt)
        if task is None or task.started_at is not None:
            return False
        now = self.clock.now()
        task.started_at = now
        if (tried := await current_attempt(session, task)) is not None:
            tried.started_at = now
        await session.flush()
        started = task_event("task.started", task, now, by, attempt=attempt)
        await self.events.append(session, tenant_id, started)
        return True

    async def settle(self, tenant_id: str, task_id: str, attempt: int, ending: Ending) -> TaskRow | None:
        """`settle_in` in a transaction of its own."""
        async with self.db.transaction() as session:
            return await self.settle_in(session, tenant_id, task_id, attempt, ending)

    async def settle_in(
        self, session: AsyncSession, tenant_id: str, task_id: str, attempt: int, ending: Ending
    ) -> TaskRow | None:
        """End an attempt, exactly once: None when it counts no more.

        Its events are in the log: those of the task, of what waited for it, of the sandbox, and that the
        phase is complete. What is to stand before them (an approval that is asked for, commits, artifacts)
        is written before."""
        found = await store.find_task(session, tenant_id, task_id)
        if found is None:
            return None
        ticket = await _locked_ticket(session, found)
        task = await self._running(session, tenant_id, task_id, attempt)
        if task is None:
            return None
        now = self.clock.now()
        given_up = await end_attempt(session, task, _with_code(ending), now)
        task.version += 1
        task.updated_at = now
        match ending.outcome:
            case AttemptOutcome.COMPLETED:
                events = await self._complete(session, task, now, ending)
            case AttemptOutcome.REVIEW:
                task.status = TaskStatus.NEEDS_REVIEW.value
                events = []
            case AttemptOutcome.CANCELLED:
                events = await self._interrupt(session, task, now, ending)
            case _:
                events = await self._fail(session, task, ticket, now, _with_code(ending))
        await session.flush()
        events += given_up
        if task.status == TaskStatus.COMPLETED:
            events += await self._phase_complete(session, ticket, task, now, ending.by)
        await self.events.append(session, tenant_id, *events)
        return task

    async def approve_in(
        self, session: AsyncSession, tenant_id: str, task_id: str, ending: Ending
    ) -> TaskRow | None:
        """People said yes to a task that waited for them: completed. None when it does not wait."""
        return await self._after_review(session, tenant_id, task_id, ending, again=False)

    async def answer_in(
        self, session: AsyncSession, tenant_id: str, task_id: str, text: str, by: str
    ) -> TaskRow | None:
        """People answered a question, or said no: tried anew with their words, which costs no retry. None
        when the task does not wait for anybody."""
        ending = Ending(AttemptOutcome.REVIEW, by, message=text)
        return await self._after_review(session, tenant_id, task_id, ending, again=True)

    async def retry(self, actor: Actor, task_id: str, feedback: str | None = None) -> TaskRow:
        """Try a failed task anew, as if it had never been tried. `TaskFinished` or `PreconditionFailed` for
        any other."""
        actor.require("board:edit")
        async with self.db.transaction() as session:
            found = await store.get_task(session, actor, task_id)
            await get_ticket(session, actor, found.ticket_id, lock=True)
            task = await store.get_task(session, actor, task_id, lock=True)
            if (status := TaskStatus(task.status)) is not TaskStatus.FAILED:
                refusal = TaskFinished if status.is_finished else PreconditionFailed
                message = f"This task is {status}; only a failed one is tried again by hand."
                raise refusal(message, task_status=status.value)
            now = self.clock.now()
            task.retry_count, task.not_before = 0, None
            task.error_code = task.error_message = None
            if feedback:
                _note(task, kind="retry", text=feedback, by=actor.by)
            events = await self._queue_again(session, task, now, actor.by)
            events += await self.blocker.resolved_in(session, task, actor.by)
            await self.events.append(session, actor.tenant_id, *events)
        return task

    # --- the ways an attempt may end -----------------------------------------------------------------------

    async def _complete(
        self, session: AsyncSession, task: TaskRow, now: datetime, ending: Ending
    ) -> list[Event]:
        task.status, task.completed_at = TaskStatus.COMPLETED.value, now
        task.error_code = task.error_message = None
        began = task.started_at or task.claimed_at or now
        seconds = round((now - began).total_seconds(), 3)
        await session.flush()
        told = {"attempt": task.attempt, "result_id": ending.result_id, "duration_seconds": seconds}
        events = [task_event("task.completed", task, now, ending.by, **told)]
        events += await edges.let_go(session, task, now, ending.by)
        return events + await self.blocker.resolved_in(session, task, ending.by)

    async def _interrupt(
        self, session: AsyncSession, task: TaskRow, now: datetime, ending: Ending
    ) -> list[Event]:
        """Somebody took its sandbox away: tried anew, and no retry is used up."""
        told = _told(task, ending, will_retry=True)
        failed = task_event("task.attempt_failed", task, now, ending.by, **told)
        return [failed, *await self._queue_again(session, task, now, ending.by)]

    async def _fail(
        self, session: AsyncSession, task: TaskRow, ticket: TicketRow, now: datetime, ending: Ending
    ) -> list[Event]:
        code = ending.error_code or UNKNOWN
        task.error_code, task.error_message = code, ending.message
        text = "\n\n".join(part for part in (ending.message, ending.output) if part)
        about = {"attempt": task.attempt, "outcome": ending.outcome.value, "error_code": code}
        _note(task, kind="attempt", text=text, by=ending.by, **about)
        is_last = ending.is_final or code in PERMANENT or task.retry_count >= task.max_retries
        if is_last:
            task.status = TaskStatus.FAILED.value
            told = _told(task, ending, will_retry=False)
            failed = {"attempts": task.attempt, "error_code": code}
            events = [
                task_event("task.attempt_failed", task, now, ending.by, **told),
                task_event("task.failed", task, now, ending.by, **failed),
            ]
            return events + await self._block(session, task, ticket, ending)
        task.not_before = later = now + timedelta(seconds=back_off(task.retry_count, self.chance()))
        task.retry_count += 1
        told = _told(task, ending, will_retry=True, not_before=later.isoformat())
        events = [task_event("task.attempt_failed", task, now, ending.by, **told)]
        return events + await self._queue_again(session, task, now, ending.by)

    async def _block(
        self, session: AsyncSession, task: TaskRow, ticket: TicketRow, ending: Ending
    ) -> list[Event]:
        await session.flush()
        kind = BlockerType.ENVIRONMENT if ending.sandbox_broke else BlockerType.FAILING_CHECKS
        reason = f"{task.ref} failed after {task.attempt} attempts: {ending.message or task.error_code}"
        named = [{"kind": "task", "id": task.id, "ref": task.ref}]
        return await self.blocker.block_in(session, ticket, kind, reason[:5_000], named, ending.by)

    async def _queue_again(self, session: AsyncSession, task: TaskRow, now: datetime, by: str) -> list[Event]:
        """Back into the queue, and out of it again at once where its ticket has gone on or stands still."""
        task.version += 1
        queued = put_into_queue(task, now, by)
        events = [queued, *await self.tasks.readmit(session, task)]
        await session.flush()
        return events

    async def _after_review(
        self, session: AsyncSession, tenant_id: str, task_id: str, ending: Ending, *, again: bool
    ) -> TaskRow | None:
        found = await store.find_task(session, tenant_id, task_id)
        if found is None:
            return None
        ticket = await _locked_ticket(session, found)
        task = await store.find_task(session, tenant_id, task_id, lock=True)
        if task is None or task.status != TaskStatus.NEEDS_REVIEW:
            return None
        now = self.clock.now()
        task.updated_at = now
        if again:
            _note(task, kind="answer", text=ending.message or "", by=ending.by, attempt=task.attempt)
            events = await self._queue_again(session, task, now, ending.by)
            events += await self.blocker.resolved_in(session, task, ending.by)
        else:
            task.version += 1
            events = await self._complete(session, task, now, ending)
            events += await self._phase_complete(session, ticket, task, now, ending.by)
        await self.events.append(session, tenant_id, *events)
        return task

    async def _phase_complete(
        self, session: AsyncSession, ticket: TicketRow, task: TaskRow, now: datetime, by: str
    ) -> list[Event]:
        """Told when nothing of the ticket's status is left to do, and nothing has failed."""
        status = TicketStatus(ticket.status)
        counts = await self.tasks.open_counts(session, ticket)
        if counts.open or counts.failed or not counts.completed_since:
            return []
        completed = board_event(
            "phase.completed",
            ticket.id,
            now,
            by,
            project_id=ticket.project_id,
            ticket_id=ticket.id,
            task_id=task.id,
            phase_id=phase_of(status).value,
            status=status.value,
            phase_entry=ticket.phase_entry,
            tasks_completed=counts.completed_since,
        )
        return [completed]

    @staticmethod
    async def _running(session: AsyncSession, tenant_id: str, task_id: str, attempt: int) -> TaskRow | None:
        """The task, locked, if this attempt is the one that runs."""
        task = await store.find_task(session, tenant_id, task_id, lock=True)
        is_current = task is not None and task.status == TaskStatus.RUNNING and task.attempt == attempt
        return task if is_current else None


async def _locked_ticket(session: AsyncSession, task: TaskRow) -> TicketRow:
    await session.flush()
    return await session.get_one(TicketRow, task.ticket_id, with_for_update=True, populate_existing=True)


def _with_code(ending: Ending) -> Ending:
    """What ended badly has a code."""
    code = ending.error_code or CODE_OF.get(ending.outcome)
    return ending if code == ending.error_code else replace(ending, error_code=code)


def _note(task: TaskRow, **entry: Any) -> None:
    """Something the next attempt is told."""
    text = str(entry["text"])
    kept = {**entry, "text": text if len(text) <= LONGEST_OUTPUT else "…" + text[-LONGEST_OUTPUT:]}
    task.feedback = [*task.feedback, kept]


def _told(task: TaskRow, ending: Ending, **more: Any) -> dict[str, Any]:
    message = (ending.message or "")[:2_000]
    told = {"attempt": task.attempt, "outcome": ending.outcome.value, "error_code": ending.error_code}
    return {**told, "message": message, **more}
