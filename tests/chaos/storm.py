"""The storm over one store, seen from outside: lives begin, are ended, and others go on with their work."""

from __future__ import annotations

import asyncio
import random
import signal
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chaos import faults
from chaos.deaths import Boundary
from chaos.life import NO_DATABASE, Life
from chaos.nursery import Child, Nursery
from chaos.profiles import Profile, deaths
from chaos.verdict import Verdict, Witness, judge
from chaos.work import resting
from omniforge.db import Database
from postgres_server import PostgresServer

Report = Callable[[int, str], None]
"""(kills so far, what is going on)."""
SMALL_DISK = 128
"""Megabytes."""
SUDDEN = (0.02, 0.5)
SUDDEN_WORKER = (0.3, 2.5)
"""Seconds after which a life that dies at a random instant is ended."""
LONG_LIFE = 3.0
LONG_WORKER = 4.0
"""Seconds after which one that did not come by its place is ended all the same."""
ROUNDS_MORE = 2
"""So often places where nobody died are tried again."""
REBIRTHS = 50
"""How often a worker is started again while the server is away."""
BURSTS = 20
"""New runs come in so many bursts."""


@dataclass
class Outcome:
    """What came of a storm. problems: whatever else went wrong, in words."""

    kills: int = 0
    boundaries: Counter[str] = field(default_factory=Counter[str])
    faults: Counter[str] = field(default_factory=Counter[str])
    problems: list[str] = field(default_factory=list[str])
    verdict: Verdict = field(default_factory=Verdict)
    missed: list[str] = field(default_factory=list[str])
    """Places where nobody died."""

    @property
    def is_good(self) -> bool:
        verdict = self.verdict
        fine = verdict.integrity == verdict.chain == "ok"
        return fine and not (verdict.lost or verdict.duplicated or self.problems or self.missed)


