"""What was done in a sandbox that is given up, kept with its ticket for whoever looks into it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.board.artifact_contents import Sent
from omniforge.board.artifacts import MAX_CONTENT, store
from omniforge.board.standing import read_standing
from omniforge.board.vocabulary import ArtifactType, PhaseId
from omniforge.engine.events import EventLog
from omniforge.sandboxes.history import show_trajectory
from omniforge.sandboxes.log import HOST
from omniforge.sandboxes.schemas import TrajectoryQuery
from omniforge.sandboxes.store import SandboxRow
from omniforge.sandboxes.texts import shortened, size_of

Json = dict[str, Any]
LAST = TrajectoryQuery(limit=200)
TOLD = ("seq", "type", "at", "payload")
LONGEST = 4_000
"""Bytes of one event."""


async def keep_transcript(session: AsyncSession, events: EventLog, row: SandboxRow, now: datetime) -> None:
    """The last things its worker told, oldest first, as an artifact of the ticket; before it is settled."""
    if row.task_id is None or row.attempt is None:
        return
    standing = await read_standing(session, row.tenant_id, row.task_id, row.attempt)
    if standing is None:
        return
    seen = await show_trajectory(session, row, LAST)
    told = _fitting([{name: event[name] for name in TOLD} for event in seen.events])
    content: Json = {
        "sandbox_id": row.id,
        "attempt": row.attempt,
        "left_out": seen.trajectory_events - len(told),
        "events": told,
    }
    phase = PhaseId(standing.task.phase_id)
    sent = Sent(ArtifactType.TRANSCRIPT, phase, content, task_id=row.task_id)
    await store(session, events, standing.ticket, sent, HOST, now)


def _fitting(events: list[Json]) -> list[Json]:
    """As many of the last as may be kept."""
    kept: list[Json] = []
    left = MAX_CONTENT - LONGEST
    for event in reversed(events):
        one = (
            event if size_of(event) <= LONGEST else {**event, "payload": shortened(event["payload"], LONGEST)}
        )
        left -= size_of(one) + 1
        if left < 0:
            break
        kept.append(one)
    return kept[::-1]
