"""A burst of work is spread over turns of the event loop, so that everybody else is served in between."""

from __future__ import annotations

import asyncio
from collections import deque

PER_TURN = 64
"""Pieces of about 0.1 ms that one turn may do: everybody else waits some milliseconds for it."""


class Pace:
    """`await pace.take()` before a piece of work; after a share of them, the others come in between."""

    def __init__(self, per_turn: int = PER_TURN) -> None:
        self.per_turn = per_turn
        self._left = per_turn
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def is_free(self) -> bool:
        """Take a piece now if there is one; then nothing needs to be awaited."""
        if self._left:
            self._left -= 1
            return True
        return False

    async def take(self) -> None:
        """Wait for this piece's turn."""
        if self.is_free:
            return
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._next_turn)
        turn: asyncio.Future[None] = loop.create_future()
        self._waiting.append(turn)
        await turn

    def _next_turn(self) -> None:
        served = 0
        while self._waiting and served < self.per_turn:
            turn = self._waiting.popleft()
            if not turn.done():
                served += 1
                turn.set_result(None)
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._next_turn)
        else:
            self._left = self.per_turn - served or self.per_turn
