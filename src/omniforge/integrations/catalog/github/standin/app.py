"""The local server's addresses, and what GitHub does around each of them."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from pathlib import Path
from urllib.parse import urlencode

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from omniforge.integrations import standin
from omniforge.integrations.catalog.github.standin import answers, branching, changes
from omniforge.integrations.catalog.github.standin.state import CLIENT_ID, CLIENT_SECRET, StandinState
from omniforge.integrations.catalog.github.standin.webhooks import delivery
from omniforge.integrations.manifest import ClientAuth, Refresh, read_manifest
from omniforge.integrations.standin import (
    Account,
    Consent,
    FaultKind,
    Grant,
    Json,
    Pkce,
    Refusal,
    Service,
    SignInRules,
    read_object,
)

FOLDER = Path(__file__).parent.parent
VERSIONS = frozenset({"2022-11-28", "2026-03-10"})
TOKEN = "/login/oauth/access_token"  # noqa: S105 - an address

RULES = SignInRules(
    client_id=CLIENT_ID,
    client_secret=CLIENT_SECRET,
    authorize="/login/oauth/authorize",
    token=TOKEN,
    client_auth=frozenset({ClientAuth.BODY_FORM}),
    pkce=Pkce.CHECKED,
    refresh=Refresh.ROTATES,
    token_seconds=28_800,
    access_prefix="ghu_",
    refresh_prefix="ghr_",
    grant_type_needed=False,
    redirect_needed=False,
)


def _consent(state: StandinState) -> Consent:
    account = state.account
    person, owner = account.people[0], account.organization
    return Consent(
        app="OmniForge",
        accounts=[Account(str(owner.id), owner.login, person.login)],
        asks=["Verify your GitHub identity", "Know which resources you can access", "Act on your behalf"],
        shared=[one.full_name for one in account.repositories],
    )


def _token_refusal(code: str, said: str) -> Response:
    """GitHub says no with 200, and with names of its own."""
    refresh = "refresh token" in said.casefold()
    if code == "invalid_client":
        named = ("incorrect_client_credentials", "The client_id and/or client_secret passed are incorrect.")
    elif "redirect_uri" in said:
        named = ("redirect_uri_mismatch", "The redirect_uri MUST match the registered callback URL.")
    elif refresh:
        named = ("bad_refresh_token", "The refresh token passed is incorrect or expired.")
    elif code == "invalid_grant":
        named = ("bad_verification_code", "The code passed is incorrect or expired.")
    else:
        named = ("unsupported_grant_type", "The grant_type is not supported.")
    return JSONResponse(
        {"error": named[0], "error_description": named[1], "error_uri": f"{answers.DOCS}#{named[0]}"}
    )


def _token_answer(_state: StandinState, _grant: Grant, standard: Json) -> Json:
    return {**standard, "refresh_token_expires_in": 15_897_600, "scope": ""}


def _check(request: Request, _: Grant) -> None:
    """Who calls, in which version, and how much of the hour is left."""
    state: StandinState = request.app.state.standin
    if not request.headers.get("user-agent"):
        said = "Request forbidden by administrative rules. Please send a User-Agent header."
        raise Refusal(403, "", said)
    version = request.headers.get("x-github-api-version", "2022-11-28")
    if version not in VERSIONS:
        raise Refusal(400, "", f"{version} is not a supported version of the API.")
    if state.allowance_left() == 0:
        person = state.account.people[0]
        raise Refusal(403, "", f"API rate limit exceeded for user ID {person.id}.")


SERVICE = Service[StandinState](
    title="GitHub",
    sign_in=RULES,
    consent=_consent,
    refuse=answers.refuse,
    words={
        FaultKind.RATE_LIMITED: Refusal(
            403,
            "",
            "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.",
        ),
        FaultKind.SERVER_ERROR: Refusal(500, "", "Server Error"),
        FaultKind.UNAVAILABLE: Refusal(503, "", "Service unavailable"),
        FaultKind.OVERLOADED: Refusal(503, "", "Service unavailable"),
        FaultKind.FORBIDDEN: Refusal(403, "", "Resource not accessible by integration"),
        FaultKind.CONFLICT: Refusal(409, "", "Conflict"),
    },
    signed_out=Refusal(401, "", "Bad credentials"),
    unreadable=Refusal(400, "", "Problems parsing JSON"),
    unknown=lambda _: Refusal(404, "", "Not Found"),
    token_answer=_token_answer,
    token_refusal=_token_refusal,
    check=_check,
    webhook=read_manifest(FOLDER / "provider.yaml").webhook,
    delivery=delivery,
    wrong_shape={"message": 7, "items": "none"},
)

ONE = "/repos/{owner}/{repo}"
READS = {
    "": answers.repository,
    "/labels": answers.labels,
    "/milestones": answers.milestones,
    "/branches": answers.branches,
    "/issues": answers.issues,
    "/issues/{number}": answers.issue,
    "/issues/{number}/comments": answers.comments,
    "/pulls": answers.pulls,
    "/pulls/{number}": answers.pull,
    "/pulls/{number}/comments": answers.notes,
    "/pulls/{number}/files": answers.changed_files,
    "/commits": answers.commits,
    "/releases": answers.releases,
    "/activity": answers.activity,
    "/compare/{ends:path}": answers.compare,
    "/contents": answers.contents,
    "/contents/{path:path}": answers.contents,
    "/git/trees/{sha:path}": branching.tree,
}
API = [
    ("GET", "/user", answers.me),
    ("GET", "/user/installations", answers.installations),
    ("GET", "/user/repos", answers.repositories),
    *[
        ("GET", root + path, handler)
        for root in (ONE, "/repositories/{id}")
        for path, handler in READS.items()
    ],
    ("POST", f"{ONE}/issues", changes.create_issue),
    ("PATCH", f"{ONE}/issues/{{number}}", changes.update_issue),
    ("POST", f"{ONE}/issues/{{number}}/comments", changes.add_comment),
    ("PUT", f"{ONE}/contents/{{path:path}}", changes.write_file),
    ("POST", f"{ONE}/releases", changes.create_release),
    ("POST", f"{ONE}/git/refs", branching.create_ref),
    ("POST", f"{ONE}/pulls", branching.create_pull),
]


async def _end_token(request: Request) -> Response:
    """An app ends a token of its own, with its own credentials."""
    state: StandinState = request.app.state.standin
    _, _, given = request.headers.get("authorization", "").partition("Basic ")
    pair = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
    if not secrets.compare_digest(given.encode(), pair.encode()):
        return answers.refuse(SERVICE.signed_out)
    token = str((await read_object(request) or {}).get("access_token"))
    grant = state.access.get(token)
    if request.path_params["client_id"] != CLIENT_ID or grant is None:
        return answers.refuse(answers.not_found())
    state.end_family(grant.family)
    return Response(status_code=204)


class Surroundings:
    """What GitHub adds to every answer: the allowance, an ETag and 304 for who has it, forms for tokens."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if scope["type"] != "http" or path.startswith("/_control"):
            await self.app(scope, receive, send)
            return
        request, start, sent = Request(scope), dict[str, Message](), bytearray()

        async def held(message: Message) -> None:
            if message["type"] == "http.response.start":
                start["message"] = message
                return
            sent.extend(message.get("body", b""))
            if not message.get("more_body"):
                response = _surrounded(request, start["message"], bytes(sent))
                await send({"type": "http.response.start", "status": response.status_code,
                            "headers": response.raw_headers})  # fmt: skip
                await send({"type": "http.response.body", "body": response.body})

        await self.app(scope, receive, held)


