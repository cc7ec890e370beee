"""Calls to OmniForge: sent again until they are answered, as far as that makes sense."""

from __future__ import annotations

import http.client
import json
import random
import time
import urllib.error
import urllib.request
from typing import Any, cast
from urllib.parse import urlencode

from sandbox_kit.worker.control import Control
from sandbox_kit.worker.settings import Settings

Json = dict[str, Any]
LONGEST_PAUSE = 15.0
LONGEST_WAIT = 60.0
"""Most seconds of a Retry-After that are believed."""
MOST_BYTES = 16 * 1024 * 1024


class Refused(Exception):
    """An answer that another try would not change. `code` is for programs, `message` for people."""

    def __init__(self, status: int, code: str, message: str, details: Json) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status, self.code, self.message, self.details = status, code, message, details

    @property
    def is_dismissal(self) -> bool:
        """This worker may say nothing more."""
        return self.status == 401


class Unreached(Exception):
    """No answer for as long as it was worth waiting; the message says what was met last."""


class NoRedirects(urllib.request.HTTPRedirectHandler):
    """The token goes to the address we were given and nowhere else."""

    def redirect_request(self, *_args: Any, **_named: Any) -> None:
        return None


class Client:
    """Safe to use from several threads. HTTP_PROXY, HTTPS_PROXY and NO_PROXY hold."""

    def __init__(self, settings: Settings, control: Control) -> None:
        self._settings, self._control = settings, control
        self._opener = urllib.request.build_opener(NoRedirects)

    def call(
        self,
        method: str,
        path: str,
        body: Json | None = None,
        *,
        patience: float | None = None,
        timeout: float = 30.0,
    ) -> Json:
        """The answer's body. Raises `Refused`; `Unreached` after `patience` seconds (None: never); `Stopped`.

        Network errors, 5xx and 429 are tried again, until everything stops.
        """
        begun, tries = time.monotonic(), 0
        data = None if body is None else to_bytes(body)
        while True:
            tries += 1
            try:
                return self._once(method, path, data, timeout)
            except (Refused, OSError, http.client.HTTPException) as error:
                pause = self._pause_after(error, tries)
                met = str(error)
            if patience is not None and time.monotonic() + pause - begun > patience:
                raise Unreached(met)
            self._control.pause(pause)

    def get(self, path: str, **query: Any) -> Json:
        """As `call`, for reading; `timeout` and `patience` as there."""
        timeout, patience = query.pop("timeout", 30.0), query.pop("patience", None)
        address = f"{path}?{urlencode(query)}" if query else path
        return self.call("GET", address, timeout=timeout, patience=patience)

    def _once(self, method: str, path: str, data: bytes | None, timeout: float) -> Json:
        request = urllib.request.Request(  # noqa: S310 - the address comes from who started us
            f"{self._settings.url}/api/v1{path}",
            data,
            {"Authorization": f"Bearer {self._settings.token}", "Content-Type": "application/json"},
            method=method,
        )
        try:
            with self._opener.open(request, timeout=timeout) as response:
                raw = response.read(MOST_BYTES)
        except urllib.error.HTTPError as error:
            with error:
                raise _refusal(error) from None
        try:
            return as_object(json.loads(raw))
        except ValueError:
            raise OSError("the answer cannot be read") from None

    def _pause_after(self, error: Exception, tries: int) -> float:
        """Seconds until the next try; raises the error when there is to be none."""
        if isinstance(error, Refused):
            if error.status not in (408, 429, 500, 502, 503, 504) or is_final(error):
                raise error
            wait = error.details.get("retry_after")
            if isinstance(wait, int | float):
                return min(max(float(wait), 0.0), LONGEST_WAIT)
        jitter = random.uniform(0.5, 1.0)  # noqa: S311 - spreads tries, guards nothing
        return min(self._settings.retry * 2 ** min(tries - 1, 10), LONGEST_PAUSE) * jitter


def to_bytes(body: Json) -> bytes:
    """As JSON; what is no Unicode becomes a question mark, what is no number null."""
    try:
        text = json.dumps(body, ensure_ascii=False, allow_nan=False)
    except ValueError:
        finite = json.loads(json.dumps(body), parse_constant=lambda _: None)
        text = json.dumps(finite, ensure_ascii=False)
    return text.encode("utf-8", "replace")


def is_final(error: Refused) -> bool:
    """Whether the other side says itself that trying again is of no use."""
    return error.details.get("retryable") is False


def _refusal(error: urllib.error.HTTPError) -> Refused:
    try:
        body = as_object(json.loads(error.read(MOST_BYTES)))
    except (OSError, ValueError, http.client.HTTPException):
        body = Json()
    details = body.get("details")
    told: Json = cast("Json", details) if isinstance(details, dict) else {}
    wait = error.headers.get("Retry-After") if error.headers else None
    if wait is not None and wait.strip().isdigit():
        told["retry_after"] = float(wait)
    message = str(body.get("message") or error.reason)
    return Refused(error.code, str(body.get("error") or "unknown"), message, told)


def as_object(value: Any) -> Json:
    """Raises `ValueError` for anything but an object, which is no answer of OmniForge."""
    if not isinstance(value, dict):
        raise ValueError("the answer is no object")  # noqa: TRY004 - one kind of error for what is no answer
    return cast("Json", value)
