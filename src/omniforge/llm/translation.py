"""What goes wrong at a model's service, said once in our words. Nothing a service wrote is repeated: it may
hold the key.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from pydantic_ai import exceptions as vendor

from omniforge.core.errors import OmniForgeError
from omniforge.llm.protocol import AnswerInvalid, AnswerRefused, ContextTooLong, ModelUnavailable


class _Said(NamedTuple):
    code: str
    retryable: bool
    sentence: str


class BadAnswer(vendor.ModelAPIError):
    """The service answered with what is no answer: nothing, half of one, or garbage."""


KINDS: tuple[tuple[type[Exception], _Said], ...] = (
    (
        vendor.ModelAuthenticationError,
        _Said("model_key_refused", False, "{model}: the service does not accept the key that is set up."),
    ),
    (
        vendor.ModelQuotaExceededError,
        _Said("model_no_credit", False, "{model}: the account at the service has no credit left."),
    ),
    (
        vendor.ModelNotFoundError,
        _Said("model_not_found", False, "{model}: the service has no model of this name."),
    ),
    (vendor.ModelRateLimitError, _Said("model_rate_limited", True, "{model}: too many requests for now.")),
    (vendor.ModelOverloadedError, _Said("model_overloaded", True, "{model}: the service is overloaded.")),
    (vendor.ModelTimeoutError, _Said("model_timeout", True, "{model}: the service did not answer in time.")),
    (vendor.ModelConnectionError, _Said("model_unreachable", True, "{model}: the service is not reached.")),
    (vendor.ModelServerError, _Said("model_down", True, "{model}: the service has a fault.")),
    (vendor.ModelUnavailableError, _Said("model_down", True, "{model}: the service is not available.")),
    (
        vendor.ModelRequestRejectedError,
        _Said("model_request_rejected", False, "{model}: the service does not take this request."),
    ),
    (BadAnswer, _Said("model_garbled", True, "{model}: the service answers with what is no answer.")),
    (
        vendor.ModelAPIError,
        _Said("model_garbled", True, "{model}: the service answers with what is no answer."),
    ),
)
"""The first kind that fits; `True`: another try may help."""


def is_retryable(error: Exception) -> bool:
    """Whether the same request at the same model may work in a moment."""
    said = _said(error)
    return said is not None and said.retryable


def waits(error: Exception) -> float | None:
    """Seconds the service asked for."""
    return error.retry_after if isinstance(error, vendor.ModelAPIError) else None


def translated(error: Exception, model: str, so_far: dict[str, Any]) -> OmniForgeError | None:
    """Our error for one of pydantic-ai's; None for an error that is not about the model."""
    if isinstance(error, vendor.FallbackExceptionGroup):
        return _of_all(list(error.exceptions), model, so_far)
    if isinstance(error, vendor.ContentFilterError):
        return AnswerRefused(f"{model} declined to answer.", model=model, **so_far)
    if isinstance(error, vendor.OutputTokenLimitExceeded):
        return AnswerInvalid(
            f"{model}: the answer was longer than an answer may be.", code="answer_cut_short", **so_far
        )
    if isinstance(error, vendor.ModelContextWindowExceededError):
        return ContextTooLong(f"{model}: the question is longer than the model takes.", model=model, **so_far)
    if isinstance(error, vendor.UnexpectedModelBehavior):
        return AnswerInvalid(f"{model} gave no answer of the wanted shape.", model=model, **so_far)
    said = _said(error)
    if said is None:
        return None
    name = getattr(error, "asked", model)
    return ModelUnavailable(
        said.sentence.format(model=name),
        retryable=said.retryable,
        retry_after=waits(error),
        code=said.code,
        model=name,
        **so_far,
    )


def _of_all(errors: list[Any], model: str, so_far: dict[str, Any]) -> OmniForgeError | None:
    """Of several models' errors the one that says most: one that may pass, else the first."""
    hopeful = [error for error in errors if is_retryable(error)]
    refused = [error for error in errors if isinstance(error, vendor.ContentFilterError)]
    chosen = (refused or hopeful or errors)[0]
    return translated(chosen, getattr(chosen, "asked", model), so_far)


def _said(error: Exception) -> _Said | None:
    return next((said for kind, said in KINDS if isinstance(error, kind)), None)
