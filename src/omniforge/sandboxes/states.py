"""States of sandboxes: each change is one statement that only one caller wins, and an event beside it."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.core.clock import Clock, new_id
from omniforge.core.errors import ProviderError
from omniforge.engine.events import EventLog
from omniforge.sandboxes.log import HOST, sandbox_event
from omniforge.sandboxes.store import LIVE_STATES, SandboxRow

SPENT = ("cost_usd", "tokens_in", "tokens_out", "tool_calls")


class SandboxFailed(ProviderError):
    """A sandbox does not do what it should. `code`: provision_timeout, provider_error or sandbox_crashed."""

    code = "provider_error"

    def __init__(self, message: str, *, code: str, **details: Any) -> None:
        super().__init__(message, retryable=False, code=code, **details)


def gave_up(row: SandboxRow) -> SandboxFailed:
    message = "The sandbox was given up meanwhile."
    return SandboxFailed(message, code="sandbox_crashed", sandbox_id=row.id, state=row.state)


class SandboxStates:
    """Functions that end in `_in` work in the caller's transaction and write their events there; what they
    give back is whether they changed anything."""

    def __init__(self, events: EventLog, clock: Clock) -> None:
        self.events, self.clock = events, clock

    async def request_check_in(
        self,
        session: AsyncSession,
        *,
        tenant_id: str,
        project_id: str,
        ticket_id: str,
        run_id: str | None,
        provider: str = "local",
        network: str = "allowlist",
    ) -> SandboxRow:
        """A sandbox for commands of the host: nobody works in it, and it has no token."""
        now = self.clock.now()
        row = SandboxRow(
            id=new_id("sbx"),
            tenant_id=tenant_id,
            project_id=project_id,
            ticket_id=ticket_id,
            kind="check",
            run_id=run_id,
            provider=provider,
            state="pending",
            worker="kit",
            network=network,
            metrics={},
            requested_at=now,
        )
        session.add(row)
        await session.flush()
        told = {"kind": row.kind, "provider": provider}
        await self.events.append(session, tenant_id, sandbox_event("sandbox.requested", row, now, **told))
        return row

    async def started_in(self, session: AsyncSession, sandbox: SandboxRow) -> bool:
        """Its worker has spoken for the first time: creating → running."""
        return await self.run(session, sandbox.id, self.clock.now(), f"sandbox:{sandbox.id}") is not None

    async def work_finished_in(
        self, session: AsyncSession, sandbox_id: str, result_id: str | None = None
    ) -> bool:
        """An answer was taken in, or all commands have run: running → completing."""
        now = self.clock.now()
        kept = {"work_finished_at": now, "result_id": result_id}
        row = await self.change(session, sandbox_id, ("running",), "completing", **kept)
        if row is not None:
            await self.tell(session, row, "sandbox.work_finished", now, result_id=result_id)
        return row is not None

    async def complete_in(
        self, session: AsyncSession, sandbox: SandboxRow, outcome: str, by: str = HOST
    ) -> bool:
        """What was done in it has been looked at, whatever came of it: completing → completed."""
        now = self.clock.now()
        row = await self.change(session, sandbox.id, ("running", "completing"), "completed", ended_at=now)
        if row is not None:
            spent = {
                name: getattr(row, name) for name in ("cost_usd", "tokens_in", "tokens_out", "tool_calls")
            }
            await self.tell(session, row, "sandbox.completed", now, by, outcome=outcome, **spent)
        return row is not None

    async def fail_in(
        self, session: AsyncSession, sandbox: SandboxRow, code: str, message: str, by: str = HOST
    ) -> bool:
        """It broke: any living state → failed."""
        now, why = self.clock.now(), {"error_code": code, "error_message": message}
        row = await self.change(session, sandbox.id, LIVE_STATES, "failed", ended_at=now, **why)
        if row is not None:
            await self.tell(session, row, "sandbox.failed", now, by, error_code=code, message=message[:2_000])
        return row is not None

    async def run(self, session: AsyncSession, sandbox_id: str, now: datetime, by: str) -> SandboxRow | None:
        """creating → running; the row as it is then."""
        row = await self.change(session, sandbox_id, ("creating",), "running", started_at=now)
        if row is not None:
            await self.tell(session, row, "sandbox.started", now, by, worker=row.worker)
        return row

    @staticmethod
    async def change(
        session: AsyncSession, sandbox_id: str, states: Collection[str], to: str, **values: Any
    ) -> SandboxRow | None:
        """The one statement that changes a state; None when it is none of `states` any more."""
        await session.flush()
        statement = (
            update(SandboxRow)
            .where(SandboxRow.id == sandbox_id, SandboxRow.state.in_(list(states)))
            .values(state=to, **values)
            .returning(SandboxRow)
        )
        whole = {"synchronize_session": False, "populate_existing": True}
        return await session.scalar(statement.execution_options(**whole))

    async def tell(
        self,
        session: AsyncSession,
        row: SandboxRow,
        type_: str,
        now: datetime,
        by: str = HOST,
        **payload: Any,
    ) -> None:
        await self.events.append(session, row.tenant_id, sandbox_event(type_, row, now, by, **payload))
