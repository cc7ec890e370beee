"""A burst of work is spread over turns of the event loop, so that everybody else is served in between."""

from __future__ import annotations

import asyncio
from collections import deque

PER_TURN = 64
"""Pieces of about 0.1 ms that one turn may do: everybody else waits some milliseconds for it."""


class Pace:
    """`await pace.take()` before a piece of work; what is beyond a turn's share goes on in the next."""

    def __init__(self, per_turn: int = PER_TURN) -> None:
        self.per_turn = per_turn
        self._left = per_turn
        self._armed = False
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def is_free(self) -> bool:
        """Take a piece now if there is one; then nothing needs to be awaited."""
        if self._left and not self._waiting:
            self._left -= 1
            if not self._armed:
                self._armed = True
                asyncio.get_running_loop().call_soon(self._next_turn)
            return True
        return False

    async def take(self) -> None:
        """Wait for this piece's turn."""
        if self.is_free:
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        await turn

    def _next_turn(self) -> None:
        self._left = self.per_turn
        while self._waiting and self._left:
            turn = self._waiting.popleft()
            if not turn.done():
                self._left -= 1
                turn.set_result(None)
        self._armed = self._left < self.per_turn
        if self._armed:
            asyncio.get_running_loop().call_soon(self._next_turn)
