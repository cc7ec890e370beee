"""Our side of F6: the distributed engine on PostgreSQL, three worker processes, one of them killed."""

from __future__ import annotations

import asyncio
import time
from itertools import count
from typing import Any

from sqlalchemy import text

from bench.crew import crew, say_ready
from bench.ours import ACTOR, CHAIN
from bench.timing import PAYLOAD, options, report
from omniforge.db import Database
from omniforge.engine.active import StepCall
from omniforge.engine.distributed import DistributedEngine, Sharing
from omniforge.engine.plan import Plan, Step
from omniforge.engine.queue import Heartbeat
from omniforge.engine.state import StepResult
from omniforge.runs.service import RunService, StartRequest

HEARTBEAT = Heartbeat(every=1.0, stalled_after=4.0)
LONG = Plan(tuple(Step(f"s{n}", "nap", needs=(f"s{n - 1}",) if n else ()) for n in range(60)))
"""Half a minute in steps of half a second: on its way whenever its worker is killed."""
LEFT = "SELECT count(*) FROM runs WHERE status NOT IN ('completed')"
ROWS = "SELECT count(*) FROM run_steps WHERE status = 'completed'"
STEPS = "SELECT run_id, count(*) FROM run_steps WHERE status = 'completed' GROUP BY run_id"


async def _work(call: StepCall) -> StepResult:
    return StepResult(output={"n": call.inputs.get("n", 0) + 1, "text": PAYLOAD})


async def _nap(call: StepCall) -> StepResult:
    await asyncio.sleep(0.5)
    return StepResult(output={"n": 1})


def engine_over(asked: dict[str, Any], drives: int = 0) -> DistributedEngine:
    """drives: runs that this process works on at once; 0 for one that only starts them."""
    sharing = Sharing(drives=drives, heartbeat=HEARTBEAT)
    handlers = {"work": _work, "nap": _nap}
    return DistributedEngine(Database(asked["url"]), handlers, slots=1000, sharing=sharing)


async def be_worker(asked: dict[str, Any]) -> None:
    engine = engine_over(asked, asked["concurrency"])
    await engine.open()
    say_ready()
    await asyncio.Event().wait()


async def number(engine: DistributedEngine, query: str) -> int:
    async with engine.db.read() as session:
        return (await session.execute(text(query))).scalar_one()


async def throughput(asked: dict[str, Any]) -> None:
    """Runs per second from the first start to the last end."""
    engine = engine_over(asked)
    await engine.open()
    runs, wanted = RunService(engine, max_unfinished=1_000_000), asked["runs"]
    with crew("bench.ours_workers", asked):
        await asyncio.sleep(1)
        numbers = count()
        begun = time.perf_counter()

        async def start() -> None:
            while next(numbers) < wanted:
                await runs.start_run(ACTOR, StartRequest(plan=CHAIN, subject="bench:run"))

        await asyncio.gather(*(start() for _ in range(16)))
        while await number(engine, LEFT):  # noqa: ASYNC110 - others end it
            await asyncio.sleep(0.02)
        seconds = time.perf_counter() - begun
    steps = await number(engine, ROWS)
    await engine.close()
    await engine.db.close()
    report({"runs_per_second": wanted / seconds, "steps": steps})


async def taken_over(asked: dict[str, Any]) -> None:
    """Seconds from the kill of a worker until every run has gone on."""
    engine = engine_over(asked)
    await engine.open()
    runs = RunService(engine, max_unfinished=1_000_000)
    with crew("bench.ours_workers", asked) as workers:
        for _ in range(asked["runs"]):
            await runs.start_run(ACTOR, StartRequest(plan=LONG, subject="bench:run"))
        while len(await progress(engine)) < asked["runs"]:  # noqa: ASYNC110 - others end it
            await asyncio.sleep(0.05)
        workers[0].kill()
        killed = time.perf_counter()
        await asyncio.sleep(1)  # what it had sent already has arrived
        before = await progress(engine)
        while any(done <= before[run] for run, done in (await progress(engine)).items()):  # noqa: ASYNC110 - others end it
            await asyncio.sleep(0.05)
        seconds = time.perf_counter() - killed
    await engine.close()
    await engine.db.close()
    report({"seconds": seconds, "allowed": HEARTBEAT.stalled_after + 5})


async def progress(engine: DistributedEngine) -> dict[str, int]:
    """Finished steps by run."""
    async with engine.db.read() as session:
        return {row[0]: row[1] for row in (await session.execute(text(STEPS))).all()}


WORKS = {"worker": be_worker, "throughput": throughput, "takeover": taken_over}


if __name__ == "__main__":
    asyncio.run(WORKS[options()["work"]](options()))
