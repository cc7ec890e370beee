"""An installation inside the program: no server, nothing to set up, closed when it is done with."""

from __future__ import annotations

import base64
import secrets
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Self

import httpx
from pydantic import SecretStr

from omniforge.client import OmniForgeClient
from omniforge.core.config import Settings

ADDRESS = "http://127.0.0.1"
"""What requests inside the program are addressed to; nothing listens there."""
TIMEOUT = 600.0
"""Seconds of one such request; nobody else is waiting."""


class Local:
    """Open with `async with`. Agents that are given it use it; others open one for each call.

    home: where its data are kept; without one, your own (`OMNIFORGE_HOME`, else `~/.omniforge`), with your
    connections. A server that works on the same data has to be stopped, or asked in place of this.
    """

    def __init__(self, home: Path | str | None = None) -> None:
        self._home = None if home is None else Path(home)
        self._stack = AsyncExitStack()
        self._client: OmniForgeClient | None = None

    @property
    def client(self) -> OmniForgeClient:
        """All that a server's client can do, without a server."""
        if self._client is None:
            raise RuntimeError("Open it first: async with Local() as local: ...")
        return self._client

    def _settings(self, stack: AsyncExitStack) -> Settings:
        """Of the installation to open; `stack` is closed after it."""
        own = {"auth_required": False, "host": "127.0.0.1", "public_url": None}
        home = {} if self._home is None else {"home": self._home, "database_url": None}
        return Settings().model_copy(update={**own, **home})

    async def __aenter__(self) -> Self:
        from omniforge.api.app import create_app  # noqa: PLC0415 - the whole application: only when it runs
        from omniforge.bootstrap import Installation  # noqa: PLC0415

        async with AsyncExitStack() as stack:
            house = await stack.enter_async_context(Installation.open(self._settings(stack)))
            transport = httpx.ASGITransport(create_app(house))
            self._client = await stack.enter_async_context(
                OmniForgeClient(base_url=ADDRESS, transport=transport, timeout=TIMEOUT, anonymous=True)
            )
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._client = None
        await self._stack.aclose()


class Passing(Local):
    """In a folder that is gone afterwards, with a key of its own: for what leaves nothing behind."""

    def _settings(self, stack: AsyncExitStack) -> Settings:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="omniforge-dry-"))
        key = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
        own = {"home": Path(folder), "database_url": None, "credential_encryption_key": SecretStr(key)}
        return super()._settings(stack).model_copy(update=own)
