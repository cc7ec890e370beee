"""The one error tree. Each error says what is wrong, and `details` where and what to do next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar


class OmniForgeError(Exception):
    """Base of every error that OmniForge raises on purpose.

    `code` is the machine-readable name on the wire, `status` the HTTP status it becomes,
    `details` a JSON object. The message is one sentence that a person can be shown.
    """

    status: ClassVar[int] = 500
    code: str = "internal"

    def __init__(self, message: str, *, code: str | None = None, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.details: dict[str, Any] = details
        if code is not None:
            self.code = code


class Unauthenticated(OmniForgeError):
    """No credential, or one that does not hold."""

    status = 401
    code = "unauthenticated"


class Forbidden(OmniForgeError):
    """The actor is known and may not do this."""

    status = 403
    code = "forbidden"


class NotFound(OmniForgeError):
    """Unknown and foreign ids alike."""

    status = 404
    code = "not_found"


class Conflict(OmniForgeError):
    """The request is fine, the state it meets is not."""

    status = 409
    code = "conflict"


class PayloadTooLarge(OmniForgeError):
    """More bytes than this address takes."""

    status = 413
    code = "payload_too_large"


class Invalid(OmniForgeError):
    """The request itself is wrong; `details["fields"]` lists every mistake.

    Each field entry is `{"field": path, "value": what was given, "rule": what is allowed}`.
    """

    status = 422
    code = "invalid"

    def __init__(
        self,
        message: str,
        *,
        fields: Sequence[dict[str, Any]] = (),
        code: str | None = None,
        **details: Any,
    ) -> None:
        if fields:
            details["fields"] = list(fields)
        super().__init__(message, code=code, **details)


class RateLimited(OmniForgeError):
    """Too many requests; `retry_after` is in seconds."""

    status = 429
    code = "rate_limited"

    def __init__(self, message: str, *, retry_after: float, code: str | None = None, **details: Any) -> None:
        super().__init__(message, code=code, retry_after=retry_after, **details)
        self.retry_after = retry_after


class Unavailable(OmniForgeError):
    """Something this installation needs is missing or down (a sandbox, a provider)."""

    status = 503
    code = "unavailable"


class StepFailed(OmniForgeError):
    """A step did not do its work. Recovery reads the subclass and the code."""

    code = "step_failed"


class Retryable(StepFailed):
    """Worth another attempt; `retry_after` (seconds) when the other side named a time."""

    def __init__(
        self, message: str, *, retry_after: float | None = None, code: str | None = None, **details: Any
    ) -> None:
        super().__init__(message, code=code, **details)
        self.retry_after = retry_after


class Fatal(StepFailed):
    """Another attempt would fail the same way."""


class NeedsHuman(StepFailed):
    """Only a person can decide how to go on."""


class ProviderError(OmniForgeError):
    """A vendor's error, translated once. `retry_after` is in seconds."""

    status = 502
    code = "service_down"

    def __init__(
        self,
        message: str,
        *,
        retryable: bool,
        retry_after: float | None = None,
        code: str | None = None,
        **details: Any,
    ) -> None:
        super().__init__(message, code=code, **details)
        self.retryable = retryable
        self.retry_after = retry_after
