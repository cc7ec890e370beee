"""The one way out to a service: its pace, its waits, one repeat after a renewal, its errors in our words."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol, cast
from urllib.parse import urlencode

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


class Trouble(StrEnum):
    """What an answer that is no result means."""

    SIGNED_OUT = "signed_out"
    SLOW_DOWN = "slow_down"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    REFUSED = "refused"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Said:
    """A trouble, in words a person can be shown (ours when empty); `retry_after` in seconds.

    `lasting`: a renewed token does not help (signed out), so none is asked for.
    """

    trouble: Trouble
    text: str = ""
    retry_after: float | None = None
    lasting: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, at most the caller's patience in bytes."""

    status: int
    headers: httpx.Headers
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON; None when it is none."""
        try:
            return _json(self.body)
        except (ValueError, RecursionError):
            return None


class RestClient:
    """Requests to one service on behalf of one connection; without a `token` as nobody.

    JSON objects in and out. A request marked `changes` is never repeated when its outcome is unknown;
    a 429 or 529 was not carried out, so those wait and go on for every request.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        *,
        title: str,
        base_url: str,
        token: TokenSource | None = None,
        clock: Clock,
        headers: Mapping[str, str] | None = None,
        pace: AbstractAsyncContextManager[Any] | None = None,
        patience: Patience | None = None,
        read_trouble: Callable[[Answer], Said | None] = lambda _: None,
        bare_keys: str = "",
    ) -> None:
        self.title = title
        self._http = http
        self._base_url = base_url.rstrip("/")
        self._token = token
        self._clock = clock
        self._headers = dict(headers or {})
        self._pace = pace or nullcontext()
        self._patience = patience or Patience()
        self._read_trouble = read_trouble
        self._bare_keys = bare_keys

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
        """`fetch` for an answer that is a JSON object."""
        answer = await self.fetch(method, path, params=params, body=body, changes=changes)
        try:
            return parse_object(answer.body, self.title)
        except ServiceDown as error:
            raise self._unread(error) if changes else error from None

    async def fetch(
        self,
        method: str,
        path: str,
        *,
        params: Sequence[tuple[str, str]] = (),
        body: Json | list[Any] | None = None,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        changes: bool = False,
        follow: bool = False,
    ) -> Answer:
        """Do one request to its end: waits, repeats and one renewal included. `path` may be a whole address
        of the same service, as a link to a next page is. `follow` redirects only where no credential is sent.
        """
        content, kind = self._content(body, form)
        sent = {"Accept": "application/json", **kind, **self._headers, **(headers or {})}
        address = httpx.URL(self._address(path))
        asked = address.copy_merge_params(tuple(params)) if params else address
        request = _Request(method, asked, content, sent, follow)
        waited, waits, failures, renewed = 0.0, 0, 0, False
        token = await self._token() if self._token else None
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
            said = self._read_trouble(answer) or _by_status(answer)
            match said:
                case None:
                    return answer
                case Said(Trouble.SIGNED_OUT, lasting=False) if self._token and not renewed:
                    renewed, token = True, await self._token(rejected=token)
                case Said(Trouble.SLOW_DOWN):
                    pause, waits = _pause(said, answer), waits + 1
                    waited += pause
                    if waits > self._patience.waits or waited > self._patience.longest_wait:
                        raise self._slow_down(answer, pause)
                    await self._clock.sleep(pause)
                case Said(Trouble.DOWN) if not changes and failures < self._patience.retries:
                    failures += 1
                    await self._clock.sleep(self._patience.pause * failures)
                case _:
                    raise self._refused(said, answer, changes)

    def _content(
        self, body: Json | list[Any] | None, form: Mapping[str, str] | None
    ) -> tuple[bytes | None, dict[str, str]]:
        if form is not None:
            return urlencode(form).encode(), {"Content-Type": "application/x-www-form-urlencoded"}
        encoded = _encoded(body, self.title)
        return encoded, {} if encoded is None else {"Content-Type": "application/json"}

    def _address(self, path: str) -> str:
        """Where a request goes; an address of another host never gets this connection's credentials."""
        if "://" not in path:
            return self._base_url + path
        given, ours = httpx.URL(path), httpx.URL(self._base_url)
        if (given.scheme, given.netloc) != (ours.scheme, ours.netloc):
            raise ServiceDown(
                f"{self.title} pointed to another place, {given.host}; I did not follow.",
                retryable=False,
                reason="foreign_address",
            )
        return path

    async def _send(self, request: _Request, token: str | None) -> Answer:
        headers = request.headers
        if token is not None:
            is_bare = bool(self._bare_keys) and token.startswith(self._bare_keys)
            headers = {**headers, "Authorization": token if is_bare else f"Bearer {token}"}
        async with (
            self._pace,
            self._http.stream(
                request.method,
                request.url,
                content=request.body,
                headers=headers,
                timeout=self._patience.timeout,
                follow_redirects=request.follow,
            ) as response,
        ):
            return await read_capped(response, self.title, self._patience.largest_answer)

    def _unread(self, error: ServiceDown | AnswerTooLarge) -> ServiceDown:
        """The service took the change, as far as its answer shows, and what it said cannot be used."""
        return ServiceDown(
            _not_answering(self.title, changes=True),
            retryable=True,
            reason=error.details.get("reason", error.code),
            outcome_unknown=True,
        )

    def _refused(self, said: Said, answer: Answer, changes: bool) -> OmniForgeError:
        theirs = what_it_said(answer.body)
        match said.trouble:
            case Trouble.SIGNED_OUT:
                return ConnectionExpired(
                    said.text or f"{self.title} signed us out. Please reconnect, then it goes on."
                )
            case Trouble.FORBIDDEN:
                return PermissionDeniedThere(
                    said.text
                    or f"{self.title} does not let us do that. "
                    "Share it with this connection, then try again.",
                    said=theirs,
                )
            case Trouble.NOT_FOUND:
                return ResourceNotFound(
                    said.text or f"I can't find that in {self.title} any more. Is it still shared with us?",
                    said=theirs,
                )
            case Trouble.CONFLICT:
                return ConflictThere(
                    said.text
                    or f"Somebody changed that in {self.title} at the same moment. Nothing was overwritten.",
                    said=theirs,
                )
            case Trouble.REFUSED:
                return RefusedThere(
                    said.text or f"{self.title} did not accept the request.",
                    said=theirs,
                    status=answer.status,
                )
            case _:
                return ServiceDown(
                    said.text or _not_answering(self.title, changes),
                    retryable=True,
                    status=answer.status,
                    outcome_unknown=changes,
                )

    def _lost(self, error: httpx.HTTPError, changes: bool) -> ServiceDown:
        reason = "timeout" if isinstance(error, httpx.TimeoutException) else "no_connection"
        return ServiceDown(
            _not_answering(self.title, changes), retryable=True, reason=reason, outcome_unknown=changes
        )

    def _slow_down(self, answer: Answer, pause: float) -> OmniForgeError:
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
    url: httpx.URL
    body: bytes | None
    headers: Mapping[str, str]
    follow: bool


