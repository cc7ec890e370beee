"""The HTTP of what surrounds tasks: titles, conversations, results, graphs."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from tests.board.task_http import Http, open_http
from tests.board.task_stage import Stage

from omniforge.board.store.evidence import ReceiptRow, ResultRow
from omniforge.board.vocabulary import TicketStatus
from omniforge.core.clock import new_id
from omniforge.core.config import ModelSettings
from omniforge.db import Database
from omniforge.llm.client import Models
from omniforge.llm.scripts import FaultKind, Script, Turn


@pytest.fixture
def stage(database: Database) -> Stage:
    return Stage(database)


@pytest.fixture
async def http(stage: Stage) -> AsyncIterator[Http]:
    async with open_http(stage) as opened:
        yield opened


async def test_titles_are_made_by_the_rule_without_a_model(http: Http, stage: Stage) -> None:
    text = "Build the form for signing in, with a field for the name and one for the word. Then style it."
    task = await http.make(description=text)
    made = await http.ask("POST", f"/tasks/{task['id']}/generate-title")
    assert made["generated_by"] == "rule"
    assert made["title"] == "Build the form for signing in, with a field for the name and one for the word"
    assert len(made["title"]) <= 80
    by_context = await http.make()
    made = await http.ask(
        "POST", f"/tasks/{by_context['id']}/generate-title", json={"context": "Mend the door. It is stuck."}
    )
    assert made["title"] == "Mend the door"
    await stage.task(http.ticket, title=None, description="Paint the wall.")
    named = await http.ask("POST", "/tasks/generate-titles", json={"limit": 5})
    assert (named["processed"], named["succeeded"], named["failed"]) == (1, 1, 0)
    assert named["tasks"][0]["title"] == "Paint the wall"
    assert (await http.ask("POST", "/tasks/generate-titles"))["processed"] == 0
    await http.refused("POST", "/tasks/generate-titles", 422, "invalid", json={"limit": 51})


async def test_titles_are_made_by_a_model_where_one_is_set_up(http: Http) -> None:
    said = {"title": "Mend the leaking roof", "description": "Rain comes in.", "task_type": "fix_bug"}
    faulty = {**said, "task_type": "create_design"}
    turns = [Turn(value=said), Turn(value=faulty), Turn(fault=FaultKind.REFUSED, times=0)]
    http.work.titles.models = Models(ModelSettings(default="scripted:namer"), script=Script(turns))
    task, other, third = await http.make(), await http.make(description="Draw it."), await http.make()
    made = await http.ask("POST", f"/tasks/{task['id']}/generate-title", json={"context": "It rains in."})
    assert made == {"task_id": task["id"], **said, "generated_by": "model"}
    made = await http.ask("POST", f"/tasks/{other['id']}/generate-title")
    assert (made["task_type"], made["description"]) == ("implement_feature", "Draw it."), "its phase stays"
    answer = await http.client.post(f"/tasks/{third['id']}/generate-title")
    assert answer.json()["error"] == "answer_refused"
    assert (await http.ask("GET", f"/tasks/{third['id']}"))["title"] == "Write it"


async def test_conversations_are_registered(http: Http, stage: Stage) -> None:
    task, other = await http.make(), await http.make()
    path = f"/tasks/{task['id']}/register-conversation"
    claimed = await stage.claimed()
    body = {"conversation_id": "c-1", "sandbox_id": claimed.sandbox.id, "persistence_dir": "/kept"}
    said = await http.ask("POST", path, json=body)
    assert said == {"success": True, "task_id": task["id"], "conversation_id": "c-1"}
    await http.ask("POST", path, json={"conversation_id": "c-2"})
    seen = await http.ask("GET", f"/tasks/{task['id']}")
    assert (seen["conversation_id"], seen["persistence_dir"]) == ("c-2", "/kept")
    await http.refused("POST", f"/tasks/{other['id']}/register-conversation", 404, "not_found", json=body)


async def test_results_come_with_their_receipts(http: Http, stage: Stage) -> None:
    task = await http.make()
    claimed = await stage.claimed()
    now = stage.clock.now()
    result = ResultRow(
        id=new_id("res"), tenant_id="default", task_id=task["id"], attempt=1, sandbox_id=claimed.sandbox.id,
        status="completed", body_hash="h", summary="Done", files_changed=[], commits=[], tests=None,
        artifacts=[], notes="", claims="match", verification="passed", created_at=now,
    )  # fmt: skip
    receipt = ReceiptRow(
        id=new_id("rcp"), tenant_id="default", ticket_id=http.ticket, task_id=task["id"], attempt=1,
        from_status=None, phase_entry=1, check_key="test", command="make test", cwd=".", exit_code=0,
        passed=True, output_hash="h", output_tail="ok", tree_hash="t", image="i", started_at=now,
        duration_ms=5, run_by="system:host",
    )  # fmt: skip
    async with stage.db.transaction() as session:
        session.add_all([result, receipt])
    listed = await http.ask("GET", f"/tasks/{task['id']}/results")
    assert listed["total"] == 1
    assert [one["command"] for one in listed["results"][0]["receipts"]] == ["make test"]
    seen = await http.ask("GET", f"/tasks/{task['id']}")
    assert (seen["verification"], seen["result"]["summary"]) == ("passed", "Done")


async def test_graphs_show_what_waits_for_what(http: Http, stage: Stage) -> None:
    a = (await http.make())["id"]
    b = (await http.make(a))["id"]
    c = (await http.make(b, parent_task_id=a))["id"]
    alone = (await http.make())["id"]
    other = await stage.ticket(http.project, TicketStatus.BACKLOG)
    far = await stage.task(other)
    await http.ask("POST", f"/tasks/{c}/dependencies", json={"depends_on": [far]})
    await stage.tickets_wait(http.ticket, other)

    graph = await http.ask("GET", f"/graph/dependency-graph/ticket/{http.ticket}")
    assert {node["id"] for node in graph["nodes"]} == {a, b, c, alone, far}
    assert {(edge["source"], edge["target"], edge["type"]) for edge in graph["edges"]} == {
        (a, b, "depends_on"), (b, c, "depends_on"), (far, c, "depends_on"), (a, c, "parent_child"),
    }  # fmt: skip
    assert graph["metadata"] == {
        "total_tasks": 5,
        "blocked_count": 2,
        "resolved_count": 0,
        "total_edges": 4,
        "critical_path": [a, b, c],
        "critical_path_length": 3,
    }
    nodes = {node["id"]: node for node in graph["nodes"]}
    assert (nodes[a]["is_blocked"], nodes[a]["blocks_count"], nodes[c]["is_blocked"]) == (False, 1, True)

    claimed = await stage.claimed()
    assert claimed.task.id == a
    await stage.settle(claimed)
    graph = await http.ask("GET", f"/graph/dependency-graph/project/{http.project}")
    kinds = {edge["type"] for edge in graph["edges"]}
    assert kinds == {"depends_on", "ticket_depends_on", "parent_child", "ticket_contains"}
    assert (graph["metadata"]["resolved_count"], graph["metadata"]["critical_path"]) == (1, [b, c])
    short = await http.ask(
        "GET", f"/graph/dependency-graph/project/{http.project}", params={"include_resolved": "false"}
    )
    assert a not in {node["id"] for node in short["nodes"]}
    assert all(a not in (edge["source"], edge["target"]) for edge in short["edges"])

    blocked = await http.ask("GET", f"/graph/dependency-graph/task/{b}/blocked")
    assert ([one["id"] for one in blocked["blocked_tasks"]], blocked["blocked_count"]) == ([c], 1)
    blocking = await http.ask("GET", f"/graph/dependency-graph/task/{b}/blocking")
    assert [(one["id"], one["is_complete"]) for one in blocking["blocking_tasks"]] == [(a, True)]
    assert blocking["all_dependencies_complete"] is True
