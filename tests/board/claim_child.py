"""A dispatcher: claims and completes tasks when a line arrives, until all are done. Argument: the database.

Prints `ready`, then one JSON object: the attempts it was given, and how often it came away with nothing
although a task was there for it.
"""

from __future__ import annotations

import asyncio
import json
import sys

from sqlalchemy import func, select
from tests.board.task_stage import Stage

from omniforge.board.claims import Claimed
from omniforge.board.store.queue import Capacity
from omniforge.board.store.tasks import TaskRow
from omniforge.core.clock import SystemClock
from omniforge.db import Database

AT_ONCE = 2


async def main(url: str) -> None:
    db = Database(url)
    stage = Stage(db, SystemClock(), Capacity(tenant=100, installation=100))
    taken: list[tuple[str, int]] = []
    missed = 0

    async def left(*statuses: str) -> int:
        async with db.read() as session:
            query = select(func.count()).select_from(TaskRow).where(TaskRow.status.in_(statuses))
            return await session.scalar(query) or 0

    async def claim() -> Claimed | None:
        """Looks at the queue in the transaction of the claim, where nobody else can change it."""
        nonlocal missed
        async with db.transaction() as session:
            claimed = await stage.claims.claim_in(session, "system:dispatch")
            if claimed is None:
                queued = select(func.count()).select_from(TaskRow).where(TaskRow.status == "queued")
                missed += bool(await session.scalar(queued))
        return claimed

    async def dispatch() -> None:
        while True:
            claimed = await claim()
            if claimed is not None:
                taken.append((claimed.task.id, claimed.attempt.attempt))
                await asyncio.sleep(0.001)
                await stage.settle(claimed)
            elif await left("pending", "queued", "running"):
                await asyncio.sleep(0.05)
            else:
                return

    await left("queued")
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.readline)
    await asyncio.gather(*(dispatch() for _ in range(AT_ONCE)))
    await db.close()
    sys.stdout.write(json.dumps({"taken": taken, "missed": missed}) + "\n")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
