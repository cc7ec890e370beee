"""Claims: the best task first, within capacity, for who is able; what nobody works on any more is settled."""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from tests.board.task_stage import OWNER, START, Stage

from omniforge.board.claims import NoCapacity
from omniforge.board.errors import TaskFinished, TaskHasSandbox, TaskNotReady
from omniforge.board.scoring import score
from omniforge.board.store.projects import ProjectRow
from omniforge.board.store.queue import SCORE, Capacity, moments
from omniforge.board.store.tasks import TaskRow
from omniforge.board.vocabulary import AttemptOutcome, Priority, TaskType
from omniforge.core.actor import Actor, Role
from omniforge.core.errors import Forbidden, NotFound
from omniforge.db import Database
from omniforge.sandboxes.store import SandboxRow
from omniforge.tenants.roles import permissions_of

pytestmark = pytest.mark.both_stores
CHANCE = random.Random(7)  # the same table every time


@pytest.fixture
def stage(database: Database) -> Stage:
    return Stage(database)


def a_case() -> dict[str, Any]:
    waited = CHANCE.choice([0, 1, 3599.5, 3600, 3601, 7199.999, 7200, 7200.001, CHANCE.uniform(0, 9_000)])
    slack = CHANCE.choice([None, -1, -0.001, 0, 0.001, 450, 900, 900.001, CHANCE.uniform(-100, 2_000)])
    return {
        "priority": CHANCE.choice(list(Priority)),
        "waited": float(waited),
        "slack": None if slack is None else float(slack),
        "dependents_open": CHANCE.choice([0, 1, 9, 10, 11, 500]),
        "retry_count": CHANCE.choice([0, 1, 2, 3]),
        "max_retries": CHANCE.choice([0, 1, 3, 10]),
    }


async def test_the_score_in_sql_is_the_score(stage: Stage, database: Database) -> None:
    ticket = await stage.ticket(await stage.project())
    example = await stage.task(ticket)
    cases = [a_case() for _ in range(300)]
    async with database.transaction() as session:
        kept = await session.get_one(TaskRow, example)
        names = [column.name for column in TaskRow.__table__.columns]
        for number, case in enumerate(cases):
            fields = {name: getattr(kept, name) for name in names} | {
                "id": f"case-{number:03d}",
                "ref": f"CASE-{number}",
                "priority": case["priority"].value,
                "queued_at": START - timedelta(seconds=case["waited"]),
                "deadline_at": None if case["slack"] is None else START + timedelta(seconds=case["slack"]),
                **{name: case[name] for name in ("dependents_open", "retry_count", "max_retries")},
            }
            session.add(TaskRow(**fields))
    async with database.read() as session:
        query = select(TaskRow.id, SCORE).where(TaskRow.id.like("case-%")).order_by(TaskRow.id)
        found = [float(value) for _, value in await session.execute(query, moments(START))]
    assert found == pytest.approx([score(**case) for case in cases], abs=1e-5)
    assert len(found) == 300


async def test_the_best_is_taken_first_and_the_older_of_equals(stage: Stage) -> None:
    ticket = await stage.ticket(await stage.project())
    low = await stage.task(ticket, priority=Priority.LOW)
    older = await stage.task(ticket, priority=Priority.HIGH)
    younger = await stage.task(ticket, priority=Priority.HIGH)
    needed = await stage.task(ticket, priority=Priority.HIGH)
    critical = await stage.task(ticket, priority=Priority.CRITICAL)
    due = await stage.task(ticket, deadline_at=stage.clock.now() + timedelta(seconds=100))
    for _ in range(3):
        await stage.task(ticket, needed)
    taken = [(await stage.claimed()).task.id for _ in range(6)]
    assert taken == [due, critical, needed, older, younger, low]
    (first, *_) = await stage.payloads("task.claimed")
    assert first["score"] == pytest.approx((0.225 + 0.15 * (1 - 100 / 900) + 0.05) * 1.25, abs=1e-4)


async def test_what_waited_long_is_taken_before_what_is_new(stage: Stage) -> None:
    ticket = await stage.ticket(await stage.project())
    old = await stage.task(ticket, priority=Priority.LOW)
    stage.clock.turn(7_201)
    await stage.task(ticket, priority=Priority.CRITICAL)
    claimed = await stage.claimed()
    assert (claimed.task.id, claimed.score) == (old, 0.6)


