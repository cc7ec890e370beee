"""What Linear's GraphQL errors mean. They come with status 200, 400, 401 and others alike. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable
from email.utils import parsedate_to_datetime

from omniforge.integrations.catalog.linear.shapes import Json
from omniforge.integrations.loose import items, mapping, text
from omniforge.integrations.rest import Answer, Said, Trouble

UNNAMED_PAUSE = 30.0
"""Seconds to wait when Linear slows us down without saying for how long."""
BUCKETS = ("requests", "complexity", "endpoint-requests")

KINDS = {
    "authentication error": Trouble.SIGNED_OUT,
    "AUTHENTICATION_ERROR": Trouble.SIGNED_OUT,
    "ratelimited": Trouble.SLOW_DOWN,
    "RATELIMITED": Trouble.SLOW_DOWN,
    "forbidden": Trouble.FORBIDDEN,
    "FORBIDDEN": Trouble.FORBIDDEN,
    "feature not accessible": Trouble.FORBIDDEN,
    "FEATURE_NOT_ACCESSIBLE": Trouble.FORBIDDEN,
    "lock timeout": Trouble.CONFLICT,
    "LOCK_TIMEOUT": Trouble.CONFLICT,
    "invalid input": Trouble.REFUSED,
    "INPUT_ERROR": Trouble.REFUSED,
    "INVALID_INPUT": Trouble.REFUSED,
    "user error": Trouble.REFUSED,
    "graphql error": Trouble.REFUSED,
    "GRAPHQL_VALIDATION_FAILED": Trouble.REFUSED,
    "GRAPHQL_PARSE_FAILED": Trouble.REFUSED,
    "BAD_USER_INPUT": Trouble.REFUSED,
    "usage limit exceeded": Trouble.REFUSED,
    "USAGE_LIMIT_EXCEEDED": Trouble.REFUSED,
    "internal error": Trouble.DOWN,
    "INTERNAL_SERVER_ERROR": Trouble.DOWN,
    "network error": Trouble.DOWN,
    "bootstrap error": Trouble.DOWN,
}
"""`extensions.type` and `extensions.code`, each of which may be missing."""
MARKED_KEY = "API key as a Bearer token"
NOT_FOUND = ("entity not found", "could not find referenced")
TAKEN = ("conflict on insert", "already exists")


def read_trouble(answer: Answer) -> Said | None:
    """None when the answer holds what was asked for, even if single parts of it are missing."""
    parsed = mapping(answer.json)
    errors = items(parsed.get("errors"))
    if not errors or is_partial(parsed):
        return None
    error = errors[0]
    match _kind(error, answer.status):
        case Trouble.SLOW_DOWN:
            return Said(Trouble.SLOW_DOWN, _words(error), retry_after=_pause(answer))
        case kind:
            return Said(kind, WORDS[kind](_words(error)))


def is_partial(answer: Json) -> bool:
    """Whether everything asked for is there at its top, so that the errors are about parts of it."""
    data = mapping(answer.get("data"))
    return (
        bool(items(answer.get("errors"))) and bool(data) and all(part is not None for part in data.values())
    )


def _kind(error: Json, status: int) -> Trouble:
    extensions = mapping(error.get("extensions"))
    said = f"{text(error.get('message'))} {text(extensions.get('userPresentableMessage'))}".casefold()
    kind = KINDS.get(text(extensions.get("code"))) or KINDS.get(text(extensions.get("type")))
    if MARKED_KEY.casefold() in said:
        return Trouble.SIGNED_OUT
    if kind in (Trouble.REFUSED, None):
        if any(words in said for words in NOT_FOUND):
            return Trouble.NOT_FOUND
        if any(words in said for words in TAKEN):
            return Trouble.CONFLICT
        if "invalid scope" in said:
            return Trouble.FORBIDDEN
    if kind is None:
        told = extensions.get("statusCode")
        return _by_number(told if isinstance(told, int) else status)
    return kind


def _by_number(status: int) -> Trouble:
    match status:
        case 401:
            return Trouble.SIGNED_OUT
        case 403:
            return Trouble.FORBIDDEN
        case 404:
            return Trouble.NOT_FOUND
        case 429:
            return Trouble.SLOW_DOWN
        case status if 400 <= status < 500:
            return Trouble.REFUSED
        case _:
            return Trouble.DOWN


def _words(error: Json) -> str:
    """What Linear says to a person, or else to a programmer: on one line, cut."""
    shown = text(mapping(error.get("extensions")).get("userPresentableMessage")) or text(error.get("message"))
    return " ".join(shown.replace("`", "").split())[:300]


WORDS: dict[Trouble, Callable[[str], str]] = {
    Trouble.SIGNED_OUT: lambda _: "Linear signed us out. Please reconnect, then it goes on.",
    Trouble.FORBIDDEN: lambda said: (
        f"Linear does not let us do that ({said.rstrip('.')}). Somebody with access to the team has to "
        "allow it, or reconnect Linear and agree to everything it asks."
    ),
    Trouble.NOT_FOUND: lambda said: (
        f"I can't find that in Linear any more ({said.rstrip('.')}). "
        "Was it deleted, or moved to a team we can't see?"
    ),
    Trouble.CONFLICT: lambda said: (
        f"Somebody changed that in Linear at the same moment ({said.rstrip('.')}). Nothing was overwritten."
    ),
    Trouble.REFUSED: lambda said: f"Linear did not accept the request: {said}",
    Trouble.DOWN: lambda _: "",
}


def _pause(answer: Answer) -> float:
    """Seconds until the bucket that ran empty is full again.

    `Retry-After` counts when it is there. The reset headers are milliseconds of Linear's clock, which the
    answer's `Date` tells.
    """
    try:
        seconds = float(answer.headers.get("retry-after", ""))
        if math.isfinite(seconds):
            return max(seconds, 0.0)
    except ValueError:
        pass
    resets = {name: _number(answer, f"x-ratelimit-{name}-reset") for name in BUCKETS}
    empty = [name for name in BUCKETS if _number(answer, f"x-ratelimit-{name}-remaining") == 0]
    chosen = [resets[name] for name in empty or BUCKETS]
    ends = max((reset for reset in chosen if reset is not None), default=None)
    try:
        now = parsedate_to_datetime(answer.headers.get("date", "")).timestamp()
    except ValueError:
        return UNNAMED_PAUSE
    return UNNAMED_PAUSE if ends is None else max(ends / 1000 - now, 1.0)


def _number(answer: Answer, header: str) -> float | None:
    try:
        value = float(answer.headers.get(header, ""))
    except ValueError:
        return None
    return value if math.isfinite(value) else None
