"""When a task may be worked on, and how it is told. Decides only; nothing is read here."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from omniforge.board.log import board_event
from omniforge.board.store.projects import ProjectRow
from omniforge.board.store.tasks import TaskRow
from omniforge.board.store.tickets import TicketRow, approval_of
from omniforge.board.vocabulary import ApprovalStatus, PhaseId, ProjectStatus, TaskStatus, TicketStatus
from omniforge.board.workflow import admits
from omniforge.engine.events import Event

DISPATCH = "system:dispatch"


class Unready(StrEnum):
    """Why a task is not in the queue."""

    DEPENDENCIES = "dependencies_open"
    PHASE = "phase_not_admitted"
    TICKET_BLOCKED = "ticket_blocked"
    NOT_APPROVED = "not_approved"
    TICKET_ARCHIVED = "ticket_archived"
    TICKET_DEPENDENCIES = "ticket_dependencies_open"
    PROJECT = "project_not_active"


def reasons_against(task: TaskRow, ticket: TicketRow, project: ProjectRow, now: datetime) -> list[Unready]:
    """Everything that keeps a task out of the queue; nothing when it belongs into it."""
    status, phase = TicketStatus(ticket.status), PhaseId(task.phase_id)
    found = {
        Unready.DEPENDENCIES: task.remaining > 0,
        Unready.PHASE: not admits(status, phase),
        Unready.TICKET_BLOCKED: ticket.is_blocked and not task.unblocks,
        Unready.NOT_APPROVED: approval_of(ticket, now) is not ApprovalStatus.APPROVED,
        Unready.TICKET_ARCHIVED: ticket.archived,
        Unready.TICKET_DEPENDENCIES: ticket.open_dependencies > 0,
        Unready.PROJECT: project.status != ProjectStatus.ACTIVE,
    }
    return [reason for reason, holds in found.items() if holds]


def admit(
    task: TaskRow, ticket: TicketRow, project: ProjectRow, now: datetime, by: str = DISPATCH
) -> list[Event]:
    """Put a pending task into the queue, or take a queued one out of it, as it should be now."""
    against = reasons_against(task, ticket, project, now)
    match TaskStatus(task.status):
        case TaskStatus.PENDING if not against:
            return [put_into_queue(task, now, by)]
        case TaskStatus.QUEUED if against:
            task.status, task.updated_at = TaskStatus.PENDING.value, now
            return [task_event("task.dequeued", task, now, by, reason=against[0].value)]
        case _:
            return []


def put_into_queue(task: TaskRow, now: datetime, by: str) -> Event:
    """Whatever stands against it: `admit` decides, or takes it out again."""
    task.status, task.updated_at = TaskStatus.QUEUED.value, now
    task.queued_at = task.queued_at or now
    told: dict[str, Any] = {"attempt_next": task.attempt + 1}
    if task.not_before is not None:
        told["not_before"] = task.not_before.isoformat()
    return task_event("task.queued", task, now, by, **told)


def task_event(type_: str, task: TaskRow, now: datetime, by: str, **payload: Any) -> Event:
    """An event of a task, found by its project, its ticket and itself."""
    return board_event(
        type_,
        task.id,
        now,
        by,
        project_id=task.project_id,
        ticket_id=task.ticket_id,
        task_id=task.id,
        sandbox_id=payload.get("sandbox_id"),
        **{name: value for name, value in payload.items() if name != "sandbox_id"},
    )
