"""The inbox: who may answer, once, and what the answer does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.board.gate_stage import GateStage, open_gates

from omniforge.board.approval_effects import Effect
from omniforge.board.shapes.approvals import Answer, AnswerGiven
from omniforge.board.vocabulary import ApproverRole, PhaseId
from omniforge.core.actor import Actor, Role
from omniforge.core.errors import Forbidden
from omniforge.db import Database
from omniforge.tenants.roles import permissions_of

LOOK = {"key": "look", "kind": "approval", "role": "architecture", "prompt": "Good?"}


@pytest.fixture
async def stage(database: Database, tmp_path: Path) -> AsyncIterator[GateStage]:
    async with open_gates(database, tmp_path / "home") as stage:
        yield stage


async def waiting(stage: GateStage, settings: Any = None, **project: Any) -> tuple[str, Any]:
    """A ticket in testing that waits for a maintainer, and the question."""
    ticket_id = await stage.testing(settings, **project)
    await stage.move_on(ticket_id)
    (asked,) = await stage.asked()
    return ticket_id, asked


async def signed_in(
    stage: GateStage, name: str, role: Role = Role.DEVELOPER
) -> tuple[httpx.AsyncClient, str]:
    """Somebody beside the owner, and their user id."""
    user_id = await stage.tenants.create_user("default", name, role)
    tokens = await stage.tenants.issue_tokens("default", user_id)
    headers = {"Authorization": f"Bearer {tokens.access_token}"}
    base = stage.http.base_url
    return httpx.AsyncClient(transport=stage.transport, base_url=base, headers=headers), user_id


async def test_a_question_is_asked_once_however_often_the_gate_is_asked(stage: GateStage) -> None:
    ticket_id, asked = await waiting(stage)
    for _ in range(2):
        await stage.move_on(ticket_id)
        await stage.call("POST", f"/tickets/{ticket_id}/validate-gate")
    await stage.call("POST", f"/tickets/{ticket_id}/transition", 409, to_status="done")
    assert [one["id"] for one in await stage.asked()] == [asked["id"]]
    told = await stage.events("approval.requested")
    assert [event["payload"]["approval_id"] for event in told] == [asked["id"]]


async def test_the_inbox_is_filtered_and_paged(stage: GateStage) -> None:
    ticket_id, asked = await waiting(stage)
    project_id = (await stage.row(ticket_id)).project_id
    assert len(await stage.asked(role="maintainer", project_id=project_id, subject_type="gate_check")) == 1
    for query in ({"role": "ux"}, {"project_id": "project-none"}, {"subject_type": "spec"}):
        assert await stage.asked(**query) == []
    assert await stage.asked(status="approved") == []
    await stage.decide(asked["id"], rationale="Fine.")
    (found,) = await stage.asked(status="approved")
    assert (found["decided_by"], found["rationale"]) == ("user:local", "Fine.")
    await stage.call("GET", "/approvals", 422, limit=0)
    await stage.call("GET", "/approvals", 422, status="perhaps")


async def test_mine_are_those_i_may_answer(stage: GateStage) -> None:
    client, user_id = await signed_in(stage, "otto")
    viewer, _ = await signed_in(stage, "vera", Role.VIEWER)
    _, asked = await waiting(stage, {"approver_roles": {"maintainer": [user_id]}})
    assert await stage.asked(mine=True) == []
    mine = (await client.get("/api/v1/approvals", params={"mine": True})).json()
    assert [one["id"] for one in mine["approvals"]] == [asked["id"]]
    seen = (await viewer.get("/api/v1/approvals")).json()
    assert seen["total"] == 1
    assert (await viewer.get("/api/v1/approvals", params={"mine": True})).json()["total"] == 0


async def test_only_people_with_the_right_and_the_role_answer(stage: GateStage) -> None:
    client, user_id = await signed_in(stage, "otto")
    operator, _ = await signed_in(stage, "olga", Role.OPERATOR)
    ticket_id, asked = await waiting(stage, {"approver_roles": {"maintainer": [user_id]}})
    await stage.decide(asked["id"], status=403)
    await stage.decide(asked["id"], status=403, client=operator)
    assert (await stage.row(ticket_id)).status == "testing"
    await stage.decide(asked["id"], client=client)
    assert (await stage.row(ticket_id)).status == "done"


@pytest.mark.parametrize("by", ["key:1", "sandbox:1", "system:advance"])
async def test_nobody_but_people_answers(stage: GateStage, by: str) -> None:
    _, asked = await waiting(stage)
    actor = Actor("default", "local", Role.OWNER, by, permissions_of(Role.OWNER))
    with pytest.raises(Forbidden):
        await stage.judging.approvals.decide(actor, asked["id"], AnswerGiven(decision=Answer.APPROVE))
    assert len(await stage.asked()) == 1


async def test_authors_do_not_approve_their_own_where_that_is_not_wanted(stage: GateStage) -> None:
    client, _ = await signed_in(stage, "otto")
    ticket_id, asked = await waiting(stage, {"self_approval": False})
    refused = await stage.decide(asked["id"], status=403)
    assert refused["error"] == "forbidden"
    await stage.decide(asked["id"], client=client)
    assert (await stage.row(ticket_id)).status == "done"


async def test_who_asks_to_set_aside_their_own_failure_is_refused_as_well(stage: GateStage) -> None:
    ticket_id = await stage.building({"forbidden_patterns": ["hello"], "self_approval": False})
    await stage.advance(ticket_id)
    more = {"check_key": "forbidden_pattern", "rationale": "So.", "conditions": ["Later."]}
    await stage.call("POST", f"/tickets/{ticket_id}/waive", 403, **more)


async def test_of_two_who_answer_at_once_one_wins(stage: GateStage) -> None:
    client, _ = await signed_in(stage, "otto")
    _, asked = await waiting(stage)
    path, yes = f"/api/v1/approvals/{asked['id']}/decide", {"decision": "approve"}
    no = {"decision": "reject", "rationale": "Not yet."}
    answers = await asyncio.gather(client.post(path, json=yes), stage.http.post(path, json=no))
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    late = next(answer.json() for answer in answers if answer.status_code == 409)
    assert late["error"] == "precondition_failed"
    assert len(await stage.events("approval.decided")) == 1


async def test_a_no_says_why_and_answers_only_fit_their_question(stage: GateStage) -> None:
    _, asked = await waiting(stage)
    refused = await stage.decide(asked["id"], "reject", 422)
    assert refused["details"]["fields"][0]["field"] == "rationale"
    await stage.decide(asked["id"], "answer", 422, rationale="Blue.")
    await stage.decide("apr-none", status=404)


async def test_a_no_blocks_the_ticket_until_a_person_lifts_it(stage: GateStage) -> None:
    ticket_id, asked = await waiting(stage, autonomous=True)
    await stage.decide(asked["id"], "reject", rationale="The colours are wrong.")
    ticket = await stage.row(ticket_id)
    assert (ticket.is_blocked, ticket.blocker_type) == (True, "failing_checks")
    assert (ticket.status, ticket.remediations) == ("testing", 0)
    assert ticket.blockers[0]["id"] == asked["id"]
    check = await stage.check(ticket_id, "maintainer")
    assert (check["status"], check["rationale"]) == ("fail", "The colours are wrong.")
    await stage.call("POST", f"/tickets/{ticket_id}/unblock")
    await stage.move_on(ticket_id)
    (again,) = await stage.asked()
    assert again["id"] != asked["id"]
    await stage.decide(again["id"])
    assert (await stage.row(ticket_id)).status == "done"


async def test_after_new_work_a_no_counts_no_more(stage: GateStage) -> None:
    ticket_id, asked = await waiting(stage)
    await stage.decide(asked["id"], "reject", rationale="No.")
    held = (await stage.row(ticket_id)).pending_transition or {}
    assert held["reason"] == "gate_no_go"
    await stage.task(ticket_id, PhaseId.TESTING)
    await stage.settle_tasks(ticket_id)
    await stage.move_on(ticket_id)
    assert len(await stage.asked()) == 1


async def test_a_check_that_wants_two_takes_two(stage: GateStage) -> None:
    client, _ = await signed_in(stage, "otto")
    ticket_id = await stage.building()
    project_id = (await stage.row(ticket_id)).project_id
    checks = [{**LOOK, "minimum": 2}]
    await stage.call("PUT", "/phases/gates/building", project_id=project_id, checks=checks)
    await stage.move_on(ticket_id)
    (first,) = await stage.asked()
    await stage.decide(first["id"])
    assert (await stage.check(ticket_id, "look"))["detail"].startswith("1 of 2")
    (second,) = await stage.asked()
    await stage.decide(second["id"], status=409)
    await stage.decide(second["id"], client=client)
    assert (await stage.row(ticket_id)).status != "building"


async def test_a_yes_counts_for_one_stay_only(stage: GateStage) -> None:
    ticket_id, asked = await waiting(stage)
    await stage.call("POST", f"/tickets/{ticket_id}/regress", feedback="Once more.")
    await stage.decide(asked["id"], status=409)
    await stage.bring(ticket_id, "building-done", "testing")
    await stage.settle_tasks(ticket_id)
    await stage.move_on(ticket_id)
    pending = [one for one in await stage.asked() if one["id"] != asked["id"]]
    assert len(pending) == 1


async def test_what_a_ticket_has_left_behind_is_asked_no_more(stage: GateStage) -> None:
    stage.judging.follow()
    ticket_id, asked = await waiting(stage)
    await stage.bring(ticket_id, "done")
    async with asyncio.timeout(10):
        while await stage.asked():  # the log is read beside us
            await asyncio.sleep(0.02)
    (over,) = await stage.asked(status="expired")
    assert over["id"] == asked["id"]


async def test_a_ticket_under_review_is_answered_through_the_inbox(stage: GateStage) -> None:
    project_id = await stage.project(settings={"ticket_human_review": "all"})
    kept, dropped = [await stage.ticket(project_id, title=title) for title in ("One", "Two")]
    asked = {one["subject_id"]: one["id"] for one in await stage.asked(subject_type="ticket")}
    await stage.decide(asked[kept])
    await stage.decide(asked[dropped], "reject", rationale="No need.")
    states = [await stage.call("GET", "/tickets/approval-status", ticket_id=one) for one in (kept, dropped)]
    assert [one["approval_status"] for one in states] == ["approved", "rejected"]
    assert states[1]["rejection_reason"] == "No need."
    assert (await stage.row(dropped)).archived
    assert len(await stage.events("approval.decided")) == 2
    await stage.decide(asked[kept], status=409)


async def test_a_spec_is_approved_part_by_part_through_the_inbox(stage: GateStage) -> None:
    project_id = await stage.project(settings={"require_spec_approval": True})
    requirement = {
        "ref": "REQ-SRCH-API-001",
        "title": "Find",
        "action": "THE SYSTEM SHALL find.",
        "criteria": [{"text": "It finds."}, {"text": "It is fast."}],
    }
    spec_id = (await stage.call("POST", "/specs", 201, project_id=project_id, title="Search"))["id"]
    document: dict[str, Any] = {
        "format": "omniforge.spec/1",
        "requirements": [requirement],
        "design": {"architecture": "One part.", "data_model": "None.", "api_spec": []},
        "tickets": [],
        "tasks": [],
    }
    await stage.call("POST", f"/specs/{spec_id}/import", **document)
    (asked,) = await stage.asked(subject_type="spec")
    assert (asked["role"], asked["context"]["part"]) == ("product", "requirements")
    await stage.decide(asked["id"])
    (asked,) = await stage.asked(subject_type="spec")
    assert asked["role"] == "architecture"
    await stage.decide(asked["id"], rationale="Sound.")
    spec = await stage.call("GET", f"/specs/{spec_id}")
    assert (spec["requirements_approved"], spec["design_approved"], spec["status"]) == (
        True,
        True,
        "executing",
    )
    assert len(await stage.events("approval.decided")) == 2


async def test_questions_about_tasks_are_answered_by_whoever_knows_them(stage: GateStage) -> None:
    heard: list[tuple[str, str, str | None]] = []

    async def apply(session: Any, actor: Any, row: Any, answer: Answer, rationale: str | None) -> None:
        heard.append((row.subject_id, answer, rationale))

    project_id = await stage.project()
    async with stage.db.transaction() as session:
        row = await stage.judging.approvals.request_in(
            session,
            tenant_id="default",
            project_id=project_id,
            subject_type="task",
            subject_id="task-1",
            role=ApproverRole.PRODUCT,
            prompt="Which colour?",
            by="sandbox:1",
            task_id="task-1",
        )
    await stage.decide(row.id, "answer", 409, rationale="Blue.")
    stage.judging.approvals.effects["task"] = Effect(apply, answers=lambda row: list(Answer))
    told = await stage.decide(row.id, "answer", rationale="Blue.")
    assert (told["status"], heard) == ("answered", [("task-1", "answer", "Blue.")])
    (event,) = await stage.events("approval.decided")
    assert (event["payload"]["decision"], event["payload"]["ids"]["task_id"]) == ("answer", "task-1")


async def test_another_tenant_sees_and_answers_nothing(stage: GateStage) -> None:
    _, asked = await waiting(stage)
    await stage.tenants.create_tenant("other", "Other")
    client = await stage.sign_in(Role.OWNER, "other")
    assert (await client.get("/api/v1/approvals")).json()["total"] == 0
    await stage.decide(asked["id"], status=404, client=client)
