"""The server's application: every protocol over one script, faults, and a control side for tests."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict, replace
from itertools import islice
from typing import Any, cast

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from omniforge.core.errors import Invalid
from omniforge.llm.scripts import FaultKind, Script, Turn, given, parse_turns
from omniforge.llm.standin import anthropic, responses
from omniforge.llm.standin.chat import Chat
from omniforge.llm.standin.speech import REFUSALS, Json, Protocolled, Refusal, Said
from omniforge.llm.standin.state import ModelServer, Recorded

PROTOCOLS: dict[str, tuple[Any, str]] = {
    "/v1/messages": (anthropic, "msg_"),
    "/v1/chat/completions": (Chat(), "chatcmpl-"),
    "/v1/responses": (responses, "resp_"),
    "/api/v1/chat/completions": (Chat(router=True), "gen-"),
}
GARBAGE = "<html><body><h1>502 Bad Gateway</h1></body></html>"
OVER = Refusal(400, "invalid_request_error", "invalid_request_error", "script_over", "No turn is left.")
LOOK = 0.05
"""Seconds between two looks at whether the client is still there."""


def create_app(script: Script | ModelServer | None = None) -> Starlette:
    """The server. `app.state.standin` is looked up per request, so a test may put a fresh one there."""
    routes = [
        Route(path, _spoken(protocol, prefix), methods=["POST"])
        for path, (protocol, prefix) in PROTOCOLS.items()
    ]
    routes += [
        Route("/_control/requests", _recorded, methods=["GET"]),
        Route("/_control", _change, methods=["POST"]),
    ]
    app = Starlette(routes=routes)
    app.state.standin = script if isinstance(script, ModelServer) else ModelServer(script or Script())
    return app


def _spoken(protocol: Protocolled, prefix: str) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        server = cast("ModelServer", request.app.state.standin)
        body = cast("Json", await request.json())
        entry = Recorded(request.url.path, body, tuple(request.headers.keys()))
        server.record(entry)
        response = await _answered(request, server, protocol, prefix, body)
        entry.status = response.status_code
        return response

    return endpoint


async def _answered(
    request: Request, server: ModelServer, protocol: Protocolled, prefix: str, body: Json
) -> Response:
    asked = protocol.asked(body)
    if server.keys is not None and _key(request) not in server.keys:
        return _refuse(protocol, REFUSALS[FaultKind.UNAUTHORIZED])
    await _wait(request, server, server.delay)
    turn = server.faults.pop(0) if server.faults else server.script.next(asked)
    if turn is not None and turn.fault is FaultKind.SLOW:
        await _wait(request, server, turn.seconds)
        turn = _unless_alone(turn) or server.script.next(asked)
    if turn is None:
        return _refuse(protocol, OVER)
    refusal = REFUSALS.get(turn.fault) if turn.fault else None
    if refusal is not None and not (turn.fault is FaultKind.FAILING and asked.stream):
        return _refuse(protocol, refusal, turn)
    if turn.fault is FaultKind.GARBAGE:
        return Response(GARBAGE, media_type="text/html")
    said = _said(server, given(turn, asked), prefix, asked.model, body)
    if asked.stream:
        return _Stream(_streamed(request, server, protocol, said), media_type="text/event-stream")
    return _whole(protocol, said)


def _unless_alone(turn: Turn) -> Turn | None:
    """A slow turn without its fault; None when it says nothing and the script has the word."""
    says = turn.text is not None or turn.value is not None or turn.tools
    return replace(turn, fault=None) if says else None


def _key(request: Request) -> str:
    bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
    return request.headers.get("x-api-key", bearer)


def _refuse(protocol: Protocolled, refusal: Refusal, turn: Turn | None = None) -> Response:
    headers = {"request-id": "req_standin", "x-request-id": "req_standin"}
    if turn is not None and turn.fault is FaultKind.RATE_LIMITED:
        headers["retry-after"] = f"{turn.seconds:g}"
    return JSONResponse(protocol.refused(refusal), refusal.status, headers)


def _said(server: ModelServer, turn: Turn, prefix: str, model: str, body: Json) -> Said:
    given_usage = turn.usage
    rough = len(json.dumps([turn.text, [asdict(tool) for tool in turn.tools]])) // 4
    ids = [server.new_id(prefix)]
    ids += [server.new_id("toolu_" if prefix == "msg_" else "call_") for _ in turn.tools]
    if turn.fault in (FaultKind.EMPTY, FaultKind.REFUSED):
        ids = ids[:1]
    return Said(
        turn,
        model,
        tokens_in=given_usage.get("in", max(len(json.dumps(body)) // 4, 1)),
        tokens_out=given_usage.get("out", max(rough, 1)),
        tokens_cached=given_usage.get("cached", 0),
        ids=tuple(ids),
    )


def _whole(protocol: Protocolled, said: Said) -> Response:
    text = json.dumps(protocol.whole(said))
    match said.turn.fault:
        case FaultKind.HALF_JSON:
            return Response(text[: len(text) // 2], media_type="application/json")
        case FaultKind.CUT:
            return _Cut(text[: len(text) // 2], headers={"content-length": str(len(text))})
        case _:
            return Response(text, media_type="application/json")


async def _streamed(
    request: Request, server: ModelServer, protocol: Protocolled, said: Said
) -> AsyncIterator[str]:
    """The events of a stream; raises `_Ended` where the connection ends on the spot."""
    events = list(protocol.events(said))
    fault = said.turn.fault
    if fault in (FaultKind.CUT, FaultKind.HALF_JSON, FaultKind.FAILING):
        events = list(islice(events, max(len(events) // 2, 1)))
    for number, (name, data) in enumerate(events):
        line = _event(name, data)
        if fault is FaultKind.HALF_JSON and number == len(events) - 1:
            yield line[: len(line) // 2]
            yield "\n\n"
            return
        yield line
        await _wait(request, server, said.turn.pause)
    if fault is FaultKind.FAILING:
        yield _event(*protocol.failed(REFUSALS[fault]))
    elif fault is FaultKind.CUT:
        raise _Ended


def _event(name: str | None, data: Json | str) -> str:
    text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
    return f"event: {name}\ndata: {text}\n\n" if name else f"data: {text}\n\n"


async def _wait(request: Request, server: ModelServer, seconds: float) -> None:
    """Some time, unless the client goes away in it."""
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    while (left := until - loop.time()) > 0:
        await asyncio.sleep(min(left, LOOK))
        if await request.is_disconnected():
            server.left += 1
            raise asyncio.CancelledError


class _Cut(Response):
    """Less than was promised, and then the connection ends."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})


