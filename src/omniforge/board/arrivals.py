"""What a ticket's arrival in a status brings: work to begin with, work after a setback, others set free."""

from __future__ import annotations

from typing import Any

from sqlalchemy import exists, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.board.ports import Tasks
from omniforge.board.store.evidence import GateRow
from omniforge.board.store.projects import ProjectRow
from omniforge.board.store.specs import CriterionRow, SpecRow
from omniforge.board.store.tasks import TaskRow
from omniforge.board.store.tickets import TicketEdgeRow, TicketHistoryRow, TicketRequirementRow, TicketRow
from omniforge.board.vocabulary import OPEN_TASKS, CheckKind, PhaseId, TaskType, TicketStatus
from omniforge.board.workflow import phase_of_task_type, stage_of
from omniforge.core.actor import Actor
from omniforge.engine.events import EventRow

OPENINGS = {
    TaskType.ANALYZE_REQUIREMENTS: "Analyze the requirements of {title}",
    TaskType.IMPLEMENT_FEATURE: "Implement {title}",
    TaskType.RUN_TESTS: "Test {title}",
}


async def make_opening(session: AsyncSession, actor: Actor, ticket: TicketRow, tasks: Tasks) -> None:
    """The first task of a status that the ticket enters without work, unless other things do that work."""
    opening = stage_of(TicketStatus(ticket.status)).opening
    if opening is None:
        return
    counts = await tasks.open_counts(session, ticket)
    if counts.open or counts.completed_since:
        return
    if opening is TaskType.ANALYZE_REQUIREMENTS and await spec_is_approved(session, ticket):
        return
    if opening is TaskType.RUN_TESTS and await testing_runs_commands(session, ticket):
        return
    await tasks.create_in(
        session,
        actor,
        ticket,
        title=OPENINGS[opening].format(title=ticket.title)[:500],
        description=ticket.description,
        task_type=opening,
        phase_id=phase_of_task_type(opening),
    )


async def make_remediation(
    session: AsyncSession, actor: Actor, ticket: TicketRow, tasks: Tasks, feedback: str
) -> None:
    """New work on what was found wrong, so that the ticket cannot go forward again before it is done."""
    await tasks.create_in(
        session,
        actor,
        ticket,
        title=f"Mend what was found wrong in {ticket.title}"[:500],
        description=feedback,
        task_type=TaskType.REMEDIATION,
        phase_id=PhaseId.IMPLEMENTATION,
        feedback=[{"kind": "regress", "text": feedback, "by": actor.by}],
    )


async def spec_is_approved(session: AsyncSession, ticket: TicketRow) -> bool:
    if ticket.spec_id is None:
        return False
    spec = await session.get(SpecRow, ticket.spec_id)
    return spec is not None and spec.requirements_approved and spec.design_approved


async def testing_runs_commands(session: AsyncSession, ticket: TicketRow) -> bool:
    """Whether the gate behind testing runs a command: of its own, of the project, or of a criterion."""
    requirements = select(TicketRequirementRow.requirement_id).where(
        TicketRequirementRow.ticket_id == ticket.id
    )
    owned = or_(
        (CriterionRow.owner_type == "ticket") & (CriterionRow.owner_id == ticket.id),
        (CriterionRow.owner_type == "requirement") & CriterionRow.owner_id.in_(requirements),
    )
    by_criterion = exists().where(
        owned, CriterionRow.kind == CheckKind.COMMAND, CriterionRow.tenant_id == ticket.tenant_id
    )
    if await session.scalar(select(by_criterion)):
        return True
    gate = await session.get(GateRow, (ticket.project_id, TicketStatus.TESTING.value))
    if gate is not None:
        return any(check.get("kind") == CheckKind.COMMAND for check in gate.checks)
    project = await session.get(ProjectRow, ticket.project_id)
    commands: dict[str, Any] = (project.settings.get("commands") or {}) if project else {}
    return bool(commands.get("test"))


async def has_open_task(session: AsyncSession, ticket: TicketRow) -> bool:
    """In any phase: nothing of a ticket that is done may still be going on."""
    found = exists().where(TaskRow.ticket_id == ticket.id, TaskRow.status.in_(OPEN_TASKS))
    return bool(await session.scalar(select(found)))


async def release_dependents(session: AsyncSession, done: TicketRow) -> list[TicketRow]:
    """Tickets that waited for this one count one less; returned are those that now wait for none."""
    query = (
        select(TicketRow)
        .join(TicketEdgeRow, TicketEdgeRow.ticket_id == TicketRow.id)
        .where(TicketEdgeRow.depends_on_ticket_id == done.id, TicketRow.tenant_id == done.tenant_id)
        .order_by(TicketRow.id)
        .with_for_update(of=TicketRow)
        .execution_options(populate_existing=True)
    )
    waiting = list(await session.scalars(query))
    for ticket in waiting:
        ticket.open_dependencies = max(ticket.open_dependencies - 1, 0)
    await session.flush()
    return [ticket for ticket in waiting if ticket.open_dependencies == 0]


async def number_newest(session: AsyncSession, tenant_id: str, ticket_id: str) -> None:
    """Moves of a ticket that have no place in the log yet get those of its newest events, in their order."""
    await session.flush()
    query = (
        select(TicketHistoryRow)
        .where(
            TicketHistoryRow.tenant_id == tenant_id,
            TicketHistoryRow.ticket_id == ticket_id,
            TicketHistoryRow.seq.is_(None),
        )
        .order_by(TicketHistoryRow.created_at, TicketHistoryRow.id)
    )
    moves = list(await session.scalars(query))
    places = await session.scalars(
        select(EventRow.seq)
        .where(
            EventRow.tenant_id == tenant_id,
            EventRow.entity == f"ticket:{ticket_id}",
            EventRow.type.in_(("ticket.transitioned", "ticket.created")),
        )
        .order_by(EventRow.seq.desc())
        .limit(len(moves))
    )
    for move, seq in zip(reversed(moves), places, strict=False):
        move.seq = seq
    await session.flush()
