"""From an exception to a `Failure` that strategies can read (pure)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from omniforge.core.errors import Fatal, NeedsHuman, OmniForgeError, ProviderError, Retryable


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt failed. `retry_after` in seconds when the other side named a time."""

    code: str
    message: str
    retryable: bool
    needs_person: bool = False
    retry_after: float | None = None
    details: dict[str, Any] = field(default_factory=dict[str, Any])

    def shown(self) -> dict[str, Any]:
        """The error object that is stored and shown."""
        return {"code": self.code, "message": self.message, "details": self.details}


def classify(error: BaseException) -> Failure:
    """Only what is known to pass by itself is retryable; an unknown error is not."""
    match error:
        case Retryable():
            return Failure(error.code, error.message, True, False, error.retry_after, error.details)
        case ProviderError():
            return Failure(
                error.code, error.message, error.retryable, False, error.retry_after, error.details
            )
        case NeedsHuman():
            return Failure(error.code, error.message, False, True, None, error.details)
        case Fatal() | OmniForgeError():
            return Failure(error.code, error.message, False, False, None, error.details)
        case _:
            return Failure(
                "handler_failed",
                "This step stopped unexpectedly.",
                False,
                details={"exception": f"{type(error).__name__}: {error}"[:2000]},
            )


def timed_out(seconds: float) -> Failure:
    return Failure("step_timeout", f"The step took longer than {seconds:g} seconds, so it was stopped.", True)
