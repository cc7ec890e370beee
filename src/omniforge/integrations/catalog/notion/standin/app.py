"""The local server's addresses: the parts of Notion's API that are used, and a control side for tests."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any, cast

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from omniforge.integrations.catalog.notion.standin import consent, shapes
from omniforge.integrations.catalog.notion.standin.query import NotAccepted, page_of, select
from omniforge.integrations.catalog.notion.standin.state import (
    Fault,
    FaultKind,
    Grant,
    Recorded,
    StandinState,
)
from omniforge.integrations.catalog.notion.standin.workspace import Block, Json, Row, Table

VERSIONS = frozenset({"2025-09-03", "2026-03-11"})


class Refusal(Exception):
    """An error answer in Notion's shape."""

    def __init__(self, status: int, code: str, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.headers = status, code, headers


class Call:
    """One checked request: who asks, and the JSON body."""

    def __init__(self, request: Request, state: StandinState, grant: Grant, body: Json) -> None:
        self.request, self.state, self.grant, self.body = request, state, grant, body
        self.workspace = state.workspace

    @property
    def id(self) -> str:
        given = str(self.request.path_params["id"])
        try:
            return str(uuid.UUID(given))
        except ValueError:
            raise Refusal(
                400,
                "validation_error",
                f"path failed validation: id should be a valid uuid, instead was `{given}`.",
            ) from None

    def table(self, given: str, *, source: bool) -> Table:
        table = self.workspace.table(given)
        wrong = table is not None and given == (table.id if source else table.source_id)
        if table is None or wrong:
            kind = "data source" if source else "database"
            raise _missing(kind, given)
        return table

    def row(self, given: str) -> tuple[Table, Row]:
        row = self.workspace.rows.get(given)
        table = self.workspace.table(row.table_id) if row else None
        if row is None or table is None:
            raise _missing("page", given)
        return table, row


Answer = Callable[[Call], Awaitable[Json]]


def _missing(kind: str, given: str) -> Refusal:
    said = f"Could not find {kind} with ID: {given}. Make sure it is shared with your integration."
    return Refusal(404, "object_not_found", said)


async def me(call: Call) -> Json:
    owner = call.workspace.person(call.grant.person_id) or call.workspace.people[0]
    return shapes.bot_json(call.workspace, owner)


async def users(call: Call) -> Json:
    asked = call.request.query_params
    people = [shapes.person_json(person) for person in call.workspace.people]
    return _listed(people, "user", asked.get("start_cursor"), asked.get("page_size"))


async def search(call: Call) -> Json:
    given = call.body.get("filter")
    wanted = cast("Json", given) if isinstance(given, dict) else {}
    kind = wanted.get("value")
    if wanted and (wanted.get("property") != "object" or kind not in ("page", "data_source")):
        raise NotAccepted('body.filter.value should be "page" or "data_source"')
    words = str(call.body.get("query") or "").casefold()
    found: list[Json] = []
    if kind in (None, "data_source"):
        found += [
            shapes.source_json(call.workspace, table)
            for table in call.workspace.tables
            if words in table.name.casefold()
        ]
    if kind in (None, "page"):
        for table in call.workspace.tables:
            found += [
                shapes.page_json(call.workspace, table, row)
                for row in call.workspace.rows_of(table)
                if words in str(row.values.get(table.title, "")).casefold()
            ]
    found.sort(key=lambda item: str(item["last_edited_time"]), reverse=True)
    return _listed(found, "page_or_data_source", call.body.get("start_cursor"), call.body.get("page_size"))


async def database(call: Call) -> Json:
    return shapes.database_json(call.workspace, call.table(call.id, source=False))


async def data_source(call: Call) -> Json:
    return shapes.source_json(call.workspace, call.table(call.id, source=True))


async def query(call: Call) -> Json:
    table = call.table(call.id, source=True)
    rows = select(table, call.workspace.rows_of(table), call.body)
    part, cursor = page_of(rows, call.body.get("start_cursor"), call.body.get("page_size"))
    only = set(call.request.query_params.getlist("filter_properties[]")) or None
    pages = [shapes.page_json(call.workspace, table, row, only) for row in part]
    return _list(pages, "page_or_data_source", cursor)


async def read_page(call: Call) -> Json:
    return shapes.page_json(call.workspace, *call.row(call.id))


async def create_page(call: Call) -> Json:
    parent = call.body.get("parent")
    source_id = cast("Json", parent).get("data_source_id") if isinstance(parent, dict) else None
    if not isinstance(source_id, str):
        raise NotAccepted("body failed validation: body.parent.data_source_id should be defined.")
    table, workspace = call.table(source_id, source=True), call.workspace
    values = shapes.written_values(workspace, table, call.body.get("properties"))
    blocks = shapes.written_blocks(workspace, call.body.get("children"))
    now = workspace.now()
    row = Row(workspace.new_id(), table.id, now, now, workspace.bot_id, values, blocks)
    workspace.rows[row.id] = row
    return shapes.page_json(workspace, table, row)


async def update_page(call: Call) -> Json:
    table, row = call.row(call.id)
    if "archived" in call.body:
        raise NotAccepted("body.archived is not supported, use body.in_trash")
    row.values = {
        **row.values,
        **shapes.written_values(call.workspace, table, call.body.get("properties", {})),
    }
    row.in_trash = call.body.get("in_trash") is True
    row.edited = call.workspace.now()
    return shapes.page_json(call.workspace, table, row)


async def children(call: Call) -> Json:
    asked = call.request.query_params
    blocks = [shapes.block_json(block) for block in _children(call)]
    return _listed(blocks, "block", asked.get("start_cursor"), asked.get("page_size"))


async def append(call: Call) -> Json:
    if "after" in call.body:
        raise NotAccepted("body.after is not supported, use body.position")
    made = shapes.written_blocks(call.workspace, call.body.get("children"))
    _children(call).extend(made)
    return _list([shapes.block_json(block) for block in made], "block", None)


def _children(call: Call) -> list[Block]:
    row = call.workspace.rows.get(call.id)
    if row is not None:
        return row.blocks
    block = call.workspace.block(call.id)
    if block is None:
        raise _missing("block", call.id)
    return block.children


def _listed(results: list[Json], kind: str, cursor: Any, size: Any) -> Json:
    part, following = page_of(results, cursor, size)
    return _list(part, kind, following)


def _list(results: list[Json], kind: str, cursor: str | None) -> Json:
    return {
        "object": "list",
        "results": results,
        "next_cursor": cursor,
        "has_more": cursor is not None,
        "type": kind,
        kind: {},
        "request_id": str(uuid.uuid4()),
    }


def api(answer: Answer) -> Callable[[Request], Awaitable[Response]]:
    """Around every API address: record, faults, pace, version, token, body, errors in Notion's shape."""

    async def endpoint(request: Request) -> Response:
        state: StandinState = request.app.state.standin
        body = await consent.read_object(request) if request.method != "GET" else {}
        entry = Recorded(request.method, request.url.path, body)
        state.record(entry)
        fault = state.fault_for(request.method, request.url.path)
        response = None
        if fault is not None and fault.kind is not FaultKind.LOST:
            response = await _faulty(fault)
        if response is None:
            response = await _answered(request, state, body, answer)
        if fault is not None and fault.kind is FaultKind.LOST:
            response = _error(Refusal(500, "internal_server_error", "Unexpected error occurred."))
        entry.status = response.status_code
        return response

    return endpoint


async def _answered(request: Request, state: StandinState, body: Json | None, answer: Answer) -> Response:
    try:
        grant = _admit(request, state)
        if body is None:
            return _error(Refusal(400, "invalid_json", "Error parsing JSON body."))
        return JSONResponse(await answer(Call(request, state, grant, body)))
    except NotAccepted as error:
        return _error(Refusal(400, "validation_error", str(error)))
    except Refusal as refusal:
        return _error(refusal)


def _admit(request: Request, state: StandinState) -> Grant:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    grant = state.grant_of(token) if scheme.lower() == "bearer" else None
    if grant is None:
        raise Refusal(401, "unauthorized", "API token is invalid.")
    version = request.headers.get("notion-version")
    if version is None:
        raise Refusal(
            400, "missing_version", "Notion-Version header should be defined, instead was `undefined`."
        )
    if version not in VERSIONS:
        raise Refusal(400, "validation_error", f"Notion-Version {version} is not supported here.")
    if state.is_too_fast(grant.family):
        said = "You have been rate limited. Please try again in a few minutes."
        raise Refusal(429, "rate_limited", said, {"Retry-After": "1"})
    return grant


async def _faulty(fault: Fault) -> Response | None:
    """The wrong answer; None for a slow one, which is only late."""
    match fault.kind:
        case FaultKind.SLOW:
            await asyncio.sleep(fault.seconds)
            return None
        case FaultKind.GARBAGE:
            return Response("<html><body><h1>502 Bad Gateway</h1></body></html>", 200, media_type="text/html")
        case FaultKind.HALF_JSON:
            return PlainTextResponse(
                '{"object":"list","results":[{"object":"pa', media_type="application/json"
            )
        case FaultKind.WRONG_SHAPE:
            return JSONResponse({"object": "list", "results": "none", "has_more": 7})
        case FaultKind.HUGE:
            return PlainTextResponse('{"x":"' + "a" * (9 * 1024 * 1024) + '"}', media_type="application/json")
        case FaultKind.RATE_LIMITED:
            wait = {"Retry-After": f"{fault.seconds:g}"}
            return _error(Refusal(429, "rate_limited", "You have been rate limited.", wait))
        case FaultKind.OVERLOADED:
            wait = {"Retry-After": f"{fault.seconds:g}"}
            return _error(Refusal(529, "service_overload", "Notion is overloaded.", wait))
        case FaultKind.UNAVAILABLE:
            return _error(
                Refusal(503, "service_unavailable", "Notion is unavailable, please try again later.")
            )
        case FaultKind.FORBIDDEN:
            return _error(Refusal(403, "restricted_resource", "Insufficient permissions for this endpoint."))
        case FaultKind.CONFLICT:
            return _error(Refusal(409, "conflict_error", "Conflict occurred while saving."))
        case FaultKind.SERVER_ERROR | FaultKind.LOST:
            return _error(Refusal(500, "internal_server_error", "Unexpected error occurred."))


def _error(refusal: Refusal) -> Response:
    body = {
        "object": "error",
        "status": refusal.status,
        "code": refusal.code,
        "message": str(refusal),
        "request_id": str(uuid.uuid4()),
    }
    return JSONResponse(body, refusal.status, refusal.headers)


async def recorded(request: Request) -> Response:
    """Every API request that arrived, oldest first."""
    state: StandinState = request.app.state.standin
    return JSONResponse({"requests": [asdict(entry) for entry in state.requests]})


async def control(request: Request) -> Response:
    """Switch faults on, end tokens: `{faults?: [{kind, times, path, method, seconds}], tokens?, reset?}`.

    `tokens` is `expire` (access tokens end, refresh tokens go on) or `revoke` (all end).
    """
    state: StandinState = request.app.state.standin
    body = await consent.read_object(request) or {}
    try:
        added = [_fault(given) for given in body.get("faults", [])]
    except (KeyError, TypeError, ValueError) as error:
        return JSONResponse({"error": f"faults: {error}", "known": [kind.value for kind in FaultKind]}, 422)
    if body.get("reset") is True:
        state.faults.clear()
        state.requests.clear()
    state.faults += added
    match body.get("tokens"):
        case "expire":
            state.expire_access()
        case "revoke":
            state.revoke_all()
        case _:
            pass
    return JSONResponse({"faults": [asdict(fault) for fault in state.faults if fault.times > 0]})


def _fault(given: Json) -> Fault:
    known = {"times": int, "path": str, "method": str, "seconds": float}
    chosen: Json = {name: make(given[name]) for name, make in known.items() if name in given}
    return Fault(FaultKind(given["kind"]), **chosen)


async def unknown(request: Request, _: Exception) -> Response:
    return _error(Refusal(400, "invalid_request_url", f"Invalid request URL: {request.url.path}"))


def create_app(state: StandinState) -> Starlette:
    """The server over one state."""
    routes = [
        Route("/v1/oauth/authorize", consent.authorize, methods=["GET"]),
        Route("/v1/oauth/authorize", consent.decide, methods=["POST"]),
        Route("/v1/oauth/token", consent.token, methods=["POST"]),
        Route("/v1/oauth/revoke", consent.revoke, methods=["POST"]),
        Route("/v1/oauth/introspect", consent.introspect, methods=["POST"]),
        Route("/v1/users/me", api(me), methods=["GET"]),
        Route("/v1/users", api(users), methods=["GET"]),
        Route("/v1/search", api(search), methods=["POST"]),
        Route("/v1/databases/{id}", api(database), methods=["GET"]),
        Route("/v1/data_sources/{id}", api(data_source), methods=["GET"]),
        Route("/v1/data_sources/{id}/query", api(query), methods=["POST"]),
        Route("/v1/pages", api(create_page), methods=["POST"]),
        Route("/v1/pages/{id}", api(read_page), methods=["GET"]),
        Route("/v1/pages/{id}", api(update_page), methods=["PATCH"]),
        Route("/v1/blocks/{id}/children", api(children), methods=["GET"]),
        Route("/v1/blocks/{id}/children", api(append), methods=["PATCH"]),
        Route("/_control/requests", recorded, methods=["GET"]),
        Route("/_control", control, methods=["POST"]),
    ]
    app = Starlette(routes=routes, exception_handlers={404: unknown, 405: unknown})
    app.state.standin = state
    return app
