"""The host's end of the bridge: newline-delimited JSON, with a peer that may be hostile."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from socket import socket
from typing import Any

from omniforge.core import plainjson
from omniforge.core.errors import OmniForgeError, RateLimited, Retryable
from omniforge.sandboxes.protocol import MIB, Bridge

MAX_LINE = 1 * MIB
"""One request of a program."""
MAX_ANSWER = 16 * MIB
"""One answer to it: what a service said, read completely."""
MAX_OVERLAP = 64
"""Requests answered at once. Further ones wait in the socket, where the program feels them."""

log = logging.getLogger(__name__)


async def serve_bridge(sock: socket, bridge: Bridge) -> None:
    """Answer requests until the other end closes or this task is cancelled; open calls are cancelled then.

    Every line gets exactly one answer; what is no request gets an error object, its id null when unknown.
    """
    reader, writer = await asyncio.open_connection(sock=sock)
    slots = asyncio.Semaphore(MAX_OVERLAP)

    async def answer(line: bytes | None) -> None:
        try:
            writer.write(await _answer(line, bridge))
            await writer.drain()
        finally:
            slots.release()

    try:
        async with asyncio.TaskGroup() as calls:
            async for line in _lines(reader):
                await slots.acquire()
                calls.create_task(answer(line))
    except* ConnectionError:
        pass  # the program ended while it was being answered
    finally:
        writer.close()


async def _lines(reader: asyncio.StreamReader) -> AsyncIterator[bytes | None]:
    """Non-empty lines without their end; None for one that is too long."""
    kept, too_long = bytearray(), False
    while chunk := await reader.read(65536):
        *ended, rest = chunk.split(b"\n")
        for part in ended:
            if too_long or len(kept) + len(part) > MAX_LINE:
                yield None
            elif line := bytes(kept + part).strip():
                yield line
            kept, too_long = bytearray(), False
        kept += rest
        if len(kept) > MAX_LINE:
            kept, too_long = bytearray(), True


async def _answer(line: bytes | None, bridge: Bridge) -> bytes:
    if line is None:
        return _encode(_error("bad_request", f"A request is longer than {MAX_LINE} bytes."), None)
    try:
        request = parse_object(line)
        request_id = _request_id(request)
    except ValueError as error:
        return _encode(_error("bad_request", f"A request must be one JSON object: {error}."), None)
    try:
        return _encode(await bridge(request), request_id)
    except OmniForgeError as error:
        refusal = _error(
            error.code,
            error.message,
            retryable=isinstance(error, Retryable | RateLimited) or bool(getattr(error, "retryable", False)),
            retry_after=getattr(error, "retry_after", None),
        )
    except Exception:
        # The path of a request ends here: the program gets an answer, the developer the log.
        log.exception("The bridge failed on a request of operation %r", request.get("op"))
        refusal = _error("internal", "The host could not answer this request.")
    return _encode(refusal, request_id)


def _request_id(request: dict[str, Any]) -> int | str | None:
    match request.get("id"):
        case int() | None as number:
            return number
        case str() as name if len(name) <= 100:
            return name
        case _:
            raise ValueError("its id must be a number or a short text")


def parse_object(raw: bytes) -> dict[str, Any]:
    """One JSON object of an untrusted program; raises `ValueError` with a short reason."""
    value: object = plainjson.parse(raw)
    if not isinstance(value, dict):
        raise ValueError("not an object")  # noqa: TRY004 - the caller asks one question: is it usable?
    return value  # pyright: ignore[reportUnknownVariableType]


def _error(
    code: str, message: str, *, retryable: bool = False, retry_after: float | None = None
) -> dict[str, Any]:
    error: dict[str, Any] = {"code": code, "message": message, "retryable": retryable}
    if retry_after is not None:
        error["retry_after"] = retry_after
    return {"ok": False, "error": error}


def _encode(response: dict[str, Any], request_id: object) -> bytes:
    line = json.dumps({**response, "id": request_id}, separators=(",", ":"), allow_nan=False).encode() + b"\n"
    if len(line) <= MAX_ANSWER:
        return line
    return _encode(_error("result_too_large", f"The answer is longer than {MAX_ANSWER} bytes."), request_id)
