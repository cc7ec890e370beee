"""From an imported spec to a ticket that is done, by what workers do and the host sees."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from tests.board.chain_stage import House, Json, done, open_house
from tests.board.worker_stage import Worker
from tests.sandboxes.plain_workspaces import tar_of

SPEC = """
# Design

## Architecture

Two files.

## Data model

None.

## API

None.

# Requirements

## REQ-GREET-API-001: Greets

WHEN somebody comes, THE SYSTEM SHALL greet.

- [ ] It is friendly
- [ ] It is short

# Tickets

## TKT-001: Greeting
Requirements: REQ-GREET-API-001

A greeting for everybody.

- [ ] The greeting is there `$ test -f hello.txt`

### TSK-001: Write it

The first words.

- [ ] It says hello `$ grep -q hello hello.txt`

```sh
echo hello > hello.txt
```

### TSK-002: Write more
Depends on: TSK-001

```sh
echo world > world.txt
```
"""


@pytest.fixture
async def house(tmp_path: Path) -> AsyncGenerator[House]:
    async with open_house(tmp_path) as opened:
        yield opened


def works(folder: Path, brief: Json) -> Json:
    """Does what it is told to."""
    for command in brief["work"]["commands"]:
        subprocess.run(["/bin/sh", "-c", command], cwd=folder, check=True)
    return done()


async def test_a_ticket_goes_from_import_to_done(house: House) -> None:
    project = await house.project()
    ids = await house.imported(project, SPEC)
    serving = asyncio.create_task(house.serve(works))
    ticket = await house.until("tickets", ids["TKT-001"], "done")
    await house.heard("spec.completed")
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)
    told = [type_ for type_ in await house.told() if type_ != "sandbox.terminated"]
    assert told[told.index("task.claimed") :] == [
        *("task.claimed", "sandbox.requested", "ticket.updated", "sandbox.spawned"),
        *("sandbox.started", "task.started", "result.submitted", "sandbox.work_finished"),
        *("receipt.recorded", "commit.linked", *["artifact.stored"] * 3, "criterion.updated"),
        *("task.completed", "task.unblocked", "task.queued", "sandbox.completed"),
        *("task.claimed", "sandbox.requested", "sandbox.spawned", "sandbox.started", "task.started"),
        *("result.submitted", "sandbox.work_finished", "commit.linked", "artifact.stored"),
        *("task.completed", "sandbox.completed", "phase.completed"),
        *("gate.decided", "ticket.transitioned", "artifact.stored", "gate.decided", "ticket.transitioned"),
        *("sandbox.requested", "sandbox.spawned", "sandbox.started", "receipt.recorded"),
        *("sandbox.work_finished", *["artifact.stored"] * 2, "sandbox.completed"),
        *("receipt.voided", "gate.decided", "criterion.updated", "ticket.transitioned", "spec.completed"),
    ]
    moves = await house.payloads("ticket.transitioned")
    assert [(one["to_status"], one["cause"]) for one in moves] == [
        ("analyzing", "pull"),
        ("building", "auto"),
        ("building-done", "results"),
        ("testing", "results"),
        ("done", "results"),
    ]
    assert ticket["branch_name"] == "feature/TKT-001-greeting"
    repositories = house.rooms.chain.repositories
    main = await repositories.head(project, "main")
    assert main is not None
    assert await repositories.files(project, main) == ["hello.txt", "world.txt"]
    commits = await house.ask("GET", f"/tickets/{ticket['id']}/commits")
    assert [one["message"].split(":")[0] for one in commits["commits"]] == ["TSK-002", "TSK-001"]


async def external(house: House, task: str) -> Worker:
    """A worker from outside on that very task, whose workspace is there."""
    spawned = await house.ask("POST", "/sandboxes", 201, json={"task_id": task, "worker": "external"})
    async with asyncio.timeout(20):
        while (await house.shown("sandboxes", spawned["id"]))["state"] != "creating":
            await asyncio.sleep(0.01)
    return house.speak(spawned["id"], task, spawned["token"])


async def building(house: House, **settings: object) -> tuple[str, str]:
    """A project that takes nothing by itself, and a ticket of it in building."""
    project = await house.project(autonomous=False, settings={"commands": {}, **settings})
    return project, await house.ticket(project)


async def test_without_checks_the_verdict_stands_in_the_answer(house: House) -> None:
    _, ticket = await building(house)
    task = await house.task(ticket)
    worker = await external(house, task)
    brief = await worker.ask("GET", "/sandbox/task")
    assert (brief["attempt"], brief["work"]["kind"], brief["context"]["branch_name"]) == (
        1,
        "commands",
        "feature/TKT-001-search",
    )
    (await house.folder(worker)).joinpath("a.txt").write_text("a")
    path, after = f"/sandbox/task/{task}/results", await house.engine.events.last("default")
    body = done(files_changed=[{"path": "a.txt", "action": "created"}])
    said = await worker.ask("POST", path, json=body)
    assert (said["task_status"], said["verification"], said["replayed"]) == ("completed", "none", False)
    told = await house.told(after=after)
    assert told[:7] == [
        *("result.submitted", "sandbox.work_finished", "commit.linked", "artifact.stored"),
        *("task.completed", "sandbox.completed", "phase.completed"),
    ]
    replayed = await worker.ask("POST", path, json={**body, "attempt": 1})
    assert replayed == {**said, "replayed": True}
    late = await worker.ask("POST", path, 409, json=done("Something else."))
    assert (late["error"], late["details"]["current_attempt"]) == ("late_result", 1)
    kept = await house.ask("GET", f"/tickets/{ticket}/artifacts")
    assert {one["artifact_type"] for one in kept["artifacts"]} >= {"code_changes", "other"}
    (result,) = (await house.ask("GET", "/results", params={"task_id": task}))["results"]
    assert result["summary"] == "It is done."


async def test_a_worker_says_things_in_between(house: House) -> None:
    _, ticket = await building(house)
    task = await house.task(ticket)
    worker = await external(house, task)
    path = f"/sandbox/task/{task}/results"
    partial = {"status": "partial", "summary": "Half of it."}
    said = await worker.ask("POST", path, json=partial)
    assert (said["next_action"], said["task_status"]) == ("continue", "running")
    assert (await worker.ask("POST", path, json=partial))["replayed"]
    other = await worker.ask("POST", path, 409, json={**partial, "attempt": 2})
    assert other["details"] == {"task_status": "running", "current_attempt": 1, "your_attempt": 1}
    assert (await worker.ask("POST", path, json=done()))["task_status"] == "completed"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"status": "completed", "summary": ""}, 422),
        ({"status": "completed", "summary": "x" * 10_001}, 413),
        (done(files_changed=[{"path": "../a", "action": "created"}]), 422),
        (done(files_changed=[{"path": f"f{n}", "action": "created"} for n in range(2_001)]), 413),
        (done(artifacts=[{"type": "other", "content": "x" * 103_000}]), 413),
        (done(notes="x" * 1_000_000), 413),
    ],
)
async def test_results_have_bounds(house: House, body: Json, status: int) -> None:
    _, ticket = await building(house)
    worker = await external(house, await house.task(ticket))
    await worker.ask("POST", f"/sandbox/task/{worker.task_id}/results", status, json=body)


CHECK = {"text": "It says hello", "kind": "command", "check": {"command": "grep hello a.txt"}}


async def test_a_lying_worker_moves_nothing(house: House) -> None:
    """It says that all tests pass and what it changed; the host looks for itself."""
    project, ticket = await building(house)
    first = await house.task(ticket)
    task = await house.task(ticket, criteria=[CHECK], max_retries=2)
    await finish(house, first, {"other.txt": "there"})
    worker = await external(house, task)
    tests = {"total": 9, "passed": 9, "failed": 0}
    body = done("All green.", tests=tests, files_changed=[{"path": "a.txt", "action": "created"}])
    said = await worker.ask("POST", f"/sandbox/task/{task}/results", 202, json=body)
    assert said["verification"] == "running"
    shown = await house.until("tasks", task, "queued")
    assert shown["feedback"][0]["error_code"] == "claim_mismatch"
    assert "a.txt" in shown["feedback"][0]["text"]
    assert (shown["retry_count"], shown["result"]["claims"]) == (1, "mismatch")
    assert await house.told("receipt.recorded") == []

    worker = await external(house, task)
    (await house.folder(worker)).joinpath("a.txt").write_text("good bye")
    await worker.ask("POST", f"/sandbox/task/{task}/results", 202, json={**body, "summary": "Now."})
    async with asyncio.timeout(20):
        while len((await house.shown("tasks", task))["feedback"]) < 2:
            await asyncio.sleep(0.01)
    shown = await house.shown("tasks", task)
    assert shown["feedback"][1]["error_code"] == "evidence_failed"
    assert "exit code 1" in shown["feedback"][1]["text"]
    (receipt,) = (await house.ask("GET", "/results/receipts", params={"task_id": task}))["receipts"]
    assert (receipt["passed"], receipt["exit_code"], receipt["attempt"]) == (False, 1, 2)
    assert (await house.shown("tickets", ticket))["status"] == "building"

    worker = await external(house, task)  # goes on with what the last attempt left
    folder = await house.folder(worker)
    assert (folder / "a.txt").read_text() == "good bye"
    (folder / "a.txt").write_text("hello")
    await worker.ask("POST", f"/sandbox/task/{task}/results", 202, json={**body, "summary": "At last."})
    shown = await house.until("tasks", task, "completed")
    assert shown["verification"] == "passed"
    head = await house.rooms.chain.repositories.head(project, "feature/TKT-001-search")
    assert await house.rooms.chain.repositories.file(project, str(head), "a.txt") == b"hello"


async def finish(house: House, task: str, files: dict[str, str]) -> None:
    worker = await external(house, task)
    folder = await house.folder(worker)
    for name, text in files.items():
        (folder / name).write_text(text)
    await worker.ask("POST", f"/sandbox/task/{task}/results", json=done(f"Wrote {', '.join(files)}."))


async def test_what_does_not_go_together_is_done_again_with_the_paths(house: House) -> None:
    project, ticket = await building(house)
    first, one, other = [await house.task(ticket) for _ in range(3)]
    await finish(house, first, {"shared.txt": "one\n"})
    slow = await external(house, one)
    await finish(house, other, {"shared.txt": "two\n"})
    (await house.folder(slow)).joinpath("shared.txt").write_text("three\n")
    said = await slow.ask("POST", f"/sandbox/task/{one}/results", json=done())
    assert said["task_status"] == "queued"
    (feedback,) = (await house.shown("tasks", one))["feedback"]
    assert feedback["error_code"] == "merge_conflict"
    assert "shared.txt" in feedback["text"]
    again = await external(house, one)
    folder = await house.folder(again)
    assert (folder / "shared.txt").read_text() == "two\n"
    (folder / "shared.txt").write_text("two and three\n")
    said = await again.ask("POST", f"/sandbox/task/{one}/results", json=done())
    assert said["task_status"] == "completed"
    kept = await house.rooms.chain.repositories.head(project, f"attempts/{one}/1")
    assert await house.rooms.chain.repositories.file(project, str(kept), "shared.txt") == b"three\n"


async def in_conflict(house: House) -> tuple[str, str, str]:
    """A project with a file on its main branch, and a ticket in testing whose branch has another one there;
    with the task that stands there yet."""
    project, ticket = await building(house)
    await finish(house, await house.task(ticket), {"shared.txt": "ours\n", "own.txt": "own\n"})
    assert (await house.shown("tickets", ticket))["status"] == "testing"
    repositories = house.rooms.chain.repositories
    tree = tar_of({"shared.txt": "theirs\n"})
    snapshot = await repositories.snapshot(project, tree, None, "Somebody was faster")
    await repositories.merge(project, "main", snapshot.commit, "Somebody was faster")
    return project, ticket, snapshot.commit


async def pass_testing(house: House, ticket: str) -> None:
    """Its tests are run, and the person whom the gate asks for says yes."""
    (testing,) = [one["id"] for one in (await house.tasks(ticket))["tasks"] if one["status"] == "queued"]
    await finish(house, testing, {})
    async with asyncio.timeout(20):
        while not (waiting := (await house.ask("GET", "/approvals"))["approvals"]):
            await asyncio.sleep(0.01)
    await house.ask("POST", f"/approvals/{waiting[0]['id']}/decide", json={"decision": "approve"})


async def test_what_does_not_go_together_with_the_main_branch_goes_back_to_be_mended(house: House) -> None:
    project, ticket, _ = await in_conflict(house)
    await pass_testing(house, ticket)
    shown = await house.until("tickets", ticket, "building")
    assert shown["remediations"] == 1
    (mending,) = [task for task in (await house.tasks(ticket))["tasks"] if task["status"] == "queued"]
    assert mending["task_type"] == "remediation"
    assert "shared.txt" in mending["feedback"][0]["text"]
    assert "own.txt" not in mending["feedback"][0]["text"]

    worker = await external(house, mending["id"])
    folder = await house.folder(worker)
    marked = (folder / "shared.txt").read_text()
    assert all(word in marked for word in ("<<<<<<<", "ours", "theirs", ">>>>>>>"))
    (folder / "shared.txt").write_text("ours and theirs\n")
    await worker.ask("POST", f"/sandbox/task/{mending['id']}/results", json=done("Both are there."))
    await house.until("tickets", ticket, "testing")
    await pass_testing(house, ticket)
    await house.until("tickets", ticket, "done")
    repositories = house.rooms.chain.repositories
    main = str(await repositories.head(project, "main"))
    assert await repositories.file(project, main, "shared.txt") == b"ours and theirs\n"
    assert await repositories.file(project, main, "own.txt") == b"own\n"


def by_hand(way: str, ticket: str) -> tuple[str, Json]:
    why = {"force": True, "reason": "It has to be out today."}
    if way == "board":
        return "/board/move", {"ticket_id": ticket, "target_column_id": "done", **why}
    return f"/tickets/{ticket}/transition", {"to_status": "done", **why}


@pytest.mark.parametrize("way", ["board", "ticket"])
async def test_a_ticket_moved_to_done_by_hand_is_merged_first(house: House, way: str) -> None:
    project, ticket = await building(house)
    await finish(house, await house.task(ticket), {"own.txt": "own\n"})
    path, body = by_hand(way, ticket)
    await house.ask("POST", path, json=body)
    assert (await house.shown("tickets", ticket))["status"] == "done"
    repositories = house.rooms.chain.repositories
    assert await repositories.files(project, str(await repositories.head(project, "main"))) == ["own.txt"]


@pytest.mark.parametrize("way", ["board", "ticket"])
async def test_a_move_to_done_by_hand_is_refused_with_what_does_not_go_together(
    house: House, way: str
) -> None:
    project, ticket, main = await in_conflict(house)
    path, body = by_hand(way, ticket)
    before = await house.shown("tickets", ticket)
    refusal = await house.ask("POST", path, 409, json=body)
    assert (refusal["error"], refusal["details"]["paths"]) == ("precondition_failed", ["shared.txt"])
    assert "shared.txt" in refusal["message"]
    assert await house.shown("tickets", ticket) == before
    assert await house.rooms.chain.repositories.head(project, "main") == main


async def test_a_move_that_is_refused_merges_nothing(house: House) -> None:
    project, ticket = await building(house)
    await finish(house, await house.task(ticket), {"own.txt": "own\n"})
    await house.ask("POST", f"/tickets/{ticket}/transition", 409, json={"to_status": "done"})
    assert await house.rooms.chain.repositories.head(project, "main") is None


async def test_a_question_waits_for_people_and_costs_no_retry(house: House) -> None:
    _, ticket = await building(house)
    task = await house.task(ticket)
    worker = await external(house, task)
    (await house.folder(worker)).joinpath("half.txt").write_text("half")
    asked = {"reason": "Which colour?", "description": "Red or blue"}
    said = await worker.ask("POST", f"/sandbox/task/{task}/review", json=asked)
    assert said["task_status"] == "needs_review"
    inbox = (await house.ask("GET", "/approvals"))["approvals"]
    assert [(one["id"], one["subject_type"]) for one in inbox] == [(said["approval_id"], "task")]
    answer = {"decision": "answer", "rationale": "Red."}
    await house.ask("POST", f"/approvals/{said['approval_id']}/decide", json=answer)
    shown = await house.shown("tasks", task)
    assert (shown["status"], shown["retry_count"], shown["feedback"][0]["text"]) == ("queued", 0, "Red.")
    again = await external(house, task)
    assert (await house.folder(again)).joinpath("half.txt").read_text() == "half"
    brief = await again.ask("GET", "/sandbox/task")
    assert (brief["attempt"], brief["feedback"][0]["text"]) == (2, "Red.")


async def test_a_task_that_people_look_at_is_merged_when_they_agree(house: House) -> None:
    project, ticket = await building(house)
    approval = {"text": "Security agrees", "kind": "approval", "check": {"role": "security"}}
    task = await house.task(ticket, criteria=[approval])
    worker = await external(house, task)
    (await house.folder(worker)).joinpath("lock.txt").write_text("locked")
    said = await worker.ask("POST", f"/sandbox/task/{task}/results", json=done())
    assert (said["task_status"], said["next_action"]) == ("needs_review", "await_review")
    repositories = house.rooms.chain.repositories
    assert await repositories.head(project, "feature/TKT-001-search") is None
    (asked,) = (await house.ask("GET", "/approvals"))["approvals"]
    assert asked["role"] == "security"
    await house.ask("POST", f"/approvals/{asked['id']}/decide", json={"decision": "approve"})
    await house.until("tasks", task, "completed")
    head = await repositories.head(project, "feature/TKT-001-search")
    assert await repositories.files(project, str(head)) == ["lock.txt"]


async def test_a_failed_result_is_tried_again_and_at_last_blocks_the_ticket(house: House) -> None:
    _, ticket = await building(house)
    task = await house.task(ticket, max_retries=0)
    worker = await external(house, task)
    body = {"status": "failed", "summary": "No way.", "error_code": "network"}
    said = await worker.ask("POST", f"/sandbox/task/{task}/results", json=body)
    assert said["task_status"] == "failed"
    shown = await house.shown("tickets", ticket)
    assert (shown["is_blocked"], shown["blocker_type"]) == (True, "failing_checks")


async def test_what_was_cancelled_is_late(house: House) -> None:
    _, ticket = await building(house)
    task = await house.task(ticket)
    worker = await external(house, task)
    await worker.ask("GET", "/sandbox/task")
    await house.ask("POST", f"/tasks/{task}/cancel", json={})
    late = await worker.ask("POST", f"/sandbox/task/{task}/results", 409, json=done())
    assert late["details"]["task_status"] == "cancelled"
    async with asyncio.timeout(30):
        while (await house.shown("sandboxes", worker.sandbox_id))["state"] != "terminated":
            await asyncio.sleep(0.05)
