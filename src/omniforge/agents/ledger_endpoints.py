"""HTTP of schedules and of the ledger of fires."""

from __future__ import annotations

from fastapi import APIRouter

from omniforge.agents.endpoints import Agents, Page
from omniforge.agents.schemas import FireList, ScheduleList
from omniforge.tenants import CurrentActor

router = APIRouter(prefix="/api/v1", tags=["agents"])


@router.get("/agents/{agent_id}/fires")
async def list_fires(agent_id: str, actor: CurrentActor, agents: Agents, paging: Page) -> FireList:
    """Every fire, newest first, with what became of it: a run, or why there is none."""
    return await agents.fire_history.list_fires(actor, agent_id, paging)


@router.get("/schedules")
async def list_schedules(actor: CurrentActor, agents: Agents, paging: Page) -> ScheduleList:
    """Agents that have a schedule: when each fires next, and what became of its last fire."""
    return await agents.fire_history.list_schedules(actor, paging)
