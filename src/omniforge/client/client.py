"""The client of a running OmniForge, with `await` and without."""

from __future__ import annotations

import asyncio
import sys
from contextlib import ExitStack
from typing import Any, Self

import httpx
from anyio.from_thread import start_blocking_portal

from omniforge.client.agents import Agents
from omniforge.client.blocking import SyncAgents, SyncBoard, SyncExecutions, SyncSkills
from omniforge.client.board import Board
from omniforge.client.executions import Executions
from omniforge.client.skills import Skills
from omniforge.client.wire import TRIES, Sleep, Wire
from omniforge.core.config import Settings
from omniforge.core.errors import Invalid

TIMEOUT = 120.0
"""Seconds a request may take; tests are waited for in shorter turns."""


class OmniForgeClient:
    """A server, as one credential may use it.

    Without arguments it is the server of this computer and the key of the setting `OMNIFORGE_API_KEY`.
    Close it with `aclose()` or `async with`. `transport` leads requests elsewhere than over the network.
    `anonymous`: without any key.
    """

    def __init__(
        self,
        api_key: str | None = None,
        base_url: str | None = None,
        *,
        timeout: float = TIMEOUT,
        tries: int = TRIES,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Sleep = asyncio.sleep,
        anonymous: bool = False,
    ) -> None:
        settings = Settings()
        address = _address(base_url or settings.url, settings)
        if api_key is None and not anonymous and settings.api_key is not None:
            api_key = settings.api_key.get_secret_value()
        self.base_url = address
        self._http = httpx.AsyncClient(
            base_url=address,
            headers={"Authorization": f"Bearer {api_key}"} if api_key else {},
            timeout=httpx.Timeout(timeout, connect=5),
            transport=transport,
            trust_env=transport is None,
        )
        wire = Wire(self._http, tries=tries, sleep=sleep)
        self.executions = Executions(wire, sleep=sleep)
        self.agents = Agents(wire, self.executions)
        self.skills = Skills(wire)
        self.board = Board(wire)

    @staticmethod
    def sync(api_key: str | None = None, base_url: str | None = None) -> SyncClient:
        """The same without `await`, for programs that are not asynchronous."""
        return SyncClient(api_key, base_url)

    async def aclose(self) -> None:
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


class SyncClient:
    """`OmniForgeClient` for programs that are not asynchronous. Close it with `close()` or `with`."""

    def __init__(self, api_key: str | None = None, base_url: str | None = None, **options: Any) -> None:
        client = OmniForgeClient(api_key, base_url, **options)
        with ExitStack() as stack:
            portal = stack.enter_context(start_blocking_portal())
            stack.callback(portal.call, client.aclose)
            self.agents = SyncAgents(client.agents, portal)
            self.executions = SyncExecutions(client.executions, portal)
            self.skills = SyncSkills(client.skills, portal)
            self.board = SyncBoard(client.board, portal)
            self._open = stack.pop_all()

    def close(self) -> None:
        self._open.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _address(given: str, settings: Settings) -> str:
    """`given`, unless the setting `OMNIFORGE_URL_MAP` puts another origin in its place."""
    try:
        url = httpx.URL(given)
    except httpx.InvalidURL as error:
        raise Invalid(f"{given!r} is no address: {error}.", code="bad_address") from error
    if url.scheme not in ("http", "https") or not url.host:
        raise Invalid(
            f"{given!r} is no address; one is like https://omniforge.example.com.", code="bad_address"
        )
    for origin, instead in settings.url_map.items():
        if httpx.URL(origin).copy_with(path="/") == url.copy_with(path="/", query=None, fragment=None):
            sys.stderr.write(f"OMNIFORGE_URL_MAP: {origin} is {instead}\n")
            return instead
    return given.rstrip("/")
