"""The queue of tasks as SQL: the score, what may be taken, and the one statement that takes it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Float,
    and_,
    bindparam,
    case,
    cast,
    exists,
    false,
    func,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.dml import ReturningUpdate
from sqlalchemy.sql.functions import FunctionElement

from omniforge.board import scoring
from omniforge.board.store.projects import ProjectRow
from omniforge.board.store.tasks import TaskRow
from omniforge.board.vocabulary import ProjectStatus, TaskStatus
from omniforge.db import UtcDateTime
from omniforge.sandboxes.store import LIVE_STATES, SandboxRow

PROJECT_PLACES = 5
"""Sandboxes of a project that says nothing else."""
LEASE = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Capacity:
    """Sandboxes that may live at once. Those that only check count for the installation alone."""

    tenant: int = 10
    installation: int = 10


class SecondsBetween(FunctionElement[float]):
    """Seconds from the second moment to the first."""

    type = Float()
    name = "seconds_between"
    inherit_cache = True


@compiles(SecondsBetween, "sqlite")
def _on_sqlite(element: SecondsBetween, compiler: Any, **options: Any) -> str:
    later, earlier = (compiler.process(moment, **options) for moment in element.clauses)
    return f"((julianday({later}) - julianday({earlier})) * 86400.0)"


@compiles(SecondsBetween, "postgresql")
def _on_postgres(element: SecondsBetween, compiler: Any, **options: Any) -> str:
    later, earlier = (compiler.process(moment, **options) for moment in element.clauses)
    return f"CAST(EXTRACT(EPOCH FROM ({later} - {earlier})) AS double precision)"


NOW = bindparam("now", type_=UtcDateTime())
_NEAR = bindparam("near", type_=UtcDateTime())
_STARVING = bindparam("starving", type_=UtcDateTime())


def moments(now: datetime) -> dict[str, datetime]:
    """What `SCORE` and `NOW` stand for in a statement."""
    near = now + timedelta(seconds=scoring.SLACK_SECONDS)
    return {"now": now, "near": near, "starving": now - timedelta(seconds=scoring.STARVING_SECONDS)}


def _score() -> ColumnElement[float]:
    queued, deadline = func.coalesce(TaskRow.queued_at, NOW), TaskRow.deadline_at
    waited: ColumnElement[float] = SecondsBetween(NOW, queued)
    slack: ColumnElement[float] = SecondsBetween(deadline, NOW)
    is_near = and_(deadline >= NOW, deadline <= _NEAR)
    weight = case(scoring.PRIORITY_WEIGHT, value=TaskRow.priority)
    age = case((waited < scoring.AGE_SECONDS, waited / scoring.AGE_SECONDS), else_=1.0)
    pressure = case((deadline < NOW, 1.0), (is_near, 1.0 - slack / scoring.SLACK_SECONDS), else_=0.0)
    dependents = cast(TaskRow.dependents_open, Float) / scoring.DEPENDENTS
    blocking = case((dependents < 1.0, dependents), else_=1.0)
    tries = case((TaskRow.max_retries > 1, TaskRow.max_retries), else_=1)
    fresh = 1.0 - cast(TaskRow.retry_count, Float) / cast(tries, Float)
    total = 0.45 * weight + 0.20 * age + 0.15 * pressure + 0.15 * blocking + 0.05 * fresh
    total *= case((is_near, scoring.URGENT), else_=1.0)
    starves = and_(TaskRow.queued_at <= _STARVING, total < scoring.STARVING_FLOOR)
    return case((starves, scoring.STARVING_FLOOR), else_=total)


SCORE = _score()
"""`scoring.score` of a row of tasks, as SQL over `moments`."""


def _takes_a_place() -> ColumnElement[bool]:
    return SandboxRow.state.in_(LIVE_STATES)


def _still_held() -> ColumnElement[bool]:
    """The sandbox of an attempt that was called off is not taken down yet."""
    return exists().where(SandboxRow.task_id == TaskRow.id, _takes_a_place())


def has_room(capacity: Capacity) -> ColumnElement[bool]:
    """Whether a task finds a free place in its project, its tenant and the installation. Each is counted once
    in a statement; only one writer is at work at a time, so nobody takes a place between count and claim."""
    limit = func.coalesce(ProjectRow.settings["max_concurrent_sandboxes"].as_integer(), PROJECT_PLACES)
    working = and_(_takes_a_place(), SandboxRow.kind == "task")
    full_projects = (
        select(ProjectRow.id)
        .join(SandboxRow, SandboxRow.project_id == ProjectRow.id)
        .where(working)
        .group_by(ProjectRow.id)
        .having(func.count() >= limit)
    )
    full_tenants = (
        select(SandboxRow.tenant_id)
        .where(working)
        .group_by(SandboxRow.tenant_id)
        .having(func.count() >= capacity.tenant)
    )
    taken = select(func.count()).select_from(SandboxRow).where(_takes_a_place()).scalar_subquery()
    return and_(
        taken < capacity.installation,
        TaskRow.project_id.not_in(full_projects),
        TaskRow.tenant_id.not_in(full_tenants),
    )


def is_capable(offered: Collection[str], *, is_sqlite: bool) -> ColumnElement[bool]:
    """Whether everything that a task asks for is offered."""
    elements = func.json_each if is_sqlite else func.json_array_elements_text
    wanted = elements(TaskRow.required_capabilities).table_valued("value", name="wanted")
    lacking = wanted.c.value.not_in(sorted(offered)) if offered else wanted.c.value.is_not(None)
    return ~exists(select(1).select_from(wanted).where(lacking))


@dataclass(frozen=True, slots=True)
class Take:
    """Who takes a task, into which sandbox, and which one may be taken.

    `task_id`: that very one, whose project need not take tasks by itself. `only`: a further condition on rows
    of tasks. `offered`: what the claimer is able to do; None: whatever is asked for.
    """

    claimer: str
    sandbox_id: str
    now: datetime
    capacity: Capacity
    offered: Collection[str] | None = ()
    task_id: str | None = None
    only: ColumnElement[bool] | None = None

    @property
    def values(self) -> dict[str, Any]:
        """What the statement's names stand for."""
        named = {"claimer": self.claimer, "new_sandbox": self.sandbox_id, "wanted_task": self.task_id}
        given = {name: value for name, value in named.items() if value is not None}
        return {**given, "lease_until": self.now + LEASE, **moments(self.now)}


