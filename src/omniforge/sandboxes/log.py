"""How sandboxes are told of in the event log. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from omniforge.engine.events import Event
from omniforge.sandboxes.store import SandboxRow

HOST = "system:host"


def sandbox_event(type_: str, row: SandboxRow, now: datetime, by: str = HOST, **payload: Any) -> Event:
    """An event about a sandbox. Its ids stand in the payload under `ids`, where readers filter by them."""
    given = {
        "project_id": row.project_id,
        "ticket_id": row.ticket_id,
        "task_id": row.task_id,
        "sandbox_id": row.id,
    }
    ids = {name: value for name, value in given.items() if value is not None}
    return Event(type_, f"sandbox:{row.id}", now, by, {**payload, "ids": ids}, row.run_id)
