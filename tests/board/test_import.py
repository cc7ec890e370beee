"""Specs are imported into a board: all of it or nothing, and the same again changes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from sqlalchemy import func, select

from board_stage import Stage, open_stage
from omniforge.board.store.tasks import TaskRow
from omniforge.core.clock import new_id
from omniforge.db import Base, Database
from spec_shapes import specs

Json = dict[str, Any]
SHOP = """---
title: Shop
---

# Design

## Architecture
One service and one client.

## Data model
Orders.

## API
| method | endpoint | description |
|---|---|---|
| POST | /orders | takes an order |

# Requirements

## REQ-SHOP-API-001: Takes orders

WHEN an order arrives, THE SYSTEM SHALL keep it.

- [ ] It is kept `$ pytest -q tests/test_orders.py`
- [ ] It is there after a restart `$ pytest -q tests/test_restart.py`

## REQ-SHOP-UI-001: Shows orders

THE client SHALL show every order.

- [ ] Seen `$ pytest -q tests/test_client.py`
- [ ] Product has seen it (approval: product)

# Tickets

## TKT-001: Orders
Estimate: M
Requirements: REQ-SHOP-API-001

Orders are kept.

### TSK-001: The table
Estimate: S
Files: src/table.py
- [ ] `$ pytest -q tests/test_table.py`

### TSK-002: The endpoint
Estimate: S
Depends on: TSK-001
Files: src/endpoint.py
- [ ] `$ pytest -q tests/test_endpoint.py`

### TSK-003: Its tests
Type: write_tests
Estimate: S
Depends on: TSK-001, TSK-002
- [ ] `$ pytest -q`

## TKT-002: Client
Estimate: M
Requirements: REQ-SHOP-UI-001
Depends on: TKT-001
Priority: HIGH

People see orders.

### TSK-004: The list
Estimate: S
- [ ] `$ pytest -q tests/test_list.py`

### TSK-005: The page
Estimate: S
Depends on: TSK-004
- [ ] `$ pytest -q tests/test_page.py`

### TSK-006: Run it
Type: run_tests
Estimate: S
Depends on: TSK-005
- [ ] `$ pytest -q`

## TKT-003: Handbook
Estimate: S
Requirements: REQ-SHOP-UI-001
Depends on: TKT-002

People know how.

### TSK-007: Words
Type: document
Estimate: S
- [ ] `$ test -s docs/words.md`

### TSK-008: Pictures
Type: document
Estimate: S
Blocks: TSK-009
- [ ] `$ test -s docs/picture.png`

