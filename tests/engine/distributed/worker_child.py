"""A worker process. Arguments: database, places of a tenant, file that gets a line per step."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import time

from omniforge.db import Database
from omniforge.engine.active import StepCall
from omniforge.engine.distributed import DistributedEngine, Sharing
from omniforge.engine.queue import Heartbeat
from omniforge.engine.state import StepResult

HEARTBEAT = Heartbeat(every=0.3, stalled_after=1.5, leaving=0.5)


async def main(url: str, places: int, log: str) -> None:
    lines = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def note(what: str, call: StepCall) -> None:
        line = f"{what} {call.run.tenant_id} {call.run.id} {call.step.key} {time.monotonic():.6f}\n"
        os.write(lines, line.encode())

    async def work(call: StepCall) -> StepResult:
        note("begin", call)
        low, high = call.step.args.get("seconds", (0.01, 0.05))
        await asyncio.sleep(random.uniform(low, high))
        note("end", call)
        return StepResult(output=[*(call.inputs.get("before") or []), call.step.key])

    database = Database(url)
    sharing = Sharing(drives=20, places=places, heartbeat=HEARTBEAT)
    engine = DistributedEngine(database, {"work": work}, slots=16, sharing=sharing)
    await engine.open()
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await stopped.wait()
    await engine.close()
    await database.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
