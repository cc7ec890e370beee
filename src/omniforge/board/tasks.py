"""The work on tickets: made, judged anew, counted and cancelled, always in the caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.board import edges
from omniforge.board.admission import DISPATCH, admit, task_event
from omniforge.board.creation import criterion_row
from omniforge.board.errors import PhaseClosed, PreconditionFailed, TaskFinished
from omniforge.board.shapes.tickets import CriterionGiven
from omniforge.board.store import projects as project_rows
from omniforge.board.store import tasks as store
from omniforge.board.store.projects import ProjectRow
from omniforge.board.store.tasks import TaskRow
from omniforge.board.store.tickets import TicketRow
from omniforge.board.titles import title_by_rule
from omniforge.board.vocabulary import (
    OPEN_TASKS,
    AttemptOutcome,
    Estimate,
    PhaseId,
    Priority,
    ProjectStatus,
    TaskStatus,
    TaskType,
    TicketStatus,
)
from omniforge.board.workflow import TASK_PHASES, is_open_for, phase_of_task_type, stage_of
from omniforge.board.workplaces import Ending, end_attempt
from omniforge.core.actor import Actor
from omniforge.core.clock import Clock, new_id
from omniforge.core.errors import Invalid
from omniforge.engine.events import Event, EventLog

Json = dict[str, Any]
WAITING = (TaskStatus.PENDING, TaskStatus.QUEUED)
"""Nobody works on it yet."""


@dataclass(frozen=True, slots=True)
class TaskFields:
    """What a task is made of. None: its phase follows from the type, its priority and its spec from the
    ticket; a task without a title gets one. `ref`: taken if it is free in the project."""

    title: str | None = None
    description: str | None = None
    task_type: TaskType = TaskType.IMPLEMENT_FEATURE
    phase_id: PhaseId | None = None
    priority: Priority | None = None
    estimate: Estimate | None = None
    depends_on: Sequence[str] = ()
    criteria: Sequence[CriterionGiven] = ()
    deliverables: Sequence[Json] = ()
    owned_files: Sequence[str] = ()
    required_capabilities: Sequence[str] = ()
    agent_id: str | None = None
    timeout_seconds: int = 3600
    deadline_at: datetime | None = None
    max_retries: int = 3
    parent_task_id: str | None = None
    feedback: Sequence[Json] = ()
    unblocks: bool = False
    work: Json | None = None
    ref: str | None = None
    spec_id: str | None = None

    @property
    def phase(self) -> PhaseId:
        return self.phase_id or phase_of_task_type(self.task_type)


@dataclass(frozen=True, slots=True)
class OpenCounts:
    """Tasks of a ticket whose phase its status admits. `completed_since`: after its evidence began to
    count."""

    open: int
    failed: int
    completed_since: int


class Tasks:
    """Everything here happens in the caller's transaction, which has locked the ticket's row."""

    def __init__(self, events: EventLog, clock: Clock) -> None:
        self.events, self.clock = events, clock

    async def create_in(
        self, session: AsyncSession, actor: Actor, ticket: TicketRow, **fields: Any
    ) -> TaskRow:
        """A task with the fields of `TaskFields`, queued where it may be; its events are in the log.

        `Invalid` for a phase that holds no tasks, `PhaseClosed` for one that the ticket has passed, NotFound
        for something unknown to wait for, `DependencyCycle` when it would wait for itself.
        """
        wanted = TaskFields(**fields)
        project = await project_rows.get_project(session, actor, ticket.project_id, lock=True)
        check_place(wanted.phase, ticket, project)
        if wanted.parent_task_id is not None:
            await store.get_task(session, actor, wanted.parent_task_id)
        now = self.clock.now()
        row = task_row(actor, ticket, wanted, await store.take_task_ref(session, project, wanted.ref), now)
        session.add(row)
        await session.flush()
        session.add_all(
            criterion_row(actor, "task", row.id, place, one, now) for place, one in enumerate(wanted.criteria)
        )
        await edges.link(session, row, set(wanted.depends_on))
        told = {"ref": row.ref, "title": row.title, "phase_id": row.phase_id, "task_type": row.task_type}
        made = task_event(
            "task.created", row, now, actor.by, **told, depends_on=sorted(set(wanted.depends_on))
        )
        await self.events.append(session, actor.tenant_id, made, *admit(row, ticket, project, now, actor.by))
        await session.flush()
        return row

    async def readmit_ticket(self, session: AsyncSession, ticket: TicketRow) -> list[Event]:
        """Judge anew which tasks of the ticket are queued; the events are the caller's to write."""
        await session.flush()
        project = await session.get_one(ProjectRow, ticket.project_id)
        now = self.clock.now()
        events: list[Event] = []
        for task in await store.tasks_of(session, ticket.id, WAITING, lock=True):
            events += admit(task, ticket, project, now)
        await session.flush()
        return events

    async def open_counts(self, session: AsyncSession, ticket: TicketRow) -> OpenCounts:
        await session.flush()
        phases = stage_of(TicketStatus(ticket.status)).admits
        counted = {
            "open": TaskRow.status.in_(OPEN_TASKS),
            "failed": TaskRow.status == TaskStatus.FAILED,
            "completed_since": and_(
                TaskRow.status == TaskStatus.COMPLETED, TaskRow.completed_at >= ticket.evidence_since
            ),
        }
        columns = [func.count().filter(condition).label(name) for name, condition in counted.items()]
        query = select(*columns).where(TaskRow.ticket_id == ticket.id, TaskRow.phase_id.in_(phases))
        return OpenCounts(*(await session.execute(query)).one())

    async def cancel_open(
        self, session: AsyncSession, actor: Actor, ticket: TicketRow, reason: str
    ) -> list[Event]:
        """Cancel every open task of the ticket; the events are the caller's to write."""
        events: list[Event] = []
        for task in await store.tasks_of(session, ticket.id, OPEN_TASKS, lock=True):
            events += await self.cancel_in(session, actor.by, task, reason)
        return events

    async def cancel_in(self, session: AsyncSession, by: str, task: TaskRow, reason: str) -> list[Event]:
        """Cancel a task that is locked; the events are the caller's to write. What runs counts no more from
        here on, and its sandbox is taken down by who holds it. `TaskFinished` when it is over already."""
        if not TaskStatus(task.status).is_open:
            message = f"This task is {task.status}; only a task that is not over can be cancelled."
            raise TaskFinished(message, task_status=task.status)
        now = self.clock.now()
        given_up: list[Event] = []
        if task.status == TaskStatus.RUNNING:
            task.cancel_requested_at = now
            given_up = await end_attempt(
                session, task, Ending(AttemptOutcome.CANCELLED, by, message=reason), now
            )
        task.status, task.updated_at, task.not_before = TaskStatus.CANCELLED.value, now, None
        task.version += 1
        await session.flush()
        cancelled = task_event("task.cancelled", task, now, by, reason=reason)
        return [cancelled, *await edges.let_go(session, task, now, by), *given_up]

    async def readmit(self, session: AsyncSession, task: TaskRow, by: str = DISPATCH) -> list[Event]:
        """Judge one task anew; the events are the caller's to write."""
        ticket, project = await store.home_of(session, task)
        return admit(task, ticket, project, self.clock.now(), by)