def _surrounded(request: Request, start: Message, body: bytes) -> Response:
    headers = {name.decode(): value.decode() for name, value in start["headers"]}
    status = int(start["status"])
    if request.url.path == TOKEN and "application/json" not in request.headers.get("accept", ""):
        headers.pop("content-length", None)
        headers["content-type"] = "application/x-www-form-urlencoded; charset=utf-8"
        return Response(urlencode(json.loads(body)), status, headers)
    if request.url.path.startswith("/login/"):
        return Response(body, status, headers)
    if status == 200 and request.method == "GET":
        headers["etag"] = f'W/"{hashlib.sha256(body).hexdigest()}"'
        if request.headers.get("if-none-match") == headers["etag"]:
            headers.pop("content-length", None)
            status, body = 304, b""
    return Response(body, status, headers | _allowance(request, status))


def _allowance(request: Request, status: int) -> dict[str, str]:
    """An answer that says nothing has changed costs nothing."""
    state: StandinState = request.app.state.standin
    left = state.allowance_left()
    if status not in (304, 401) and left:
        state.used += 1
        left -= 1
    return {
        "x-ratelimit-limit": str(state.allowance),
        "x-ratelimit-remaining": str(left),
        "x-ratelimit-used": str(state.used),
        "x-ratelimit-reset": str(int(state.resets.timestamp())),
        "x-ratelimit-resource": "core",
        "x-github-media-type": "github.v3; format=json",
        "date": state.now().strftime("%a, %d %b %Y %H:%M:%S GMT"),
    }


def create_app(state: StandinState | None = None) -> Starlette:
    """The server over one state."""
    further = [Route("/applications/{client_id}/token", _end_token, methods=["DELETE"])]
    app = standin.create_app(SERVICE, state or StandinState(), API, further=further)
    app.add_middleware(Surroundings)
    return app
