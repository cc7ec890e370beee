"""A spec from one line: through six phases, told what is wrong, resumed where it stopped."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import select
from tests.board.generation_stage import QUESTIONS, WISH, GenerationStage, good, open_generation

from omniforge.board.store.specs import PhaseRunRow
from omniforge.core.actor import Role
from omniforge.db import Database
from omniforge.llm.scripts import FaultKind, ToolUse, Turn

PHASES = ["understand", "research", "requirements", "design", "tickets", "tasks"]


@pytest.fixture
async def stage(database: Database, tmp_path: Path) -> AsyncIterator[GenerationStage]:
    async with open_generation(database, tmp_path / "home") as stage:
        yield stage


async def test_one_line_becomes_a_whole_spec(stage: GenerationStage) -> None:
    spec_id = await stage.spec(commands={"test": {"command": "pytest -q"}})
    look = Turn(tools=(ToolUse("read_file", {"path": "src/orders.py"}),))
    stage.author.answers["research"] = [look]
    started = await stage.generate(spec_id)
    assert started["current_phase"] == "understand"
    assert await stage.status(started["run_id"]) == "completed"
    spec = await stage.call("GET", f"/specs/{spec_id}")
    assert (spec["current_phase"], spec["status"], spec["linked_tickets"]) == ("complete", "executing", 2)
    assert [each["ref"] for each in spec["requirements"]] == [f"REQ-ORDER-API-00{n}" for n in (1, 2, 3)]
    assert spec["requirements_approved_by"] == spec["design_approved_by"] == "system:evaluator"
    assert spec["design"]["architecture"] == "One service over the orders."
    assert sorted(task["title"] for task in spec["tasks"]) == [
        "Test the index",
        "Write the index",
        "Write the page",
    ]
    rows = await stage.phases(spec_id)
    assert [(row["phase"], row["attempt"], row["status"]) for row in rows] == [
        (p, 1, "passed") for p in PHASES
    ]
    assert [row["turns"] for row in rows] == [1, 2, 1, 1, 1, 1]
    assert {row["run_id"] for row in rows} == {started["run_id"]}
    passed = await stage.told("spec.phase_passed")
    assert [each["checkpoint_id"] for each in passed] == [row["id"] for row in rows]
    assert "ORDERS = []" in stage.author.told("research")[1]
    assert WISH in stage.author.told("understand")[0]
    assert "pytest -q" in stage.author.told("tasks")[0]
    stored = await stage.runs.engine.store.run(started["run_id"])
    assert stored is not None
    assert set(stored.steps) == set(PHASES)


async def test_what_is_wrong_is_told_and_mended(stage: GenerationStage) -> None:
    spec_id = await stage.spec()
    bad = good("requirements")
    bad["requirements"] = bad["requirements"][:2]
    stage.author.answers["requirements"] = [bad]
    started = await stage.generate(spec_id)
    assert await stage.status(started["run_id"]) == "completed"
    first, second = stage.author.told("requirements")
    reason = f"story 3 is covered by no requirement: {good('understand')['stories'][2]}"
    assert reason not in first
    assert reason in second
    rows = [row for row in await stage.phases(spec_id) if row["phase"] == "requirements"]
    assert [(row["attempt"], row["status"], row["reasons"]) for row in rows] == [
        (1, "failed", [reason]),
        (2, "passed", []),
    ]
    failed = await stage.told("spec.phase_failed")
    assert [(each["reasons"], each["final"]) for each in failed] == [([reason], False)]
    spec = await stage.call("GET", f"/specs/{spec_id}")
    assert len(spec["requirements"]) == 3


async def test_after_three_attempts_it_stops_and_goes_on_from_there(stage: GenerationStage) -> None:
    spec_id = await stage.spec()
    stage.author.answers["design"] = [good("design", errors=[]) for _ in range(3)]
    started = await stage.generate(spec_id)
    assert await stage.status(started["run_id"]) == "failed"
    assert [each["final"] for each in await stage.told("spec.phase_failed")] == [False, False, True]
    spec = await stage.call("GET", f"/specs/{spec_id}")
    assert (spec["current_phase"], spec["linked_tickets"]) == ("design", 0)
    refused = await stage.call("POST", f"/specs/{spec_id}/generate", 409, from_phase="tickets")
    assert (refused["error"], refused["details"]["missing"]) == ("precondition_failed", ["design"])
    before = len(stage.author.told("requirements"))
    again = await stage.generate(spec_id, from_phase="design")
    assert again["current_phase"] == "design"
    assert await stage.status(again["run_id"]) == "completed"
    assert len(stage.author.told("requirements")) == before
    spec = await stage.call("GET", f"/specs/{spec_id}")
    assert (spec["current_phase"], spec["linked_tickets"]) == ("complete", 2)


async def test_generating_a_phase_again_discards_what_came_after(stage: GenerationStage) -> None:
    spec_id = await stage.spec()
    await stage.generate(spec_id)
    fewer = good("tickets")
    fewer["tickets"][1] |= {"ref": "TKT-003", "title": "Show it otherwise"}
    stage.author.answers["tickets"] = [fewer]
    stage.author.answers["tasks"] = [{"tasks": []} for _ in range(3)]
    started = await stage.generate(spec_id, from_phase="tickets")
    assert await stage.status(started["run_id"]) == "failed"
    rows = await stage.phases(spec_id)
    assert [row["status"] for row in rows if row["phase"] == "tasks"] == ["failed"] * 4
    moved = good("tasks")
    moved["tasks"][2]["ticket"] = "TKT-003"
    stage.author.answers["tasks"] = [moved]
    await stage.generate(spec_id)
    tickets = (await stage.call("GET", f"/specs/{spec_id}/export"))["tickets"]
    assert [ticket["title"] for ticket in tickets] == ["Build the index", "Show it otherwise"]


async def test_it_waits_where_people_have_to_approve(stage: GenerationStage) -> None:
    spec_id = await stage.spec(require_spec_approval=True)
    started = await stage.generate(spec_id)
    run_id = started["run_id"]
    assert await stage.status(run_id) == "waiting"
    spec = await stage.call("GET", f"/specs/{spec_id}")
    assert (len(spec["requirements"]), spec["requirements_approved"]) == (3, False)
    changed = spec["requirements"][0]["id"]
    await stage.call("PATCH", f"/specs/{spec_id}/requirements/{changed}", title="Finds at once")
    inbox = (await stage.call("GET", "/approvals"))["approvals"]
    assert [(each["subject_id"], each["role"]) for each in inbox] == [(spec_id, "product")]
    busy = await stage.call("POST", f"/specs/{spec_id}/generate", 409)
    assert busy["error"] == "precondition_failed"
    no = {"decision": "reject", "rationale": "Name the customer."}
    await stage.call("POST", f"/approvals/{inbox[0]['id']}/decide", **no)

    async def asked_again() -> bool:
        return bool((await stage.call("GET", "/approvals"))["approvals"])

    await stage.until(asked_again)
    assert "Not approved: Name the customer." in stage.author.told("requirements")[1]
    await stage.call("POST", f"/specs/{spec_id}/approve-requirements")

    async def design_is_asked() -> bool:
        found = (await stage.call("GET", "/approvals"))["approvals"]
        return [each["role"] for each in found] == ["architecture"]

    await stage.until(design_is_asked)
    assert "Finds at once" in stage.author.told("design")[0]
    (asked,) = (await stage.call("GET", "/approvals"))["approvals"]
    await stage.call("POST", f"/approvals/{asked['id']}/decide", decision="approve")
    assert await stage.over(run_id) == "completed"
    spec = await stage.call("GET", f"/specs/{spec_id}")
    assert (spec["status"], spec["linked_tickets"]) == ("executing", 2)
    assert spec["requirements"][0]["title"] == "Finds at once"


async def test_questions_come_first_and_answers_are_kept(stage: GenerationStage) -> None:
    spec_id = await stage.spec()
    stage.author.answers["questions"] = [{"questions": QUESTIONS[:2]}]
    kept = [{"question": QUESTIONS[0], "answer": "Ignore it."}]
    assumed = [{"question": each, "assumption": "as usual"} for each in QUESTIONS[1:]]
    stage.author.answers["understand"] = [good("understand", questions=kept + assumed)]
    started = await stage.generate(spec_id, interactive=True)
    assert await stage.status(started["run_id"]) == "waiting"
    rows = await stage.phases(spec_id)
    assert rows[0]["reasons"] == ["ask 5 to 15 different questions, not 2"]
    assert rows[1]["output"]["asked"] == [{"question": each} for each in QUESTIONS]
    answered = await stage.generate(spec_id, answers=kept)
    assert answered["run_id"] == started["run_id"]
    assert await stage.over(started["run_id"]) == "completed"
    assert "Ignore it." in stage.author.told("understand")[0]


async def test_what_people_wrote_stays_and_what_was_generated_before_goes(stage: GenerationStage) -> None:
    spec_id = await stage.spec()
    own = {"title": "Is quick", "action": "THE SYSTEM SHALL answer at once.", "ref": "REQ-OWN-SLO-001"}
    await stage.call("POST", f"/specs/{spec_id}/requirements", 201, criteria=[{"text": "seen"}], **own)
    taken = good("requirements")
    taken["requirements"][0]["ref"] = "REQ-OWN-SLO-001"
    stage.author.answers["requirements"] = [taken]
    await stage.generate(spec_id)
    assert "Is quick" in stage.author.told("requirements")[0]
    assert "REQ-OWN-SLO-001: this is there already" in stage.author.told("requirements")[1]
    others = {phase: good(phase) for phase in ("requirements", "design", "tickets")}
    for phase, answer in others.items():
        renamed = json.loads(json.dumps(answer).replace("REQ-ORDER-API-003", "REQ-ORDER-API-004"))
        stage.author.answers[phase] = [renamed]
    again = await stage.generate(spec_id, from_phase="requirements")
    assert await stage.status(again["run_id"]) == "completed"
    spec = await stage.call("GET", f"/specs/{spec_id}")
    refs = [each["ref"] for each in spec["requirements"]]
    assert refs == ["REQ-OWN-SLO-001", "REQ-ORDER-API-001", "REQ-ORDER-API-002", "REQ-ORDER-API-004"]
    assert (spec["linked_tickets"], len(spec["tasks"]), spec["status"]) == (2, 3, "executing")


async def test_a_run_that_is_cancelled_leaves_nothing_under_way(stage: GenerationStage) -> None:
    spec_id = await stage.spec()
    started = await stage.generate(spec_id, interactive=True)
    busy = await stage.call("POST", f"/specs/{spec_id}/generate", 409)
    assert (busy["error"], busy["details"]["run_id"]) == ("precondition_failed", started["run_id"])
    await stage.runs.engine.control.cancel("default", started["run_id"], "user:local")

    async def told() -> bool:
        return [each["final"] for each in await stage.told("spec.phase_failed")] == [True]

    await stage.until(told)
    assert [row["status"] for row in await stage.phases(spec_id)] == ["failed"]
    again = await stage.generate(spec_id, description="By word only", answers=[])
    assert await stage.status(again["run_id"]) == "completed"
    assert "By word only" in stage.author.told("understand")[0]
    assert (await stage.call("GET", f"/specs/{spec_id}"))["description"] == "By word only"


async def test_an_answer_that_was_kept_is_not_asked_for_again(stage: GenerationStage) -> None:
    """As after a crash between the model's answer and its evaluation."""
    spec_id = await stage.spec()
    stage.author.answers["questions"] = [{"questions": QUESTIONS}]
    started = await stage.generate(spec_id, interactive=True)
    async with stage.db.transaction() as session:
        row = (await session.scalars(select(PhaseRunRow))).one()
        asked = [{"question": each, "answer": "", "assumption": "so"} for each in QUESTIONS]
        row.output = good("understand", questions=asked, asked=asked)
    await stage.runs.engine.control.answer("default", started["run_id"], "understand", "system:test", None)
    assert await stage.over(started["run_id"]) == "completed"
    assert stage.author.told("understand") == []
    rows = await stage.phases(spec_id)
    assert [(row["phase"], row["attempt"]) for row in rows] == [(phase, 1) for phase in PHASES]