def _encoded(body: Json | list[Any] | None, title: str) -> bytes | None:
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


async def read_capped(response: httpx.Response, title: str, largest: int) -> Answer:
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
    return Answer(response.status_code, response.headers, b"".join(chunks))


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


def _by_status(answer: Answer) -> Said | None:
    """What the status code alone says."""
    match answer.status:
        case status if status < 300 or status == 304:  # asked only with a condition: nothing changed
            return None
        case 401:
            return Said(Trouble.SIGNED_OUT)
        case 403:
            return Said(Trouble.FORBIDDEN)
        case 404:
            return Said(Trouble.NOT_FOUND)
        case 409:
            return Said(Trouble.CONFLICT)
        case 429 | 529:
            return Said(Trouble.SLOW_DOWN)
        case status if 400 <= status < 500:
            return Said(Trouble.REFUSED)
        case _:
            return Said(Trouble.DOWN)


def _pause(said: Said, answer: Answer) -> float:
    return _retry_after(answer) if said.retry_after is None else min(max(said.retry_after, 0.0), 86_400.0)


def _retry_after(answer: Answer) -> float:
    """Seconds named by the service; 1 when it names none that can be read."""
    try:
        seconds = float(answer.headers.get("retry-after", "1"))
    except ValueError:
        return 1.0
    return min(max(seconds, 0.0), 86_400.0) if math.isfinite(seconds) else 1.0
