"""What differs from service to service, as data: how it signs people in, refuses, and words its faults."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Generic, TypeVar

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from omniforge.integrations.manifest import ClientAuth, Refresh, WebhookData
from omniforge.integrations.standin.state import FaultKind, Grant, Json, StandinState

S = TypeVar("S", bound=StandinState)


class Refusal(Exception):
    """An error answer; the service's `refuse` gives it the service's own shape."""

    def __init__(
        self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.headers = status, code, dict(headers or {})


class Pkce(StrEnum):
    """`ignored`: the service knows nothing of it. `checked`: when given. `required`: no code without it."""

    IGNORED = "ignored"
    CHECKED = "checked"
    REQUIRED = "required"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInRules:
    """How a service signs people in, as it documents it. Addresses are paths. Times in seconds."""

    client_id: str
    client_secret: str
    authorize: str
    token: str
    revoke: str | None = None
    """POST with client authentication and `token`; services with other ways add a route of their own."""
    client_auth: frozenset[ClientAuth]
    """The styles the token address takes."""
    pkce: Pkce = Pkce.IGNORED
    refresh: Refresh = Refresh.NONE
    reuse_seconds: int = 0
    """How long a used refresh token still answers with the pair it became; after it, reuse ends all."""
    old_access_lives: bool = False
    """Whether the access token before a refresh goes on to its end."""
    scopes: frozenset[str] = frozenset()
    """What may be asked for; empty: the service has no scopes and ignores them."""
    separator: str = " "
    token_seconds: int | None = None
    """Life of an access token; `StandinState.token_seconds` replaces it."""
    code_seconds: int = 600
    access_prefix: str = ""
    refresh_prefix: str = ""
    grant_type_needed: bool = True
    """Whether a code without `grant_type` is refused."""
    redirect_needed: bool = True
    """Whether the token address wants `redirect_uri` again; when given, it always has to match."""


@dataclass(frozen=True, slots=True)
class Account:
    """A workspace the person may pick on the sign-in page, and who they are in it."""

    id: str
    title: str
    person: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """What the sign-in page says."""

    app: str
    accounts: Sequence[Account]
    asks: Sequence[str]
    """Plain sentences; the scopes asked for are listed besides."""
    shared: Sequence[str] = ()
    """Names of what will be shared, where the service lets people pick."""


def standard_token_refusal(code: str, said: str) -> Response:
    """As RFC 6749 has it: 401 for a client that is not known, else 400."""
    status = 401 if code == "invalid_client" else 400
    return JSONResponse({"error": code, "error_description": said}, status)


def bearer(request: Request) -> str | None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token if scheme.lower() == "bearer" else None


def by_grant(_: Request, grant: Grant) -> str:
    return grant.family


@dataclass(frozen=True, kw_only=True)
class Service(Generic[S]):
    """One service: its rules, and small functions for what has a shape of its own there."""

    title: str
    sign_in: SignInRules
    consent: Callable[[S], Consent]
    refuse: Callable[[Refusal], Response]
    """An error answer in the service's shape."""
    words: Mapping[FaultKind, Refusal]
    """How it words rate_limited, server_error, unavailable, forbidden, conflict (and overloaded, if it has
    that); `Retry-After` is added to the first and last from the fault."""
    signed_out: Refusal
    unreadable: Refusal
    """The answer to a body that is neither JSON object nor form."""
    unknown: Callable[[Request], Refusal]
    """The answer to an address it does not have."""
    token_answer: Callable[[S, Grant, Json], Json] = lambda _state, _grant, standard: standard
    """What the token address answers, made from the standard answer."""
    token_refusal: Callable[[str, str], Response] = standard_token_refusal
    revoked: Callable[[], Json] = dict[str, Any]
    token_of: Callable[[Request], str | None] = bearer
    check: Callable[[Request, Grant], None] = lambda _request, _grant: None
    """Further rules of every request (version headers, user agents); raises Refusal."""
    pace_key: Callable[[Request, Grant], str] = by_grant
    """What its rate limit counts by."""
    webhook: WebhookData | None = None
    """How it signs deliveries: the `webhook` block of provider.yaml."""
    delivery: Callable[[S, Json], tuple[Json, Mapping[str, str]]] | None = None
    """Body and unsigned headers of a delivery, from `{event, …}` as given to `/_control/deliver`."""
    wrong_shape: Json = field(default_factory=lambda: {"object": "list", "results": "none", "has_more": 7})
