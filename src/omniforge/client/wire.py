"""Requests to a server: typed errors, tries that cannot do a thing twice, event streams that go on."""

from __future__ import annotations

import asyncio
import json as text_json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, cast
from urllib.parse import quote
from uuid import uuid4

import httpx

from omniforge.core import errors
from omniforge.core.errors import Conflict, OmniForgeError, ProviderError, RateLimited, Unavailable

Json = dict[str, Any]
Sleep = Callable[[float], Awaitable[None]]

BASE = "/api/v1"
TRIES = 4
FIRST_WAIT = 0.5
LONGEST_WAIT = 60.0
"""Seconds; a server that wants more time than that is told of by its error."""
SILENCE = 60.0
"""Seconds without a byte after which a stream is taken for broken; servers give a sign every 15."""
PASSING = frozenset({502, 503, 504})
IDEMPOTENT = frozenset({"GET", "HEAD", "PUT", "DELETE"})
UNDER_WAY = "since"
"""In the details of a Conflict: the first request under this `Idempotency-Key` is not answered yet."""

BY_STATUS: Mapping[int, type[OmniForgeError]] = {
    401: errors.Unauthenticated,
    403: errors.Forbidden,
    404: errors.NotFound,
    409: errors.Conflict,
    413: errors.PayloadTooLarge,
    422: errors.Invalid,
    503: errors.Unavailable,
}


def path_of(*parts: str) -> str:
    """An address below the base of the server's interface; each part is quoted."""
    return f"{BASE}/" + "/".join(quote(part, safe="") for part in parts)


def new_key() -> str:
    """A key under which a request, however often it is sent, is done once."""
    return f"sdk-{uuid4().hex}"


def error_of(answer: httpx.Response) -> OmniForgeError:
    """What a server refused, as the error of our tree; code, message and details are the server's."""
    body: Json = {}
    with suppress(ValueError):
        found: Any = answer.json()
        if isinstance(found, dict):
            body = cast("Json", found)
    message = str(body.get("message") or f"The server answered {answer.status_code} {answer.reason_phrase}.")
    code: str | None = body.get("error")
    error = _error(answer, message, code)
    error.details = {**error.details, **(body.get("details") or {})}
    return error


def _error(answer: httpx.Response, message: str, code: str | None) -> OmniForgeError:
    match answer.status_code:
        case 429:
            return RateLimited(message, retry_after=_seconds(answer) or FIRST_WAIT, code=code)
        case 502 | 504:
            return ProviderError(message, retryable=True, retry_after=_seconds(answer), code=code)
        case status:
            return BY_STATUS.get(status, OmniForgeError)(message, code=code)


def _seconds(answer: httpx.Response) -> float | None:
    """What `Retry-After` asks for, where it is a number of seconds."""
    said = answer.headers.get("retry-after", "").strip()
    return float(said) if said.isascii() and said.isdecimal() and len(said) < 10 else None