### TSK-009: Together
Type: document
Estimate: S
Depends on: TSK-007
- [ ] `$ test -s docs/book.md`
"""


@pytest.fixture
async def stage(database: Database, tmp_path: Path) -> AsyncIterator[Stage]:
    async with open_stage(database, tmp_path / "home") as stage:
        yield stage


async def new_spec(stage: Stage, **settings: Any) -> tuple[str, str]:
    """Ids of a project and of a spec in it."""
    project_id = await stage.project(settings=settings)
    spec = await stage.call("POST", "/specs", 201, project_id=project_id, title="New")
    return project_id, spec["id"]


async def bring_in(stage: Stage, spec_id: str, text: str, status: int = 200, **options: Any) -> Json:
    body = {"documents": [{"path": "shop.md", "content": text}], "options": options}
    return await stage.call("POST", f"/specs/{spec_id}/import", status, **body)


async def count_rows(stage: Stage) -> dict[str, int]:
    async with stage.db.read() as session:
        return {
            name: await session.scalar(select(func.count()).select_from(table)) or 0
            for name, table in Base.metadata.tables.items()
        }


async def test_a_markdown_spec_of_three_tickets_and_nine_tasks_stands_on_the_board_with_its_edges(
    stage: Stage,
) -> None:
    project_id, spec_id = await new_spec(stage)
    answer = await stage.http.post(
        f"/api/v1/specs/{spec_id}/import", content=SHOP, headers={"content-type": "text/markdown"}
    )
    assert answer.status_code == 200, answer.text
    imported = answer.json()
    assert imported["warnings"] == []
    assert imported["counts"] == {"created": 14, "updated": 0, "unchanged": 0, "skipped": 0, "pruned": 0}
    made = imported["map"]
    assert {made[f"TSK-{n:03d}"]["ref"] for n in range(1, 10)} == {f"TSK-{n:03d}" for n in range(1, 10)}
    view = await stage.call("GET", "/board/view", project_id=project_id)
    backlog = view["columns"][0]["tickets"]
    assert {ticket["ref"] for ticket in backlog} == {"TKT-001", "TKT-002", "TKT-003"}
    client = next(ticket for ticket in backlog if ticket["ref"] == "TKT-002")
    assert [ticket["ref"] for ticket in client["blocked_by"]] == ["TKT-001"]
    assert [ticket["ref"] for ticket in client["blocks"]] == ["TKT-003"]
    assert (client["priority"], client["open_dependencies"], client["open_tasks"]) == ("HIGH", 1, 3)
    spec = await stage.call("GET", f"/specs/{spec_id}")
    assert (spec["title"], spec["status"], spec["phase"]) == ("Shop", "executing", "Implementation")
    assert (spec["requirements_approved_by"], spec["design_approved_by"]) == (
        "system:import",
        "system:import",
    )
    assert (spec["linked_tickets"], spec["progress"], len(spec["tasks"])) == (3, 0.0, 9)
    tasks = {task["ref"]: task for task in spec["tasks"]}
    ids = {ref: task["id"] for ref, task in tasks.items()}
    assert set(tasks["TSK-003"]["depends_on"]) == {ids["TSK-001"], ids["TSK-002"]}
    assert set(tasks["TSK-009"]["depends_on"]) == {ids["TSK-007"], ids["TSK-008"]}
    assert tasks["TSK-006"]["phase_id"] == "PHASE_TESTING"
    assert tasks["TSK-004"]["priority"] == "HIGH"
    detail = await stage.call("GET", f"/tickets/{made['TKT-001']['id']}")
    assert [task["ref"] for task in detail["tasks"]] == ["TSK-001", "TSK-002", "TSK-003"]
    types = [event["type"] for event in await stage.events()]
    assert types.count("task.created") == 9
    assert types.count("ticket.created") == 3
    assert types.count("requirement.created") == 2
    assert types[-3:] == ["spec.imported", "spec.requirements_approved", "spec.design_approved"]


async def test_the_same_document_again_changes_nothing_at_all(stage: Stage) -> None:
    _, spec_id = await new_spec(stage)
    first = await bring_in(stage, spec_id, SHOP)
    before = await count_rows(stage)
    again = await bring_in(stage, spec_id, SHOP)
    assert await count_rows(stage) == before
    assert {each["action"] for each in again["map"].values()} == {"unchanged"}
    assert {name: each["id"] for name, each in again["map"].items()} == {
        name: each["id"] for name, each in first["map"].items()
    }


@pytest.mark.parametrize("form", ["json", "markdown"])
async def test_a_spec_that_is_exported_and_imported_again_is_the_same(stage: Stage, form: str) -> None:
    _, spec_id = await new_spec(stage)
    imported = await bring_in(stage, spec_id, SHOP)
    ticket_id = imported["map"]["TKT-003"]["id"]
    await stage.call("PATCH", f"/tickets/{ticket_id}", title="Handbook, revised", tags=["docs"])
    await stage.call("POST", f"/specs/{spec_id}/tasks", 201, title="By hand", ticket_id=ticket_id)
    exported = await stage.http.get(f"/api/v1/specs/{spec_id}/export", params={"format": form})
    before = await count_rows(stage)
    kind = {"json": "application/json", "markdown": "text/markdown"}[form]
    answer = await stage.http.post(
        f"/api/v1/specs/{spec_id}/import", content=exported.text, headers={"content-type": kind}
    )
    assert answer.status_code == 200, answer.text
    assert {each["action"] for each in answer.json()["map"].values()} == {"unchanged"}
    assert len(answer.json()["map"]) == 15
    assert await count_rows(stage) == before


def told(answer: Json) -> dict[str, str]:
    """What became of everything that did not stay as it was."""
    return {name: each["action"] for name, each in answer["map"].items() if each["action"] != "unchanged"}


def warned(answer: Json) -> list[tuple[str, str]]:
    return [(each["code"], each["ref"]) for each in answer["warnings"]]


async def test_a_document_with_mistakes_writes_nothing_and_tells_them_all(stage: Stage) -> None:
    _, spec_id = await new_spec(stage)
    before = await count_rows(stage)
    broken = SHOP.replace("Depends on: TSK-007", "Depends on: TSK-777").replace(
        "Estimate: M", "Estimate: Q", 1
    )
    refusal = await bring_in(stage, spec_id, broken, 422)
    assert refusal["error"] == "invalid_spec"
    line = broken.split("\n").index("Estimate: Q") + 1
    found = [
        (each["code"], each["ref"], each["field"], each["path"]) for each in refusal["details"]["problems"]
    ]
    assert found == [
        ("bad_value", "TKT-001", "estimate", "shop.md"),
        ("dangling_ref", "TSK-009", "depends_on", "shop.md"),
    ]
    assert refusal["details"]["problems"][0]["line"] == line
    assert refusal["details"]["warnings"] == []
    assert await count_rows(stage) == before


async def test_a_rehearsal_tells_what_would_be_and_keeps_none_of_it(stage: Stage) -> None:
    _, spec_id = await new_spec(stage)
    before = await count_rows(stage)
    rehearsed = await bring_in(stage, spec_id, SHOP, dry_run=True)
    assert rehearsed["dry_run"] is True
    assert rehearsed["counts"]["created"] == 14
    assert {(each["id"], each["ref"]) for each in rehearsed["map"].values()} == {(None, None)}
    assert await count_rows(stage) == before
    assert (await bring_in(stage, spec_id, SHOP))["counts"] == rehearsed["counts"]


async def test_what_changed_in_the_document_is_changed_while_nobody_works_on_it(stage: Stage) -> None:
    _, spec_id = await new_spec(stage)
    made = (await bring_in(stage, spec_id, SHOP))["map"]
    changed = (
        SHOP.replace("### TSK-002: The endpoint", "### TSK-002: The door")
        .replace("Depends on: TSK-001, TSK-002", "Depends on: TSK-002")
        .replace("- [ ] `$ test -s docs/words.md`", "- [ ] `$ test -s docs/more.md`\n- [ ] Read by somebody")
        .replace("Depends on: TKT-002\n", "")
        .replace(
            "### TSK-004: The list",
            "### TSK-010: Before it\nEstimate: S\n\n### TSK-004: The list\nDepends on: TSK-010",
        )
    )
    answer = await bring_in(stage, spec_id, changed)
    assert told(answer) == {
        "TSK-002": "updated",
        "TSK-003": "updated",
        "TSK-007": "updated",
        "TKT-003": "updated",
        "TSK-010": "created",
        "TSK-004": "updated",
    }
    detail = await stage.call("GET", f"/tickets/{made['TKT-003']['id']}")
    assert (detail["open_dependencies"], detail["blocked_by"]) == (0, [])
    tasks = {task["ref"]: task for task in (await stage.call("GET", f"/specs/{spec_id}/tasks"))["tasks"]}
    assert tasks["TSK-002"]["title"] == "The door"
    assert tasks["TSK-003"]["depends_on"] == [made["TSK-002"]["id"]]
    assert tasks["TSK-004"]["depends_on"] == [answer["map"]["TSK-010"]["id"]]
    async with stage.db.read() as session:
        row = await session.get_one(TaskRow, made["TSK-001"]["id"])
        assert row.dependents_open == 1
        assert (await session.get_one(TaskRow, made["TSK-004"]["id"])).remaining == 1
    versions = await stage.call("GET", f"/specs/{spec_id}/versions")
    newest = versions["versions"][0]
    assert newest["change_type"] == "imported"
    assert newest["changes"]["TSK-002"] == [{"title": "The endpoint"}, {"title": "The door"}]
    assert newest["changes"]["TSK-010"] == [None, {"title": "Before it"}]
    spec = await stage.call("GET", f"/specs/{spec_id}")
    assert spec["design_approved"] is True


async def test_what_is_being_worked_on_stays_as_it_is_and_that_is_told(stage: Stage) -> None:
    _, spec_id = await new_spec(stage)
    made = (await bring_in(stage, spec_id, SHOP))["map"]
    await stage.bring(made["TKT-001"]["id"], "analyzing")
    async with stage.db.transaction() as session:
        (await session.get_one(TaskRow, made["TSK-001"]["id"])).status = "running"
    changed = SHOP.replace("Orders are kept.", "Orders are lost.").replace(
        "TSK-001: The table", "TSK-001: A table"
    )
    answer = await bring_in(stage, spec_id, changed)
    assert told(answer) == {"TKT-001": "skipped", "TSK-001": "skipped"}
    assert warned(answer) == [("already_started", "TKT-001"), ("already_started", "TSK-001")]
    before = await count_rows(stage)
    assert told(await bring_in(stage, spec_id, changed)) == told(answer)
    assert await count_rows(stage) == before


async def test_what_is_gone_from_the_document_stays_unless_it_is_pruned(stage: Stage) -> None:
    project_id, spec_id = await new_spec(stage)
    made = (await bring_in(stage, spec_id, SHOP))["map"]
    by_hand = await stage.call(
        "POST", f"/specs/{spec_id}/tasks", 201, title="By hand", ticket_id=made["TKT-002"]["id"]
    )
    short = SHOP[: SHOP.index("## TKT-003")].replace("- [ ] Product has seen it (approval: product)\n", "")
    start, end = short.index("### TSK-006"), len(short)
    short = short[:start] + short[end:]
    answer = await bring_in(stage, spec_id, short)
    assert (told(answer), answer["counts"]["pruned"]) == ({"REQ-SHOP-UI-001": "updated"}, 0)
    pruned = await bring_in(stage, spec_id, short, prune=True)
    assert (told(pruned), pruned["counts"]["pruned"]) == ({}, 5)
    board = await stage.call("GET", "/tickets", project_id=project_id)
    assert {ticket["ref"] for ticket in board["tickets"]} == {"TKT-001", "TKT-002"}
    tasks = (await stage.call("GET", f"/specs/{spec_id}/tasks", limit=200))["tasks"]
    gone = {task["ref"] for task in tasks if task["status"] == "cancelled"}
    assert gone == {"TSK-006", "TSK-007", "TSK-008", "TSK-009"}
    assert by_hand["id"] in {task["id"] for task in tasks if task["status"] == "pending"}
    before = await count_rows(stage)
    assert (await bring_in(stage, spec_id, short, prune=True))["counts"]["pruned"] == 0
    assert await count_rows(stage) == before


async def test_refs_that_others_have_become_the_next_free_number(stage: Stage) -> None:
    project_id, spec_id = await new_spec(stage)
    await stage.ticket(project_id, "First")
    made = (await bring_in(stage, spec_id, SHOP))["map"]
    assert [made[f"TKT-{n:03d}"]["ref"] for n in (1, 2, 3)] == ["TKT-002", "TKT-003", "TKT-004"]
    other = (await stage.call("POST", "/specs", 201, project_id=project_id, title="Other"))["id"]
    again = (await bring_in(stage, other, SHOP))["map"]
    refs = [each["ref"] for each in [*made.values(), *again.values()] if each["kind"] != "requirement"]
    assert len(refs) == len(set(refs)) == 24
    exported = await stage.call("GET", f"/specs/{other}/export")
    assert [ticket["ref"] for ticket in exported["tickets"]] == ["TKT-001", "TKT-002", "TKT-003"]


async def test_two_imports_at_the_same_time_make_one_set_of_everything(stage: Stage) -> None:
    project_id, spec_id = await new_spec(stage)
    answers = await asyncio.gather(*(bring_in(stage, spec_id, SHOP) for _ in range(3)))
    assert sorted(answer["counts"]["created"] for answer in answers) == [0, 0, 14]
    assert (await stage.call("GET", "/tickets", project_id=project_id))["total"] == 3


async def test_changing_what_was_approved_is_approved_anew_or_waits_for_people(stage: Stage) -> None:
    _, spec_id = await new_spec(stage)
    await bring_in(stage, spec_id, SHOP)
    changed = SHOP.replace("SHALL keep it.", "SHALL keep it for ever.")
    await bring_in(stage, spec_id, changed, approve=False)
    spec = await stage.call("GET", f"/specs/{spec_id}")
    assert (spec["status"], spec["requirements_approved"], spec["design_approved"]) == (
        "requirements",
        False,
        False,
    )
    cleared = (await stage.events("spec.approval_cleared"))[0]["payload"]
    assert (cleared["part"], cleared["cause"]) == ("requirements", "import")
    await bring_in(stage, spec_id, changed)
    assert (await stage.call("GET", f"/specs/{spec_id}"))["status"] == "executing"


async def test_where_people_approve_specs_an_import_asks_them(stage: Stage) -> None:
    _, spec_id = await new_spec(stage, require_spec_approval=True)
    await bring_in(stage, spec_id, SHOP)
    await bring_in(stage, spec_id, SHOP)
    asked = [event["payload"]["role"] for event in await stage.events("approval.requested")]
    assert asked == ["product"]
    assert (await stage.call("GET", f"/specs/{spec_id}"))["status"] == "requirements"
    await stage.call("POST", f"/specs/{spec_id}/approve-requirements")
    asked = [event["payload"]["role"] for event in await stage.events("approval.requested")]
    assert asked == ["product", "architecture"]
    spec = await stage.call("POST", f"/specs/{spec_id}/approve-design")
    assert (spec["status"], spec["design_approved_by"]) == ("executing", "user:local")
    decided = [event["payload"]["decision"] for event in await stage.events("approval.decided")]
    assert decided == ["approve", "approve"]


async def test_tickets_start_as_the_import_says(stage: Stage) -> None:
    _, spec_id = await new_spec(stage)
    made = (await bring_in(stage, spec_id, SHOP, start=False))["map"]
    assert (await stage.call("GET", f"/tickets/{made['TKT-001']['id']}"))["start"] is False


async def test_a_document_may_name_what_the_spec_holds_already(stage: Stage) -> None:
    _, spec_id = await new_spec(stage)
    made = (await bring_in(stage, spec_id, SHOP))["map"]
    more = {
        "tasks": [
            {
                "ref": "TSK-020",
                "ticket": "TKT-002",
                "title": "More",
                "depends_on": ["TSK-005"],
                "blocks": ["TSK-006"],
            }
        ]
    }
    answer = await stage.call("POST", f"/specs/{spec_id}/import", **more)
    assert told(answer) == {"TSK-020": "created"}
    tasks = {task["ref"]: task for task in (await stage.call("GET", f"/specs/{spec_id}/tasks"))["tasks"]}
    assert set(tasks["TSK-006"]["depends_on"]) == {made["TSK-005"]["id"], tasks["TSK-020"]["id"]}
    assert (tasks["TSK-020"]["priority"], tasks["TSK-020"]["depends_on"]) == ("HIGH", [made["TSK-005"]["id"]])
    circle = {"tasks": [{"ref": "TSK-021", "ticket": "TKT-001", "title": "x", "depends_on": ["TSK-020"]}]}
    refusal = await stage.call("POST", f"/specs/{spec_id}/import", 422, **circle)
    assert [each["code"] for each in refusal["details"]["problems"]] == ["cycle"]


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", b"[]"),
        ("application/json", b"{"),
        ("application/json", b'{"documents": []}'),
        ("application/json", b'{"options": {"dry_run": "perhaps"}}'),
        ("application/json", b'{"options": 3}'),
        ("text/markdown", b"\xff\xfe"),
    ],
)
async def test_what_is_no_document_is_refused(stage: Stage, kind: str, body: bytes) -> None:
    _, spec_id = await new_spec(stage)
    path = f"/api/v1/specs/{spec_id}/import"
    answer = await stage.http.post(path, content=body, headers={"content-type": kind})
    assert (answer.status_code, answer.json()["error"]) == (422, "invalid")


async def test_a_spec_of_somebody_else_is_unknown(stage: Stage) -> None:
    await stage.call("POST", "/specs/spec_unknown/import", 404, tickets=[])


async def test_a_large_spec_is_imported_in_one_go(stage: Stage) -> None:
    _, spec_id = await new_spec(stage)
    tickets = [{"ref": f"TKT-{n:03d}", "title": f"Part {n}", "description": "x"} for n in range(1, 21)]
    tasks = [
        {
            "ref": f"TSK-{n:03d}",
            "ticket": f"TKT-{1 + n % 20:03d}",
            "title": f"Step {n}",
            "depends_on": [f"TSK-{n - 20:03d}"] if n > 20 else [],
        }
        for n in range(1, 201)
    ]
    answer = await stage.call("POST", f"/specs/{spec_id}/import", tickets=tickets, tasks=tasks)
    assert answer["counts"]["created"] == 220


async def test_whatever_was_imported_comes_out_again_and_changes_nothing(stage: Stage) -> None:
    project_id = await stage.project()
    loop = asyncio.get_running_loop()
    found: list[Json] = []

    @given(specs(most=3))
    @settings(deadline=None, max_examples=12, database=None, suppress_health_check=list(HealthCheck))
    def collect(content: Json) -> None:
        found.append(content)

    await loop.run_in_executor(None, collect)
    for content in found:
        given_spec = await stage.call("POST", "/specs", 201, project_id=project_id, title=new_id("name"))
        spec_id = given_spec["id"]
        await stage.call("POST", f"/specs/{spec_id}/import", **content)
        before = await count_rows(stage)
        for form, kind in (("json", "application/json"), ("markdown", "text/markdown")):
            exported = await stage.http.get(f"/api/v1/specs/{spec_id}/export", params={"format": form})
            path = f"/api/v1/specs/{spec_id}/import"
            answer = await stage.http.post(path, content=exported.content, headers={"content-type": kind})
            assert answer.status_code == 200, answer.text
            assert told(answer.json()) == {}
            assert await count_rows(stage) == before
