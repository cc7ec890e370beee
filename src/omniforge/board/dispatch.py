"""The dispatcher: free places are filled as soon as there is something to do, and what hangs is ended."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from omniforge.board.candidates import offered
from omniforge.board.claims import Claims
from omniforge.board.starting import ENDS, AttemptRuns
from omniforge.core.errors import OmniForgeError
from omniforge.engine.events import EventLog, EventRow
from omniforge.llm.protocol import ModelClient

log = logging.getLogger(__name__)

WAKES = (
    "task.queued",
    "task.completed",
    "task.cancelled",
    "sandbox.completed",
    "sandbox.failed",
    "sandbox.terminated",
    "project.updated",
)
"""After these there may be a task to take, or a place for one."""
LOOK_EVERY = 5.0
"""Seconds after which it is looked anyway: an event may be lost, and the time of a next try tells nobody."""
CLAIMER = "system:dispatch"
LAST_WORDS = 5.0
"""Seconds that chores which are under way are given at the end."""


@dataclass(frozen=True, slots=True)
class Chore:
    """Something to be done every so many seconds, by any number of processes. It may take long: nothing waits
    for it, and it is not begun again before it has ended."""

    name: str
    every: float
    do: Callable[[], Awaitable[object]]


class Dispatch:
    """Any number of processes may have one. `capabilities`: what this one can do beyond the ordinary."""

    def __init__(
        self,
        claims: Claims,
        runs: AttemptRuns,
        *,
        models: ModelClient | None = None,
        chores: Sequence[Chore] = (),
        capabilities: Collection[str] = (),
    ) -> None:
        self.claims, self.runs, self.models = claims, runs, models
        self.db, self.clock, self.capabilities = claims.db, claims.clock, capabilities
        self.chores = (
            Chore("start runs that are missing", LOOK_EVERY, runs.start_missing),
            Chore("wake runs that missed something", LOOK_EVERY, runs.wake_missed),
            *chores,
        )
        self._due: dict[str, datetime] = {}
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._running: asyncio.Task[None] | None = None
        self._woken = asyncio.Event()
        self._stopping = False

    def follow(self, events: EventLog) -> None:
        """Hear what happens."""
        events.subscribe("board.dispatch", WAKES, self._hear)
        events.subscribe("board.attempts", ENDS, self.runs.hear)

    def begin(self) -> None:
        """Run until `close`."""
        self._running = asyncio.create_task(self.run())

    async def close(self) -> None:
        """Nothing of it is left then."""
        self.stop()
        if self._running is not None:
            await self._running

    async def run(self) -> None:
        """Until it is told to stop."""
        try:
            while not self._stopping:
                self._woken.clear()
                await self.pass_once()
                await self._pause()
        finally:
            await self._come_to_rest()

    async def _pause(self) -> None:
        if self._stopping:
            return
        try:
            async with asyncio.timeout(LOOK_EVERY):
                await self._woken.wait()
        except TimeoutError:
            pass  # nobody said anything

    def stop(self) -> None:
        """End with the round that is under way."""
        self._stopping = True
        self._woken.set()

    async def pass_once(self) -> int:
        """Begin what is due and fill every free place; how many tasks were taken."""
        self._begin_chores()
        try:
            return await self.fill()
        except Exception:
            # The path ends here: a database that was busy for a moment must not end the dispatcher.
            log.exception("the dispatcher could not do its round; it goes on with the next")
            return 0

    async def fill(self) -> int:
        """Take tasks until there is none, or no free place. Their sandboxes are made at the same time, while
        the next is taken."""
        taken = 0
        while await self._claim():
            taken += 1
        return taken

    async def _claim(self) -> bool:
        """What is left to others is seen in the transaction of the claim, where nothing new is queued."""
        async with self.db.transaction() as session:
            await self.claims.leases.settle_due(session)
            only = await offered(session, self.models)
            claimed = await self.claims.claim_in(session, CLAIMER, self.capabilities, only=only)
        return claimed is not None

    # --- chores --------------------------------------------------------------------------------------------

    def _begin_chores(self) -> None:
        now = self.clock.now()
        for chore in self.chores:
            if chore.name in self._under_way or self._due.get(chore.name, now) > now:
                continue
            self._due[chore.name] = now + timedelta(seconds=chore.every)
            task = self._under_way[chore.name] = asyncio.create_task(self._do(chore))
            task.add_done_callback(lambda _, name=chore.name: self._under_way.pop(name))

    @staticmethod
    async def _do(chore: Chore) -> None:
        try:
            await chore.do()
        except (OmniForgeError, OSError) as error:
            log.warning("the dispatcher could not %s: %s", chore.name, error)
        except Exception:
            # The path ends here: it is done again when it is due.
            log.exception("the dispatcher could not %s", chore.name)

    async def _come_to_rest(self) -> None:
        """What is being written is finished; a provider that is slow is not waited for."""
        tasks = list(self._under_way.values())
        if tasks:
            await asyncio.wait(tasks, timeout=LAST_WORDS)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _hear(self, _row: EventRow, _tenant_id: str) -> None:
        self._woken.set()