class Wire:
    """One server. `sleep` is called with seconds; whoever gave `http` closes it."""

    def __init__(self, http: httpx.AsyncClient, *, tries: int = TRIES, sleep: Sleep = asyncio.sleep) -> None:
        self.http, self.tries, self._sleep = http, tries, sleep

    async def ask(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        key: str | None = None,
    ) -> Json:
        """The answer. Sent again only if that cannot do it twice: by its method, under a `key`, or after 429.

        Raises the error of our tree that the server's answer stands for; `Unavailable` without an answer.
        """
        sent = {**(headers or {}), **({"Idempotency-Key": key} if key else {})}
        repeatable = method in IDEMPOTENT or key is not None
        given = {name: value for name, value in (params or {}).items() if value is not None}
        for attempt in range(1, self.tries + 1):
            try:
                answer = await self.http.request(method, path, json=json, params=given, headers=sent)
            except httpx.TransportError as broken:
                error, again = self._unreachable(broken), repeatable or isinstance(broken, httpx.ConnectError)
            else:
                if answer.is_success:
                    return self._read(answer)
                error = error_of(answer)
                again = _is_passing(error, answer.status_code, repeatable=repeatable, key=key)
            wait = _wait(error, attempt)
            if not again or attempt == self.tries or wait > LONGEST_WAIT:
                raise error
            await self._sleep(wait)
        raise AssertionError("unreachable")  # the last try returns or raises

    async def every(
        self, path: str, plural: str, *, limit: int | None = None, **params: Any
    ) -> AsyncGenerator[Json]:
        """The items of a list over all of its pages; at most `limit` of them."""
        offset = 0
        while limit is None or offset < limit:
            size = 200 if limit is None else min(200, limit - offset)
            page = await self.ask("GET", path, params={**params, "limit": size, "offset": offset})
            items: list[Json] = page[plural]
            for item in items:
                yield item
            offset += len(items)
            if not items or offset >= page["total"]:
                return

    async def follow(
        self, path: str, *, after: int = 0, params: Mapping[str, Any] | None = None
    ) -> AsyncGenerator[Json]:
        """Events after a `seq`, live and without end; a broken stream is taken up after the last one seen.

        Raises `Unavailable` when the server stays away for all tries in a row.
        """
        failures = 0
        while True:
            error: OmniForgeError = Unavailable(f"{self.http.base_url} ends the stream.")
            try:
                async with self._stream(path, after, params) as stream:
                    if stream.is_error:
                        await stream.aread()
                        error = error_of(stream)
                        if not _is_passing(error, stream.status_code, repeatable=True, key=None):
                            raise error
                    else:
                        async for event in sent_events(stream):
                            after, failures = max(after, int(event["seq"])), 0
                            yield event
            except httpx.TransportError as broken:
                error = self._unreachable(broken)
            failures += 1
            if failures >= self.tries:
                raise error
            await self._sleep(_wait(error, failures))

    def _stream(self, path: str, after: int, params: Mapping[str, Any] | None) -> Any:
        headers = {"Accept": "text/event-stream", "Last-Event-ID": str(after)}
        timeout = httpx.Timeout(None, connect=5, read=SILENCE)
        given = {**(params or {}), "after": after}
        return self.http.stream("GET", path, params=given, headers=headers, timeout=timeout)

    def _read(self, answer: httpx.Response) -> Json:
        try:
            body: Any = answer.json() if answer.content else {}
        except ValueError:
            body = None
        if not isinstance(body, dict):
            raise Unavailable(f"{self.http.base_url} answered something that is not OmniForge's.")
        return cast("Json", body)

    def _unreachable(self, broken: httpx.TransportError) -> Unavailable:
        said = str(broken) or type(broken).__name__
        return Unavailable(
            f"{self.http.base_url} does not answer: {said}. Is it running ('omniforge up'), at this address?",
            code="unreachable",
        )


async def sent_events(stream: httpx.Response) -> AsyncGenerator[Json]:
    """The data of an event stream, each as it comes."""
    data: list[str] = []
    async for line in stream.aiter_lines():
        if line.startswith("data:"):
            data.append(line[5:].removeprefix(" "))
        elif not line and data:
            yield text_json.loads("\n".join(data))
            data = []


def _is_passing(error: OmniForgeError, status: int, *, repeatable: bool, key: str | None) -> bool:
    """Whether another try may go better, and cannot do anything twice."""
    if isinstance(error, RateLimited):
        return True  # it was refused before anything was done
    if key is not None and isinstance(error, Conflict):
        return UNDER_WAY in error.details
    return repeatable and status in PASSING


def _wait(error: OmniForgeError, attempt: int) -> float:
    """Seconds: what the server asks for, else twice as long each time."""
    asked: float | None = getattr(error, "retry_after", None)
    return asked if asked is not None else FIRST_WAIT * 2 ** (attempt - 1)
