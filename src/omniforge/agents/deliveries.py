"""Deliveries of services: checked, taken down once for every agent they concern, and only then answered."""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.agents import hook_store, ledger, store
from omniforge.agents.content import AgentStatus, EventConfig, FireStatus
from omniforge.agents.events import Match, event_config_of, event_of, happening_key, match
from omniforge.agents.fires import EventFire, Fired, Fires, key_of
from omniforge.agents.hook_store import ArrivalRow, HookRow
from omniforge.agents.hooks import Hooks, app_secrets, integration_of
from omniforge.agents.inbox import Inbox
from omniforge.agents.ledger import Entry, Place
from omniforge.agents.rooms import Connections
from omniforge.agents.store import AgentRow
from omniforge.core.clock import rfc3339
from omniforge.core.config import Settings
from omniforge.integrations.manifest import EventKind, Integration, Occurrence, WebhookData
from omniforge.integrations.webhooks import Delivery, Forged, Refused, challenge_of, token_of, verify
from omniforge.tenants import SecretBox

MOST_OCCURRENCES = 100
"""Of one delivery."""
FORGOTTEN_AFTER = timedelta(days=2)
"""Deliveries that are refused for their age long before need not be remembered."""
UNCOMPUTED = "The filter could not be computed for this event."


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a delivery. challenge: what the service wants to read in the answer.

    waiting: agents that have something to start now.
    """

    duplicate: bool = False
    challenge: str | None = None
    handshake: bool = False
    waiting: Sequence[Place] = ()


@dataclass(frozen=True, slots=True)
class _News:
    """A good delivery and what it tells of."""

    integration: Integration
    delivery: Delivery
    occurrences: Sequence[Occurrence]
    now: datetime

    @property
    def forgettable(self) -> bool:
        webhook = self.integration.manifest.webhook
        return webhook is not None and webhook.timestamp is not None


class Deliveries:
    """Takes what services deliver. Whatever is wrong with a delivery, it is refused in the same words."""

    def __init__(
        self, fires: Fires, inbox: Inbox, sources: Connections, box: SecretBox, settings: Settings
    ) -> None:
        self.db, self.clock, self.fires, self.inbox = fires.db, fires.clock, fires, inbox
        self.hooks = Hooks(self.db, sources, box, settings, self.clock)

    async def to_agent(
        self, integration_id: str, agent_id: str, address: str, headers: Mapping[str, str], body: bytes
    ) -> Taken:
        """A delivery to an agent's own address, signed with its own secret; `Refused` otherwise.

        address: the part of it that cannot be guessed, for services that send their secret by themselves.
        """
        integration, webhook = self._known(integration_id)
        now = self.clock.now()
        async with self.db.read() as session:
            hooks = await hook_store.hooks_at(session, integration_id, agent_id)
            secrets = [await self.hooks.secrets_of(session, hook, now) for hook in hooks]
        token = None if webhook.signature.header.lower() in headers else token_of(webhook, body)
        if token is not None:
            return await self._keep_token(hooks, address, token)
        for hook, keys in zip(hooks, secrets, strict=True):
            try:
                delivery = verify(webhook, keys, headers, body, now)
            except Refused:
                continue
            challenge = challenge_of(webhook, delivery.payload)
            if challenge is not None:
                return Taken(challenge=challenge)
            news = self._read(integration, delivery, headers, now)
            confirms = hook.token is not None and _is_signed(webhook, keys[:1], headers, body, now)
            return await self._give((hook.tenant_id, hook.agent_id), news, confirms=confirms)
        verify(webhook, (), headers, body, now)  # takes as long as a refusal with a secret does
        raise Forged

    async def to_app(self, integration_id: str, headers: Mapping[str, str], body: bytes) -> Taken:
        """A delivery to everybody here, signed with the installation's secret; `Refused` otherwise.

        It goes to the agents whose connection leads to the workspace that it is about.
        """
        integration, webhook = self._known(integration_id)
        secrets, now = app_secrets(self.hooks.settings, integration_id), self.clock.now()
        token = None if webhook.signature.header.lower() in headers else token_of(webhook, body)
        if token is not None and not secrets:
            async with self.db.transaction() as session:
                await self.hooks.keep_app_token(session, integration_id, token)
            return Taken(handshake=True)
        delivery = verify(webhook, secrets, headers, body, now)
        challenge = challenge_of(webhook, delivery.payload)
        if challenge is not None:
            return Taken(challenge=challenge)
        news = self._read(integration, delivery, headers, now)
        scope = f"app:{integration_id}"
        async with self.db.read() as session:
            if await hook_store.was_taken(session, scope, delivery.key):
                return Taken(duplicate=True)
            places = await self._concerned(session, news)
        waiting: list[Place] = []
        for place in places:
            waiting += (await self._give(place, news)).waiting
        async with self.db.transaction() as session:
            first = await hook_store.take_delivery(
                session, scope, delivery.key, now, forgettable=news.forgettable
            )
        return Taken(duplicate=not first, waiting=waiting)

    async def start(self, places: Sequence[Place]) -> None:
        """Start what was taken down, as far as it may run now. What cannot start yet is not lost."""
        for tenant_id, agent_id in places:
            await self.fires.start_waiting(tenant_id, agent_id)
        self.fires.activation.bell.ring()  # others look after the rest

    # --- reading -------------------------------------------------------------------------------------------

    def _known(self, integration_id: str) -> tuple[Integration, WebhookData]:
        integration = integration_of(self.hooks.sources, integration_id)
        if integration is None or integration.manifest.webhook is None:
            raise Forged
        return integration, integration.manifest.webhook

    def _read(
        self, integration: Integration, delivery: Delivery, headers: Mapping[str, str], now: datetime
    ) -> _News:
        lower = {name.lower(): value for name, value in headers.items()}
        found = integration.read_delivery(lower, delivery.payload)
        return _News(integration, delivery, found[:MOST_OCCURRENCES], now)

    async def _concerned(self, session: AsyncSession, news: _News) -> list[Place]:
        """Agents that wait for something of this in the workspace it is about; nobody when it names none."""
        workspace = news.delivery.workspace
        if not workspace or not news.occurrences:
            return []
        found = await hook_store.listening_in(session, news.integration.id, workspace)
        return [
            (hook.tenant_id, hook.agent_id)
            for hook, agent in found
            if (config := event_config_of(agent.content)) is not None
            and any(match(config, o, None, item_known=False) is Match.YES for o in news.occurrences)
        ]

    async def _keep_token(self, hooks: Sequence[HookRow], address: str, token: str) -> Taken:
        """Of a handshake: only at the address that nobody else can know, and until deliveries came."""
        for hook in hooks:
            same = hmac.compare_digest(hook.address.encode(), address.encode("utf-8", "replace"))
            if same and hook.confirmed_at is None:
                async with self.db.transaction() as session:
                    kept = await hook_store.find_hook(session, hook.tenant_id, hook.agent_id)
                    if kept is None or kept.address != hook.address or kept.confirmed_at is not None:
                        raise Forged
                    await self.hooks.keep_token(session, kept, token)
                    await self._offer(session, kept)
                return Taken(handshake=True)
        raise Forged

    async def _offer(self, session: AsyncSession, hook: HookRow) -> None:
        agent = await store.get_agent(session, hook.tenant_id, hook.agent_id)
        integration = integration_of(self.hooks.sources, hook.integration)
        title = hook.integration if integration is None else integration.title
        self.inbox.deliver(
            session,
            agent,
            kind="notice",
            title=f"{title} wants its token back",
            text=f"{title} sent a verification token for {agent.name}. Look at the agent's hook, copy the "
            f"token and enter it in {title}: then it delivers what happens.",
        )

    # --- taking down ---------------------------------------------------------------------------------------

    async def _give(self, place: Place, news: _News, *, confirms: bool = False) -> Taken:
        """Take the delivery down for one agent: itself and all that it calls for, in one transaction."""
        key = news.delivery.key
        async with self.db.transaction() as session:
            scope = "/".join(place)
            if not await hook_store.take_delivery(
                session, scope, key, news.now, forgettable=news.forgettable
            ):
                return Taken(duplicate=True)
            agent = await store.get_agent(session, *place)
            hook = await hook_store.find_hook(session, *place)
            if hook is None:
                raise Forged  # it was taken out of use this moment
            await self._note(session, hook, news.now, confirms=confirms)
            fired = await self._fire(session, agent, hook, news)
        waiting = [place] if any(one.status is FireStatus.WAITING for one in fired) else []
        return Taken(duplicate=bool(fired) and all(one.duplicate for one in fired), waiting=waiting)

    async def _fire(self, session: AsyncSession, agent: AgentRow, hook: HookRow, news: _News) -> list[Fired]:
        """What of it can be decided now; the rest is put down to be looked up."""
        config = event_config_of(agent.content)
        if config is None or config.integration != news.integration.id:
            return []
        kind = news.integration.event(config.event)
        if kind is None:
            return []
        fires: list[EventFire] = []
        for occurrence in news.occurrences:
            known = _is_known(news.integration, kind, config, hook, occurrence)
            found = match(config, occurrence, hook.author, item_known=known)
            if found is Match.YES and not known and agent.status == AgentStatus.ACTIVE.value:
                await self._put_down(session, hook, occurrence, kind, news.now)
            elif found is Match.YES:
                fires.append(fire_of(config, kind, occurrence))
            elif found is Match.BROKEN_FILTER:
                await refuse(session, agent, fire_of(config, kind, occurrence), UNCOMPUTED, news.now)
        return await self.fires.take_down(session, agent.tenant_id, agent.id, fires) if fires else []

    async def _put_down(
        self, session: AsyncSession, hook: HookRow, occurrence: Occurrence, kind: EventKind, now: datetime
    ) -> None:
        """It is looked up at its service as soon as this is durable."""
        place, key = (hook.tenant_id, hook.agent_id), happening_key(occurrence, kind)
        if await hook_store.find_arrival(session, *place, key) is None:
            session.add(
                ArrivalRow(
                    tenant_id=place[0],
                    agent_id=place[1],
                    key=key,
                    occurrence=asdict(occurrence) | {"at": rfc3339(occurrence.at)},
                    next_try_at=now,
                    failures=0,
                    received_at=now,
                )
            )
        session.info.setdefault("after_commit", []).append(self.fires.activation.bell.ring)

    async def _note(self, session: AsyncSession, hook: HookRow, now: datetime, *, confirms: bool) -> None:
        """It delivers: what stood in for that is over."""
        hook.last_delivery_at = now
        if confirms and hook.confirmed_at is None:
            hook.confirmed_at = now
        cursor = await hook_store.find_cursor(session, hook.tenant_id, hook.agent_id)
        if cursor is not None and cursor.stands_in:
            await session.delete(cursor)


def _is_known(
    integration: Integration, kind: EventKind, config: EventConfig, hook: HookRow, occurrence: Occurrence
) -> bool:
    """Whether all is there to decide about it: its item, and whose doing it was."""
    anonymous = hook.author is None and occurrence.author is not None and not config.include_own
    return kind.read_tool is None and not (anonymous and integration.needs_connection)


def _is_signed(
    webhook: WebhookData, secrets: Sequence[bytes], headers: Mapping[str, str], body: bytes, now: datetime
) -> bool:
    try:
        verify(webhook, secrets, headers, body, now)
    except Refused:
        return False
    return True


def fire_of(config: EventConfig, kind: EventKind, occurrence: Occurrence) -> EventFire:
    key, event = happening_key(occurrence, kind), event_of(occurrence)
    return EventFire(key=key, event=event, at=occurrence.at, integration=config.integration)


async def refuse(session: AsyncSession, agent: AgentRow, fire: EventFire, reason: str, now: datetime) -> None:
    """Put in the ledger that this called the agent and cannot be run."""
    entry = Entry(
        tenant_id=agent.tenant_id,
        agent_id=agent.id,
        key=key_of(agent.id, fire),
        kind=fire.kind,
        at=fire.at,
        status=FireStatus.REFUSED,
        reason=reason,
    )
    await ledger.enter(session, now, [entry])
