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


@dataclass(frozen=True, slots=True)
class Chore:
    """Something to be done every so many seconds, by any number of processes."""

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
        self._woken = asyncio.Event()

    def follow(self, events: EventLog) -> None:
        """Hear what happens."""
        events.subscribe("board.dispatch", WAKES, self._hear)
        events.subscribe("board.attempts", ENDS, self.runs.hear)

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            self._woken.clear()
            await self.pass_once()
            try:
                async with asyncio.timeout(LOOK_EVERY):
                    await self._woken.wait()
            except TimeoutError:
                pass  # nobody said anything

    async def pass_once(self) -> int:
        """Do what is due and fill every free place; how many tasks were taken."""
        try:
            await self._do_chores()
            return await self.fill()
        except Exception:
            # The path ends here: a database that was busy for a moment must not end the dispatcher.
            log.exception("the dispatcher could not do its round; it goes on with the next")
            return 0

    async def fill(self) -> int:
        """Take tasks until there is none, or no free place. Their sandboxes are made at the same time, while
        the next is taken."""
        taken = 0
        while True:
            async with self.db.read() as session:
                only = await offered(session, self.models)
            if await self.claims.claim_task(CLAIMER, self.capabilities, only=only) is None:
                return taken
            taken += 1

    async def _do_chores(self) -> None:
        now = self.clock.now()
        for chore in self.chores:
            if self._due.get(chore.name, now) > now:
                continue
            self._due[chore.name] = now + timedelta(seconds=chore.every)
            try:
                await chore.do()
            except (OmniForgeError, OSError) as error:
                log.warning("the dispatcher could not %s: %s", chore.name, error)

    async def _hear(self, _row: EventRow, _tenant_id: str) -> None:
        self._woken.set()