class Storm:
    """One storm in `folder`; `run` does it all."""

    def __init__(self, profile: Profile, folder: Path, seed: int, report: Report) -> None:
        self.profile = profile
        self.home = folder / "home"
        self.outside = folder / "outside.log"
        self.log = folder / "children.log"
        self.dice = random.Random(seed)
        self.report = report
        self.outcome = Outcome()
        self.url = ""
        self.born = 0
        self.extra: list[int] = []

    async def run(self) -> Outcome:
        raise NotImplementedError

    def schedule(self) -> list[tuple[Boundary, int]]:
        """Where each life ends."""
        made = list(deaths(self.profile.kills, self.dice, sqlite=self.url.startswith("sqlite")))
        self.planned = dict.fromkeys(place for place, _ in made)
        return made

    def life(self, boundary: Boundary, count: int = 1, **more: Any) -> Life:
        """The next one. Runs begin in bursts; those of the burst before are asked for again."""
        profile = self.profile
        bursts = min(BURSTS, self.born * BURSTS // max(1, profile.kills) + 1)
        size = -(-profile.runs // BURSTS)
        self.born += 1
        also: list[int] = []
        if boundary is Boundary.PARKED:
            also = self.more_runs()
        values: dict[str, Any] = {
            "also": also,
            "first": max(0, bursts - 2) * size,
            "upto": min(profile.runs, bursts * size),
        }
        life = Life(
            self.url,
            str(self.home),
            str(self.outside),
            self.dice.randrange(1 << 30),
            boundary,
            count,
            **(values | more),
        )
        self.outcome.faults["wrong_clocks"] += life.clock_shift != 0
        return life

    def more_runs(self) -> list[int]:
        """Numbers of two fresh runs that will be parked."""
        made = [resting(len(self.extra) + n) for n in (0, 1)]
        self.extra += made
        return made

    def missed(self) -> list[Boundary]:
        """Places where nobody died yet though somebody was to."""
        died = Witness.of(self.outside).killed + self.outcome.boundaries
        return [place for place in self.planned if place.value not in died]

    def shift(self) -> float:
        """How wrong the clock of the next process is: every other one, by a day."""
        return self.dice.choice((0.0, 0.0, faults.DAY, -faults.DAY))

    async def last(self, nursery: Nursery, **more: Any) -> None:
        """Somebody asks for every run again, and everything comes to its end undisturbed."""
        self.report(self.outcome.kills, "everything comes to its end")
        runs = {"first": 0, "upto": self.profile.runs, "also": self.extra}
        life = self.life(Boundary.AT_REST, last=True, **runs, **more)
        child = await nursery.bear(life)
        try:
            code = await asyncio.wait_for(asyncio.shield(child.ended), self.profile.patience)
        except TimeoutError:
            child.kill()
            await child.ended
            self.problem(f"runs are not over after {self.profile.patience:.0f} s without disturbance")
        else:
            if code != 0:
                self.problem(f"the last life ended with {code}")

    async def end(self, child: Child, seconds: float) -> int:
        """Its exit code; it is killed when it lives longer than this."""
        try:
            return await asyncio.wait_for(asyncio.shield(child.ended), seconds)
        except TimeoutError:
            child.kill()
            code = await child.ended
            if code == -signal.SIGKILL:
                self.outcome.boundaries[Boundary.FROM_OUTSIDE.value] += 1
            return code

    def note_end(self, code: int, what: str) -> None:
        if code == -signal.SIGKILL:
            self.outcome.kills += 1
            self.report(self.outcome.kills, what)
        else:
            self.problem(f"a life ({what}) ended with {code}")

    def problem(self, text: str) -> None:
        written = self.log.read_text().splitlines() if self.log.exists() else []
        self.outcome.problems.append("\n".join([text, *written[-30:]]))

    async def judge(self) -> Outcome:
        outcome, missed = self.outcome, self.missed()
        outcome.boundaries += Witness.of(self.outside).killed
        outcome.missed = [place.value for place in missed]
        database = Database(self.url)
        outcome.verdict = await judge(database, self.outside, [*range(self.profile.runs), *self.extra])
        await database.close()
        return outcome


class SqliteStorm(Storm):
    """One process at a time, beginning again as soon as it was killed."""

    async def run(self) -> Outcome:
        with ExitStack() as stack:
            has_disk = stack.enter_context(faults.small_disk(self.home, SMALL_DISK))
            path = self.home / "storm.db"
            self.url = f"sqlite+aiosqlite:///{path}"
            database = Database(self.url)
            await database.create_tables()
            await database.close()
            async with Nursery(self.log) as nursery:
                todo = self._faults()
                for number, (boundary, count) in enumerate(self.schedule()):
                    for fault in todo.pop(number, ()):
                        await self._hard_time(nursery, fault, has_disk=has_disk)
                    await self._die(nursery, boundary, count)
                for _ in range(ROUNDS_MORE):
                    for boundary in self.missed():
                        await self._die(nursery, boundary, 1, also=self.more_runs())
                await self.last(nursery, clock_shift=2 * faults.DAY)
            return await self.judge()

    def _faults(self) -> dict[int, list[str]]:
        """Number of the life → faults before it."""
        todo: dict[int, list[str]] = {}
        for name, times in (("crowd", self.profile.crowds), ("full_disk", self.profile.full_disks)):
            for n in range(times):
                todo.setdefault((n + 1) * self.profile.kills // (times + 1), []).append(name)
        return todo

    async def _die(self, nursery: Nursery, boundary: Boundary, count: int, **more: Any) -> None:
        full = self.dice.random() < 0.3
        child = await nursery.bear(self.life(boundary, count, clock_shift=self.shift(), full=full, **more))
        sudden = boundary is Boundary.FROM_OUTSIDE
        code = await self.end(child, self.dice.uniform(*SUDDEN) if sudden else LONG_LIFE)
        self.note_end(code, boundary.value)

    async def _hard_time(self, nursery: Nursery, fault: str, *, has_disk: bool) -> None:
        """A process works on through the fault and a moment after it, then is killed as well."""
        self.report(self.outcome.kills, fault)
        seconds, more = self.profile.fault_seconds, dict[str, Any]()
        if fault == "full_disk" and not has_disk:
            more["disk_full"] = seconds
        busy = self.life(Boundary.FROM_OUTSIDE, seconds=(0.05, 0.3), clock_shift=self.shift(), **more)
        child = await nursery.bear(busy)
        await asyncio.sleep(0.2)
        if fault == "crowd":
            crowd = await nursery.crowd(self.home / "storm.db", seconds)
            if await crowd.ended != 0:
                self.problem("the foreign writers could not write")
        elif has_disk:
            filler = faults.fill_disk(self.home)
            await asyncio.sleep(seconds)
            filler.unlink()
        else:
            await asyncio.sleep(seconds)
        self.outcome.faults[fault] += 1
        self.note_end(await self.end(child, 1.2), fault)


class PostgresStorm(Storm):
    """Several workers at once; some freeze for a while, and so does the server."""

    async def run(self) -> Outcome:
        # What it confirmed is known to the machine: it survives a crash of the server, if not of the machine.
        server = await asyncio.to_thread(PostgresServer.start, synchronous_commit="on", full_page_writes="on")
        try:
            return await self._run(server)
        finally:
            server.close()

    async def _run(self, server: PostgresServer) -> Outcome:
        self.home.mkdir()
        self.url = server.url(server.create_database())
        database = Database(self.url)
        await database.create_tables()
        await database.close()
        self.living: set[Child] = set()
        self.is_over = False
        async with Nursery(self.log) as nursery:
            schedule = self.schedule()
            faulty = [asyncio.create_task(self._freeze()), asyncio.create_task(self._restart(server))]
            await asyncio.gather(*(self._work(nursery, schedule) for _ in range(self.profile.workers)))
            self.is_over = True
            await asyncio.gather(*faulty)
            for _ in range(ROUNDS_MORE):
                for boundary in self.missed():
                    await self._die(nursery, boundary, 1, also=self.more_runs())
            await self.last(nursery, clock_shift=self.shift())
        return await self.judge()

    async def _work(self, nursery: Nursery, schedule: list[tuple[Boundary, int]]) -> None:
        """One place for a worker: whoever dies is followed by another."""
        while schedule:
            await self._die(nursery, *schedule.pop(0))

    async def _die(self, nursery: Nursery, boundary: Boundary, count: int, **more: Any) -> None:
        sudden = boundary is Boundary.FROM_OUTSIDE
        life = self.life(boundary, count, clock_shift=self.shift(), seconds=(0.02, 0.1), **more)
        code = NO_DATABASE
        for _ in range(REBIRTHS):
            child = await nursery.bear(life)
            self.living.add(child)
            code = await self.end(child, self.dice.uniform(*SUDDEN_WORKER) if sudden else LONG_WORKER)
            self.living.discard(child)
            if code != NO_DATABASE:
                break
            await asyncio.sleep(0.2)
        self.note_end(code, boundary.value)

    async def _wait_for(self, part: float) -> None:
        """Until so much of the killing is done, or all that there will be."""
        while not self.is_over and self.outcome.kills < part * self.profile.kills:
            await asyncio.sleep(0.05)

    async def _freeze(self) -> None:
        times = self.profile.freezes
        for number in range(times):
            await self._wait_for((number + 0.5) / (times + 1))
            child = self.dice.choice(list(self.living)) if self.living else None
            if child is not None:
                child.send(signal.SIGSTOP)
                await asyncio.sleep(self.dice.uniform(1.7, 3.0))
                child.send(signal.SIGCONT)
                self.outcome.faults["freezes"] += 1

    async def _restart(self, server: PostgresServer) -> None:
        times = self.profile.restarts
        for number in range(times):
            await self._wait_for((number + 0.9) / (times + 1))
            await asyncio.to_thread(server.stop, (signal.SIGINT, signal.SIGQUIT)[number % 2])
            await asyncio.sleep(self.dice.uniform(0.0, 0.5))
            await asyncio.to_thread(server.run)
            self.outcome.faults["server_restarts"] += 1


STORMS: dict[str, type[Storm]] = {"sqlite": SqliteStorm, "postgres": PostgresStorm}


async def storm(store: str, profile: Profile, seed: int, report: Report) -> Outcome:
    """A storm over `sqlite` or `postgres` in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        return await STORMS[store](profile, Path(folder), seed, report).run()
