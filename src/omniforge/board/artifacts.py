"""Artifacts: what shows the work on a ticket, kept once, made by the host, sent by workers or uploaded."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.board.artifact_contents import (
    HOST_MADE,
    Sent,
    as_object,
    canonical,
    of_attempt,
    of_receipts,
    of_worker,
)
from omniforge.board.diffs import Change
from omniforge.board.handoff import handoff_of
from omniforge.board.log import board_event
from omniforge.board.shapes.results import Artifact, ArtifactGiven, ArtifactList
from omniforge.board.store.evidence import ArtifactRow, ReceiptRow
from omniforge.board.store.tasks import TaskRow
from omniforge.board.store.tickets import TicketRow, get_ticket
from omniforge.board.vocabulary import ArtifactType, PhaseId
from omniforge.core.actor import Actor
from omniforge.core.clock import Clock, new_id
from omniforge.core.errors import Invalid, PayloadTooLarge
from omniforge.core.paging import Paging
from omniforge.db import Database
from omniforge.engine.events import EventLog
from omniforge.sandboxes.log import HOST
from omniforge.sandboxes.texts import cleaned

Json = dict[str, Any]
MAX_CONTENT = 100 * 1024
"""Bytes of an uploaded one."""


class Whose(Protocol):
    """An attempt: the ticket and task it is for."""

    @property
    def ticket(self) -> TicketRow: ...
    @property
    def task(self) -> TaskRow: ...
    @property
    def number(self) -> int: ...


async def store(  # noqa: PLR0917 - what is kept of what, by whom and when
    session: AsyncSession, events: EventLog, ticket: TicketRow, sent: Sent, by: str, now: datetime
) -> tuple[ArtifactRow, bool]:
    """The row, and whether it was not there before; row and event are written. One that was shown before
    evidence began to count anew, and is shown again, counts from now."""
    content_hash = hashlib.sha256(canonical(sent.content)).hexdigest()
    await session.flush()
    same = select(ArtifactRow).where(
        ArtifactRow.ticket_id == ticket.id,
        ArtifactRow.phase_id == sent.phase.value,
        ArtifactRow.artifact_type == sent.type.value,
        ArtifactRow.path == sent.path,
        ArtifactRow.content_hash == content_hash,
    )
    known = await session.scalar(same.with_for_update())
    if known is not None and known.created_at >= ticket.evidence_since:
        return known, False
    row = known or ArtifactRow(
        id=new_id("art"),
        tenant_id=ticket.tenant_id,
        ticket_id=ticket.id,
        phase_id=sent.phase.value,
        artifact_type=sent.type.value,
        path=sent.path,
        content=sent.content,
        content_hash=content_hash,
    )
    row.task_id, row.collected_by, row.created_at = sent.task_id, by, now
    session.add(row)
    await session.flush()
    ids = {"project_id": ticket.project_id, "ticket_id": ticket.id, "task_id": sent.task_id}
    told = {"artifact_id": row.id, "artifact_type": row.artifact_type, "phase_id": row.phase_id}
    told |= {"path": row.path} if row.path else {}
    event = board_event("artifact.stored", row.id, now, by, **ids, **told)
    await events.append(session, ticket.tenant_id, event)
    return row, known is None


async def keep_other(  # noqa: PLR0917 - whose words, what they are, who and when
    session: AsyncSession, events: EventLog, whose: Whose, body: Json, by: str, now: datetime
) -> ArtifactRow:
    """Words that came too late: kept, and nothing else comes of them."""
    content = {"attempt": whose.number, "late_result": body}
    sent = Sent(ArtifactType.OTHER, PhaseId(whose.task.phase_id), content, task_id=whose.task.id)
    return (await store(session, events, whose.ticket, sent, by, now))[0]


@dataclass(frozen=True, slots=True)
class Artifacts:
    db: Database
    events: EventLog
    clock: Clock

    # --- the host, in the caller's transaction -------------------------------------------------------------

    async def store_work(  # noqa: PLR0917 - the attempt, where it led, and what proves it
        self,
        session: AsyncSession,
        whose: Whose,
        base: str | None,
        head: str | None,
        changes: Sequence[Change],
        receipts: Sequence[ReceiptRow],
    ) -> list[ArtifactRow]:
        """What the host itself saw of an attempt: its diff, and what its commands showed."""
        made = of_attempt(whose.task, base, head, changes, receipts)
        return await self._store_all(session, whose.ticket, made, HOST)

    async def store_evidence(
        self, session: AsyncSession, ticket: TicketRow, phase: PhaseId, receipts: Sequence[ReceiptRow]
    ) -> list[ArtifactRow]:
        """What the commands of a gate have shown."""
        return await self._store_all(session, ticket, of_receipts(phase, receipts), HOST)

    async def store_sent(
        self, session: AsyncSession, whose: Whose, artifacts: Sequence[Json], by: str
    ) -> list[ArtifactRow]:
        """Artifacts `{type, path?, content?}` of a worker's result."""
        return await self._store_all(session, whose.ticket, of_worker(whose.task, artifacts), by)

    async def assemble_handoff(self, session: AsyncSession, ticket: TicketRow) -> ArtifactRow:
        """The handover as things stand; the same state gives the same artifact."""
        content = await handoff_of(session, ticket)
        sent = Sent(ArtifactType.HANDOFF_DOCUMENTATION, PhaseId.IMPLEMENTATION, content)
        return (await store(session, self.events, ticket, sent, HOST, self.clock.now()))[0]

    async def _store_all(
        self, session: AsyncSession, ticket: TicketRow, sent: Iterable[Sent], by: str
    ) -> list[ArtifactRow]:
        now = self.clock.now()
        return [(await store(session, self.events, ticket, one, by, now))[0] for one in sent]

    # --- people --------------------------------------------------------------------------------------------

    async def upload(self, actor: Actor, ticket_id: str, given: ArtifactGiven) -> tuple[Artifact, bool]:
        """The artifact, and whether it was not there before."""
        actor.require("board:edit")
        if given.artifact_type in HOST_MADE:
            allowed = [one.value for one in ArtifactType if one not in HOST_MADE]
            field = {"field": "artifact_type", "value": given.artifact_type.value, "allowed": allowed}
            message = f"Only OmniForge itself makes {given.artifact_type}, from what it ran and saw."
            raise Invalid(message, fields=[field])
        content = as_object(cleaned(given.content))
        if (size := len(canonical(content))) > MAX_CONTENT:
            message = f"The content has {size} bytes; at most {MAX_CONTENT} are taken."
            raise PayloadTooLarge(message, field="content", limit=MAX_CONTENT)
        sent = Sent(given.artifact_type, given.phase_id, content, given.path or "")
        async with self.db.transaction() as session:
            ticket = await get_ticket(session, actor, ticket_id, lock=True)
            row, is_first = await store(session, self.events, ticket, sent, actor.by, self.clock.now())
            return Artifact.model_validate(row), is_first

    async def find(self, actor: Actor, ticket_id: str, paging: Paging) -> ArtifactList:
        """Newest first."""
        actor.require("board:view")
        async with self.db.read() as session:
            await get_ticket(session, actor, ticket_id)
            where = (ArtifactRow.tenant_id == actor.tenant_id, ArtifactRow.ticket_id == ticket_id)
            total = await session.scalar(select(func.count()).select_from(ArtifactRow).where(*where)) or 0
            order = (ArtifactRow.created_at.desc(), ArtifactRow.id.desc())
            page = select(ArtifactRow).where(*where).order_by(*order)
            rows = await session.scalars(page.limit(paging.limit).offset(paging.offset))
            shown = [Artifact.model_validate(row) for row in rows]
        return ArtifactList(artifacts=shown, total=total, limit=paging.limit, offset=paging.offset)
