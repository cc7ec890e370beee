"""The OAuth protocol with a service: where to sign in, codes and refresh tokens for tokens, revoking."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import quote, urlencode

import httpx
from pydantic import SecretStr

from omniforge.core.config import Settings
from omniforge.integrations.errors import GrantRefused, IntegrationNotConfigured, ServiceDown
from omniforge.integrations.manifest import ClientAuth, Json, Manifest, Revoke
from omniforge.integrations.rest import parse_object, read_capped, what_it_said

LARGEST_TOKEN_ANSWER = 256 * 1024
TIMEOUT_SECONDS = 20.0
CLIENT_UNKNOWN = frozenset(
    {"invalid_client", "invalid_client_id", "bad_client_secret", "incorrect_client_credentials"}
)
"""What services call a client id or secret that is wrong, besides the standard word."""
FOR_NOW = frozenset(
    {"temporarily_unavailable", "server_error", "internal_error", "fatal_error", "service_unavailable"}
    | {"ratelimited", "request_timeout"}
)
"""Errors that say nothing about the credential: it may be good the next time."""


@dataclass(frozen=True, slots=True)
class Client:
    """This installation's registration at a service."""

    client_id: str
    client_secret: SecretStr
    redirect_uri: str
    base_url: str | None = None
    """A local server in place of the service."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """What the token address gave. `expires_in` is in seconds, None when it does not say."""

    access: str = field(repr=False)
    refresh: str | None = field(repr=False)
    token_type: str
    expires_in: int | None
    scopes: tuple[str, ...]
    workspace_id: str | None
    workspace_name: str | None


def at(address: str, base_url: str | None) -> str:
    """The service's official address, or the same path at the local server that stands in for it."""
    return str(httpx.URL(base_url).join(httpx.URL(address).raw_path.decode())) if base_url else address


def client_of(settings: Settings, manifest: Manifest) -> Client | None:
    """The registration from the settings; None when id or secret is missing."""
    service = settings.service(manifest.id)
    secret = service.client_secret
    if not service.client_id or secret is None or not secret.get_secret_value():
        return None
    redirect = service.redirect_uri or f"{settings.url}/oauth/callback/{manifest.id}"
    return Client(service.client_id, secret, redirect, service.base_url)


def not_configured(manifest: Manifest) -> IntegrationNotConfigured:
    return IntegrationNotConfigured(
        f"{manifest.title} isn't set up in this installation yet. Your administrator can do it; "
        "meanwhile I can build and test with sample data.",
        integration=manifest.id,
        settings=[f"{manifest.id.upper()}_{name}" for name in ("CLIENT_ID", "CLIENT_SECRET", "REDIRECT_URI")],
    )


def authorize_url(manifest: Manifest, client: Client, state: str, verifier: str | None) -> str:
    """Where the person signs in."""
    data = manifest.sign_in
    asked = {
        "client_id": client.client_id,
        "redirect_uri": client.redirect_uri,
        "response_type": "code",
        "state": state,
        **data.authorize_parameters,
    }
    if data.scopes:
        asked["scope"] = data.scope_separator.join(scope.name for scope in data.scopes)
    if verifier is not None:
        asked |= {"code_challenge": challenge_of(verifier), "code_challenge_method": "S256"}
    return f"{at(data.authorize_url, client.base_url)}?{urlencode(asked)}"


def new_verifier() -> str:
    return secrets.token_urlsafe(64)


def challenge_of(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


async def exchange_code(
    http: httpx.AsyncClient,
    manifest: Manifest,
    client: Client,
    *,
    code: str,
    redirect_uri: str,
    verifier: str | None,
) -> Tokens:
    """A code for tokens. GrantRefused when the code is no good; never repeated, a code works once."""
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri}
    if verifier is not None:
        form["code_verifier"] = verifier
    return _tokens(manifest, await _post(http, manifest, client, manifest.sign_in.token_url, form))


async def renew(http: httpx.AsyncClient, manifest: Manifest, client: Client, refresh_token: str) -> Tokens:
    """A refresh token for new tokens. GrantRefused when the service does not take it any more."""
    form = {"grant_type": "refresh_token", "refresh_token": refresh_token}
    return _tokens(manifest, await _post(http, manifest, client, manifest.sign_in.token_url, form))


