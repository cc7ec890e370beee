"""HTTP of identity: who am I, tokens, keys, the login link; and the caller every other endpoint asks for."""

from __future__ import annotations

from html import escape
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.requests import HTTPConnection
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from omniforge.core.actor import Actor
from omniforge.core.config import Settings
from omniforge.core.errors import Unauthenticated
from omniforge.core.pages import PRIVATE, html_page
from omniforge.core.paging import Paging
from omniforge.tenants import auth
from omniforge.tenants.local import RequestFacts, check_source
from omniforge.tenants.schemas import (
    CreatedKey,
    KeyList,
    KeyRequest,
    KeyView,
    LimitsView,
    Me,
    RefreshRequest,
    Success,
    TenantView,
    Tokens,
    UserView,
)
from omniforge.tenants.service import TenantService
from omniforge.tenants.store import ApiKey


def cookie_name(settings: Settings) -> str:
    """Browsers share cookies between all ports of a host: each server of ours has a cookie of its own."""
    return f"omniforge_session_{settings.port}"


def facts_of(connection: HTTPConnection, settings: Settings) -> RequestFacts:
    """What identity needs of a request; also for WebSockets."""
    headers: dict[str, str] = {}
    for name, value in connection.headers.items():
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    client = connection.client.host if connection.client else None
    method: str = connection.scope.get("method", "GET")
    return RequestFacts(method, headers, client, connection.cookies.get(cookie_name(settings)))


def tenants_of(connection: HTTPConnection) -> TenantService:
    service: TenantService = connection.app.state.tenants
    return service


Tenants = Annotated[TenantService, Depends(tenants_of)]


async def current_actor(connection: HTTPConnection, tenants: Tenants) -> Actor:
    return await tenants.authenticate(facts_of(connection, tenants.settings))


CurrentActor = Annotated[Actor, Depends(current_actor)]


async def known_source(connection: HTTPConnection, tenants: Tenants) -> None:
    """For routes without a caller: Host and Origin are checked all the same."""
    check_source(facts_of(connection, tenants.settings), tenants.settings)


KnownSource = Depends(known_source)

router = APIRouter(prefix="/api/v1", tags=["identity"])
pages = APIRouter(tags=["identity"])


@router.post("/auth/refresh", dependencies=[KnownSource])
async def refresh(body: RefreshRequest, tenants: Tenants) -> Tokens:
    pair = await tenants.refresh(body.refresh)
    return Tokens(
        access_token=pair.access_token, refresh_token=pair.refresh_token, expires_in=pair.expires_in
    )


@router.post("/auth/logout", response_model=Success)
async def logout(request: Request, tenants: Tenants) -> Response:
    await tenants.logout(facts_of(request, tenants.settings))
    answer = JSONResponse(Success().model_dump())
    answer.delete_cookie(cookie_name(tenants.settings), httponly=True, samesite="strict")
    return answer


@router.get("/me")
async def me(actor: CurrentActor, tenants: Tenants) -> Me:
    user, tenant = await tenants.describe(actor)
    settings = tenants.settings
    return Me(
        user=UserView(id=user.id, name=user.name),
        tenant=TenantView(id=tenant.id, name=tenant.name, parent_id=tenant.parent_id),
        role=actor.role,
        permissions=sorted(actor.permissions),
        limits=LimitsView(request_bytes=settings.max_body_bytes, active_steps=settings.max_active_steps),
    )


@router.get("/keys")
async def list_keys(actor: CurrentActor, tenants: Tenants, paging: Annotated[Paging, Query()]) -> KeyList:
    keys, total = await tenants.list_keys(actor, paging)
    views = [KeyView(**_view(key)) for key in keys]
    return KeyList(keys=views, total=total, limit=paging.limit, offset=paging.offset)


@router.post("/keys", status_code=201)
async def create_key(body: KeyRequest, actor: CurrentActor, tenants: Tenants) -> CreatedKey:
    key, secret = await tenants.create_key(actor, body.name, body.permissions, body.expires_at)
    return CreatedKey(**_view(key), key=secret)


@router.delete("/keys/{key_id}")
async def revoke_key(key_id: str, actor: CurrentActor, tenants: Tenants) -> Success:
    await tenants.revoke_key(actor, key_id)
    return Success()


def _view(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "prefix": key.prefix,
        "permissions": key.permissions,
        "created_by": f"user:{key.user_id}",
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "last_used_at": key.last_used_at,
    }


@pages.get("/login", response_class=HTMLResponse, include_in_schema=False, dependencies=[KnownSource])
async def login(tenants: Tenants, link: str = "") -> Response:
    """Where the one-time link leads: the session cookie, then the start page."""
    try:
        cookie = await tenants.redeem_login_link(link)
    except Unauthenticated as refusal:
        return HTMLResponse(
            html_page("Not signed in", f"<p>{escape(refusal.message)}</p>"), refusal.status, PRIVATE
        )
    answer = RedirectResponse("/", 303, PRIVATE)
    answer.set_cookie(
        cookie_name(tenants.settings),
        cookie,
        max_age=int(auth.REFRESH_LIFETIME.total_seconds()),
        httponly=True,
        samesite="strict",
        secure=tenants.settings.url.startswith("https://"),
    )
    return answer
