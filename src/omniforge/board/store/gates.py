"""Queries of gates: what a ticket has to show, what it has shown, and what was decided."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.board.store.evidence import ApprovalRow, DecisionRow, GateRow, ReceiptRow
from omniforge.board.store.specs import CriterionRow, RequirementRow
from omniforge.board.store.tasks import TaskRow
from omniforge.board.store.tickets import TicketRequirementRow, TicketRow
from omniforge.board.vocabulary import GateVerdict, TaskStatus, TicketStatus
from omniforge.core.actor import Actor
from omniforge.core.errors import NotFound
from omniforge.core.paging import Paging
from omniforge.sandboxes.store import SandboxRow

GATE_CHECK = "gate_check"
"""Subject type of questions about one check of a gate; their subject is the ticket."""


async def own_checks(
    session: AsyncSession, project_id: str, status: TicketStatus
) -> Sequence[dict[str, Any]] | None:
    """The project's own checks for leaving a status; None where the defaults hold."""
    row = await session.get(GateRow, (project_id, status.value))
    return None if row is None else row.checks


async def has_requirements(session: AsyncSession, spec_id: str | None) -> bool:
    if spec_id is None:
        return False
    return bool(await session.scalar(select(exists().where(RequirementRow.spec_id == spec_id))))


async def criteria_of(session: AsyncSession, ticket: TicketRow) -> list[CriterionRow]:
    """Of the ticket first, then of its requirements; each in their order."""
    requirements = select(TicketRequirementRow.requirement_id).where(
        TicketRequirementRow.ticket_id == ticket.id
    )
    owned = or_(
        (CriterionRow.owner_type == "ticket") & (CriterionRow.owner_id == ticket.id),
        (CriterionRow.owner_type == "requirement") & CriterionRow.owner_id.in_(requirements),
    )
    query = select(CriterionRow).where(owned, CriterionRow.tenant_id == ticket.tenant_id)
    order = (CriterionRow.owner_type.desc(), CriterionRow.owner_id, CriterionRow.position, CriterionRow.id)
    return list(await session.scalars(query.order_by(*order)))


async def receipts_on(session: AsyncSession, ticket: TicketRow, tree_hash: str) -> list[ReceiptRow]:
    """What was run for the ticket on this tree and counts still, newest first."""
    query = select(ReceiptRow).where(
        ReceiptRow.tenant_id == ticket.tenant_id,
        ReceiptRow.ticket_id == ticket.id,
        ReceiptRow.tree_hash == tree_hash,
        ReceiptRow.voided_at.is_(None),
        ReceiptRow.started_at >= ticket.evidence_since,
    )
    return list(await session.scalars(query.order_by(ReceiptRow.started_at.desc(), ReceiptRow.id.desc())))


async def image_of_checks(session: AsyncSession, project_id: str, provider: str) -> str | None:
    """What the newest check of the project ran in."""
    query = select(SandboxRow.image).where(
        SandboxRow.project_id == project_id,
        SandboxRow.provider == provider,
        SandboxRow.kind == "check",
        SandboxRow.image.is_not(None),
    )
    return await session.scalar(query.order_by(SandboxRow.requested_at.desc()).limit(1))


async def last_work(session: AsyncSession, ticket_id: str) -> datetime | None:
    """When the newest completed task of a ticket was completed."""
    query = select(func.max(TaskRow.completed_at)).where(
        TaskRow.ticket_id == ticket_id, TaskRow.status == TaskStatus.COMPLETED
    )
    return await session.scalar(query)


async def answers_of(session: AsyncSession, ticket: TicketRow) -> list[ApprovalRow]:
    """Questions about the gates of a ticket, with their answers, oldest first; those of this phase entry."""
    query = select(ApprovalRow).where(
        ApprovalRow.tenant_id == ticket.tenant_id,
        ApprovalRow.subject_type == GATE_CHECK,
        ApprovalRow.subject_id == ticket.id,
    )
    rows = await session.scalars(query.order_by(ApprovalRow.created_at, ApprovalRow.id))
    return [row for row in rows if row.context.get("phase_entry") == ticket.phase_entry]


async def last_decision(
    session: AsyncSession, ticket: TicketRow, from_status: TicketStatus | None = None
) -> DecisionRow | None:
    """The newest; of one status, only of this phase entry."""
    query = select(DecisionRow).where(
        DecisionRow.tenant_id == ticket.tenant_id, DecisionRow.ticket_id == ticket.id
    )
    if from_status is not None:
        query = query.where(
            DecisionRow.from_status == from_status, DecisionRow.phase_entry == ticket.phase_entry
        )
    order = (DecisionRow.created_at.desc(), DecisionRow.id.desc())
    return await session.scalar(query.order_by(*order).limit(1))


async def get_decision(session: AsyncSession, actor: Actor, decision_id: str) -> DecisionRow:
    query = select(DecisionRow).where(DecisionRow.id == decision_id, DecisionRow.tenant_id == actor.tenant_id)
    row = await session.scalar(query)
    if row is None:
        raise NotFound("There is no such decision.", decision_id=decision_id[:64])
    return row


async def list_decisions(  # noqa: PLR0917 - what a list is asked for
    session: AsyncSession,
    actor: Actor,
    ticket_id: str | None,
    project_id: str | None,
    decision: GateVerdict | None,
    paging: Paging,
) -> tuple[list[DecisionRow], int]:
    """Newest first."""
    where: list[ColumnElement[bool]] = [DecisionRow.tenant_id == actor.tenant_id]
    if ticket_id is not None:
        where.append(DecisionRow.ticket_id == ticket_id)
    if project_id is not None:
        tickets = select(TicketRow.id).where(TicketRow.project_id == project_id)
        where.append(DecisionRow.ticket_id.in_(tickets))
    if decision is not None:
        where.append(DecisionRow.decision == decision)
    total = await session.scalar(select(func.count()).select_from(DecisionRow).where(*where))
    query = select(DecisionRow).where(*where).order_by(DecisionRow.created_at.desc(), DecisionRow.id.desc())
    return list(await session.scalars(query.limit(paging.limit).offset(paging.offset))), total or 0
