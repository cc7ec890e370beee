"""Tables of runs and steps, and the queries over them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from sqlalchemy import ColumnElement, Index, Integer, String, Text, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from omniforge.db import Base, Database
from omniforge.engine.plan import Plan
from omniforge.engine.records import CHECKED_COLUMNS, RunRecord, StoredRun, checksum, result_from
from omniforge.engine.state import UNFINISHED, RunStatus, StepState, StepStatus


class PlanRow(Base):
    """A plan, stored once under its SHA-256."""

    __tablename__ = "plans"

    hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    plan: Mapped[str] = mapped_column(Text)


OPEN_RUNS = f"status IN ({', '.join(repr(status.value) for status in sorted(UNFINISHED))})"
"""Condition of the index of unfinished runs; only a query with these very words uses it."""


def _partial(name: str, condition: str, *columns: str, unique: bool = False) -> Index:
    """An index of some rows: the others cost nothing when they are written."""
    where = text(condition)
    return Index(name, *columns, unique=unique, sqlite_where=where, postgresql_where=where)


class RunRow(Base):
    """One run. Times are RFC 3339 text, JSON columns canonical text.

    epoch: raised by whoever takes the run over; a writer with an older one is refused.
    request: what a person asked the driver for, `cancel <who>` or `pause`.
    wake_at: when a waiting run goes on by itself.
    """

    __tablename__ = "runs"
    __table_args__ = (
        _partial("ix_runs_key", "idempotency_key IS NOT NULL", "tenant_id", "idempotency_key", unique=True),
        Index("ix_runs_subject", "tenant_id", "subject", "created_at"),
        _partial("ix_runs_open", OPEN_RUNS, "status", "tenant_id"),
        _partial("ix_runs_parent", "parent_id IS NOT NULL", "parent_id"),
        {"sqlite_with_rowid": False},
    )

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    tenant_id: Mapped[str] = mapped_column(String(64))
    subject: Mapped[str] = mapped_column(String(160))
    mode: Mapped[str] = mapped_column(String(16))
    status: Mapped[str] = mapped_column(String(16))
    plan_hash: Mapped[str] = mapped_column(String(64))
    input: Mapped[str] = mapped_column(Text)
    trigger_type: Mapped[str] = mapped_column(String(32))
    triggered_by: Mapped[str] = mapped_column(String(160))
    logical_time: Mapped[str] = mapped_column(String(32))
    facts: Mapped[str] = mapped_column(Text)
    idempotency_key: Mapped[str | None] = mapped_column(String(200))
    error: Mapped[str | None] = mapped_column(Text)
    epoch: Mapped[int] = mapped_column(Integer)
    request: Mapped[str | None] = mapped_column(String(200))
    priority: Mapped[int] = mapped_column(Integer)
    parent_id: Mapped[str | None] = mapped_column(String(64))
    depth: Mapped[int] = mapped_column(Integer)
    wake_at: Mapped[str | None] = mapped_column(String(32))
    created_at: Mapped[str] = mapped_column(String(32))
    started_at: Mapped[str | None] = mapped_column(String(32))
    finished_at: Mapped[str | None] = mapped_column(String(32))


class StepRow(Base):
    """One step of a run under its current attempt; `checksum` is SHA-256 over the rest."""

    __tablename__ = "run_steps"
    __table_args__ = {"sqlite_with_rowid": False}  # noqa: RUF012 - SQLAlchemy reads a plain class attribute

    run_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    status: Mapped[str] = mapped_column(String(16))
    attempt: Mapped[int] = mapped_column(Integer)
    failures: Mapped[int] = mapped_column(Integer)
    result: Mapped[str | None] = mapped_column(Text)
    error: Mapped[str | None] = mapped_column(Text)
    reason: Mapped[str | None] = mapped_column(Text)
    history: Mapped[str | None] = mapped_column(Text)
    wake_at: Mapped[str | None] = mapped_column(String(32))
    started_at: Mapped[str | None] = mapped_column(String(32))
    finished_at: Mapped[str | None] = mapped_column(String(32))
    checksum: Mapped[str] = mapped_column(String(64))


class PlanDamaged(ValueError):
    """A stored plan is not what its hash says."""


class RunStore:
    """Queries over runs and steps; what people may see is always asked for with their tenant."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self._plans: dict[str, Plan] = {}

    async def unfinished_ids(self) -> list[str]:
        """Runs that are queued or running, oldest first."""
        return await self._ids(RunStatus.QUEUED, RunStatus.RUNNING)

    async def parked_ids(self) -> list[str]:
        """Runs that wait or are paused, oldest first."""
        return await self._ids(RunStatus.WAITING, RunStatus.PAUSED)

    async def _ids(self, *wanted: RunStatus) -> list[str]:
        query = select(RunRow.id).where(
            text(OPEN_RUNS), RunRow.status.in_([status.value for status in wanted])
        )
        async with self.db.read() as session:
            return list(await session.scalars(query.order_by(RunRow.created_at, RunRow.id)))

    async def asked(self) -> list[str]:
        """Parked runs that somebody wants to be cancelled."""
        parked = [RunStatus.WAITING.value, RunStatus.PAUSED.value]
        query = select(RunRow.id).where(
            text(OPEN_RUNS), RunRow.status.in_(parked), RunRow.request.startswith("cancel")
        )
        async with self.db.read() as session:
            return list(await session.scalars(query))

    async def timers(self) -> list[tuple[str, str]]:
        """(wake_at, run id) of the waiting runs that go on by themselves."""
        query = select(RunRow.wake_at, RunRow.id).where(
            text(OPEN_RUNS), RunRow.status == RunStatus.WAITING.value, RunRow.wake_at.is_not(None)
        )
        async with self.db.read() as session:
            return [(str(wake_at), run_id) for wake_at, run_id in await session.execute(query)]

    async def run(self, run_id: str) -> StoredRun | None:
        """A run with its steps. `PlanDamaged` when its plan does not hold."""
        async with self.db.read() as session:
            run = await session.get(RunRow, run_id)
            if run is None:
                return None
            rows = list(await session.scalars(select(StepRow).where(StepRow.run_id == run_id)))
            return stored_run(run, await self._plan(session, run.plan_hash), rows)

    async def owner(self, run_id: str) -> tuple[str, int] | None:
        """Tenant and epoch of a run."""
        async with self.db.read() as session:
            found = await session.execute(select(RunRow.tenant_id, RunRow.epoch).where(RunRow.id == run_id))
            row = found.first()
            return None if row is None else (row[0], row[1])

    async def runs(self, run_ids: Sequence[str]) -> list[StoredRun]:
        """Many at once, in the order given; those whose plan does not hold are left out."""
        async with self.db.read() as session:
            found = {
                row.id: row for row in await session.scalars(select(RunRow).where(RunRow.id.in_(run_ids)))
            }
            steps: dict[str, list[StepRow]] = {run_id: [] for run_id in found}
            for row in await session.scalars(select(StepRow).where(StepRow.run_id.in_(run_ids))):
                steps[row.run_id].append(row)
            made: list[StoredRun] = []
            for run_id in run_ids:
                if run_id in found:
                    plan = await self._plan(session, found[run_id].plan_hash)
                    made.append(stored_run(found[run_id], plan, steps[run_id]))
            return made

    async def plan(self, plan_hash: str) -> Plan:
        async with self.db.read() as session:
            return await self._plan(session, plan_hash)

    async def _plan(self, session: AsyncSession, plan_hash: str) -> Plan:
        known = self._plans.get(plan_hash)
        if known is not None:
            return known
        text = await session.scalar(select(PlanRow.plan).where(PlanRow.hash == plan_hash))
        if text is None or hashlib.sha256(text.encode()).hexdigest() != plan_hash:
            raise PlanDamaged(f"the stored plan {plan_hash} is missing or damaged")
        if len(self._plans) >= 256:
            self._plans.clear()
        plan = self._plans[plan_hash] = Plan.from_json(text)
        return plan

    async def find_run(self, tenant_id: str, run_id: str) -> tuple[RunRow, list[StepRow]] | None:
        """A run of this tenant with its steps; None for unknown and foreign ids."""
        async with self.db.read() as session:
            run = await session.scalar(
                select(RunRow).where(RunRow.id == run_id, RunRow.tenant_id == tenant_id)
            )
            if run is None:
                return None
            return run, list(await session.scalars(select(StepRow).where(StepRow.run_id == run_id)))

    async def count_children(self, run_id: str) -> int:
        async with self.db.read() as session:
            query = select(func.count()).select_from(RunRow).where(RunRow.parent_id == run_id)
            return await session.scalar(query) or 0

    async def queue_depth(self) -> dict[str, int]:
        """Status → how many unfinished runs there are."""
        query = select(RunRow.status, func.count()).where(text(OPEN_RUNS)).group_by(RunRow.status)
        async with self.db.read() as session:
            return {str(status): int(count) for status, count in await session.execute(query)}

    async def list_runs(
        self,
        tenant_id: str,
        *,
        subject: str | None = None,
        status: Sequence[str] = (),
        mode: str | None = None,
        only: ColumnElement[bool] | None = None,
        limit: int = 50,
        offset: int = 0,
    ) -> tuple[list[tuple[RunRow, list[StepRow]]], int]:
        """Runs of a tenant that meet `only`, newest first, and how many there are.

        A subject that ends in a colon (`agent:`) means all of its kind.
        """
        query = select(RunRow).where(RunRow.tenant_id == tenant_id)
        if only is not None:
            query = query.where(only)
        if subject is not None and subject.endswith(":"):
            query = query.where(RunRow.subject.startswith(subject, autoescape=True))
        elif subject is not None:
            query = query.where(RunRow.subject == subject)
        if status:
            query = query.where(RunRow.status.in_(status))
        if mode is not None:
            query = query.where(RunRow.mode == mode)
        async with self.db.read() as session:
            total = await session.scalar(select(func.count()).select_from(query.subquery())) or 0
            newest = query.order_by(RunRow.created_at.desc(), RunRow.id.desc())
            runs = list(await session.scalars(newest.limit(limit).offset(offset)))
            steps: dict[str, list[StepRow]] = {run.id: [] for run in runs}
            for row in await session.scalars(select(StepRow).where(StepRow.run_id.in_(steps))):
                steps[row.run_id].append(row)
            return [(run, steps[run.id]) for run in runs], total


