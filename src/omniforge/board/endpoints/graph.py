"""HTTP of the graphs of dependencies."""

from __future__ import annotations

from fastapi import APIRouter

from omniforge.board.endpoints.tasks import Work
from omniforge.board.shapes.graph import BlockedTasks, BlockingTasks, Graph
from omniforge.tenants import CurrentActor

router = APIRouter(prefix="/api/v1/graph/dependency-graph", tags=["graph"])


@router.get("/ticket/{ticket_id}")
async def graph_of_ticket(
    ticket_id: str, actor: CurrentActor, work: Work, *, include_resolved: bool = True
) -> Graph:
    """Its tasks, and those of other tickets that they wait for."""
    return await work.graphs.of_ticket(actor, ticket_id, include_resolved=include_resolved)


@router.get("/project/{project_id}")
async def graph_of_project(
    project_id: str, actor: CurrentActor, work: Work, *, include_resolved: bool = True
) -> Graph:
    """Tickets and tasks of a project."""
    return await work.graphs.of_project(actor, project_id, include_resolved=include_resolved)


@router.get("/task/{task_id}/blocked")
async def blocked_tasks(task_id: str, actor: CurrentActor, work: Work) -> BlockedTasks:
    """What waits for this task."""
    return await work.graphs.blocked_by(actor, task_id)


@router.get("/task/{task_id}/blocking")
async def blocking_tasks(task_id: str, actor: CurrentActor, work: Work) -> BlockingTasks:
    """What this task waits for."""
    return await work.graphs.blocking(actor, task_id)
