"""The SDK's talk with its program: lines over the bridge of the place where the program runs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any, cast

from claude_agent_sdk import CLIConnectionError, Transport

Json = dict[str, Any]


class BridgeTransport(Transport):
    """Both ends of the talk: the SDK's, and `hear` and `next_words` for the bridge."""

    def __init__(self) -> None:
        self._in: asyncio.Queue[str | None] = asyncio.Queue()
        self._out: asyncio.Queue[str | None] = asyncio.Queue()
        self._is_open = True

    async def hear(self, text: str) -> None:
        """The program has written this."""
        self._out.put_nowait(text)

    async def next_words(self) -> str | None:
        """What the program is to read next; None when nothing more will come."""
        return await self._in.get()

    async def connect(self) -> None:
        """Whoever runs the program has connected it."""

    async def write(self, data: str) -> None:
        if not self._is_open:
            raise CLIConnectionError("the program has ended")
        self._in.put_nowait(data)

    async def end_input(self) -> None:
        self._in.put_nowait(None)

    async def close(self) -> None:
        self._is_open = False
        self._out.put_nowait(None)

    def is_ready(self) -> bool:
        return self._is_open

    async def read_messages(self) -> AsyncGenerator[Json]:
        kept = ""
        while (text := await self._out.get()) is not None:
            *lines, kept = (kept + text).split("\n")
            for line in lines:
                if line.startswith("{"):  # it also writes remarks for people
                    yield cast("Json", json.loads(line))
