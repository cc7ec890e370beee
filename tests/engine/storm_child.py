"""A process that works on many runs until they are over, or until somebody kills it. Argument: its home."""

from __future__ import annotations

import asyncio
import random
import sys
from pathlib import Path

from omniforge.core.actor import Actor, Role
from omniforge.core.clock import SystemClock
from omniforge.db import Database
from omniforge.engine.active import StepCall
from omniforge.engine.embedded import EmbeddedEngine
from omniforge.engine.plan import Plan, Step
from omniforge.engine.state import StepResult
from omniforge.runs.service import RunService, StartRequest
from omniforge.tenants.roles import permissions_of

RUNS, STEPS = 150, 5


async def work(call: StepCall) -> StepResult:
    await asyncio.sleep(random.uniform(0.01, 0.05))
    return StepResult(output=[*(call.inputs.get("before") or []), call.step.key])


def chain() -> Plan:
    steps = [Step(key="s0", kind="work")]
    for number in range(1, STEPS):
        before = f"s{number - 1}"
        inputs = {"before": f"${{{before}.output}}"}
        steps.append(Step(key=f"s{number}", kind="work", needs=(before,), inputs=inputs))
    return Plan(tuple(steps))


async def main(home: Path) -> None:
    database = Database(f"sqlite+aiosqlite:///{home / 'storm.db'}")
    await database.create_tables()
    engine = EmbeddedEngine(database, {"work": work}, SystemClock(), home, slots=16)
    runs = RunService(engine, max_unfinished=10_000)
    await engine.open()
    actor = Actor("storm", "local", Role.OWNER, "user:local", permissions_of(Role.OWNER))

    async def start(number: int) -> str:
        request = StartRequest(plan=chain(), subject="storm", idempotency_key=f"run {number}")
        return await runs.start_run(actor, request)

    ids = await asyncio.gather(*(start(number) for number in range(RUNS)))
    for run_id in ids:
        await runs.wait_for(actor, run_id)
    await engine.close()
    await database.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
