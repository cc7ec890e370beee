"""What people say to a worker: kept in order, handed out when it asks, and told when it has arrived."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.core.actor import Actor
from omniforge.core.clock import Clock, new_id
from omniforge.core.errors import Conflict
from omniforge.db import Database
from omniforge.engine.events import EventLog
from omniforge.sandboxes.log import sandbox_event
from omniforge.sandboxes.store import SandboxMessageRow, SandboxRow, get_sandbox, lock_sandbox
from omniforge.sandboxes.tokens import Lapsed, WorkerCall, lapse_of

AT_ONCE = 200
_HEARS = ("pending", "creating", "running")


class NotListening(Conflict):
    """Nobody works in this sandbox any more."""

    code = "precondition_failed"


class Messages:
    def __init__(self, db: Database, events: EventLog, clock: Clock) -> None:
        self.db, self.events, self.clock = db, events, clock

    async def send(self, actor: Actor, sandbox_id: str, content: str, message_type: str) -> SandboxMessageRow:
        """Put it behind what was said before; `NotListening` when nobody would ever read it."""
        actor.require("board:sandbox")
        async with self.db.transaction() as session:
            sandbox = await get_sandbox(session, actor, sandbox_id)
            sandbox = await lock_sandbox(session, sandbox.id)
            if sandbox.state not in _HEARS or sandbox.token_revoked_at is not None:
                message = "Nobody works in this sandbox any more, so nobody would read it."
                raise NotListening(message, state=sandbox.state)
            last = select(func.max(SandboxMessageRow.seq)).where(SandboxMessageRow.sandbox_id == sandbox.id)
            now = self.clock.now()
            row = SandboxMessageRow(
                id=new_id("msg"),
                tenant_id=sandbox.tenant_id,
                sandbox_id=sandbox.id,
                seq=(await session.scalar(last) or 0) + 1,
                content=content,
                message_type=message_type,
                sent_by=actor.by,
                created_at=now,
            )
            session.add(row)
            told = {"message_id": row.id, "message_type": message_type}
            event = sandbox_event("sandbox.message_queued", sandbox, now, actor.by, **told)
            await self.events.append(session, sandbox.tenant_id, event)
        return row

    async def acknowledge_in(self, session: AsyncSession, call: WorkerCall, after: int) -> None:
        """Its worker has everything up to `after`."""
        waiting = (
            select(SandboxMessageRow)
            .where(
                SandboxMessageRow.sandbox_id == call.sandbox.id,
                SandboxMessageRow.seq <= after,
                SandboxMessageRow.delivered_at.is_(None),
            )
            .order_by(SandboxMessageRow.seq)
        )
        now, told = self.clock.now(), "sandbox.message_delivered"
        rows = list(await session.scalars(waiting))
        for row in rows:
            row.delivered_at = now
        events = [sandbox_event(told, call.sandbox, now, call.by, message_id=row.id) for row in rows]
        if events:
            await self.events.append(session, call.tenant_id, *events)

    async def wait(self, sandbox: SandboxRow, after: int, seconds: float) -> list[SandboxMessageRow]:
        """Those behind `after`, oldest first, as soon as there are any; none when `seconds` are over, or when
        nobody works in there any more. Reading takes nothing away."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while True:
            arrived = self.events.arrival()
            async with self.db.read() as session:
                found = await self._read_in(session, sandbox.id, after)
                row = await session.get_one(SandboxRow, sandbox.id)
            if found or (left := end - loop.time()) <= 0:
                return found
            if lapse_of(row, self.clock.now()) is Lapsed.REVOKED:
                return []
            with suppress(TimeoutError):
                await asyncio.wait_for(arrived.wait(), left)

    @staticmethod
    async def _read_in(session: AsyncSession, sandbox_id: str, after: int) -> list[SandboxMessageRow]:
        found = (SandboxMessageRow.sandbox_id == sandbox_id, SandboxMessageRow.seq > after)
        query = select(SandboxMessageRow).where(*found).order_by(SandboxMessageRow.seq).limit(AT_ONCE)
        return list(await session.scalars(query))
