"""An engine that is killed and started again over the same data, as often as its faults say."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import Awaitable, Callable
from typing import TypeVar

from omniforge.core.errors import OmniForgeError, Unavailable
from omniforge.db import Database
from omniforge.engine.admission import Admission, Limits
from omniforge.engine.embedded import EmbeddedEngine
from omniforge.engine.events import EventLog
from omniforge.runs.service import RunService
from omniforge.simulation.database import InlineDatabase
from omniforge.simulation.faults import Faults, FaultyJournal, MortalJournal
from omniforge.simulation.life import Life, Lost
from omniforge.simulation.timing import VirtualClock
from omniforge.simulation.trace import Trace
from omniforge.simulation.world import DAMAGED, World

Answer = TypeVar("Answer")


class SimulatedEngine(EmbeddedEngine):
    """The embedded engine over a journal with faults. Who owns the files is not in question here."""

    def __init__(
        self,
        db: InlineDatabase,
        life: Life,
        *,
        world: World,
        faults: Faults,
        clock: VirtualClock,
        limits: Limits,
        check: Callable[[], None],
    ) -> None:
        """check: called when everything durable is in the tables again, before anything goes on."""
        self._check = check

        def journal(database: Database, events: EventLog) -> FaultyJournal:
            return FaultyJournal(MortalJournal(database, events), faults, life, world.promised)

        super().__init__(
            db,
            world.handlers(life),
            clock,
            db.path.parent,
            slots=limits.total,
            admission=Admission(limits, clock),
            journal=journal,
        )

    async def open(self) -> int:
        await self.journal.open()
        self._check()
        return await self.worker.recover()

    async def close(self) -> None:
        await self.worker.close()
        await self.journal.close()
        await self.events.close()


class House:
    """Keeps an engine alive. Whoever wants something of it asks through `ask`, and may have to ask again."""

    def __init__(
        self,
        db: InlineDatabase,
        world: World,
        *,
        faults: Faults,
        clock: VirtualClock,
        limits: Limits,
        new_id: Callable[[str], str],
    ) -> None:
        self.db, self.world, self.faults, self.clock, self.limits = db, world, faults, clock, limits
        self.trace: Trace = world.trace
        self.new_id = new_id
        self.lives = 0
        self.life: Life | None = None
        self.engine: SimulatedEngine | None = None
        self.opened = asyncio.Event()
        self._ended = asyncio.Event()
        self._rng = random.Random(faults.rng.random())  # noqa: S311 - part of the seed

    async def keep_alive(self, mean_life: float) -> None:
        """Start it, wait until it is killed or kill it, start it again, until `end`. Seconds on average."""
        while not self._ended.is_set():
            life = self.life = Life(self.lives, self.trace)
            self.lives += 1
            engine = self.engine = SimulatedEngine(
                self.db,
                life,
                world=self.world,
                faults=self.faults,
                clock=self.clock,
                limits=self.limits,
                check=self._check_promises,
            )
            killer = asyncio.ensure_future(self._kill_some_time(life, mean_life))
            ended = asyncio.ensure_future(self._ended.wait())
            died = asyncio.ensure_future(life.died.wait())
            try:
                taken = await life.call(engine.open())
                self.trace.tell(f"life {life.number} begins with {taken} unfinished runs")
                self.opened.set()
                await life.call(self._deliver_late(engine))
                await asyncio.wait([died, ended], return_when=asyncio.FIRST_COMPLETED)
            except Lost:
                pass
            finally:
                self.opened.clear()
                for task in (killer, ended, died):
                    task.cancel()
            self.faults.kills_left -= 1
            await self._put_down(engine, life)

    async def _put_down(self, engine: SimulatedEngine, life: Life) -> None:
        if life.alive and self._ended.is_set():
            self._check_idle(engine)
        if life.alive:
            await life.call(engine.close())
            life.die("in an orderly way")
        await life.bury()
        if not self._ended.is_set():
            await asyncio.sleep(self._rng.choice((0.0, 0.1, 30.0)))
            self._damage_something()

    async def _kill_some_time(self, life: Life, mean_life: float) -> None:
        await asyncio.sleep(self._rng.expovariate(1 / mean_life))
        if self.faults.kills_left > 0 and not self.faults.calm:
            life.die("at some moment")

    async def _deliver_late(self, engine: SimulatedEngine) -> None:
        """What the dead were about to write arrives now, and must be refused."""
        late, self.faults.late = self.faults.late, []
        for change in late:
            if change.epoch is None:  # not a driver's: whoever asked could as well ask again
                continue
            try:
                taken = await engine.journal.write(change)
            except Unavailable:
                continue
            if taken:
                what = [event.type for event in change.events]
                self.trace.blame(f"a late writer of {change.run_id} was not refused: {what}")

    def _damage_something(self) -> None:
        """Bits fall over in the row of a finished step."""
        if not self.faults.happens(0.04):
            return
        with sqlite3.connect(self.db.path, isolation_level=None) as connection:
            rows = connection.execute(
                "SELECT s.run_id, s.key FROM run_steps s JOIN runs r ON r.id = s.run_id"
                " WHERE s.status = 'completed' AND r.status IN ('queued', 'running') ORDER BY 1, 2"
            ).fetchall()
            if rows:
                run_id, key = self._rng.choice(rows)
                where = "WHERE run_id = ? AND key = ?"
                connection.execute(f"UPDATE run_steps SET result = ? {where}", (DAMAGED, run_id, key))  # noqa: S608
                self.world.damaged.add((run_id, key))
                self.trace.tell(f"the row of {run_id}/{key} is damaged")
        connection.close()

    def _check_promises(self) -> None:
        """What was said to be durable is there after a crash, as it was or further on."""
        stored = self.world.stored
        for run_id in self.world.promised.runs:
            if stored.execute("SELECT 1 FROM runs WHERE id = ?", (run_id,)).fetchone() is None:
                self.trace.blame(f"run {run_id} was promised to be durable; it is gone")
        for run_id, rows in self.world.promised.steps.items():
            found = stored.execute("SELECT key, status, attempt FROM run_steps WHERE run_id = ?", (run_id,))
            there = {row[0]: (row[1], row[2]) for row in found}
            for key, row in rows.items():
                status, attempt = there.get(key, ("missing", 0))
                if attempt < row[3] or (row[2] == "completed" and status in ("pending", "ready", "running")):
                    self.trace.blame(f"{run_id}/{key} was durable as {row[2]}; it is {status} #{attempt}")

    def _check_idle(self, engine: SimulatedEngine) -> None:
        if engine.admission.held or engine.admission.waiting:
            self.trace.blame(
                f"{engine.admission.held} slots are held and {engine.admission.waiting} waited for at the end"
            )
        if engine.worker.active:
            self.trace.blame(f"{engine.worker.active} runs are driven though all are over")

    async def ask(self, what: Callable[[RunService], Awaitable[Answer]]) -> Answer:
        """Ask once, as soon as the engine answers. `Lost` when it dies over it, else what it raises."""
        await self.opened.wait()
        life, engine = self.life, self.engine
        assert life is not None and engine is not None  # noqa: S101, PT018 - for the type checker
        service = RunService(engine, 1000, new_id=self.new_id)

        async def work() -> Answer:
            return await what(service)

        return await life.call(work())

    async def insist(self, what: Callable[[RunService], Awaitable[Answer]]) -> Answer:
        """Ask until there is an answer; what the engine refuses for good is raised."""
        while True:
            try:
                return await self.ask(what)
            except OmniForgeError as error:
                if error.status != 503:
                    raise
            await asyncio.sleep(0.2)

    def end(self) -> None:
        self._ended.set()
