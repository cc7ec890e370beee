"""Sign-in at a local server: the page that asks, single-use codes, and tokens by the service's rules."""

from __future__ import annotations

import base64
import hashlib
import secrets
from datetime import timedelta
from html import escape
from typing import Any
from urllib.parse import unquote_plus, urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from omniforge.integrations.manifest import ClientAuth, Refresh
from omniforge.integrations.standin.reading import is_form, read_object
from omniforge.integrations.standin.rules import Account, Pkce, Service
from omniforge.integrations.standin.state import Grant, Json, StandinState

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
CARRIED = ("client_id", "redirect_uri", "state", "scope", "code_challenge", "code_challenge_method")

AnyService = Service[Any]


class TokenRefused(Exception):
    """What the token address says no to, as an OAuth error code and a sentence."""

    def __init__(self, code: str, said: str) -> None:
        super().__init__(said)
        self.code = code


# --- the page


async def authorize(request: Request, service: AnyService, state: StandinState) -> Response:
    """What a person sees: who asks for what, in which workspace, Allow or Cancel."""
    asked = dict(request.query_params)
    problem = _problem(service, state, asked)
    if problem is None and asked.get("response_type", "code") != "code":
        problem = "response_type should be code."
    if problem:
        return _refused_page(problem)
    wanted = service.consent(state)
    asks = "".join(f"<li>{escape(line)}</li>" for line in (*wanted.asks, *_scopes(service, asked)))
    shared = "".join(f"<li>{escape(name)}</li>" for name in wanted.shared)
    body = (
        f"<p><b>{escape(wanted.app)}</b> would like to access <b>{escape(service.title)}</b>.</p>"
        f"<ul>{asks}</ul>{f'<p>What will be shared:</p><ul>{shared}</ul>' if shared else ''}"
        f'<form method="post" action="{service.sign_in.authorize}">'
        + "".join(
            f'<input type="hidden" name="{name}" value="{escape(asked[name], quote=True)}">'
            for name in CARRIED
            if name in asked
        )
        + _picker(wanted.accounts)
        + '<button name="decision" value="allow">Allow access</button> '
        '<button name="decision" value="cancel">Cancel</button></form>'
    )
    return HTMLResponse(_page(f"Connect with {service.title} (local)", body))


def _picker(accounts: Any) -> str:
    options = "".join(
        f'<option value="{escape(account.id, quote=True)}">{escape(account.title)}</option>'
        for account in accounts
    )
    return f'<p><label>Workspace <select name="account">{options}</select></label></p>'


async def decide(request: Request, service: AnyService, state: StandinState) -> Response:
    """The person's answer, carried back to the address that asked."""
    given = await read_object(request) or {}
    problem = _problem(service, state, given)
    if problem:
        return _refused_page(problem)
    answer = {"state": str(given.get("state", ""))}
    if given.get("decision") == "allow":
        answer["code"] = _issue_code(service, state, given)
    else:
        answer["error"] = "access_denied"
    target = str(given["redirect_uri"])
    return RedirectResponse(f"{target}{'&' if urlsplit(target).query else '?'}{urlencode(answer)}", 302)


def _issue_code(service: AnyService, state: StandinState, given: Json) -> str:
    accounts = service.consent(state).accounts
    picked = next((a for a in accounts if a.id == given.get("account")), accounts[0])
    scopes = tuple(_scopes(service, given))
    challenge = given.get("code_challenge") if service.sign_in.pkce is not Pkce.IGNORED else None
    return new_code(service, state, str(given["redirect_uri"]), picked, scopes, challenge)


def new_code(  # noqa: PLR0917 - what a code stands for
    service: AnyService,
    state: StandinState,
    redirect_uri: str,
    account: Account | None = None,
    scopes: tuple[str, ...] = (),
    challenge: str | None = None,
) -> str:
    """A code as the sign-in page gives out, for the first workspace when none is named."""
    account = account or service.consent(state).accounts[0]
    code = secrets.token_urlsafe(24)
    state.codes[code] = Grant(
        person=account.person,
        account=account.id,
        scopes=scopes,
        redirect_uri=redirect_uri,
        challenge=challenge,
        expires_at=state.ends_at(service.sign_in.code_seconds),
    )
    return code


