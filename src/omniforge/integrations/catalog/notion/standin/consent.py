"""Sign-in at the local server: the page that asks, codes, and token pairs that rotate."""

from __future__ import annotations

import base64
import json
import secrets
import uuid
from html import escape
from typing import Any, cast
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from omniforge.integrations.catalog.notion.standin.shapes import person_json
from omniforge.integrations.catalog.notion.standin.state import Grant, StandinState
from omniforge.integrations.catalog.notion.standin.workspace import Json

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def _state(request: Request) -> StandinState:
    state: StandinState = request.app.state.standin
    return state


def _may_return_to(state: StandinState, address: str) -> bool:
    if state.redirect_uris is not None:
        return address in state.redirect_uris
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and parts.hostname in LOOPBACK


async def authorize(request: Request) -> Response:
    """The page a person sees: what is asked, Allow access or Cancel."""
    state, asked = _state(request), request.query_params
    problem = _problem(state, asked.get("client_id"), asked.get("redirect_uri"), asked.get("response_type"))
    if problem:
        return HTMLResponse(_page("Something is wrong with this link", f"<p>{escape(problem)}</p>"), 400)
    hidden = "".join(
        f'<input type="hidden" name="{name}" value="{escape(asked.get(name, ""), quote=True)}">'
        for name in ("client_id", "redirect_uri", "state")
    )
    shared = "".join(f"<li>{escape(table.name)}</li>" for table in state.workspace.tables)
    body = (
        f"<p><b>{escape(state.workspace.bot_name)}</b> would like to access "
        f"<b>{escape(state.workspace.name)}</b>.</p>"
        "<ul><li>View pages you select</li><li>Edit pages you select</li>"
        "<li>View workspace users</li></ul>"
        f"<p>Pages that will be shared:</p><ul>{shared}</ul>"
        f'<form method="post" action="/v1/oauth/authorize">{hidden}'
        '<button name="decision" value="allow">Allow access</button> '
        '<button name="decision" value="cancel">Cancel</button></form>'
    )
    return HTMLResponse(_page("Connect with Notion (local)", body))


async def decide(request: Request) -> Response:
    """The person's answer, carried back to the address that asked."""
    state = _state(request)
    form = dict(parse_qsl((await request.body()).decode(errors="replace")))
    given = {name: form.get(name, "") for name in ("client_id", "redirect_uri", "state", "decision")}
    problem = _problem(state, given["client_id"], given["redirect_uri"], "code")
    if problem:
        return HTMLResponse(_page("Something is wrong with this link", f"<p>{escape(problem)}</p>"), 400)
    answer = {"state": given["state"]}
    if given["decision"] == "allow":
        answer["code"] = state.new_code(given["redirect_uri"], state.workspace.people[0].id)
    else:
        answer["error"] = "access_denied"
    joiner = "&" if urlsplit(given["redirect_uri"]).query else "?"
    return RedirectResponse(f"{given['redirect_uri']}{joiner}{urlencode(answer)}", 302)


def _problem(state: StandinState, client: str | None, redirect: str | None, kind: str | None) -> str | None:
    if client != state.client_id:
        return "Missing or invalid client_id."
    if kind != "code":
        return "response_type should be code."
    if not redirect or not _may_return_to(state, redirect):
        return "Missing or invalid redirect_uri."
    return None


async def token(request: Request) -> Response:
    """Codes and refresh tokens for pairs. A refresh token used twice ends its whole authorization."""
    state = _state(request)
    if not _is_client(request, state):
        return _oauth_error(401, "invalid_client", "Client authentication failed.")
    body = await read_object(request)
    match (body or {}).get("grant_type"):
        case "authorization_code":
            return _by_code(state, cast("Json", body))
        case "refresh_token":
            return _by_refresh(state, cast("Json", body))
        case _:
            return _oauth_error(400, "invalid_request", "grant_type is missing or not supported.")


def _by_code(state: StandinState, body: Json) -> Response:
    grant = state.codes.get(str(body.get("code")))
    if grant is None:
        return _oauth_error(400, "invalid_grant", "Invalid code: this code does not exist.")
    if grant.used:
        state.end_family(grant.family)
        return _oauth_error(400, "invalid_grant", "Invalid code: this code has been revoked.")
    if grant.expires_at is not None and grant.expires_at <= state.now():
        return _oauth_error(400, "invalid_grant", "Invalid code: this code has expired.")
    if body.get("redirect_uri") != grant.redirect_uri:
        return _oauth_error(400, "invalid_grant", "The redirect_uri does not match.")
    grant.used = True
    return _pair(state, grant)


def _by_refresh(state: StandinState, body: Json) -> Response:
    state.refreshes += 1
    grant = state.refresh.get(str(body.get("refresh_token")))
    if grant is None:
        return _oauth_error(400, "invalid_grant", "Invalid refresh token.")
    if grant.used:
        state.end_family(grant.family)
        return _oauth_error(400, "invalid_grant", "This refresh token was used before.")
    grant.used = True
    state.access = {kept: g for kept, g in state.access.items() if g.family != grant.family}
    return _pair(state, grant)


def _pair(state: StandinState, grant: Grant) -> Response:
    access, refresh = state.new_pair(grant)
    owner = state.workspace.person(grant.person_id)
    answer: Json = {
        "access_token": access,
        "token_type": "bearer",
        "refresh_token": refresh,
        "bot_id": state.workspace.bot_id,
        "workspace_icon": None,
        "workspace_name": state.workspace.name,
        "workspace_id": state.workspace.id,
        "owner": {"type": "user", "user": person_json(owner) if owner else {}},
        "duplicated_template_id": None,
        "request_id": str(uuid.uuid4()),
    }
    if state.token_seconds is not None:
        answer["expires_in"] = state.token_seconds
    return JSONResponse(answer, headers={"Cache-Control": "no-store"})


async def revoke(request: Request) -> Response:
    state = _state(request)
    if not _is_client(request, state):
        return _oauth_error(401, "invalid_client", "Client authentication failed.")
    given = str((await read_object(request) or {}).get("token"))
    grant = state.access.get(given) or state.refresh.get(given)
    if grant is not None:
        state.end_family(grant.family)
    return JSONResponse({"request_id": str(uuid.uuid4())})


async def introspect(request: Request) -> Response:
    state = _state(request)
    if not _is_client(request, state):
        return _oauth_error(401, "invalid_client", "Client authentication failed.")
    given = str((await read_object(request) or {}).get("token"))
    return JSONResponse({"active": state.grant_of(given) is not None, "request_id": str(uuid.uuid4())})


async def read_object(request: Request) -> Json | None:
    """The JSON object of a body, or None."""
    try:
        parsed: Any = json.loads(await request.body())
    except (ValueError, RecursionError):
        return None
    return cast("Json", parsed) if isinstance(parsed, dict) else None


def _is_client(request: Request, state: StandinState) -> bool:
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return False
    try:
        given = base64.b64decode(encoded, validate=True).decode()
    except ValueError:
        return False
    return secrets.compare_digest(given.encode(), f"{state.client_id}:{state.client_secret}".encode())


def _oauth_error(status: int, code: str, said: str) -> Response:
    body = {"error": code, "error_description": said, "request_id": str(uuid.uuid4())}
    return JSONResponse(body, status)


def _page(title: str, body: str) -> str:
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
        "<style>body{font:16px/1.5 system-ui;max-width:32rem;margin:4rem auto;padding:0 1rem}"
        "button{font:inherit;padding:.5rem 1rem}</style>"
        f"<body><h1>{escape(title)}</h1>{body}</body></html>"
    )
