"""HTTP of integrations and connections, and the page a service leads the person back to."""

from __future__ import annotations

import secrets
from html import escape
from typing import Annotated
from urllib.parse import urlencode, urlsplit

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from omniforge.core.config import Settings
from omniforge.core.errors import OmniForgeError
from omniforge.core.pages import PRIVATE, html_page
from omniforge.core.paging import Paging
from omniforge.integrations.errors import StateInvalid
from omniforge.integrations.schemas import (
    Connection,
    ConnectionList,
    ConnectionQuery,
    Disconnected,
    Finished,
    FinishRequest,
    IntegrationList,
    IntegrationView,
    KeyConnectionRequest,
    Resource,
    ResourceList,
    ResourceQuery,
    SignIn,
    SignInRequest,
)
from omniforge.integrations.service import IntegrationService
from omniforge.integrations.signin import STATE_LIFETIME
from omniforge.tenants import CurrentActor, KnownSource

LONGEST_ANSWER = 2000


def integrations_of(request: Request) -> IntegrationService:
    service: IntegrationService = request.app.state.integrations
    return service


Integrations = Annotated[IntegrationService, Depends(integrations_of)]
Page = Annotated[Paging, Query()]
IntegrationName = Annotated[str, Path(max_length=64)]
ConnectionId = Annotated[str, Path(max_length=64)]

router = APIRouter(prefix="/api/v1", tags=["integrations"])
pages = APIRouter(tags=["integrations"])


def cookie_name(settings: Settings) -> str:
    """Browsers share cookies between the ports of a host, so each server has a name of its own."""
    return f"omniforge_signin_{settings.port}"


def bind_browser(
    request: Request, response: Response, service: IntegrationService, integration: str
) -> str | None:
    """Give the browser that asks a value to show when the sign-in comes back; None for other clients.

    Lax, so that it comes along when the service leads back here. No binding where the address led back to has
    another host name than the one the browser is on: the cookie would not be sent there.
    """
    headers = request.headers
    if "sec-fetch-site" not in headers and "origin" not in headers:
        return None
    settings = service.settings
    block = getattr(settings, integration, None)
    target = urlsplit(getattr(block, "redirect_uri", None) or settings.url)
    if target.hostname != request.url.hostname:
        return None
    value = request.cookies.get(cookie_name(settings)) or secrets.token_urlsafe(32)
    response.set_cookie(
        cookie_name(settings),
        value,
        max_age=int(STATE_LIFETIME.total_seconds()) + 60,
        httponly=True,
        samesite="lax",
        secure=target.scheme == "https",
    )
    return value


@router.get("/integrations")
async def list_integrations(actor: CurrentActor, service: Integrations, paging: Page) -> IntegrationList:
    found = await service.list_integrations(actor)
    part = found[paging.offset : paging.offset + paging.limit]
    return IntegrationList(integrations=part, total=len(found), limit=paging.limit, offset=paging.offset)


@router.get("/integrations/{name}")
async def get_integration(
    name: IntegrationName, actor: CurrentActor, service: Integrations
) -> IntegrationView:
    return await service.integration(actor, name)


@router.get("/connections")
async def list_connections(
    actor: CurrentActor,
    service: Integrations,
    query: Annotated[ConnectionQuery, Query()],
) -> ConnectionList:
    paging = Paging(limit=query.limit, offset=query.offset)
    found, total = await service.list_connections(actor, query.integration, paging)
    return ConnectionList(connections=found, total=total, limit=paging.limit, offset=paging.offset)


@router.post("/connections", status_code=201)
async def add_key_connection(
    body: KeyConnectionRequest, actor: CurrentActor, service: Integrations
) -> Connection:
    given = body.key.get_secret_value() if body.key else ""
    fields = {name: value.get_secret_value() for name, value in (body.fields or {}).items()}
    return await service.add_key_connection(actor, body.integration, fields or given)


@router.get("/connections/{connection_id}")
async def get_connection(
    connection_id: ConnectionId, actor: CurrentActor, service: Integrations
) -> Connection:
    return await service.connection(actor, connection_id)