def _problem(service: AnyService, state: StandinState, asked: Json) -> str | None:
    rules = service.sign_in
    if asked.get("client_id") != rules.client_id:
        return "Missing or invalid client_id."
    if not _may_return_to(state, str(asked.get("redirect_uri") or "")):
        return "Missing or invalid redirect_uri."
    if unknown := [scope for scope in _scopes(service, asked) if scope not in rules.scopes]:
        return f"Invalid scope: {unknown[0]}"
    if rules.pkce is Pkce.REQUIRED and not asked.get("code_challenge"):
        return "code_challenge is missing."
    if rules.pkce is not Pkce.IGNORED and asked.get("code_challenge_method", "S256") != "S256":
        return "code_challenge_method should be S256."
    return None


def _may_return_to(state: StandinState, address: str) -> bool:
    if state.redirect_uris is not None:
        return address in state.redirect_uris
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and parts.hostname in LOOPBACK


def _scopes(service: AnyService, asked: Json) -> list[str]:
    if not service.sign_in.scopes:
        return []
    parts = str(asked.get("scope") or "").split(service.sign_in.separator)
    return [part.strip() for part in parts if part.strip()]


# --- the token address


async def token(request: Request, service: AnyService, state: StandinState) -> Response:
    """Codes and refresh tokens for tokens."""
    try:
        body = await _authenticated(request, service)
        grant = _grant_for(service, state, body)
        following = grant.following if grant.used_at is not None else None
        if following is None:
            following = grant.following = new_pair(service, state, grant)
            grant.used_at = state.now()
        answer = _answer(service, state, grant, following)
    except TokenRefused as refused:
        return service.token_refusal(refused.code, str(refused))
    return JSONResponse(answer, headers={"Cache-Control": "no-store"})


def _grant_for(service: AnyService, state: StandinState, body: Json) -> Grant:
    kind = body.get("grant_type")
    if kind is None and not service.sign_in.grant_type_needed and "code" in body:
        kind = "authorization_code"
    match kind:
        case "authorization_code":
            return _by_code(service, state, body)
        case "refresh_token" if service.sign_in.refresh is not Refresh.NONE:
            state.refreshes += 1
            return _by_refresh(service, state, body)
        case _:
            raise TokenRefused("invalid_request", "grant_type is missing or not supported.")


def _by_code(service: AnyService, state: StandinState, body: Json) -> Grant:
    grant = state.codes.get(str(body.get("code")))
    if grant is None:
        raise TokenRefused("invalid_grant", "Invalid code: this code does not exist.")
    if grant.used_at is not None:
        state.end_family(grant.family)
        raise TokenRefused("invalid_grant", "Invalid code: this code has been used.")
    if grant.expires_at is not None and grant.expires_at <= state.now():
        raise TokenRefused("invalid_grant", "Invalid code: this code has expired.")
    given = body.get("redirect_uri")
    if given != grant.redirect_uri and (given is not None or service.sign_in.redirect_needed):
        raise TokenRefused("invalid_grant", "The redirect_uri does not match.")
    if grant.challenge is not None and challenge_of(str(body.get("code_verifier", ""))) != grant.challenge:
        raise TokenRefused("invalid_grant", "The code_verifier does not match.")
    return grant


def _by_refresh(service: AnyService, state: StandinState, body: Json) -> Grant:
    grant = state.refresh.get(str(body.get("refresh_token")))
    if grant is None:
        raise TokenRefused("invalid_grant", "Invalid refresh token.")
    if service.sign_in.refresh is Refresh.KEEPS:
        grant.used_at = None
        return grant
    if grant.used_at is not None:
        if state.now() - grant.used_at < timedelta(seconds=service.sign_in.reuse_seconds):
            return grant
        state.end_family(grant.family)
        raise TokenRefused("invalid_grant", "This refresh token was used before.")
    return grant


