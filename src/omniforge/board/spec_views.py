"""Specs as the wire has them: what follows from tickets and tasks, and figures from evidence only."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.board.shapes.specs import Execution, Requirement, Spec
from omniforge.board.shapes.tasks import Task
from omniforge.board.shapes.tickets import Criterion
from omniforge.board.store import specs as store
from omniforge.board.store.evidence import ReceiptRow
from omniforge.board.store.specs import CriterionRow, RequirementRow, SpecRow
from omniforge.board.store.tasks import TaskRow
from omniforge.board.store.tickets import CommitRow, TicketRequirementRow, TicketRow
from omniforge.board.task_views import TaskViews
from omniforge.board.vocabulary import RequirementStatus, SpecStatus, TaskStatus, TicketStatus
from omniforge.sandboxes.store import SandboxRow

HEAD = [name for name in Spec.model_fields if name in SpecRow.__table__.columns]
REQUIREMENT = [name for name in Requirement.model_fields if name in RequirementRow.__table__.columns]
SHOWN_PHASE = {
    SpecStatus.DRAFT: "Requirements",
    SpecStatus.REQUIREMENTS: "Requirements",
    SpecStatus.DESIGN: "Design",
    SpecStatus.EXECUTING: "Implementation",
    SpecStatus.COMPLETED: "Done",
}
LATE = (TicketStatus.TESTING, TicketStatus.DONE)


@dataclass(slots=True)
class _Figures:
    """Of one spec, from its evidence."""

    tests_total: int = 0
    tests_passing: int = 0
    coverage: float | None = None
    commits: int = 0
    lines_added: int = 0
    lines_removed: int = 0
    sandboxes: int = 0


@dataclass(slots=True)
class _Around:
    """Everything the views of some specs need."""

    requirements: dict[str, list[RequirementRow]]
    tickets: dict[str, list[TicketRow]]
    tasks: dict[str, list[Task]]
    criteria: dict[str, list[CriterionRow]]
    tickets_for: dict[str, list[TicketRow]]
    figures: defaultdict[str, _Figures] = field(default_factory=lambda: defaultdict(_Figures))


async def spec_views(session: AsyncSession, views: TaskViews, rows: Sequence[SpecRow]) -> list[Spec]:
    """In a number of questions that does not grow with them."""
    ids = [row.id for row in rows]
    tasks: dict[str, list[Task]] = {}
    for spec_id, found in (await store.tasks_of(session, ids)).items():
        tasks[spec_id] = await views.shown(session, found)
    tickets = await store.tickets_of(session, ids)
    around = _Around(
        requirements=await store.requirements_of(session, ids),
        tickets=tickets,
        tasks=tasks,
        criteria=await store.criteria_in(session, ids, ["requirement"]),
        tickets_for=await _tickets_for(session, tickets),
    )
    await _add_receipts(session, ids, around)
    await _add_commits(session, ids, around)
    await _add_sandboxes(session, ids, around)
    return [_view(row, around) for row in rows]


async def requirement_view(session: AsyncSession, row: RequirementRow) -> Requirement:
    tickets = await store.tickets_of(session, [row.spec_id])
    criteria = await store.criteria_in(session, [row.spec_id], ["requirement"])
    return _requirement(row, criteria, await _tickets_for(session, tickets))


async def _tickets_for(
    session: AsyncSession, tickets: dict[str, list[TicketRow]]
) -> dict[str, list[TicketRow]]:
    """By requirement; archived tickets are for nothing any more."""
    by_id = {row.id: row for rows in tickets.values() for row in rows if not row.archived}
    specs = select(TicketRow.id).where(TicketRow.spec_id.in_(tickets))
    links = select(TicketRequirementRow).where(TicketRequirementRow.ticket_id.in_(specs))
    found: defaultdict[str, list[TicketRow]] = defaultdict(list)
    for link in await session.scalars(links):
        if link.ticket_id in by_id:
            found[link.requirement_id].append(by_id[link.ticket_id])
    return found


# --- figures -----------------------------------------------------------------------------------------------


def newest_receipts(receipts: Iterable[ReceiptRow]) -> list[ReceiptRow]:
    """The newest of each check on each ticket and task that still counts."""
    newest: dict[tuple[str, str | None, str], ReceiptRow] = {}
    for row in sorted(receipts, key=lambda row: (row.started_at, row.id)):
        if row.voided_at is None:
            newest[row.ticket_id, row.task_id, row.check_key] = row
    return list(newest.values())


async def _add_receipts(session: AsyncSession, ids: Sequence[str], around: _Around) -> None:
    home = {ticket.id: spec_id for spec_id, rows in around.tickets.items() for ticket in rows}
    tickets = select(TicketRow.id).where(TicketRow.spec_id.in_(ids))
    found = await session.scalars(select(ReceiptRow).where(ReceiptRow.ticket_id.in_(tickets)))
    latest: dict[str, ReceiptRow] = {}
    for row in newest_receipts(found):
        spec_id = home[row.ticket_id]
        figures = around.figures[spec_id]
        figures.tests_total += 1
        figures.tests_passing += row.passed
        before = latest.get(spec_id)
        if row.coverage_percent is not None and (before is None or before.started_at <= row.started_at):
            latest[spec_id] = row
            figures.coverage = row.coverage_percent


async def _add_commits(session: AsyncSession, ids: Sequence[str], around: _Around) -> None:
    """A commit that belongs to several tickets counts once."""
    query = (
        select(
            TicketRow.spec_id, CommitRow.sha, func.max(CommitRow.insertions), func.max(CommitRow.deletions)
        )
        .join(TicketRow, TicketRow.id == CommitRow.ticket_id)
        .where(TicketRow.spec_id.in_(ids))
        .group_by(TicketRow.spec_id, CommitRow.sha)
    )
    for spec_id, _, insertions, deletions in await session.execute(query):
        figures = around.figures[str(spec_id)]
        figures.commits += 1
        figures.lines_added += insertions
        figures.lines_removed += deletions


async def _add_sandboxes(session: AsyncSession, ids: Sequence[str], around: _Around) -> None:
    query = (
        select(TicketRow.spec_id, func.count(SandboxRow.id))
        .join(TaskRow, TaskRow.ticket_id == TicketRow.id)
        .join(SandboxRow, SandboxRow.task_id == TaskRow.id)
        .where(TicketRow.spec_id.in_(ids), SandboxRow.state == "running")
        .group_by(TicketRow.spec_id)
    )
    for spec_id, count in await session.execute(query):
        around.figures[str(spec_id)].sandboxes = count


# --- shapes ------------------------------------------------------------------------------------------------


def _view(row: SpecRow, around: _Around) -> Spec:
    tickets = [ticket for ticket in around.tickets.get(row.id, []) if not ticket.archived]
    tasks = around.tasks.get(row.id, [])
    figures = around.figures[row.id]
    done = progress(task.status for task in tasks)
    head: dict[str, Any] = {name: getattr(row, name) for name in HEAD}
    return Spec(
        **head,
        phase=shown_phase(SpecStatus(row.status), tickets),  # pyright: ignore[reportArgumentType]
        progress=done,
        linked_tickets=len(tickets),
        running_sandboxes=figures.sandboxes,
        test_coverage=figures.coverage,
        requirements=[
            _requirement(each, around.criteria, around.tickets_for)
            for each in around.requirements.get(row.id, [])
        ],
        tasks=tasks,
        execution=Execution(
            overall_progress=done,
            test_coverage=figures.coverage,
            tests_total=figures.tests_total,
            tests_passing=figures.tests_passing,
            running_sandboxes=figures.sandboxes,
            commits=figures.commits,
            lines_added=figures.lines_added,
            lines_removed=figures.lines_removed,
        ),
    )


def progress(statuses: Iterable[str]) -> float:
    """Completed out of all that were not cancelled, in percent."""
    counted = [status for status in statuses if status != TaskStatus.CANCELLED]
    done = sum(status == TaskStatus.COMPLETED for status in counted)
    return round(100 * done / len(counted), 1) if counted else 0.0


def shown_phase(status: SpecStatus, tickets: Sequence[TicketRow]) -> str:
    """The stage people are shown: testing once every ticket is there or further."""
    if status is SpecStatus.EXECUTING and tickets and all(ticket.status in LATE for ticket in tickets):
        return "Testing"
    return SHOWN_PHASE[status]


def _requirement(
    row: RequirementRow, criteria: dict[str, list[CriterionRow]], tickets_for: dict[str, list[TicketRow]]
) -> Requirement:
    fields: dict[str, Any] = {name: getattr(row, name) for name in REQUIREMENT}
    fields["status"] = requirement_status(row, tickets_for.get(row.id, []))
    found = [Criterion.model_validate(each) for each in criteria.get(row.id, [])]
    return Requirement(**fields, criteria=found)


def requirement_status(row: RequirementRow, tickets: Sequence[TicketRow]) -> RequirementStatus:
    """As somebody said, else as its tickets stand."""
    if row.status_set:
        return RequirementStatus(row.status)
    if tickets and all(ticket.status == TicketStatus.DONE for ticket in tickets):
        return RequirementStatus.COMPLETED
    if any(ticket.status != TicketStatus.BACKLOG for ticket in tickets):
        return RequirementStatus.IN_PROGRESS
    return RequirementStatus.PENDING