async def take_best(session: AsyncSession, take: Take, *, is_sqlite: bool) -> tuple[TaskRow, float] | None:
    """Claim the best task that may be taken, in one statement; the row as it is then, and its score. Older
    ones go first where scores are equal. None when there is nothing to take."""
    offered = None if take.offered is None else tuple(sorted(set(take.offered)))
    asked = (offered, take.capacity, take.task_id is not None, is_sqlite)
    statement = _known_claim(*asked) if take.only is None else _claim(*asked, only=take.only)
    found = (await session.execute(statement, take.values)).first()
    return None if found is None else (found[0], float(found[1]))


def _claim(
    offered: tuple[str, ...] | None,
    capacity: Capacity,
    by_name: bool,
    is_sqlite: bool,
    only: ColumnElement[bool] | None = None,
) -> ReturningUpdate[TaskRow, float]:
    """The statement; its values come from `Take.values`."""
    projects = select(ProjectRow.id).where(ProjectRow.status == ProjectStatus.ACTIVE)
    where = [TaskRow.status == TaskStatus.QUEUED, has_room(capacity), ~_still_held()]
    if by_name:
        where.append(TaskRow.id == bindparam("wanted_task"))
    else:
        projects = projects.where(ProjectRow.autonomous)
        where.append(or_(TaskRow.not_before.is_(None), TaskRow.not_before <= NOW))
    where.append(TaskRow.project_id.in_(projects))
    if offered is not None:
        where.append(is_capable(offered, is_sqlite=is_sqlite))
    if only is not None:
        where.append(only)
    best = (
        select(TaskRow.id)
        .where(*where)
        .order_by(SCORE.desc(), TaskRow.queued_at, TaskRow.id)
        .limit(1)
        .with_for_update(skip_locked=True, of=TaskRow)
        .scalar_subquery()
    )
    return (
        update(TaskRow)
        .where(TaskRow.id == best, TaskRow.status == TaskStatus.QUEUED)
        .values(
            status=TaskStatus.RUNNING.value,
            attempt=TaskRow.attempt + 1,
            claimed_at=NOW,
            claimed_by=bindparam("claimer"),
            lease_expires_at=bindparam("lease_until", type_=UtcDateTime()),
            sandbox_id=bindparam("new_sandbox"),
            started_at=None,
            not_before=None,
            error_code=None,
            error_message=None,
            version=TaskRow.version + 1,
            updated_at=NOW,
        )
        .returning(TaskRow, SCORE)
        .execution_options(synchronize_session=False, populate_existing=True)
    )


_known_claim = lru_cache(maxsize=64)(_claim)
"""Putting the statement together takes longer than running it."""


async def is_full(session: AsyncSession, task: TaskRow, capacity: Capacity) -> bool:
    """Whether this task finds no free place."""
    room = select(TaskRow.id).where(TaskRow.id == task.id, has_room(capacity))
    return await session.scalar(room) is None


def is_overdue(now: datetime | ColumnElement[datetime]) -> ColumnElement[bool]:
    """Running longer than it may. The time stands still once a result was taken in."""
    answered = exists().where(SandboxRow.id == TaskRow.sandbox_id, SandboxRow.work_finished_at.is_not(None))
    moment = literal(now, UtcDateTime()) if isinstance(now, datetime) else now
    elapsed: ColumnElement[float] = SecondsBetween(moment, TaskRow.started_at)
    return and_(
        TaskRow.status == TaskStatus.RUNNING,
        case((TaskRow.started_at.is_(None), false()), else_=elapsed > TaskRow.timeout_seconds),
        ~answered,
    )


def is_abandoned(now: datetime | ColumnElement[datetime]) -> ColumnElement[bool]:
    """Running, and nobody has renewed its lease."""
    return and_(TaskRow.status == TaskStatus.RUNNING, TaskRow.lease_expires_at <= now)
