"""`omniforge db move`: everything arrives, and goes on there; refusals leave both sides as they were."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console
from sqlalchemy import create_engine, text

from omniforge.bootstrap import Installation
from omniforge.cli.db import move
from omniforge.core.actor import Actor
from omniforge.core.config import Settings
from omniforge.core.errors import Conflict, Invalid
from omniforge.db.migrate import sync_url
from omniforge.engine.events import first_broken
from omniforge.engine.plan import Plan, Step
from omniforge.runs.service import StartRequest
from postgres_server import PostgresServer

QUIET = Console(quiet=True)
PLAN = Plan((Step(key="ask", kind="approval", args={"question": "May I?"}),))
TIMED = Plan((Step(key="later", kind="wait", args={"seconds": 1}),))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")


@pytest.fixture
def target(postgres: PostgresServer) -> Iterator[str]:
    name = postgres.create_database("template1")
    yield postgres.url(name).replace("+psycopg", "")
    postgres.drop_database(name)


async def live(settings: Settings, actor: Actor) -> tuple[str, str]:
    """An installation with a run that waits, one that waits for a moment, and an artifact; first and last."""
    async with Installation.open(settings) as house:
        timed = await house.runs.start_run(actor, StartRequest(plan=TIMED, subject="timed"))
        await house.runs.wait_for(actor, timed)
        run_id = await house.runs.start_run(actor, StartRequest(plan=PLAN, subject="test ä☕"))
        await house.runs.wait_for(actor, run_id)
        return run_id, await house.engine.artifacts.put(actor.tenant_id, b"a large output")


def count(url: str, table: str) -> int:
    engine = create_engine(sync_url(url))
    with engine.connect() as connection:
        found = connection.scalar(text(f"SELECT count(*) FROM {table}"))
    engine.dispose()
    return int(found or 0)


async def test_an_installation_goes_on_after_the_move(settings: Settings, target: str, actor: Actor) -> None:
    run_id, sha256 = await live(settings, actor)
    await move(settings, target, QUIET)
    there = settings.model_copy(update={"database_url": target, "worker_heartbeat": 0.2})
    async with Installation.open(there) as house:
        assert await house.engine.artifacts.get(actor.tenant_id, sha256) == b"a large output"
        view = await house.runs.get_run(actor, run_id)
        assert (view.run.status, view.run.subject) == ("waiting", "test ä☕")
        await house.runs.answer_step(actor, run_id, "ask", {"approved": True})
        async with asyncio.timeout(20):
            assert (await house.runs.wait_for(actor, run_id)).run.status == "completed"
            (timed,), _ = await house.runs.list_runs(actor, subject="timed")
            while (await house.runs.get_run(actor, timed.run.id)).run.status != "completed":
                await asyncio.sleep(0.05)
        async with house.db.read() as session:
            assert await first_broken(session, actor.tenant_id) is None
    assert count(settings.database, "runs") == 2


async def test_a_target_with_data_is_refused(settings: Settings, target: str, actor: Actor) -> None:
    await live(settings, actor)
    await move(settings, target, QUIET)
    with pytest.raises(Conflict, match="holds data already"):
        await move(settings, target, QUIET)


async def test_a_running_installation_is_refused(settings: Settings, target: str) -> None:
    async with Installation.open(settings):
        with pytest.raises(Conflict, match="stop it first"):
            await move(settings, target, QUIET)


async def test_a_damaged_event_log_is_not_carried_over(settings: Settings, target: str, actor: Actor) -> None:
    await live(settings, actor)
    engine = create_engine(sync_url(settings.database))
    with engine.begin() as connection:
        connection.execute(text("UPDATE events SET actor = 'somebody' WHERE seq = 2"))
    engine.dispose()
    with pytest.raises(Conflict) as refused:
        await move(settings, target, QUIET)
    assert (refused.value.code, refused.value.details["seq"]) == ("events_damaged", 2)
    assert count(target, "runs") == 0


async def test_what_postgres_cannot_hold_is_named(settings: Settings, target: str, actor: Actor) -> None:
    await live(settings, actor)
    engine = create_engine(sync_url(settings.database))
    with engine.begin() as connection:
        connection.execute(text("UPDATE runs SET mode = 'far longer than the column'"))
    engine.dispose()
    with pytest.raises(Invalid) as refused:
        await move(settings, target, QUIET)
    assert refused.value.details["table"] == "runs"
    assert count(target, "tenants") == 0


@pytest.mark.parametrize("to", ["nonsense", "sqlite:///x.db", "mysql://host/db"])
async def test_only_postgresql_is_a_target(settings: Settings, to: str) -> None:
    with pytest.raises(Invalid):
        await move(settings, to, QUIET)
