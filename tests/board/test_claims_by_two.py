"""Two dispatchers, each a process of its own, share 200 tasks that wait for each other."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import func, select
from tests.board.task_stage import OWNER, Stage

from omniforge.board.store.tasks import AttemptRow
from omniforge.board.store.tickets import TicketRow
from omniforge.core.clock import SystemClock
from omniforge.db import Database

CHILD = Path(__file__).with_name("claim_child.py")
ROOT = CHILD.parents[2]
TICKETS, LAYERS, WIDTH = 5, 8, 5


async def a_web_of_tasks(stage: Stage) -> int:
    """Tickets whose tasks stand in layers, each waiting for two of the layer before."""
    project = await stage.project()
    count = 0
    for _ in range(TICKETS):
        ticket_id = await stage.ticket(project)
        async with stage.db.transaction() as session:
            ticket = await session.get_one(TicketRow, ticket_id)
            layer: list[str] = []
            for _ in range(LAYERS):
                needed = [[layer[n], layer[(n + 1) % WIDTH]] if layer else [] for n in range(WIDTH)]
                layer = [
                    (await stage.tasks.create_in(session, OWNER, ticket, title="One", depends_on=ids)).id
                    for ids in needed
                ]
                count += len(layer)
    return count


@pytest.mark.both_stores
async def test_no_task_is_taken_twice_and_none_is_overlooked(database: Database) -> None:
    stage = Stage(database, SystemClock())
    count = await a_web_of_tasks(stage)
    assert count == 200
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
    both = [
        await asyncio.create_subprocess_exec(
            sys.executable,
            str(CHILD),
            database.url.render_as_string(hide_password=False),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=environment,
        )
        for _ in range(2)
    ]
    try:
        async with asyncio.timeout(120):
            for child in both:
                assert child.stdout is not None
                assert await child.stdout.readline() == b"ready\n"
            told = await asyncio.gather(*(child.communicate(b"go\n") for child in both))
    finally:
        for child in both:
            if child.returncode is None:
                child.kill()
                await child.wait()
    found = [json.loads(out) for out, _ in told]
    taken = Counter(task_id for one in found for task_id, attempt in one["taken"] if attempt == 1)
    assert (len(taken), set(taken.values())) == (200, {1})
    assert all(len(one["taken"]) > 20 for one in found), "both have worked"
    assert [one["missed"] for one in found] == [0, 0]
    assert {(row.status, row.remaining, row.dependents_open) for row in await stage.all_tasks()} == {
        ("completed", 0, 0)
    }
    async with database.read() as session:
        attempts = select(func.count()).select_from(AttemptRow).where(AttemptRow.outcome == "completed")
        assert await session.scalar(attempts) == 200
