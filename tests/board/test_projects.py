"""Projects are made with six columns, set up key by key, and put away."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from board_stage import Stage, open_stage
from omniforge.core.actor import Role
from omniforge.db import Database


@pytest.fixture
async def stage(database: Database, tmp_path: Path) -> AsyncIterator[Stage]:
    async with open_stage(database, tmp_path / "home") as stage:
        yield stage


async def test_a_project_has_six_columns_as_the_workflow_has_them(stage: Stage) -> None:
    project_id = await stage.project(name="Shop")
    columns = await stage.call("GET", "/board/columns", project_id=project_id)
    told = [(one["id"], one["name"], one["color"], one["wip_limit"]) for one in columns["columns"]]
    assert told == [
        ("backlog", "Backlog", "gray", None),
        ("analyzing", "Analyzing", "blue", 5),
        ("building", "Building", "yellow", 10),
        ("building-done", "Built", "orange", None),
        ("testing", "Testing", "purple", 8),
        ("done", "Done", "green", None),
    ]
    assert columns["total"] == 6
    (event,) = await stage.events("project.created")
    assert event["payload"] == {"name": "Shop", "ids": {"project_id": project_id}}


async def test_a_name_is_taken_once_among_projects_in_use(stage: Stage) -> None:
    first = await stage.project(name="Shop")
    refusal = await stage.call("POST", "/projects", 409, name="Shop")
    assert refusal["error"] == "name_taken"
    await stage.call("DELETE", f"/projects/{first}")
    second = await stage.project(name="Shop")
    assert (await stage.call("PATCH", f"/projects/{first}", 409, status="active"))["error"] == "name_taken"
    assert (await stage.call("PATCH", f"/projects/{second}", 200, name="Shop"))["name"] == "Shop"


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"colour": "red"}, "settings.colour"),
        ({"ticket_human_review": "sometimes"}, "settings.ticket_human_review"),
        ({"approval_timeout_seconds": 59}, "settings.approval_timeout_seconds"),
        ({"approval_timeout_seconds": 86_401}, "settings.approval_timeout_seconds"),
        ({"on_reject": "burn"}, "settings.on_reject"),
        ({"coverage_minimum": 101}, "settings.coverage_minimum"),
        ({"duplicate_threshold": 1.01}, "settings.duplicate_threshold"),
        ({"commands": {"deploy": {"command": "make"}}}, "settings.commands.deploy"),
        (
            {"commands": {"test": {"command": "make", "timeout_seconds": 0}}},
            "settings.commands.test.timeout_seconds",
        ),
        ({"approver_roles": {"king": []}}, "settings.approver_roles.king.[key]"),
        ({"forbidden_patterns": ["("]}, "settings.forbidden_patterns[0]"),
        ({"max_concurrent_sandboxes": 0}, "settings.max_concurrent_sandboxes"),
        ({"sandbox_provider": "moon"}, "settings.sandbox_provider"),
        ({"text_criteria": True}, "settings.text_criteria"),
    ],
)
async def test_every_setting_has_its_range(stage: Stage, settings: dict[str, Any], field: str) -> None:
    refusal = await stage.call("POST", "/projects", 422, name="Shop", settings=settings)
    assert refusal["error"] == "invalid"
    assert [one["field"] for one in refusal["details"]["fields"]] == [field]


async def test_settings_are_merged_by_key_and_null_takes_one_back(stage: Stage) -> None:
    project_id = await stage.project(settings={"coverage_minimum": 90, "on_reject": "delete"})
    path = f"/projects/{project_id}"
    kept = (await stage.call("PATCH", path, settings={"max_remediations": 1}))["settings"]
    assert (kept["coverage_minimum"], kept["on_reject"], kept["max_remediations"]) == (90, "delete", 1)
    kept = (await stage.call("PATCH", path, settings={"coverage_minimum": None}))["settings"]
    assert (kept["coverage_minimum"], kept["on_reject"]) == (80, "delete")


async def test_a_change_is_told_with_old_and_new_and_no_change_not_at_all(stage: Stage) -> None:
    project_id = await stage.project(name="Shop", description="Sells")
    path = f"/projects/{project_id}"
    await stage.call("PATCH", path, name="Store", description=None)
    await stage.call("PATCH", path, name="Store")
    (event,) = await stage.events("project.updated")
    assert event["payload"]["changes"] == {"name": ["Shop", "Store"], "description": ["Sells", None]}
    refusal = await stage.call("PATCH", path, 422, name=None, autonomous=None)
    assert {one["field"] for one in refusal["details"]["fields"]} == {"name", "autonomous"}
    assert (await stage.call("PATCH", path, 422, default_phase_id="PHASE_DESIGN"))["error"] == "invalid"
    shown = await stage.call("PATCH", path, default_phase_id="phase_requirements")
    assert shown["default_phase_id"] == "PHASE_REQUIREMENTS"


async def test_an_archived_project_takes_no_tickets_and_its_open_tasks_are_cancelled(stage: Stage) -> None:
    project_id = await stage.project()
    ticket_id = await stage.ticket(project_id, phase_id="PHASE_IMPLEMENTATION")
    await stage.call("DELETE", f"/projects/{project_id}")
    await stage.call("DELETE", f"/projects/{project_id}")
    assert len(await stage.events("project.archived")) == 1
    tasks = (await stage.call("GET", f"/tickets/{ticket_id}"))["tasks"]
    assert [task["status"] for task in tasks] == ["cancelled"]
    refusal = await stage.call("POST", "/tickets", 409, project_id=project_id, title="More")
    assert refusal["error"] == "precondition_failed"


async def test_lists_have_a_window_and_filters(stage: Stage) -> None:
    for name in ("Größe", "Shop", "Workshop"):
        await stage.project(name=name)
    found = await stage.call("GET", "/projects", search="SHOP", limit=1)
    assert (found["total"], found["limit"], found["offset"]) == (2, 1, 0)
    assert [one["name"] for one in found["projects"]] == ["Workshop"]
    assert (await stage.call("GET", "/projects", status="archived"))["total"] == 0
    for wrong in ({"limit": 0}, {"limit": 201}, {"offset": -1}, {"status": "gone"}, {"colour": "red"}):
        assert (await stage.call("GET", "/projects", 422, **wrong))["error"] == "invalid"


async def test_stats_count_one_project_only(stage: Stage) -> None:
    project_id, other = await stage.project(), await stage.project()
    await stage.ticket(project_id, phase_id="PHASE_IMPLEMENTATION")
    await stage.ticket(project_id)
    await stage.ticket(other)
    stats = await stage.call("GET", f"/projects/{project_id}/stats")
    assert stats["total_tickets"] == 2
    assert (stats["tickets_by_status"]["building"], stats["tickets_by_status"]["done"]) == (1, 0)
    assert stats["tickets_by_phase"]["PHASE_IMPLEMENTATION"] == 1
    assert stats["tasks_by_status"] == {"queued": 1}
    assert (stats["running_sandboxes"], stats["total_commits"], stats["cost_usd"]) == (0, 0, 0)


async def test_who_may_only_look_changes_nothing_and_strangers_find_nothing(stage: Stage) -> None:
    project_id = await stage.project()
    viewer = await stage.sign_in(Role.VIEWER)
    path = f"/api/v1/projects/{project_id}"
    assert (await viewer.get(path)).status_code == 200
    assert (await viewer.patch(path, json={"name": "Mine"})).status_code == 403
    assert (await viewer.post("/api/v1/projects", json={"name": "Mine"})).status_code == 403
    await stage.tenants.create_tenant("other", "Other")
    stranger = await stage.sign_in(Role.OWNER, "other")
    for answer in (
        await stranger.get(path),
        await stranger.patch(path, json={"name": "Mine"}),
        await stranger.delete(path),
        await stranger.get(f"{path}/stats"),
        await stranger.get("/api/v1/board/view", params={"project_id": project_id}),
        await stranger.patch("/api/v1/board/columns/testing", json={"project_id": project_id}),
    ):
        assert (answer.status_code, answer.json()["error"]) == (404, "not_found")


# --- columns -------------------------------------------------------------------------------------


async def test_a_column_is_renamed_limited_and_put_elsewhere(stage: Stage) -> None:
    project_id = await stage.project()
    path = "/board/columns/testing"
    shown = await stage.call("PATCH", path, project_id=project_id, name="QA", wip_limit=2, position=1)
    assert (shown["name"], shown["wip_limit"], shown["position"]) == ("QA", 2, 1)
    columns = (await stage.call("GET", "/board/columns", project_id=project_id))["columns"]
    assert [one["id"] for one in columns] == [
        "backlog",
        "testing",
        "analyzing",
        "building",
        "building-done",
        "done",
    ]
    (event,) = await stage.events("column.updated")
    assert event["payload"]["changes"] == {"name": ["Testing", "QA"], "wip_limit": [8, 2], "position": [4, 1]}
    by_phase = await stage.call("GET", "/board/column/PHASE_TESTING", project_id=project_id)
    assert by_phase == await stage.call("GET", "/board/column/testing", project_id=project_id)
    assert (by_phase["phase_ids"], by_phase["auto_transition_to"]) == (["PHASE_TESTING"], "done")
    await stage.call("GET", "/board/column/PHASE_PARTY", 404, project_id=project_id)
    for wrong in ({"wip_limit": 0}, {"position": 6}, {"color": "url(x)"}, {"name": None}):
        await stage.call("PATCH", path, 422, project_id=project_id, **wrong)
    assert (await stage.call("PATCH", path, project_id=project_id, wip_limit=None))["wip_limit"] is None


async def test_figures_of_the_board_tell_use_age_and_blocks(stage: Stage) -> None:
    project_id = await stage.project()
    await stage.ticket(project_id, phase_id="PHASE_REQUIREMENTS")
    stats = await stage.call("GET", "/board/stats", project_id=project_id)
    column = stats["columns"][1]
    assert (column["ticket_count"], column["utilization"], column["blocked_count"]) == (1, 0.2, 0)
    assert column["oldest_since"] is not None
    everywhere = (await stage.call("GET", "/board/stats"))["columns"][1]
    assert (everywhere["ticket_count"], everywhere["wip_limit"]) == (1, None)
    assert (await stage.call("GET", "/board/wip-violations"))["total"] == 0


async def test_phases_are_the_workflow_and_count_what_stands_in_them(stage: Stage) -> None:
    project_id = await stage.project()
    await stage.ticket(project_id, phase_id="PHASE_IMPLEMENTATION")
    phases = await stage.call("GET", "/phases")
    assert [one["order"] for one in phases["phases"]] == list(range(7))
    testing = next(one for one in phases["phases"] if one["id"] == "PHASE_TESTING")
    assert (testing["next"], testing["task_types"]) == (["PHASE_DONE", "PHASE_IMPLEMENTATION"], ["run_tests"])
    building = await stage.call("GET", "/phases/PHASE_IMPLEMENTATION", project_id=project_id)
    assert building["statuses"] == ["building", "building-done"]
    assert (building["ticket_count"], building["task_count"]) == (1, 1)
    await stage.call("GET", "/phases/PHASE_PARTY", 404)