@router.get("/connections/{connection_id}/resources")
async def list_resources(
    connection_id: ConnectionId,
    actor: CurrentActor,
    service: Integrations,
    query: Annotated[ResourceQuery, Query()],
) -> ResourceList:
    found = await service.list_resources(actor, connection_id, query.kind, query.search)
    part = found[query.offset : query.offset + query.limit]
    return ResourceList(resources=part, total=len(found), limit=query.limit, offset=query.offset)


@router.get("/connections/{connection_id}/resources/{resource_id}")
async def describe_resource(
    connection_id: ConnectionId,
    resource_id: Annotated[str, Path(max_length=500)],
    actor: CurrentActor,
    service: Integrations,
    kind: Annotated[str | None, Query(max_length=64)] = None,
) -> Resource:
    return await service.describe_resource(actor, connection_id, resource_id, kind)


@router.post("/connections/{connection_id}/check")
async def check_connection(
    connection_id: ConnectionId, actor: CurrentActor, service: Integrations
) -> Connection:
    return await service.check(actor, connection_id)


@router.delete("/connections/{connection_id}")
async def disconnect(
    connection_id: ConnectionId,
    actor: CurrentActor,
    service: Integrations,
    confirm: Annotated[bool, Query()] = False,
) -> Disconnected:
    return await service.disconnect(actor, connection_id, confirm=confirm)


@router.post("/oauth/init", status_code=201)
async def start_sign_in(
    body: SignInRequest, request: Request, response: Response, actor: CurrentActor, service: Integrations
) -> SignIn:
    """Start a sign-in. From a browser it also sets the cookie that the page below wants to see again."""
    browser = bind_browser(request, response, service, body.integration)
    response.headers["Cache-Control"] = "no-store"
    return await service.start_sign_in(
        actor, body.integration, session_id=body.session_id, return_to=body.return_to, browser=browser
    )


@router.post("/oauth/callback")
async def finish_sign_in(body: FinishRequest, actor: CurrentActor, service: Integrations) -> Finished:
    """Finish a sign-in as the caller who started it."""
    connection = await service.finish_sign_in(actor, body.integration, body.code, body.state)
    return Finished(credential_id=connection.id, workspace_name=connection.workspace_name)


@pages.get("/oauth/callback/{integration}", response_class=HTMLResponse, dependencies=[KnownSource])
async def oauth_page(  # noqa: PLR0917 - query parameters
    integration: IntegrationName,
    request: Request,
    service: Integrations,
    state: str = "",
    code: str = "",
    error: str = "",
) -> Response:
    """Where a service leads the person after sign-in: connected, or what to do.

    The request bears no credential: session cookies do not cross sites. What stands for the person is the
    state together with the cookie set by `/oauth/init` in this browser. A sign-in started without a browser
    (terminal, SDK) can be finished here only in local single-user mode; elsewhere the page asks to paste its
    address where the sign-in was started, and nothing is used up.
    """
    browser = request.cookies.get(cookie_name(service.settings))
    try:
        if not state or max(len(state), len(code), len(error)) > LONGEST_ANSWER or not (code or error):
            raise StateInvalid
        if error:
            back = await service.decline_sign_in(integration, state, browser=browser)
            return _page(
                "Not connected", "You chose not to allow access. You can try again any time.", 200, back
            )
        connection, back = await service.finish_in_browser(integration, code, state, browser)
    except OmniForgeError as refusal:
        return _page("Not connected", refusal.message, refusal.status)
    if back:
        joiner = "&" if "?" in back else "?"
        target = f"{back}{joiner}{urlencode({'connected': integration})}"
        return RedirectResponse(target, 303, PRIVATE)
    title = f"Connected to {connection.workspace_name}"
    return _page(title, f"{title}. You can go back to the conversation.", 200)


def _page(title: str, message: str, status: int, back: str | None = None) -> HTMLResponse:
    link = f'<p><a href="{escape(back, quote=True)}">Back to the conversation</a></p>' if back else ""
    return HTMLResponse(html_page(title, f"<p>{escape(message)}</p>{link}"), status, PRIVATE)
