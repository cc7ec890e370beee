"""What people and programs leave on a ticket: comments, commits, dependencies, what is known about it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.board.task_stage import OWNER, TurnedClock
from tests.board.task_stage import Stage as Work

from board_stage import Stage, open_stage
from omniforge.board.commits import LinkMethod, Seen
from omniforge.board.store.evidence import ArtifactRow, DecisionRow, ResultRow
from omniforge.board.store.projects import get_project
from omniforge.board.task_edits import TaskEdits
from omniforge.core.actor import Role
from omniforge.core.clock import new_id
from omniforge.db import Database

SHA = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def clock() -> TurnedClock:
    return TurnedClock()


@pytest.fixture
async def stage(database: Database, tmp_path: Path, clock: TurnedClock) -> AsyncIterator[Stage]:
    async with open_stage(database, tmp_path / "home", gated=False, clock=clock) as stage:
        yield stage


@pytest.fixture
def work(stage: Stage, clock: TurnedClock) -> Work:
    return Work(stage.db, clock)


# --- comments ------------------------------------------------------------------------------------


async def test_comments_are_kept_newest_first_and_call_people(stage: Stage) -> None:
    ticket_id = await stage.ticket(await stage.project())
    path = f"/tickets/{ticket_id}/comments"
    first = await stage.call("POST", path, 201, text=" Who knows? @ada, @bob ")
    assert (first["text"], first["mentions"], first["by"]) == (
        "Who knows? @ada, @bob",
        ["ada", "bob"],
        "user:local",
    )
    assert (first["ticket_id"], first["edited_at"]) == (ticket_id, None)
    second = await stage.call("POST", path, 201, text="@ada knows", mentions=["user_7", "user_7"])
    shown = await stage.call("GET", path, limit=1)
    assert (shown["comments"], shown["total"], shown["limit"], shown["offset"]) == ([second], 2, 1, 0)
    told = (await stage.events("ticket.commented"))[-1]
    ids = {"project_id": told["payload"]["ids"]["project_id"], "ticket_id": ticket_id}
    assert told["payload"] == {"comment_id": second["id"], "mentions": ["user_7"], "ids": ids}
    for wrong in ({"text": " "}, {"text": "x" * 20_001}, {}, {"text": "x", "by": "user:ada"}):
        assert (await stage.call("POST", path, 422, **wrong))["error"] == "invalid"
    assert (await stage.call("GET", path))["total"] == 2


# --- commits -------------------------------------------------------------------------------------


async def test_a_commit_is_linked_by_hand_once(stage: Stage) -> None:
    project_id = await stage.project()
    ticket_id = await stage.ticket(project_id)
    path = f"/tickets/{ticket_id}/commits"
    made = await stage.call("POST", path, 201, sha=SHA.upper(), message="TKT-001: search")
    assert (made["sha"], made["message"], made["method"]) == (SHA, "TKT-001: search", "manual")
    assert (made["project_id"], made["ticket_id"], made["task_id"]) == (project_id, ticket_id, None)
    assert await stage.call("POST", path, 200, sha=SHA) == made
    (told,) = await stage.events("commit.linked")
    assert told["entity"] == f"commit:{made['id']}"
    assert {name: told["payload"][name] for name in ("sha", "message", "method")} == {
        "sha": SHA,
        "message": "TKT-001: search",
        "method": "manual",
    }
    shown = await stage.call("GET", path)
    assert (shown["commits"], shown["total"]) == ([made], 1)
    for wrong in ("", "xyz", "0123", "g" * 40):
        await stage.call("POST", path, 422, sha=wrong)


async def test_commits_are_linked_to_the_tickets_of_their_project_that_they_name(stage: Stage) -> None:
    project_id, other = await stage.project(), await stage.project()
    first, second = await stage.ticket(project_id, "First"), await stage.ticket(project_id, "Second")
    elsewhere = await stage.ticket(other, "First of another project")
    seen = [
        Seen("a" * 40, "TKT-001 and TKT-002", insertions=7, deletions=2, files=["a.py"]),
        Seen("b" * 40, "more", branch="feature/TKT-002-second"),
        Seen("c" * 40, f"of {elsewhere}, TKT-009"),
        Seen("d" * 40, f"of {first}"),
    ]

    async def link() -> list[str]:
        async with stage.db.transaction() as session:
            project = await get_project(session, OWNER, project_id)
            told = await stage.board.commits.link_named(
                session, project, seen, LinkMethod.PUSH, "system:webhook"
            )
            await stage.board.events.append(session, "default", *told)
        return [event.payload["sha"][0] for event in told]

    assert await link() == ["a", "a", "b", "d"]
    assert await link() == [], "each only once"
    shown = await stage.call("GET", f"/tickets/{first}/commits")
    assert sorted(one["sha"][0] for one in shown["commits"]) == ["a", "d"]
    assert (await stage.call("GET", f"/tickets/{second}/commits"))["total"] == 2
    assert (await stage.call("GET", f"/tickets/{elsewhere}/commits"))["total"] == 0
    ticket = await stage.call("GET", f"/tickets/{first}")
    assert (ticket["lines_added"], ticket["lines_removed"], ticket["status"]) == (7, 2, "backlog")


# --- dependencies --------------------------------------------------------------------------------


async def waits(stage: Stage, ticket_id: str, *ids: str, status: int = 200) -> dict[str, Any]:
    return await stage.call("PUT", f"/tickets/{ticket_id}/dependencies", status, depends_on=list(ids))


async def test_a_ticket_waits_for_exactly_those_that_are_put(stage: Stage, work: Work) -> None:
    project_id = await stage.project()
    first, second = await stage.ticket(project_id, "First"), await stage.ticket(project_id, "Second")
    ticket_id = await stage.ticket(project_id, "Third", phase_id="PHASE_IMPLEMENTATION")
    (task,) = (await stage.call("GET", f"/tickets/{ticket_id}"))["tasks"]
    shown = await waits(stage, ticket_id, second, first, first)
    assert shown == {
        "ticket_id": ticket_id,
        "depends_on": sorted([first, second]),
        "blocks": [],
        "dependencies_complete": False,
    }
    assert await work.status(task["id"]) == ["pending"]
    (told,) = await stage.events("ticket.dependencies_changed")
    assert told["payload"]["added"] == sorted([first, second])
    assert told["payload"]["removed"] == []
    await waits(stage, ticket_id, first, second)
    assert len(await stage.events("ticket.dependencies_changed")) == 1, "nothing changed"
    await waits(stage, ticket_id, first)
    assert (await stage.call("GET", f"/tickets/{first}/dependencies"))["blocks"] == [ticket_id]
    assert (await stage.call("GET", f"/tickets/{ticket_id}"))["open_dependencies"] == 1
    await stage.bring(first, "analyzing", "building", "building-done", "testing", "done")
    shown = await stage.call("GET", f"/tickets/{ticket_id}/dependencies")
    assert (shown["depends_on"], shown["dependencies_complete"]) == ([first], True)
    assert await work.status(task["id"]) == ["queued"]
    await waits(stage, ticket_id)
    ticket = await stage.call("GET", f"/tickets/{ticket_id}")
    assert (ticket["open_dependencies"], ticket["blocked_by"]) == (0, []), "what is done counted no more"


async def test_a_way_round_is_refused_with_its_path_whatever_its_length(stage: Stage) -> None:
    project_id = await stage.project()
    a, b, c = [await stage.ticket(project_id, name) for name in "ABC"]
    refusal = await waits(stage, a, a, status=409)
    assert (refusal["error"], refusal["details"]["cycle"]) == ("dependency_cycle", [a, a])
    await waits(stage, b, a)
    assert (await waits(stage, a, b, status=409))["details"]["cycle"] == [a, b, a]
    await waits(stage, c, b)
    assert (await waits(stage, a, c, status=409))["details"]["cycle"] == [a, c, b, a]
    assert (await stage.call("GET", f"/tickets/{a}/dependencies"))["depends_on"] == []
    await waits(stage, b)
    await waits(stage, a, c)


async def test_a_way_round_through_tasks_is_found_from_both_sides(stage: Stage, work: Work) -> None:
    project_id = await stage.project()
    a, b = await stage.ticket(project_id, "A"), await stage.ticket(project_id, "B")
    of_a, of_b = await work.task(a), await work.task(b)
    await TaskEdits(work.db, work.tasks).add_dependencies(OWNER, of_a, [of_b])
    cycle = (await waits(stage, b, a, status=409))["details"]["cycle"]
    assert (cycle[0], cycle[-1]) == (b, b)
    assert {a, b, of_a, of_b} >= set(cycle) > {b}
    await waits(stage, a, b)


async def test_only_tickets_of_the_project_are_waited_for_and_only_before_the_end(stage: Stage) -> None:
    project_id = await stage.project()
    a, elsewhere = await stage.ticket(project_id, "A"), await stage.ticket(await stage.project(), "B")
    refusal = await waits(stage, a, elsewhere, "ticket_x", status=404)
    assert refusal["details"] == {"ticket_ids": sorted([elsewhere, "ticket_x"])}
    other = await stage.ticket(project_id, "C")
    await stage.bring(a, "analyzing", "building", "building-done", "testing", "done")
    assert (await waits(stage, a, other, status=409))["error"] == "precondition_failed"
    assert (await waits(stage, other, a))["dependencies_complete"]


# --- context -------------------------------------------------------------------------------------


async def test_finished_work_is_folded_into_a_summary_and_again_without_a_change(
    stage: Stage, work: Work, clock: TurnedClock
) -> None:
    ticket_id = await stage.ticket(await stage.project(autonomous=True), phase_id="PHASE_IMPLEMENTATION")
    assert (await stage.call("GET", f"/tickets/{ticket_id}/context"))["summary"] is None
    claimed = await work.claimed()
    await work.settle(claimed)
    about = {"tenant_id": "default", "ticket_id": ticket_id, "created_at": clock.now()}
    result = ResultRow(
        id=new_id("res"),
        tenant_id="default",
        task_id=claimed.task.id,
        attempt=1,
        sandbox_id="sbx",
        status="completed",
        body_hash="h",
        summary="Words are found.\nAlso in titles.",
        files_changed=[],
        commits=[],
        artifacts=[],
        notes="Decision: an index per word\n- Risk: large texts\nThe rest is plain.",
        claims="unchecked",
        verification="passed",
        created_at=clock.now(),
    )
    decision: dict[str, Any] = {
        "phase_entry": 1,
        "criteria": [],
        "conditions": [],
        "decided_by": "system:host",
    }
    way = {"from_status": "building", "to_status": "building-done", "decision": "go"}
    made = {"phase_id": "PHASE_IMPLEMENTATION", "artifact_type": "code_changes", "content_hash": "h"}
    async with stage.db.transaction() as session:
        session.add(result)
        session.add(DecisionRow(id=new_id("decision"), **about, **decision, **way))
        session.add(
            ArtifactRow(id=new_id("art"), path="src/search.py", collected_by="system:host", **about, **made)
        )
    path = f"/tickets/{ticket_id}/update-context"
    answer = await stage.call("POST", path, phase_id="phase_implementation")
    assert answer["status"] == "updated"
    assert answer["summary"].splitlines() == [
        "Implementation: 1 task completed.",
        "- TSK-001 Implement Search: Words are found. Also in titles.",
        "- Decision: go from building to building-done",
        "- Decision (TSK-001): an index per word",
        "- Risk (TSK-001): large texts",
        "- Note (TSK-001): The rest is plain.",
        "- Artifacts: src/search.py",
    ]
    before = await stage.board.events.last("default")
    assert await stage.call("POST", path, phase_id="PHASE_IMPLEMENTATION") == answer
    assert await stage.board.events.last("default") == before
    (told,) = await stage.events("ticket.updated")
    assert told["payload"]["changes"] == {"context_summary": [None, answer["summary"]]}
    await stage.call("POST", path, phase_id="PHASE_TESTING")
    shown = await stage.call("GET", f"/tickets/{ticket_id}/context")
    phases = shown["full_context"]["phases"]
    assert set(phases) == {"PHASE_IMPLEMENTATION", "PHASE_TESTING"}
    assert set(phases["PHASE_IMPLEMENTATION"]) == {"tasks", "decisions", "risks", "notes", "artifacts"}
    assert [one["ref"] for one in phases["PHASE_IMPLEMENTATION"]["tasks"]] == ["TSK-001"]
    assert shown["summary"].endswith("Testing: 0 tasks completed.")
    for wrong in ("PHASE_BACKLOG", "PHASE_DONE", "nowhere"):
        await stage.call("POST", path, 422, phase_id=wrong)


async def test_the_context_tells_every_move_and_the_ways_back(stage: Stage) -> None:
    ticket_id = await stage.ticket(await stage.project())
    await stage.bring(ticket_id, "analyzing", "building", "building-done", "testing")
    await stage.call("POST", f"/tickets/{ticket_id}/regress", feedback="Umlauts are lost")
    full = (await stage.call("GET", f"/tickets/{ticket_id}/context"))["full_context"]
    assert [one["to_status"] for one in full["history"]] == [
        "backlog",
        "analyzing",
        "building",
        "building-done",
        "testing",
        "building",
    ]
    assert [one["feedback"] for one in full["regressions"]] == ["Umlauts are lost"]
    assert full["phases"] == {}


# --- who -----------------------------------------------------------------------------------------


async def test_strangers_find_nothing_and_viewers_change_nothing(stage: Stage) -> None:
    ticket_id = await stage.ticket(await stage.project())
    await stage.tenants.create_tenant("other", "Other")
    async with await stage.sign_in(Role.OWNER, "other") as stranger:
        assert {await ask(stranger, ticket_id, *one) for one in ROUTES} == {404}
    async with await stage.sign_in(Role.VIEWER) as viewer:
        for method, path, body in ROUTES:
            expected = 200 if method == "GET" else 403
            assert await ask(viewer, ticket_id, method, path, body) == expected, path


ROUTES: list[tuple[str, str, dict[str, Any] | None]] = [
    ("GET", "comments", None),
    ("POST", "comments", {"text": "x"}),
    ("GET", "commits", None),
    ("POST", "commits", {"sha": SHA}),
    ("GET", "context", None),
    ("POST", "update-context", {"phase_id": "PHASE_TESTING"}),
    ("GET", "dependencies", None),
    ("PUT", "dependencies", {"depends_on": []}),
    ("POST", "block", {"blocker_type": "environment"}),
    ("POST", "unblock", None),
]


async def ask(
    client: httpx.AsyncClient, ticket_id: str, method: str, path: str, body: dict[str, Any] | None
) -> int:
    answer = await client.request(method, f"/api/v1/tickets/{ticket_id}/{path}", json=body)
    return answer.status_code


async def test_a_check_of_a_criterion_is_read_where_it_is_given(stage: Stage) -> None:
    project_id = await stage.project()
    for wrong in (
        {"text": "Fast", "kind": "command"},
        {"text": "Fast", "kind": "command", "check": {"command": "make", "cwd": "/etc"}},
        {"text": "Fast", "kind": "rule", "check": {"rule": "nonsense"}},
        {"text": "Fast", "check": {"command": "make"}},
    ):
        refusal = await stage.call(
            "POST", "/tickets", 422, project_id=project_id, title="x", criteria=[wrong]
        )
        assert [one["field"] for one in refusal["details"]["fields"]] == ["criteria[0]"]
