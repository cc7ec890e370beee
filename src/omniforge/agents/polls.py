"""Polling: services that are asked for what happened, again and again, so that each thing fires once."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.agents import hook_store, store
from omniforge.agents.arrivals import Arrivals
from omniforge.agents.content import AgentStatus, EventConfig
from omniforge.agents.deliveries import FORGOTTEN_AFTER, UNCOMPUTED, fire_of, refuse
from omniforge.agents.events import Match, event_config_of, match
from omniforge.agents.hook_store import CursorRow, HookRow
from omniforge.agents.hooks import integration_of
from omniforge.agents.listening import LAG, mark_of
from omniforge.agents.service import AgentService
from omniforge.agents.store import AgentRow
from omniforge.core.clock import Clock, rfc3339
from omniforge.core.errors import Conflict, Forbidden, NotFound, OmniForgeError
from omniforge.integrations.errors import RateLimitedThere
from omniforge.integrations.manifest import Occurrence

log = logging.getLogger(__name__)

AT_ONCE = 50
"""Polls and look-ups under way in one process."""
OF_ONE_TENANT = 10
"""Of these, about as many at most: a tenant whose services are slow holds up nobody else."""
CLAIM = timedelta(minutes=5)
"""How long a claimed poll is nobody else's; one whose process died is due again after that."""
PATIENCE = 240.0
"""Seconds that one poll may take: less than it is claimed for."""
FIRST_WAIT = timedelta(minutes=1)
LONGEST_WAIT = timedelta(hours=1)
TOLD_AFTER = timedelta(hours=1)
"""How long a service may be away before the owner hears of it."""
LONGEST_SLEEP = timedelta(seconds=30)
RETRY_DELAY = timedelta(seconds=10)


class Polls:
    """Asks one service for one agent, and takes down what is new."""

    def __init__(self, agents: AgentService) -> None:
        self.agents, self.db, self.clock = agents, agents.db, agents.clock

    async def poll(self, cursor: CursorRow) -> None:
        """Ask once. What is new and how far that reaches are one transaction."""
        place = (cursor.tenant_id, cursor.agent_id)
        async with self.db.read() as session:
            agent = await store.get_agent(session, *place)
            hook = await hook_store.find_hook(session, *place)
        config = event_config_of(agent.content)
        if hook is None or config is None or agent.status != AgentStatus.ACTIVE.value:
            return
        try:
            async with asyncio.timeout(PATIENCE):
                author = await self.agents.ears.known_author(agent, hook, config)
                found = await self._ask(agent, hook, config, cursor.since)
        except (OmniForgeError, TimeoutError) as error:
            await self._failed(cursor, error)
            return
        await self._take(cursor, config, author, found)
        await self.agents.fires.start_waiting(*place)

    async def _ask(
        self, agent: AgentRow, hook: HookRow, config: EventConfig, since: datetime
    ) -> list[Occurrence]:
        return await self.agents.ears.sources.poll(
            agent.tenant_id,
            agent.activated_by or agent.created_by,
            hook.connection_id or config.integration,
            config.event,
            config.resource,
            since,
        )

    async def _take(
        self, asked: CursorRow, config: EventConfig, author: str | None, found: Sequence[Occurrence]
    ) -> None:
        place, now = (asked.tenant_id, asked.agent_id), self.clock.now()
        seen = set(asked.seen)
        fresh = sorted(
            (one for one in found if one.at >= asked.since and mark_of(one) not in seen),
            key=lambda one: (one.at, one.id, one.version),
        )
        async with self.db.transaction() as session:
            cursor = await hook_store.find_cursor(session, *place)
            if cursor is None or (cursor.since, cursor.seen) != (asked.since, asked.seen):
                return  # switched off, or another poll was faster: it has seen the same
            cursor.since, cursor.seen = _moved(asked, [*found, *fresh])
            cursor.next_poll_at = now + timedelta(minutes=config.interval_minutes)
            cursor.failures, cursor.failing_since, cursor.told_at = 0, None, None
            hook = await hook_store.find_hook(session, *place)
            if hook is not None and hook.author is None:
                hook.author = author
            await session.flush()
            await self._fire(session, config, author, place, fresh)

    async def _fire(
        self,
        session: AsyncSession,
        config: EventConfig,
        author: str | None,
        place: tuple[str, str],
        fresh: Sequence[Occurrence],
    ) -> None:
        integration = integration_of(self.agents.integrations, config.integration)
        kind = None if integration is None else integration.event(config.event)
        if kind is None:
            return
        matched = [(one, match(config, one, author)) for one in fresh]
        agent = await store.get_agent(session, *place)
        for one, how in matched:
            if how is Match.BROKEN_FILTER:
                await refuse(session, agent, fire_of(config, kind, one), UNCOMPUTED, self.clock.now())
        fires = [fire_of(config, kind, one) for one, how in matched if how is Match.YES]
        if fires:
            await self.agents.fires.take_down(session, *place, fires)

    async def _failed(self, asked: CursorRow, error: OmniForgeError | TimeoutError) -> None:
        """Ask again later; nothing is missed meanwhile. The owner hears of it once, when it lasts."""
        place, now = (asked.tenant_id, asked.agent_id), self.clock.now()
        wait = timedelta(seconds=getattr(error, "retry_after", None) or 0)
        async with self.db.transaction() as session:
            cursor = await hook_store.find_cursor(session, *place)
            if cursor is None:
                return
            if isinstance(error, RateLimitedThere):
                cursor.next_poll_at = now + max(wait, FIRST_WAIT)
                return
            wait = max(wait, min(FIRST_WAIT * 2 ** min(cursor.failures, 20), LONGEST_WAIT))
            cursor.next_poll_at, cursor.failures = now + wait, cursor.failures + 1
            since = cursor.failing_since = cursor.failing_since or now
            lasts = now - since >= TOLD_AFTER
            if cursor.told_at is None and (lasts or _needs_person(error)):
                cursor.told_at = now
                await self._tell(session, cursor, error)

    async def _tell(
        self, session: AsyncSession, cursor: CursorRow, error: OmniForgeError | TimeoutError
    ) -> None:
        agent = await store.get_agent(session, cursor.tenant_id, cursor.agent_id)
        why = error.message if isinstance(error, OmniForgeError) else "The service does not answer in time."
        self.agents.inbox.deliver(
            session,
            agent,
            kind="notice",
            title=f"{agent.name} cannot look for what is new",
            text=f"{why} Since {rfc3339(cursor.failing_since or self.clock.now())} this agent could not look "
            "for what is new. It goes on trying by itself, and nothing that happens meanwhile is missed.",
        )


