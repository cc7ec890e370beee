"""An attempt with everything it belongs to, read at once."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.board.store.evidence import ResultRow
from omniforge.board.store.projects import ProjectRow
from omniforge.board.store.specs import CriterionRow
from omniforge.board.store.tasks import AttemptRow, TaskRow
from omniforge.board.store.tickets import TicketRow
from omniforge.board.vocabulary import CheckKind, TaskStatus
from omniforge.sandboxes.store import SandboxRow

TERMINAL = ("completed", "failed")
"""Statuses of results after which nothing more is said."""


@dataclass(frozen=True, slots=True)
class Standing:
    """As it was when it was read."""

    task: TaskRow
    attempt: AttemptRow
    sandbox: SandboxRow
    ticket: TicketRow
    project: ProjectRow

    @property
    def number(self) -> int:
        return self.attempt.attempt

    @property
    def counts(self) -> bool:
        """Whether this is the attempt that runs."""
        return self.task.status == TaskStatus.RUNNING and self.task.attempt == self.attempt.attempt

    @property
    def kept_as(self) -> str:
        """The name under which its tree is kept when it is not merged."""
        return kept_name(self.task.id, self.number)


def kept_name(task_id: str, attempt: int) -> str:
    return f"attempts/{task_id}/{attempt}"


async def read_standing(session: AsyncSession, tenant_id: str, task_id: str, attempt: int) -> Standing | None:
    """None for an attempt that there never was."""
    query = (
        select(TaskRow, AttemptRow, SandboxRow, TicketRow, ProjectRow)
        .join(AttemptRow, AttemptRow.task_id == TaskRow.id)
        .join(SandboxRow, SandboxRow.id == AttemptRow.sandbox_id)
        .join(TicketRow, TicketRow.id == TaskRow.ticket_id)
        .join(ProjectRow, ProjectRow.id == TaskRow.project_id)
        .where(TaskRow.id == task_id, TaskRow.tenant_id == tenant_id, AttemptRow.attempt == attempt)
    )
    found = (await session.execute(query.execution_options(populate_existing=True))).first()
    return None if found is None else Standing(*found)


async def terminal_result(session: AsyncSession, task_id: str, attempt: int) -> ResultRow | None:
    """What its worker said last; None while it works."""
    where = (ResultRow.task_id == task_id, ResultRow.attempt == attempt, ResultRow.status.in_(TERMINAL))
    return await session.scalar(select(ResultRow).where(*where))


async def task_criteria(session: AsyncSession, task_id: str, *kinds: CheckKind) -> list[CriterionRow]:
    """In the order in which they were defined."""
    where = [CriterionRow.owner_type == "task", CriterionRow.owner_id == task_id]
    if kinds:
        where.append(CriterionRow.kind.in_(kinds))
    query = select(CriterionRow).where(*where).order_by(CriterionRow.position, CriterionRow.id)
    return list(await session.scalars(query))
