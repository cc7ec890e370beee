"""Opens the client an integration's tools work with: REST at one address, or what its folder opens."""

from __future__ import annotations

import ipaddress
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx
from aiolimiter import AsyncLimiter

from omniforge.core.clock import Clock
from omniforge.core.config import Settings
from omniforge.core.network import check_network
from omniforge.core.outward import Guard, LocalTransport
from omniforge.integrations import keys, oauth
from omniforge.integrations.clients import Surroundings
from omniforge.integrations.manifest import Integration
from omniforge.integrations.rest import Patience, RestClient, TokenSource

LOOPBACK = ("127.0.0.0/8", "::1/128")


class Clients:
    """Clients for calls of people's connections. `http` is for the addresses of the catalogue; what a person
    or data names goes through a guard.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        http: httpx.AsyncClient,
        rate: float | None,
        patience: Patience,
    ) -> None:
        self._settings, self._clock, self._http = settings, clock, http
        self._rate, self._patience = rate, patience
        self._paces: dict[str, AsyncLimiter] = {}
        self._kept: dict[str, dict[str, Any]] = {}
        self._outward: dict[str, httpx.AsyncClient] = {}

    async def close(self) -> None:
        for client in (self._http, *self._outward.values()):
            await client.aclose()

    @asynccontextmanager
    async def open(
        self, integration: Integration, tenant_id: str, token: TokenSource | None, connection: str | None
    ) -> AsyncGenerator[Any]:
        """A client for one call. `token` gives the token or the secret of the `connection`, by whose id calls
        are paced; None without one.
        """
        if integration.open_client is None:
            yield self._rest(integration, token, connection)
            return
        asked = integration.manifest.sign_in.fields
        surroundings = Surroundings(
            clock=self._clock,
            http=self._outward_client(integration.id),
            guard=self._guard(integration.id),
            folder=self._settings.home / integration.id / tenant_id,
            fields=keys.fields_of(await token()) if token is not None and asked else {},
            kept=self._kept.setdefault(integration.id, {}),
            patience=self._patience,
        )
        check_network()
        async with (
            self._pace(integration, connection or tenant_id),
            integration.open_client(surroundings) as own,
        ):
            yield own

    def _rest(
        self, integration: Integration, token: TokenSource | None, connection: str | None
    ) -> RestClient:
        manifest = integration.manifest
        return RestClient(
            self._http,
            title=manifest.title,
            base_url=oauth.at(manifest.address, self._settings.service(manifest.id).base_url),
            read_trouble=integration.read_trouble,
            token=token,
            clock=self._clock,
            headers=manifest.headers,
            bare_keys=manifest.sign_in.bare_keys,
            pace=self._pace(integration, connection) if connection is not None else None,
            patience=self._patience,
        )

    def _pace(self, integration: Integration, key: str) -> AsyncLimiter:
        name = f"{integration.id}/{key}"
        if name not in self._paces:
            self._paces[name] = AsyncLimiter(self._rate or integration.manifest.rate_per_second, 1)
        return self._paces[name]

    def _guard(self, integration_id: str) -> Guard:
        """Public addresses, and those of the local server that stands in for them, if one is set."""
        address = self._settings.service(integration_id).base_url
        permitted = () if address is None else (*LOOPBACK, *_network_of(urlsplit(address).hostname or ""))
        return Guard(self._settings.fetch_allowed_hosts, permitted)

    def _outward_client(self, integration_id: str) -> httpx.AsyncClient:
        """One client for all that reach every public address, made when it is first needed: loading the
        certificates takes a moment.
        """
        address = self._settings.service(integration_id).base_url or ""
        local = address if address.startswith(("http:", "https:")) else ""
        if local not in self._outward:
            guard = Guard(self._settings.fetch_allowed_hosts)
            self._outward[local] = guard.client(LocalTransport(guard, local) if local else None)
        return self._outward[local]


def _network_of(host: str) -> tuple[str, ...]:
    try:
        return (str(ipaddress.ip_network(host)),)
    except ValueError:
        return ()
