"""The one way out to a service: its pace, its waits, one repeat after a renewal, its errors in our words."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol, cast

import httpx

from omniforge.core.clock import Clock
from omniforge.core.errors import OmniForgeError
from omniforge.integrations.errors import (
    AnswerTooLarge,
    ConflictThere,
    ConnectionExpired,
    PermissionDeniedThere,
    RateLimitedThere,
    RefusedThere,
    ResourceNotFound,
    ServiceDown,
)

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Patience:
    """How long we put up with a service. Times in seconds."""

    timeout: float = 30.0
    longest_wait: float = 60.0
    """Sum of waits for 429 within one request; a longer one is handed to the caller as an error."""
    waits: int = 6
    retries: int = 2
    """Repeats after a server error or a lost answer, for requests that change nothing."""
    pause: float = 0.5
    largest_answer: int = 8 * 1024 * 1024


class TokenSource(Protocol):
    """Gives the access token; `rejected` is one the service refused, so a renewed one is asked for."""

    async def __call__(self, rejected: str | None = None) -> str: ...


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: httpx.Headers
    body: bytes


class RestClient:
    """Requests to one service on behalf of one connection.

    JSON objects in and out. A request marked `changes` is never repeated when its outcome is unknown;
    a 429 or 529 was not carried out, so those wait and go on for every request.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        *,
        title: str,
        base_url: str,
        token: TokenSource,
        clock: Clock,
        headers: Mapping[str, str] | None = None,
        pace: AbstractAsyncContextManager[Any] | None = None,
        patience: Patience | None = None,
    ) -> None:
        self.title = title
        self._http = http
        self._base_url = base_url.rstrip("/")
        self._token = token
        self._clock = clock
        self._headers = dict(headers or {})
        self._pace = pace or nullcontext()
        self._patience = patience or Patience()

    async def get(self, path: str, params: Sequence[tuple[str, str]] = ()) -> Json:
        return await self.request("GET", path, params=params)

    async def post(
        self, path: str, body: Json, *, params: Sequence[tuple[str, str]] = (), changes: bool = False
    ) -> Json:
        return await self.request("POST", path, params=params, body=body, changes=changes)

    async def patch(self, path: str, body: Json) -> Json:
        return await self.request("PATCH", path, body=body, changes=True)

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Sequence[tuple[str, str]] = (),
        body: Json | None = None,
        changes: bool = False,
    ) -> Json:
        """Do one request to its end: waits, repeats and one renewal included."""
        request = _Request(method, self._base_url + path, tuple(params), _encoded(body, self.title))
        waited, waits, failures, renewed = 0.0, 0, 0, False
        token = await self._token()
        while True:
            try:
                answer = await self._send(request, token)
            except AnswerTooLarge as error:
                raise self._unread(error) if changes else error from None
            except httpx.HTTPError as error:
                failures += 1
                if changes or failures > self._patience.retries:
                    raise self._lost(error, changes) from error
                await self._clock.sleep(self._patience.pause * failures)
                continue
            match answer.status:
                case 401 if not renewed:
                    renewed, token = True, await self._token(rejected=token)
                case 429 | 529:
                    pause, waits = _retry_after(answer), waits + 1
                    waited += pause
                    if waits > self._patience.waits or waited > self._patience.longest_wait:
                        raise self._slow_down(answer, pause)
                    await self._clock.sleep(pause)
                case status if status >= 500 and not changes and failures < self._patience.retries:
                    failures += 1
                    await self._clock.sleep(self._patience.pause * failures)
                case _:
                    return self._read(answer, changes)

    async def _send(self, request: _Request, token: str) -> _Answer:
        headers = {**self._headers, "Authorization": f"Bearer {token}", "Accept": "application/json"}
        if request.body is not None:
            headers["Content-Type"] = "application/json"
        async with (
            self._pace,
            self._http.stream(
                request.method,
                request.url,
                params=request.params,
                content=request.body,
                headers=headers,
                timeout=self._patience.timeout,
            ) as response,
        ):
            return await read_capped(response, self.title, self._patience.largest_answer)

    def _read(self, answer: _Answer, changes: bool) -> Json:
        if answer.status >= 300:
            raise self._refused(answer, changes)
        try:
            return parse_object(answer.body, self.title)
        except ServiceDown as error:
            raise self._unread(error) if changes else error from None

    def _unread(self, error: ServiceDown | AnswerTooLarge) -> ServiceDown:
        """The service took the change, as far as its answer shows, and what it said cannot be used."""
        return ServiceDown(
            _not_answering(self.title, changes=True),
            retryable=True,
            reason=error.details.get("reason", error.code),
            outcome_unknown=True,
        )

    def _refused(self, answer: _Answer, changes: bool) -> OmniForgeError:
        said = what_it_said(answer.body)
        match answer.status:
            case 401:
                return ConnectionExpired(f"{self.title} signed us out. Please reconnect, then it goes on.")
            case 403:
                return PermissionDeniedThere(
                    f"{self.title} does not let us do that. Share it with this connection, then try again.",
                    said=said,
                )
            case 404:
                return ResourceNotFound(
                    f"I can't find that in {self.title} any more. Is it still shared with us?",
                    said=said,
                )
            case 409:
                return ConflictThere(
                    f"Somebody changed that in {self.title} at the same moment. Nothing was overwritten.",
                    said=said,
                )
            case status if 400 <= status < 500:
                return RefusedThere(f"{self.title} did not accept the request.", said=said, status=status)
            case status:
                return ServiceDown(
                    _not_answering(self.title, changes),
                    retryable=True,
                    status=status,
                    outcome_unknown=changes,
                )

    def _lost(self, error: httpx.HTTPError, changes: bool) -> ServiceDown:
        reason = "timeout" if isinstance(error, httpx.TimeoutException) else "no_connection"
        return ServiceDown(
            _not_answering(self.title, changes), retryable=True, reason=reason, outcome_unknown=changes
        )

    def _slow_down(self, answer: _Answer, pause: float) -> OmniForgeError:
        if answer.status == 529:
            return ServiceDown(_not_answering(self.title, changes=False), retryable=True, retry_after=pause)
        return RateLimitedThere(
            f"{self.title} asks us to slow down. I'll go on in {pause:.0f} seconds.",
            retryable=True,
            retry_after=pause,
            wait_seconds=pause,
        )


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    url: str
    params: tuple[tuple[str, str], ...]
    body: bytes | None


