"""Linear's one API address over the workspace that is held, with its limits, and how it words errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from omniforge.integrations import standin
from omniforge.integrations.catalog.linear.standin.answering import Reading
from omniforge.integrations.catalog.linear.standin.changing import Writing
from omniforge.integrations.catalog.linear.standin.deliveries import delivery
from omniforge.integrations.catalog.linear.standin.execute import Execution
from omniforge.integrations.catalog.linear.standin.graphql import Document, Operation, SyntaxProblem, parse
from omniforge.integrations.catalog.linear.standin.state import (
    CLIENT_ID,
    CLIENT_SECRET,
    Bucket,
    StandinState,
)
from omniforge.integrations.catalog.linear.standin.validate import Check, Misfit, complexity_of, variables_of
from omniforge.integrations.catalog.linear.standin.world import Json, schema
from omniforge.integrations.manifest import ClientAuth, Refresh, read_manifest
from omniforge.integrations.standin import (
    Account,
    Call,
    Consent,
    FaultKind,
    Grant,
    Pkce,
    Refusal,
    Service,
    SignInRules,
)

MANIFEST = Path(__file__).parent.parent / "provider.yaml"
KEY = "lin_api_"

RULES = SignInRules(
    client_id=CLIENT_ID,
    client_secret=CLIENT_SECRET,
    authorize="/oauth/authorize",
    token="/oauth/token",  # noqa: S106 - an address
    revoke="/oauth/revoke",
    client_auth=frozenset({ClientAuth.BODY_FORM, ClientAuth.BASIC_FORM}),
    pkce=Pkce.CHECKED,
    refresh=Refresh.ROTATES,
    reuse_seconds=1800,
    scopes=frozenset({"read", "write", "issues:create", "comments:create", "timeSchedule:write", "admin"}),
    separator=",",
    token_seconds=86_399,
    access_prefix="lin_oauth_",
    refresh_prefix="lin_refresh_",
)
KINDS = {
    "AUTHENTICATION_ERROR": "authentication error",
    "RATELIMITED": "ratelimited",
    "FORBIDDEN": "forbidden",
    "LOCK_TIMEOUT": "lock timeout",
    "INTERNAL_SERVER_ERROR": "internal error",
    "GRAPHQL_VALIDATION_FAILED": "graphql error",
    "GRAPHQL_PARSE_FAILED": "graphql error",
    "INPUT_ERROR": "invalid input",
}
"""`extensions.type` of each `extensions.code`."""
OF_CODE = {"AUTHENTICATION_ERROR": 401, "RATELIMITED": 429, "FORBIDDEN": 403, "INTERNAL_SERVER_ERROR": 500}
"""`extensions.statusCode`, where it is not 400; the answer's own status is another matter."""
SLOWED = "Rate limit exceeded. Only {limit:.0f} {what} are allowed per 1 hour."


def consent(state: StandinState) -> Consent:
    worlds = (state.world, state.second)
    return Consent(
        app="OmniForge",
        accounts=[
            Account(w.organization["id"], w.organization["name"], w.rows("User")[0]["id"]) for w in worlds
        ],
        asks=("Access to your workspace's issues, projects and comments",),
        shared=[team["name"] for team in state.world.rows("Team")],
    )


def refuse(refusal: Refusal) -> Response:
    """An error as Linear has it; `refusal.code` is `extensions.code`."""
    extensions: Json = {
        "type": KINDS.get(refusal.code, "unknown"),
        "code": refusal.code,
        "statusCode": OF_CODE.get(refusal.code, 400),
        "userError": refusal.code != "INTERNAL_SERVER_ERROR",
        "userPresentableMessage": SHOWN.get(refusal.code, str(refusal)),
    }
    error = {"message": str(refusal), "extensions": extensions}
    return JSONResponse({"errors": [error]}, refusal.status, refusal.headers)


SHOWN = {
    "AUTHENTICATION_ERROR": "You need to authenticate to access this operation.",
    "INTERNAL_SERVER_ERROR": "An internal error occurred.",
}


def token_of(request: Request) -> str | None:
    """Access tokens come as `Bearer …`, access keys as they are and never so."""
    given = request.headers.get("authorization", "")
    scheme, _, token = given.partition(" ")
    if scheme.lower() == "bearer":
        if token.startswith(KEY):
            raise Refusal(400, "AUTHENTICATION_ERROR", KEY_AS_BEARER)
        return token
    return given if given.startswith(KEY) else None


KEY_AS_BEARER = (
    "It looks like you're trying to use an API key as a Bearer token. "
    "Remove the Bearer prefix from the Authorization header."
)


def token_answer(_: StandinState, grant: Grant, standard: Json) -> Json:
    return {**standard, "token_type": "Bearer", "scope": " ".join(grant.scopes)}


