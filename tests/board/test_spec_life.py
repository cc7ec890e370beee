"""A spec goes from draft to completed; every change is a version, and may undo what was approved."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from board_stage import Stage, open_stage
from omniforge.board.store.evidence import ReceiptRow
from omniforge.board.store.tasks import TaskRow
from omniforge.board.store.tickets import CommitRow, TicketRow
from omniforge.core.actor import Role
from omniforge.core.clock import new_id
from omniforge.db import Database

Json = dict[str, Any]
DESIGN = {"architecture": "One service.", "data_model": "Orders.", "api_spec": []}
REQUIREMENT = {
    "title": "Keeps orders",
    "condition": "WHEN an order arrives",
    "action": "THE SYSTEM SHALL keep it.",
    "criteria": [{"text": "kept", "kind": "command", "check": {"command": "pytest -q"}}, {"text": "fast"}],
}


@pytest.fixture
async def stage(database: Database, tmp_path: Path) -> AsyncIterator[Stage]:
    async with open_stage(database, tmp_path / "home") as stage:
        yield stage


async def new_spec(stage: Stage, **settings: Any) -> str:
    project_id = await stage.project(settings=settings)
    return (await stage.call("POST", "/specs", 201, project_id=project_id, title="Shop orders"))["id"]


async def approved_spec(stage: Stage, **settings: Any) -> tuple[str, Json]:
    """A spec that is executing, and its requirement."""
    spec_id = await new_spec(stage, **settings)
    requirement = await stage.call("POST", f"/specs/{spec_id}/requirements", 201, **REQUIREMENT)
    await stage.call("POST", f"/specs/{spec_id}/approve-requirements")
    await stage.call("PUT", f"/specs/{spec_id}/design", **DESIGN)
    await stage.call("POST", f"/specs/{spec_id}/approve-design")
    return spec_id, requirement


async def kinds_of_versions(stage: Stage, spec_id: str) -> list[str]:
    listed = await stage.call("GET", f"/specs/{spec_id}/versions", limit=200)
    assert [each["version"] for each in listed["versions"]] == list(range(listed["total"], 0, -1))
    return [each["change_type"] for each in reversed(listed["versions"])]


async def test_from_draft_to_executing(stage: Stage) -> None:
    spec_id = await new_spec(stage)
    spec = await stage.call("GET", f"/specs/{spec_id}")
    assert (spec["status"], spec["phase"], spec["version"], spec["current_phase"]) == (
        "draft",
        "Requirements",
        1,
        "understand",
    )
    refusal = await stage.call("POST", f"/specs/{spec_id}/approve-requirements", 409)
    assert (refusal["error"], refusal["details"]["missing"]) == (
        "precondition_failed",
        [{"ref": "", "lacks": "a requirement"}],
    )
    bare = await stage.call(
        "POST", f"/specs/{spec_id}/requirements", 201, title="Answers", action="THE SYSTEM SHALL answer."
    )
    assert (bare["ref"], bare["status"], bare["criteria"]) == ("REQ-SHOP-API-001", "pending", [])
    assert (await stage.call("GET", f"/specs/{spec_id}"))["status"] == "requirements"
    refusal = await stage.call("POST", f"/specs/{spec_id}/approve-requirements", 409)
    assert refusal["details"]["missing"] == [{"ref": "REQ-SHOP-API-001", "lacks": "a criterion"}]
    path = f"/specs/{spec_id}/requirements/{bare['id']}"
    criterion = await stage.call("POST", f"{path}/criteria", 201, text="It answers")
    assert (criterion["kind"], criterion["completed"]) == ("text", False)
    spec = await stage.call("POST", f"/specs/{spec_id}/approve-requirements")
    assert (spec["status"], spec["phase"], spec["requirements_approved_by"]) == (
        "design",
        "Design",
        "user:local",
    )
    refusal = await stage.call("POST", f"/specs/{spec_id}/approve-design", 409)
    assert refusal["details"]["missing"] == [{"ref": "", "lacks": "a design with architecture"}]
    await stage.call("PUT", f"/specs/{spec_id}/design", **DESIGN)
    spec = await stage.call("POST", f"/specs/{spec_id}/approve-design")
    assert (spec["status"], spec["phase"]) == ("executing", "Implementation")
    before = len(await stage.events())
    again = await stage.call("POST", f"/specs/{spec_id}/approve-design")
    assert again == spec
    assert len(await stage.events()) == before
    assert await kinds_of_versions(stage, spec_id) == [
        "created",
        "updated",
        "updated",
        "requirements_approved",
        "updated",
        "design_approved",
    ]


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("PATCH", "/requirements/{req}", {"action": "THE SYSTEM SHALL keep all."}, "requirements"),
        ("DELETE", "/requirements/{req}", {}, "draft"),
        ("POST", "/requirements", {"title": "More", "action": "THE SYSTEM SHALL do more."}, "requirements"),
        ("PATCH", "/requirements/{req}/criteria/{crit}", {"text": "kept for ever"}, "requirements"),
        ("DELETE", "/requirements/{req}/criteria/{crit}", {}, "requirements"),
        ("PUT", "/design", {**DESIGN, "architecture": "Two services."}, "design"),
    ],
)
async def test_changing_what_was_approved_takes_the_approval_back(
    stage: Stage, method: str, path: str, body: Json, status: str
) -> None:
    spec_id, requirement = await approved_spec(stage)
    ids = {"req": requirement["id"], "crit": requirement["criteria"][0]["id"]}
    expected = 201 if method == "POST" else 200
    await stage.call(method, f"/specs/{spec_id}{path.format(**ids)}", expected, **body)
    spec = await stage.call("GET", f"/specs/{spec_id}")
    kept = status == "design"
    assert (spec["status"], spec["requirements_approved"], spec["design_approved"]) == (status, kept, False)
    assert (await kinds_of_versions(stage, spec_id))[-1] == "approval_cleared"
    cleared = await stage.events("spec.approval_cleared")
    assert [event["payload"]["part"] for event in cleared] == ["design" if kept else "requirements"]


async def test_what_says_nothing_new_leaves_the_approval(stage: Stage) -> None:
    spec_id, requirement = await approved_spec(stage)
    path = f"/specs/{spec_id}/requirements/{requirement['id']}"
    before = await kinds_of_versions(stage, spec_id)
    await stage.call("PATCH", path, title=requirement["title"])
    await stage.call("PUT", f"/specs/{spec_id}/design", **DESIGN)
    assert await kinds_of_versions(stage, spec_id) == before
    done = await stage.call("PATCH", path, status="completed")
    assert done["status"] == "completed"
    await stage.call("PATCH", f"{path}/criteria/{requirement['criteria'][1]['id']}", completed=True)
    spec = await stage.call("GET", f"/specs/{spec_id}")
    assert (spec["status"], spec["design_approved"]) == ("executing", True)
    assert spec["requirements"][0]["criteria"][1]["completed_by"] == "user:local"
    assert (await stage.call("PATCH", path, status=None))["status"] == "pending"


async def test_evidence_completes_what_is_checked_and_people_what_is_not(stage: Stage) -> None:
    spec_id, requirement = await approved_spec(stage)
    checked = requirement["criteria"][0]
    path = f"/specs/{spec_id}/requirements/{requirement['id']}/criteria/{checked['id']}"
    refusal = await stage.call("PATCH", path, 409, completed=True)
    assert refusal["error"] == "precondition_failed"
    changed = await stage.call("PATCH", path, kind="approval", check={"role": "security"})
    assert (changed["kind"], changed["check"]) == ("approval", {"role": "security"})
    for body in (
        {"kind": "command"},
        {"check": {"command": ""}},
        {"kind": "text", "check": {}},
        {"text": None},
    ):
        assert (await stage.call("PATCH", path, 422, **body))["error"] == "invalid"


async def test_every_part_of_a_path_has_to_fit(stage: Stage) -> None:
    spec_id, requirement = await approved_spec(stage)
    other_id, other = await approved_spec(stage)
    crit = requirement["criteria"][0]["id"]
    await stage.call("PATCH", f"/specs/{other_id}/requirements/{requirement['id']}", 404, title="x")
    path = f"/specs/{other_id}/requirements/{other['id']}/criteria/{crit}"
    await stage.call("PATCH", path, 404, text="x")
    await stage.call("DELETE", path, 404)
    await stage.call("GET", "/specs/nothing", 404)
    await stage.call("GET", f"/specs/{spec_id}/requirements/x", 405)


async def test_a_requirement_that_somebody_works_on_stays(stage: Stage) -> None:
    spec_id, requirement = await approved_spec(stage)
    await stage.call("POST", f"/specs/{spec_id}/tasks", 201, title="Do it")
    (task,) = (await stage.call("GET", f"/specs/{spec_id}/tasks"))["tasks"]
    path = f"/specs/{spec_id}/requirements/{requirement['id']}"
    await stage.bring(task["ticket_id"], "analyzing")
    shown = (await stage.call("GET", f"/specs/{spec_id}"))["requirements"][0]
    assert shown["status"] == "in_progress"
    refusal = await stage.call("DELETE", path, 409)
    assert "TKT-001 works on it" in refusal["message"]


async def test_refs_rise_and_are_never_given_twice(stage: Stage) -> None:
    spec_id = await new_spec(stage)
    path = f"/specs/{spec_id}/requirements"
    first = await stage.call("POST", path, 201, **REQUIREMENT)
    await stage.call("DELETE", f"{path}/{first['id']}")
    second = await stage.call("POST", path, 201, **REQUIREMENT)
    assert (first["ref"], second["ref"]) == ("REQ-SHOP-API-001", "REQ-SHOP-API-002")
    refusal = await stage.call("POST", path, 409, **REQUIREMENT, ref="REQ-SHOP-API-002")
    assert refusal["error"] == "name_taken"
    for body in ({"ref": "REQ-1"}, {"action": "It works."}, {"condition": "After all"}, {"category": "odd"}):
        assert (await stage.call("POST", path, 422, **(REQUIREMENT | body)))["error"] == "invalid"


async def test_a_task_goes_to_the_only_ticket_which_is_made_if_needed(stage: Stage) -> None:
    spec_id, _ = await approved_spec(stage)
    path = f"/specs/{spec_id}/tasks"
    first = await stage.call("POST", path, 201, title="Write it", phase="design", priority="high")
    assert (first["phase_id"], first["priority"], first["status"]) == ("PHASE_DESIGN", "HIGH", "pending")
    second = await stage.call(
        "POST", path, 201, title="Test it", phase="PHASE_TESTING", depends_on=[first["id"]]
    )
    assert (second["ticket_id"], second["depends_on"]) == (first["ticket_id"], [first["id"]])
    ticket = await stage.call("GET", f"/tickets/{first['ticket_id']}")
    assert (ticket["title"], ticket["spec_id"]) == ("Shop orders", spec_id)
    other = await stage.ticket(ticket["project_id"], "More", spec_id=spec_id)
    refusal = await stage.call("POST", path, 422, title="Where?")
    assert refusal["error"] == "ticket_required"
    assert {each["id"] for each in refusal["details"]["tickets"]} == {other, ticket["id"]}
    chosen = await stage.call("POST", path, 201, title="There", ticket_id=other)
    assert chosen["ticket_id"] == other
    stranger = await stage.ticket(ticket["project_id"], "Elsewhere")
    await stage.call("POST", path, 404, title="x", ticket_id=stranger)
    await stage.call("POST", path, 422, title="x", phase="Done")
    listed = await stage.call("GET", path, phase_id="PHASE_TESTING")
    assert [task["id"] for task in listed["tasks"]] == [second["id"]]


async def test_a_spec_is_completed_with_its_last_ticket(stage: Stage) -> None:
    spec_id, _ = await approved_spec(stage)
    await stage.call("POST", f"/specs/{spec_id}/tasks", 201, title="Do it")
    (task,) = (await stage.call("GET", f"/specs/{spec_id}/tasks"))["tasks"]
    ticket_id = task["ticket_id"]
    for status, phase in (("testing", "Testing"), ("done", "Done")):
        async with stage.db.transaction() as session:
            (await session.get_one(TicketRow, ticket_id)).status = status
            (await session.get_one(TaskRow, task["id"])).status = "completed"
        for row in (await stage.board.events.read("default", types=["ticket.created"]))[-1:]:
            await stage.board.specs.hear(row, "default")
            await stage.board.specs.hear(row, "default")
        spec = await stage.call("GET", f"/specs/{spec_id}")
        assert (spec["phase"], spec["progress"]) == (phase, 100.0)
    assert spec["status"] == "completed"
    assert spec["requirements"][0]["status"] == "completed"
    assert [event["payload"]["tickets"] for event in await stage.events("spec.completed")] == [1]
    await stage.call("POST", f"/specs/{spec_id}/requirements", 201, **REQUIREMENT)
    assert (await stage.call("GET", f"/specs/{spec_id}"))["status"] == "requirements"


async def test_figures_come_from_receipts_and_commits_only(stage: Stage) -> None:
    spec_id, _ = await approved_spec(stage)
    task = await stage.call("POST", f"/specs/{spec_id}/tasks", 201, title="Do it")
    for minute, (key, passed, coverage) in enumerate(
        (("a", False, None), ("a", True, 71.5), ("b", False, None))
    ):
        await add_receipt(stage, task["ticket_id"], key, passed=passed, minute=minute, coverage=coverage)
    await add_commit(stage, task["ticket_id"], "c1", ["a.py"], minute=0)
    execution = (await stage.call("GET", f"/specs/{spec_id}"))["execution"]
    assert execution == {
        "overall_progress": 0.0,
        "test_coverage": 71.5,
        "tests_total": 2,
        "tests_passing": 1,
        "running_sandboxes": 0,
        "commits": 1,
        "lines_added": 3,
        "lines_removed": 1,
    }


async def test_changes_versions_and_archiving(stage: Stage) -> None:
    spec_id = await new_spec(stage)
    spec = await stage.call("PATCH", f"/specs/{spec_id}", title="Orders", expected_version=1)
    assert (spec["title"], spec["version"]) == ("Orders", 2)
    refusal = await stage.call("PATCH", f"/specs/{spec_id}", 409, title="x", expected_version=1)
    assert refusal["error"] == "version_conflict"
    for body in ({"status": "completed"}, {"title": None}, {"title": ""}):
        assert (await stage.call("PATCH", f"/specs/{spec_id}", 422, **body))["error"] == "invalid"
    newest = (await stage.call("GET", f"/specs/{spec_id}/versions"))["versions"][0]
    assert newest["changes"] == {"title": ["Shop orders", "Orders"]}
    assert newest["snapshot"]["title"] == "Orders"
    await stage.call("DELETE", f"/specs/{spec_id}")
    path = f"/specs/project/{spec['project_id']}"
    assert (await stage.call("GET", path))["total"] == 0
    assert (await stage.call("GET", path, include_archived=True))["total"] == 1
    await stage.call("POST", f"/specs/{spec_id}/requirements", 409, **REQUIREMENT)
    await stage.call("PATCH", f"/specs/{spec_id}", archived=False)
    assert (await stage.call("GET", path, status="draft"))["total"] == 1
    assert (await stage.call("GET", f"/specs/{spec_id}/phases"))["phases"] == []


async def test_who_may_do_what(stage: Stage) -> None:
    spec_id, _ = await approved_spec(stage)
    viewer, operator = await stage.sign_in(Role.VIEWER), await stage.sign_in(Role.OPERATOR)
    base = f"/api/v1/specs/{spec_id}"
    assert (await viewer.get(base)).status_code == 200
    assert (await viewer.get(f"{base}/trace")).status_code == 200
    assert (await viewer.patch(base, json={"title": "x"})).status_code == 403
    assert (await viewer.post(f"{base}/import", json={})).status_code == 403
    assert (await operator.post(f"{base}/approve-design")).status_code == 403
    await stage.tenants.create_tenant("other", "Other")
    stranger = await stage.sign_in(Role.OWNER, "other")
    for path in (base, f"{base}/trace", f"{base}/export", f"{base}/versions", f"{base}/tasks"):
        assert (await stranger.get(path)).status_code == 404
    assert (await stranger.post(f"{base}/import", json={})).status_code == 404


async def test_where_people_approve_specs_it_takes_somebody_with_the_role(stage: Stage) -> None:
    spec_id = await new_spec(stage, require_spec_approval=True, self_approval=False)
    await stage.call("POST", f"/specs/{spec_id}/requirements", 201, **REQUIREMENT)
    refusal = await stage.call("POST", f"/specs/{spec_id}/approve-requirements", 403)
    assert refusal["message"] == "Somebody else has to approve what you changed."
    other = await stage.sign_in(Role.ADMIN)
    answer = await other.post(f"/api/v1/specs/{spec_id}/approve-requirements")
    assert answer.json()["status"] == "design"
    strict = await new_spec(stage, require_spec_approval=True, approver_roles={"product": ["somebody"]})
    await stage.call("POST", f"/specs/{strict}/requirements", 201, **REQUIREMENT)
    await stage.call("POST", f"/specs/{strict}/approve-requirements", 403)


# --- the trace ---------------------------------------------------------------------------------------------


async def add_receipt(
    stage: Stage,
    ticket_id: str,
    key: str,
    *,
    passed: bool = True,
    minute: int = 0,
    task_id: str | None = None,
    coverage: float | None = None,
    voided: bool = False,
) -> None:
    now = stage.board.clock.now()
    async with stage.db.transaction() as session:
        session.add(
            ReceiptRow(
                id=new_id("receipt"),
                tenant_id="default",
                ticket_id=ticket_id,
                task_id=task_id,
                phase_entry=1,
                check_key=key,
                command=key,
                cwd=".",
                exit_code=0 if passed else 1,
                passed=passed,
                output_hash="x",
                output_tail="",
                tree_hash="t",
                image="i",
                coverage_percent=coverage,
                started_at=now.replace(hour=1, minute=minute),
                duration_ms=1,
                run_by="system:host",
                voided_at=now if voided else None,
            )
        )


async def add_commit(
    stage: Stage, ticket_id: str, sha: str, files: list[str], *, minute: int, task_id: str | None = None
) -> None:
    now = stage.board.clock.now()
    async with stage.db.transaction() as session:
        ticket = await session.get_one(TicketRow, ticket_id)
        session.add(
            CommitRow(
                id=new_id("commit"),
                tenant_id="default",
                project_id=ticket.project_id,
                ticket_id=ticket_id,
                task_id=task_id,
                sha=sha,
                message="m",
                authored_at=now.replace(hour=1, minute=minute),
                insertions=3,
                deletions=1,
                files=files,
                method="result",
                created_at=now,
            )
        )


TRACED = """## REQ-SHOP-API-001: Kept
THE SYSTEM SHALL keep orders.
- [ ] kept `$ pytest -q`

