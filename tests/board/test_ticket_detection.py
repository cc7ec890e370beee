"""Tickets that stand still are found, and blocked where it is known what is in their way."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.board.task_stage import OWNER, TurnedClock
from tests.board.task_stage import Stage as Work

from board_stage import Stage, open_stage
from omniforge.board.store.evidence import ApprovalRow, DecisionRow
from omniforge.board.store.queue import LEASE
from omniforge.board.task_edits import TaskEdits
from omniforge.board.vocabulary import AttemptOutcome
from omniforge.core.clock import new_id
from omniforge.db import Database

QUIET = 30 * 60


@pytest.fixture
def clock() -> TurnedClock:
    return TurnedClock()


@pytest.fixture
async def stage(database: Database, tmp_path: Path, clock: TurnedClock) -> AsyncIterator[Stage]:
    async with open_stage(database, tmp_path / "home", clock=clock) as stage:
        yield stage


@pytest.fixture
def work(stage: Stage, clock: TurnedClock) -> Work:
    return Work(stage.db, clock)


async def detect(stage: Stage, **given: Any) -> dict[str, Any]:
    return await stage.call("POST", "/tickets/detect-blocking", **given)


async def building(stage: Stage, project_id: str, title: str = "Search") -> tuple[str, str]:
    ticket_id = await stage.ticket(project_id, title, phase_id="PHASE_IMPLEMENTATION")
    (task,) = (await stage.call("GET", f"/tickets/{ticket_id}"))["tasks"]
    return ticket_id, task["id"]


async def add(stage: Stage, row: Any) -> None:
    async with stage.db.transaction() as session:
        session.add(row)


async def found(stage: Stage, ticket_id: str) -> dict[str, Any]:
    """What is found of one ticket, first without doing anything, then blocked; both say the same."""
    before = await stage.board.events.last("default")
    tried = await detect(stage, dry_run=True)
    assert await stage.board.events.last("default") == before
    assert await detect(stage) == tried
    (one,) = [one for one in tried["results"] if one["ticket_id"] == ticket_id]
    ticket = await stage.call("GET", f"/tickets/{ticket_id}")
    assert ticket["is_blocked"] == one["should_block"]
    assert (ticket["blocker_type"], ticket["blockers"]) == (one["blocker_type"], one["blockers"])
    if one["should_block"]:
        assert ticket["blocked_by_actor"] == "system:detector"
        assert one["blockers"][0]["ref"] in ticket["blocked_reason"]
    return one


async def test_half_an_hour_without_progress_is_looked_at_and_not_a_minute_less(
    stage: Stage, clock: TurnedClock
) -> None:
    ticket_id, _ = await building(stage, await stage.project())
    clock.turn(QUIET - 60)
    assert await detect(stage) == {"detected": 0, "results": []}
    clock.turn(61)
    assert await found(stage, ticket_id) == {
        "ticket_id": ticket_id,
        "should_block": False,
        "blocker_type": None,
        "blockers": [],
        "minutes_without_progress": 30,
        "stalled": True,
    }


async def test_whoever_works_makes_progress_as_long_as_his_lease_lives(
    stage: Stage, work: Work, clock: TurnedClock
) -> None:
    await building(stage, await stage.project(autonomous=True))
    claimed = await work.claimed()
    clock.turn(QUIET)
    assert await work.leases.renew_lease(claimed.task.id, 1) is not None
    clock.turn(QUIET)
    assert (await detect(stage))["results"] == []
    clock.turn(LEASE.seconds + 1)
    assert len((await detect(stage))["results"]) == 1
    await work.settle(claimed, AttemptOutcome.LOST)
    assert (await detect(stage))["results"] == [], "it was given up just now"


async def test_backlog_done_blocked_unapproved_and_foreign_tickets_are_left_alone(
    stage: Stage, clock: TurnedClock
) -> None:
    project_id = await stage.project()
    await stage.ticket(project_id)
    done = await stage.ticket(project_id)
    await stage.bring(done, "analyzing", "building", "building-done", "testing", "done")
    blocked, _ = await building(stage, project_id)
    await stage.call("POST", f"/tickets/{blocked}/block", blocker_type="environment")
    archived, _ = await building(stage, project_id)
    await stage.call("PATCH", f"/tickets/{archived}", archived=True)
    other = await stage.project()
    elsewhere, _ = await building(stage, other)
    clock.turn(QUIET + 60)
    assert (await detect(stage, project_id=project_id))["results"] == []
    assert [one["ticket_id"] for one in (await detect(stage))["results"]] == [elsewhere]
    await stage.call("DELETE", f"/projects/{other}")
    assert (await detect(stage))["results"] == []


# --- what is in the way --------------------------------------------------------------------------


async def test_a_ticket_that_waits_for_another_is_blocked_until_that_is_done(
    stage: Stage, clock: TurnedClock
) -> None:
    project_id = await stage.project()
    awaited = await stage.ticket(project_id, "Pay")
    ticket_id, _ = await building(stage, project_id)
    await stage.call("PUT", f"/tickets/{ticket_id}/dependencies", depends_on=[awaited])
    clock.turn(QUIET + 60)
    one = await found(stage, ticket_id)
    assert one["blocker_type"] == "dependency"
    assert one["blockers"] == [{"kind": "ticket", "id": awaited, "ref": "TKT-001"}]
    await stage.bring(awaited, "analyzing", "building", "building-done", "testing", "done")
    assert not (await stage.call("GET", f"/tickets/{ticket_id}"))["is_blocked"]


async def test_no_longer_waiting_for_the_other_ends_the_block_too(stage: Stage, clock: TurnedClock) -> None:
    project_id = await stage.project()
    awaited = await stage.ticket(project_id, "Pay")
    ticket_id, _ = await building(stage, project_id)
    path = f"/tickets/{ticket_id}/dependencies"
    await stage.call("PUT", path, depends_on=[awaited])
    clock.turn(QUIET + 60)
    assert (await detect(stage))["detected"] == 1
    await stage.call("PUT", path, depends_on=[])
    assert not (await stage.call("GET", f"/tickets/{ticket_id}"))["is_blocked"]


async def test_all_open_tasks_wait_in_vain_or_elsewhere_also_through_each_other(
    stage: Stage, work: Work, clock: TurnedClock
) -> None:
    project_id = await stage.project()
    _, foreign = await building(stage, project_id, "Pay")
    ticket_id, opening = await building(stage, project_id)
    cancelled = await work.task(ticket_id)
    await work.set_task(cancelled, status="cancelled")
    for task_id, awaited in ((opening, foreign), (await work.task(ticket_id), cancelled)):
        await link(work, task_id, awaited)
    through = await work.task(ticket_id, opening)
    clock.turn(QUIET + 60)
    one = await found(stage, ticket_id)
    assert one["blocker_type"] == "dependency"
    assert [blocker["id"] for blocker in one["blockers"]] == [foreign, cancelled]
    assert await work.status(through) == ["pending"]


async def link(work: Work, task_id: str, awaited: str) -> None:
    await TaskEdits(work.db, work.tasks).add_dependencies(OWNER, task_id, [awaited])


async def test_one_open_task_that_waits_for_nothing_is_enough_to_go_on(
    stage: Stage, work: Work, clock: TurnedClock
) -> None:
    project_id = await stage.project()
    _, foreign = await building(stage, project_id, "Pay")
    ticket_id, opening = await building(stage, project_id)
    await work.task(ticket_id, foreign)
    assert await work.status(opening) == ["queued"]
    clock.turn(QUIET + 60)
    assert (await found(stage, ticket_id))["stalled"]


async def test_a_task_that_failed_for_good_is_named(stage: Stage, work: Work, clock: TurnedClock) -> None:
    ticket_id, task_id = await building(stage, await stage.project())
    await work.set_task(task_id, status="failed")
    clock.turn(QUIET + 60)
    one = await found(stage, ticket_id)
    assert (one["blocker_type"], [each["id"] for each in one["blockers"]]) == ("failing_checks", [task_id])
    await work.attempts.retry(OWNER, task_id)
    assert not (await stage.call("GET", f"/tickets/{ticket_id}"))["is_blocked"]


async def test_a_gate_that_says_no_is_named_unless_the_ticket_has_moved_since(
    stage: Stage, work: Work, clock: TurnedClock
) -> None:
    ticket_id, task_id = await building(stage, await stage.project())
    await work.set_task(task_id, status="completed", completed_at=clock.now())
    decision = DecisionRow(
        id=new_id("decision"),
        tenant_id="default",
        ticket_id=ticket_id,
        from_status="building",
        to_status="building-done",
        phase_entry=1,
        decision="no-go",
        criteria=[],
        conditions=[],
        decided_by="system:host",
        created_at=clock.now(),
    )
    await add(stage, decision)
    clock.turn(QUIET + 60)
    one = await found(stage, ticket_id)
    assert one["blocker_type"] == "failing_checks"
    assert one["blockers"] == [{"kind": "decision", "id": decision.id, "ref": "building → building-done"}]
    await stage.call("POST", f"/tickets/{ticket_id}/unblock")
    await stage.bring(ticket_id, "building-done")
    clock.turn(QUIET + 60)
    assert (await found(stage, ticket_id))["stalled"]


async def test_a_question_of_a_worker_is_named_until_somebody_answers(
    stage: Stage, work: Work, clock: TurnedClock
) -> None:
    ticket_id, task_id = await building(stage, await stage.project(autonomous=True))
    await work.settle(await work.claimed(), AttemptOutcome.REVIEW)
    asked = ApprovalRow(
        id=new_id("apr"),
        tenant_id="default",
        project_id="x",
        subject_type="task",
        subject_id=task_id,
        role="maintainer",
        prompt="Which colour?",
        context={},
        blocking=False,
        status="pending",
        requested_by="sandbox:x",
        created_at=clock.now(),
    )
    await add(stage, asked)
    clock.turn(QUIET + 60)
    assert (await detect(stage, dry_run=True))["results"][0]["stalled"], "it blocks nothing"
    async with stage.db.transaction() as session:
        (await session.get_one(ApprovalRow, asked.id)).blocking = True
    one = await found(stage, ticket_id)
    assert one["blocker_type"] == "waiting_on_clarification"
    assert [each["id"] for each in one["blockers"]] == [asked.id]
    async with stage.db.transaction() as session:
        await work.attempts.answer_in(session, "default", task_id, "Green", "user:local")
    assert not (await stage.call("GET", f"/tickets/{ticket_id}"))["is_blocked"]
    assert await work.status(task_id) == ["queued"]


async def test_a_place_to_work_that_broke_is_named(stage: Stage, work: Work, clock: TurnedClock) -> None:
    ticket_id, task_id = await building(stage, await stage.project(autonomous=True))
    claimed = await work.claimed()
    await work.settle(claimed, AttemptOutcome.FAILED, error_code="sandbox_crashed", message="gone")
    clock.turn(QUIET + 60)
    one = await found(stage, ticket_id)
    assert (one["blocker_type"], [each["id"] for each in one["blockers"]]) == ("environment", [task_id])


async def test_what_the_loop_does_is_the_same_and_safe_to_do_twice(
    stage: Stage, work: Work, clock: TurnedClock
) -> None:
    ticket_id, task_id = await building(stage, await stage.project())
    await work.set_task(task_id, status="failed")
    clock.turn(QUIET + 60)
    assert await stage.board.detection.sweep() == 1
    assert await stage.board.detection.sweep() == 0
    (told,) = await stage.events("ticket.blocked")
    assert (told["actor"], told["entity"]) == ("system:detector", f"ticket:{ticket_id}")
