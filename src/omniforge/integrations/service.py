"""What one can do with services outside: connect, look around, call a tool, disconnect."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import httpx

from omniforge.core.actor import Actor, Role
from omniforge.core.clock import Clock
from omniforge.core.config import Settings
from omniforge.core.errors import Conflict, Forbidden, Invalid, OmniForgeError
from omniforge.core.network import refuse_when_closed
from omniforge.core.paging import Paging
from omniforge.db import Database
from omniforge.integrations import keys, oauth, store
from omniforge.integrations.errors import ConnectionExpired, ConnectionMissing
from omniforge.integrations.manifest import Integration, Json, Occurrence, SignInKind, load_catalog, tool_of
from omniforge.integrations.opening import Clients
from omniforge.integrations.rest import Patience
from omniforge.integrations.samples import Samples
from omniforge.integrations.schemas import (
    Connection,
    ConnectionKind,
    ConnectionStatus,
    Disconnected,
    IntegrationView,
    Resource,
    SignIn,
)
from omniforge.integrations.signin import (
    ConnectionArrived,
    Finisher,
    SignInDeclined,
    SignIns,
    hashed,
    known,
)
from omniforge.integrations.store import ConnectionRow
from omniforge.integrations.tokens import ConnectionTokens
from omniforge.integrations.usage import Done, Lent, Usage, always
from omniforge.integrations.views import view_of_connection, view_of_integration, view_of_resource
from omniforge.tenants import SecretBox

MAY_PASTE_KEYS = frozenset({Role.DEVELOPER, Role.ADMIN, Role.OWNER})
logger = logging.getLogger(__name__)


class ConnectionInUse(Conflict):
    """Agents need this connection; `details["affected_agents"]` lists them."""

    code = "connection_in_use"


class IntegrationService:
    """Integrations of this installation and people's connections to them.

    `rate` (requests per second) replaces the manifest's; `patience` bounds waits and sizes. The hook lists
    are called after commit: `on_connected`, `on_declined`, `on_disconnected` (tenant id and connection id).
    `dependants` name the agents that need a connection, as `{id, name}` objects.
    """

    def __init__(
        self,
        db: Database,
        secrets: SecretBox,
        settings: Settings,
        clock: Clock,
        *,
        catalog: Mapping[str, Integration] | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        rate: float | None = None,
        patience: Patience | None = None,
    ) -> None:
        self.db, self.settings, self.clock = db, settings, clock
        self.catalog = load_catalog() if catalog is None else catalog
        self.on_connected: list[Callable[[ConnectionArrived], Awaitable[None]]] = []
        self.on_declined: list[Callable[[SignInDeclined], Awaitable[None]]] = []
        self.on_disconnected: list[Callable[[str, str], Awaitable[None]]] = []
        self.dependants: list[Callable[[str, str], Awaitable[Sequence[Json]]]] = []
        self.samples = Samples(self.catalog, clock)
        self._secrets = secrets
        self._http = httpx.AsyncClient(
            transport=transport, follow_redirects=False, event_hooks={"request": [refuse_when_closed]}
        )
        self._clients = Clients(settings, clock, self._http, rate, patience or Patience())
        tokens = ConnectionTokens(db, secrets, settings, clock, self._http)
        self._usage = Usage(db, clock, self.catalog, self._clients, tokens)
        self._sign_ins = SignIns(db, secrets, settings, clock, self.catalog, self._http, self._usage.identify)

    async def close(self) -> None:
        await self._clients.close()

    # --- integrations

    async def list_integrations(self, actor: Actor) -> list[IntegrationView]:
        actor.require("integration:view")
        async with self.db.read() as session:
            working = await store.working_integrations(session, actor.tenant_id, actor.user_id)
        return [self._view(integration, integration.id in working) for integration in self.catalog.values()]

    async def integration(self, actor: Actor, integration_id: str) -> IntegrationView:
        known(self.catalog, integration_id)
        return next(view for view in await self.list_integrations(actor) if view.id == integration_id)

    def _view(self, integration: Integration, connected: bool) -> IntegrationView:
        by_client = integration.manifest.sign_in.kind is SignInKind.OAUTH
        return view_of_integration(
            integration,
            configured=not by_client or oauth.client_of(self.settings, integration.manifest) is not None,
            connected=connected or not integration.needs_connection,
        )

    # --- signing in

    async def start_sign_in(
        self,
        actor: Actor,
        integration_id: str,
        *,
        session_id: str | None = None,
        return_to: str | None = None,
        browser: str | None = None,
    ) -> SignIn:
        """A link to sign in at the service. `browser` binds it to the browser that was given that value."""
        actor.require("integration:connect")
        integration = known(self.catalog, integration_id)
        match integration.manifest.sign_in.kind:
            case SignInKind.NONE:
                raise Conflict(f"{integration.title} needs no sign-in.", code="nothing_to_connect")
            case SignInKind.KEY:
                raise Invalid(
                    f"{integration.title} is connected by typing in its data.",
                    code="key_needed",
                    asked=[field.name for field in integration.manifest.sign_in.fields] or ["key"],
                )
            case SignInKind.OAUTH:
                pass
        return await self._sign_ins.start(
            actor,
            integration,
            session_id=session_id,
            return_to=return_to,
            browser=browser,
        )

    async def finish_sign_in(
        self, actor: Actor, integration_id: str, code: str, state: str, *, browser: str | None = None
    ) -> Connection:
        """Exchange the code and store the connection. StateInvalid for every state that is not this actor's
        own good one; the same actor asking again gets the stored connection.
        """
        actor.require("integration:connect")
        finisher = Finisher(actor, browser)
        connection_id, arrived = await self._sign_ins.finish(integration_id, code, state, finisher)
        await self._announce(self.on_connected, arrived)
        return await self.connection(actor, connection_id)

    async def finish_in_browser(
        self, integration_id: str, code: str, state: str, browser: str | None
    ) -> tuple[Connection, str | None]:
        """The same for the page the service leads to: the connection, and the path to return to."""
        _, arrived = await self._sign_ins.finish(integration_id, code, state, Finisher(browser=browser))
        await self._announce(self.on_connected, arrived)
        async with self.db.read() as session:
            row = await store.get_finished_connection(session, hashed(state))
        return self._shown(row), await self._sign_ins.return_to(state)

    async def decline_sign_in(
        self, integration_id: str, state: str, *, actor: Actor | None = None, browser: str | None = None
    ) -> str | None:
        """The person said no at the service: the state is used up. Returns the path to return to."""
        declined = await self._sign_ins.decline(integration_id, state, Finisher(actor, browser))
        await self._announce(self.on_declined, declined)
        return await self._sign_ins.return_to(state)

    async def add_key_connection(
        self, actor: Actor, integration_id: str, given: str | Mapping[str, str]
    ) -> Connection:
        """Store a pasted key, or the fields an integration asks for, after the service took them once."""
        actor.require("integration:connect")
        integration = known(self.catalog, integration_id)
        if actor.role not in MAY_PASTE_KEYS:
            raise Forbidden(
                "Access keys can be pasted by developers, admins and owners.", role=actor.role.value
            )
        key = keys.secret_of(integration, given)
        try:
            identity = await self._usage.identify(integration, key, actor.tenant_id)
        except ConnectionExpired:
            raise Invalid(
                f"{integration.title} does not accept this key.",
                code="key_refused",
                fields=keys.rule(integration),
            ) from None
        tokens = oauth.Tokens(key, None, "bearer", None, (), None, None)
        connection_id = await self._sign_ins.store(
            actor.tenant_id, actor.user_id, integration, ConnectionKind.KEY, identity, tokens
        )
        arrived = ConnectionArrived(
            actor.tenant_id, actor.user_id, integration.id, connection_id, identity.workspace_name, None
        )
        await self._announce(self.on_connected, arrived)
        return await self.connection(actor, connection_id)

    # --- connections

    async def list_connections(
        self, actor: Actor, integration: str | None = None, paging: Paging | None = None
    ) -> tuple[list[Connection], int]:
        """The actor's own connections and how many there are."""
        actor.require("integration:view")
        paging = paging or Paging(limit=200)
        if integration is not None and self._usage.is_always_there(integration):
            return [self._shown(always(self.catalog[integration], actor.tenant_id, actor.user_id))], 1
        async with self.db.read() as session:
            rows, total = await store.list_connections(
                session, actor.tenant_id, actor.user_id, integration, paging.limit, paging.offset
            )
        return [self._shown(row) for row in rows], total

    async def connection(self, actor: Actor, connection_id: str) -> Connection:
        actor.require("integration:view")
        return self._shown(await self._own(actor, connection_id))

    async def check(self, actor: Actor, connection_id: str) -> Connection:
        """Ask the service whether the connection still holds, and say how it stands."""
        row = await self._manageable(actor, connection_id)
        integration = known(self.catalog, row.integration_id)
        if not integration.needs_connection:
            return self._shown(row)
        try:
            await self._usage.call(integration, row, integration.manifest.identity_tool, {})
        except ConnectionExpired:
            logger.info("connection %s does not hold any more", row.id)
        async with self.db.read() as session:
            return self._shown(await store.get_connection(session, actor.tenant_id, row.id, row.user_id))

    async def disconnect(self, actor: Actor, connection_id: str, *, confirm: bool = False) -> Disconnected:
        """Revoke at the service where possible, and delete the secrets. Without `confirm`, ConnectionInUse
        when agents need the connection.
        """
        row = await self._manageable(actor, connection_id)
        integration = known(self.catalog, row.integration_id)
        if not integration.needs_connection:
            raise Conflict(f"{integration.title} has no connection to end.", code="nothing_to_disconnect")
        affected: list[Json] = []
        for ask in self.dependants:
            affected += await ask(actor.tenant_id, row.id)
        if affected and not confirm:
            raise ConnectionInUse(
                f"{len(affected)} agents need this connection and would be paused. Disconnect anyway?",
                affected_agents=affected,
            )
        await self._revoke_there(integration, row)
        async with self.db.transaction() as session:
            kept = await store.get_connection(session, actor.tenant_id, row.id, row.user_id)
            kept.access_secret = kept.refresh_secret = kept.expires_at = kept.renewing_until = None
            kept.status, kept.updated_at = ConnectionStatus.REVOKED, self.clock.now()
            kept.generation += 1
        for hook in self.on_disconnected:
            await hook(actor.tenant_id, row.id)
        return Disconnected(affected_agents=affected)

    async def _revoke_there(self, integration: Integration, row: ConnectionRow) -> None:
        client = oauth.client_of(self.settings, integration.manifest)
        if client is None or row.kind != ConnectionKind.OAUTH or row.access_secret is None:
            return
        place = (row.tenant_id, ConnectionRow.__tablename__, row.id)
        sealed = {"access": row.access_secret, "refresh": row.refresh_secret}
        async with self.db.read() as session:
            tokens = [
                await self._secrets.open(session, *place, name, secret)
                for name, secret in sealed.items()
                if secret is not None
            ]
        for token in tokens:  # a service that ended the access token by itself still knows the other one
            try:
                await oauth.revoke(self._http, integration.manifest, client, token)
            except OmniForgeError as error:  # the secrets go in any case; there the person can remove us too
                logger.warning("could not revoke %s at %s: %s", row.id, integration.title, error.message)

    # --- looking around and using

    async def list_resources(
        self, actor: Actor, connection_id: str, kind: str | None = None, search: str | None = None
    ) -> list[Resource]:
        """What can be picked through a connection, by name."""
        actor.require("integration:view")
        row = await self._own(actor, connection_id)
        integration = known(self.catalog, row.integration_id)
        wanted = integration.resource_kind(kind)
        args = {"search": search} if search else {}
        found = await self._usage.call(integration, row, wanted.list_tool, args)
        return [view_of_resource(wanted, item) for item in found.get(wanted.list_key, [])]

    async def describe_resource(
        self, actor: Actor, connection_id: str, resource_id: str, kind: str | None = None
    ) -> Resource:
        """One resource with its fields."""
        actor.require("integration:view")
        row = await self._own(actor, connection_id)
        integration = known(self.catalog, row.integration_id)
        wanted = integration.resource_kind(kind)
        if wanted.describe_tool is None:
            raise Invalid(f"{integration.title} does not describe {wanted.title}.", code="not_supported")
        args = {wanted.id_argument: resource_id}
        return view_of_resource(wanted, await self._usage.call(integration, row, wanted.describe_tool, args))

    async def call_tool(
        self, tenant_id: str, user_id: str, connection_id: str, tool_name: str, args: Mapping[str, Any]
    ) -> Json:
        """Do one thing through a person's connection. Whether it may be done was decided before."""
        integration, _ = tool_of(self.catalog, tool_name)
        row = await self._usage.row(tenant_id, user_id, connection_id)
        if row.integration_id != integration.id:
            raise Invalid(f"{tool_name} needs a connection to {integration.title}.", code="wrong_connection")
        return await self._usage.call(integration, row, tool_name, args)

    async def use(self, actor: Actor, integration_id: str, do: Callable[[Any], Awaitable[Done]]) -> Done:
        """Do what no tool does, through the actor's own connection and with the integration's client;
        `ConnectionMissing` when there is none that works. Whether it may be done was decided before."""
        integration, row = await self._working(actor, integration_id)
        return await self._usage.with_client(integration, row, do)

    @asynccontextmanager
    async def lent(self, actor: Actor, integration_id: str) -> AsyncGenerator[Lent]:
        """The credential of the actor's own connection, for a program of this host that talks to the service
        itself, such as git: not to be kept, shown or handed to a sandbox. `ConnectionMissing` as above."""
        integration, row = await self._working(actor, integration_id)
        async with self._usage.lent(integration, row) as credential:
            yield credential

    async def _working(self, actor: Actor, integration_id: str) -> tuple[Integration, ConnectionRow]:
        actor.require("integration:view")
        integration = known(self.catalog, integration_id)
        async with self.db.read() as session:
            who = (actor.tenant_id, actor.user_id, integration_id)
            rows, _ = await store.list_connections(session, *who, 200, 0)
        working = (ConnectionStatus.HEALTHY, ConnectionStatus.EXPIRING)
        row = next((row for row in rows if row.status in working), None)
        if row is None:
            raise ConnectionMissing(f"Connect {integration.title} first.", integration=integration_id)
        return integration, row

    async def poll(  # noqa: PLR0917 - through what, for what, since when
        self,
        tenant_id: str,
        user_id: str,
        connection_id: str,
        event: str,
        resource: str | None,
        since: datetime,
    ) -> list[Occurrence]:
        """Everything of one kind that happened at a service since that time, asked through a connection."""
        row = await self._usage.row(tenant_id, user_id, connection_id)
        integration = known(self.catalog, row.integration_id)
        kind = integration.event(event)
        if kind is None or kind.poll is None:
            raise Invalid(f"{integration.title} cannot be asked for {event!r}.", code="not_supported")
        ask = kind.poll
        return await self._usage.with_client(integration, row, lambda client: ask(client, resource, since))

    # --- rows

    async def _own(self, actor: Actor, connection_id: str) -> ConnectionRow:
        return await self._usage.row(actor.tenant_id, actor.user_id, connection_id)

    async def _manageable(self, actor: Actor, connection_id: str) -> ConnectionRow:
        """The actor's own connection, or anybody's in the tenant for who may manage them."""
        owner = None if actor.may("integration:manage") else actor.user_id
        row = await self._usage.row(actor.tenant_id, owner, connection_id)
        if row.user_id == actor.user_id and owner is not None:
            actor.require("integration:connect")
        return row

    def _shown(self, row: ConnectionRow) -> Connection:
        return view_of_connection(row, self.clock.now())

    async def _announce(self, hooks: Sequence[Callable[[Any], Awaitable[None]]], event: Any) -> None:
        """Tell every listener; a listener that fails does not undo what happened."""
        if event is None:
            return
        for hook in hooks:
            try:
                await hook(event)
            except OmniForgeError as error:
                logger.warning("a listener to %s failed: %s", type(event).__name__, error.message)