def _moved(cursor: CursorRow, found: Sequence[Occurrence]) -> tuple[datetime, list[str]]:
    """How far a cursor is after this: a little before the newest, and all that was seen from there on."""
    since = max([cursor.since, *(one.at - LAG for one in found)])
    return since, sorted({mark_of(one) for one in found if one.at >= since})


def _needs_person(error: OmniForgeError | TimeoutError) -> bool:
    """Signed out, no longer shared, gone: waiting does not mend that."""
    return isinstance(error, Conflict | Forbidden | NotFound)


class Poller:
    """Does polls and look-ups whose time has come, many at once, and sleeps until the next one.

    The tables are the only truth: what is due is claimed there for a while by whichever process is first.
    """

    def __init__(self, agents: AgentService, clock: Clock) -> None:
        self.agents, self.clock = agents, clock
        self.polls = Polls(agents)
        self._arrivals = Arrivals(agents.db, agents.ears, agents.fires, clock)
        self._busy: dict[asyncio.Task[None], str] = {}
        self._forget_at = clock.now()

    async def run(self) -> None:
        """Work until cancelled."""
        try:
            while True:
                rung = self.agents.activation.bell.next_ring()
                try:
                    await self._begin_due()
                    await self._forget()
                    wake_at = await self._earliest()
                except Exception:
                    # The path ends here: polling must go on when the database was busy for a moment.
                    log.exception("what is to be polled could not be looked at; trying again soon")
                    wake_at = self.clock.now() + RETRY_DELAY
                await self._sleep(wake_at, rung)
        finally:
            for task in self._busy:
                task.cancel()
            await asyncio.gather(*self._busy, return_exceptions=True)

    async def poll_due(self) -> None:
        """Do everything that is due now, to its end."""
        while await self._begin_due() or self._busy:
            await asyncio.gather(*self._busy)

    async def _begin_due(self) -> int:
        """Begin as much as there is room for; a few at a time, so that no tenant takes all of it."""
        begun = 0
        while (room := min(AT_ONCE - len(self._busy), OF_ONE_TENANT)) > 0:
            now, full = self.clock.now(), self._full()
            due = await self._earliest()
            if due is None or due > now:
                break
            async with self.agents.db.transaction() as session:
                polls = await hook_store.claim_polls(session, now, now + CLAIM, room, full)
                arrivals = await hook_store.claim_arrivals(session, now, now + CLAIM, room, full)
            for cursor in polls:
                self._begin(cursor.tenant_id, cursor.agent_id, self.polls.poll(cursor))
            for arrival in arrivals:
                self._begin(arrival.tenant_id, arrival.agent_id, self._arrivals.look_up(arrival))
            begun += len(polls) + len(arrivals)
            if not polls and not arrivals:
                break  # another process has them
        return begun

    async def _forget(self) -> None:
        """Now and then, what need not be remembered any more."""
        now = self.clock.now()
        if now >= self._forget_at:
            self._forget_at = now + timedelta(hours=1)
            async with self.agents.db.transaction() as session:
                await hook_store.forget_deliveries(session, now - FORGOTTEN_AFTER)

    def _begin(self, tenant_id: str, agent_id: str, work: Awaitable[None]) -> None:
        task = asyncio.create_task(self._guarded(tenant_id, agent_id, work))
        self._busy[task] = tenant_id
        task.add_done_callback(lambda done: self._busy.pop(done, None))

    async def _guarded(self, tenant_id: str, agent_id: str, work: Awaitable[None]) -> None:
        try:
            await work
        except Exception:
            # The path ends here: it is due again when the claim has run out, and the others go on.
            log.exception("polling for agent %s of tenant %s failed", agent_id, tenant_id)

    def _full(self) -> list[str]:
        return [
            tenant_id for tenant_id, count in Counter(self._busy.values()).items() if count >= OF_ONE_TENANT
        ]

    async def _earliest(self) -> datetime | None:
        """When something is due that there is room for; what there is none for waits for an end."""
        if len(self._busy) >= AT_ONCE:
            return None
        full = self._full()
        async with self.agents.db.read() as session:
            found = [
                await hook_store.earliest_poll(session, full),
                await hook_store.earliest_arrival(session, full),
            ]
        return min((at for at in found if at is not None), default=None)

    async def _sleep(self, until: datetime | None, rung: asyncio.Event) -> None:
        """Until then, until something ends, or until the bell rings; never for long: clocks are set."""
        left = LONGEST_SLEEP if until is None else min(until - self.clock.now(), LONGEST_SLEEP)
        waits: list[asyncio.Future[Any]] = [
            asyncio.ensure_future(self.clock.sleep(max(0.0, left.total_seconds()))),
            asyncio.ensure_future(rung.wait()),
        ]
        try:
            await asyncio.wait([*waits, *self._busy], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)
