"""From an exception to a `Failure` that strategies can read (pure)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from omniforge.core.errors import (
    Fatal,
    NeedsHuman,
    OmniForgeError,
    ProviderError,
    RateLimited,
    Retryable,
)

HANDLER_FAILED = "handler_failed"
LONGEST_WAIT = 7 * 86_400.0


class FailureKind(StrEnum):
    """What a failure means for recovery: each kind has one strategy."""

    TIMEOUT = "timeout"
    CONTEXT_FULL = "context_full"
    BAD_OUTPUT = "bad_output"
    EXHAUSTED = "exhausted"
    CORRUPTED = "corrupted"
    RATE_LIMITED = "rate_limited"
    CHECK_FAILED = "check_failed"
    UNREACHABLE = "unreachable"
    FATAL = "fatal"
    TRANSIENT = "transient"
    NEEDS_PERSON = "needs_person"
    UNEXPECTED = "unexpected"


CODES: Mapping[FailureKind, frozenset[str]] = MappingProxyType(
    {
        FailureKind.TIMEOUT: frozenset({"step_timeout", "timeout", "model_timeout"}),
        FailureKind.CONTEXT_FULL: frozenset({"context_full", "context_too_long", "context_length_exceeded"}),
        FailureKind.BAD_OUTPUT: frozenset({"bad_output", "bad_answer", "output_invalid", "answer_invalid"}),
        FailureKind.EXHAUSTED: frozenset({"resources_exhausted", "out_of_memory"}),
        FailureKind.CORRUPTED: frozenset({"checkpoint_corrupted"}),
        FailureKind.RATE_LIMITED: frozenset({"rate_limited", "rate_limited_there", "overloaded"}),
        FailureKind.CHECK_FAILED: frozenset({"check_failed", "command_failed"}),
        FailureKind.UNREACHABLE: frozenset(
            {"service_down", "circuit_open", "provider_unreachable", "model_unavailable"}
        ),
        FailureKind.UNEXPECTED: frozenset({HANDLER_FAILED}),
    }
)
"""Which error codes mean what. A code that is not listed: transient when it is retryable, else fatal."""

_KIND_OF_CODE = {code: kind for kind, codes in CODES.items() for code in codes}
_OUTSIDE = frozenset({FailureKind.RATE_LIMITED, FailureKind.UNREACHABLE})
_PASSING = _OUTSIDE | {FailureKind.EXHAUSTED}
"""Kinds that only mean something while the failure may pass by itself."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt failed. `retry_after` in seconds when the other side named a time.

    outside: said by a provider outside, which refused the work or was never reached.
    """

    code: str
    message: str
    retryable: bool
    needs_person: bool = False
    retry_after: float | None = None
    details: dict[str, Any] = field(default_factory=dict[str, Any])
    outside: bool = False

    @property
    def kind(self) -> FailureKind:
        if self.needs_person:
            return FailureKind.NEEDS_PERSON
        kind = _KIND_OF_CODE.get(self.code)
        if kind is None or (kind in _PASSING and not self.retryable):
            return FailureKind.TRANSIENT if self.retryable else FailureKind.FATAL
        return kind

    @property
    def is_doubtful(self) -> bool:
        """Whether nobody knows if an effect happened: doing it again could double it."""
        return bool(self.details.get("outcome_unknown"))

    @property
    def is_safe_to_repeat(self) -> bool:
        """Whether nothing happened yet for certain, so that it is repeated without anybody asking for it."""
        return self.outside and self.retryable and self.kind in _OUTSIDE and not self.is_doubtful

    @property
    def named_wait(self) -> float:
        """Seconds that the other side asks us to wait, a week at most; 0 when it named no usable time."""
        given = self.retry_after
        if given is None or math.isnan(given) or given <= 0:
            return 0.0
        return min(float(given), LONGEST_WAIT)

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
                error.code, error.message, error.retryable, False, error.retry_after, error.details, True
            )
        case RateLimited():
            return Failure(error.code, error.message, True, False, error.retry_after, error.details, True)
        case NeedsHuman():
            return Failure(error.code, error.message, False, True, None, error.details)
        case Fatal() | OmniForgeError():
            return Failure(error.code, error.message, False, False, None, error.details)
        case _:
            return Failure(
                HANDLER_FAILED,
                "This step stopped unexpectedly.",
                False,
                details={"exception": f"{type(error).__name__}: {error}"[:2000]},
            )


def timed_out(seconds: float) -> Failure:
    return Failure("step_timeout", f"The step took longer than {seconds:g} seconds, so it was stopped.", True)
