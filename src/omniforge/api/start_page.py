"""The page at `/`: where the one-time link leads, and what to do next."""

from __future__ import annotations

from html import escape

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from omniforge.agents.service import AgentService
from omniforge.core.errors import OmniForgeError
from omniforge.core.pages import PRIVATE, html_page
from omniforge.core.paging import Paging
from omniforge.tenants import KnownSource, TenantService
from omniforge.tenants.endpoints import facts_of

router = APIRouter(include_in_schema=False)


@router.get("/", response_class=HTMLResponse, dependencies=[KnownSource])
async def start_page(request: Request) -> HTMLResponse:
    tenants: TenantService = request.app.state.tenants
    try:
        actor = await tenants.authenticate(facts_of(request, tenants.settings))
    except OmniForgeError:
        return HTMLResponse(
            html_page(
                "Not signed in", "<p>Open the one-time link that <code>omniforge up</code> printed.</p>"
            ),
            401,
            PRIVATE,
        )
    user, _ = await tenants.describe(actor)
    service: AgentService = request.app.state.agents
    found, _ = await service.list_agents(actor, Paging(limit=50))
    rows = "".join(f"<li><b>{escape(agent.name)}</b> · {escape(agent.status.value)}</li>" for agent in found)
    agents = f"<ul>{rows}</ul>" if rows else "<p>There are no agents yet.</p>"
    body = (
        f"<p>Signed in as {escape(user.name)}.</p>{agents}"
        "<p>To make, test and run agents, talk in a terminal: <code>omniforge chat</code></p>"
    )
    return HTMLResponse(html_page("OmniForge is up", body), 200, PRIVATE)
