"""One simulation: a seed, what is made of it, and what came out."""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

from omniforge.engine.admission import Limits
from omniforge.engine.plan import Plan
from omniforge.engine.validation import validate_plan
from omniforge.simulation.checks import check_everything
from omniforge.simulation.database import InlineDatabase
from omniforge.simulation.faults import Faults
from omniforge.simulation.house import House
from omniforge.simulation.life import note_task
from omniforge.simulation.people import VERBS, Errand, People
from omniforge.simulation.plans import KINDS, random_input, random_plan
from omniforge.simulation.timing import Stuck, VirtualClock, VirtualLoop, run_virtually
from omniforge.simulation.trace import Trace
from omniforge.simulation.world import World

LONGEST = 30 * 86_400.0
"""Virtual seconds after which a run that is not over counts as stuck, once nothing goes wrong any more."""
OPEN = "SELECT id, status FROM runs WHERE status IN ('queued', 'running', 'waiting', 'paused') ORDER BY id"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a simulation found. `lives`: how often the engine was started."""

    seed: int
    problems: tuple[str, ...]
    digest: str
    runs: int
    calls: int
    lives: int
    trace: Trace


@contextmanager
def open_house() -> Generator[InlineDatabase]:
    """A database for any number of simulations, one after the other."""
    fast = Path("/dev/shm")  # noqa: S108 - memory, where there is such a place
    with tempfile.TemporaryDirectory(dir=fast if fast.is_dir() else None, prefix="omniforge-") as folder:
        db = InlineDatabase(Path(folder) / "simulation.db")
        run_virtually(db.create_tables)
        yield db
        run_virtually(db.close)


def simulate(
    seed: int,
    db: InlineDatabase,
    plans: Callable[[random.Random], Plan] = random_plan,
    faults: Faults | None = None,
    *,
    verbs: bool = True,
) -> Outcome:
    """Everything that this seed means; the same every time. Without `verbs` nobody interferes with a run."""
    trace = Trace()
    db.clear()
    scenario = _Scenario(seed, db, trace, plans, faults, verbs=verbs)
    try:
        run_virtually(scenario.play)
    except Stuck as stuck:
        trace.blame(f"{stuck}: {scenario.open_runs()}")
    except ExceptionGroup as errors:
        trace.blame(f"the simulation itself broke: {errors.exceptions[0]!r}")
    finally:
        scenario.stored.close()
    house = scenario.house
    lives, calls = (house.lives, house.world.calls) if house is not None else (0, 0)
    return Outcome(seed, tuple(trace.problems), trace.digest(), len(scenario.errands), calls, lives, trace)


class _Scenario:
    def __init__(
        self,
        seed: int,
        db: InlineDatabase,
        trace: Trace,
        plans: Callable[[random.Random], Plan],
        faults: Faults | None,
        *,
        verbs: bool,
    ) -> None:
        self.db, self.trace = db, trace
        self.rng = random.Random(f"{seed}/plans")  # noqa: S311 - the same every time is what is wanted
        self.people_rng = random.Random(f"{seed}/people")  # noqa: S311
        self.faults = faults or _faults(random.Random(f"{seed}/faults"))  # noqa: S311
        self.verbs = verbs
        self.errands = [self._errand(number, plans) for number in range(self.rng.choice((1, 1, 2, 3, 5)))]
        self.stored = db.direct()
        self.house: House | None = None
        self._ids = 0

    def _errand(self, number: int, plans: Callable[[random.Random], Plan]) -> Errand:
        rng = self.rng
        plan = plans(rng)
        validate_plan(plan, KINDS)
        verbs: list[tuple[float, str, int]] = []
        if rng.random() < 0.4 and self.verbs:
            for _ in range(rng.randint(1, 4)):
                delay = rng.choice((0.0, 0.01, 1.0, 20.0, 300.0)) * rng.random()
                verbs.append((delay, rng.choice(VERBS), rng.choice((1, 1, 2))))
        tenant = f"t{rng.randint(1, 3)}"
        at = rng.choice((0.0, 0.0, 5.0)) * rng.random()
        return Errand(f"errand-{number}", tenant, plan, random_input(rng), at, verbs, rng.random() < 0.2)

    def new_id(self, prefix: str) -> str:
        self._ids += 1
        return f"{prefix}_{self._ids:04d}"

    def open_runs(self) -> list[Any]:
        return [tuple(row) for row in self.stored.execute(OPEN)]

    async def play(self) -> None:
        loop = cast("VirtualLoop", asyncio.get_running_loop())
        loop.set_task_factory(note_task)
        loop.set_exception_handler(self._note_orphan)
        loop.think = self.faults.delay
        clock = VirtualClock()
        plans = {errand.plan.hash: errand.plan for errand in self.errands}
        world = World(self.trace, self.stored, plans)
        limits = Limits(
            self.rng.choice((2, 3, 8, 64)), per_tenant=self.rng.choice((None, 2)), providers={"acme": 1}
        )
        house = self.house = House(
            self.db, world, faults=self.faults, clock=clock, limits=limits, new_id=self.new_id
        )
        self.db.before_read = self.db.after_read = self._wait_for_query
        people = People(house, self.people_rng)
        async with asyncio.TaskGroup() as group:
            group.create_task(house.keep_alive(self.rng.choice((2.0, 20.0, 200.0, 1e6))))
            others = [
                group.create_task(people.answer_and_resume()),
                group.create_task(self._set_clocks(clock)),
            ]
            await asyncio.gather(*(people.run_errand(errand) for errand in self.errands))
            await asyncio.sleep(self.rng.choice((0.0, 10.0, 1000.0)))
            self.faults.calm = True
            self.trace.tell("from now on nothing goes wrong any more")
            await self._until_over()
            for task in others:
                task.cancel()
            await asyncio.sleep(100)  # whoever speaks late has spoken
            house.end()
        check_everything(world, people.runs, {errand.name: errand.run_id for errand in self.errands})

    def _note_orphan(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Exceptions that nobody asked for: of the dead mostly."""
        self.trace.tell(f"nobody hears: {context.get('exception')!r}")

    async def _wait_for_query(self) -> None:
        delay = self.faults.delay()
        if delay:
            await asyncio.sleep(delay)

    async def _set_clocks(self, clock: VirtualClock) -> None:
        """Somebody, or something, sets the clock of the computer."""
        rng = random.Random(self.rng.random())  # noqa: S311
        while rng.random() < 0.3:
            await asyncio.sleep(rng.expovariate(1 / 50))
            clock.offset += timedelta(seconds=rng.choice((-86_400, 86_400, -3600, 3600, -1, 1)))
            self.trace.tell(f"the clock is set; it is off by {clock.offset.total_seconds():g} s now")

    async def _until_over(self) -> None:
        loop = asyncio.get_running_loop()
        end, pause = loop.time() + LONGEST, 1.0
        assert self.house is not None  # noqa: S101 - for the type checker
        await self.house.opened.wait()
        await asyncio.sleep(pause)  # the tables follow what is durable
        while not self.house.opened.is_set() or self.open_runs():
            if loop.time() > end:
                self.trace.blame(f"not over after {LONGEST / 86_400:g} days: {self.open_runs()}")
                return
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, 3600)


def _faults(rng: random.Random) -> Faults:
    return Faults(
        rng,
        slow=rng.choice((0.0, 0.05, 0.3)),
        broken=rng.choice((0.0, 0.0, 0.01, 0.05)),
        killed=rng.choice((0.0, 0.02, 0.1)),
    )
