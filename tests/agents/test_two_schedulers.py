"""Two processes with a scheduler each over one PostgreSQL database: every fire is still exactly one run."""

from __future__ import annotations

import asyncio
import os
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from tests.agents.conftest import House

from omniforge.core.actor import Actor

CHILD = Path(__file__).with_name("scheduler_child.py")
ROOT = CHILD.parents[2]
COPIES = 40


@pytest.fixture
def store() -> str:
    return "postgres"


async def copy_agent(house: House, table: str, key: str) -> None:
    async with house.db.transaction() as session:
        columns = [
            name
            for (name,) in await session.execute(
                text("SELECT column_name FROM information_schema.columns WHERE table_name = :table"),
                {"table": table},
            )
        ]
        values = ", ".join("'copy-' || n" if name == key else name for name in columns)
        await session.execute(
            text(
                f"INSERT INTO {table} ({', '.join(columns)})"
                f" SELECT {values} FROM {table}, generate_series(1, {COPIES}) AS n"
            )
        )


async def test_due_schedules_fire_once(house: House, actor: Actor, database_url: str, tmp_path: Path) -> None:
    await house.active(actor, trigger_type="scheduled", schedule="0 * * * *")
    await copy_agent(house, "agent_versions", "agent_id")
    await copy_agent(house, "agent_configs", "id")
    moment = (house.clock.now() + timedelta(hours=1, seconds=5)).isoformat()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
    both = [
        await asyncio.create_subprocess_exec(
            sys.executable,
            str(CHILD),
            database_url,
            str(tmp_path / f"home{number}"),
            moment,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=environment,
        )
        for number in range(2)
    ]
    for child in both:
        assert child.stdout is not None
        assert await child.stdout.readline() == b"ready\n"
    for child in both:
        assert child.stdin is not None
        child.stdin.write(b"go\n")
        await child.stdin.drain()
    async with asyncio.timeout(60):
        assert [await child.wait() for child in both] == [0, 0]
    async with house.db.read() as session:
        fired = await session.execute(
            text("SELECT subject, count(*) FROM runs WHERE trigger_type = 'scheduled' GROUP BY subject")
        )
        counts = {str(subject): int(count) for subject, count in fired}
        upcoming = await session.scalars(text("SELECT DISTINCT next_fire_at FROM agent_configs"))
        assert [moment.hour for moment in upcoming] == [12]
    assert len(counts) == COPIES + 1
    assert set(counts.values()) == {1}
