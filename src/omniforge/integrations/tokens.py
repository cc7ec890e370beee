"""Access tokens of connections: sealed at rest, renewed ahead of time, by one renewer at a time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from weakref import WeakValueDictionary

import httpx
from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.core.clock import Clock
from omniforge.core.config import Settings
from omniforge.db import Database
from omniforge.integrations import oauth, store
from omniforge.integrations.errors import (
    ConnectionExpired,
    ConnectionMissing,
    GrantRefused,
    IntegrationNotConfigured,
    ServiceDown,
)
from omniforge.integrations.manifest import Integration
from omniforge.integrations.schemas import ConnectionStatus
from omniforge.integrations.store import ConnectionRow
from omniforge.tenants import SecretBox

AHEAD = timedelta(minutes=5)
"""How long before its end a token is renewed."""
CLAIM = timedelta(seconds=60)
POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class _Held:
    row: ConnectionRow
    access: str = field(repr=False)
    refresh: str | None = field(repr=False)


class ConnectionTokens:
    """Gives a good access token for a connection.

    Callers in this process queue at a lock; processes meet at a claim in the row. The new pair is stored
    before anybody uses it, and a caller that goes away does not take the renewal with it.
    """

    def __init__(
        self, db: Database, secrets: SecretBox, settings: Settings, clock: Clock, http: httpx.AsyncClient
    ) -> None:
        self._db, self._secrets, self._settings = db, secrets, settings
        self._clock, self._http = clock, http
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._renewals: set[asyncio.Task[str]] = set()

    async def access_token(
        self, integration: Integration, tenant_id: str, connection_id: str, rejected: str | None = None
    ) -> str:
        """The present token; a renewed one when it ends soon or is the one the service `rejected`."""
        held = await self._load(integration, tenant_id, connection_id)
        if not self._is_due(held, rejected):
            return held.access
        task = asyncio.create_task(self._renewed(integration, tenant_id, connection_id, rejected))
        self._renewals.add(task)
        task.add_done_callback(self._renewals.discard)
        return await asyncio.shield(task)

    async def give_up(
        self, integration: Integration, tenant_id: str, connection_id: str, refused: str
    ) -> None:
        """The service refused even a renewed token: the connection is broken, unless renewed since."""
        held = await self._load(integration, tenant_id, connection_id)
        if held.access == refused:
            await self._break(held.row)

    async def _break(self, row: ConnectionRow) -> None:
        async with self._db.transaction() as session:
            await store.mark_broken(session, row.tenant_id, row.id, row.generation, self._clock.now())

    async def _renewed(
        self, integration: Integration, tenant_id: str, connection_id: str, rejected: str | None
    ) -> str:
        lock = self._locks.setdefault(connection_id, asyncio.Lock())
        async with lock:
            while True:
                held = await self._load(integration, tenant_id, connection_id)
                if not self._is_due(held, rejected):
                    return held.access
                if held.refresh is None:
                    return await self._without_refresh(integration, held, rejected)
                now = self._clock.now()
                async with self._db.transaction() as session:
                    claimed = await store.claim_renewal(session, held.row, now, now + CLAIM)
                if claimed:
                    return await self._renew(integration, held, held.refresh, rejected)
                await self._clock.sleep(POLL_SECONDS)

    async def _without_refresh(self, integration: Integration, held: _Held, rejected: str | None) -> str:
        ended = held.row.expires_at is not None and held.row.expires_at <= self._clock.now()
        if rejected != held.access and not ended:
            return held.access
        await self._break(held.row)
        raise expired(integration, held.row)

    async def _renew(self, integration: Integration, held: _Held, refresh: str, rejected: str | None) -> str:
        client = oauth.client_of(self._settings, integration.manifest)
        try:
            if client is None:
                raise oauth.not_configured(integration.manifest)
            tokens = await oauth.renew(self._http, integration.manifest, client, refresh)
        except GrantRefused:
            async with self._db.transaction() as session:
                await store.end_renewal(
                    session, held.row, status=ConnectionStatus.BROKEN, updated_at=self._clock.now()
                )
            raise expired(integration, held.row) from None
        except (ServiceDown, IntegrationNotConfigured):
            async with self._db.transaction() as session:
                await store.end_renewal(session, held.row)
            still_good = held.row.expires_at is not None and held.row.expires_at > self._clock.now()
            if still_good and rejected != held.access:
                return held.access
            raise
        await self._store(held.row, tokens, refresh)
        return tokens.access

    async def _store(self, row: ConnectionRow, tokens: oauth.Tokens, old_refresh: str) -> None:
        now = self._clock.now()
        async with self._db.transaction() as session:
            access, refresh = await seal_pair(
                self._secrets, session, row, tokens.access, tokens.refresh or old_refresh
            )
            await store.end_renewal(
                session,
                row,
                access_secret=access,
                refresh_secret=refresh,
                expires_at=end_of(tokens, now),
                generation=row.generation + 1,
                updated_at=now,
            )

    def _is_due(self, held: _Held, rejected: str | None) -> bool:
        if rejected is not None and held.access == rejected:
            return True
        ends = held.row.expires_at
        return ends is not None and ends - self._clock.now() <= AHEAD

    async def _load(self, integration: Integration, tenant_id: str, connection_id: str) -> _Held:
        async with self._db.read() as session:
            row = await store.get_connection(session, tenant_id, connection_id, None)
            if row.status == ConnectionStatus.BROKEN:
                raise expired(integration, row)
            if row.access_secret is None:
                raise ConnectionMissing(
                    f"This needs your {integration.title}. Connect it now? It takes about two minutes.",
                    integration=integration.id,
                )
            place = (tenant_id, ConnectionRow.__tablename__, row.id)
            access = await self._secrets.open(session, *place, "access", row.access_secret)
            refresh = None
            if row.refresh_secret is not None:
                refresh = await self._secrets.open(session, *place, "refresh", row.refresh_secret)
            return _Held(row, access, refresh)


def expired(integration: Integration, row: ConnectionRow) -> ConnectionExpired:
    return ConnectionExpired(
        f"{integration.title} signed us out. Reconnect and I'll carry on where I stopped.",
        integration=integration.id,
        connection_id=row.id,
        workspace_name=row.workspace_name,
    )


async def seal_pair(
    secrets: SecretBox, session: AsyncSession, row: ConnectionRow, access: str, refresh: str | None
) -> tuple[bytes, bytes | None]:
    """Both tokens sealed for their row and field."""
    place = (row.tenant_id, ConnectionRow.__tablename__, row.id)
    sealed = await secrets.seal(session, *place, "access", access)
    return sealed, await secrets.seal(session, *place, "refresh", refresh) if refresh else None


def end_of(tokens: oauth.Tokens, now: datetime) -> datetime | None:
    return now + timedelta(seconds=tokens.expires_in) if tokens.expires_in is not None else None