def _encoded(body: Json | None, title: str) -> bytes | None:
    """The body as JSON bytes; Invalid for what JSON has no form for."""
    if body is None:
        return None
    try:
        return json.dumps(body, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise RefusedThere(f"This cannot be sent to {title}: {error}") from None


def _not_answering(title: str, changes: bool) -> str:
    if changes:
        return f"{title} isn't answering. I'll look there first before anything is sent again."
    return f"{title} isn't answering. I'll try again for a while; nothing was changed."


async def read_capped(response: httpx.Response, title: str, largest: int) -> _Answer:
    """The whole answer, or AnswerTooLarge once more than `largest` bytes came."""
    chunks: list[bytes] = []
    size = 0
    async for chunk in response.aiter_bytes():
        size += len(chunk)
        if size > largest:
            raise AnswerTooLarge(
                f"{title} sent more than {largest // 1024} KiB in one answer; ask for less.", retryable=False
            )
        chunks.append(chunk)
    return _Answer(response.status_code, response.headers, b"".join(chunks))


def parse_object(body: bytes, title: str) -> Json:
    """The JSON object of an answer; anything else is an answer that cannot be read."""
    try:
        parsed = _json(body)
    except (ValueError, RecursionError):
        parsed = None
    if not isinstance(parsed, dict):
        raise ServiceDown(
            f"{title} sent an answer that cannot be read. I'll try again for a while.",
            retryable=True,
            reason="unreadable",
        )
    return cast("Json", parsed)


def _json(body: bytes) -> Any:
    parsed: Any = json.loads(body)
    if b"\\ud" in body.lower():  # a half of a surrogate pair can be sent, but not stored
        parsed = json.loads(json.dumps(parsed, ensure_ascii=False).encode("utf-8", "replace"))
    return parsed


def what_it_said(body: bytes) -> str:
    """The service's own words about an error, cut to 300 characters; empty when there are none."""
    try:
        parsed = _json(body[:65536])
    except (ValueError, RecursionError):
        return ""
    if not isinstance(parsed, dict):
        return ""
    said = cast("Json", parsed)
    for key in ("message", "error_description", "error"):
        if isinstance(said.get(key), str):
            return str(said[key])[:300]
    return ""


def _retry_after(answer: _Answer) -> float:
    """Seconds named by the service; 1 when it names none that can be read."""
    try:
        seconds = float(answer.headers.get("retry-after", "1"))
    except ValueError:
        return 1.0
    return min(max(seconds, 0.0), 86_400.0) if math.isfinite(seconds) else 1.0
