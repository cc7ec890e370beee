"""What comes after a result, for whoever asks."""

from __future__ import annotations

from typing import Literal

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.board.pulls import has_pull
from omniforge.board.standing import Standing
from omniforge.board.store.evidence import ApprovalRow
from omniforge.board.vocabulary import TaskStatus, TicketStatus

NextAction = Literal["create_pr", "await_review"]
BUILT = (TicketStatus.BUILDING_DONE, TicketStatus.TESTING, TicketStatus.DONE)


async def next_action(session: AsyncSession, standing: Standing) -> NextAction | None:
    """Somebody has to open a pull request, or people have to answer; None: nothing is left to the asker."""
    ticket, project = standing.ticket, standing.project
    if standing.task.status == TaskStatus.NEEDS_REVIEW:
        return "await_review"
    waits = select(ApprovalRow.id).where(
        ApprovalRow.tenant_id == ticket.tenant_id,
        ApprovalRow.subject_id == ticket.id,
        ApprovalRow.status == "pending",
    )
    if await session.scalar(waits.limit(1)) is not None:
        return "await_review"
    if ticket.status not in BUILT or not project.github_connected:
        return None
    if project.settings.get("auto_pull_request", False):
        return None
    return None if await has_pull(session, ticket) else "create_pr"
