"""Schedules: each fire of an active agent becomes exactly one run."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from typing import Any

from omniforge.agents import store
from omniforge.agents.people import standing_actor
from omniforge.agents.schedule import DueFires, MisfirePolicy, due_fires
from omniforge.agents.service import AgentService, NotActive
from omniforge.agents.store import AgentRow
from omniforge.core.actor import Actor
from omniforge.core.clock import Clock, rfc3339
from omniforge.core.errors import OmniForgeError
from omniforge.engine.events import Event

log = logging.getLogger(__name__)

SCHEDULER = "scheduler"
BATCH = 100
LONGEST_SLEEP = timedelta(seconds=30)
"""The machine's clock may jump, or the machine sleep: look at the time at least this often."""
RETRY_DELAY = timedelta(seconds=10)


class Scheduler:
    """Fires what is due and sleeps until the next time, or until a schedule changes.

    The table is the only truth. A fire is started under a key made of agent and time, and the agent's next
    time moves on only when its runs are durable: a crash in between starts the same runs again, which are
    then found to be there.
    """

    def __init__(self, agents: AgentService, clock: Clock) -> None:
        self.agents, self.clock = agents, clock

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
            earliest = await store.earliest_fire(session)
        return self.clock.now() + RETRY_DELAY if failed else earliest

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
        """How long is looked up when the nap begins: the clock may have moved since the table was read."""
        longest = LONGEST_SLEEP if until is None else min(until - self.clock.now(), LONGEST_SLEEP)
        await self.clock.sleep(max(0.0, longest.total_seconds()))

    async def fire_due(self) -> int:
        """Fire every agent whose time has come; returns how many could not be fired and stay due."""
        failed: set[tuple[str, str]] = set()
        while True:
            now = self.clock.now()
            async with self.agents.db.read() as session:
                due = await store.due_agents(session, now, BATCH + len(failed))
            fresh = [row for row in due if (row.tenant_id, row.id) not in failed]
            if not fresh:
                return len(failed)
            done = await asyncio.gather(*(self._try_fire(row, now) for row in fresh))
            failed |= {(row.tenant_id, row.id) for row, ok in zip(fresh, done, strict=True) if not ok}

    async def _try_fire(self, row: AgentRow, now: datetime) -> bool:
        """Whether the agent was fired; when not, it stays due and does not hold up the others."""
        try:
            await self._fire(row, now)
        except OmniForgeError as error:
            log.warning("agent %s of tenant %s is not fired yet: %s", row.id, row.tenant_id, error)
            return False
        except Exception:
            # The path ends here: a fault of one agent must not reach the others.
            log.exception("agent %s of tenant %s could not be fired", row.id, row.tenant_id)
            return False
        return True

    async def _fire(self, row: AgentRow, now: datetime) -> None:
        assert row.schedule is not None and row.next_fire_at is not None  # noqa: PT018, S101 - it was due
        due = due_fires(row.schedule, row.timezone, MisfirePolicy(row.misfire_policy), row.next_fire_at, now)
        actor = await self._activator(row)
        if actor is None:
            return
        for at in due.run:
            try:
                await self.agents.start_run(
                    actor,
                    row.id,
                    trigger_type="scheduled",
                    triggered_by=SCHEDULER,
                    logical_time=at,
                    idempotency_key=fire_key(row.id, at),
                )
            except NotActive:
                return  # paused or archived since we looked; that took its next fire away as well
        await self._move_on(row, due)

    async def _activator(self, row: AgentRow) -> Actor | None:
        """Whoever switched it on, with the rights of today; without them the agent is paused."""
        actor = await standing_actor(self.agents.tenants, row.tenant_id, row.activated_by or row.created_by)
        if actor is not None and actor.may("agent:execute"):
            return actor
        await self.agents.activation.pause_unattended(
            row,
            "The person who switched it on may no longer run agents.",
            "The person who switched this agent on may no longer run agents here, so it does not run by "
            "itself any more. Nothing was sent. Somebody who may run agents can switch it on again.",
        )
        return None

    async def _move_on(self, row: AgentRow, due: DueFires) -> None:
        assert row.next_fire_at is not None  # noqa: S101 - it was due
        async with self.agents.db.transaction() as session:
            moved = await store.move_fire(session, row, row.next_fire_at, due.next)
            if moved and due.dropped != 0:
                payload = {
                    "reason": f"late by more than a minute, misfire policy {row.misfire_policy}",
                    "dropped": due.dropped,
                    "since": rfc3339(row.next_fire_at),
                }
                event = Event("fire.dropped", f"agent:{row.id}", self.clock.now(), SCHEDULER, payload)
                await self.agents.runs.engine.events.append(session, row.tenant_id, event)


def fire_key(agent_id: str, at: datetime) -> str:
    """What makes a fire the same fire: the agent and the time it is about."""
    return f"fire:{agent_id}:{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
