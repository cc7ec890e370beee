"""HTTP of hooks: where services deliver, and what people set up for that."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from omniforge.agents.deliveries import Taken
from omniforge.agents.endpoints import Agents
from omniforge.agents.hooks import HookView, InstallationHook, RotatedHook
from omniforge.agents.service import AgentService
from omniforge.core.errors import PayloadTooLarge
from omniforge.integrations.webhooks import Forged
from omniforge.tenants import CurrentActor

LARGEST = 1_048_576
LONGEST_NAME = 64

router = APIRouter(prefix="/api/v1", tags=["hooks"])
deliveries = APIRouter(tags=["hooks"])
"""Without a sign-in: every delivery shows by its signature whose it is."""


class RotateRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    secret: str | None = Field(default=None, min_length=8, max_length=500, pattern=r"^[\x21-\x7e]+$")
    """For services that make the secret themselves (Slack, Linear): theirs, instead of one of ours."""


class Received(BaseModel):
    received: bool = True
    duplicate: bool


class Challenge(BaseModel):
    challenge: str


@router.get("/agents/{agent_id}/hook")
async def get_hook(agent_id: str, actor: CurrentActor, agents: Agents) -> HookView:
    return await agents.deliveries.hooks.show(actor, agent_id)


@router.post("/agents/{agent_id}/hook/rotate")
async def rotate_hook(
    agent_id: str, actor: CurrentActor, agents: Agents, body: RotateRequest | None = None
) -> RotatedHook:
    given = None if body is None else body.secret
    return await agents.deliveries.hooks.rotate(actor, agent_id, given)


@router.get("/integrations/{integration}/hook")
async def get_installation_hook(integration: str, actor: CurrentActor, agents: Agents) -> InstallationHook:
    return await agents.deliveries.hooks.of_installation(actor, integration)


@deliveries.post("/webhooks/{integration}/{agent_id}", status_code=202)
async def deliver_to_agent(
    integration: str,
    agent_id: str,
    request: Request,
    *,
    response: Response,
    agents: Agents,
    after: BackgroundTasks,
    hook: Annotated[str, Query(description="Part of the address that only the service was told.")] = "",
) -> Received | Challenge:
    """A delivery to one agent, signed with its own secret."""
    body = await _body(request, integration, agent_id)
    taken = await agents.deliveries.to_agent(integration, agent_id, hook, _headers(request), body)
    return _answer(agents, taken, response, after)


@deliveries.post("/webhooks/{integration}", status_code=202)
async def deliver_to_app(
    integration: str, request: Request, response: Response, agents: Agents, after: BackgroundTasks
) -> Received | Challenge:
    """A delivery to every agent that it concerns, signed with the installation's secret."""
    body = await _body(request, integration)
    taken = await agents.deliveries.to_app(integration, _headers(request), body)
    return _answer(agents, taken, response, after)


def _answer(
    agents: AgentService, taken: Taken, response: Response, after: BackgroundTasks
) -> Received | Challenge:
    """Everything is durable by now; what it starts is started once the service has its answer."""
    if taken.challenge is not None or taken.handshake:
        response.status_code = 200
    if taken.challenge is not None:
        return Challenge(challenge=taken.challenge)
    if taken.waiting:
        after.add_task(agents.deliveries.start, taken.waiting)
    return Received(duplicate=taken.duplicate)


async def _body(request: Request, *names: str) -> bytes:
    body = await request.body()
    if len(body) > LARGEST:
        raise PayloadTooLarge(f"At most {LARGEST} bytes are taken here.", limit=LARGEST)
    if any(len(name) > LONGEST_NAME or not name.isascii() or not name.isprintable() for name in names):
        raise Forged
    return body


def _headers(request: Request) -> dict[str, str]:
    """By lower-case name; one that is given twice counts with what was given first."""
    headers: dict[str, str] = {}
    for name, value in request.headers.items():
        headers.setdefault(name.lower(), value)
    return headers