def check_place(phase: PhaseId, ticket: TicketRow, project: ProjectRow) -> None:
    """Whether a task of this phase may be added to the ticket; raises what keeps it out."""
    if project.status == ProjectStatus.ARCHIVED or ticket.archived:
        what = "ticket" if ticket.archived else "project"
        raise PreconditionFailed(f"This {what} is archived; nothing is added to it.", status="archived")
    if phase not in TASK_PHASES:
        field = {"field": "phase_id", "value": phase.value, "allowed": [one.value for one in TASK_PHASES]}
        raise Invalid(f"The phase {phase} holds no tasks.", fields=[field])
    status = TicketStatus(ticket.status)
    if not is_open_for(status, phase):
        still_open = [one.value for one in TASK_PHASES if is_open_for(status, one)]
        message = f"{ticket.ref} is in {status} and has passed {phase}; send it back to open that again."
        raise PhaseClosed(message, phase_id=phase.value, ticket_status=status.value, open_phases=still_open)


def task_row(actor: Actor, ticket: TicketRow, wanted: TaskFields, ref: str, now: datetime) -> TaskRow:
    """A task that nobody waits for yet; it is not in the session."""
    title = wanted.title or title_by_rule(wanted.description or ticket.title)
    return TaskRow(
        id=new_id("task"),
        tenant_id=actor.tenant_id,
        project_id=ticket.project_id,
        ticket_id=ticket.id,
        spec_id=wanted.spec_id or ticket.spec_id,
        ref=ref,
        phase_id=wanted.phase.value,
        task_type=wanted.task_type.value,
        title=title,
        has_own_title=wanted.title is not None,
        description=wanted.description,
        priority=wanted.priority.value if wanted.priority else ticket.priority,
        estimate=wanted.estimate.value if wanted.estimate else None,
        status=TaskStatus.PENDING.value,
        attempt=0,
        retry_count=0,
        max_retries=wanted.max_retries,
        remaining=0,
        dependents_open=0,
        timeout_seconds=wanted.timeout_seconds,
        deadline_at=wanted.deadline_at,
        agent_id=wanted.agent_id,
        parent_task_id=wanted.parent_task_id,
        unblocks=wanted.unblocks,
        required_capabilities=list(dict.fromkeys(wanted.required_capabilities)),
        owned_files=list(dict.fromkeys(wanted.owned_files)),
        deliverables=list(wanted.deliverables),
        feedback=list(wanted.feedback),
        work=wanted.work,
        version=1,
        created_at=now,
        updated_at=now,
    )
