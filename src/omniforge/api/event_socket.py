"""The event log over a WebSocket: what was after `after`, then what comes; filters may be replaced."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine
from dataclasses import replace
from enum import IntEnum
from typing import Any
from urllib.parse import parse_qsl, urlencode

from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from omniforge.api.event_shapes import SocketQuery, Subscription
from omniforge.api.events import Standing, feed_of
from omniforge.api.feed import Following
from omniforge.api.hearing import require_any
from omniforge.core import plainjson
from omniforge.core.actor import Actor
from omniforge.core.errors import Forbidden, Invalid, OmniForgeError, Unauthenticated
from omniforge.core.shapes import checked
from omniforge.tenants.endpoints import facts_of, tenants_of
from omniforge.tenants.local import RequestFacts

SILENCE = 30.0
"""Seconds after which a socket without events says that it lives."""
FAREWELL = 5.0
"""Seconds that a reader has for taking the last words."""

router = APIRouter(tags=["events"])


class Close(IntEnum):
    """Why a socket was closed."""

    INVALID = 1008
    TOO_SLOW = 1013
    UNAUTHENTICATED = 4401
    FORBIDDEN = 4403


class TooSlow(OmniForgeError):
    """More happens than the reader takes; it comes back with the last seq it has seen."""

    status = 429
    code = "too_slow"


@router.websocket("/api/v1/ws/events")
@router.websocket("/ws/events")
async def follow_by_socket(socket: WebSocket) -> None:
    facts, given = _read(socket)
    await socket.accept()
    try:
        await _serve(socket, facts, given)
    except WebSocketDisconnect:
        return
    except OmniForgeError as error:
        await _say_goodbye(socket, error)


async def _serve(socket: WebSocket, facts: RequestFacts, given: dict[str, Any]) -> None:
    tenants = tenants_of(socket)

    async def ask() -> Actor:
        return await tenants.authenticate(facts)

    actor = await ask()
    require_any(actor)
    query = checked(SocketQuery, given, "The address")
    async with feed_of(socket).following(actor, query.filter(), query.after) as reader:
        await _first(_send(socket, reader, Standing(ask)), _listen(socket, reader), _watch(reader))


async def _first(*works: Coroutine[Any, Any, None]) -> None:
    """All at once, until one is over; it decides how."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        over, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in over:
        task.result()


async def _send(socket: WebSocket, reader: Following, standing: Standing) -> None:
    while True:
        await standing.keep(reader)
        told = await reader.next(SILENCE)
        for one in told:
            await socket.send_text(one.text)
        if not told:
            await socket.send_text('{"type":"ping"}')


async def _listen(socket: WebSocket, reader: Following) -> None:
    """Take what the reader says; what is not understood is answered, and changes nothing."""
    while True:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1005))
        raw: bytes = message.get("bytes") or (message.get("text") or "").encode("utf-8", "replace")
        try:
            _obey(reader, raw)
        except Invalid as error:
            await socket.send_text(json.dumps({"type": "error", **_told(error)}))


def _obey(reader: Following, raw: bytes) -> None:
    try:
        given: Any = plainjson.parse(raw)
    except (plainjson.NotPlain, json.JSONDecodeError) as flaw:
        raise Invalid(f"The message is not understood: {flaw}.") from None
    if isinstance(given, dict) and given.get("type") == "pong":  # pyright: ignore[reportUnknownMemberType]
        return
    if not isinstance(given, dict):
        raise Invalid('A message is an object, such as {"type": "subscribe", "event_types": "ticket.*"}.')
    asked = checked(Subscription, given, "The message")  # pyright: ignore[reportUnknownArgumentType]
    reader.wanted = asked.filter()
    if asked.after is not None:
        reader.rewind(asked.after)


async def _watch(reader: Following) -> None:
    await reader.fell_behind.wait()
    raise TooSlow(f"More happens than you take. Come back with after={reader.after}.", after=reader.after)


def _read(socket: WebSocket) -> tuple[RequestFacts, dict[str, Any]]:
    """Who it is, and what the address asks for. `token` counts as a header; it is taken out of the address,
    which may be logged."""
    pairs = parse_qsl(socket.scope["query_string"].decode("latin-1"), keep_blank_values=True)
    tokens = [value for name, value in pairs if name == "token"]
    asked = [pair for pair in pairs if pair[0] != "token"]
    socket.scope["query_string"] = urlencode(asked).encode()
    facts = facts_of(socket, tenants_of(socket).settings)
    if tokens and "authorization" not in facts.headers:
        facts = replace(facts, headers={**facts.headers, "authorization": f"Bearer {tokens[0]}"})
    return facts, dict(asked)


async def _say_goodbye(socket: WebSocket, error: OmniForgeError) -> None:
    """Why, in words and as a code; a reader who takes nothing any more is left without."""
    match error:
        case Unauthenticated():
            code = Close.UNAUTHENTICATED
        case Forbidden():
            code = Close.FORBIDDEN
        case TooSlow():
            code = Close.TOO_SLOW
        case _:
            code = Close.INVALID
    try:
        async with asyncio.timeout(FAREWELL):
            await socket.close(code, error.message.encode()[:120].decode(errors="ignore"))
    except (TimeoutError, RuntimeError):  # nobody is there to be told
        return


def _told(error: OmniForgeError) -> dict[str, Any]:
    return {"error": error.code, "message": error.message, "details": error.details}
