"""Hooks of agents: where a service delivers to, and the secrets it signs with."""

from __future__ import annotations

import base64
import secrets
from datetime import datetime, timedelta
from urllib.parse import quote

from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.agents import access, hook_store, store
from omniforge.agents.content import AgentStatus, EventConfig, EventMode
from omniforge.agents.events import event_config_of, mode_of
from omniforge.agents.hook_store import CursorRow, HookRow
from omniforge.agents.rooms import Connections
from omniforge.agents.store import AgentRow
from omniforge.core.actor import Actor
from omniforge.core.clock import Clock
from omniforge.core.config import Settings
from omniforge.core.errors import Conflict, NotFound
from omniforge.db import Database
from omniforge.integrations.manifest import Encoding, Handshake, Integration, WebhookData
from omniforge.tenants import SecretBox
from omniforge.tenants.service import DEFAULT_TENANT

BOTH_VALID = timedelta(hours=24)
"""How long deliveries signed with the secret before are taken after it was exchanged."""


class HookView(BaseModel):
    """Where a service delivers to an agent, and how that stands. Never holds the secret."""

    url: str | None
    """None where the service does not deliver."""
    integration: str
    event: str
    delivery: EventMode
    """How it learns of events now: a push that is not registered anywhere falls back to polling."""
    message: str
    """The same in words, and what is missing."""
    has_secret: bool
    previous_valid_until: datetime | None
    verification_token: str | None
    """What the service wants to be told back, until its first delivery shows that this was done."""
    next_poll_at: datetime | None
    last_delivery_at: datetime | None


class RotatedHook(BaseModel):
    url: str
    secret: str
    """Told this once."""
    previous_valid_until: datetime | None
    """Until then deliveries signed with the secret before are taken as well."""


class InstallationHook(BaseModel):
    """Where a service delivers to the whole installation."""

    url: str
    configured: bool
    """Whether the installation's webhook secret of this service is set."""
    setting: str
    """What it is set by."""
    verification_token: str | None
    """What the service sent to be told back, and the secret to set once it was taken there."""


