"""What was delivered as a mere id: looked up at its service, and then it starts its agent or does not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.agents import hook_store, store
from omniforge.agents.content import EventConfig
from omniforge.agents.deliveries import UNCOMPUTED, fire_of, refuse
from omniforge.agents.events import Match, event_config_of, match
from omniforge.agents.fires import Fires
from omniforge.agents.hook_store import ArrivalRow, HookRow
from omniforge.agents.hooks import integration_of
from omniforge.agents.listening import Ears
from omniforge.agents.store import AgentRow
from omniforge.core.clock import Clock
from omniforge.core.errors import Forbidden, Invalid, NotFound, OmniForgeError
from omniforge.db import Database
from omniforge.integrations.manifest import EventKind, Occurrence

Json = dict[str, Any]

GIVEN_UP_AFTER = timedelta(hours=24)
FIRST_WAIT = timedelta(seconds=5)
LONGEST_WAIT = timedelta(minutes=15)


class Arrivals:
    """Looks up what was delivered, as often as its service needs to answer."""

    def __init__(self, db: Database, ears: Ears, fires: Fires, clock: Clock) -> None:
        self.db, self.ears, self.fires, self.clock = db, ears, fires, clock

    async def claim(
        self, session: AsyncSession, now: datetime, until: datetime, limit: int, full: Sequence[str]
    ) -> Sequence[ArrivalRow]:
        return await hook_store.claim_arrivals(session, now, until, limit, full)

    async def look_up(self, arrival: ArrivalRow) -> None:
        """One of them. What it becomes and that it is done with are one transaction."""
        place = (arrival.tenant_id, arrival.agent_id)
        async with self.db.read() as session:
            hook = await hook_store.find_hook(session, *place)
            agent = await store.get_agent(session, *place)
        config = event_config_of(agent.content)
        integration = None if config is None else integration_of(self.ears.sources, config.integration)
        kind = None if integration is None or config is None else integration.event(config.event)
        if hook is None or config is None or integration is None or kind is None:
            await self._end(arrival)
            return
        occurrence = occurrence_from(arrival.occurrence)
        try:
            author = await self.ears.known_author(agent, hook, config)
            occurrence = await self._with_item(agent, hook, kind, occurrence)
        except OmniForgeError as error:
            await self._failed(arrival, agent, (config, kind, occurrence), error)
            return
        async with self.db.transaction() as session:
            if not await hook_store.remove_arrival(session, *place, arrival.key):
                return  # somebody else looked it up meanwhile
            kept = await hook_store.find_hook(session, *place)
            if kept is not None and kept.connection_id == hook.connection_id:
                kept.author = author
            fire = fire_of(config, kind, occurrence)
            match match(config, occurrence, author):
                case Match.YES:
                    await self.fires.take_down(session, *place, [fire])
                case Match.BROKEN_FILTER:
                    await refuse(session, agent, fire, UNCOMPUTED, self.clock.now())
                case _:
                    return
        await self.fires.start_waiting(*place)
        self.fires.activation.bell.ring()

    async def _with_item(
        self, agent: AgentRow, hook: HookRow, kind: EventKind, occurrence: Occurrence
    ) -> Occurrence:
        if kind.read_tool is None:
            return occurrence
        item = await self.ears.sources.call_tool(
            agent.tenant_id,
            agent.activated_by or agent.created_by,
            hook.connection_id or hook.integration,
            kind.read_tool,
            {kind.read_argument: occurrence.id},
        )
        return replace(occurrence, item=item)

    async def _failed(
        self,
        arrival: ArrivalRow,
        agent: AgentRow,
        what: tuple[EventConfig, EventKind, Occurrence],
        error: OmniForgeError,
    ) -> None:
        """Try again later, unless trying again would not help: then the ledger says why it has no run."""
        now = self.clock.now()
        place = (arrival.tenant_id, arrival.agent_id)
        hopeless = isinstance(error, NotFound | Forbidden | Invalid)
        async with self.db.transaction() as session:
            if hopeless or now - arrival.received_at > GIVEN_UP_AFTER:
                if await hook_store.remove_arrival(session, *place, arrival.key):
                    await refuse(
                        session, agent, fire_of(*what), f"It could not be read: {error.message}", now
                    )
                return
            kept = await hook_store.find_arrival(session, *place, arrival.key)
            if kept is not None:
                wait = min(FIRST_WAIT * 2 ** min(kept.failures, 20), LONGEST_WAIT)
                asked = timedelta(seconds=getattr(error, "retry_after", None) or 0)
                kept.failures, kept.next_try_at = kept.failures + 1, now + max(wait, asked)

    async def _end(self, arrival: ArrivalRow) -> None:
        async with self.db.transaction() as session:
            await hook_store.remove_arrival(session, arrival.tenant_id, arrival.agent_id, arrival.key)


def occurrence_from(stored: Json) -> Occurrence:
    fields: Json = {**stored, "at": datetime.fromisoformat(stored["at"])}
    return Occurrence(**fields)
