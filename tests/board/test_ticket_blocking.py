"""People block tickets and unblock them; what stands in the way is named, and its end is the block's."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.board.task_stage import OWNER, TurnedClock
from tests.board.task_stage import Stage as Work

from board_stage import Stage, open_stage
from omniforge.board.task_edits import TaskEdits
from omniforge.board.vocabulary import AttemptOutcome, TaskStatus
from omniforge.core.actor import Role
from omniforge.db import Database


@pytest.fixture
def clock() -> TurnedClock:
    return TurnedClock()


@pytest.fixture
async def stage(database: Database, tmp_path: Path, clock: TurnedClock) -> AsyncIterator[Stage]:
    async with open_stage(database, tmp_path / "home", gated=False, clock=clock) as stage:
        yield stage


@pytest.fixture
def work(stage: Stage, clock: TurnedClock) -> Work:
    return Work(stage.db, clock)


async def building(stage: Stage, title: str = "Search", **fields: Any) -> tuple[str, str]:
    """A ticket in building with its opening task."""
    project_id = fields.pop("project_id", None) or await stage.project(autonomous=True)
    ticket_id = await stage.ticket(project_id, title, phase_id="PHASE_IMPLEMENTATION", **fields)
    (task,) = (await stage.call("GET", f"/tickets/{ticket_id}"))["tasks"]
    return ticket_id, task["id"]


async def block(stage: Stage, ticket_id: str, kind: str = "environment", **more: Any) -> dict[str, Any]:
    return await stage.call("POST", f"/tickets/{ticket_id}/block", blocker_type=kind, **more)


async def show(stage: Stage, ticket_id: str) -> dict[str, Any]:
    return await stage.call("GET", f"/tickets/{ticket_id}")


async def test_a_blocked_ticket_stands_still_and_says_why(stage: Stage, work: Work) -> None:
    ticket_id, task_id = await building(stage)
    named = [{"kind": "person", "id": "user_7", "ref": "Ada"}]
    ticket = await block(stage, ticket_id, "waiting_on_clarification", reason="Which colour?", blockers=named)
    assert (ticket["is_blocked"], ticket["blocker_type"]) == (True, "waiting_on_clarification")
    assert (ticket["blocked_reason"], ticket["blockers"]) == ("Which colour?", named)
    assert (ticket["blocked_by_actor"], ticket["status"]) == ("user:local", "building")
    assert await work.status(task_id) == ["pending"]
    blocked, dequeued = (await stage.events("ticket.blocked", "task.dequeued"))[-2:]
    assert {name: blocked["payload"][name] for name in ("blocker_type", "reason", "blockers")} == {
        "blocker_type": "waiting_on_clarification",
        "reason": "Which colour?",
        "blockers": named,
    }
    assert dequeued["payload"]["reason"] == "ticket_blocked"
    for force in ({}, {"force": True, "reason": "now"}):
        path = f"/tickets/{ticket_id}/transition"
        refusal = await stage.call("POST", path, 409, to_status="building-done", **force)
        assert refusal["error"] == "ticket_blocked"
        assert refusal["details"]["blockers"] == named
    again = await block(stage, ticket_id, "environment")
    assert (again["blocker_type"], again["blocked_reason"], again["blockers"]) == ("environment", None, [])
    assert again["blocked_at"] == ticket["blocked_at"]
    assert "reason" not in (await stage.events("ticket.blocked"))[-1]["payload"]


async def test_unblocking_goes_on_from_where_it_stood(stage: Stage, work: Work, clock: TurnedClock) -> None:
    ticket_id, task_id = await building(stage)
    await block(stage, ticket_id)
    clock.turn(90)
    ticket = await stage.call("POST", f"/tickets/{ticket_id}/unblock")
    assert (ticket["is_blocked"], ticket["status"], ticket["blockers"]) == (False, "building", [])
    assert (ticket["blocker_type"], ticket["blocked_at"], ticket["blocked_by_actor"]) == (None, None, None)
    assert await work.status(task_id) == ["queued"]
    (told,) = await stage.events("ticket.unblocked")
    assert told["payload"]["cause"] == "person"
    assert round(told["payload"]["blocked_seconds"]) == 90
    before = await stage.board.events.last("default")
    assert (await stage.call("POST", f"/tickets/{ticket_id}/unblock"))["version"] == ticket["version"]
    assert await stage.board.events.last("default") == before, "nothing happens to one that is not blocked"


async def test_work_that_ran_on_lets_the_ticket_move_when_it_is_unblocked(stage: Stage, work: Work) -> None:
    ticket_id, _ = await building(stage)
    claimed = await work.claimed()
    await block(stage, ticket_id)
    await work.settle(claimed)
    assert (await show(stage, ticket_id))["status"] == "building", "its result counts, but it does not move"
    await work.set_ticket(ticket_id, remediations=2)
    ticket = await stage.call("POST", f"/tickets/{ticket_id}/unblock")
    assert (ticket["status"], ticket["remediations"]) == ("testing", 0)


async def test_what_is_done_or_archived_cannot_be_blocked(stage: Stage) -> None:
    ticket_id = await stage.ticket(await stage.project())
    await stage.bring(ticket_id, "analyzing", "building", "building-done", "testing", "done")
    path = f"/tickets/{ticket_id}/block"
    refusal = await stage.call("POST", path, 409, blocker_type="environment")
    assert (refusal["error"], refusal["details"]) == ("precondition_failed", {"status": "done"})
    archived = await stage.ticket(await stage.project())
    await stage.call("PATCH", f"/tickets/{archived}", archived=True)
    await stage.call("POST", f"/tickets/{archived}/block", 409, blocker_type="environment")
    await stage.call("POST", path, 422, blocker_type="bad_weather")
    await stage.call("POST", path, 422, blocker_type="environment", blockers=[{"kind": "task"}])
    await stage.call("POST", "/tickets/ticket_x/block", 404, blocker_type="environment")
    async with await stage.sign_in(Role.VIEWER) as viewer:
        answer = await viewer.post(f"/api/v1{path}", json={"blocker_type": "environment"})
        assert answer.status_code == 403


# --- remediate -----------------------------------------------------------------------------------


async def test_work_that_ends_a_block_is_alone_admitted_and_ends_it(stage: Stage, work: Work) -> None:
    ticket_id, task_id = await building(stage)
    ticket = await block(stage, ticket_id, reason="The disk is full", remediate=True)
    assert ticket["open_tasks"] == 2
    mending = next(one for one in (await show(stage, ticket_id))["tasks"] if one["id"] != task_id)
    assert (mending["task_type"], mending["phase_id"]) == ("remediation", "PHASE_IMPLEMENTATION")
    assert (mending["description"], mending["status"]) == ("The disk is full", "queued")
    await block(stage, ticket_id, reason="Still full", remediate=True)
    assert (await show(stage, ticket_id))["open_tasks"] == 2, "one such task is enough"
    claimed = await work.claimed()
    assert claimed.task.id == mending["id"]
    assert await work.claim() is None
    await work.settle(claimed)
    ticket = await show(stage, ticket_id)
    assert (ticket["is_blocked"], ticket["status"]) == (False, "building")
    assert await work.status(task_id) == ["queued"]
    told = [event["type"] for event in await stage.events()][-4:]
    assert told == ["task.completed", "ticket.unblocked", "task.queued", "sandbox.completed"]


async def test_such_work_that_fails_does_not_unblock_nor_does_its_next_try(stage: Stage, work: Work) -> None:
    ticket_id, _ = await building(stage)
    await block(stage, ticket_id, reason="The disk is full", remediate=True)
    claimed = await work.claimed()
    await work.settle(claimed, AttemptOutcome.FAILED, is_final=True, message="no")
    ticket = await show(stage, ticket_id)
    assert (ticket["blocker_type"], ticket["blocked_reason"]) == ("environment", "The disk is full")
    assert ticket["blocked_by_actor"] == "user:local", "what a person said stays"
    assert [one["id"] for one in ticket["blockers"]] == [claimed.task.id]
    await work.attempts.retry(OWNER, claimed.task.id)
    ticket = await show(stage, ticket_id)
    assert (ticket["is_blocked"], ticket["blockers"]) == (True, [])
    await work.settle(await work.claimed())
    assert not (await show(stage, ticket_id))["is_blocked"]


async def test_in_the_backlog_there_is_no_such_work(stage: Stage) -> None:
    ticket_id = await stage.ticket(await stage.project())
    path = f"/tickets/{ticket_id}/block"
    refusal = await stage.call("POST", path, 422, blocker_type="environment", remediate=True)
    assert [one["field"] for one in refusal["details"]["fields"]] == ["remediate"]
    assert not (await show(stage, ticket_id))["is_blocked"]
    assert (await block(stage, ticket_id))["is_blocked"]


@pytest.mark.parametrize(
    ("way", "phase"),
    [
        (("analyzing",), "PHASE_REQUIREMENTS"),
        (("analyzing", "building", "building-done"), "PHASE_DEPLOYMENT"),
        (("analyzing", "building", "building-done", "testing"), "PHASE_TESTING"),
    ],
)
async def test_work_that_ends_a_block_is_of_the_phase_in_which_it_stands(
    stage: Stage, way: tuple[str, ...], phase: str
) -> None:
    ticket_id = await stage.ticket(await stage.project())
    await stage.bring(ticket_id, *way)
    await block(stage, ticket_id, remediate=True)
    made = [one for one in (await show(stage, ticket_id))["tasks"] if one["task_type"] == "remediation"]
    assert [(one["phase_id"], one["status"]) for one in made] == [(phase, "queued")]


async def test_a_ticket_is_blocked_mended_sent_back_and_blocked_again(stage: Stage, work: Work) -> None:
    ticket_id, task_id = await building(stage)
    await work.settle(await work.claimed())
    await stage.call("POST", f"/board/auto-transition/{ticket_id}")
    assert (await show(stage, ticket_id))["status"] == "testing"
    await block(stage, ticket_id, "failing_checks", reason="Red", remediate=True)
    refusal = await stage.call("POST", f"/tickets/{ticket_id}/regress", 409, feedback="Red")
    assert refusal["error"] == "ticket_blocked"
    await work.settle(await work.claimed())
    ticket = await stage.call("POST", f"/tickets/{ticket_id}/regress", feedback="Red")
    assert (ticket["status"], ticket["is_blocked"]) == ("building", False)
    await block(stage, ticket_id, "failing_checks")
    ticket = await stage.call("POST", f"/tickets/{ticket_id}/unblock")
    assert ticket["status"] == "building", "the work of the regress is not done yet"
    await work.settle(await work.claimed())
    await stage.call("POST", f"/board/auto-transition/{ticket_id}")
    assert (await show(stage, ticket_id))["status"] == "testing"
    assert await work.status(task_id) == ["completed"]


# --- blocks of the system ------------------------------------------------------------------------


async def test_two_failures_are_both_named_and_both_have_to_go(stage: Stage, work: Work) -> None:
    ticket_id, first = await building(stage)
    second = await work.task(ticket_id)
    for claimed in (await work.claimed(), await work.claimed()):
        await work.settle(claimed, AttemptOutcome.FAILED, is_final=True, message="no")
    ticket = await show(stage, ticket_id)
    assert {one["id"] for one in ticket["blockers"]} == {first, second}
    await work.attempts.retry(OWNER, first)
    ticket = await show(stage, ticket_id)
    assert (ticket["is_blocked"], [one["id"] for one in ticket["blockers"]]) == (True, [second])
    await work.attempts.retry(OWNER, second)
    assert not (await show(stage, ticket_id))["is_blocked"]
    assert await work.status(first, second) == ["queued", "queued"]


async def test_a_block_that_names_a_ticket_ends_when_that_is_done_unless_a_person_set_it(
    stage: Stage, work: Work
) -> None:
    project_id = await stage.project()
    awaited = await stage.ticket(project_id, "Pay")
    ours, theirs = await stage.ticket(project_id, "Search"), await stage.ticket(project_id, "Export")
    named = [{"kind": "ticket", "id": awaited, "ref": "TKT-001"}]
    await block(stage, theirs, "dependency", blockers=named)
    system = {"blocked_by_actor": "system:detector", "blocker_type": "dependency", "blockers": named}
    await work.set_ticket(ours, is_blocked=True, blocked_at=stage.board.clock.now(), **system)
    await stage.bring(awaited, "analyzing", "building", "building-done", "testing", "done")
    assert not (await show(stage, ours))["is_blocked"]
    kept = await show(stage, theirs)
    assert (kept["is_blocked"], kept["blockers"]) == (True, [])
    (told,) = await stage.events("ticket.unblocked")
    assert (told["payload"]["ids"]["ticket_id"], told["payload"]["cause"]) == (ours, "ticket")


async def test_taking_a_task_off_what_it_waits_for_ends_the_block_that_names_that(
    stage: Stage, work: Work
) -> None:
    project_id = await stage.project()
    _, awaited = await building(stage, "Pay", project_id=project_id)
    ticket_id, task_id = await building(stage, "Search", project_id=project_id)
    other = await work.task(ticket_id, awaited)
    named = [{"kind": "task", "id": awaited, "ref": "TSK-001"}]
    system = {"blocked_by_actor": "system:detector", "blocker_type": "dependency", "blockers": named}
    await work.set_ticket(ticket_id, is_blocked=True, blocked_at=stage.board.clock.now(), **system)
    await TaskEdits(work.db, work.tasks).remove_dependency(OWNER, other, awaited)
    assert not (await show(stage, ticket_id))["is_blocked"]
    assert await work.status(task_id, other) == ["queued", "queued"]


async def test_completing_a_task_ends_blocks_of_other_tickets_that_wait_for_it(
    stage: Stage, work: Work
) -> None:
    project_id = await stage.project(autonomous=True)
    _, awaited = await building(stage, "Pay", project_id=project_id)
    ticket_id, _ = await building(stage, "Search", project_id=project_id)
    named = [{"kind": "task", "id": awaited, "ref": "TSK-001"}]
    system = {"blocked_by_actor": "system:detector", "blocker_type": "dependency", "blockers": named}
    await work.set_ticket(ticket_id, is_blocked=True, blocked_at=stage.board.clock.now(), **system)
    claimed = await work.claimed()
    assert claimed.task.id == awaited
    await work.settle(claimed)
    assert not (await show(stage, ticket_id))["is_blocked"]
    assert await work.status(awaited) == [TaskStatus.COMPLETED]
