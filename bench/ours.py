"""Our side of F1 to F5: the embedded engine with everything on, as an installation has it."""

from __future__ import annotations

import asyncio
import os
import random
import tempfile
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from bench.timing import (
    FAN,
    PAYLOAD,
    STEPS_OF_CHAIN,
    STEPS_OF_FAN,
    Finish,
    LoopLag,
    ms_per_step,
    options,
    peak_mb,
    report,
)
from omniforge.core.actor import Actor, Role
from omniforge.core.clock import SystemClock
from omniforge.core.collector import calm_collector
from omniforge.db import Database
from omniforge.engine.active import StepCall
from omniforge.engine.embedded import EmbeddedEngine
from omniforge.engine.plan import Plan, Step
from omniforge.engine.state import RunProgress, StepResult, StepStatus
from omniforge.engine.validation import validate_plan
from omniforge.runs.service import RunService, StartRequest
from omniforge.tenants.roles import permissions_of

ACTOR = Actor("default", "local", Role.OWNER, "user:local", permissions_of(Role.OWNER))
CHAIN = Plan(
    (
        Step("a", "work"),
        Step("b", "work", needs=("a",), inputs={"n": "${a.output.n}"}),
        Step("c", "work", needs=("b",), inputs={"n": "${b.output.n}"}, when="steps.b.output.n > 1"),
    )
)
FANNED = Plan(
    (
        Step("begin", "work"),
        *(Step(f"work-{n}", "work", args={"n": n}, needs=("begin",)) for n in range(FAN)),
        Step("gather", "work", needs=tuple(f"work-{n}" for n in range(FAN))),
    )
)
NAP = Plan((Step("nap", "nap"),))


class House:
    """An engine over a fresh database, and the door before it."""

    def __init__(self, home: Path, *, synchronous: str = "NORMAL", slots: int = 10_000) -> None:
        self.first_step: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self.db = Database(f"sqlite+aiosqlite:///{home / 'omniforge.db'}", synchronous=synchronous)
        handlers = {"work": _work, "nap": _nap, "hang": _hang, "mark": self._mark}
        self.engine = EmbeddedEngine(self.db, handlers, SystemClock(), home, slots=slots)
        self.runs = RunService(self.engine, max_unfinished=100_000)

    async def start(self, plan: Plan) -> str:
        return await self.runs.start_run(ACTOR, StartRequest(plan=plan, subject="bench:run"))

    async def finish(self, plan: Plan) -> None:
        """Start a run; return when it is over and durable."""
        await self.engine.wait(await self.start(plan))

    async def read_back(self, plan: Plan) -> None:
        """As `finish`, and read the whole run from the database too."""
        await self.runs.wait_for(ACTOR, await self.start(plan))

    async def _mark(self, call: StepCall) -> StepResult:
        """Tells when the first step was called, and does not end."""
        if not self.first_step.done():
            self.first_step.set_result(time.perf_counter())
        return await _hang(call)


async def _work(call: StepCall) -> StepResult:
    return StepResult(output={"n": call.inputs.get("n", 0) + 1, "text": PAYLOAD})


async def _nap(call: StepCall) -> StepResult:
    await asyncio.sleep(0.2)
    return StepResult(output={"n": 1, "text": PAYLOAD})


async def _hang(call: StepCall) -> StepResult:
    await asyncio.Event().wait()
    return StepResult()


@asynccontextmanager
async def open_house(**more: Any) -> AsyncGenerator[House]:
    with tempfile.TemporaryDirectory() as folder:
        house = House(Path(folder), **more)
        await house.db.create_tables()
        await house.engine.open()
        yield house
        await house.engine.close()
        await house.db.close()


# --- F1, F3: what a durable step costs


async def durable_steps(asked: dict[str, Any]) -> dict[str, float]:
    seconds: float = asked["seconds"]
    async with open_house(synchronous=asked.get("synchronous", "NORMAL")) as house:

        def running(plan: Plan) -> Finish:
            return lambda: house.finish(plan)

        if asked.get("only") == "at_once":
            return {"at_once": await ms_per_step(running(CHAIN), STEPS_OF_CHAIN, at_once=32, seconds=seconds)}
        return {
            "chain": await ms_per_step(running(CHAIN), STEPS_OF_CHAIN, at_once=1, seconds=seconds),
            "at_once": await ms_per_step(running(CHAIN), STEPS_OF_CHAIN, at_once=32, seconds=seconds),
            "fan": await ms_per_step(running(FANNED), STEPS_OF_FAN, at_once=1, seconds=seconds),
            "read_back": await ms_per_step(
                lambda: house.read_back(CHAIN), STEPS_OF_CHAIN, at_once=1, seconds=seconds / 2
            ),
        }


