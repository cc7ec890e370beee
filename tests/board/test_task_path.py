"""The way of tasks: made, queued, claimed, completed, and what waited for them goes on."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select
from tests.board.task_stage import OWNER, Stage

from omniforge.board.errors import PhaseClosed, PreconditionFailed, TaskFinished
from omniforge.board.store.tasks import AttemptRow
from omniforge.board.store.tickets import TicketRow
from omniforge.board.vocabulary import AttemptOutcome, PhaseId, Priority, TaskType, TicketStatus
from omniforge.core.errors import Invalid, NotFound
from omniforge.db import Database

pytestmark = pytest.mark.both_stores


@pytest.fixture
def stage(database: Database) -> Stage:
    return Stage(database)


async def test_from_a_task_to_those_that_waited_for_it(stage: Stage) -> None:
    ticket = await stage.ticket(await stage.project())
    first = await stage.task(ticket)
    second, third = await stage.task(ticket, first), await stage.task(ticket, first)
    last = await stage.task(ticket, second, third)
    assert await stage.status(first, second, third, last) == ["queued", "pending", "pending", "pending"]
    assert [row.ref for row in await stage.all_tasks()] == ["TSK-001", "TSK-002", "TSK-003", "TSK-004"]
    assert (await stage.get(first)).dependents_open == 2
    assert (await stage.get(last)).remaining == 2

    claimed = await stage.claimed()
    assert (claimed.task.id, claimed.task.status, claimed.task.attempt) == (first, "running", 1)
    assert claimed.task.lease_expires_at == claimed.task.claimed_at + timedelta(seconds=60)
    assert (claimed.sandbox.state, claimed.sandbox.kind, claimed.sandbox.attempt) == ("pending", "task", 1)
    assert claimed.sandbox.run_id == claimed.attempt.run_id == f"run-{first}-1"
    assert stage.started == [(first, 1)]
    assert await stage.claim() is None

    settled = await stage.settle(claimed, result_id="res-1")
    assert settled is not None
    assert (settled.status, settled.sandbox_id, settled.lease_expires_at) == ("completed", None, None)
    assert await stage.status(first, second, third, last) == ["completed", "queued", "queued", "pending"]
    assert await stage.told() == [
        *("task.created", "task.queued", "task.created", "task.created", "task.created"),
        *("task.claimed", "sandbox.requested", "task.completed"),
        *("task.unblocked", "task.queued", "task.unblocked", "task.queued", "sandbox.completed"),
    ]
    (completed,) = await stage.payloads("task.completed")
    assert (completed["attempt"], completed["result_id"]) == (1, "res-1")
    assert completed["ids"]["ticket_id"] == ticket

    for _ in range(3):
        await stage.settle(await stage.claimed())
    assert await stage.claim() is None
    assert await stage.status(last) == ["completed"]
    assert (await stage.told())[-2:] == ["sandbox.completed", "phase.completed"]
    (complete,) = await stage.payloads("phase.completed")
    assert (complete["phase_id"], complete["tasks_completed"]) == ("PHASE_IMPLEMENTATION", 4)


async def test_an_attempt_is_settled_once(stage: Stage) -> None:
    await stage.task(await stage.ticket(await stage.project()))
    claimed = await stage.claimed()
    assert await stage.settle(claimed) is not None
    before = await stage.told()
    assert await stage.settle(claimed, AttemptOutcome.FAILED) is None
    assert await stage.settle(claimed) is None
    assert await stage.told() == before


async def test_attempts_are_kept_with_their_outcome(stage: Stage, database: Database) -> None:
    task = await stage.task(await stage.ticket(await stage.project()))
    await stage.settle(await stage.claimed(), AttemptOutcome.FAILED, error_code="network", message="no route")
    stage.clock.turn(10)
    await stage.settle(await stage.claimed())
    async with database.read() as session:
        rows = list(await session.scalars(select(AttemptRow).order_by(AttemptRow.attempt)))
    assert [(row.attempt, row.outcome, row.error_code) for row in rows] == [
        (1, "failed", "network"),
        (2, "completed", None),
    ]
    assert [row.state for row in await stage.sandboxes(task)] == ["completed", "completed"]
    assert all(row.token_revoked_at for row in await stage.sandboxes(task))


async def test_what_is_not_given_follows_from_type_and_ticket(stage: Stage) -> None:
    ticket = await stage.ticket(await stage.project(), TicketStatus.BACKLOG, priority="HIGH")
    kinds = {
        TaskType.RESEARCH: PhaseId.REQUIREMENTS,
        TaskType.CREATE_DESIGN: PhaseId.DESIGN,
        TaskType.DEPLOY: PhaseId.DEPLOYMENT,
        TaskType.RUN_TESTS: PhaseId.TESTING,
        TaskType.FIX_BUG: PhaseId.IMPLEMENTATION,
    }
    for kind, phase in kinds.items():
        row = await stage.get(await stage.task(ticket, task_type=kind))
        assert (row.phase_id, row.priority, row.status) == (phase, "HIGH", "pending")
    plain = await stage.get(await stage.task(ticket, title=None, description="Add it. Then test it."))
    assert (plain.title, plain.has_own_title, plain.task_type) == ("Add it", False, "implement_feature")


async def test_tasks_are_made_only_where_the_ticket_still_goes(stage: Stage) -> None:
    project = await stage.project()
    testing = await stage.ticket(project, TicketStatus.TESTING)
    with pytest.raises(PhaseClosed) as refused:
        await stage.task(testing, phase_id=PhaseId.IMPLEMENTATION)
    assert refused.value.details["open_phases"] == ["PHASE_TESTING"]
    assert await stage.status(await stage.task(testing, phase_id=PhaseId.TESTING)) == ["queued"]
    with pytest.raises(PhaseClosed):
        await stage.task(await stage.ticket(project, TicketStatus.DONE), phase_id=PhaseId.TESTING)
    with pytest.raises(Invalid):
        await stage.task(testing, phase_id=PhaseId.BACKLOG)
    with pytest.raises(PreconditionFailed):
        await stage.task(await stage.ticket(project, archived=True))
    with pytest.raises(NotFound):
        await stage.task(testing, "nobody", phase_id=PhaseId.TESTING)
    with pytest.raises(NotFound):
        await stage.task(testing, phase_id=PhaseId.TESTING, parent_task_id="nobody")
    assert len(await stage.all_tasks()) == 1


@pytest.mark.parametrize(
    ("against", "reason"),
    [
        ({"is_blocked": True}, "ticket_blocked"),
        ({"archived": True}, "ticket_archived"),
        ({"approval_status": "rejected"}, "not_approved"),
        ({"open_dependencies": 1}, "ticket_dependencies_open"),
        ({"status": "testing"}, "phase_not_admitted"),
    ],
)
async def test_what_stands_against_work_takes_it_out_of_the_queue(
    stage: Stage, against: dict[str, object], reason: str
) -> None:
    ticket = await stage.ticket(await stage.project())
    task = await stage.task(ticket)
    queued_at = (await stage.get(task)).queued_at
    async with stage.db.read() as session:
        row = await session.get_one(TicketRow, ticket)
        back = {name: getattr(row, name) for name in against}
    await stage.set_ticket(ticket, **against)
    assert await stage.status(task) == ["pending"]
    assert [told["reason"] for told in await stage.payloads("task.dequeued")] == [reason]
    assert await stage.claim() is None
    await stage.set_ticket(ticket, **back)
    assert await stage.status(task) == ["queued"]
    assert (await stage.get(task)).queued_at == queued_at, "it has waited since it was queued first"


async def test_work_that_unblocks_is_done_while_the_ticket_is_blocked(stage: Stage) -> None:
    ticket = await stage.ticket(await stage.project(), is_blocked=True)
    other = await stage.task(ticket)
    mending = await stage.task(ticket, unblocks=True, task_type=TaskType.REMEDIATION)
    assert await stage.status(other, mending) == ["pending", "queued"]


async def test_an_inactive_project_has_nothing_to_work_on(stage: Stage) -> None:
    archived = await stage.project(status="completed")
    assert await stage.status(await stage.task(await stage.ticket(archived))) == ["pending"]


async def test_counts_of_a_ticket_are_those_of_its_status(stage: Stage, database: Database) -> None:
    ticket_id = await stage.ticket(await stage.project())
    await stage.task(ticket_id)
    await stage.settle(await stage.claimed())
    await stage.task(ticket_id, max_retries=0)
    await stage.task(ticket_id, priority=Priority.LOW)
    await stage.task(ticket_id, phase_id=PhaseId.TESTING)
    await stage.settle(await stage.claimed(), AttemptOutcome.FAILED)

    async def counts() -> tuple[int, int, int]:
        async with database.transaction() as session:
            found = await stage.tasks.open_counts(session, await session.get_one(TicketRow, ticket_id))
        return found.open, found.failed, found.completed_since

    assert await counts() == (1, 1, 1)
    await stage.set_ticket(ticket_id, evidence_since=stage.clock.now())
    assert await counts() == (1, 1, 0)
    await stage.set_ticket(ticket_id, status="testing")
    assert await counts() == (1, 0, 0)


async def test_open_work_of_a_ticket_is_cancelled_together(stage: Stage, database: Database) -> None:
    ticket_id = await stage.ticket(await stage.project())
    running, pending = await stage.task(ticket_id), await stage.task(ticket_id)
    claimed = await stage.claimed()
    assert claimed.task.id == running
    after = await stage.task(ticket_id, running, pending)
    async with database.transaction() as session:
        ticket = await session.get_one(TicketRow, ticket_id)
        events = await stage.tasks.cancel_open(session, OWNER, ticket, "the project is archived")
        await stage.events.append(session, "default", *events)
    assert await stage.status(running, pending, after) == ["cancelled"] * 3
    (sandbox,) = await stage.sandboxes(running)
    assert sandbox.token_revoked_at is not None
    assert sandbox.state == "pending", "who holds it takes it down"
    rows = {row.id: row for row in await stage.all_tasks()}
    assert rows[after].remaining == 2, "what is cancelled is waited for in vain"
    assert rows[running].dependents_open == 0
    assert rows[running].cancel_requested_at is not None
    assert await stage.settle(claimed) is None
    with pytest.raises(TaskFinished):
        async with database.transaction() as session:
            await stage.tasks.cancel_in(session, OWNER.by, rows[running], "again")
