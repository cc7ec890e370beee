"""Tables of specs: requirements, criteria, versions, generated phases, imports; the queries over them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import (
    Float,
    Index,
    Integer,
    Select,
    String,
    Text,
    UniqueConstraint,
    func,
    or_,
    select,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from omniforge.board.store.tasks import TaskRow
from omniforge.board.store.tickets import TicketRow
from omniforge.board.vocabulary import SpecStatus
from omniforge.core.actor import Actor
from omniforge.core.errors import NotFound
from omniforge.core.paging import Paging
from omniforge.db import Base
from omniforge.db.base import TenantRow

AnyRow = TypeVar("AnyRow")


class SpecRow(TenantRow, Base):
    """Requirements, design, tickets and tasks of one feature."""

    __tablename__ = "specs"

    project_id: Mapped[str] = mapped_column(String(64), index=True)
    title: Mapped[str] = mapped_column(String(500))
    description: Mapped[str | None] = mapped_column(Text)
    status: Mapped[str] = mapped_column(String(16))
    current_phase: Mapped[str] = mapped_column(String(16))
    design: Mapped[dict[str, Any] | None]
    requirements_approved: Mapped[bool] = mapped_column(default=False)
    requirements_approved_at: Mapped[datetime | None]
    requirements_approved_by: Mapped[str | None] = mapped_column(String(160))
    design_approved: Mapped[bool] = mapped_column(default=False)
    design_approved_at: Mapped[datetime | None]
    design_approved_by: Mapped[str | None] = mapped_column(String(160))
    branch_name: Mapped[str | None] = mapped_column(String(255))
    archived: Mapped[bool] = mapped_column(default=False)
    version: Mapped[int] = mapped_column(Integer, default=1)
    created_by: Mapped[str] = mapped_column(String(160))
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class RequirementRow(TenantRow, Base):
    """One EARS requirement: `condition` is its WHEN/WHILE/WHERE/IF clause, `action` its SHALL clause."""

    __tablename__ = "spec_requirements"
    __table_args__ = (UniqueConstraint("spec_id", "ref"),)

    spec_id: Mapped[str] = mapped_column(String(64), index=True)
    ref: Mapped[str] = mapped_column(String(64))
    title: Mapped[str] = mapped_column(String(500))
    condition: Mapped[str] = mapped_column(Text, default="")
    action: Mapped[str] = mapped_column(Text)
    category: Mapped[str] = mapped_column(String(16))
    priority: Mapped[str] = mapped_column(String(16))
    status: Mapped[str] = mapped_column(String(16))
    status_set: Mapped[bool] = mapped_column(default=False)
    """A person said the status; else it follows from the tickets."""
    linked_design: Mapped[str | None] = mapped_column(String(100))
    position: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class CriterionRow(TenantRow, Base):
    """What has to be true of a requirement, a ticket or a task. Only evidence completes one that is checked,
    only a person one of kind text."""

    __tablename__ = "criteria"
    __table_args__ = (Index("ix_criteria_owner", "owner_type", "owner_id"),)

    owner_type: Mapped[str] = mapped_column(String(16))
    owner_id: Mapped[str] = mapped_column(String(64))
    text: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(String(16))
    check: Mapped[dict[str, Any] | None]
    completed: Mapped[bool] = mapped_column(default=False)
    completed_by: Mapped[str | None] = mapped_column(String(160))
    receipt_id: Mapped[str | None] = mapped_column(String(64))
    position: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class SpecVersionRow(TenantRow, Base):
    """Every change of a spec, with the whole of it afterwards. Never changed."""

    __tablename__ = "spec_versions"
    __table_args__ = (UniqueConstraint("spec_id", "version"),)

    spec_id: Mapped[str] = mapped_column(String(64), index=True)
    version: Mapped[int] = mapped_column(Integer)
    change_type: Mapped[str] = mapped_column(String(32))
    changes: Mapped[dict[str, Any]]
    snapshot: Mapped[dict[str, Any]]
    created_by: Mapped[str] = mapped_column(String(160))
    created_at: Mapped[datetime]


class PhaseRunRow(TenantRow, Base):
    """One try of one phase of a generated spec; the latest that passed is its checkpoint."""

    __tablename__ = "spec_phase_runs"
    __table_args__ = (UniqueConstraint("spec_id", "phase", "attempt", "run_id"),)

    spec_id: Mapped[str] = mapped_column(String(64), index=True)
    phase: Mapped[str] = mapped_column(String(16))
    attempt: Mapped[int] = mapped_column(Integer)
    status: Mapped[str] = mapped_column(String(16))
    run_id: Mapped[str] = mapped_column(String(64))
    output: Mapped[dict[str, Any] | None]
    reasons: Mapped[list[str]]
    turns: Mapped[int] = mapped_column(Integer, default=0)
    cost_usd: Mapped[float | None] = mapped_column(Float)
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class ImportRefRow(Base):
    """What a name in an imported document became. `content_hash` is that of its last import."""

    __tablename__ = "import_refs"

    spec_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    local_ref: Mapped[str] = mapped_column(String(64), primary_key=True)
    tenant_id: Mapped[str] = mapped_column(String(64))
    kind: Mapped[str] = mapped_column(String(16))
    object_id: Mapped[str] = mapped_column(String(64), index=True)
    content_hash: Mapped[str] = mapped_column(String(64))


# --- one row -----------------------------------------------------------------------------------------------


async def get_spec(session: AsyncSession, actor: Actor, spec_id: str, *, lock: bool = False) -> SpecRow:
    """A spec of the actor's tenant, or NotFound. `lock`: read anew, and nobody else changes it until the
    commit."""
    query = select(SpecRow).where(SpecRow.id == spec_id, SpecRow.tenant_id == actor.tenant_id)
    if lock:
        await session.flush()
        query = query.with_for_update().execution_options(populate_existing=True)
    row = await session.scalar(query)
    if row is None:
        raise NotFound("There is no such spec.", spec_id=spec_id[:64])
    return row


async def get_requirement(
    session: AsyncSession, actor: Actor, spec_id: str, requirement_id: str
) -> RequirementRow:
    """A requirement of exactly this spec, or NotFound."""
    query = select(RequirementRow).where(
        RequirementRow.id == requirement_id,
        RequirementRow.spec_id == spec_id,
        RequirementRow.tenant_id == actor.tenant_id,
    )
    row = await session.scalar(query)
    if row is None:
        raise NotFound("This spec has no such requirement.", requirement_id=requirement_id[:64])
    return row


async def get_criterion(
    session: AsyncSession, actor: Actor, requirement_id: str, criterion_id: str
) -> CriterionRow:
    """A criterion of exactly this requirement, or NotFound."""
    query = select(CriterionRow).where(
        CriterionRow.id == criterion_id,
        CriterionRow.owner_type == "requirement",
        CriterionRow.owner_id == requirement_id,
        CriterionRow.tenant_id == actor.tenant_id,
    )
    row = await session.scalar(query)
    if row is None:
        raise NotFound("This requirement has no such criterion.", criterion_id=criterion_id[:64])
    return row


# --- what belongs to specs ---------------------------------------------------------------------------------


async def list_specs(
    session: AsyncSession,
    actor: Actor,
    project_id: str,
    status: SpecStatus | None,
    paging: Paging,
    *,
    archived: bool,
) -> tuple[list[SpecRow], int]:
    """Newest first."""
    where = [SpecRow.tenant_id == actor.tenant_id, SpecRow.project_id == project_id]
    if status is not None:
        where.append(SpecRow.status == status)
    if not archived:
        where.append(SpecRow.archived.is_(False))
    total = await session.scalar(select(func.count()).select_from(SpecRow).where(*where))
    query = select(SpecRow).where(*where).order_by(SpecRow.created_at.desc(), SpecRow.id.desc())
    return list(await session.scalars(query.limit(paging.limit).offset(paging.offset))), total or 0


def _by_spec(rows: Iterable[AnyRow]) -> dict[str, list[AnyRow]]:
    found: defaultdict[str, list[AnyRow]] = defaultdict(list)
    for row in rows:
        spec_id: str = getattr(row, "spec_id")  # noqa: B009 - each of these rows has one
        found[spec_id].append(row)
    return found


async def requirements_of(session: AsyncSession, spec_ids: Sequence[str]) -> dict[str, list[RequirementRow]]:
    """By spec, in their order."""
    query = select(RequirementRow).where(RequirementRow.spec_id.in_(spec_ids))
    return _by_spec(await session.scalars(query.order_by(RequirementRow.position, RequirementRow.id)))


async def tickets_of(session: AsyncSession, spec_ids: Sequence[str]) -> dict[str, list[TicketRow]]:
    """By spec, oldest first, archived ones too."""
    query = select(TicketRow).where(TicketRow.spec_id.in_(spec_ids))
    return _by_spec(await session.scalars(query.order_by(TicketRow.created_at, TicketRow.ref)))


async def tasks_of(session: AsyncSession, spec_ids: Sequence[str]) -> dict[str, list[TaskRow]]:
    """Tasks of the specs' tickets, by the spec of their ticket, oldest first."""
    query = (
        select(TaskRow, TicketRow.spec_id)
        .join(TicketRow, TicketRow.id == TaskRow.ticket_id)
        .where(TicketRow.spec_id.in_(spec_ids))
        .order_by(TaskRow.created_at, TaskRow.ref)
    )
    found: defaultdict[str, list[TaskRow]] = defaultdict(list)
    for task, spec_id in await session.execute(query):
        found[str(spec_id)].append(task)
    return found


