"""HTTP of an agent's versions, of the way back, and of sharing."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from omniforge.agents.content import SharingLevel
from omniforge.agents.endpoints import Agents, Page
from omniforge.agents.schemas import Agent
from omniforge.agents.version_schemas import (
    Difference,
    DiffQuery,
    Distribution,
    RollbackRequest,
    Shared,
    ShareRequest,
    Unshared,
    UnshareRequest,
    VersionDetail,
    VersionList,
)
from omniforge.core.errors import NotFound
from omniforge.core.paging import LARGEST
from omniforge.tenants import CurrentActor

router = APIRouter(prefix="/api/v1", tags=["agents"])


@router.get("/agents/{agent_id}/versions")
async def list_versions(agent_id: str, actor: CurrentActor, agents: Agents, paging: Page) -> VersionList:
    return await agents.versions.list(actor, agent_id, paging)


@router.get("/agents/{agent_id}/versions/{version}")
async def get_version(agent_id: str, version: str, actor: CurrentActor, agents: Agents) -> VersionDetail:
    """A version with everything that makes it up."""
    return await agents.versions.get(actor, agent_id, _number(version))


@router.get("/agents/{agent_id}/diff")
async def diff_versions(
    agent_id: str, actor: CurrentActor, agents: Agents, query: Annotated[DiffQuery, Query()]
) -> Difference:
    """Settings by field, skills by text; without numbers, from what runs to the edit that waits."""
    return await agents.versions.diff(actor, agent_id, query.before, query.after)


@router.get("/agents/{agent_id}/versions/{version}/diff/{other}")
async def diff_two(
    agent_id: str, version: str, other: str, actor: CurrentActor, agents: Agents
) -> Difference:
    return await agents.versions.diff(actor, agent_id, _number(version), _number(other))


@router.post("/agents/{agent_id}/rollback")
async def roll_back(agent_id: str, body: RollbackRequest, actor: CurrentActor, agents: Agents) -> Agent:
    """A further version with the content of this one; a deleted agent comes back, not switched on."""
    await agents.versions.rollback(
        actor, agent_id, body.version, expected_version=body.expected_version, reason=body.reason
    )
    return await agents.get(actor, agent_id)


@router.post("/agents/{agent_id}/share")
async def share_agent(agent_id: str, body: ShareRequest, actor: CurrentActor, agents: Agents) -> Shared:
    """team: these people see it and run it. template: each gets a draft of their own."""
    if body.level is SharingLevel.PRIVATE:
        await agents.sharing.unshare(actor, agent_id, body.people)
        return Shared(agent=await agents.get(actor, agent_id), copies=[])
    copies = await agents.sharing.share(actor, agent_id, body.mode, body.people)
    return Shared(agent=await agents.get(actor, agent_id), copies=copies)


@router.post("/agents/{agent_id}/unshare")
async def unshare_agent(
    agent_id: str, actor: CurrentActor, agents: Agents, body: UnshareRequest | None = None
) -> Unshared:
    """Take it back from these people, or from all; what runs for them ends at once."""
    stopped = await agents.sharing.unshare(actor, agent_id, (body or UnshareRequest()).people)
    return Unshared(agent=await agents.get(actor, agent_id), stopped=stopped)


@router.get("/agents/{agent_id}/distribution")
async def distribution(agent_id: str, actor: CurrentActor, agents: Agents) -> Distribution:
    """Which version who uses: its owner, its team, and those who have a copy."""
    return await agents.sharing.distribution(actor, agent_id)


def _number(text: str) -> int:
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else 0
    if not 0 < number <= LARGEST:
        raise NotFound("There is no such version.", version=text[:40])
    return number