class Hooks:
    def __init__(
        self, db: Database, sources: Connections, box: SecretBox, settings: Settings, clock: Clock
    ) -> None:
        self.db, self.sources, self.box = db, sources, box
        self.settings, self.clock = settings, clock

    async def rotate(self, actor: Actor, agent_id: str, given: str | None = None) -> RotatedHook:
        """A new secret for the agent's own address: ours, or the one the service made (`given`).

        What was signed with before is taken for another day.
        """
        async with self.db.transaction() as session:
            row, config, webhook = await self._deliverable(session, actor, agent_id)
            hook = await hook_store.find_hook(session, row.tenant_id, row.id)
            if hook is None or hook.integration != config.integration:
                await hook_store.remove_hook(session, row.tenant_id, row.id)
                hook = hook_store.new_hook(
                    row.tenant_id, row.id, config.integration, config.event, self.clock.now()
                )
                session.add(hook)
            secret = given or _made(webhook)
            now = self.clock.now()
            present = hook.signing()
            if present is not None:
                opened = await self._open(session, hook, *present)
                hook.previous_secret = await self._seal(session, hook, "previous_secret", opened)
                hook.previous_valid_until = now + BOTH_VALID
            hook.secret = await self._seal(session, hook, "secret", secret)
            hook.token = hook.confirmed_at = None
            hook.address, hook.updated_at = secrets.token_urlsafe(24), now
        return RotatedHook(
            url=self.url(hook, webhook), secret=secret, previous_valid_until=hook.previous_valid_until
        )

    async def show(self, actor: Actor, agent_id: str) -> HookView:
        """How the agent is told of its events, for whoever may edit it."""
        async with self.db.read() as session:
            row, config = await self._event_agent(session, actor, agent_id)
            hook = await hook_store.find_hook(session, row.tenant_id, row.id)
            cursor = await hook_store.find_cursor(session, row.tenant_id, row.id)
            token = None
            if hook is not None and hook.token is not None and hook.confirmed_at is None:
                token = await self._open(session, hook, "token", hook.token)
        integration = integration_of(self.sources, config.integration)
        webhook = None if integration is None else integration.manifest.webhook
        kind = None if integration is None else integration.event(config.event)
        polled = cursor is not None or (kind is not None and mode_of(config, kind) is EventMode.POLL)
        return HookView(
            url=None if hook is None or webhook is None else self.url(hook, webhook),
            integration=config.integration,
            event=config.event,
            delivery=EventMode.POLL if polled else EventMode.PUSH,
            message=self._message(config, cursor, hook, polled=polled),
            has_secret=hook is not None and hook.signing() is not None,
            previous_valid_until=None if hook is None else hook.previous_valid_until,
            verification_token=token,
            next_poll_at=None if cursor is None else cursor.next_poll_at,
            last_delivery_at=None if hook is None else hook.last_delivery_at,
        )

    def _message(
        self, config: EventConfig, cursor: CursorRow | None, hook: HookRow | None, *, polled: bool
    ) -> str:
        found = integration_of(self.sources, config.integration)
        title = config.integration if found is None else found.title
        every = f"{title} is checked every {config.interval_minutes} minutes"
        if cursor is not None and cursor.stands_in:
            return (
                f"Nothing was set up to deliver here yet, so {every} instead. Ask for a secret, enter it "
                f"with the address in {title}, and the first delivery ends the checking."
            )
        if polled:
            return f"{every}." if cursor is not None else f"{every} once the agent is switched on."
        if app_secrets(self.settings, config.integration) or (hook is not None and hook.signing()):
            return f"{title} delivers what happens."
        return f"{title} has to be told where to deliver: ask for a secret, and enter both there."

    def url(self, hook: HookRow, webhook: WebhookData) -> str:
        """Where the service delivers to this agent.

        A service that sends its secret by itself is given an address nobody else can guess, so that nobody
        else can send one.
        """
        plain = f"{self.settings.url}/webhooks/{hook.integration}/{quote(hook.agent_id)}"
        return f"{plain}?hook={hook.address}" if webhook.handshake is Handshake.NOTION_TOKEN else plain

    async def _event_agent(
        self, session: AsyncSession, actor: Actor, agent_id: str
    ) -> tuple[AgentRow, EventConfig]:
        actor.require("agent:view")
        row = await store.get_agent(session, actor.tenant_id, agent_id)
        access.require_sight(actor, row)
        if not access.may(actor, row, "agent:edit"):
            access.refuse(actor, row, "agent:edit")
        config = event_config_of(row.pending or row.content)
        if row.status == AgentStatus.ARCHIVED.value:
            raise Conflict("This agent was deleted.", code="archived", agent_id=agent_id)
        if config is None:
            raise Conflict("No events start this agent.", code="not_event_driven", agent_id=agent_id)
        return row, config

    async def _deliverable(
        self, session: AsyncSession, actor: Actor, agent_id: str
    ) -> tuple[AgentRow, EventConfig, WebhookData]:
        row, config = await self._event_agent(session, actor, agent_id)
        integration = integration_of(self.sources, config.integration)
        if integration is None or integration.manifest.webhook is None:
            title = config.integration if integration is None else integration.title
            raise Conflict(
                f"{title} does not deliver events; it is asked for them instead.",
                code="no_deliveries",
                integration=config.integration,
            )
        return row, config, integration.manifest.webhook

    # --- secrets -------------------------------------------------------------------------------------------

    async def secrets_of(self, session: AsyncSession, hook: HookRow, now: datetime) -> list[bytes]:
        """Everything a delivery to this agent may be signed with now, the token of a handshake first."""
        fields = [("token", hook.token), ("secret", hook.secret)]
        if hook.previous_valid_until is not None and now < hook.previous_valid_until:
            fields.append(("previous_secret", hook.previous_secret))
        return [
            (await self._open(session, hook, field, sealed)).encode()
            for field, sealed in fields
            if sealed is not None
        ]

    async def keep_token(self, session: AsyncSession, hook: HookRow, token: str) -> None:
        """What a handshake brought: from now on deliveries are signed with it."""
        hook.token = await self._seal(session, hook, "token", token)
        hook.updated_at = self.clock.now()

    async def keep_app_token(self, session: AsyncSession, integration_id: str, token: str) -> None:
        """What a handshake with the whole installation brought. It is only offered, and verifies nothing:
        whoever runs the installation enters it at the service, and sets it as the webhook secret here.
        """
        hook = await hook_store.find_hook(session, DEFAULT_TENANT, app_place(integration_id))
        if hook is None:
            place, now = app_place(integration_id), self.clock.now()
            hook = hook_store.new_hook(DEFAULT_TENANT, place, integration_id, "", now)
            session.add(hook)
        await self.keep_token(session, hook, token)

    async def of_installation(self, actor: Actor, integration_id: str) -> InstallationHook:
        """Where the service delivers to everybody here, for who manages the installation's integrations."""
        actor.require("integration:manage")
        integration = integration_of(self.sources, integration_id)
        if actor.tenant_id != DEFAULT_TENANT or integration is None or integration.manifest.webhook is None:
            raise NotFound("No service delivers here under this name.", integration=integration_id[:64])
        token = None
        async with self.db.read() as session:
            hook = await hook_store.find_hook(session, actor.tenant_id, app_place(integration_id))
            if hook is not None and hook.token is not None:
                token = await self._open(session, hook, "token", hook.token)
        return InstallationHook(
            url=f"{self.settings.url}/webhooks/{integration_id}",
            configured=bool(app_secrets(self.settings, integration_id)),
            setting=f"{integration_id.upper()}_WEBHOOK_SECRET",
            verification_token=token,
        )

    async def _seal(self, session: AsyncSession, hook: HookRow, field: str, value: str) -> bytes:
        return await self.box.seal(
            session, hook.tenant_id, HookRow.__tablename__, hook.agent_id, field, value
        )

    async def _open(self, session: AsyncSession, hook: HookRow, field: str, sealed: bytes) -> str:
        return await self.box.open(
            session, hook.tenant_id, HookRow.__tablename__, hook.agent_id, field, sealed
        )


def integration_of(sources: Connections, integration_id: str) -> Integration | None:
    found = sources.catalog.get(integration_id)
    return found if isinstance(found, Integration) else None


def app_place(integration_id: str) -> str:
    """Where the installation's own hook stands among the agents': no agent has such an id."""
    return f"app:{integration_id}"


def app_secrets(settings: Settings, integration_id: str) -> list[bytes]:
    """What the service signs deliveries to the whole installation with: one, or two while exchanged."""
    given = settings.service(integration_id).webhook_secret
    return [part.encode() for part in given.get_secret_value().split()] if given else []


def _made(webhook: WebhookData) -> str:
    if webhook.signature.encoding is Encoding.BASE64:
        return f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"
    return secrets.token_hex(32)