def stored_run(run: RunRow, plan: Plan, rows: Sequence[StepRow]) -> StoredRun:
    record = RunRecord(
        id=run.id,
        tenant_id=run.tenant_id,
        subject=run.subject,
        mode=run.mode,
        plan_hash=run.plan_hash,
        input=json.loads(run.input),
        trigger_type=run.trigger_type,
        triggered_by=run.triggered_by,
        logical_time=run.logical_time,
        facts=json.loads(run.facts),
        idempotency_key=run.idempotency_key,
        created_at=run.created_at,
        epoch=run.epoch,
        priority=run.priority,
        parent_id=run.parent_id,
        depth=run.depth,
    )
    steps: dict[str, StepState] = {}
    corrupted: list[str] = []
    for row in rows:
        if row.checksum != checksum([getattr(row, name) for name in CHECKED_COLUMNS]):
            corrupted.append(row.key)
            # The checkpoint before this one is "not done yet"; a high attempt number keeps effects apart.
            steps[row.key] = StepState(StepStatus.PENDING, attempt=row.attempt)
        else:
            steps[row.key] = step_state(row)
    return StoredRun(
        record,
        plan,
        RunStatus(run.status),
        steps,
        tuple(corrupted),
        run.request,
        run.started_at,
        run.finished_at,
    )


def step_state(row: StepRow) -> StepState:
    """A step row as the state it stores."""
    return StepState(
        StepStatus(row.status),
        row.attempt,
        row.failures,
        None if row.result is None else result_from(row.result),
        None if row.error is None else json.loads(row.error),
        row.reason,
        None if row.history is None else json.loads(row.history),
        row.wake_at,
        row.started_at,
        row.finished_at,
    )
