"""Tickets move along the workflow, by one writer, and every refusal says what could be done instead."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from board_stage import PlainGates, Stage, open_stage
from omniforge.board.store.tickets import TicketRow
from omniforge.board.vocabulary import GateReadiness, GateVerdict, TaskStatus, TicketStatus
from omniforge.core.actor import Role
from omniforge.db import Database

WAY = ("analyzing", "building", "building-done", "testing", "done")


@pytest.fixture
async def stage(database: Database, tmp_path: Path) -> AsyncIterator[Stage]:
    async with open_stage(database, tmp_path / "home") as stage:
        yield stage


@pytest.fixture
async def open_gates(database: Database, tmp_path: Path) -> AsyncIterator[Stage]:
    async with open_stage(database, tmp_path / "home", gated=False) as stage:
        yield stage


async def test_a_ticket_goes_from_backlog_to_done_and_its_history_and_events_tell_it(
    open_gates: Stage,
) -> None:
    stage = open_gates
    project_id = await stage.project()
    ticket_id = await stage.ticket(project_id)
    for entry, status in enumerate(WAY, start=2):
        await stage.settle_tasks(ticket_id)
        moved = await stage.call("POST", f"/tickets/{ticket_id}/transition", to_status=status)
        assert (moved["status"], moved["phase_entry"], moved["version"]) == (status, entry, entry)
    history = await stage.call("GET", f"/tickets/{ticket_id}/history")
    assert [row["to_status"] for row in history["history"]] == [*reversed(WAY), "backlog"]
    assert history["total"] == 6
    events = await stage.events("ticket.created", "ticket.transitioned")
    assert [row["seq"] for row in history["history"]] == [event["seq"] for event in reversed(events)]
    assert events[1]["payload"] == {
        "from_status": "backlog",
        "to_status": "analyzing",
        "from_phase": "PHASE_BACKLOG",
        "to_phase": "PHASE_REQUIREMENTS",
        "cause": "transition",
        "forced": False,
        "phase_entry": 2,
        "ids": {"project_id": project_id, "ticket_id": ticket_id},
    }


async def test_without_a_gatekeeper_every_gate_is_shut(stage: Stage) -> None:
    ticket_id = await stage.ticket(await stage.project())
    await stage.call("POST", f"/tickets/{ticket_id}/transition", to_status="analyzing")
    path = f"/tickets/{ticket_id}/transition"
    refusal = await stage.call("POST", path, 409, to_status="building")
    assert refusal["error"] == "gate_pending"
    assert refusal["details"] == {
        "from": "analyzing",
        "to": "building",
        "legal_targets": [{"status": "building", "allowed": False, "reason": "gate_pending"}],
        "readiness": "waiting_checks",
        "criteria": [],
    }
    forced = await stage.call("POST", path, to_status="building", force=True, reason="shown by hand")
    assert forced["status"] == "building"
    newest = (await stage.call("GET", f"/tickets/{ticket_id}/history"))["history"][0]
    assert (newest["forced"], newest["reason"]) == (True, "shown by hand")


async def test_an_edge_that_is_none_is_refused_with_the_edges_there_are(stage: Stage) -> None:
    ticket_id = await stage.ticket(await stage.project())
    for target in ("building", "done", "backlog"):
        refusal = await stage.call(
            "POST", f"/tickets/{ticket_id}/transition", 409, to_status=target, force=True, reason="now"
        )
        assert refusal["error"] == "illegal_move"
        assert refusal["details"]["legal_targets"] == [{"status": "analyzing", "allowed": True}]
    unknown = await stage.call("POST", f"/tickets/{ticket_id}/transition", 422, to_status="shipped")
    assert unknown["details"]["fields"][0]["field"] == "to_status"


async def test_a_full_column_takes_nobody_but_by_force(stage: Stage) -> None:
    project_id = await stage.project()
    ids = [await stage.ticket(project_id, f"Ticket {n}") for n in range(3)]
    await stage.call("PATCH", "/board/columns/analyzing", project_id=project_id, wip_limit=1)
    await stage.call("POST", "/board/move", ticket_id=ids[0], target_column_id="analyzing")
    refusal = await stage.call("POST", "/board/move", 409, ticket_id=ids[1], target_column_id="analyzing")
    assert refusal["error"] == "wip_limit"
    assert (refusal["details"]["limit"], refusal["details"]["count"]) == (1, 1)
    assert refusal["details"]["legal_targets"] == [
        {"status": "analyzing", "allowed": False, "reason": "wip_limit"}
    ]
    await stage.bring(ids[2], "analyzing")
    (violation,) = (await stage.call("GET", "/board/wip-violations", project_id=project_id))["violations"]
    assert (violation["column_id"], violation["current_count"], violation["excess"]) == ("analyzing", 2, 1)


async def test_force_needs_the_permission_and_a_reason_and_passes_no_block(stage: Stage) -> None:
    project_id = await stage.project()
    ticket_id = await stage.ticket(project_id)
    path = f"/api/v1/tickets/{ticket_id}/transition"
    developer = await stage.sign_in(Role.DEVELOPER)
    body = {"to_status": "analyzing", "force": True, "reason": "I want to"}
    assert (await developer.post(path, json=body)).status_code == 403
    assert (await stage.http.post(path, json=body | {"reason": "  "})).status_code == 422
    async with stage.db.transaction() as session:
        (await session.get_one(TicketRow, ticket_id)).is_blocked = True
    assert (await stage.http.post(path, json=body)).json()["error"] == "ticket_blocked"
    async with stage.db.transaction() as session:
        row = await session.get_one(TicketRow, ticket_id)
        row.is_blocked, row.approval_status = False, "pending_review"
    assert (await stage.http.post(path, json=body)).json()["error"] == "not_approved"
    assert (await stage.call("GET", f"/tickets/{ticket_id}"))["status"] == "backlog"
    assert await stage.events("ticket.transitioned") == []


async def test_a_version_that_is_not_the_current_one_is_refused_before_anything_else(stage: Stage) -> None:
    ticket_id = await stage.ticket(await stage.project())
    body = {"to_status": "done", "expected_version": 7}
    refusal = await stage.call("POST", f"/tickets/{ticket_id}/transition", 409, **body)
    assert refusal["error"] == "version_conflict"
    assert refusal["details"]["version"] == 1


async def test_a_foreign_ticket_is_an_unknown_one(stage: Stage) -> None:
    ticket_id = await stage.ticket(await stage.project())
    await stage.tenants.create_tenant("other", "Other")
    stranger = await stage.sign_in(Role.OWNER, "other")
    for path in (f"/tickets/{ticket_id}", f"/tickets/{ticket_id}/history"):
        assert (await stranger.get(f"/api/v1{path}")).status_code == 404
    body = {"ticket_id": ticket_id, "target_column_id": "analyzing"}
    assert (await stranger.post("/api/v1/board/move", json=body)).status_code == 404


@pytest.mark.both_stores
async def test_twenty_movers_at_once_never_exceed_a_limit(store: str, stage: Stage) -> None:
    project_id = await stage.project()
    ids = [await stage.ticket(project_id, f"Ticket {n}") for n in range(20)]
    body = {"target_column_id": "analyzing"}
    answers = await asyncio.gather(
        *(stage.http.post("/api/v1/board/move", json={"ticket_id": one, **body}) for one in ids)
    )
    assert sorted(answer.status_code for answer in answers) == [200] * 5 + [409] * 15
    assert {answer.json()["error"] for answer in answers if answer.status_code == 409} == {"wip_limit"}
    column = await stage.call("GET", "/board/column/analyzing", project_id=project_id)
    assert (column["ticket_count"], column["wip_exceeded"]) == (5, False)


# --- work ----------------------------------------------------------------------------------------


async def test_entering_a_status_without_work_opens_a_task_and_coming_with_work_none(
    open_gates: Stage,
) -> None:
    stage = open_gates
    ticket_id = await stage.ticket(await stage.project())
    await stage.bring(ticket_id, "analyzing")
    tasks = (await stage.call("GET", f"/tickets/{ticket_id}"))["tasks"]
    assert [(task["task_type"], task["status"]) for task in tasks] == [("analyze_requirements", "queued")]
    types = [event["type"] for event in await stage.events()]
    assert types[types.index("ticket.transitioned") :] == [
        "ticket.transitioned",
        "task.created",
        "task.queued",
    ]


async def test_testing_opens_no_task_where_its_gate_runs_a_command(open_gates: Stage) -> None:
    stage = open_gates
    project_id = await stage.project(settings={"commands": {"test": {"command": "pytest"}}})
    ticket_id = await stage.ticket(project_id, phase_id="phase_implementation")
    await stage.bring(ticket_id, "building-done", "testing")
    tasks = (await stage.call("GET", f"/tickets/{ticket_id}"))["tasks"]
    assert [task["task_type"] for task in tasks] == ["implement_feature"]


async def test_a_regress_makes_new_work_and_begins_the_evidence_anew(open_gates: Stage) -> None:
    stage = open_gates
    ticket_id = await stage.ticket(await stage.project(), phase_id="PHASE_IMPLEMENTATION")
    before = await stage.bring(ticket_id, "building-done", "testing")
    await stage.settle_tasks(ticket_id)
    await stage.call("POST", f"/tickets/{ticket_id}/regress", 422, feedback="  ")
    back = await stage.call("POST", f"/tickets/{ticket_id}/regress", feedback="Umlauts are lost")
    assert back["status"] == "building"
    assert back["evidence_since"] > before["evidence_since"]
    detail = await stage.call("GET", f"/tickets/{ticket_id}")
    (task,) = [task for task in detail["tasks"] if task["task_type"] == "remediation"]
    assert (task["phase_id"], task["description"]) == ("PHASE_IMPLEMENTATION", "Umlauts are lost")
    stopped = await stage.call("POST", f"/board/auto-transition/{ticket_id}")
    assert (stopped["transitioned"], stopped["reason"]) == (False, "tasks_open")
    newest = (await stage.call("GET", f"/tickets/{ticket_id}/history"))["history"][0]
    assert (newest["cause"], newest["feedback"]) == ("regress", "Umlauts are lost")


async def test_nothing_is_done_while_a_task_is_open_and_force_cancels_it(open_gates: Stage) -> None:
    stage = open_gates
    ticket_id = await stage.ticket(await stage.project())
    await stage.bring(ticket_id, *WAY[:-1])
    path = f"/tickets/{ticket_id}/transition"
    refusal = await stage.call("POST", path, 409, to_status="done")
    assert (refusal["error"], refusal["details"]["readiness"]) == ("gate_pending", "waiting_tasks")
    await stage.call("POST", path, to_status="done", force=True, reason="enough")
    tasks = (await stage.call("GET", f"/tickets/{ticket_id}"))["tasks"]
    assert {task["status"] for task in tasks} == {"cancelled"}


async def test_a_ticket_that_is_done_sets_those_free_that_waited_for_it(open_gates: Stage) -> None:
    stage = open_gates
    project_id = await stage.project()
    first = await stage.ticket(project_id, "First")
    second = await stage.ticket(project_id, "Second", depends_on=[first])
    shown = await stage.call("GET", f"/tickets/{second}")
    assert [one["ref"] for one in shown["blocked_by"]] == ["TKT-001"]
    stopped = await stage.call("POST", f"/tickets/{second}/progress")
    assert (stopped["progressed"], stopped["reason"]) == (False, "dependencies_open")
    await stage.bring(first, *WAY)
    shown = await stage.call("GET", f"/tickets/{second}")
    assert (shown["open_dependencies"], shown["blocked_by"]) == (0, [])


# --- by themselves -------------------------------------------------------------------------------


async def test_a_ticket_goes_as_far_as_its_state_allows_and_no_further_the_second_time(
    open_gates: Stage,
) -> None:
    stage = open_gates
    ticket_id = await stage.ticket(await stage.project(), phase_id="PHASE_IMPLEMENTATION")
    path = f"/board/auto-transition/{ticket_id}"
    assert (await stage.call("POST", path))["reason"] == "tasks_open"
    await stage.settle_tasks(ticket_id)
    went = await stage.call("POST", path)
    assert (went["hops"], went["reason"]) == (["building-done", "testing"], "tasks_open")
    again = await stage.call("POST", path)
    assert (again["hops"], again["from_status"], again["to_status"]) == ([], "testing", "testing")
    await stage.settle_tasks(ticket_id)
    assert (await stage.call("POST", path))["to_status"] == "done"
    assert (await stage.call("POST", path))["reason"] == "terminal"


async def test_a_failed_task_keeps_its_ticket(open_gates: Stage) -> None:
    stage = open_gates
    ticket_id = await stage.ticket(await stage.project(), phase_id="PHASE_IMPLEMENTATION")
    await stage.settle_tasks(ticket_id, TaskStatus.FAILED)
    assert (await stage.call("POST", f"/tickets/{ticket_id}/progress"))["reason"] == "tasks_failed"


async def test_a_hold_is_announced_once_and_free_places_go_to_the_most_urgent(open_gates: Stage) -> None:
    stage = open_gates
    project_id = await stage.project()
    await stage.call("PATCH", "/board/columns/testing", project_id=project_id, wip_limit=1)
    ids: list[str] = []
    for priority in ("HIGH", "low", "CRITICAL"):
        ticket_id = await stage.ticket(
            project_id, priority, phase_id="PHASE_IMPLEMENTATION", priority=priority
        )
        await stage.settle_tasks(ticket_id)
        ids.append(ticket_id)
    for ticket_id in ids:
        for _ in range(2):
            await stage.call("POST", f"/board/auto-transition/{ticket_id}")
    held = await stage.events("ticket.held")
    assert [event["payload"]["ids"]["ticket_id"] for event in held] == ids[1:]
    assert {event["payload"]["reason"] for event in held} == {"wip_limit"}
    shown = await stage.call("GET", f"/tickets/{ids[1]}")
    assert shown["pending_transition"]["to_status"] == "testing"
    await stage.bring(ids[0], "done")
    assert await stage.board.moves.release_held(project_id, TicketStatus.TESTING) == [ids[2]]
    assert (await stage.call("GET", f"/tickets/{ids[2]}"))["pending_transition"] is None
    await stage.call("PATCH", "/board/columns/testing", project_id=project_id, wip_limit=None)
    assert await stage.board.moves.release_held(project_id, TicketStatus.TESTING) == [ids[1]]


async def test_a_gate_that_says_no_holds_and_one_that_waits_starts_its_checks(open_gates: Stage) -> None:
    stage = open_gates
    gates = stage.board.gates
    assert isinstance(gates, PlainGates)
    ticket_id = await stage.ticket(await stage.project(), phase_id="PHASE_IMPLEMENTATION")
    await stage.settle_tasks(ticket_id)
    path = f"/tickets/{ticket_id}/transition"
    gates.standing["building"] = GateReadiness.WAITING_CHECKS
    refusal = await stage.call("POST", path, 409, to_status="building-done")
    assert refusal["details"]["criteria"][0]["status"] == "pending"
    assert gates.started == [ticket_id]
    gates.standing["building"] = GateReadiness.READY
    gates.verdicts["building"] = GateVerdict.NO_GO
    assert (await stage.call("POST", path, 409, to_status="building-done"))["error"] == "gate_no_go"
    assert await stage.events("gate.decided") == []
    assert (await stage.call("POST", f"/board/auto-transition/{ticket_id}"))["reason"] == "gate_no_go"
    assert [event["type"] for event in (await stage.events())[-2:]] == ["gate.decided", "ticket.held"]
    gates.verdicts["building"] = GateVerdict.GO
    await stage.call("POST", path, to_status="building-done")
    newest = (await stage.call("GET", f"/tickets/{ticket_id}/history"))["history"][0]
    decision = (await stage.call("GET", f"/tickets/{ticket_id}"))["last_decision"]
    assert newest["decision_id"] == decision["id"]


async def test_the_backlog_is_pulled_by_urgency_and_only_what_is_ready(open_gates: Stage) -> None:
    stage = open_gates
    project_id = await stage.project(autonomous=True)
    await stage.call("PATCH", "/board/columns/analyzing", project_id=project_id, wip_limit=2)
    low = await stage.ticket(project_id, "Low", start=True, priority="LOW")
    medium = await stage.ticket(project_id, "Medium", start=True)
    await stage.ticket(project_id, "Never", start=False, priority="CRITICAL")
    await stage.ticket(project_id, "Unsaid", priority="CRITICAL")
    high = await stage.ticket(project_id, "High", start=True, priority="HIGH")
    await stage.ticket(project_id, "Waits", start=True, priority="CRITICAL", depends_on=[low])
    assert await stage.board.moves.release_held(project_id, TicketStatus.ANALYZING) == [high, medium]
    causes = [event["payload"]["cause"] for event in await stage.events("ticket.transitioned")]
    assert causes == ["pull", "pull"]
    await stage.call("PATCH", f"/projects/{project_id}", status="archived")
    await stage.call("PATCH", "/board/columns/analyzing", project_id=project_id, wip_limit=None)
    assert await stage.board.moves.release_held(project_id, TicketStatus.ANALYZING) == []


async def test_what_happens_frees_places_without_anybody_asking(open_gates: Stage) -> None:
    stage = open_gates
    stage.board.follow()
    project_id = await stage.project(autonomous=True)
    ids = [await stage.ticket(project_id, f"Ticket {n}", start=True) for n in range(6)]

    async def standing() -> int:
        column = await stage.call("GET", "/board/column/analyzing", project_id=project_id)
        return column["ticket_count"]

    async with asyncio.timeout(20):
        while await standing() < 5:
            await asyncio.sleep(0.01)
        await stage.bring(ids[0], "building")
        while (await stage.call("GET", f"/tickets/{ids[5]}"))["status"] != "analyzing":
            await asyncio.sleep(0.01)
    assert await standing() == 5
