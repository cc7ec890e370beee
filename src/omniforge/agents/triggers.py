"""Schedules: each fire of an active agent becomes exactly one run."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from omniforge.agents import due as queries
from omniforge.agents.due import DueAgent
from omniforge.agents.fires import SCHEDULER, Fires, fire_key
from omniforge.agents.schedule import DueFires
from omniforge.agents.service import AgentService
from omniforge.core.clock import Clock, rfc3339
from omniforge.engine.events import Event

__all__ = ["SCHEDULER", "Scheduler", "fire_key"]

log = logging.getLogger(__name__)

BATCH = 5_000
"""Agents claimed at once; more would keep whoever wants to pause one of them waiting too long."""
LONGEST_SLEEP = timedelta(seconds=30)
"""The machine's clock may jump, or the machine sleep: look at the time at least this often."""
RETRY_DELAY = timedelta(seconds=10)
BUSY_DELAY = timedelta(seconds=0.25)
"""Before a look at agents that somebody else held: another process that fires them, a person's change."""


class Scheduler:
    """Fires what is due and sleeps until the next time, or until a schedule changes.

    The table is the only truth. A fire is started under a key made of agent and time, and the agent's next
    time moves on only when its runs are durable: a crash in between starts the same runs again, which are
    then found to be there.
    """

    def __init__(self, agents: AgentService, clock: Clock, batch: int = BATCH) -> None:
        self.agents, self.clock, self.batch = agents, clock, batch
        self._fires = Fires(agents.db, agents.launch)
        self._looked = clock.now()

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            rung = self.agents.activation.bell.next_ring()
            try:
                wake_at = await self._turn()
            except Exception:
                # The path ends here: schedules must go on when the database was busy for a moment.
                log.exception("the schedules could not be looked at; trying again soon")
                wake_at = self.clock.now() + RETRY_DELAY
            await self._sleep(wake_at, rung)

    async def _turn(self) -> datetime | None:
        """Fire what is due; returns when to look again."""
        failed = await self.fire_due()
        async with self.agents.db.read() as session:
            earliest = await queries.earliest_fire(session)
            if earliest is None or earliest > self._looked:
                return earliest
            later = await queries.earliest_fire(session, after=self._looked)
        again = self.clock.now() + (RETRY_DELAY if failed else BUSY_DELAY)
        return again if later is None else min(again, later)

    async def _sleep(self, until: datetime | None, rung: asyncio.Event) -> None:
        waits: list[asyncio.Future[Any]] = [
            asyncio.ensure_future(self._nap(until)),
            asyncio.ensure_future(rung.wait()),
        ]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)

    async def _nap(self, until: datetime | None) -> None:
        """Until that time by the clock, which may be set meanwhile. Where others write too, never long."""
        while True:
            left = LONGEST_SLEEP if until is None else until - self.clock.now()
            await self.clock.sleep(max(0.0, min(left, LONGEST_SLEEP).total_seconds()))
            if not self.agents.db.is_sqlite or (until is not None and until <= self.clock.now()):
                return

    async def fire_due(self) -> int:
        """Fire every agent whose time has come; returns how many were tried in vain and stay due."""
        failed: set[tuple[str, str]] = set()
        full: set[str] = set()
        while True:
            self._looked = self.clock.now()
            batch = await self._fires.start_due(self._looked, self.batch, but_not=failed, but_not_of=full)
            await self._move_on(batch.fired)
            for agent in batch.unattended:
                if not await self._pause_unattended(agent):
                    batch.failed.add((agent.tenant_id, agent.id))
            failed |= batch.failed
            full |= batch.full
            if batch.is_last:
                return len(failed)

    async def _pause_unattended(self, agent: DueAgent) -> bool:
        try:
            await self.agents.activation.pause_unattended(
                agent,
                "The person who switched it on may no longer run agents.",
                "The person who switched this agent on may no longer run agents here, so it does not run by "
                "itself any more. Nothing was sent. Somebody who may run agents can switch it on again.",
            )
        except Exception:
            # The path ends here: a fault of one agent must not reach the others.
            log.exception("agent %s of tenant %s could not be paused", agent.id, agent.tenant_id)
            return False
        return True

    async def _move_on(self, fired: Sequence[tuple[DueAgent, DueFires]]) -> None:
        """Write when they are due next, all in one transaction, with an event for what is dropped."""
        if not fired:
            return
        async with self.agents.db.transaction() as session:
            await queries.move_fires(session, [(agent, due.next) for agent, due in fired if due.dropped == 0])
            told: dict[str, list[Event]] = {}
            for agent, due in fired:
                if due.dropped != 0 and await queries.move_fire(session, agent, agent.next_fire_at, due.next):
                    told.setdefault(agent.tenant_id, []).append(self._dropped(agent, due.dropped))
            for tenant_id, events in told.items():
                await self.agents.runs.engine.events.append(session, tenant_id, *events)

    def _dropped(self, agent: DueAgent, count: int | None) -> Event:
        payload = {
            "reason": f"late by more than a minute, misfire policy {agent.misfire_policy}",
            "dropped": count,
            "since": rfc3339(agent.next_fire_at),
        }
        return Event("fire.dropped", f"agent:{agent.id}", self.clock.now(), SCHEDULER, payload)