class _Ended(Exception):
    """The connection ends here."""


class _Stream(StreamingResponse):
    """A stream that may end without its end."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        try:
            async for part in self.body_iterator:
                body = cast("str", part).encode()
                await send({"type": "http.response.body", "body": body, "more_body": True})
        except _Ended:
            return
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _recorded(request: Request) -> Response:
    """Every request that arrived, oldest first, and how many clients went away unanswered."""
    server: ModelServer = request.app.state.standin
    return JSONResponse({"requests": [asdict(entry) for entry in server.requests], "left": server.left})


async def _change(request: Request) -> Response:
    """`{turns?, faults?, delay?, reset?}`: turns replace the script; faults come before it goes on."""
    server: ModelServer = request.app.state.standin
    body = cast("Json", await request.json())
    try:
        turns = parse_turns(body.get("turns") or [])
        faults = parse_turns(body.get("faults") or [])
    except Invalid as error:
        return JSONResponse({"error": error.message, **error.details}, 422)
    if body.get("reset") is True:
        server.faults.clear()
        server.requests.clear()
    if turns:
        server.script = Script(turns)
    server.faults += [fault for fault in faults for _ in range(fault.times)]
    server.delay = float(body.get("delay", server.delay))
    return JSONResponse({"faults": len(server.faults)})
