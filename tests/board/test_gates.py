"""Gates: what has to be shown, in which order it is waited for, and what is decided."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.board.gate_stage import GateStage, open_gates

from omniforge.board.vocabulary import PhaseId
from omniforge.core.actor import Role
from omniforge.db import Database

TRUE = {"commands": {"test": {"command": "true"}}}
FAIL = {"commands": {"test": {"command": "echo broken; exit 3"}}}
DOCUMENT = "# Scope\n\nSearch.\n\n# Acceptance criteria\n\n" + "It finds what people look for. " * 20


@pytest.fixture
async def stage(database: Database, tmp_path: Path) -> AsyncIterator[GateStage]:
    async with open_gates(database, tmp_path / "home") as stage:
        yield stage


async def analyzing(stage: GateStage, **fields: Any) -> str:
    return await stage.ticket(await stage.project(), phase_id="PHASE_REQUIREMENTS", **fields)


# --- definitions --------------------------------------------------------------------------------------------


async def test_a_project_has_the_default_gates_until_it_has_its_own(stage: GateStage) -> None:
    commands = {"build": {"command": "make"}, "test": {"command": "make test", "coverage_report": "c.xml"}}
    lists = {"forbidden_patterns": ["TODO"], "blocked_dependencies": ["left-pad"]}
    project_id = await stage.project(settings={"commands": commands, "coverage_minimum": 70, **lists})
    found = await stage.call("GET", "/phases/gates", project_id=project_id)
    gates = {gate["from_status"]: gate for gate in found["gates"]}
    assert (found["total"], [*gates]) == (4, ["analyzing", "building", "building-done", "testing"])
    assert all(gate["is_default"] for gate in gates.values())
    keys = {status: [check["key"] for check in gate["checks"]] for status, gate in gates.items()}
    assert keys == {
        "analyzing": [
            "tasks_completed",
            "spec_approved",
            "artifact_present",
            "content_length",
            "sections_present",
        ],
        "building": [
            "tasks_completed",
            "build",
            "test",
            "dependency_audit",
            "blocked_dependency",
            "forbidden_pattern",
        ],
        "building-done": ["tasks_completed", "artifact_present"],
        "testing": ["tasks_completed", "test", "maintainer"],
    }
    test = next(check for check in gates["building"]["checks"] if check["key"] == "test")
    assert test["coverage"] == {"report": "c.xml", "format": "cobertura", "minimum": 70}
    assert (test["tier"], test["waivable"], test["timeout_seconds"]) == (1, False, 600)


async def test_a_gate_is_replaced_told_and_reset(stage: GateStage) -> None:
    project_id = await stage.project()
    checks = [
        {"key": "unit", "kind": "command", "command": ["make", "unit"], "timeout_seconds": 60},
        {"key": "look", "kind": "approval", "role": "security", "prompt": "Safe?", "minimum": 2},
    ]
    path = "/phases/gates/building"
    made = await stage.call("PUT", path, project_id=project_id, checks=checks)
    assert (made["is_default"], [check["tier"] for check in made["checks"]]) == (False, [1, 3])
    again = await stage.call("PUT", path, project_id=project_id, checks=made["checks"])
    assert again == made
    back = await stage.http.delete(f"/api/v1{path}", params={"project_id": project_id})
    assert back.json()["is_default"] is True
    told = await stage.events("gate.updated")
    assert [event["payload"]["from_status"] for event in told] == ["building", "building"]
    assert told[0]["payload"]["changes"] == {"checks": [None, ["unit", "look"]]}


@pytest.mark.parametrize(
    ("check", "where"),
    [
        ({"kind": "command", "command": "x"}, "key"),
        ({"key": "a", "kind": "magic"}, "kind"),
        ({"key": "a", "kind": "command"}, ""),
        ({"key": "a", "kind": "command", "command": "x", "timeout_seconds": 4000}, "timeout_seconds"),
        ({"key": "a", "kind": "command", "command": "x", "cwd": "../.."}, "cwd"),
        ({"key": "a", "kind": "rule", "rule": "nothing"}, "rule"),
        ({"key": "a", "kind": "rule", "rule": "content_length", "params": {}}, "params.artifact_type"),
        ({"key": "a", "kind": "rule", "rule": "protected_path", "params": {"x": 1}}, "params.x"),
        (
            {"key": "a", "kind": "rule", "rule": "forbidden_pattern", "params": {"patterns": ["("]}},
            "params.patterns",
        ),
        ({"key": "a", "kind": "approval", "role": "king"}, "role"),
        ({"key": "a", "kind": "approval", "role": "ux", "minimum": 0}, "minimum"),
        ({"key": "a", "kind": "approval", "role": "ux", "applies": "never"}, "applies"),
    ],
)
async def test_a_check_that_could_not_be_made_is_refused_with_its_place(
    stage: GateStage, check: dict[str, Any], where: str
) -> None:
    project_id = await stage.project()
    good = {"key": "ok", "kind": "command", "command": "true"}
    refused = await stage.call(
        "PUT", "/phases/gates/building", 422, project_id=project_id, checks=[good, check]
    )
    assert refused["error"] == "invalid"
    assert refused["details"]["fields"][0]["field"] == f"checks[1].{where}".rstrip(".")


async def test_two_checks_of_one_key_and_gates_that_are_none_are_refused(stage: GateStage) -> None:
    project_id = await stage.project()
    check = {"key": "a", "kind": "command", "command": "true"}
    await stage.call("PUT", "/phases/gates/testing", 422, project_id=project_id, checks=[check, check])
    await stage.call("PUT", "/phases/gates/backlog", 404, project_id=project_id, checks=[])
    await stage.call("GET", "/phases/gates", 404, project_id="project-none")


async def test_whoever_empties_the_last_gate_still_has_to_be_looked_at(stage: GateStage) -> None:
    ticket_id = await stage.testing()
    project_id = (await stage.row(ticket_id)).project_id
    put = await stage.call("PUT", "/phases/gates/testing", project_id=project_id, checks=[])
    assert [check["key"] for check in put["checks"]] == ["maintainer"]
    assert (await stage.advance(ticket_id))["reason"] == "gate_pending"
    assert (await stage.status(ticket_id))["readiness"] == "waiting_approval"


# --- every default gate -------------------------------------------------------------------------------------


async def test_analysis_without_a_spec_needs_a_document_that_says_something(stage: GateStage) -> None:
    ticket_id = await analyzing(stage)
    assert (await stage.status(ticket_id))["readiness"] == "waiting_tasks"
    await stage.settle_tasks(ticket_id)
    status = await stage.status(ticket_id)
    assert (status["readiness"], status["requirements_met"]) == ("ready", False)
    assert status["missing_artifacts"] == ["requirements_document"]
    await stage.artifact(ticket_id, "requirements_document", "PHASE_REQUIREMENTS", text="# Scope\n\nShort.")
    assert await stage.statuses(ticket_id) == {
        "tasks_completed": "pass",
        "artifact_present": "pass",
        "content_length": "fail",
        "sections_present": "fail",
    }
    await stage.artifact(ticket_id, "requirements_document", "PHASE_DESIGN", text=DOCUMENT)
    done = await stage.advance(ticket_id)
    assert done["hops"] == ["building"]
    decision = (await stage.decisions(ticket_id))[-1]
    assert (decision.decision, decision.from_status, decision.to_status) == ("go", "analyzing", "building")
    assert decision.id.startswith("gate")


async def test_analysis_of_an_approved_spec_needs_neither_tasks_nor_documents(stage: GateStage) -> None:
    project_id = await stage.project(settings={"require_spec_approval": True})
    spec_id = (await stage.call("POST", "/specs", 201, project_id=project_id, title="Search"))["id"]
    requirement = {"title": "Find", "action": "THE SYSTEM SHALL find.", "criteria": [{"text": "It finds."}]}
    await stage.call("POST", f"/specs/{spec_id}/requirements", 201, **requirement)
    ticket_id = await stage.ticket(project_id, phase_id="PHASE_REQUIREMENTS", spec_id=spec_id)
    await stage.settle_tasks(ticket_id)
    assert await stage.statuses(ticket_id) == {"tasks_completed": "pass", "spec_approved": "fail"}
    await stage.call("POST", f"/specs/{spec_id}/approve-requirements")
    await stage.call("PUT", f"/specs/{spec_id}/design", architecture="One part.", data_model="", api_spec=[])
    await stage.call("POST", f"/specs/{spec_id}/approve-design")
    later = await stage.ticket(project_id, title="Other", phase_id="PHASE_REQUIREMENTS", spec_id=spec_id)
    assert await stage.open_tasks(later) == []
    assert await stage.statuses(later) == {"tasks_completed": "pass", "spec_approved": "pass"}


async def test_building_runs_the_commands_of_the_project_in_a_sandbox_of_its_own(stage: GateStage) -> None:
    commands = {"build": {"command": "cat main.py"}, "test": {"command": "test -f main.py"}}
    ticket_id = await stage.building({"commands": commands})
    status = await stage.status(ticket_id)
    assert (status["readiness"], await stage.receipts(ticket_id)) == ("waiting_checks", [])
    await stage.advance(ticket_id)
    assert (await stage.row(ticket_id)).status == "done"
    receipts = await stage.receipts(ticket_id)
    assert [(one.check_key, one.passed, one.run_by) for one in receipts] == [
        ("build", True, "system:host"),
        ("test", True, "system:host"),
    ]
    (sandbox,) = await stage.sandboxes()
    assert (sandbox.kind, sandbox.state, sandbox.token_hash) == ("check", "terminated", None)
    assert stage.provider.places == {}
    built, handed, tested = await stage.decisions(ticket_id)
    assert built.tree_hash == receipts[0].tree_hash
    evidence = {one["key"]: one["evidence"] for one in built.criteria}
    assert evidence["test"] == receipts[1].id
    assert (handed.from_status, handed.decision) == ("building-done", "go")
    assert {one["key"]: one["evidence"] for one in tested.criteria}["test"] == receipts[1].id


async def test_the_order_of_the_log_is_evidence_then_decision_then_move(stage: GateStage) -> None:
    ticket_id = await stage.building(TRUE)
    await stage.advance(ticket_id)
    wanted = ("receipt.recorded", "gate.decided", "ticket.transitioned", "artifact.stored")
    told = [event["type"] for event in await stage.events(*wanted)]
    assert told[:1] == ["receipt.recorded"]
    assert [type_ for type_ in told if type_ != "artifact.stored"] == [
        "receipt.recorded",
        "gate.decided",
        "ticket.transitioned",
        "gate.decided",
        "ticket.transitioned",
        "gate.decided",
        "ticket.transitioned",
    ]
    decided = (await stage.events("gate.decided"))[0]["payload"]
    assert decided["criteria"] == [
        {"key": "tasks_completed", "tier": 2, "status": "pass"},
        {"key": "test", "tier": 1, "status": "pass"},
    ]


async def test_the_hand_over_is_put_together_by_the_board(stage: GateStage) -> None:
    ticket_id = await stage.building()
    await stage.bring(ticket_id, "building-done")
    status = await stage.status(ticket_id)
    assert (status["readiness"], status["missing_artifacts"]) == (
        "waiting_checks",
        ["handoff_documentation"],
    )
    assert (await stage.advance(ticket_id))["hops"] == ["testing"]


async def test_coverage_below_the_minimum_is_a_failure_that_says_so(stage: GateStage) -> None:
    report = '<coverage line-rate="0.6"></coverage>'
    write = f"printf '%s' '{report}' > cov.xml"
    ticket_id = await stage.building({"commands": {"test": {"command": write, "coverage_report": "cov.xml"}}})
    await stage.advance(ticket_id)
    check = await stage.check(ticket_id, "test")
    assert check["status"] == "fail"
    assert "60.00 % of at least 80 %" in check["detail"]
    assert (await stage.receipts(ticket_id))[0].coverage_percent == 60


async def test_testing_asks_a_maintainer_where_nothing_else_would_prove_it(stage: GateStage) -> None:
    ticket_id = await stage.testing()
    assert (await stage.advance(ticket_id))["reason"] == "gate_pending"
    (asked,) = await stage.asked()
    assert (asked["subject_type"], asked["subject_id"], asked["role"]) == (
        "gate_check",
        ticket_id,
        "maintainer",
    )
    assert asked["context"]["check_key"] == "maintainer"
    await stage.decide(asked["id"])
    assert (await stage.row(ticket_id)).status == "done"
    (decision,) = await stage.decisions(ticket_id)
    told = next(one for one in decision.criteria if one["key"] == "maintainer")
    assert (told["status"], told["approver"], told["evidence"]) == ("pass", "user:local", asked["id"])


async def test_testing_needs_the_criteria_of_the_ticket_and_ticks_them(stage: GateStage) -> None:
    project_id = await stage.project()
    criteria = [
        {"text": "It runs.", "kind": "command", "check": {"command": "test -f main.py"}},
        {"text": "It is nice."},
    ]
    ticket_id = await stage.ticket(project_id, phase_id="PHASE_IMPLEMENTATION", criteria=criteria)
    await stage.work(ticket_id)
    await stage.bring(ticket_id, "building-done", "testing")
    await stage.settle_tasks(ticket_id)
    await stage.advance(ticket_id)
    detail = await stage.call("GET", f"/tickets/{ticket_id}")
    assert detail["status"] == "done"
    assert [one["completed"] for one in detail["criteria"]] == [True, False]
    assert detail["criteria"][0]["receipt_id"] == (await stage.receipts(ticket_id))[0].id
    assert len(await stage.events("criterion.updated")) == 1


async def test_sentences_become_questions_where_the_project_wants_that(stage: GateStage) -> None:
    project_id = await stage.project(settings={"text_criteria": "approval"})
    criteria = [{"text": "It is nice."}, {"text": "It is fast."}]
    ticket_id = await stage.ticket(project_id, phase_id="PHASE_IMPLEMENTATION", criteria=criteria)
    await stage.bring(ticket_id, "building-done", "testing")
    await stage.settle_tasks(ticket_id)
    await stage.advance(ticket_id)
    asked = await stage.asked(role="product")
    assert {one["prompt"] for one in asked} == {"It is nice.", "It is fast."}
    await stage.decide(asked[0]["id"])
    assert (await stage.row(ticket_id)).status == "testing"
    await stage.decide(asked[1]["id"])
    assert (await stage.row(ticket_id)).status == "done"


# --- readiness, reuse, void ---------------------------------------------------------------------------------


async def test_things_are_waited_for_in_their_order(stage: GateStage) -> None:
    ticket_id = await stage.building(TRUE, done=False)
    project_id = (await stage.row(ticket_id)).project_id
    test = {"key": "test", "kind": "command", "command": "true"}
    look = {"key": "look", "kind": "approval", "role": "architecture", "prompt": "Good?"}
    tasks = {"key": "t", "kind": "rule", "rule": "tasks_completed"}
    tasks |= {"params": {"phases": ["PHASE_IMPLEMENTATION"], "minimum": 1}}
    checks = [look, test, tasks]
    await stage.call("PUT", "/phases/gates/building", project_id=project_id, checks=checks)
    seen = [(await stage.status(ticket_id))["readiness"]]
    await stage.settle_tasks(ticket_id)
    seen.append((await stage.status(ticket_id))["readiness"])
    assert await stage.asked() == []
    answer = await stage.http.post(f"/api/v1/tickets/{ticket_id}/validate-gate")
    assert (answer.status_code, answer.json()["gate_status"]) == (202, "pending")
    assert answer.json()["run_id"]
    await stage.rest()
    seen.append((await stage.status(ticket_id))["readiness"])
    (asked,) = await stage.asked()
    await stage.call("POST", f"/tickets/{ticket_id}/block", blocker_type="environment")
    seen.append((await stage.status(ticket_id))["readiness"])
    await stage.call("POST", f"/tickets/{ticket_id}/unblock")
    assert seen == ["waiting_tasks", "waiting_checks", "waiting_approval", "blocked"]
    await stage.decide(asked["id"])
    assert (await stage.row(ticket_id)).status != "building"


async def test_a_gate_without_checks_lets_through(stage: GateStage) -> None:
    ticket_id = await stage.building(FAIL)
    project_id = (await stage.row(ticket_id)).project_id
    await stage.call("PUT", "/phases/gates/building", project_id=project_id, checks=[])
    status = await stage.status(ticket_id)
    assert (status["readiness"], status["requirements_met"]) == ("not_configured", True)
    valid = await stage.call("POST", f"/tickets/{ticket_id}/validate-gate")
    assert (valid["gate_status"], valid["decision"]) == ("passed", None)


async def test_looking_at_a_gate_starts_nothing_and_moves_nothing(stage: GateStage) -> None:
    ticket_id = await stage.building(TRUE)
    before = len(await stage.events())
    await stage.status(ticket_id)
    await stage.call("GET", f"/tickets/{ticket_id}")
    assert (await stage.evaluations(), len(await stage.events())) == (0, before)


async def test_a_refused_move_starts_what_the_gate_lacks(stage: GateStage) -> None:
    ticket_id = await stage.building(TRUE)
    path = f"/tickets/{ticket_id}/transition"
    refused = await stage.call("POST", path, 409, to_status="building-done")
    assert (refused["error"], refused["details"]["readiness"]) == ("gate_pending", "waiting_checks")
    await stage.rest()
    assert (await stage.row(ticket_id)).status == "done"


async def test_the_same_files_are_not_tested_twice(stage: GateStage) -> None:
    ticket_id = await stage.building(TRUE)
    await stage.task(ticket_id, PhaseId.TESTING)
    await stage.advance(ticket_id)
    assert (await stage.row(ticket_id)).status == "testing"
    await stage.settle_tasks(ticket_id)
    await stage.advance(ticket_id)
    assert (await stage.row(ticket_id)).status == "done"
    assert (len(await stage.receipts(ticket_id)), await stage.evaluations()) == (1, 1)


async def test_what_was_shown_a_day_ago_for_something_else_is_shown_again(stage: GateStage) -> None:
    ticket_id = await stage.building(TRUE)
    await stage.task(ticket_id, PhaseId.TESTING)
    await stage.advance(ticket_id)
    await stage.settle_tasks(ticket_id)
    assert (await stage.statuses(ticket_id))["test"] == "pass"
    await stage.age(ticket_id, hours=25)
    assert (await stage.statuses(ticket_id))["test"] == "pending"
    await stage.advance(ticket_id)
    assert len(await stage.receipts(ticket_id)) == 2


async def test_a_later_edit_voids_what_was_shown(stage: GateStage) -> None:
    settings = {**TRUE, "approver_roles": {}}
    ticket_id = await stage.building(settings)
    project_id = (await stage.row(ticket_id)).project_id
    checks = [
        {"key": "test", "kind": "command", "command": "true"},
        {"key": "look", "kind": "approval", "role": "ux", "prompt": "Good?"},
    ]
    await stage.call("PUT", "/phases/gates/building", project_id=project_id, checks=checks)
    await stage.advance(ticket_id)
    assert (await stage.statuses(ticket_id)) == {"test": "pass", "look": "pending"}
    await stage.work(ticket_id, {"main.py": "print('other')\n"})
    assert (await stage.status(ticket_id))["readiness"] == "waiting_checks"
    (asked,) = await stage.asked()
    await stage.decide(asked["id"])
    await stage.rest()
    first, second = await stage.receipts(ticket_id)
    assert (await stage.row(ticket_id)).status != "building"
    assert first.tree_hash != second.tree_hash
    assert (first.voided_at is None, second.voided_at) == (False, None)
    assert [event["payload"]["receipt_id"] for event in await stage.events("receipt.voided")] == [first.id]


async def test_forged_claims_satisfy_nothing(stage: GateStage) -> None:
    ticket_id = await stage.building(FAIL)
    project_id = (await stage.row(ticket_id)).project_id
    present = {"kind": "rule", "rule": "artifact_present"}
    checks = [
        {"key": "a", **present, "params": {"artifact_type": "test_results"}},
        {"key": "b", **present, "params": {"artifact_type": "test_coverage"}},
        {"key": "c", **present, "params": {"artifact_type": "code_changes"}},
        {"key": "test", "kind": "command", "command": "exit 1"},
    ]
    await stage.call("PUT", "/phases/gates/building", project_id=project_id, checks=checks)
    for kind in ("test_results", "test_coverage", "code_changes"):
        await stage.artifact(ticket_id, kind, "PHASE_IMPLEMENTATION", passed=100, failed=0)
    assert set((await stage.statuses(ticket_id)).values()) == {"fail", "pending"}
    await stage.advance(ticket_id)
    assert (await stage.statuses(ticket_id))["test"] == "fail"
    assert (await stage.row(ticket_id)).status == "building"


async def test_an_evaluation_that_breaks_can_be_asked_for_again(stage: GateStage) -> None:
    ticket_id = await stage.building(TRUE)
    stage.provider.broken.add("write_tree")
    answer = await stage.http.post(f"/api/v1/tickets/{ticket_id}/validate-gate")
    run_id = answer.json()["run_id"]
    again = await stage.http.post(f"/api/v1/tickets/{ticket_id}/validate-gate")
    assert again.json()["run_id"] == run_id
    await stage.runs.engine.control.cancel("default", run_id, "user:local")
    await stage.rest()
    assert (await stage.status(ticket_id))["readiness"] == "waiting_checks"
    stage.provider.broken.clear()
    other = await stage.http.post(f"/api/v1/tickets/{ticket_id}/validate-gate")
    assert other.json()["run_id"] != run_id
    await stage.rest()
    assert (await stage.row(ticket_id)).status == "done"
    assert {row.state for row in await stage.sandboxes()} == {"terminated"}


# --- no-go --------------------------------------------------------------------------------------------------


async def test_without_autonomy_a_no_holds_the_ticket_and_tells_why(stage: GateStage) -> None:
    ticket_id = await stage.building(FAIL)
    await stage.advance(ticket_id)
    ticket = await stage.call("GET", f"/tickets/{ticket_id}")
    assert (ticket["status"], ticket["pending_transition"]["reason"]) == ("building", "gate_no_go")
    assert ticket["last_decision"]["decision"] == "no-go"
    assert ticket["open_tasks"] == 0
    path = f"/tickets/{ticket_id}/transition"
    refused = await stage.call("POST", path, 409, to_status="building-done")
    assert refused["error"] == "gate_no_go"
    assert {one["key"]: one["status"] for one in refused["details"]["criteria"]}["test"] == "fail"
    assert len(await stage.decisions(ticket_id)) == 1


async def test_a_no_makes_work_until_it_was_mended_too_often(stage: GateStage) -> None:
    ticket_id = await stage.building({**FAIL, "max_remediations": 2}, autonomous=True)
    for count in (1, 2):
        await stage.move_on(ticket_id)
        (task,) = await stage.open_tasks(ticket_id)
        assert (task.task_type, task.phase_id) == ("remediation", "PHASE_IMPLEMENTATION")
        assert "broken" in (task.description or "")
        assert (await stage.row(ticket_id)).remediations == count
        await stage.move_on(ticket_id)
        assert len(await stage.open_tasks(ticket_id)) == 1
        await stage.settle_tasks(ticket_id)
    await stage.move_on(ticket_id)
    ticket = await stage.row(ticket_id)
    assert (ticket.is_blocked, ticket.blocker_type) == (True, "failing_checks")
    assert [one["ref"] for one in ticket.blockers] == ["test"]
    assert await stage.open_tasks(ticket_id) == []
    assert len(await stage.receipts(ticket_id)) == 3


async def test_a_no_in_testing_sends_back_and_everything_is_proved_again(stage: GateStage) -> None:
    settings = {"commands": {"test": {"command": "grep -q good main.py"}}}
    ticket_id = await stage.building(settings, autonomous=True)
    await stage.work(ticket_id, {"main.py": "good\n"})
    await stage.task(ticket_id, PhaseId.TESTING)
    await stage.advance(ticket_id)
    assert (await stage.row(ticket_id)).status == "testing"
    await stage.work(ticket_id, {"main.py": "bad\n"})
    await stage.settle_tasks(ticket_id)
    await stage.move_on(ticket_id)
    ticket = await stage.row(ticket_id)
    assert (ticket.status, ticket.remediations) == ("building", 1)
    (task,) = await stage.open_tasks(ticket_id)
    assert task.task_type == "remediation"
    await stage.work(ticket_id, {"main.py": "good\n"})
    assert (await stage.statuses(ticket_id))["test"] == "pending"
    await stage.settle_tasks(ticket_id)
    await stage.move_on(ticket_id)
    await stage.settle_tasks(ticket_id)
    await stage.move_on(ticket_id)
    assert (await stage.row(ticket_id)).status == "done"
    history = (await stage.call("GET", f"/tickets/{ticket_id}/history"))["history"]
    assert next(row["cause"] for row in history if row["to_status"] == "building") == "regress"


async def test_without_automatic_return_a_no_in_testing_holds(stage: GateStage) -> None:
    ticket_id = await stage.testing({**FAIL, "auto_regress": False}, autonomous=True)
    await stage.move_on(ticket_id)
    ticket = await stage.row(ticket_id)
    assert (ticket.status, (ticket.pending_transition or {})["reason"]) == ("testing", "gate_no_go")


async def test_sending_back_into_a_full_column_waits_and_counts_once(stage: GateStage) -> None:
    ticket_id = await stage.testing(FAIL, autonomous=True)
    project_id = (await stage.row(ticket_id)).project_id
    await stage.ticket(project_id, title="Other", phase_id="PHASE_IMPLEMENTATION")
    await stage.call("PATCH", "/board/columns/building", project_id=project_id, wip_limit=1)
    for _ in range(3):
        await stage.move_on(ticket_id)
    ticket = await stage.row(ticket_id)
    assert (ticket.status, ticket.remediations, ticket.held_for) == ("testing", 1, "building")


# --- waiving ------------------------------------------------------------------------------------------------


async def test_a_failed_rule_is_set_aside_under_conditions(stage: GateStage) -> None:
    ticket_id = await stage.building({"forbidden_patterns": ["hello"]})
    await stage.advance(ticket_id)
    check = await stage.check(ticket_id, "forbidden_pattern")
    assert (check["status"], check["waivable"]) == ("fail", True)
    assert "main.py" in check["detail"]
    path = f"/tickets/{ticket_id}/waive"
    given: dict[str, Any] = {"check_key": "forbidden_pattern", "rationale": "A greeting."}
    await stage.call("POST", path, 422, **given)
    await stage.call("POST", path, 422, **given, conditions=[])
    conditions = [{"text": "Take it out in June.", "due_at": "2027-06-01T00:00:00Z"}]
    viewer = await stage.sign_in(Role.OPERATOR)
    refused = await viewer.post(f"/api/v1{path}", json={**given, "conditions": conditions})
    assert refused.status_code == 403
    told = await stage.call("POST", path, **given, conditions=conditions)
    assert (told["readiness"], told["requirements_met"]) == ("ready", True)
    shown = {one["key"]: one for one in told["criteria"]}["forbidden_pattern"]
    assert (shown["status"], shown["approver"], shown["rationale"]) == ("waived", "user:local", "A greeting.")
    assert told["last_decision"]["decision"] == "conditional-go"
    assert told["last_decision"]["conditions"][0]["text"] == "Take it out in June."
    assert (await stage.row(ticket_id)).status != "building"
    decided = (await stage.events("approval.decided"))[-1]["payload"]
    assert (decided["decision"], decided["rationale"]) == ("waive", "A greeting.")


async def test_only_what_failed_and_may_be_is_set_aside(stage: GateStage) -> None:
    ticket_id = await stage.building({**FAIL, "protected_paths": ["secret/"]})
    await stage.advance(ticket_id)
    path = f"/tickets/{ticket_id}/waive"
    more = {"rationale": "Because.", "conditions": ["Later."]}
    for key in ("test", "protected_path"):
        refused = await stage.call("POST", path, 409, check_key=key, **more)
        assert refused["error"] == "precondition_failed"
    await stage.call("POST", path, 422, check_key="nothing", **more)


async def test_a_waiver_counts_for_one_stay_only_and_lifts_the_block_it_answers(stage: GateStage) -> None:
    settings = {"forbidden_patterns": ["hello"], "max_remediations": 0}
    ticket_id = await stage.building(settings, autonomous=True)
    await stage.move_on(ticket_id)
    assert (await stage.row(ticket_id)).is_blocked
    more = {"rationale": "A greeting.", "conditions": ["Later."]}
    await stage.call("POST", f"/tickets/{ticket_id}/waive", check_key="forbidden_pattern", **more)
    ticket = await stage.row(ticket_id)
    assert (ticket.is_blocked, ticket.status) == (False, "testing")
    await stage.call("POST", f"/tickets/{ticket_id}/regress", feedback="Again.")
    assert (await stage.statuses(ticket_id))["forbidden_pattern"] == "fail"


# --- decisions ----------------------------------------------------------------------------------------------


async def test_decisions_are_listed_and_found(stage: GateStage) -> None:
    ticket_id = await stage.building(FAIL)
    await stage.advance(ticket_id)
    found = await stage.call("GET", "/phases/decisions", ticket_id=ticket_id, decision="no-go")
    assert (found["total"], found["limit"]) == (1, 50)
    one = await stage.call("GET", f"/phases/decisions/{found['decisions'][0]['id']}")
    assert one["criteria"][1]["detail"].startswith("It ended with 3")
    await stage.call("GET", "/phases/decisions/gate-none", 404)
    await stage.call("GET", "/phases/decisions", 404, ticket_id="ticket-none")


async def test_a_gate_can_be_asked_by_status_or_by_phase(stage: GateStage) -> None:
    ticket_id = await stage.building(TRUE)
    by_phase = await stage.status(ticket_id, phase_id="phase_testing")
    assert (by_phase["from_status"], by_phase["to_status"]) == ("testing", "done")
    backlog = await stage.status(ticket_id, from_status="backlog")
    assert (backlog["readiness"], backlog["to_status"]) == ("not_configured", "analyzing")
    await stage.call(
        "GET", f"/tickets/{ticket_id}/gate-status", 422, phase_id="PHASE_TESTING", from_status="building"
    )
    other = await stage.call("POST", f"/tickets/{ticket_id}/validate-gate", from_status="testing")
    assert (other["gate_status"], other["run_id"]) == ("pending", None)


async def test_two_who_judge_at_once_leave_one_decision(stage: GateStage) -> None:
    ticket_id = await stage.building()
    await asyncio.gather(*(stage.call("POST", f"/tickets/{ticket_id}/validate-gate") for _ in range(3)))
    assert len(await stage.decisions(ticket_id)) == 1