async def test_an_attempt_that_takes_too_many_turns_is_over(stage: GenerationStage) -> None:
    spec_id = await stage.spec()
    look = Turn(tools=(ToolUse("list_files", {"pattern": "*"}),))
    stage.author.answers["research"] = [look] * 20
    started = await stage.generate(spec_id)
    assert await stage.status(started["run_id"]) == "completed"
    rows = [row for row in await stage.phases(spec_id) if row["phase"] == "research"]
    assert [(row["status"], row["turns"]) for row in rows] == [("failed", 20), ("passed", 1)]
    assert "src/orders.py" in stage.author.told("research")[-2]


async def test_of_two_at_once_one_is_begun(stage: GenerationStage) -> None:
    spec_id = await stage.spec()
    path = f"/api/v1/specs/{spec_id}/generate"
    answers = await asyncio.gather(*(stage.http.post(path) for _ in range(3)))
    assert sorted(answer.status_code for answer in answers) == [202, 409, 409]
    begun = next(answer.json() for answer in answers if answer.status_code == 202)
    assert await stage.over(begun["run_id"]) == "completed"
    assert {row["run_id"] for row in await stage.phases(spec_id)} == {begun["run_id"]}


async def test_an_archived_spec_and_an_unknown_agent_are_refused(stage: GenerationStage) -> None:
    spec_id = await stage.spec()
    unknown = await stage.call("POST", f"/specs/{spec_id}/generate", 404, agent_id="nobody")
    assert unknown["error"] == "not_found"
    await stage.call("DELETE", f"/specs/{spec_id}")
    refused = await stage.call("POST", f"/specs/{spec_id}/generate", 409)
    assert refused["error"] == "precondition_failed"


