"""`python -m bench.claims`: claims per second, beside the plainest queue there is on the same database.

The plain queue selects a queued row and updates it, in one transaction: no score, no limits, no lease, no
attempt, no sandbox, no log. Prints one JSON line.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
from tests.postgres_server import PostgresServer

from omniforge.board.attempts import Attempts
from omniforge.board.claims import Claims
from omniforge.board.leases import Leases
from omniforge.board.store.projects import ProjectRow
from omniforge.board.store.queue import Capacity
from omniforge.board.store.tasks import TaskRow
from omniforge.board.store.tickets import TicketRow
from omniforge.board.tasks import Tasks
from omniforge.core.clock import SystemClock
from omniforge.db import Database
from omniforge.engine.events import Event
from omniforge.engine.stores import event_log

TENANT = "default"
PLAIN = (
    "SELECT id FROM plain_tasks WHERE status = 'queued' ORDER BY id LIMIT 1",
    "UPDATE plain_tasks SET status = 'running' WHERE id = :id AND status = 'queued'",
)
ROUNDS = 3


class NothingBlocks:
    """Attempts are not settled here, so nobody is blocked."""

    async def block_in(self, *_: Any, **__: Any) -> list[Event]:
        return []

    async def resolved_in(self, *_: Any, **__: Any) -> list[Event]:
        return []


async def fill(db: Database, queued: int) -> None:
    """One ticket with so many queued tasks, and as many rows of the plain queue."""
    now = SystemClock().now()
    same: dict[str, Any] = {"tenant_id": TENANT, "created_at": now, "updated_at": now}
    project = ProjectRow(
        id="p", name="Bench", status="active", default_phase_id="PHASE_BACKLOG", repository_kind="local",
        default_branch="main", autonomous=True, settings={"max_concurrent_sandboxes": 100_000},
        created_by="user:bench", **same,
    )  # fmt: skip
    ticket = TicketRow(
        id="t", project_id="p", ref="TKT-001", title="Bench", status="building", status_since=now, rank=1.0,
        priority="MEDIUM", ticket_type="component", tags=[], blockers=[], approval_status="approved",
        evidence_since=now, context={}, created_by="user:bench", **same,
    )  # fmt: skip
    async with db.transaction() as session:
        session.add_all([project, ticket])
        session.add_all(_task(number, now, same) for number in range(queued))
        await session.execute(
            text("CREATE TABLE plain_tasks (id VARCHAR(64) PRIMARY KEY, status VARCHAR(16) NOT NULL)")
        )
        await session.execute(text("CREATE INDEX ix_plain ON plain_tasks (status, id)"))
        rows = [{"id": f"task-{number:06d}"} for number in range(queued)]
        await session.execute(text("INSERT INTO plain_tasks VALUES (:id, 'queued')"), rows)


def _task(number: int, now: Any, same: dict[str, Any]) -> TaskRow:
    return TaskRow(
        id=f"task-{number:06d}", project_id="p", ticket_id="t", ref=f"TSK-{number:03d}", title="Bench",
        phase_id="PHASE_IMPLEMENTATION", task_type="implement_feature", priority="MEDIUM", status="queued",
        queued_at=now, required_capabilities=[], owned_files=[], deliverables=[], feedback=[], **same,
    )  # fmt: skip


def claims_of(db: Database) -> Claims:
    async def start(_session: AsyncSession, task: TaskRow) -> str:
        return f"run-{task.id}"

    tasks = Tasks(event_log(db), SystemClock())
    leases = Leases(db, Attempts(db, tasks, NothingBlocks()))
    return Claims(db, leases, start, Capacity(100_000, 100_000))


async def take_plain(db: Database) -> bool:
    async with db.transaction() as session:
        found = await session.scalar(text(PLAIN[0]))
        if found is not None:
            await session.execute(text(PLAIN[1]), {"id": found})
    return found is not None


async def per_second(take: Callable[[], Awaitable[object]], count: int) -> float:
    begun = time.perf_counter()
    for _ in range(count):
        if not await take():
            raise RuntimeError("the queue was empty before its end")
    return count / (time.perf_counter() - begun)


async def measure(url: str, queued: int, count: int) -> dict[str, float]:
    """Both sides in turns, so that a busy machine is busy for both."""
    db = Database(url)
    await db.create_tables()
    await fill(db, queued)
    claims = claims_of(db)

    async def ours() -> bool:
        return await claims.claim_task("system:dispatch") is not None

    async def plain() -> bool:
        return await take_plain(db)

    for take in (ours, plain):
        await per_second(take, 5)
    pairs = [(await per_second(ours, count), await per_second(plain, count)) for _ in range(ROUNDS)]
    await db.close()
    return {
        "claims_per_second": round(statistics.median(one for one, _ in pairs), 1),
        "plain_per_second": round(statistics.median(other for _, other in pairs), 1),
        "ratio": round(statistics.median(one / other for one, other in pairs), 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.claims", description=__doc__)
    parser.add_argument("--queued", type=int, default=1_000, help="tasks in the queue")
    parser.add_argument("--count", type=int, default=100, help="claims in one of the three rounds")
    parser.add_argument("--quick", action="store_true", help="few of both: does it run at all?")
    asked = parser.parse_args()
    queued, count = (100, 10) if asked.quick else (asked.queued, asked.count)
    if queued < ROUNDS * count + 5:
        parser.error(f"{ROUNDS} rounds of {count} claims need more than {queued} tasks")
    told: dict[str, Any] = {"benchmark": "claims", "queued": queued, "claims": ROUNDS * count}
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite+aiosqlite:///{Path(folder) / 'claims.db'}"
        told["sqlite"] = asyncio.run(measure(url, queued, count))
    server = PostgresServer.start()
    try:
        url = server.url(server.create_database())
        told["postgres"] = asyncio.run(measure(url, queued, count))
    finally:
        server.close()
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main()
