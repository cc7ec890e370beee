"""Our end of `sandbox_kit.forward`'s tunnel: many connections out of a container over one pair of pipes."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

from omniforge.sandboxes.relay import Relay

HEAD = struct.Struct(">II")
PIECE = 65536
MAX_PIECE = 1024 * 1024
MAX_CONNECTIONS = 256
MAX_WAITING = 8 * 1024 * 1024
"""Bytes one connection may be behind; with more it is cut off, so that it does not hold up the others."""


class Tunnel:
    """`pieces`: what comes from inside, cut anywhere. `send`: writes all of it to the inside. `opened` is
    set when the inside listens."""

    def __init__(
        self,
        relay: Relay,
        pieces: AsyncIterator[bytes],
        send: Callable[[bytes], Awaitable[None]],
        opened: asyncio.Event,
    ) -> None:
        self._relay, self._pieces, self._send, self._opened = relay, pieces, send, opened
        self._sending = asyncio.Lock()
        self._last = 0
        self._writers: dict[int, asyncio.StreamWriter] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self) -> None:
        """Until the inside has ended or says something that makes no sense."""
        waiting = bytearray()
        try:
            async for piece in self._pieces:
                waiting += piece
                while len(waiting) >= HEAD.size:
                    number, size = HEAD.unpack_from(waiting)
                    if size > MAX_PIECE:
                        return
                    if len(waiting) < HEAD.size + size:
                        break
                    content = bytes(waiting[HEAD.size : HEAD.size + size])
                    del waiting[: HEAD.size + size]
                    self._opened.set()
                    await self._take(number, content)
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            for writer in self._writers.values():
                writer.close()

    async def _take(self, number: int, content: bytes) -> None:
        writer = self._writers.get(number)
        if writer is None:
            if not content or number <= self._last or len(self._writers) >= MAX_CONNECTIONS:
                return  # the rest of what was said to one that is over
            self._last = number
            reader, writer = await self._relay.connect()
            self._writers[number] = writer
            self._tasks.add(task := asyncio.create_task(self._answer(number, reader)))
            task.add_done_callback(self._tasks.discard)
        with suppress(OSError):
            if not content:
                writer.write_eof()
            elif writer.transport.get_write_buffer_size() > MAX_WAITING:
                writer.transport.abort()
            else:
                writer.write(content)

    async def _answer(self, number: int, reader: asyncio.StreamReader) -> None:
        with suppress(OSError):
            while chunk := await reader.read(PIECE):
                await self._frame(number, chunk)
        await self._frame(number, b"")
        self._writers.pop(number).close()

    async def _frame(self, number: int, content: bytes) -> None:
        async with self._sending:
            await self._send(HEAD.pack(number, len(content)) + content)
