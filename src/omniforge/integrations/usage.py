"""Doing something through a connection: its credential, its pace, its client."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from omniforge.core.clock import Clock
from omniforge.core.network import check_network
from omniforge.db import Database
from omniforge.integrations import store
from omniforge.integrations.errors import ConnectionExpired
from omniforge.integrations.manifest import Integration, Json
from omniforge.integrations.opening import Clients
from omniforge.integrations.schemas import ConnectionKind, ConnectionStatus
from omniforge.integrations.signin import Identity
from omniforge.integrations.store import ConnectionRow
from omniforge.integrations.tokens import ConnectionTokens, expired

USED_GRAIN = timedelta(minutes=1)
"""`last_used_at` is written at most this often."""
ALWAYS = datetime(2000, 1, 1, tzinfo=UTC)
"""Since when there are connections that nobody has to make."""

Done = TypeVar("Done")
Lent = Callable[[], Awaitable[str]]
"""Gives a good credential each time it is asked, and none when the block it was lent for has ended."""


class Usage:
    """People's connections, and what is done through them."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        catalog: Mapping[str, Integration],
        clients: Clients,
        tokens: ConnectionTokens,
    ) -> None:
        self.db, self.clock, self.catalog = db, clock, catalog
        self._clients, self._tokens = clients, tokens

    async def row(self, tenant_id: str, user_id: str | None, connection_id: str) -> ConnectionRow:
        """A person's connection (of anybody in the tenant without a person)."""
        if self.is_always_there(connection_id):
            return always(self.catalog[connection_id], tenant_id, user_id or "")
        async with self.db.read() as session:
            return await store.get_connection(session, tenant_id, connection_id, user_id)

    def is_always_there(self, name: str) -> bool:
        integration = self.catalog.get(name)
        return integration is not None and not integration.needs_connection

    async def call(
        self, integration: Integration, row: ConnectionRow, tool_name: str, args: Mapping[str, Any]
    ) -> Json:
        """Call one of its tools."""
        tool = integration.tool(tool_name)
        return await self.with_client(integration, row, lambda client: tool.call(client, args))

    async def with_client(
        self, integration: Integration, row: ConnectionRow, do: Callable[[Any], Awaitable[Done]]
    ) -> Done:
        """Do something through a connection. A refused credential breaks it, unless it was renewed since."""
        given: list[str] = []

        async def token(rejected: str | None = None) -> str:
            given[:] = [await self._tokens.access_token(integration, row.tenant_id, row.id, rejected)]
            return given[0]

        source = token if integration.needs_connection else None
        try:
            async with self._clients.open(integration, row.tenant_id, source, row.id) as client:
                result = await do(client)
        except ConnectionExpired:
            if given:
                await self._tokens.give_up(integration, row.tenant_id, row.id, given[0])
            raise expired(integration, row) from None
        if integration.needs_connection:
            await self._note_use(row)
        return result

    @asynccontextmanager
    async def lent(self, integration: Integration, row: ConnectionRow) -> AsyncGenerator[Lent]:
        """The credential of a connection, for as long as the block lasts."""
        is_over = False

        async def token() -> str:
            if is_over:
                raise ConnectionExpired(f"What was lent of {integration.title} was given back.")
            check_network()
            return await self._tokens.access_token(integration, row.tenant_id, row.id)

        try:
            yield token
        finally:
            is_over = True
        await self._note_use(row)

    async def _note_use(self, row: ConnectionRow) -> None:
        now = self.clock.now()
        if row.last_used_at is not None and now - row.last_used_at < USED_GRAIN:
            return
        async with self.db.transaction() as session:
            kept = await store.get_connection(session, row.tenant_id, row.id, row.user_id)
            kept.last_used_at = now

    async def identify(self, integration: Integration, access: str, tenant_id: str) -> Identity:
        """Whose token this is; proves at the same time that it works."""

        async def token(rejected: str | None = None) -> str:
            if rejected is not None:
                raise ConnectionExpired(f"{integration.title} does not accept this access.")
            return access

        tool = integration.tool(integration.manifest.identity_tool)
        async with self._clients.open(integration, tenant_id, token, None) as client:
            found = await tool.call(client, {})
        workspace = found["workspace"]
        return Identity(str(workspace["id"])[:200], str(workspace["name"])[:300])


def always(integration: Integration, tenant_id: str, user_id: str) -> ConnectionRow:
    """The connection everybody has to an integration without a sign-in; it stands in no table."""
    return ConnectionRow(
        id=integration.id,
        tenant_id=tenant_id,
        user_id=user_id,
        integration_id=integration.id,
        workspace_id=integration.id,
        workspace_name=integration.title,
        kind=ConnectionKind.NONE,
        token_type="",
        scopes=[],
        status=ConnectionStatus.HEALTHY,
        generation=0,
        created_at=ALWAYS,
        updated_at=ALWAYS,
    )
