"""Schedules: each fire of an active agent becomes exactly one run."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from omniforge.agents import due as queries
from omniforge.agents import ledger
from omniforge.agents.content import FireStatus
from omniforge.agents.due import DueAgent
from omniforge.agents.due_starts import Decision, DueStarts, refused
from omniforge.agents.fires import SCHEDULER, UNATTENDED, UNATTENDED_NOTICE, fire_key
from omniforge.agents.ledger import Place
from omniforge.agents.schedule import next_fire
from omniforge.agents.service import AgentService
from omniforge.core.clock import Clock, rfc3339
from omniforge.engine.events import Event

__all__ = ["SCHEDULER", "Scheduler", "fire_key"]

log = logging.getLogger(__name__)

BATCH = 5_000
"""Agents claimed at once; more would keep whoever wants to pause one of them waiting too long."""
ENTERED_TOGETHER = 200
"""Agents whose ledgers are written together; more would keep others waiting after a long standstill."""
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
        self._starts = DueStarts(agents.db, agents.launch)
        self._looked = clock.now()

    async def run(self) -> None:
        """Work until cancelled."""
        follows_rules = False
        while True:
            rung = self.agents.activation.bell.next_ring()
            try:
                if not follows_rules:
                    await self.follow_rules()
                    follows_rules = True
                wake_at = await self._turn()
            except Exception:
                # The path ends here: schedules must go on when the database was busy for a moment.
                log.exception("the schedules could not be looked at; trying again soon")
                wake_at = self.clock.now() + RETRY_DELAY
            await self._sleep(wake_at, rung)

    async def follow_rules(self) -> int:
        """Move next fires to where the time zones' rules have them now; returns how many that were.

        A country may have changed its rules since they were set. What is due already stays due.
        """
        now = self.clock.now()
        async with self.agents.db.read() as session:
            coming = await queries.still_to_come(session, now)
        moves = [
            (agent, at)
            for agent in coming
            if (at := next_fire(agent.schedule, agent.timezone, now)) != agent.next_fire_at
        ]
        if moves:
            log.warning("%d schedules fire at other times now: the rules of their zones changed", len(moves))
            async with self.agents.db.transaction() as session:
                await queries.move_fires(session, moves)
        return len(moves)

    async def _turn(self) -> datetime | None:
        """Fire what is due; returns when to look again."""
        failed = await self.fire_due()
        waiting = await self.agents.fires.start_all_waiting()
        async with self.agents.db.read() as session:
            earliest = await queries.earliest_fire(session)
            is_behind = earliest is not None and earliest <= self._looked
            later = await queries.earliest_fire(session, after=self._looked) if is_behind else earliest
        times = [] if later is None else [later]
        if is_behind or waiting:
            delay = BUSY_DELAY if is_behind and not failed else RETRY_DELAY
            times.append(self.clock.now() + delay)
        return min(times, default=None)

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
            batch = await self._starts.start_due(self._looked, self.batch, but_not=failed, but_not_of=full)
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
            async with self.agents.db.transaction() as session:
                await ledger.enter(session, self.clock.now(), [refused(agent, UNATTENDED)])
            await self.agents.activation.pause_unattended(agent, UNATTENDED, UNATTENDED_NOTICE)
        except Exception:
            # The path ends here: a fault of one agent must not reach the others.
            log.exception("agent %s of tenant %s could not be paused", agent.id, agent.tenant_id)
            return False
        return True

    async def _move_on(self, fired: Sequence[Decision]) -> None:
        """Write when they are due next, with what became of the fires that have no run, and look again at
        those that wait: what they wait for may have ended meanwhile.
        """
        step = ENTERED_TOGETHER if any(decision.entries for decision in fired) else len(fired)
        waiting: list[Place] = []
        for first in range(0, len(fired), step or 1):
            waiting += await self._move_part(fired[first : first + step])
        for place in waiting:
            await self.agents.fires.start_waiting(*place)

    async def _move_part(self, fired: Sequence[Decision]) -> list[Place]:
        """One transaction; returns the agents that have something more that waits."""
        telling = [decision for decision in fired if decision.entries]
        async with self.agents.db.transaction() as session:
            still = await queries.still_due(session, [d.agent for d in telling]) if telling else set[Place]()
            await queries.move_fires(session, [(decision.agent, decision.due.next) for decision in fired])
            entries = [entry for d in telling if d.agent.place in still for entry in d.entries]
            await ledger.enter(session, self.clock.now(), entries)
            told: dict[str, list[Event]] = {}
            for decision in telling:
                if decision.due.missed and decision.agent.place in still:
                    told.setdefault(decision.agent.tenant_id, []).append(self._dropped(decision))
            for tenant_id, events in told.items():
                await self.agents.runs.engine.events.append(session, tenant_id, *events)
        waits = {(e.tenant_id, e.agent_id) for e in entries if e.status is FireStatus.WAITING}
        return sorted(waits)

    def _dropped(self, decision: Decision) -> Event:
        agent, due = decision.agent, decision.due
        payload = {
            "reason": due.missed[-1].reason,
            "policy": agent.misfire_policy,
            "dropped": due.dropped,
            "since": rfc3339(due.missed[0].at),
        }
        return Event("fire.dropped", f"agent:{agent.id}", self.clock.now(), SCHEDULER, payload)
