"""What a change means is the same on both stores: all of it or nothing, and who is refused."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from omniforge.core.clock import rfc3339
from omniforge.db import Database
from omniforge.engine.events import Event, EventLog, first_broken
from omniforge.engine.journal import Journal
from omniforge.engine.plan import Plan, Step
from omniforge.engine.records import Change, RunRecord, step_values
from omniforge.engine.state import RunStatus, StepResult, StepState, StepStatus
from omniforge.engine.store import RunRow, RunStore, StepRow

pytestmark = pytest.mark.both_stores

NOW = datetime(2026, 1, 5, 8, 30, tzinfo=UTC)
AT = rfc3339(NOW)
PLAN = Plan((Step(key="a", kind="do"), Step(key="b", kind="do", needs=("a",))))


def told(run_id: str, type_: str = "thing.happened") -> Event:
    return Event(type_, f"run:{run_id}", NOW, "user:local", {"n": 1}, run_id)


def new_run(run_id: str, tenant: str = "t", key: str | None = None, **more: Any) -> Change:
    record = RunRecord(
        id=run_id,
        tenant_id=tenant,
        subject="test",
        mode="live",
        plan_hash=PLAN.hash,
        input={"who": "Maya ☕ 'quoted' \\ %s"},
        trigger_type="on_demand",
        triggered_by="user:local",
        logical_time=AT,
        facts={},
        idempotency_key=key,
        created_at=AT,
    )
    return Change(run_id, tenant, new_run=record, plan=PLAN, at=AT, events=[told(run_id)], **more)


def done(run_id: str, status: RunStatus, **more: Any) -> Change:
    return Change(run_id, "t", status=status, at=AT, events=[told(run_id)], **more)


async def stored(database: Database, run_id: str) -> RunRow:
    async with database.read() as session:
        row = await session.get(RunRow, run_id)
    assert row is not None
    return row


async def test_a_run_is_there_with_its_plan_steps_and_events(
    journal: Journal, database: Database, events: EventLog
) -> None:
    assert await journal.start(new_run("r1")) == "r1"
    state = StepState(StepStatus.COMPLETED, attempt=1, result=StepResult(output={"x": "ä\u0000'%s"}))
    assert await journal.write(
        Change("r1", "t", steps=[step_values("r1", "a", state)], epoch=0, events=[told("r1")])
    )
    found = await RunStore(database).run("r1")
    assert found is not None
    assert found.plan == PLAN
    assert found.corrupted == ()
    assert found.steps["a"].result == state.result
    assert found.record.input == {"who": "Maya ☕ 'quoted' \\ %s"}
    assert [row.seq for row in await events.read("t")] == [1, 2]
    async with database.read() as session:
        assert await first_broken(session, "t") is None


async def test_the_same_key_is_the_same_run_also_within_one_transaction(
    journal: Journal, database: Database
) -> None:
    answers = await asyncio.gather(*(journal.start(new_run(f"r{n}", key="k")) for n in range(10)))
    assert set(answers) == {answers[0]}
    assert await journal.start(new_run("later", key="k")) == answers[0]
    assert await journal.start(new_run("other", tenant="u", key="k")) == "other"
    async with database.read() as session:
        assert await session.get(RunRow, "later") is None


async def test_the_quota_counts_unfinished_runs_of_the_tenant(journal: Journal) -> None:
    answers = await asyncio.gather(*(journal.start(new_run(f"r{n}", quota=3)) for n in range(5)))
    assert answers == ["r0", "r1", "r2", None, None]
    assert await journal.start(new_run("u0", tenant="u", quota=3)) == "u0"
    assert await journal.write(done("r1", RunStatus.COMPLETED))
    assert await journal.start(new_run("r9", quota=3)) == "r9"


async def test_a_writer_with_an_old_epoch_is_refused_and_leaves_no_trace(
    journal: Journal, database: Database, events: EventLog
) -> None:
    await journal.start(new_run("r1"))
    late = step_values("r1", "a", StepState(StepStatus.COMPLETED, attempt=1))
    for change in (
        Change("r1", "t", steps=[late], epoch=7, events=[told("r1")]),
        Change("r1", "t", steps=[late], epoch=7, status=RunStatus.FAILED, at=AT, events=[told("r1")]),
    ):
        assert await journal.write(change) is False
    assert (await stored(database, "r1")).status == "queued"
    assert len(await events.read("t")) == 1
    async with database.read() as session:
        assert await session.get(StepRow, ("r1", "a")) is None


async def test_what_is_over_stays_over_unless_it_is_reopened(journal: Journal, database: Database) -> None:
    await journal.start(new_run("r1"))
    assert await journal.write(done("r1", RunStatus.RUNNING)) is True
    assert await journal.write(done("r1", RunStatus.QUEUED, reopen=AT)) is False
    assert await journal.write(done("r1", RunStatus.FAILED, error={"code": "x"})) is True
    row = await stored(database, "r1")
    assert (row.status, row.error, row.started_at, row.finished_at) == ("failed", '{"code":"x"}', AT, AT)
    assert await journal.write(done("r1", RunStatus.COMPLETED)) is False
    assert await journal.write(Change("r1", "t", epoch=0, events=[told("r1")])) is False
    assert await journal.write(Change("r1", "t", request="cancel")) is False
    assert await journal.write(done("r1", RunStatus.QUEUED, reopen="2026-01-01T00:00:00.000Z")) is False
    assert await journal.write(done("r1", RunStatus.QUEUED, reopen=AT)) is True
    assert await journal.write(done("r1", RunStatus.QUEUED, reopen=AT)) is False
    row = await stored(database, "r1")
    assert (row.status, row.error, row.finished_at) == ("queued", None, None)


async def test_one_answer_counts(journal: Journal, database: Database) -> None:
    await journal.start(new_run("r1"))
    waiting = step_values("r1", "a", StepState(StepStatus.WAITING, attempt=1))
    parked = Change("r1", "t", steps=[waiting], epoch=0, status=RunStatus.WAITING, at=AT, wake_at=AT)
    assert await journal.write(parked)
    assert (await stored(database, "r1")).wake_at == AT

    def answer(number: int) -> Change:
        state = StepState(StepStatus.COMPLETED, attempt=1, result=StepResult(output=number))
        steps = [step_values("r1", "a", state)]
        return Change("r1", "t", steps=steps, answers=("a", 1), status=RunStatus.RUNNING, at=AT)

    too_late = Change("r1", "t", answers=("a", 0), status=RunStatus.RUNNING, at=AT)
    assert await journal.write(too_late) is False
    answers = await asyncio.gather(*(journal.write(answer(number)) for number in range(5)))
    assert answers == [True, False, False, False, False]
    assert (await stored(database, "r1")).wake_at is None


async def test_requests_are_set_kept_and_cleared(journal: Journal, database: Database) -> None:
    await journal.start(new_run("r1"))
    assert await journal.write(Change("r1", "t", request="pause"))
    assert await journal.write(done("r1", RunStatus.RUNNING))
    assert (await stored(database, "r1")).request == "pause"
    assert await journal.write(done("r1", RunStatus.PAUSED, request=""))
    assert (await stored(database, "r1")).request is None


async def test_tenants_have_chains_of_their_own_without_gaps(
    journal: Journal, database: Database, events: EventLog
) -> None:
    async def one(number: int) -> None:
        tenant = f"t{number % 3}"
        await journal.start(new_run(f"r{number}", tenant=tenant))
        async with database.transaction() as session:
            await events.append(session, tenant, told("r"), told("r"))
        assert await journal.write(Change(f"r{number}", tenant, epoch=0, events=[told("r")]))

    await asyncio.gather(*(one(number) for number in range(30)))
    for tenant in ("t0", "t1", "t2"):
        assert [row.seq for row in await events.read(tenant)] == list(range(1, 41))
        async with database.read() as session:
            assert await first_broken(session, tenant) is None


async def test_a_change_that_cannot_be_stored_hurts_nobody_else(journal: Journal) -> None:
    await journal.start(new_run("good"))
    await journal.start(new_run("bad"))
    # More text than the column holds is an error on PostgreSQL, an unknown type one on SQLite.
    broken = Change("bad", "t", steps=[("bad", "a" * 300, object(), 1, *[None] * 9)])
    results = await asyncio.gather(
        journal.write(Change("good", "t", epoch=0, events=[told("good")])),
        journal.write(broken),
        journal.write(Change("good", "t", epoch=0, events=[told("good")])),
        return_exceptions=True,
    )
    assert (results[0], results[2]) == (True, True)
    assert isinstance(results[1], Exception)
