"""Results and reports as people see them: claims and words, which prove nothing and move nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.board.proof_stage import ProofStage

from omniforge.db import Database

GIVEN = {
    "report_type": "analysis",
    "summary": "Why it was slow",
    "markdown": "# Slow\n\nAn index was missing.",
}


@pytest.fixture
async def stage(database: Database, tmp_path: Path) -> ProofStage:
    return await ProofStage(database, tmp_path / "kept").open()


async def test_a_report_is_attached_to_a_task_or_a_ticket(stage: ProofStage) -> None:
    async with stage.http() as http:
        made = await http.ask("POST", "/results", 201, json={**GIVEN, "task_id": stage.task})
        assert (made["ticket_id"], made["task_id"]) == (stage.ticket, stage.task)
        assert (made["verification_status"], made["created_by"]) == ("unverified", "user:local")
        both = {**GIVEN, "task_id": stage.task, "ticket_id": stage.ticket}
        await http.ask("POST", "/results", 201, json=both)
        of_ticket = await http.ask("POST", "/results", 201, json={**GIVEN, "ticket_id": stage.ticket})
        assert of_ticket["task_id"] is None
        shown = await http.ask("GET", f"/results/{made['id']}", who="vera")
        assert shown == {**made, "kind": "report"}
    told = (await stage.stage.payloads("report.attached"))[0]
    ids = {"project_id": stage.project, "ticket_id": stage.ticket, "task_id": stage.task}
    assert told == {"report_id": made["id"], "report_type": "analysis", "ids": ids}
    assert (await stage.row()).status == "building"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({}, "ticket_id"),
        ({"ticket_id": "TICKET", "report_type": "poem"}, "report_type"),
        ({"ticket_id": "TICKET", "summary": "  "}, "summary"),
        ({"ticket_id": "TICKET", "markdown": "é" * 60_000}, "markdown"),
        ({"ticket_id": "TICKET", "markdown_path": "/etc/passwd"}, "markdown_path"),
        ({"ticket_id": "OTHER", "task_id": "TASK"}, "ticket_id"),
    ],
)
async def test_reports_that_are_refused(stage: ProofStage, change: dict[str, Any], field: str) -> None:
    other = await stage.stage.ticket(stage.project)
    names = {"TICKET": stage.ticket, "TASK": stage.task, "OTHER": other}
    given = {**GIVEN, **{name: names.get(value, value) for name, value in change.items()}}
    async with stage.http() as http:
        details = await http.refused("POST", "/results", 422, "invalid", json=given)
        assert [one["field"] for one in details["fields"]] == [field]
        for who in ("local", "sam"):
            unknown = {**GIVEN, "task_id": stage.task if who == "sam" else "nothing"}
            await http.refused("POST", "/results", 404, "not_found", who=who, json=unknown)
        own = {**GIVEN, "ticket_id": stage.ticket}
        await http.refused("POST", "/results", 403, "forbidden", who="vera", json=own)


@pytest.mark.parametrize(("status", "feedback"), [("verified", None), ("disputed", "The numbers differ.")])
async def test_somebody_else_judges_a_report_once(
    stage: ProofStage, status: str, feedback: str | None
) -> None:
    async with stage.http() as http:
        made = await http.ask("POST", "/results", 201, json={**GIVEN, "ticket_id": stage.ticket})
        path, given = f"/results/{made['id']}/verify", {"verification_status": status, "feedback": feedback}
        await http.refused("POST", path, 409, "precondition_failed", json=given)
        await http.refused("POST", path, 403, "forbidden", who="vera", json=given)
        await http.refused("POST", path, 404, "not_found", who="sam", json=given)
        judged = await http.ask("POST", path, who="otto", json=given)
        expected = {"verification_status": status, "verified_by": "user:otto", "feedback": feedback}
        assert judged == {**made, **expected}
        details = await http.refused("POST", path, 409, "precondition_failed", who="otto", json=given)
        assert details["verification_status"] == status
        unverified = {"verification_status": "unverified"}
        await http.refused("POST", path, 422, "invalid", who="otto", json=unverified)
    (told,) = await stage.stage.payloads(f"report.{status}")
    assert told["by"] == "user:otto"
    assert told.get("feedback") == feedback


async def test_a_workers_result_cannot_be_judged_as_a_report(stage: ProofStage) -> None:
    result = await stage.result()
    async with stage.http() as http:
        given = {"verification_status": "verified"}
        for name in (result, "nothing"):
            await http.refused("POST", f"/results/{name}/verify", 404, "not_found", json=given)


async def test_results_are_found_by_task_ticket_project_and_status(stage: ProofStage) -> None:
    partial = await stage.result(status="partial")
    failed = await stage.result(status="failed", attempt=2)
    async with stage.http() as http:
        for query, ids in (
            ("", [failed, partial]),
            (f"task_id={stage.task}&status=partial", [partial]),
            (f"ticket_id={stage.ticket}", [failed, partial]),
            (f"project_id={stage.project}&limit=1", [failed]),
            ("project_id=nothing", []),
        ):
            found = await http.ask("GET", f"/results?{query}")
            assert [one["id"] for one in found["results"]] == ids
        assert (await http.ask("GET", "/results", who="sam"))["total"] == 0
        await http.refused("GET", "/results?status=great", 422, "invalid")


async def test_a_result_is_shown_with_the_receipts_of_its_attempt(stage: ProofStage) -> None:
    await stage.run(task_id=stage.task, attempt=1)
    receipt = await stage.run(task_id=stage.task, attempt=2)
    result = await stage.result(attempt=2, tests={"total": 3, "passed": 3, "failed": 0})
    async with stage.http() as http:
        shown = await http.ask("GET", f"/results/{result}")
        assert (shown["kind"], shown["verification"], shown["tests"]["passed"]) == ("result", "none", 3)
        assert [one["id"] for one in shown["receipts"]] == [receipt.id]
        for name in (result, "nothing"):
            await http.refused("GET", f"/results/{name}", 404, "not_found", who="sam")


async def test_a_ticket_has_results_and_reports_newest_first(stage: ProofStage) -> None:
    async with stage.http() as http:
        first = await stage.result()
        report = await http.ask("POST", "/results", 201, json={**GIVEN, "ticket_id": stage.ticket})
        last = await stage.result(attempt=2)
        path = f"/tickets/{stage.ticket}/results"
        found = await http.ask("GET", path)
        assert [(one["id"], one["kind"]) for one in found["results"]] == [
            (last, "result"),
            (report["id"], "report"),
            (first, "result"),
        ]
        assert found["results"][0]["receipts"] == []
        second = await http.ask("GET", f"{path}?limit=1&offset=1")
        assert [one["id"] for one in second["results"]] == [report["id"]]
        assert second["total"] == 3
        await http.refused("GET", path, 404, "not_found", who="sam")
