"""People look at tickets before anything is spent on them: in time, or not at all."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select
from tests.board.task_stage import OWNER, TurnedClock
from tests.board.task_stage import Stage as Work

from board_stage import BASE, Stage, open_stage
from omniforge.board.store.evidence import ApprovalRow
from omniforge.board.store.specs import CriterionRow
from omniforge.board.store.tasks import TaskEdgeRow, TaskRow
from omniforge.board.store.tickets import TicketEdgeRow, TicketHistoryRow, TicketRow
from omniforge.board.vocabulary import TaskType
from omniforge.core.actor import Role
from omniforge.core.clock import rfc3339
from omniforge.db import Database


@pytest.fixture
def clock() -> TurnedClock:
    return TurnedClock()


@pytest.fixture
async def stage(database: Database, tmp_path: Path, clock: TurnedClock) -> AsyncIterator[Stage]:
    async with open_stage(database, tmp_path / "home", clock=clock) as stage:
        yield stage


async def reviewed(stage: Stage, **settings: Any) -> str:
    """A project in which people look at every ticket."""
    return await stage.project(settings={"ticket_human_review": "all"} | settings)


async def asked(stage: Stage) -> list[ApprovalRow]:
    async with stage.db.read() as session:
        return list(await session.scalars(select(ApprovalRow)))


async def state_of(stage: Stage, ticket_id: str) -> dict[str, Any]:
    return await stage.call("GET", "/tickets/approval-status", ticket_id=ticket_id)


async def test_a_ticket_under_review_waits_in_the_backlog_with_a_deadline(stage: Stage) -> None:
    project_id = await reviewed(stage, approval_timeout_seconds=60)
    ticket_id = await stage.ticket(project_id, phase_id="PHASE_IMPLEMENTATION")
    ticket = await stage.call("GET", f"/tickets/{ticket_id}")
    assert (ticket["status"], ticket["approval_status"], ticket["tasks"]) == ("backlog", "pending_review", [])
    assert (ticket["requested_by"], ticket["legal_targets"][0]["reason"]) == ("user:local", "not_approved")
    state = await state_of(stage, ticket_id)
    assert state["deadline_at"] == ticket["approval_deadline_at"]
    assert (state["ticket_id"], state["approval_status"]) == (ticket_id, "pending_review")
    assert (state["requested_by"], state["rejection_reason"]) == ("user:local", None)
    created, requested, approval = await stage.events(
        "ticket.created", "ticket.review_requested", "approval.requested"
    )
    assert created["seq"] < requested["seq"] < approval["seq"]
    ids = {"project_id": project_id, "ticket_id": ticket_id}
    (row,) = await asked(stage)
    assert row.deadline_at is not None
    deadline = rfc3339(row.deadline_at)
    assert requested["payload"] == {"deadline_at": deadline, "ids": ids}
    assert approval["payload"] == {
        "approval_id": row.id,
        "subject_type": "ticket",
        "subject_id": ticket_id,
        "role": "product",
        "prompt": "Shall work on TKT-001 Search begin?",
        "deadline_at": deadline,
        "ids": ids,
    }


async def test_nothing_is_queued_or_moved_before_the_yes(stage: Stage, clock: TurnedClock) -> None:
    work = Work(stage.db, clock)
    ticket_id = await stage.ticket(await reviewed(stage))
    task_id = await work.task(ticket_id, task_type=TaskType.ANALYZE_REQUIREMENTS)
    refusal = await stage.call("POST", f"/tickets/{ticket_id}/transition", 409, to_status="analyzing")
    assert refusal["error"] == "not_approved"
    assert await work.claim() is None
    answer = await stage.call("POST", "/tickets/approve", ticket_id=ticket_id)
    assert answer == {"ticket_id": ticket_id, "status": "approved"}
    await stage.call("POST", f"/tickets/{ticket_id}/transition", to_status="analyzing")
    assert await work.status(task_id) == ["queued"]
    state = await state_of(stage, ticket_id)
    assert (state["approval_status"], state["deadline_at"]) == ("approved", None)
    decided, approved = await stage.events("approval.decided", "ticket.approved")
    assert {name: decided["payload"][name] for name in ("decision", "by", "rationale")} == {
        "decision": "approve",
        "by": "user:local",
        "rationale": None,
    }
    assert (approved["actor"], approved["payload"]["ids"]["ticket_id"]) == ("user:local", ticket_id)
    (row,) = await asked(stage)
    assert (row.status, row.decided_by) == ("approved", "user:local")


async def test_a_no_archives_the_ticket_and_says_why(stage: Stage) -> None:
    ticket_id = await stage.ticket(await reviewed(stage))
    path = "/tickets/reject"
    await stage.call("POST", path, 422, ticket_id=ticket_id)
    await stage.call("POST", path, 422, ticket_id=ticket_id, rejection_reason=" ")
    answer = await stage.call("POST", path, ticket_id=ticket_id, rejection_reason="We have that")
    assert answer == {"ticket_id": ticket_id, "status": "rejected", "disposition": "archive"}
    ticket = await stage.call("GET", f"/tickets/{ticket_id}")
    assert (ticket["archived"], ticket["approval_status"]) == (True, "rejected")
    assert ticket["rejection_reason"] == "We have that"
    (told,) = await stage.events("ticket.rejected")
    assert {name: told["payload"][name] for name in ("reason", "disposition")} == {
        "reason": "We have that",
        "disposition": "archive",
    }
    for again in ("approve", "reject"):
        given = {"rejection_reason": "no"} if again == "reject" else {}
        refusal = await stage.call("POST", f"/tickets/{again}", 409, ticket_id=ticket_id, **given)
        assert refusal["error"] == "not_pending_review"
        assert refusal["details"] == {"ticket_id": ticket_id, "approval_status": "rejected"}
    assert len(await stage.events("approval.decided")) == 1


async def test_a_no_may_delete_the_ticket_and_whoever_waited_for_it_waits_no_longer(
    stage: Stage, clock: TurnedClock
) -> None:
    work = Work(stage.db, clock)
    project_id = await stage.project(settings={"on_reject": "delete"})
    waiting = await stage.ticket(project_id, "Pay", phase_id="PHASE_IMPLEMENTATION")
    (opening,) = (await stage.call("GET", f"/tickets/{waiting}"))["tasks"]
    await stage.call("PATCH", f"/projects/{project_id}", settings={"ticket_human_review": "all"})
    gone = await stage.ticket(project_id, "Search", blocks=[waiting], criteria=[{"text": "Finds"}])
    task_id = await work.task(gone)
    later = await work.task(waiting, task_id)
    assert await work.status(opening["id"], later) == ["pending", "pending"]
    answer = await stage.call("POST", "/tickets/reject", ticket_id=gone, rejection_reason="no")
    assert answer["disposition"] == "delete"
    await stage.call("GET", f"/tickets/{gone}", 404)
    await stage.call("GET", "/tickets/approval-status", 404, ticket_id=gone)
    assert await work.status(opening["id"], later) == ["queued", "queued"]
    freed = await stage.call("GET", f"/tickets/{waiting}")
    assert (freed["open_dependencies"], freed["blocked_by"]) == (0, [])
    changed = (await stage.events("ticket.dependencies_changed"))[-1]
    assert (changed["payload"]["added"], changed["payload"]["removed"]) == ([], [gone])
    async with stage.db.read() as session:
        for table in (TicketEdgeRow, TaskEdgeRow, CriterionRow):
            assert await session.scalar(select(func.count()).select_from(table)) == 0
        for table, column in ((TaskRow, TaskRow.ticket_id), (TicketHistoryRow, TicketHistoryRow.ticket_id)):
            left = select(func.count()).select_from(table).where(column == gone)
            assert await session.scalar(left) == 0


async def test_a_deadline_that_passed_counts_at_once_for_everybody(stage: Stage, clock: TurnedClock) -> None:
    project_id = await reviewed(stage, approval_timeout_seconds=60)
    ticket_id = await stage.ticket(project_id)
    count = "/tickets/pending-review-count"
    assert await stage.call("GET", count, project_id=project_id) == {"pending_count": 1}
    clock.turn(61)
    assert await stage.call("GET", count) == {"pending_count": 0}
    assert (await state_of(stage, ticket_id))["approval_status"] == "timed_out"
    assert (await stage.call("GET", f"/tickets/{ticket_id}"))["approval_status"] == "timed_out"
    found = await stage.call("GET", "/tickets", approval_status="timed_out")
    assert [one["id"] for one in found["tickets"]] == [ticket_id]
    assert (await stage.call("GET", "/tickets", approval_status="pending_review"))["total"] == 0
    refusal = await stage.call("POST", "/tickets/approve", 409, ticket_id=ticket_id)
    assert refusal["error"] == "not_pending_review"
    assert refusal["details"]["approval_status"] == "timed_out"
    assert await stage.events("ticket.review_timed_out") == []
    assert await stage.board.reviews.sweep() == 1
    assert await stage.board.reviews.sweep() == 0
    ticket = await stage.call("GET", f"/tickets/{ticket_id}")
    assert (ticket["approval_status"], ticket["archived"]) == ("timed_out", True)
    (told,) = await stage.events("ticket.review_timed_out")
    assert (told["payload"]["disposition"], told["actor"]) == ("archive", "system:dispatch")
    (row,) = await asked(stage)
    assert (row.status, row.decided_by) == ("expired", "system:dispatch")


async def test_a_sweep_leaves_alone_what_still_has_time(stage: Stage, clock: TurnedClock) -> None:
    project_id = await reviewed(stage, approval_timeout_seconds=60, on_reject="delete")
    first = await stage.ticket(project_id, "First")
    clock.turn(40)
    second = await stage.ticket(project_id, "Second")
    clock.turn(40)
    assert await stage.board.reviews.sweep() == 1
    await stage.call("GET", f"/tickets/{first}", 404)
    assert (await state_of(stage, second))["approval_status"] == "pending_review"


async def test_only_agents_are_looked_at_where_the_project_wants_that(stage: Stage) -> None:
    project_id = await stage.project(settings={"ticket_human_review": "agents"})
    by_hand = await stage.ticket(project_id, "By hand")
    assert (await state_of(stage, by_hand))["approval_status"] == "approved"
    _, secret = await stage.tenants.create_key(OWNER, "agent", ["board:*"])
    headers = {"Authorization": f"Bearer {secret}"}
    async with httpx.AsyncClient(transport=stage.transport, base_url=BASE, headers=headers) as agent:
        given = {"project_id": project_id, "title": "By an agent"}
        made = (await agent.post("/api/v1/tickets", json=given)).json()
        assert made["approval_status"] == "pending_review"
        answer = await agent.post("/api/v1/tickets/approve", json={"ticket_id": made["id"]})
        assert (answer.status_code, answer.json()["error"]) == (403, "forbidden"), "only people say yes"
    await stage.call("POST", "/tickets/approve", ticket_id=made["id"])


async def test_who_may_say_yes(stage: Stage) -> None:
    project_id = await reviewed(stage, self_approval=False)
    ticket_id = await stage.ticket(project_id)
    refusal = await stage.call("POST", "/tickets/approve", 403, ticket_id=ticket_id)
    assert refusal["error"] == "forbidden"
    path = "/api/v1/tickets/approve"
    async with await stage.sign_in(Role.OPERATOR) as operator:
        answer = await operator.post(path, json={"ticket_id": ticket_id})
        assert (answer.status_code, answer.json()["error"]) == (403, "forbidden")
    async with await stage.sign_in(Role.DEVELOPER) as developer:
        await stage.call("PATCH", f"/projects/{project_id}", settings={"approver_roles": {"product": ["x"]}})
        assert (await developer.post(path, json={"ticket_id": ticket_id})).status_code == 403
        await stage.call("PATCH", f"/projects/{project_id}", settings={"approver_roles": None})
        assert (await developer.post(path, json={"ticket_id": ticket_id})).status_code == 200
    await stage.tenants.create_tenant("other", "Other")
    async with await stage.sign_in(Role.OWNER, "other") as stranger:
        await foreign(stranger, ticket_id)


async def foreign(stranger: httpx.AsyncClient, ticket_id: str) -> None:
    base = "/api/v1/tickets"
    given = {"ticket_id": ticket_id}
    assert (await stranger.post(f"{base}/approve", json=given)).status_code == 404
    rejected = {**given, "rejection_reason": "no"}
    assert (await stranger.post(f"{base}/reject", json=rejected)).status_code == 404
    assert (await stranger.get(f"{base}/approval-status", params=given)).status_code == 404
    assert (await stranger.get(f"{base}/pending-review-count")).json() == {"pending_count": 0}


async def test_the_answer_through_the_other_door_has_the_same_effect(stage: Stage) -> None:
    project_id = await reviewed(stage)
    first, second = await stage.ticket(project_id, "First"), await stage.ticket(project_id, "Second")
    async with stage.db.transaction() as session:
        told = await stage.board.reviews.decide_in(session, OWNER, first, None)
        told += await stage.board.reviews.decide_in(session, OWNER, second, "no")
    assert [event.type for event in told] == ["ticket.approved", "ticket.rejected"]
    async with stage.db.read() as session:
        rows = {row.id: row for row in await session.scalars(select(TicketRow))}
    assert (rows[first].approval_status, rows[second].approval_status) == ("approved", "rejected")
