"""What one can see of tasks: one, many, what they wait for, their attempts, results and times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.board.scoring import score
from omniforge.board.shapes.results import CheckedResult, CheckedResultList, Receipt, Result
from omniforge.board.shapes.tasks import (
    Attempt,
    AttemptList,
    CancellableTask,
    CancellableTaskList,
    Dependencies,
    LateTask,
    LateTaskList,
    ProjectQuery,
    Task,
    TaskBrief,
    TaskDetail,
    TaskList,
    TaskQuery,
    TimeoutStatus,
)
from omniforge.board.shapes.tickets import Criterion
from omniforge.board.store import tasks as store
from omniforge.board.store.evidence import ReceiptRow, ResultRow
from omniforge.board.store.queue import is_overdue
from omniforge.board.store.specs import CriterionRow
from omniforge.board.store.tasks import AttemptRow, TaskFilter, TaskRow
from omniforge.board.vocabulary import OPEN_TASKS, Priority, TaskStatus
from omniforge.core.actor import Actor
from omniforge.core.clock import Clock
from omniforge.core.paging import Paging
from omniforge.db import Database
from omniforge.sandboxes.store import SandboxRow

FIELDS = [name for name in Task.model_fields if name in TaskRow.__table__.columns]


@dataclass(frozen=True, slots=True)
class Times:
    """How long an attempt has been worked on, in seconds. `is_over`: the time does not run any more."""

    elapsed: float
    remaining: float | None
    is_over: bool


class TaskViews:
    def __init__(self, db: Database, clock: Clock) -> None:
        self.db, self.clock = db, clock

    async def get(self, actor: Actor, task_id: str) -> TaskDetail:
        actor.require("board:view")
        async with self.db.read() as session:
            row = await store.get_task(session, actor, task_id)
            (task,) = await self.shown(session, [row])
            attempts = [Attempt.model_validate(one) for one in await store.attempts_of(session, row.id)]
            owned = (CriterionRow.owner_type == "task", CriterionRow.owner_id == row.id)
            criteria = await session.scalars(
                select(CriterionRow).where(*owned).order_by(CriterionRow.position)
            )
            found = [Criterion.model_validate(one) for one in criteria]
        return TaskDetail(**dict(task), attempts=attempts, criteria=found)

    async def show(self, actor: Actor, task_id: str) -> Task:
        async with self.db.read() as session:
            return (await self.shown(session, [await store.get_task(session, actor, task_id)]))[0]

    async def find(self, actor: Actor, query: TaskQuery) -> TaskList:
        actor.require("board:view")
        names = ("status", "phase_id", "has_sandbox", "ticket_id", "project_id", "spec_id")
        wanted = TaskFilter(**{name: getattr(query, name) for name in names})
        async with self.db.read() as session:
            rows, total = await store.list_tasks(session, actor, wanted, query)
            tasks = await self.shown(session, rows)
        return TaskList(tasks=tasks, total=total, limit=query.limit, offset=query.offset)

    async def late(self, actor: Actor, query: ProjectQuery) -> LateTaskList:
        """Those that run longer than they may, and nobody has looked yet."""
        actor.require("board:view")
        now = self.clock.now()
        async with self.db.read() as session:
            wanted = TaskFilter(project_id=query.project_id)
            rows, total = await store.list_tasks(session, actor, wanted, query, is_overdue(now))
            shown = await self.shown(session, rows)
            times = await _times(session, rows, now)
        tasks = [
            LateTask(**dict(task), elapsed_seconds=one.elapsed)
            for task, one in zip(shown, times, strict=True)
        ]
        return LateTaskList(tasks=tasks, total=total, limit=query.limit, offset=query.offset)

    async def cancellable(self, actor: Actor, query: ProjectQuery) -> CancellableTaskList:
        actor.require("board:view")
        async with self.db.read() as session:
            wanted = TaskFilter(statuses=OPEN_TASKS, project_id=query.project_id)
            rows, total = await store.list_tasks(session, actor, wanted, query)
            shown = await self.shown(session, rows)
            times = await _times(session, rows, self.clock.now())
        tasks = [
            CancellableTask(**dict(task), time_remaining=one.remaining)
            for task, one in zip(shown, times, strict=True)
        ]
        return CancellableTaskList(tasks=tasks, total=total, limit=query.limit, offset=query.offset)

    async def timeout_status(self, actor: Actor, task_id: str) -> TimeoutStatus:
        actor.require("board:view")
        async with self.db.read() as session:
            row = await store.get_task(session, actor, task_id)
            (times,) = await _times(session, [row], self.clock.now())
        status = TaskStatus(row.status)
        return TimeoutStatus(
            status=status,
            timeout_seconds=row.timeout_seconds,
            elapsed_seconds=times.elapsed,
            time_remaining=times.remaining,
            is_timed_out=not times.is_over and times.elapsed > row.timeout_seconds,
            can_cancel=status.is_open,
        )

    async def dependencies(self, actor: Actor, task_id: str) -> Dependencies:
        actor.require("board:view")
        async with self.db.read() as session:
            row = await store.get_task(session, actor, task_id)
            needed = (await store.dependencies_of(session, [row.id])).get(row.id, [])
            waiting = [TaskBrief.model_validate(one) for one in await store.dependents_of(session, row.id)]
        return Dependencies(
            task_id=row.id,
            depends_on=needed,
            dependencies_complete=row.remaining == 0,
            remaining=row.remaining,
            blocked_tasks=waiting,
        )

    async def attempts(self, actor: Actor, task_id: str, paging: Paging) -> AttemptList:
        """Newest first."""
        actor.require("board:view")
        async with self.db.read() as session:
            row = await store.get_task(session, actor, task_id)
            found = [Attempt.model_validate(one) for one in await store.attempts_of(session, row.id)]
        page = found[paging.offset : paging.offset + paging.limit]
        return AttemptList(attempts=page, total=len(found), limit=paging.limit, offset=paging.offset)

    async def results(self, actor: Actor, task_id: str, paging: Paging) -> CheckedResultList:
        """Newest first, each with the receipts of its attempt."""
        actor.require("board:view")
        async with self.db.read() as session:
            row = await store.get_task(session, actor, task_id)
            where = ResultRow.task_id == row.id
            total = await session.scalar(select(func.count()).select_from(ResultRow).where(where)) or 0
            order = (ResultRow.created_at.desc(), ResultRow.id.desc())
            query = select(ResultRow).where(where).order_by(*order)
            page = list(await session.scalars(query.limit(paging.limit).offset(paging.offset)))
            receipts = list(
                await session.scalars(
                    select(ReceiptRow)
                    .where(
                        ReceiptRow.task_id == row.id, ReceiptRow.attempt.in_({one.attempt for one in page})
                    )
                    .order_by(ReceiptRow.started_at, ReceiptRow.id)
                )
            )
        results = [_checked(one, receipts) for one in page]
        return CheckedResultList(results=results, total=total, limit=paging.limit, offset=paging.offset)

    async def shown(self, session: AsyncSession, rows: Sequence[TaskRow]) -> list[Task]:
        """Tasks as the wire has them, in three questions however many they are."""
        ids, now = [row.id for row in rows], self.clock.now()
        needed = await store.dependencies_of(session, ids)
        results = await _latest_results(session, ids)
        return [_shown(row, needed.get(row.id, []), results.get(row.id), now) for row in rows]


def _shown(row: TaskRow, needed: list[str], result: ResultRow | None, now: datetime) -> Task:
    said = None if result is None else Result.model_validate(result)
    fields: dict[str, Any] = {name: getattr(row, name) for name in FIELDS}
    return Task(
        **fields,
        score=_score(row, now),
        depends_on=needed,
        dependencies_complete=row.remaining == 0,
        verification=said.verification if said else "none",
        result=said,
    )


def _score(row: TaskRow, now: datetime) -> float | None:
    if row.status not in (TaskStatus.PENDING, TaskStatus.QUEUED):
        return None
    found = score(
        priority=Priority(row.priority),
        waited=(now - row.queued_at).total_seconds() if row.queued_at else 0.0,
        slack=(row.deadline_at - now).total_seconds() if row.deadline_at else None,
        dependents_open=row.dependents_open,
        retry_count=row.retry_count,
        max_retries=row.max_retries,
    )
    return round(found, 6)


def _checked(result: ResultRow, receipts: Sequence[ReceiptRow]) -> CheckedResult:
    own = [Receipt.model_validate(one) for one in receipts if one.attempt == result.attempt]
    return CheckedResult(**dict(Result.model_validate(result)), receipts=own)


async def _latest_results(session: AsyncSession, ids: Sequence[str]) -> dict[str, ResultRow]:
    order = (ResultRow.created_at.desc(), ResultRow.id.desc())
    place = func.row_number().over(partition_by=ResultRow.task_id, order_by=order)
    numbered = select(ResultRow.id, place.label("place")).where(ResultRow.task_id.in_(ids)).subquery()
    query = select(ResultRow).join(numbered, numbered.c.id == ResultRow.id).where(numbered.c.place == 1)
    return {row.task_id: row for row in await session.scalars(query)}


async def _times(session: AsyncSession, rows: Sequence[TaskRow], now: datetime) -> list[Times]:
    """The time of an attempt runs from its worker's first word until a result is taken in."""
    query = (
        select(AttemptRow, SandboxRow.work_finished_at)
        .join(SandboxRow, SandboxRow.id == AttemptRow.sandbox_id, isouter=True)
        .join(TaskRow, (TaskRow.id == AttemptRow.task_id) & (TaskRow.attempt == AttemptRow.attempt))
        .where(TaskRow.id.in_([row.id for row in rows]))
    )
    found = {attempt.task_id: (attempt, finished) for attempt, finished in await session.execute(query)}
    return [_time(row, *found.get(row.id, (None, None)), now) for row in rows]


def _time(row: TaskRow, attempt: AttemptRow | None, finished: datetime | None, now: datetime) -> Times:
    ended = finished or (attempt.ended_at if attempt else None)
    is_over = row.status != TaskStatus.RUNNING or ended is not None
    began = attempt.started_at if attempt else None
    elapsed = 0.0 if began is None else max(((ended or now) - began).total_seconds(), 0.0)
    remaining = None if is_over else max(row.timeout_seconds - elapsed, 0.0)
    return Times(round(elapsed, 3), remaining if remaining is None else round(remaining, 3), is_over)
