"""The local server: Slack's rules, its refusals, and the methods it answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from omniforge.integrations import standin
from omniforge.integrations.catalog.slack.standin import reading, writing
from omniforge.integrations.catalog.slack.standin.asked import Asked, NotOk
from omniforge.integrations.catalog.slack.standin.deliveries import delivery
from omniforge.integrations.catalog.slack.standin.shapes import APP_ID
from omniforge.integrations.catalog.slack.standin.state import CLIENT_ID, CLIENT_SECRET, StandinState
from omniforge.integrations.catalog.slack.standin.workspace import Json
from omniforge.integrations.manifest import ClientAuth, Refresh, read_manifest
from omniforge.integrations.standin import (
    Account,
    Consent,
    FaultKind,
    Grant,
    Pkce,
    Refusal,
    Service,
    SignInRules,
)

MANIFEST = read_manifest(Path(__file__).parent.parent / "provider.yaml")

Method = Callable[[Asked], Awaitable[Json]]

METHODS: dict[str, Method] = {
    "auth.test": reading.auth_test,
    "conversations.list": reading.conversations_list,
    "conversations.info": reading.conversations_info,
    "conversations.history": reading.conversations_history,
    "conversations.replies": reading.conversations_replies,
    "conversations.join": writing.join,
    "conversations.open": writing.open_direct,
    "users.list": reading.users_list,
    "users.info": reading.users_info,
    "users.lookupByEmail": reading.users_lookup_by_email,
    "users.conversations": reading.users_conversations,
    "chat.postMessage": writing.post_message,
    "chat.update": writing.update_message,
}

RULES = SignInRules(
    client_id=CLIENT_ID,
    client_secret=CLIENT_SECRET,
    authorize="/oauth/v2/authorize",
    token="/api/oauth.v2.access",  # noqa: S106 - an address
    revoke="/api/auth.revoke",
    client_auth=frozenset({ClientAuth.BODY_FORM, ClientAuth.BASIC_FORM}),
    pkce=Pkce.IGNORED,
    refresh=Refresh.ROTATES,
    old_access_lives=True,
    scopes=frozenset(scope.name for scope in MANIFEST.sign_in.scopes),
    separator=",",
    access_prefix="xoxb-",
    refresh_prefix="xoxe-1-",
    grant_type_needed=False,
)

TOKEN_ERRORS = {
    "invalid_client": "bad_client_secret",
    "invalid_request": "invalid_arguments",
}
"""What Slack calls the standard's errors; a code or refresh token that is no good has two names."""


def _consent(state: StandinState) -> Consent:
    person = state.workspace.people[0].id
    accounts = [Account(team.id, team.name, person) for team in (state.workspace, state.second)]
    asks = [scope.reason for scope in MANIFEST.sign_in.scopes]
    return Consent(app=state.workspace.app.name, accounts=accounts, asks=asks)


def _token_answer(state: StandinState, grant: Grant, standard: Json) -> Json:
    """Slack's own shape. Without token rotation nothing ends and there is nothing to renew with."""
    team = state.workspace_of(grant.account)
    answer: Json = {
        "ok": True,
        "app_id": APP_ID,
        "authed_user": {"id": grant.person},
        "scope": standard["scope"],
        "token_type": "bot",
        "access_token": standard["access_token"],
        "bot_user_id": team.app.id,
        "team": {"id": team.id, "name": team.name},
        "enterprise": None,
        "is_enterprise_install": False,
    }
    if state.token_seconds is not None:
        answer |= {"refresh_token": standard["refresh_token"], "expires_in": state.token_seconds}
    return answer


def _token_refusal(code: str, said: str) -> Response:
    """Slack refuses with status 200 here, too."""
    worse = "invalid_refresh_token" if "refresh token" in said else "invalid_code"
    if "redirect_uri" in said:
        worse = "bad_redirect_uri"
    return JSONResponse({"ok": False, "error": TOKEN_ERRORS.get(code, worse)})


def _refuse(refusal: Refusal) -> Response:
    body: Json = {"ok": False, "error": refusal.code}
    if isinstance(refusal, NotOk):
        body |= refusal.about
    return JSONResponse(body, refusal.status, refusal.headers)


def _token_of(request: Request) -> str | None:
    """The token; NotOk says which of Slack's ways of being signed out this is."""
    state: StandinState = request.app.state.standin
    given = standin.bearer(request) or request.query_params.get("token")
    if not given:
        raise NotOk("not_authed")
    if state.grant_of(given) is not None:
        return given
    if given in state.access or (given.startswith("xox") and state.refresh and state.token_seconds):
        raise NotOk("token_expired")
    raise NotOk("invalid_auth")


def _pace_key(request: Request, grant: Grant) -> str:
    return f"{request.url.path.rpartition('/')[2]} {grant.account}"


SERVICE = Service[StandinState](
    title="Slack",
    sign_in=RULES,
    consent=_consent,
    refuse=_refuse,
    words={
        FaultKind.RATE_LIMITED: Refusal(429, "ratelimited", "ratelimited"),
        FaultKind.SERVER_ERROR: NotOk("internal_error"),
        FaultKind.UNAVAILABLE: Refusal(503, "service_unavailable", "service_unavailable"),
        FaultKind.OVERLOADED: Refusal(503, "service_unavailable", "service_unavailable"),
        FaultKind.FORBIDDEN: NotOk("restricted_action"),
        FaultKind.CONFLICT: NotOk("is_archived"),
    },
    signed_out=NotOk("invalid_auth"),
    unreadable=NotOk("invalid_json"),
    unknown=lambda request: NotOk("unknown_method", req_method=request.url.path.rpartition("/")[2]),
    token_answer=_token_answer,
    token_refusal=_token_refusal,
    revoked=lambda: {"ok": True, "revoked": True},
    token_of=_token_of,
    pace_key=_pace_key,
    webhook=MANIFEST.webhook,
    delivery=delivery,
)


def _api(method: Method) -> standin.Handler[StandinState]:
    """Around a method: `ok`, and Slack's remark about JSON without a charset."""

    async def handler(call: standin.Call[StandinState]) -> Json:
        asked = Asked(call)
        answer: Json = {"ok": True, **await method(asked)}
        if asked.without_charset and "warning" not in answer:
            metadata: Json = {**answer.get("response_metadata", {}), "warnings": ["missing_charset"]}
            answer |= {"warning": "missing_charset", "response_metadata": metadata}
        return answer

    return handler


def create_app(state: StandinState | None = None) -> Starlette:
    """The server over one state. Every method takes GET and POST, as at Slack."""
    api = [
        (verb, f"/api/{name}", _api(method)) for name, method in METHODS.items() for verb in ("GET", "POST")
    ]
    return standin.create_app(SERVICE, state or StandinState(), api)
