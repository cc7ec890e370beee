"""How Notion signs people in and words its errors, as it documents them."""

from __future__ import annotations

import uuid
from pathlib import Path

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from omniforge.integrations.catalog.notion.standin.shapes import delivery_json, person_json
from omniforge.integrations.catalog.notion.standin.state import CLIENT_ID, CLIENT_SECRET, StandinState
from omniforge.integrations.manifest import ClientAuth, Refresh, read_manifest
from omniforge.integrations.standin import (
    Account,
    Consent,
    FaultKind,
    Grant,
    Json,
    Refusal,
    Service,
    SignInRules,
)

VERSIONS = frozenset({"2025-09-03", "2026-03-11"})
MOST_BYTES = 500_000
MANIFEST = Path(__file__).parent.parent / "provider.yaml"

RULES = SignInRules(
    client_id=CLIENT_ID,
    client_secret=CLIENT_SECRET,
    authorize="/v1/oauth/authorize",
    token="/v1/oauth/token",  # noqa: S106 - an address
    revoke="/v1/oauth/revoke",
    client_auth=frozenset({ClientAuth.BASIC_JSON}),
    refresh=Refresh.ROTATES,
    access_prefix="ntn_",
    refresh_prefix="nrt_",
)


def consent(state: StandinState) -> Consent:
    return Consent(
        app=state.workspace.bot_name,
        accounts=[Account(w.id, w.name, w.people[0].id) for w in (state.workspace, state.second)],
        asks=("View pages you select", "Edit pages you select", "View workspace users"),
        shared=[table.name for table in state.workspace.tables],
    )


def refuse(refusal: Refusal) -> Response:
    body = {
        "object": "error",
        "status": refusal.status,
        "code": refusal.code,
        "message": str(refusal),
        "request_id": str(uuid.uuid4()),
    }
    return JSONResponse(body, refusal.status, refusal.headers)


def token_refusal(code: str, said: str) -> Response:
    body = {"error": code, "error_description": said, "request_id": str(uuid.uuid4())}
    return JSONResponse(body, 401 if code == "invalid_client" else 400)


def token_answer(state: StandinState, grant: Grant, standard: Json) -> Json:
    workspace = state.workspace_of(grant.account)
    owner = workspace.person(grant.person)
    return {
        **standard,
        "bot_id": workspace.bot_id,
        "workspace_icon": None,
        "workspace_name": workspace.name,
        "workspace_id": workspace.id,
        "owner": {"type": "user", "user": person_json(owner) if owner else {}},
        "duplicated_template_id": None,
        "request_id": str(uuid.uuid4()),
    }


def check(request: Request, _: Grant) -> None:
    if int(request.headers.get("content-length") or 0) > MOST_BYTES:
        raise Refusal(400, "validation_error", "body failed validation: body is larger than 500KB.")
    version = request.headers.get("notion-version")
    if version is None:
        raise Refusal(
            400, "missing_version", "Notion-Version header should be defined, instead was `undefined`."
        )
    if version not in VERSIONS:
        raise Refusal(400, "validation_error", f"Notion-Version {version} is not supported here.")


WORDS = {
    FaultKind.RATE_LIMITED: Refusal(
        429, "rate_limited", "You have been rate limited. Please try again in a few minutes."
    ),
    FaultKind.OVERLOADED: Refusal(529, "service_overload", "Notion is overloaded."),
    FaultKind.UNAVAILABLE: Refusal(
        503, "service_unavailable", "Notion is unavailable, please try again later."
    ),
    FaultKind.FORBIDDEN: Refusal(403, "restricted_resource", "Insufficient permissions for this endpoint."),
    FaultKind.CONFLICT: Refusal(409, "conflict_error", "Conflict occurred while saving."),
    FaultKind.SERVER_ERROR: Refusal(500, "internal_server_error", "Unexpected error occurred."),
}

SERVICE = Service[StandinState](
    title="Notion",
    sign_in=RULES,
    consent=consent,
    refuse=refuse,
    words=WORDS,
    signed_out=Refusal(401, "unauthorized", "API token is invalid."),
    unreadable=Refusal(400, "invalid_json", "Error parsing JSON body."),
    unknown=lambda request: Refusal(400, "invalid_request_url", f"Invalid request URL: {request.url.path}"),
    token_answer=token_answer,
    token_refusal=token_refusal,
    revoked=lambda: {"request_id": str(uuid.uuid4())},
    check=check,
    webhook=read_manifest(MANIFEST).webhook,
    delivery=lambda state, about: (delivery_json(state.workspace, about), {}),
)
