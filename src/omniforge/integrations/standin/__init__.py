"""What every local server that stands in for a service needs: sign-in, tokens, faults, pace, deliveries.

A folder's `standin/` brings the service's own data and API parts and offers `CLIENT_ID`, `CLIENT_SECRET`,
`StandinState` and `create_app(state=None)`. The whole of a small one:

    RULES = SignInRules(
        client_id=CLIENT_ID, client_secret=CLIENT_SECRET, authorize="/oauth/authorize", token="/oauth/token",
        client_auth=frozenset({ClientAuth.BODY_FORM}), pkce=Pkce.CHECKED, refresh=Refresh.ROTATES,
        scopes=frozenset({"read", "write"}), separator=",", token_seconds=86_400, access_prefix="tst_")

    @dataclass(slots=True, kw_only=True)
    class StandinState(standin.StandinState):
        notes: dict[str, str] = field(default_factory=lambda: {"n1": "First"})

    async def list_notes(call: Call[StandinState]) -> list[Json]:      # or raise Refusal(404, "gone", "…")
        return [{"id": key, "text": text} for key, text in call.state.notes.items()]

    SERVICE = Service[StandinState](
        title="Notes", sign_in=RULES, signed_out=Refusal(401, "unauthorized", "Bad credentials"),
        consent=lambda state: Consent(app="OmniForge", accounts=[Account("t1", "Acme", "u1")], asks=["…"]),
        refuse=lambda refusal: JSONResponse({"message": str(refusal)}, refusal.status, refusal.headers),
        words={FaultKind.RATE_LIMITED: Refusal(429, "slow", "Slow down"), ...}, unreadable=..., unknown=...,
        webhook=read_manifest(FOLDER / "provider.yaml").webhook)

    def create_app(state: StandinState | None = None) -> Starlette:
        return standin.create_app(SERVICE, state or StandinState(), [("GET", "/notes", list_notes)])

For sample data the same app runs behind `sample_transport(create_app(StandinState(steady=True,
open_to=Grant(), rate_per_second=None, now=lambda: now)))`: no network, every token good, ids in order.

`POST /_control` switches faults on, `GET /_control/requests` tells what arrived, `POST /_control/deliver`
sends a signed webhook; the bodies are described in `control.py`. A handler that changes something says so by
`call.happened("note.created", id=...)`; addresses given to `POST /_control {"hooks": [...]}` are told of it.
"""

from __future__ import annotations

import httpx
from starlette.applications import Starlette

from omniforge.integrations.standin.app import Call, Handler, create_app
from omniforge.integrations.standin.deliveries import Delivery, signed_delivery
from omniforge.integrations.standin.folders import Standin, find_standins
from omniforge.integrations.standin.reading import page_number, part_after, read_object
from omniforge.integrations.standin.rules import (
    Account,
    Consent,
    Pkce,
    Refusal,
    Service,
    SignInRules,
    bearer,
    standard_token_refusal,
)
from omniforge.integrations.standin.signin import new_code, new_pair
from omniforge.integrations.standin.state import (
    Fault,
    FaultKind,
    Grant,
    Hook,
    Json,
    Recorded,
    StandinState,
    stable_id,
)

__all__ = [
    "Account",
    "Call",
    "Consent",
    "Delivery",
    "Fault",
    "FaultKind",
    "Grant",
    "Handler",
    "Hook",
    "Json",
    "Pkce",
    "Recorded",
    "Refusal",
    "Service",
    "SignInRules",
    "Standin",
    "StandinState",
    "bearer",
    "create_app",
    "find_standins",
    "new_code",
    "new_pair",
    "page_number",
    "part_after",
    "read_object",
    "sample_transport",
    "signed_delivery",
    "stable_id",
    "standard_token_refusal",
]


def sample_transport(app: Starlette) -> httpx.AsyncBaseTransport:
    """The app inside this process, for dry runs: nothing leaves it."""
    return httpx.ASGITransport(app)