def owners_in(spec_ids: Sequence[str]) -> dict[str, Select[str]]:
    """Who may own criteria in these specs: kind of owner → its ids."""
    tickets = select(TicketRow.id).where(TicketRow.spec_id.in_(spec_ids))
    return {
        "requirement": select(RequirementRow.id).where(RequirementRow.spec_id.in_(spec_ids)),
        "ticket": tickets,
        "task": select(TaskRow.id).where(TaskRow.ticket_id.in_(tickets)),
    }


async def criteria_in(
    session: AsyncSession, spec_ids: Sequence[str], kinds: Sequence[str] = ("requirement", "ticket", "task")
) -> dict[str, list[CriterionRow]]:
    """Criteria of everything in the specs, by the id of their owner, in their order."""
    owners = owners_in(spec_ids)
    owned = [(CriterionRow.owner_type == kind) & CriterionRow.owner_id.in_(owners[kind]) for kind in kinds]
    found: defaultdict[str, list[CriterionRow]] = defaultdict(list)
    for row in await session.scalars(select(CriterionRow).where(or_(*owned)).order_by(CriterionRow.position)):
        found[row.owner_id].append(row)
    return found


async def refs_of(session: AsyncSession, spec_id: str) -> dict[str, ImportRefRow]:
    """What was imported into the spec, by its name in the documents."""
    rows = await session.scalars(select(ImportRefRow).where(ImportRefRow.spec_id == spec_id))
    return {row.local_ref: row for row in rows}


async def versions_of(
    session: AsyncSession, spec_id: str, paging: Paging
) -> tuple[list[SpecVersionRow], int]:
    """Newest first."""
    where = SpecVersionRow.spec_id == spec_id
    total = await session.scalar(select(func.count()).select_from(SpecVersionRow).where(where))
    query = select(SpecVersionRow).where(where).order_by(SpecVersionRow.version.desc())
    return list(await session.scalars(query.limit(paging.limit).offset(paging.offset))), total or 0


async def phase_runs_of(session: AsyncSession, spec_id: str, paging: Paging) -> tuple[list[PhaseRunRow], int]:
    """Newest first."""
    where = PhaseRunRow.spec_id == spec_id
    total = await session.scalar(select(func.count()).select_from(PhaseRunRow).where(where))
    query = select(PhaseRunRow).where(where).order_by(PhaseRunRow.started_at.desc(), PhaseRunRow.id.desc())
    return list(await session.scalars(query.limit(paging.limit).offset(paging.offset))), total or 0
