"""What an agent listens to: found out before it is switched on, and ended when it is switched off."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol, cast

from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.agents import hook_store
from omniforge.agents.content import AgentContent, AgentStatus, EventConfig, EventMode
from omniforge.agents.events import is_same_place, mode_of
from omniforge.agents.hook_store import CursorRow, HookRow
from omniforge.agents.hooks import app_secrets, integration_of
from omniforge.agents.rooms import Connections
from omniforge.agents.store import AgentRow
from omniforge.core.actor import Actor
from omniforge.core.clock import Clock
from omniforge.core.config import Settings
from omniforge.core.errors import Invalid, OmniForgeError
from omniforge.db import Database
from omniforge.integrations.errors import ServiceDown
from omniforge.integrations.manifest import EventKind, Integration, Occurrence
from omniforge.integrations.schemas import Resource
from omniforge.integrations.webhooks import text_at

Json = dict[str, Any]

LAG = timedelta(minutes=5)
"""Services round times, and show things later than they happened: this far back is looked at again."""
PATIENCE = 20.0
"""Seconds that switching an agent on waits for its service."""


class Sources(Connections, Protocol):
    """What event-driven agents need of the integrations room."""

    async def call_tool(
        self, tenant_id: str, user_id: str, connection_id: str, tool_name: str, args: Mapping[str, Any]
    ) -> Json: ...

    async def poll(  # noqa: PLR0917 - whose, where and what
        self,
        tenant_id: str,
        user_id: str,
        connection_id: str,
        event: str,
        resource: str | None,
        since: datetime,
    ) -> list[Occurrence]:
        """Everything of one kind that happened since that time, that moment included."""
        ...

    async def describe_resource(
        self, actor: Actor, connection_id: str, resource_id: str, kind: str | None = None
    ) -> Resource: ...


@dataclass(frozen=True, slots=True)
class Listening:
    """What an agent is going to listen to, found out before it is switched on.

    author: what the service calls our connection, if it said so. since: from when on it polls, None when it
    does not; seen: what was there by then, None to go on where it was.
    """

    config: EventConfig
    kind: EventKind
    connection_id: str
    workspace_id: str
    author: str | None
    since: datetime | None = None
    seen: Sequence[str] | None = None
    stands_in: bool = False

    @property
    def source(self) -> str:
        config = self.config
        parts = (config.integration, config.event, config.resource or "", self.connection_id)
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:40]


class _NotHere(Invalid):
    """It cannot be looked for as it was asked for."""


class Ears:
    """Sets agents to listen, and stops them."""

    def __init__(self, db: Database, sources: Connections, settings: Settings, clock: Clock) -> None:
        self.db, self.settings, self.clock = db, settings, clock
        self.sources = cast("Sources", sources)

    async def look(
        self, actor: Actor, row: AgentRow, content: AgentContent, connections: Mapping[str, str]
    ) -> Listening | None:
        """Find out what the agent listens to, and what is there already: that does not start it.

        None for an agent that no events start. Errors are those of the service.
        """
        config = content.event_config
        integration = integration_of(self.sources, config.integration) if config else None
        kind = integration.event(config.event) if integration and config else None
        if config is None or integration is None or kind is None:
            return None
        connection_id = connections.get(integration.id, integration.id)
        async with self.db.read() as session:
            hook = await hook_store.find_hook(session, row.tenant_id, row.id)
            cursor = await hook_store.find_cursor(session, row.tenant_id, row.id)
        stands_in = self._stands_in(config, kind, hook)
        polls = stands_in or mode_of(config, kind) is EventMode.POLL
        workspace_id = await self._workspace(actor, integration, connection_id)
        plain = Listening(config, kind, connection_id, workspace_id, None, stands_in=stands_in)
        since = self.clock.now() - LAG if polls else None
        known = (
            cursor is not None and cursor.source == plain.source and row.status == AgentStatus.ACTIVE.value
        )
        author: str | None = None
        seen: list[str] | None = None
        try:
            async with asyncio.timeout(PATIENCE):
                await self._check_place(actor, integration, connection_id, config, kind)
                author = await self.author(actor.tenant_id, actor.user_id, integration, connection_id)
                if since is not None and not known:
                    seen = await self._seen(actor, connection_id, config, since)
        except _NotHere:
            if not stands_in:
                raise
            # It can be delivered from anywhere, but looked for in one place only: nothing stands in.
            since, stands_in = None, False
        except TimeoutError:
            raise ServiceDown(
                f"{integration.title} isn't answering, so what is there already could not be seen. "
                "The agent was not switched on; try again in a moment.",
                retryable=True,
            ) from None
        return Listening(config, kind, connection_id, workspace_id, author, since, seen, stands_in)

    async def _check_place(
        self,
        actor: Actor,
        integration: Integration,
        connection_id: str,
        config: EventConfig,
        kind: EventKind,
    ) -> None:
        """What it listens to has to be there for the person's own connection, and be named by its id.

        Deliveries are routed by workspace only: without this, one could listen to what one may not see.
        """
        kinds = {one.kind: one for one in integration.manifest.resources}
        described = kinds.get(kind.resource_kind or "")
        if config.resource is None or described is None or described.describe_tool is None:
            return
        found = await self.sources.describe_resource(actor, connection_id, config.resource, described.kind)
        if not is_same_place(config.resource, found.id):
            raise Invalid(
                f"{config.resource} is {found.id} in {integration.title}: put that in event_config.resource.",
                code="resource_by_id",
                resource=found.id,
            )

    def _stands_in(self, config: EventConfig, kind: EventKind, hook: HookRow | None) -> bool:
        """Whether it has to be polled because nobody was told to deliver."""
        if mode_of(config, kind) is not EventMode.PUSH or kind.poll is None:
            return False
        if app_secrets(self.settings, config.integration):
            return False
        return hook is None or hook.integration != config.integration or hook.signing() is None

    async def _workspace(self, actor: Actor, integration: Integration, connection_id: str) -> str:
        offered, _ = await self.sources.list_connections(actor, integration.id)
        return next((found.workspace_id for found in offered if found.id == connection_id), "")

    async def _seen(
        self, actor: Actor, connection_id: str, config: EventConfig, since: datetime
    ) -> list[str]:
        place = (actor.tenant_id, actor.user_id, connection_id)
        try:
            found = await self.sources.poll(*place, config.event, config.resource, since)
        except Invalid as error:
            raise _NotHere(error.message, code=error.code, **error.details) from error
        return sorted({mark_of(occurrence) for occurrence in found})

    async def author(
        self, tenant_id: str, user_id: str, integration: Integration, connection_id: str
    ) -> str | None:
        """What the service calls whoever acts through the connection: "" for nothing, None: ask again."""
        if not integration.needs_connection:
            return ""
        try:
            tool = integration.manifest.identity_tool
            found = await self.sources.call_tool(tenant_id, user_id, connection_id, tool, {})
        except OmniForgeError:
            return None
        return (text_at(found, "acts_as.id") or text_at(found, "user.id"))[:200]

    async def known_author(self, agent: AgentRow, hook: HookRow, config: EventConfig) -> str | None:
        """The same before it matters: asked for where it is not known yet, ServiceDown without an answer."""
        integration = integration_of(self.sources, config.integration)
        if hook.author is not None or config.include_own or integration is None:
            return hook.author
        person = agent.activated_by or agent.created_by
        author = await self.author(agent.tenant_id, person, integration, hook.connection_id or integration.id)
        if author is None:
            raise ServiceDown(f"{integration.title} does not say who we are.", retryable=True)
        return author

    async def listen(self, session: AsyncSession, row: AgentRow, listening: Listening | None) -> None:
        """Make the agent listen to this from now on, in the transaction that switches it on."""
        if listening is None:
            await self.stop(session, row, for_good=True)
            return
        hook = await hook_store.find_hook(session, row.tenant_id, row.id)
        if hook is None or hook.integration != listening.config.integration:
            await hook_store.remove_hook(session, row.tenant_id, row.id)
            config = listening.config
            hook = hook_store.new_hook(
                row.tenant_id, row.id, config.integration, config.event, self.clock.now()
            )
            session.add(hook)
        if hook.connection_id != listening.connection_id:
            hook.author = None
        hook.event, hook.connection_id = listening.config.event, listening.connection_id
        hook.workspace_id = listening.workspace_id
        hook.author = hook.author if listening.author is None else listening.author
        hook.updated_at = self.clock.now()
        await self._set_cursor(session, row, listening)

    async def _set_cursor(self, session: AsyncSession, row: AgentRow, listening: Listening) -> None:
        kept = await hook_store.find_cursor(session, row.tenant_id, row.id)
        if kept is not None and listening.since is not None and listening.seen is None:
            kept.stands_in = listening.stands_in  # and goes on where it was
            return
        await hook_store.remove_cursor(session, row.tenant_id, row.id)
        if listening.since is None:
            return
        interval = timedelta(minutes=listening.config.interval_minutes)
        session.add(
            CursorRow(
                tenant_id=row.tenant_id,
                agent_id=row.id,
                source=listening.source,
                since=listening.since,
                seen=list(listening.seen or ()),
                next_poll_at=self.clock.now() + interval,
                failures=0,
                failing_since=None,
                told_at=None,
                stands_in=listening.stands_in,
            )
        )

    async def stop(self, session: AsyncSession, row: AgentRow, *, for_good: bool) -> None:
        """Poll no more; for good: take no deliveries either. In the transaction that switches it off."""
        await hook_store.remove_cursor(session, row.tenant_id, row.id)
        if for_good:
            await hook_store.remove_hook(session, row.tenant_id, row.id)
            await hook_store.remove_arrivals(session, row.tenant_id, row.id)


def standing_in(name: str, config: EventConfig) -> tuple[str, str]:
    """Title and text of what the owner is told when nothing delivers to an agent that waits for that."""
    return (
        f"{name} looks by itself for now",
        f"Nothing was set up to deliver {config.event} here yet, so {name} checks every "
        f"{config.interval_minutes} minutes instead. Ask for the agent's hook and enter its address and "
        "secret at the service: the first delivery ends the checking.",
    )


def mark_of(occurrence: Occurrence) -> str:
    """What a cursor remembers of something it has seen."""
    told_apart = f"{occurrence.id}\0{occurrence.version}".encode("utf-8", "replace")
    return hashlib.sha256(told_apart).hexdigest()[:24]