async def test_a_full_project_or_tenant_is_passed_over(database: Database) -> None:
    stage = Stage(database, capacity=Capacity(tenant=3, installation=4))
    small = await stage.ticket(await stage.project(settings={"max_concurrent_sandboxes": 2}))
    large = await stage.ticket(await stage.project())
    other_tenant = Actor("other", "sam", Role.OWNER, "user:sam", permissions_of(Role.OWNER))
    theirs = await stage.ticket(await stage.project("other"), tenant_id="other")
    for _ in range(4):
        await stage.task(small, priority=Priority.CRITICAL)
    two = [await stage.task(large) for _ in range(2)]
    foreign = [await stage.task(theirs, actor=other_tenant, priority=Priority.LOW) for _ in range(2)]
    taken = [await stage.claimed() for _ in range(4)]
    assert [one.task.project_id for one in taken[:2]] == [taken[0].task.project_id] * 2
    assert [one.task.id for one in taken[2:]] == [two[0], foreign[0]]
    assert await stage.claim() is None, "the installation is full"
    await stage.settle(taken[3])
    assert (await stage.claimed()).task.id == foreign[1], "the tenant with three is full"
    await stage.settle(taken[0])
    assert (await stage.claimed()).task.ticket_id == small


async def test_a_project_says_nothing_and_has_five_places(stage: Stage) -> None:
    ticket = await stage.ticket(await stage.project(settings={}))
    for _ in range(6):
        await stage.task(ticket)
    assert [await stage.claim() is not None for _ in range(6)] == [True] * 5 + [False]


async def test_sandboxes_that_check_count_for_the_installation_alone(database: Database) -> None:
    stage = Stage(database, capacity=Capacity(tenant=1, installation=2))
    project = await stage.project(settings={"max_concurrent_sandboxes": 1})
    ticket = await stage.ticket(project)
    for _ in range(2):
        await stage.task(ticket)
    fields: dict[str, Any] = {"id": "check", "kind": "check", "state": "running", "worker": "kit"}
    fields |= {"provider": "local", "network": "none", "metrics": {}, "requested_at": START}
    async with database.transaction() as session:
        session.add(SandboxRow(tenant_id="default", project_id=project, **fields))
    assert await stage.claim() is not None
    assert await stage.claim() is None


async def test_only_who_is_able_is_given_a_task(stage: Stage) -> None:
    ticket = await stage.ticket(await stage.project())
    both = await stage.task(ticket, required_capabilities=["gpu", "browser"])
    one = await stage.task(ticket, required_capabilities=["gpu"])
    assert await stage.claim() is None
    assert await stage.claim("browser") is None
    assert (await stage.claimed("gpu")).task.id == one
    assert (await stage.claimed("gpu", "browser", "more")).task.id == both


async def test_a_claimer_may_leave_tasks_to_others(stage: Stage) -> None:
    ticket = await stage.ticket(await stage.project())
    await stage.task(ticket, priority=Priority.CRITICAL, agent_id="gone")
    plain = await stage.task(ticket)
    found = await stage.claims.claim_task("system:dispatch", only=TaskRow.agent_id.is_(None))
    assert found is not None
    assert found.task.id == plain


@pytest.mark.parametrize("fields", [{"autonomous": False}, {"status": "archived"}])
async def test_some_projects_take_nothing_by_themselves(stage: Stage, fields: dict[str, Any]) -> None:
    project = await stage.project(**{**fields, "status": "active"})
    await stage.task(await stage.ticket(project))
    if "status" in fields:
        async with stage.db.transaction() as session:
            (await session.get_one(ProjectRow, project)).status = fields["status"]
    assert await stage.claim() is None


async def test_one_task_is_claimed_by_name(database: Database) -> None:
    stage = Stage(database, capacity=Capacity(tenant=1))
    ticket = await stage.ticket(await stage.project(autonomous=False))
    wanted, other = await stage.task(ticket), await stage.task(ticket, required_capabilities=["gpu"])
    after = await stage.task(ticket, wanted)
    claimed = await stage.claims.claim_one(OWNER, wanted, worker="external")
    assert (claimed.task.id, claimed.sandbox.worker) == (wanted, "external")
    assert claimed.task.claimed_by == "user:local"
    with pytest.raises(TaskHasSandbox):
        await stage.claims.claim_one(OWNER, wanted)
    with pytest.raises(TaskNotReady) as early:
        await stage.claims.claim_one(OWNER, after)
    assert early.value.details["reasons"] == ["dependencies_open"]
    with pytest.raises(NoCapacity) as full:
        await stage.claims.claim_one(OWNER, other)
    assert (full.value.status, full.value.code) == (429, "no_capacity")
    await stage.settle(claimed)
    with pytest.raises(TaskFinished):
        await stage.claims.claim_one(OWNER, wanted)
    assert (await stage.claims.claim_one(OWNER, other)).task.id == other
    with pytest.raises(NotFound):
        await stage.claims.claim_one(OWNER, "nobody")
    viewer = Actor("default", "vera", Role.VIEWER, "user:vera", permissions_of(Role.VIEWER))
    with pytest.raises(Forbidden):
        await stage.claims.claim_one(viewer, after)


