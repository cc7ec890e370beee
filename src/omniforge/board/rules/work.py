"""Rules over tasks and specs."""

from __future__ import annotations

from sqlalchemy import and_, func, select

from omniforge.board.rules.base import Json, Situation, Verdict
from omniforge.board.store.tasks import TaskRow
from omniforge.board.vocabulary import OPEN_TASKS, GateReadiness, TaskStatus


async def tasks_completed(about: Situation, params: Json) -> Verdict:
    """params: phases[], minimum, minimum_with_approved_spec?, minimum_with_command?: fewer will do there.

    Cancelled tasks are as if they had never been. Too few tasks is something to wait for, not a failure:
    nobody has tried yet.
    """
    ticket = about.ticket
    done = and_(TaskRow.status == TaskStatus.COMPLETED, TaskRow.completed_at >= ticket.evidence_since)
    counted = (TaskRow.status.in_(OPEN_TASKS), TaskRow.status == TaskStatus.FAILED, done)
    columns = [func.count().filter(condition) for condition in counted]
    query = select(*columns).where(TaskRow.ticket_id == ticket.id, TaskRow.phase_id.in_(params["phases"]))
    still_open, failed, completed = map(int, (await about.session.execute(query)).one())
    needed = _needed(about, params)
    detail = f"{completed} of at least {needed} completed, {still_open} open, {failed} failed"
    if still_open or (completed < needed and not failed):
        return Verdict(passed=False, detail=detail, waits=GateReadiness.WAITING_TASKS)
    return Verdict(passed=not failed and completed >= needed, detail=detail)


def _needed(about: Situation, params: Json) -> int:
    if about.spec_is_approved and "minimum_with_approved_spec" in params:
        return int(params["minimum_with_approved_spec"])
    if about.has_command and "minimum_with_command" in params:
        return int(params["minimum_with_command"])
    return int(params.get("minimum", 1))


async def spec_approved(about: Situation, params: Json) -> Verdict:
    """The requirements and the design of the linked spec are approved."""
    if about.ticket.spec_id is None:
        return Verdict(passed=False, detail="The ticket belongs to no spec.")
    said = "are approved" if about.spec_is_approved else "are not both approved"
    return Verdict(about.spec_is_approved, f"Requirements and design of the spec {said}.")
