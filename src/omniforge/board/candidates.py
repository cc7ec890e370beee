"""Which queued tasks a dispatcher leaves alone, although nothing about them stands in the way."""

from __future__ import annotations

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from omniforge.board.importing.doubts import shared_files
from omniforge.board.store.tasks import TaskRow
from omniforge.board.vocabulary import TaskStatus
from omniforge.llm.protocol import ModelClient

Offered = ColumnElement[bool] | None


async def offered(session: AsyncSession, models: ModelClient | None) -> Offered:
    """A condition on rows of tasks; None: every one may be taken."""
    conditions = [
        condition
        for condition in (await _with_a_model(session, models), await _apart(session))
        if condition is not None
    ]
    return and_(*conditions) if conditions else None


async def _with_a_model(session: AsyncSession, models: ModelClient | None) -> Offered:
    """Work for an agent is taken only where there is a model to ask."""
    by_agent = (TaskRow.status == TaskStatus.QUEUED, TaskRow.work.is_(None))
    tenants = list(await session.scalars(select(TaskRow.tenant_id).where(*by_agent).distinct()))
    lacking = [one for one in tenants if models is None or not models.is_configured(one)]
    if not lacking:
        return None
    return or_(TaskRow.work.is_not(None), TaskRow.tenant_id.not_in(lacking))


async def _apart(session: AsyncSession) -> Offered:
    """Tasks that own the same files are not worked on at the same time within a ticket."""
    queued, running = aliased(TaskRow), aliased(TaskRow)
    owned = [func.json_array_length(row.owned_files) > 0 for row in (queued, running)]
    query = (
        select(queued.id, queued.owned_files, running.owned_files)
        .join(running, running.ticket_id == queued.ticket_id)
        .where(queued.status == TaskStatus.QUEUED, running.status == TaskStatus.RUNNING, *owned)
    )
    held = {one for one, wanted, taken in await session.execute(query) if shared_files(wanted, taken)}
    return TaskRow.id.not_in(sorted(held)) if held else None
