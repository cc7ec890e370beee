"""Events as their readers see them, and what a reader may ask for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, func, literal_column, or_

from omniforge.db.functions import Place, json_text
from omniforge.engine.events import EventRow

IDS = ("project_id", "ticket_id", "task_id", "sandbox_id")
"""What an event can belong to: names under `ids` in its payload, fields of their own in its envelope."""
HEARTBEAT = "sandbox.heartbeat_received"
"""Told only to whoever asks for it by this name."""
Json = dict[str, Any]

kind_of = func.substr(EventRow.entity, 1, Place(EventRow.entity.concat(":"), ":") - 1)
"""Of a row: what its entity is, the part before the first colon."""
id_of = func.substr(EventRow.entity, Place(EventRow.entity, ":") + 1)
"""Of a row: which one it is, the part after the first colon; the whole where there is none."""


def event_id(seq: int) -> str:
    """The id of a tenant's event."""
    return f"event-{seq}"


def envelope(row: EventRow) -> Json:
    """The event for its readers.

    `entity_type` is the noun of its type; `entity` and `entity_id` name what it happened to, which for
    `phase.*` is the ticket and for `agent.*`, `file.*` and `command.*` of a sandbox that sandbox.
    """
    payload: Json = json.loads(row.payload)
    given: Any = payload.pop("ids", None) if isinstance(payload.get("ids"), dict) else {}
    return {
        "seq": row.seq,
        "id": event_id(row.seq),
        "type": row.type,
        "at": row.at,
        "tenant_id": row.tenant_id,
        **{name: given.get(name) for name in IDS},
        "entity_type": row.type.partition(".")[0],
        "entity_id": row.entity.partition(":")[2] or row.entity,
        "entity": row.entity,
        "run_id": row.run_id,
        "actor": row.actor,
        "payload": payload,
    }


_BELONGS = Place(EventRow.payload, literal_column("""'"ids":{'""")) > literal_column("0")
"""Word for word the condition of an index."""


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events a reader wants; what is empty asks for nothing in particular.

    types: whole names (`ticket.created`), or all of a noun (`ticket.*`).
    ids: names of IDS with the id each must have.
    """

    types: frozenset[str] = frozenset()
    entity_types: frozenset[str] = frozenset()
    entity_ids: frozenset[str] = frozenset()
    ids: Mapping[str, str] | None = None

    def matches(self, event: Mapping[str, Any]) -> bool:
        """Whether an envelope is asked for."""
        type_: str = event["type"]
        if type_ == HEARTBEAT and HEARTBEAT not in self.types:
            return False
        if self.types and not (type_ in self.types or f"{event['entity_type']}.*" in self.types):
            return False
        if self.entity_types and event["entity_type"] not in self.entity_types:
            return False
        if self.entity_ids and event["entity_id"] not in self.entity_ids:
            return False
        return all(event[name] == wanted for name, wanted in (self.ids or {}).items())

    def conditions(self) -> list[ColumnElement[bool]]:
        """The same as conditions of a query."""
        found: list[ColumnElement[bool]] = []
        if HEARTBEAT not in self.types:
            found.append(EventRow.type != HEARTBEAT)
        if self.types:
            whole = [name for name in self.types if not name.endswith(".*")]
            nouns = [name.removesuffix(".*") for name in self.types if name.endswith(".*")]
            found.append(or_(EventRow.type.in_(whole), *map(_of_noun, nouns)))
        if self.entity_types:
            found.append(or_(*map(_of_noun, self.entity_types)))
        if self.entity_ids:
            found.append(id_of.in_(self.entity_ids))
        if self.ids:
            found.append(_BELONGS)
            found += [json_text(EventRow.payload, "ids", name) == wanted for name, wanted in self.ids.items()]
        return found


def _of_noun(noun: str) -> ColumnElement[bool]:
    return EventRow.type.startswith(f"{noun}.", autoescape=True)