# --- F2: thousands of runs that sleep


async def many_runs(asked: dict[str, Any]) -> dict[str, float]:
    async with open_house() as house:
        await house.finish(NAP)
        begun = time.perf_counter()
        async with LoopLag() as lag:
            await asyncio.gather(*(house.finish(NAP) for _ in range(asked["runs"])))
        seconds = time.perf_counter() - begun
        return {"seconds": seconds, "peak_mb": peak_mb(), "lag_p99_ms": lag.p99_ms()}


# --- F4: planning


def chain_of(size: int) -> Plan:
    return Plan(tuple(Step(f"s{n}", "work", needs=() if n == 0 else (f"s{n - 1}",)) for n in range(size)))


def fan_of(size: int) -> Plan:
    middle = [Step(f"s{n}", "work", needs=("begin",)) for n in range(size - 2)]
    return Plan((Step("begin", "work"), *middle, Step("end", "work", needs=tuple(s.key for s in middle))))


def layers_of(size: int, *, width: int = 100, templates: bool = False) -> Plan:
    """Random layers: each step needs one to three steps of the layer before; the seed is fixed."""
    chance = random.Random(7)  # noqa: S311 - the same shape every time
    steps: list[Step] = []
    for number in range(size):
        layer = number // width
        before = range((layer - 1) * width, layer * width) if layer else range(0)
        needs = tuple(f"s{n}" for n in sorted(chance.sample(before, chance.randint(1, 3)))) if layer else ()
        inputs = {"n": "${" + needs[0] + ".output.n}"} if templates and needs else {}
        steps.append(Step(f"s{number}", "work", needs=needs, inputs=inputs))
    return Plan(tuple(steps))


SHAPES: dict[str, Callable[[int], Plan]] = {
    "chain": chain_of,
    "fan": fan_of,
    "layers": layers_of,
    "templates": lambda size: layers_of(size, templates=True),
}


def planning_ms(plan: Plan) -> float:
    """CPU time of validating a plan and of handing out every step once, in milliseconds."""
    begun = time.process_time()
    validate_plan(plan, ("work",))
    progress = RunProgress(plan)
    ready = progress.startable()
    done = 0
    while ready:
        following: list[str] = []
        for key in ready:
            done += 1
            following += progress.settle(key, StepStatus.COMPLETED)
        ready = following
    took = (time.process_time() - begun) * 1000
    if done != len(plan.steps):
        raise AssertionError(f"{done} of {len(plan.steps)} steps were handed out")
    return took


async def planning(asked: dict[str, Any]) -> dict[str, float]:
    shape = SHAPES[asked["shape"]]
    small = min(planning_ms(shape(asked["size"] // 10)) for _ in range(3))
    return {"small_ms": small, "large_ms": min(planning_ms(shape(asked["size"])) for _ in range(2))}


# --- F5: restart


async def leave_unfinished(asked: dict[str, Any]) -> dict[str, float]:
    """Start runs whose first step hangs, then die as a killed process does."""
    house = House(Path(asked["home"]), slots=64)
    await house.db.create_tables()
    await house.engine.open()
    plan = Plan((Step("a", "mark"), Step("b", "work", needs=("a",)), Step("c", "work", needs=("b",))))
    for _ in range(asked["runs"] // 500):
        await asyncio.gather(*(house.start(plan) for _ in range(500)))
    report({"runs": asked["runs"]})
    os._exit(9)


async def take_up_again(asked: dict[str, Any]) -> dict[str, float]:
    begun = time.perf_counter()
    house = House(Path(asked["home"]), slots=64)
    taken = await house.engine.open()
    opened = time.perf_counter()
    first = await house.first_step
    report({"runs": taken or 0, "first_step": first - begun, "opened": opened - begun, "peak_mb": peak_mb()})
    os._exit(9)


WORKS = {
    "steps": durable_steps,
    "runs": many_runs,
    "planning": planning,
    "leave": leave_unfinished,
    "restart": take_up_again,
}


async def main() -> None:
    asked = options()
    calm_collector()  # as every server and worker does
    report(await WORKS[asked["work"]](asked))


if __name__ == "__main__":
    asyncio.run(main())
