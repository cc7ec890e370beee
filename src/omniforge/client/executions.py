"""`client.executions`: look at executions, follow them, wait for them, stop them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from omniforge.client.shapes import Execution, ExecutionEvent
from omniforge.client.wire import Sleep, Wire, new_key, path_of

SHORTEST, LONGEST = 0.05, 2.0
"""Seconds between two looks at an execution."""


class Executions:
    def __init__(
        self, wire: Wire, *, sleep: Sleep = asyncio.sleep, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._wire, self._sleep, self._monotonic = wire, sleep, monotonic

    async def list(self, *, agent_id: str | None = None, limit: int | None = 50) -> list[Execution]:
        """Newest first; `limit=None` for all of them."""
        found = self._wire.every(path_of("executions"), "executions", limit=limit, agent_id=agent_id)
        return [Execution.of(one) async for one in found]

    async def get(self, execution_id: str) -> Execution:
        return Execution.of(await self._wire.ask("GET", path_of("executions", execution_id)))

    async def wait(self, execution_id: str, timeout: float | None = None) -> Execution:
        """The execution once it is over, or waits for a person; `TimeoutError` after `timeout` seconds.

        It is looked at again after a tenth of the time it has taken so far.
        """
        begun = self._monotonic()
        while True:
            found = await self.get(execution_id)
            if found.is_over or found.status == "waiting":
                return found
            taken = self._monotonic() - begun
            if timeout is not None and taken >= timeout:
                raise TimeoutError(f"{execution_id} is {found.status} after {timeout:g} seconds.")
            await self._sleep(min(max(taken / 10, SHORTEST), LONGEST))

    async def stream(self, execution_id: str, *, after: int = 0) -> AsyncGenerator[ExecutionEvent]:
        """What happens in it, live, until it has finished or waits for a person.

        A connection that breaks is taken up after the last event seen: nothing is missed or told twice.
        """
        path = path_of("executions", execution_id, "events")
        async with aclosing(self._wire.follow(path, after=after)) as events:
            async for event in events:
                if event["seq"] > after:
                    after = int(event["seq"])
                    yield ExecutionEvent.of(event)
                if event["type"] in ("execution_finished", "execution_waiting"):
                    return

    async def cancel(self, execution_id: str) -> Execution:
        """What was already done outside stays done, and is listed."""
        path = path_of("executions", execution_id, "cancel")
        return Execution.of(await self._wire.ask("POST", path, key=new_key()))
