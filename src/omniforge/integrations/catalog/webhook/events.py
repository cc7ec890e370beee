"""What a delivery of Standard Webhooks tells: `{type, timestamp, data}`, with its id in a header."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from omniforge.integrations.manifest import EventKind, Json, Occurrence

LONGEST_TYPE = 200
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)

EVENTS: tuple[EventKind, ...] = (EventKind(name="*", title="any event that is delivered", push=True),)


def read_delivery(headers: Mapping[str, str], payload: Json) -> list[Occurrence]:
    """One occurrence of the delivery's own type; none without a type."""
    kind: Any = payload.get("type")
    if not isinstance(kind, str) or not kind.strip() or len(kind) > LONGEST_TYPE or not kind.isprintable():
        return []
    told = headers.get("webhook-id") or hashlib.sha256(_canonical(payload)).hexdigest()
    at = _moment(payload.get("timestamp")) or _moment(headers.get("webhook-timestamp")) or EARLIEST
    return [Occurrence(type=kind, id=told, version="1", at=at, resource=None, item=payload)]


def _canonical(payload: Json) -> bytes:
    return json.dumps(payload, sort_keys=True, default=str).encode("utf-8", "replace")


def _moment(given: Any) -> datetime | None:
    """A time in ISO form, or seconds since 1970 as the header has them."""
    try:
        if isinstance(given, str) and given.isascii() and given.isdigit():
            return datetime.fromtimestamp(int(given[:12]), UTC)
        found = datetime.fromisoformat(given) if isinstance(given, str) else None
        return None if found is None else found.replace(tzinfo=found.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return None