async def test_without_a_model_it_says_so(database: Database, tmp_path: Path) -> None:
    async with open_generation(database, tmp_path / "home", has_model=False) as stage:
        spec_id = await stage.spec()
        refused = await stage.call("POST", f"/specs/{spec_id}/generate", 409)
        assert refused["error"] == "model_not_configured"
        assert await stage.phases(spec_id) == []
        unknown = await stage.call("POST", "/specs/spec-unknown/generate", 404)
        assert unknown["error"] == "not_found"


async def test_a_model_that_does_not_answer_ends_it(stage: GenerationStage) -> None:
    spec_id = await stage.spec()
    stage.author.answers["understand"] = [Turn(fault=FaultKind.UNAUTHORIZED) for _ in range(3)]
    started = await stage.generate(spec_id)
    assert await stage.status(started["run_id"]) == "failed"
    rows = await stage.phases(spec_id)
    assert [(row["status"], len(row["reasons"])) for row in rows] == [("failed", 1)] * 3


async def test_who_only_looks_starts_nothing(stage: GenerationStage) -> None:
    spec_id = await stage.spec()
    async with await stage.sign_in(Role.VIEWER) as viewer:
        assert (await viewer.post(f"/api/v1/specs/{spec_id}/generate")).status_code == 403
    bad = await stage.call("POST", f"/specs/{spec_id}/generate", 422, from_phase="complete")
    assert bad["error"] == "invalid"
