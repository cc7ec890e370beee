"""How the board writes into the event log: one shape for all of its events. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from omniforge.engine.envelopes import IDS
from omniforge.engine.events import Event


def board_event(
    type_: str,
    entity_id: str,
    now: datetime,
    by: str,
    *,
    project_id: str | None = None,
    ticket_id: str | None = None,
    task_id: str | None = None,
    sandbox_id: str | None = None,
    run_id: str | None = None,
    **payload: Any,
) -> Event:
    """An event of the board. `type_` is `noun.past`; its noun is the kind of the entity, but `phase` events
    are about their ticket, and those of `agent`, `file` and `command` about their sandbox. It belongs to what
    it happened to."""
    noun = type_.partition(".")[0]
    kind = {"phase": "ticket", "agent": "sandbox", "file": "sandbox", "command": "sandbox"}.get(noun, noun)
    given = (project_id, ticket_id, task_id, sandbox_id)
    ids = {name: value for name, value in zip(IDS, given, strict=True) if value is not None}
    if f"{kind}_id" in IDS:
        ids.setdefault(f"{kind}_id", entity_id)
    return Event(type_, f"{kind}:{entity_id}", now, by, {**payload, "ids": ids}, run_id)
