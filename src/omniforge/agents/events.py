"""Which happenings at a service start an agent, and what the run is given (pure)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, cast

from omniforge.agents.content import EventConfig, EventMode
from omniforge.core.clock import rfc3339
from omniforge.core.errors import Fatal
from omniforge.engine.templates import condition_references, is_true
from omniforge.integrations.manifest import EventKind, Occurrence

Json = dict[str, Any]

_UUID = re.compile(r"[0-9a-f]{32}")


class Match(StrEnum):
    """Why an occurrence starts an agent, or does not."""

    YES = "yes"
    OTHER = "other"
    """Another event, or elsewhere."""
    OWN = "own"
    """Done through the agent's own connection."""
    FILTERED = "filtered"
    BROKEN_FILTER = "broken_filter"
    """The filter cannot be computed for this event."""


def mode_of(config: EventConfig, kind: EventKind) -> EventMode:
    """How an agent is to learn of its events, when its author did not say."""
    if config.mode is not None:
        return config.mode
    return EventMode.PUSH if kind.poll is None else EventMode.POLL


def check_filter(condition: str) -> None:
    """ValueError, saying why, for what is no condition over `event`."""
    try:
        condition_references(condition)
    except ValueError as error:
        if str(error).startswith("cannot be parsed"):
            raise
    try:
        read = condition_references(_bound(condition))
    except ValueError as error:
        raise ValueError(str(error).replace("input and steps", "event")) from None
    if read:
        raise ValueError("reads steps: only event can be read")


def match(
    config: EventConfig, occurrence: Occurrence, author: str | None, *, item_known: bool = True
) -> Match:
    """author: what the service calls us, where that is known. Without the item no filter can be asked."""
    if occurrence.type != config.event:
        return Match.OTHER
    if config.resource is not None and not is_same_place(config.resource, occurrence.resource):
        return Match.OTHER
    if author and occurrence.author == author and not config.include_own:
        return Match.OWN
    if config.filter is None or not item_known:
        return Match.YES
    try:
        passes = is_true(_bound(config.filter), {"event": event_of(occurrence)}, {})
    except Fatal:
        return Match.BROKEN_FILTER
    return Match.YES if passes else Match.FILTERED


def event_of(occurrence: Occurrence) -> Json:
    """What the run finds under `event` in its input."""
    return {
        "id": occurrence.id,
        "type": occurrence.type,
        "at": rfc3339(occurrence.at),
        "resource": occurrence.resource,
        "item": occurrence.item,
    }


def happening_key(occurrence: Occurrence, kind: EventKind) -> str:
    """The same for the same happening, whichever way we hear of it.

    A service delivers again what we did not answer in time, and what is delivered may be polled as well.
    """
    parts = (occurrence.type, occurrence.resource or "", occurrence.id, occurrence.version)
    digest = hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()
    return digest if kind.poll is None else f"row:{digest}"


def _bound(condition: str) -> str:
    """The condition with `event` as a name of its own: CEL binds names in macros only.

    The line break ends a comment at the condition's end.
    """
    return f"[input.event].all(event, ({condition}\n))"


def is_same_place(wanted: str, found: str | None) -> bool:
    """UUIDs are written with and without dashes; the case of letters means nothing anywhere."""
    return found is not None and _plain(wanted) == _plain(found)


def _plain(name: str) -> str:
    bare = name.replace("-", "").lower()
    return bare if _UUID.fullmatch(bare) else name.casefold()


def event_config_of(content: Mapping[str, Any]) -> EventConfig | None:
    """Of an agent's stored content."""
    stored = content.get("event_config")
    return None if stored is None else EventConfig.model_validate(cast("Json", stored))