## REQ-SHOP-API-002: Shown
THE SYSTEM SHALL show orders.
- [ ] seen

## TKT-001: Orders
Requirements: REQ-SHOP-API-001

Orders.

### TSK-001: Table
Files: src/**
- [ ] runs `$ make table`

### TSK-002: Words
- [ ] read `$ make words`

## TKT-002: Loose

Nothing behind it.

### TSK-003: Alone
"""


async def test_the_trace_leads_from_requirements_to_evidence_and_flags_what_has_parted(stage: Stage) -> None:
    spec_id = await new_spec(stage)
    answer = await stage.http.post(
        f"/api/v1/specs/{spec_id}/import", content=TRACED, headers={"content-type": "text/markdown"}
    )
    ids = {name: each["id"] for name, each in answer.json()["map"].items()}
    ticket, table, words = ids["TKT-001"], ids["TSK-001"], ids["TSK-002"]
    await add_receipt(stage, ticket, "pytest -q", minute=10)
    await add_receipt(stage, ticket, "make table", minute=1, task_id=table)
    await add_receipt(stage, ticket, "make lint", minute=10, voided=True)
    await add_commit(stage, ticket, "c1", ["src/table.py", "README.md"], minute=5, task_id=table)
    await add_commit(stage, ticket, "c2", ["other.py"], minute=4)
    async with stage.db.transaction() as session:
        (await session.get_one(TaskRow, words)).status = "completed"
    trace = await stage.call("GET", f"/specs/{spec_id}/trace")
    kept = trace["requirements"][0]
    assert kept["ticket_ids"] == [ticket]
    assert [each["check_key"] for each in kept["criteria"][0]["receipts"]] == ["pytest -q"]
    traced = trace["tickets"][0]
    assert [each["check_key"] for each in traced["receipts"]] == ["make lint"]
    files = {(each["path"], each["how"]): each for each in traced["tasks"][0]["files"]}
    assert set(files) == {("src/**", "owned"), ("src/table.py", "changed"), ("README.md", "changed")}
    assert files["src/table.py", "changed"]["commits"] == ["c1"]
    flags = {(each["flag"], each["of"], each["ref"]) for each in trace["drift"]}
    assert flags == {
        ("requirement_without_ticket", "requirement", "REQ-SHOP-API-002"),
        ("criterion_without_check", "criterion", "REQ-SHOP-API-002"),
        ("ticket_without_requirement", "ticket", "TKT-002"),
        ("task_without_requirement", "task", "TSK-003"),
        ("check_without_receipt", "criterion", "TSK-002"),
        ("receipt_outdated", "receipt", "TSK-001"),
        ("receipt_voided", "receipt", "make lint"),
        ("file_outside_owned", "file", "TSK-001 README.md"),
        ("file_outside_owned", "file", "TKT-001 other.py"),
    }
    assert trace["counts"]["file_outside_owned"] == 2
