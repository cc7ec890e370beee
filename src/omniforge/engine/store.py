"""Tables of runs and steps, the records written to them, and the queries over them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from sqlalchemy import Index, Integer, String, Text, UniqueConstraint, func, select
from sqlalchemy.orm import Mapped, mapped_column

from omniforge.db import Base, Database
from omniforge.engine.events import Event, storable
from omniforge.engine.state import UNFINISHED, RunStatus, Signal, StepResult, StepState, StepStatus


class RunRow(Base):
    """One run. Times are RFC 3339 text, JSON columns canonical text: both are covered by hashes elsewhere."""

    __tablename__ = "runs"
    __table_args__ = (
        UniqueConstraint("tenant_id", "idempotency_key"),
        Index("ix_runs_subject", "tenant_id", "subject", "created_at"),
        Index("ix_runs_status", "status", "tenant_id"),
    )

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    tenant_id: Mapped[str] = mapped_column(String(64))
    subject: Mapped[str] = mapped_column(String(160))
    mode: Mapped[str] = mapped_column(String(16))
    status: Mapped[str] = mapped_column(String(16))
    plan: Mapped[str] = mapped_column(Text)
    plan_hash: Mapped[str] = mapped_column(String(64))
    input: Mapped[str] = mapped_column(Text)
    trigger_type: Mapped[str] = mapped_column(String(32))
    triggered_by: Mapped[str] = mapped_column(String(160))
    logical_time: Mapped[str] = mapped_column(String(32))
    facts: Mapped[str] = mapped_column(Text)
    idempotency_key: Mapped[str | None] = mapped_column(String(200))
    error: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[str] = mapped_column(String(32))
    started_at: Mapped[str | None] = mapped_column(String(32))
    finished_at: Mapped[str | None] = mapped_column(String(32))


class StepRow(Base):
    """One step of a run under its current attempt; `checksum` is SHA-256 over the rest."""

    __tablename__ = "run_steps"
    __table_args__ = {"sqlite_with_rowid": False}  # noqa: RUF012 - SQLAlchemy reads a plain class attribute

    run_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    key: Mapped[str] = mapped_column(String(128), primary_key=True)
    status: Mapped[str] = mapped_column(String(16))
    attempt: Mapped[int] = mapped_column(Integer)
    failures: Mapped[int] = mapped_column(Integer)
    result: Mapped[str | None] = mapped_column(Text)
    error: Mapped[str | None] = mapped_column(Text)
    reason: Mapped[str | None] = mapped_column(Text)
    started_at: Mapped[str | None] = mapped_column(String(32))
    finished_at: Mapped[str | None] = mapped_column(String(32))
    checksum: Mapped[str] = mapped_column(String(64))


@dataclass(frozen=True, slots=True)
class RunRecord:
    """What a run is, from its start on. `facts` is what handlers need beside the plan (JSON)."""

    id: str
    tenant_id: str
    subject: str
    mode: str
    plan: str
    plan_hash: str
    input: dict[str, Any]
    trigger_type: str
    triggered_by: str
    logical_time: str
    facts: dict[str, Any]
    idempotency_key: str | None
    created_at: str


@dataclass(frozen=True, slots=True)
class StepRecord:
    """One step row to be written."""

    run_id: str
    key: str
    state: StepState
    started_at: str | None
    finished_at: str | None

    def values(self) -> tuple[Any, ...]:
        state = self.state
        result = None if state.result is None else storable(asdict(state.result))
        error = None if state.error is None else storable(state.error)
        row = (
            self.run_id,
            self.key,
            state.status.value,
            state.attempt,
            state.failures,
            result,
            error,
            state.reason,
            self.started_at,
            self.finished_at,
        )
        return (*row, checksum(row))


@dataclass(frozen=True, slots=True)
class Change:
    """One atomic change of one run: all of it becomes durable together, or none.

    `guard` = (key, attempt): refused unless that step is under way with that attempt, which fences late
    writers.
    """

    run_id: str
    tenant_id: str
    new_run: RunRecord | None = None
    quota: int | None = None
    """With a new run: refused when the tenant has this many unfinished ones."""
    steps: Sequence[StepRecord] = ()
    guard: tuple[str, int] | None = None
    answers: bool = False
    """With a guard: refused as well unless the step still waits, so that one answer counts."""
    status: RunStatus | None = None
    error: dict[str, Any] | None = None
    at: str | None = None
    events: Sequence[Event] = ()


@dataclass(frozen=True, slots=True)
class StoredRun:
    """An unfinished run as recovery finds it; `corrupted` are keys whose checkpoint did not hold."""

    record: RunRecord
    status: RunStatus
    steps: dict[str, StepState] = field(default_factory=dict[str, StepState])
    corrupted: tuple[str, ...] = ()


def canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def checksum(row: Sequence[Any]) -> str:
    """SHA-256 over a step row without its checksum."""
    return hashlib.sha256(canonical(list(row)).encode()).hexdigest()


class RunStore:
    """Queries over runs and steps; what people may see is always asked for with their tenant."""

    def __init__(self, db: Database) -> None:
        self.db = db

    async def unfinished(self) -> list[StoredRun]:
        """Every run that is not over, with its steps, oldest first."""
        async with self.db.read() as session:
            runs = list(
                await session.scalars(
                    select(RunRow)
                    .where(RunRow.status.in_([status.value for status in UNFINISHED]))
                    .order_by(RunRow.created_at)
                )
            )
            found: list[StoredRun] = []
            for run in runs:
                rows = list(await session.scalars(select(StepRow).where(StepRow.run_id == run.id)))
                found.append(_stored(run, rows))
            return found

    async def run(self, run_id: str) -> StoredRun | None:
        async with self.db.read() as session:
            run = await session.get(RunRow, run_id)
            if run is None:
                return None
            rows = list(await session.scalars(select(StepRow).where(StepRow.run_id == run_id)))
            return _stored(run, rows)

    async def find_run(self, tenant_id: str, run_id: str) -> tuple[RunRow, list[StepRow]] | None:
        """A run of this tenant with its steps; None for unknown and foreign ids."""
        async with self.db.read() as session:
            run = await session.scalar(
                select(RunRow).where(RunRow.id == run_id, RunRow.tenant_id == tenant_id)
            )
            if run is None:
                return None
            return run, list(await session.scalars(select(StepRow).where(StepRow.run_id == run_id)))

    async def list_runs(
        self,
        tenant_id: str,
        *,
        subject: str | None = None,
        status: Sequence[str] = (),
        mode: str | None = None,
        limit: int = 50,
        offset: int = 0,
    ) -> tuple[list[tuple[RunRow, list[StepRow]]], int]:
        """Runs of a tenant, newest first, and how many there are.

        A subject that ends in a colon (`agent:`) means all of its kind.
        """
        query = select(RunRow).where(RunRow.tenant_id == tenant_id)
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


_ROW_FIELDS = (
    "run_id",
    "key",
    "status",
    "attempt",
    "failures",
    "result",
    "error",
    "reason",
    "started_at",
    "finished_at",
)


def _stored(run: RunRow, rows: Sequence[StepRow]) -> StoredRun:
    record = RunRecord(
        id=run.id,
        tenant_id=run.tenant_id,
        subject=run.subject,
        mode=run.mode,
        plan=run.plan,
        plan_hash=run.plan_hash,
        input=json.loads(run.input),
        trigger_type=run.trigger_type,
        triggered_by=run.triggered_by,
        logical_time=run.logical_time,
        facts=json.loads(run.facts),
        idempotency_key=run.idempotency_key,
        created_at=run.created_at,
    )
    steps: dict[str, StepState] = {}
    corrupted: list[str] = []
    for row in rows:
        if row.checksum != checksum([getattr(row, name) for name in _ROW_FIELDS]):
            corrupted.append(row.key)
            # The checkpoint before this one is "not done yet"; a high attempt number keeps it fenced.
            steps[row.key] = StepState(StepStatus.PENDING, attempt=row.attempt)
        else:
            steps[row.key] = step_state(row)
    return StoredRun(record, RunStatus(run.status), steps, tuple(corrupted))


def step_state(row: StepRow) -> StepState:
    """A step row as the state it stores."""
    result: StepResult | None = None
    if row.result is not None:
        raw = json.loads(row.result)
        result = StepResult(
            output=raw["output"],
            message=raw["message"],
            signal=Signal(raw["signal"]),
            artifacts=tuple(raw["artifacts"]),
            effects=raw["effects"],
        )
    error = None if row.error is None else json.loads(row.error)
    return StepState(StepStatus(row.status), row.attempt, row.failures, result, error, row.reason)