async def revoke(http: httpx.AsyncClient, manifest: Manifest, client: Client, token: str) -> None:
    """End a token there; no such token any more is fine."""
    address = manifest.sign_in.revoke_url
    if address and manifest.sign_in.revoke_style is Revoke.DELETE:
        await _delete_token(http, manifest, client, address, token)
    elif address:
        await _post(http, manifest, client, address, {"token": token})


async def _delete_token(
    http: httpx.AsyncClient, manifest: Manifest, client: Client, address: str, token: str
) -> None:
    place = at(address.replace("{client_id}", quote(client.client_id, safe="")), client.base_url)
    pair = (client.client_id, client.client_secret.get_secret_value())
    headers, body = {**manifest.headers}, {"access_token": token}
    try:
        async with http.stream(
            "DELETE", place, json=body, auth=pair, headers=headers, timeout=TIMEOUT_SECONDS
        ) as response:
            answer = await read_capped(response, manifest.title, LARGEST_TOKEN_ANSWER)
    except httpx.HTTPError as error:
        raise _down(manifest) from error
    if answer.status >= 300 and answer.status != 404:
        raise _refusal(manifest, answer.status, answer.body)


async def _post(
    http: httpx.AsyncClient, manifest: Manifest, client: Client, address: str, form: dict[str, str]
) -> Json:
    headers = {**manifest.headers, "Accept": "application/json"}
    secret = client.client_secret.get_secret_value()
    style = manifest.sign_in.client_auth
    if style is ClientAuth.BODY_FORM:
        form = {**form, "client_id": client.client_id, "client_secret": secret}
    else:
        pair = f"{client.client_id}:{secret}"
        if style is ClientAuth.BASIC_FORM:  # the standard wants both parts form-encoded first
            pair = f"{quote(client.client_id, safe='')}:{quote(secret, safe='')}"
        headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    body: dict[str, Any] = {"json": form} if style is ClientAuth.BASIC_JSON else {"data": form}
    try:
        async with http.stream(
            "POST", at(address, client.base_url), headers=headers, timeout=TIMEOUT_SECONDS, **body
        ) as response:
            answer = await read_capped(response, manifest.title, LARGEST_TOKEN_ANSWER)
    except httpx.HTTPError as error:
        raise _down(manifest) from error
    if answer.status >= 300:
        raise _refusal(manifest, answer.status, answer.body)
    said = parse_object(answer.body, manifest.title)
    if said.get("error") or said.get("ok") is False:  # some services refuse with a good status
        raise _refusal(manifest, 400, answer.body)
    return said


def _refusal(
    manifest: Manifest, status: int, body: bytes
) -> GrantRefused | IntegrationNotConfigured | ServiceDown:
    """A code or token that is no good, a client that is not known there, or a service that is down."""
    said, why = what_it_said(body), _error_of(body)
    if status == 429 or status >= 500 or status < 400 or why in FOR_NOW:
        return _down(manifest)
    if status == 401 or why in CLIENT_UNKNOWN:
        return IntegrationNotConfigured(
            f"{manifest.title} does not know this installation: its client id or secret is wrong. "
            "Your administrator can correct it.",
            integration=manifest.id,
            said=said,
        )
    return GrantRefused(f"{manifest.title} did not accept the sign-in.", said=said)


def _error_of(body: bytes) -> str:
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    return str(cast("Json", parsed).get("error", "")) if isinstance(parsed, dict) else ""


def _down(manifest: Manifest) -> ServiceDown:
    return ServiceDown(f"{manifest.title} isn't answering. Please try again in a moment.", retryable=True)


def _tokens(manifest: Manifest, answer: Json) -> Tokens:
    access, refresh = answer.get("access_token"), answer.get("refresh_token")
    if not isinstance(access, str) or not access or not access.isascii() or not access.isprintable():
        raise ServiceDown(
            f"{manifest.title} sent an answer that cannot be read.", retryable=True, reason="unreadable"
        )
    seconds = answer.get("expires_in")
    granted = answer.get("scope")
    separators = str(granted).replace(",", " ").split() if isinstance(granted, str) else []
    return Tokens(
        access=access,
        refresh=refresh if isinstance(refresh, str) and refresh else None,
        token_type=str(answer.get("token_type") or "bearer")[:32],
        expires_in=int(seconds) if isinstance(seconds, int | float) and 0 < seconds < 10**9 else None,
        scopes=tuple(separators),
        workspace_id=_short(answer.get("workspace_id"), 200),
        workspace_name=_short(answer.get("workspace_name"), 300),
    )


def _short(value: Any, longest: int) -> str | None:
    return value[:longest] if isinstance(value, str) and value else None
