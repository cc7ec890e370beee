"""A local server's application: its API behind faults, pace and tokens, and a control side for tests."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, Generic, cast

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from omniforge.integrations.standin import control, signin
from omniforge.integrations.standin.reading import read_object
from omniforge.integrations.standin.rules import Refusal, S, Service
from omniforge.integrations.standin.state import Fault, FaultKind, Grant, Json, Recorded

TIMED = (FaultKind.RATE_LIMITED, FaultKind.OVERLOADED)


class Call(Generic[S]):
    """One checked request: who asks (`grant`), and its body as an object (`{}` when it has none)."""

    def __init__(self, request: Request, service: Service[S], state: S, grant: Grant, body: Json) -> None:
        self.request, self.service, self.state = request, service, state
        self.grant, self.body = grant, body
        self.events: list[Json] = []

    @property
    def params(self) -> Mapping[str, str]:
        """Query parameters, then the fields of the body that are texts; for services that take either."""
        body = {name: value for name, value in self.body.items() if isinstance(value, str)}
        return {**dict(self.request.query_params), **body}

    def segment(self, name: str) -> str:
        """A part of the path, as the route names it."""
        return str(self.request.path_params[name])

    def happened(self, event: str, **about: Any) -> None:
        """Tell every address that wants deliveries; `Service.delivery` makes the body from this."""
        self.events.append({"event": event, **about})


Handler = Callable[[Call[S]], Awaitable[Any]]
"""Answers with JSON (200), or with a Response of its own; raises Refusal."""


def create_app(
    service: Service[S],
    state: S,
    api: Sequence[tuple[str, str, Handler[S]]],
    *,
    further: Sequence[BaseRoute] = (),
) -> Starlette:
    """The server over one state. `api` are (method, path, handler); `further` routes are served as they are.

    The state is looked up per request as `app.state.standin`, so a test may put a fresh one there.
    """
    rules = service.sign_in
    routes: list[BaseRoute] = [
        Route(rules.authorize, _sign_in(service, signin.authorize), methods=["GET"]),
        Route(rules.authorize, _sign_in(service, signin.decide), methods=["POST"]),
        Route(rules.token, _sign_in(service, signin.token), methods=["POST"]),
        Route("/_control/requests", control.recorded, methods=["GET"]),
        Route("/_control/deliver", partial(control.deliver, service), methods=["POST"]),
        Route("/_control", control.change, methods=["POST"]),
    ]
    if rules.revoke is not None:
        routes.append(Route(rules.revoke, _sign_in(service, signin.revoke), methods=["POST"]))
    routes += [Route(path, _served(service, handler), methods=[method]) for method, path, handler in api]
    routes += further

    async def unknown(request: Request, _: Exception) -> Response:
        return service.refuse(service.unknown(request))

    app = Starlette(routes=routes, exception_handlers={404: unknown, 405: unknown})
    app.state.standin = state
    return app


def _sign_in(service: Service[S], handler: Callable[[Request, Any, Any], Awaitable[Response]]) -> Any:
    """Around a sign-in address: only faults that name its whole path."""

    async def endpoint(request: Request) -> Response:
        state = request.app.state.standin
        fault = state.fault_for(request.method, request.url.path, exact=True)
        early = await _faulty(service, fault) if fault is not None else None
        if early is not None:
            return early
        answer = await handler(request, service, state)
        return _lost(service) if fault is not None and fault.kind is FaultKind.LOST else answer

    return endpoint


def _served(service: Service[S], handler: Handler[S]) -> Any:
    """Around every API address: record, faults, token, pace, body, errors in the service's shape."""

    async def endpoint(request: Request) -> Response:
        state = cast("S", request.app.state.standin)
        body = await read_object(request)
        entry = Recorded(request.method, request.url.path, body)
        state.record(entry)
        words = (await request.body()).decode(errors="replace")
        fault = state.fault_for(request.method, request.url.path, words)
        response = await _faulty(service, fault) if fault is not None else None
        if response is None:
            response = await _answered(request, service, state, body, handler)
            if fault is not None and fault.kind is FaultKind.LOST:
                response = _lost(service)
        entry.status = response.status_code
        return response

    return endpoint


async def _answered(
    request: Request, service: Service[S], state: S, body: Json | None, handler: Handler[S]
) -> Response:
    try:
        grant = _admit(request, service, state)
        if body is None:
            raise service.unreadable
        call = Call(request, service, state, grant, body)
        answer = await handler(call)
    except Refusal as refusal:
        return service.refuse(refusal)
    response = answer if isinstance(answer, Response) else JSONResponse(answer)
    if call.events and state.hooks:
        response.background = BackgroundTask(control.tell, service, state, call.events)
    return response


def _admit(request: Request, service: Service[S], state: S) -> Grant:
    token = service.token_of(request)
    grant = state.grant_of(token) if token is not None else None
    if grant is None:
        raise service.signed_out
    service.check(request, grant)
    if state.is_too_fast(service.pace_key(request, grant)):
        raise _worded(service, FaultKind.RATE_LIMITED, 1)
    return grant


def _worded(service: Service[S], kind: FaultKind, seconds: float) -> Refusal:
    said = service.words[kind]
    wait = {"Retry-After": f"{seconds:g}"} if kind in TIMED else {}
    return Refusal(said.status, said.code, str(said), wait | said.headers)


def _lost(service: Service[S]) -> Response:
    return service.refuse(_worded(service, FaultKind.SERVER_ERROR, 0))


async def _faulty(service: Service[S], fault: Fault) -> Response | None:
    """The wrong answer; None for one that is only late, or lost afterwards."""
    match fault.kind:
        case FaultKind.SLOW:
            await asyncio.sleep(fault.seconds)
            return None
        case FaultKind.LOST:
            return None
        case FaultKind.GARBAGE:
            return Response("<html><body><h1>502 Bad Gateway</h1></body></html>", 200, media_type="text/html")
        case FaultKind.HALF_JSON:
            return PlainTextResponse(
                '{"object":"list","results":[{"object":"pa', media_type="application/json"
            )
        case FaultKind.WRONG_SHAPE:
            return JSONResponse(service.wrong_shape)
        case FaultKind.HUGE:
            return PlainTextResponse('{"x":"' + "a" * (9 * 1024 * 1024) + '"}', media_type="application/json")
        case kind:
            return service.refuse(_worded(service, kind, fault.seconds))