def new_pair(service: AnyService, state: StandinState, grant: Grant) -> tuple[str, str]:
    """A fresh access token for the same authorization, and its refresh token ("" where there is none)."""
    rules = service.sign_in
    if not rules.old_access_lives:
        state.access = {kept: g for kept, g in state.access.items() if g.family != grant.family}
    access = f"{rules.access_prefix}{secrets.token_urlsafe(32)}"
    ends = state.ends_at(state.token_seconds or rules.token_seconds)
    state.access[access] = _same(grant, ends)
    if rules.refresh is Refresh.NONE:
        return access, ""
    kept = next((old for old, g in state.refresh.items() if g is grant), None)
    if rules.refresh is Refresh.KEEPS and kept is not None:
        return access, kept
    refresh = f"{rules.refresh_prefix}{secrets.token_urlsafe(32)}"
    state.refresh[refresh] = _same(grant, None)
    return access, refresh


def _same(grant: Grant, ends: Any) -> Grant:
    return Grant(
        person=grant.person,
        account=grant.account,
        scopes=grant.scopes,
        family=grant.family,
        redirect_uri=grant.redirect_uri,
        expires_at=ends,
    )


def _answer(service: AnyService, state: StandinState, grant: Grant, pair: tuple[str, str]) -> Json:
    access, refresh = pair
    standard: Json = {"access_token": access, "token_type": "bearer"}
    if refresh:
        standard["refresh_token"] = refresh
    if (seconds := state.token_seconds or service.sign_in.token_seconds) is not None:
        standard["expires_in"] = seconds
    if service.sign_in.scopes:
        standard["scope"] = service.sign_in.separator.join(grant.scopes)
    return service.token_answer(state, grant, standard)


async def revoke(request: Request, service: AnyService, state: StandinState) -> Response:
    """End an authorization by any of its tokens; a token nobody knows is fine too."""
    try:
        given = str((await _authenticated(request, service)).get("token"))
    except TokenRefused as refused:
        return service.token_refusal(refused.code, str(refused))
    grant = state.access.get(given) or state.refresh.get(given)
    if grant is not None:
        state.end_family(grant.family)
    return JSONResponse(service.revoked())


async def _authenticated(request: Request, service: AnyService) -> Json:
    """The body of a request by our client, authenticated in a style the service takes."""
    rules, form = service.sign_in, is_form(request)
    body = await read_object(request)
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            given = base64.b64decode(encoded, validate=True).decode()
        except ValueError:
            given = ""
        client, _, secret = given.partition(":")
        style = ClientAuth.BASIC_FORM if form else ClientAuth.BASIC_JSON
        if style is ClientAuth.BASIC_FORM:
            client, secret = unquote_plus(client), unquote_plus(secret)
    else:
        style = ClientAuth.BODY_FORM
        client, secret = (str((body or {}).get(name, "")) for name in ("client_id", "client_secret"))
    good = client == rules.client_id and secrets.compare_digest(secret, rules.client_secret)
    if not good or style not in rules.client_auth or (style is ClientAuth.BODY_FORM and not form):
        raise TokenRefused("invalid_client", "Client authentication failed.")
    if body is None:
        raise TokenRefused("invalid_request", "The body cannot be read.")
    return body


def challenge_of(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _refused_page(problem: str) -> Response:
    return HTMLResponse(_page("Something is wrong with this link", f"<p>{escape(problem)}</p>"), 400)


def _page(title: str, body: str) -> str:
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
        "<style>body{font:16px/1.5 system-ui;max-width:32rem;margin:4rem auto;padding:0 1rem}"
        "button,select{font:inherit;padding:.5rem 1rem}</style>"
        f"<body><h1>{escape(title)}</h1>{body}</body></html>"
    )
