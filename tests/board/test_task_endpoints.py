"""The HTTP of tasks: made, changed, linked, cancelled, tried anew; their times; who may see them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.board.task_http import Http, Json, open_http
from tests.board.task_stage import Stage

from omniforge.board.vocabulary import AttemptOutcome
from omniforge.db import Database


@pytest.fixture
def stage(database: Database) -> Stage:
    return Stage(database)


@pytest.fixture
async def http(stage: Stage) -> AsyncIterator[Http]:
    async with open_http(stage) as opened:
        yield opened


async def test_the_way_of_tasks_over_http(http: Http, stage: Stage) -> None:
    first = await http.make(title="  Write the form ", priority="high", task_type="implement_feature")
    assert (first["title"], first["priority"], first["status"]) == ("Write the form", "HIGH", "queued")
    assert (first["ref"], first["phase_id"], first["depends_on"]) == ("TSK-001", "PHASE_IMPLEMENTATION", [])
    assert first["score"] == pytest.approx(0.45 * 0.75 + 0.05, abs=1e-4)
    second = await http.make(first["id"], criteria=[{"text": "It is green"}])
    assert (second["status"], second["remaining"], second["dependencies_complete"]) == ("pending", 1, False)

    claimed = await stage.claimed()
    seen = await http.ask("GET", f"/tasks/{first['id']}")
    assert (seen["status"], seen["sandbox_id"], seen["score"]) == ("running", claimed.sandbox.id, None)
    assert [one["attempt"] for one in seen["attempts"]] == [1]
    await stage.settle(claimed)
    assert (await http.ask("GET", f"/tasks/{first['id']}"))["status"] == "completed"
    seen = await http.ask("GET", f"/tasks/{second['id']}")
    assert (seen["status"], seen["dependencies_complete"], seen["remaining"]) == ("queued", True, 0)
    assert [(one["text"], one["kind"]) for one in seen["criteria"]] == [("It is green", "text")]
    attempts = await http.ask("GET", f"/tasks/{first['id']}/attempts")
    assert (attempts["total"], attempts["attempts"][0]["outcome"]) == (1, "completed")


async def test_lists_are_filtered_and_paged(http: Http, stage: Stage) -> None:
    one, two = await http.make(), await http.make(phase_id="phase_testing")
    await http.make(two["id"])
    await stage.claimed()

    async def found(**query: Any) -> list[str]:
        return [task["ref"] for task in (await http.ask("GET", "/tasks", params=query))["tasks"]]

    assert await found() == ["TSK-003", "TSK-002", "TSK-001"]
    assert await found(phase_id="phase_testing") == ["TSK-002"]
    assert await found(status="running") == ["TSK-001"]
    assert await found(has_sandbox="true") == ["TSK-001"]
    assert await found(has_sandbox="false", ticket_id=http.ticket) == ["TSK-003", "TSK-002"]
    assert await found(project_id="nobody") == []
    page = await http.ask("GET", "/tasks", params={"limit": 1, "offset": 1})
    assert (page["total"], page["limit"], page["offset"], len(page["tasks"])) == (3, 1, 1, 1)
    for wrong in ({"limit": 0}, {"limit": 201}, {"offset": -1}, {"status": "sleeping"}, {"phase_id": "X"}):
        await http.refused("GET", "/tasks", 422, "invalid", params=wrong)
    assert (await http.ask("GET", "/tasks", headers={"x-who": "sam"}))["total"] == 0
    cancellable = await http.ask("GET", "/tasks/cancellable", params={"project_id": http.project})
    assert {task["id"]: task["time_remaining"] for task in cancellable["tasks"]}[one["id"]] == 3600


async def test_what_is_wrong_with_a_task_is_said(http: Http) -> None:
    good: Json = {"ticket_id": http.ticket, "title": "Write it"}
    wrong: list[Json] = [
        {"title": " "},
        {"title": "x" * 501},
        {"title": None},
        {"estimate": "XL"},
        {"phase_id": "PHASE_DONE"},
        {"priority": "urgent"},
        {"timeout_seconds": 59},
        {"max_retries": 11},
        {"deadline_at": "2026-11-21T10:00:00"},
        {"deadline_at": "9999-12-31T23:59:59-14:00"},
        {"task_type": "dance"},
        {"status": "completed"},
        {"description": "x" * 50_001},
    ]
    for fields in wrong:
        details = await http.refused("POST", "/tasks", 422, "invalid", json={**good, **fields})
        assert details["fields"]
    await http.refused("POST", "/tasks", 404, "not_found", json={**good, "ticket_id": "nobody"})
    await http.refused("POST", "/tasks", 404, "not_found", json={**good, "depends_on": ["nobody"]})
    await http.refused("POST", "/tasks", 404, "not_found", json=good, headers={"x-who": "sam"})
    await http.refused("POST", "/tasks", 403, "forbidden", json=good, headers={"x-who": "vera"})
    closed = await http.refused(
        "POST", "/tasks", 409, "phase_closed", json={**good, "phase_id": "PHASE_REQUIREMENTS"}
    )
    assert closed["ticket_status"] == "building"
    assert (await http.ask("GET", "/tasks"))["total"] == 0


async def test_a_task_is_changed_until_it_is_finished(http: Http, stage: Stage) -> None:
    task = await http.make(deadline_at="2026-11-21T12:00:00+02:00")
    path = f"/tasks/{task['id']}"
    assert task["deadline_at"] == "2026-11-21T10:00:00Z"
    changed = await http.ask(
        "PATCH",
        path,
        json={"title": "Write more", "deadline_at": None, "estimate": "S", "expected_version": 1},
    )
    assert (changed["title"], changed["deadline_at"], changed["estimate"]) == ("Write more", None, "S")
    assert changed["version"] == 2
    (told,) = await stage.payloads("task.updated")
    assert told["changes"]["title"] == ["Write it", "Write more"]
    conflict = await http.refused(
        "PATCH", path, 409, "version_conflict", json={"title": "Late", "expected_version": 1}
    )
    assert conflict["version"] == 2
    unchanged = await http.ask("PATCH", path, json={"title": "Write more"})
    assert unchanged["version"] == 2
    for wrong in (
        {"title": None},
        {"status": "completed"},
        {"max_retries": None},
        {"phase_id": "PHASE_TESTING"},
    ):
        await http.refused("PATCH", path, 422, "invalid", json=wrong)
    await stage.settle(await stage.claimed())
    await http.refused("PATCH", path, 409, "task_finished", json={"title": "Too late"})
    await http.refused("POST", f"{path}/set-timeout", 409, "task_finished", json={"timeout_seconds": 60})
    await http.refused("POST", f"{path}/generate-title", 409, "task_finished")


async def test_dependencies_are_added_set_and_removed(http: Http) -> None:
    a, b, c = [(await http.make())["id"] for _ in range(3)]
    path = f"/tasks/{c}/dependencies"
    added = await http.ask("POST", path, json={"depends_on": [a, a]})
    assert (added["depends_on"], added["remaining"]) == ([a], 1)
    added = await http.ask("POST", path, json={"depends_on": [a, b]})
    assert (sorted(added["depends_on"]), added["remaining"]) == (sorted([a, b]), 2)
    (waiting,) = (await http.ask("GET", f"/tasks/{a}/dependencies"))["blocked_tasks"]
    assert waiting == {"id": c, "ref": "TSK-003", "title": "Write it", "status": "pending"}
    only = await http.ask("PUT", path, json={"depends_on": [b]})
    assert only["depends_on"] == [b]
    await http.refused("DELETE", f"{path}/{a}", 404, "not_found")
    gone = await http.ask("DELETE", f"{path}/{b}")
    assert (gone["depends_on"], gone["dependencies_complete"]) == ([], True)
    assert (await http.ask("GET", f"/tasks/{c}"))["status"] == "queued"
    assert (await http.ask("PUT", path, json={"depends_on": []}))["remaining"] == 0
    await http.refused("POST", path, 404, "not_found", json={"depends_on": ["nobody"]})
    cycle = await http.refused("POST", path, 409, "dependency_cycle", json={"depends_on": [c]})
    assert cycle["cycle"] == [c, c]


async def test_a_way_round_is_foreseen_without_writing_it(http: Http) -> None:
    a = (await http.make())["id"]
    b = (await http.make(a))["id"]
    asked = await http.ask("POST", f"/tasks/{a}/check-circular", json={"depends_on": [b]})
    assert asked == {"has_circular_dependency": True, "cycle": [a, b, a]}
    asked = await http.ask("POST", f"/tasks/{b}/check-circular", json={"depends_on": [a]})
    assert asked == {"has_circular_dependency": False, "cycle": None}
    await http.refused(
        "POST", f"/tasks/{a}/check-circular", 404, "not_found", json={"depends_on": ["nobody"]}
    )
    assert (await http.ask("GET", f"/tasks/{a}/dependencies"))["depends_on"] == []


async def test_what_it_waits_for_changes_only_before_it_runs(http: Http, stage: Stage) -> None:
    task, other = await http.make(priority="critical"), await http.make()
    claimed = await stage.claimed()
    path = f"/tasks/{task['id']}/dependencies"
    await http.refused("POST", path, 409, "task_not_ready", json={"depends_on": [other["id"]]})
    await stage.settle(claimed)
    await http.refused("PUT", path, 409, "task_finished", json={"depends_on": []})


async def test_a_task_is_cancelled_once(http: Http, stage: Stage) -> None:
    task = await http.make()
    path = f"/tasks/{task['id']}/cancel"
    assert await http.ask("POST", path) == {
        "task_id": task["id"],
        "cancelled": True,
        "status": "cancelled",
        "reason": "cancelled_by_request",
    }
    details = await http.refused("POST", path, 409, "task_finished")
    assert details["task_status"] == "cancelled"
    running = await http.make()
    await stage.claimed()
    said = await http.ask("POST", f"/tasks/{running['id']}/cancel", json={"reason": "not needed"})
    assert said["reason"] == "not needed"
    seen = await http.ask("GET", f"/tasks/{running['id']}")
    assert (seen["status"], seen["sandbox_id"]) == ("cancelled", None)
    assert seen["cancel_requested_at"] is not None


async def test_a_failed_task_is_tried_anew_by_hand(http: Http, stage: Stage) -> None:
    task = await http.make(max_retries=0)
    path = f"/tasks/{task['id']}/retry"
    refusal = await http.refused("POST", path, 409, "precondition_failed")
    assert refusal["task_status"] == "queued"
    over = await http.make()
    await http.ask("POST", f"/tasks/{over['id']}/cancel")
    await http.refused("POST", f"/tasks/{over['id']}/retry", 409, "task_finished")
    await stage.settle(await stage.claimed(), AttemptOutcome.FAILED, message="It broke.")
    again = await http.ask("POST", path, json={"feedback": "Use the other door."})
    assert (again["status"], again["retry_count"], again["error_code"]) == ("queued", 0, None)
    assert [one["text"] for one in again["feedback"]] == ["It broke.", "Use the other door."]


async def test_times_are_told(http: Http, stage: Stage) -> None:
    task = await http.make(timeout_seconds=60)
    path = f"/tasks/{task['id']}"
    waiting = await http.ask("GET", f"{path}/timeout-status")
    assert waiting == {
        "exists": True,
        "status": "queued",
        "timeout_seconds": 60,
        "elapsed_seconds": 0.0,
        "time_remaining": None,
        "is_timed_out": False,
        "can_cancel": True,
    }
    await stage.claimed()
    async with stage.db.transaction() as session:
        assert await stage.attempts.start_in(session, "default", task["id"], 1, "sandbox:s")
        assert not await stage.attempts.start_in(session, "default", task["id"], 1, "sandbox:s")
    stage.clock.turn(45)
    await stage.leases.renew_lease(task["id"], 1)
    running = await http.ask("GET", f"{path}/timeout-status")
    assert running["elapsed_seconds"] == pytest.approx(45, abs=0.1)
    assert running["time_remaining"] == pytest.approx(15, abs=0.1)
    assert (await http.ask("GET", "/tasks/timed-out"))["total"] == 0
    stage.clock.turn(20)
    assert (await http.ask("GET", f"{path}/timeout-status"))["is_timed_out"] is True
    (late,) = (await http.ask("GET", "/tasks/timed-out", params={"project_id": http.project}))["tasks"]
    assert late["elapsed_seconds"] == pytest.approx(65, abs=0.1)
    longer = await http.ask("POST", f"{path}/set-timeout", json={"timeout_seconds": 61})
    assert longer == {"task_id": task["id"], "timeout_seconds": 61, "status": "running"}
    await http.refused("POST", f"{path}/set-timeout", 422, "invalid", json={"timeout_seconds": 59})
    assert await http.ask("POST", "/tasks/cleanup-timed-out", json={"project_id": "another"}) == {
        "cleaned_count": 0,
        "total_timed_out": 0,
    }
    cleaned = await http.ask("POST", "/tasks/cleanup-timed-out")
    assert cleaned == {"cleaned_count": 1, "total_timed_out": 1}
    seen = await http.ask("GET", path)
    assert (seen["status"], seen["error_code"], seen["retry_count"]) == ("queued", "timed_out", 1)


async def test_foreign_ids_answer_like_unknown_ones(http: Http) -> None:
    task = (await http.make())["id"]
    gets = ["", "/dependencies", "/timeout-status", "/attempts", "/results"]
    posts: dict[str, Json] = {
        "dependencies": {"depends_on": []},
        "check-circular": {"depends_on": []},
        "cancel": {},
        "retry": {},
        "set-timeout": {"timeout_seconds": 60},
        "generate-title": {},
        "register-conversation": {"conversation_id": "c"},
    }
    for whose, who in ((task, "sam"), ("nobody", "local")):
        headers = {"x-who": who}
        for path in gets:
            await http.refused("GET", f"/tasks/{whose}{path}", 404, "not_found", headers=headers)
        for path, body in posts.items():
            await http.refused("POST", f"/tasks/{whose}/{path}", 404, "not_found", json=body, headers=headers)
        await http.refused("PATCH", f"/tasks/{whose}", 404, "not_found", json={}, headers=headers)
        for kind in ("blocked", "blocking"):
            path = f"/graph/dependency-graph/task/{whose}/{kind}"
            await http.refused("GET", path, 404, "not_found", headers=headers)
    for path in (f"project/{http.project}", f"ticket/{http.ticket}"):
        headers = {"x-who": "sam"}
        await http.refused("GET", f"/graph/dependency-graph/{path}", 404, "not_found", headers=headers)
    for path, body in posts.items():
        if path != "check-circular":
            headers = {"x-who": "vera"}
            await http.refused("POST", f"/tasks/{task}/{path}", 403, "forbidden", json=body, headers=headers)