async def test_what_nobody_works_on_is_settled_by_the_next_claim(stage: Stage) -> None:
    task = await stage.task(await stage.ticket(await stage.project()))
    lost = await stage.claimed()
    stage.clock.turn(59)
    assert await stage.leases.renew_lease(task, 1) is not None
    stage.clock.turn(59)
    assert await stage.claim() is None
    assert await stage.status(task) == ["running"]
    stage.clock.turn(2)
    assert await stage.claim() is None, "its next try has to wait"
    row = await stage.get(task)
    assert (row.status, row.error_code, row.retry_count) == ("queued", "heartbeat_lost", 1)
    assert row.not_before is not None
    (sandbox,) = await stage.sandboxes(task)
    assert (sandbox.state, sandbox.error_code) == ("failed", "heartbeat_lost")
    assert sandbox.token_revoked_at is not None
    assert await stage.leases.renew_lease(task, 1) is None
    assert await stage.settle(lost) is None, "what it says now counts no more"
    stage.clock.turn(11)
    again = await stage.claimed()
    assert (again.task.id, again.attempt.attempt) == (task, 2)
    assert await stage.settle(lost) is None
    assert await stage.leases.renew_lease(task, 1) is None
    assert await stage.status(task) == ["running"]
    assert (await stage.told())[-5:-2] == ["task.attempt_failed", "task.queued", "sandbox.failed"]


async def test_a_place_that_was_lost_is_free_for_the_same_claim(database: Database) -> None:
    stage = Stage(database, capacity=Capacity(tenant=1))
    ticket = await stage.ticket(await stage.project())
    await stage.task(ticket, priority=Priority.CRITICAL)
    second = await stage.task(ticket)
    await stage.claimed()
    assert await stage.claim() is None
    stage.clock.turn(61)
    assert (await stage.claimed()).task.id == second


async def test_what_takes_too_long_is_ended_unless_it_has_answered(stage: Stage) -> None:
    ticket = await stage.ticket(await stage.project())
    ids = [await stage.task(ticket, timeout_seconds=60) for _ in range(3)]
    claims = [await stage.claimed() for _ in ids]
    late, answered, unstarted = (claim.task.id for claim in claims)
    async with stage.db.transaction() as session:
        for task_id in (late, answered):
            assert await stage.attempts.start_in(session, "default", task_id, 1, "sandbox:s")
        row = await session.get_one(SandboxRow, claims[1].sandbox.id)
        row.state, row.work_finished_at = "completing", stage.clock.now()
    for _ in range(2):
        stage.clock.turn(30.1)
        for task_id in ids:
            await stage.leases.renew_lease(task_id, 1)
    assert await stage.claim() is None
    assert await stage.status(late, answered, unstarted) == ["queued", "running", "running"]
    assert (await stage.get(late)).error_code == "timed_out"
    (sandbox,) = await stage.sandboxes(late)
    assert sandbox.state == "failed"


async def test_many_claimers_share_the_places_and_never_a_task(stage: Stage, database: Database) -> None:
    narrow = Stage(database, stage.clock, capacity=Capacity(tenant=7, installation=7))
    ticket = await stage.ticket(await stage.project())
    for _ in range(12):
        await stage.task(ticket, task_type=TaskType.FIX_BUG)
    found = await asyncio.gather(*(narrow.claim() for _ in range(20)))
    taken = [claim.task.id for claim in found if claim is not None]
    assert len(taken) == len(set(taken)) == 7
    assert len(narrow.started) == 7


async def test_a_claim_that_cannot_start_its_run_leaves_nothing(stage: Stage, database: Database) -> None:
    task = await stage.task(await stage.ticket(await stage.project()))

    async def refuse(_session: object, _task: TaskRow) -> str:
        raise NotFound("There is no such agent.")

    broken = type(stage.claims)(database, stage.leases, refuse)
    with pytest.raises(NotFound):
        await broken.claim_task("system:dispatch")
    assert await stage.status(task) == ["queued"]
    assert await stage.sandboxes(task) == []
    assert (await stage.claimed()).attempt.attempt == 1


async def test_outcomes_that_tell_of_the_sandbox_break_it(stage: Stage) -> None:
    task = await stage.task(await stage.ticket(await stage.project()), max_retries=10)
    endings: list[tuple[AttemptOutcome, str | None, str]] = [
        (AttemptOutcome.FAILED, "provision_timeout", "failed"),
        (AttemptOutcome.FAILED, "sandbox_crashed", "failed"),
        (AttemptOutcome.IDLE, None, "failed"),
        (AttemptOutcome.FAILED, "worker_failed", "completed"),
        (AttemptOutcome.EVIDENCE_FAILED, None, "completed"),
    ]
    for outcome, code, _ in endings:
        await stage.settle(await stage.claimed(), outcome, error_code=code)
        stage.clock.turn(400)
    assert [row.state for row in await stage.sandboxes(task)] == [state for _, _, state in endings]
    codes = [told["error_code"] for told in await stage.payloads("task.attempt_failed")]
    assert codes == ["provision_timeout", "sandbox_crashed", "idle", "worker_failed", "evidence_failed"]