async def graphql(call: Call[StandinState]) -> Response:
    """Read, check, count and carry out one operation."""
    buckets = call.state.buckets_of(call.grant.family)
    try:
        document, operation = _read(call.body)
        Check(schema(), document, operation).run()
        given: Any = call.body.get("variables") or {}
        variables = variables_of(schema(), operation, given)
    except SyntaxProblem as problem:
        raise Refusal(400, "GRAPHQL_PARSE_FAILED", str(problem)) from None
    except Misfit as misfit:
        raise Refusal(400, "GRAPHQL_VALIDATION_FAILED", str(misfit)) from None
    cost = complexity_of(schema(), document, operation, variables)
    if cost > call.state.most_complex:
        said = f"Query too complex. Complexity: {cost}, maximum allowed: {call.state.most_complex}."
        raise Refusal(400, "INPUT_ERROR", said)
    _count(call.state, buckets, cost)
    headers = {**_limits(call.state, buckets), "X-Complexity": str(cost)}
    return JSONResponse(_carried_out(call, document, operation, variables), headers=headers)


def _read(body: Json) -> tuple[Document, Operation]:
    document = parse(str(body.get("query") or ""))
    named, operations = body.get("operationName"), document.operations
    if named is not None and named not in operations:
        raise Misfit(f'Unknown operation named "{named}".')
    if named is None and len(operations) > 1:
        raise Misfit("Must provide operation name if query contains multiple operations.")
    return document, operations[named] if named is not None else next(iter(operations.values()))


def _carried_out(call: Call[StandinState], document: Document, operation: Operation, variables: Json) -> Json:
    world = call.state.world_of(call.grant.account)
    viewer = call.grant.person or world.rows("User")[0]["id"]
    reading = Reading(world, viewer)
    scopes = call.grant.scopes if call.state.open_to is None else None

    def happened(event: str, **about: Any) -> None:
        call.happened(event, account=call.grant.account, **about)

    writing = Writing(world, viewer, scopes, happened)

    def resolve(type_name: str, row: Json, name: str, arguments: Json) -> Any:
        if type_name == "Mutation":
            return writing(name, arguments)
        if type_name.endswith("Payload"):
            return row[name]
        return reading(type_name, row, name, arguments)

    execution = Execution(schema(), document, variables, resolve)
    data = execution.run(operation)
    return {**({"errors": execution.errors} if execution.errors else {}), "data": data}


def _count(state: StandinState, buckets: tuple[Bucket, Bucket], cost: int) -> None:
    for bucket, drops, what in zip(buckets, (1, cost), ("requests", "complexity points"), strict=True):
        if bucket.level + drops > bucket.limit:
            said = SLOWED.format(limit=bucket.limit, what=what)
            raise Refusal(400, "RATELIMITED", said, _limits(state, buckets, empty=bucket))
    for bucket, drops in zip(buckets, (1, cost), strict=True):
        bucket.level += drops


def _limits(
    state: StandinState, buckets: tuple[Bucket, Bucket], empty: Bucket | None = None
) -> dict[str, str]:
    headers: dict[str, str] = {}
    for bucket, name in zip(buckets, ("Requests", "Complexity"), strict=True):
        hours = bucket.level / bucket.limit
        left = 0 if bucket is empty else max(int(bucket.limit - bucket.level), 0)
        headers |= {
            f"X-RateLimit-{name}-Limit": f"{bucket.limit:.0f}",
            f"X-RateLimit-{name}-Remaining": str(left),
            f"X-RateLimit-{name}-Reset": str(int((state.now().timestamp() + hours * 3600) * 1000)),
        }
    return headers


def _delivery(state: StandinState, about: Json) -> tuple[Json, dict[str, str]]:
    body, headers = delivery(state.world_of(str(about.get("account", ""))), about, state.new_id())
    return body, dict(headers)


SERVICE = Service[StandinState](
    title="Linear",
    sign_in=RULES,
    consent=consent,
    refuse=refuse,
    words={
        FaultKind.RATE_LIMITED: Refusal(400, "RATELIMITED", SLOWED.format(limit=5_000, what="requests")),
        FaultKind.UNAVAILABLE: Refusal(503, "INTERNAL_SERVER_ERROR", "Service unavailable"),
        FaultKind.OVERLOADED: Refusal(503, "INTERNAL_SERVER_ERROR", "Service unavailable"),
        FaultKind.FORBIDDEN: Refusal(200, "FORBIDDEN", "You don't have access to this team."),
        FaultKind.CONFLICT: Refusal(200, "LOCK_TIMEOUT", "Timed out waiting for a lock."),
        FaultKind.SERVER_ERROR: Refusal(500, "INTERNAL_SERVER_ERROR", "Internal server error"),
    },
    signed_out=Refusal(401, "AUTHENTICATION_ERROR", "Authentication required, not authenticated"),
    unreadable=Refusal(400, "GRAPHQL_PARSE_FAILED", "The body is not a JSON object."),
    unknown=lambda request: Refusal(404, "INPUT_ERROR", f"Cannot {request.method} {request.url.path}"),
    token_answer=token_answer,
    token_of=token_of,
    webhook=read_manifest(MANIFEST).webhook,
    delivery=_delivery,
    wrong_shape={"data": {"issues": {"nodes": "none", "pageInfo": 7}}},
)


def create_app(state: StandinState | None = None) -> Starlette:
    """The server over one state."""
    return standin.create_app(SERVICE, state or StandinState(), [("POST", "/graphql", graphql)])
