"""Sandboxes from being asked for to being gone: made once, ended once, told, and never forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import select
from tests.board.task_stage import Stage
from tests.board.worker_stage import Works, open_works
from tests.sandboxes.plain_workspaces import files_of, tar_of

from omniforge.board.store.evidence import ArtifactRow
from omniforge.db import Database
from omniforge.sandboxes.service import SandboxFailed
from omniforge.sandboxes.store import SandboxRow
from omniforge.sandboxes.workspaces import WorkspaceOrder

TREE = tar_of({"README.md": "# Shop\n", "src/main.py": "print('hello')\n"})


@pytest.fixture
async def works(database: Database, tmp_path: Path) -> AsyncIterator[Works]:
    async with open_works(Stage(database), tmp_path) as opened:
        yield opened


async def a_check(works: Works) -> SandboxRow:
    async with works.stage.db.transaction() as session:
        return await works.sandboxes.request_check_in(
            session,
            tenant_id="default",
            project_id=works.project,
            ticket_id=works.ticket,
            run_id="run-gate",
        )


async def test_a_check_runs_commands_of_the_host_and_has_no_worker(works: Works) -> None:
    check = await a_check(works)
    await works.sandboxes.provision(check.id, TREE)
    row = await works.row(check.id)
    assert (row.state, row.token_hash, row.kind) == ("running", None, "check")
    assert works.provider.places[row.provider_ref or ""].env is None
    ran = await works.sandboxes.execute(
        check.id, ["sh", "-c", "cat README.md; echo $X; exit 3"], env={"X": "y"}
    )
    assert (ran.exit_code, ran.output) == (3, b"# Shop\ny\n")
    await works.sandboxes.execute(check.id, ["sh", "-c", "echo made > new.txt"], cwd="src")
    assert files_of(await works.sandboxes.read_tree(check.id))["src/new.txt"] == "made\n"
    async with works.stage.db.transaction() as session:
        assert await works.sandboxes.work_finished_in(session, check.id)
        assert not await works.sandboxes.work_finished_in(session, check.id)
        assert await works.sandboxes.complete_in(session, check, "go")
        assert not await works.sandboxes.complete_in(session, check, "go")
    assert await works.sandboxes.terminate(check.id, "done")
    assert not await works.sandboxes.terminate(check.id, "done")
    assert await works.told(check.id) == [
        "sandbox.requested",
        "sandbox.spawned",
        "sandbox.started",
        "sandbox.work_finished",
        "sandbox.completed",
        "sandbox.terminated",
    ]
    assert works.provider.places == {}
    with pytest.raises(SandboxFailed):
        await works.sandboxes.execute(check.id, ["true"])


async def test_states_never_go_back(works: Works) -> None:
    check = await a_check(works)
    async with works.stage.db.transaction() as session:
        assert not await works.sandboxes.started_in(session, check), "nothing is there yet"
        assert not await works.sandboxes.work_finished_in(session, check.id)
        assert await works.sandboxes.fail_in(session, check, "provider_error", "No place.")
        assert not await works.sandboxes.complete_in(session, check, "go")
        assert not await works.sandboxes.fail_in(session, check, "provider_error", "No place.")
    with pytest.raises(SandboxFailed):
        await works.sandboxes.provision(check.id, TREE)
    row = await works.row(check.id)
    assert (row.state, row.error_code, row.error_message) == ("failed", "provider_error", "No place.")


async def test_a_workspace_gets_its_tree_its_folders_and_its_environment(works: Works) -> None:
    claimed = await works.claimed()
    sandbox_id, skill = claimed.sandbox.id, tar_of({"SKILL.md": "# Hello"})
    env = {"LANG": "C", "OMNIFORGE_URL": "http://elsewhere"}
    await works.sandboxes.provision(sandbox_id, TREE, env=env, folders={"hello": skill})
    placed = works.provider.places[(await works.row(sandbox_id)).provider_ref or ""]
    assert placed.skills == {"hello": skill}
    assert placed.env is not None
    assert (placed.env["LANG"], placed.env["OMNIFORGE_URL"]) == ("C", "http://127.0.0.1:8700")
    assert files_of(await works.sandboxes.read_tree(sandbox_id))["src/main.py"] == "print('hello')\n"
    await works.sandboxes.stop_worker(sandbox_id)
    assert placed.env is None


async def test_making_it_again_after_a_crash_does_nothing_twice(works: Works) -> None:
    worker = await works.worker()
    await works.sandboxes.provision(worker.sandbox_id, TREE)
    assert (await worker.beat())["success"] is True, "its token is the same"
    assert len(works.provider.places) == 1
    await works.sandboxes.provision(worker.sandbox_id, TREE)
    assert (await works.told(worker.sandbox_id)).count("sandbox.spawned") == 1

    crashed = await works.claimed()
    works.provider.broken = {"start_worker"}
    with pytest.raises(SandboxFailed):
        await works.sandboxes.provision(crashed.sandbox.id, TREE)
    first = (await works.row(crashed.sandbox.id)).token_hash
    works.provider.broken = set()
    second = await works.start(crashed)
    row = await works.row(crashed.sandbox.id)
    assert first != row.token_hash, "nobody may know the one that was lost"
    assert (await second.beat())["success"] is True
    assert (await works.told(crashed.sandbox.id)).count("sandbox.spawned") == 1


@pytest.mark.parametrize("part", ["create", "write_tree", "start_worker"])
async def test_a_provider_that_fails_is_an_error_with_a_code(works: Works, part: str) -> None:
    claimed = await works.claimed()
    works.provider.broken = {part}
    with pytest.raises(SandboxFailed) as failure:
        await works.sandboxes.provision(claimed.sandbox.id, TREE)
    assert failure.value.code == "provider_error"
    check = await a_check(works)
    if part == "start_worker":
        return
    with pytest.raises(SandboxFailed):
        await works.sandboxes.provision(check.id, TREE)
    assert (await works.row(check.id)).state == "failed"


async def test_what_takes_too_long_is_a_timeout(works: Works) -> None:
    claimed = await works.claimed()
    works.stage.clock.turn(301)
    with pytest.raises(SandboxFailed) as failure:
        await works.sandboxes.provision(claimed.sandbox.id, TREE)
    assert failure.value.code == "provision_timeout"


async def test_a_sandbox_that_was_called_off_while_it_was_made_leaves_nothing(works: Works) -> None:
    claimed = await works.claimed()
    works.provider.gate = asyncio.Event()
    making = asyncio.create_task(works.sandboxes.provision(claimed.sandbox.id, TREE))
    await asyncio.sleep(0)
    await works.ask("POST", f"/tasks/{claimed.task.id}/cancel")
    assert await works.sandboxes.release_ended() == 1
    works.provider.gate.set()
    with pytest.raises(SandboxFailed):
        await making
    assert works.provider.places == {}
    assert (await works.row(claimed.sandbox.id)).state == "terminated"


async def test_what_has_ended_is_taken_down_unless_somebody_keeps_it(works: Works) -> None:
    worker, kept = await works.worker(), await works.worker()
    seen: list[dict[str, str]] = []

    async def keep(row: SandboxRow) -> None:
        seen.append(files_of(await works.sandboxes.read_tree(row.id)))

    works.sandboxes.before_release.append(keep)
    assert await works.sandboxes.release_ended() == 0
    works.stage.clock.turn(61)
    assert await works.stage.claim() is None
    async with works.stage.db.transaction() as session:
        row = await session.get_one(SandboxRow, kept.sandbox_id)
        row.keep_until = works.stage.clock.now().replace(year=2027)
    assert await works.workshop.upkeep.release_ended() == 1
    assert [files["README.md"] for files in seen] == ["# Shop\n"]
    assert (await works.row(worker.sandbox_id)).state == "terminated"
    assert (await works.row(kept.sandbox_id)).state == "failed"
    assert (await works.told(worker.sandbox_id))[-2:] == ["sandbox.failed", "sandbox.terminated"]


async def test_a_provider_that_cannot_take_it_down_is_asked_again(works: Works) -> None:
    worker = await works.worker()
    await works.ask("POST", f"/tasks/{worker.task_id}/cancel")
    works.provider.broken = {"destroy"}
    assert await works.sandboxes.release_ended() == 0
    assert (await works.row(worker.sandbox_id)).state == "creating"
    works.provider.broken = set()
    assert await works.sandboxes.release_ended() == 1
    assert works.provider.places == {}


async def test_a_sweep_finds_what_either_side_has_forgotten(works: Works) -> None:
    worker, check = await works.worker(), await a_check(works)
    await works.sandboxes.provision(check.id, TREE)
    lost = {(await works.row(one)).provider_ref or "" for one in (worker.sandbox_id, check.id)}
    for ref in lost:
        del works.provider.places[ref]
    # Somebody makes a sandbox just now: its place is there, its row does not know that yet.
    claimed = await works.claimed()
    young = await works.provider.create(WorkspaceOrder(sandbox_id=claimed.sandbox.id))
    assert await works.workshop.upkeep.sweep() == 1
    assert young.ref in works.provider.places, "it may be the one that is being made"
    assert (await works.row(worker.sandbox_id)).error_code == "sandbox_crashed"
    task = await works.stage.get(worker.task_id)
    assert (task.status, task.error_code) == ("queued", "sandbox_crashed")
    assert (await works.told(check.id))[-2:] == ["sandbox.failed", "sandbox.terminated"]

    await works.start(claimed)  # which made a place of its own
    assert await works.workshop.upkeep.sweep() == 0
    assert young.ref not in works.provider.places
    assert len(works.provider.places) == 1


async def test_an_attempt_without_work_is_idle_though_its_heart_beats(works: Works) -> None:
    worker = await works.worker()
    await worker.beat()
    for _ in range(11):
        works.stage.clock.turn(50)
        await worker.beat(busy=False)
        await worker.tell("agent.thinking")
    assert await works.workshop.upkeep.end_silent() == 0
    await worker.tell("command.output", event_data={"text": "."})
    for _ in range(11):
        works.stage.clock.turn(50)
        await worker.beat()
    assert await works.workshop.upkeep.end_silent() == 0
    works.stage.clock.turn(50)
    await worker.beat(busy=True)
    assert await works.workshop.upkeep.end_silent() == 0, "something long is going on"
    for _ in range(6):
        works.stage.clock.turn(50)
        await worker.beat(busy=True)
    assert await works.workshop.upkeep.end_silent() == 1
    assert await works.workshop.upkeep.end_silent() == 0
    assert (await worker.beat(401))["error"] == "token_revoked"
    row, task = await works.row(worker.sandbox_id), await works.stage.get(worker.task_id)
    assert (row.state, row.error_code, task.status) == ("failed", "idle", "queued")
    async with works.stage.db.read() as session:
        (kept,) = await session.scalars(select(ArtifactRow).where(ArtifactRow.task_id == worker.task_id))
    assert kept.artifact_type == "transcript"
    assert kept.content is not None
    told = [event["type"] for event in kept.content["events"]]
    assert told.count("agent.thought") == 11
    assert told[-1] == "command.output", "heartbeats are no part of it"


async def test_progress_is_work(works: Works) -> None:
    worker = await works.worker()
    await worker.beat()
    for _ in range(12):
        works.stage.clock.turn(55)
        await worker.beat()
    path = f"/sandbox/task/{worker.task_id}/progress"
    await worker.ask("POST", path, json={"event_type": "info", "message": "Still here"})
    assert await works.workshop.upkeep.end_silent() == 0


async def test_a_worker_that_never_speaks_is_given_up(works: Works) -> None:
    worker, check = await works.worker(), await a_check(works)
    for seconds in (59, 59, 59, 59, 59):
        works.stage.clock.turn(seconds)
        await works.work.leases.renew_lease(worker.task_id, 1)
        assert await works.workshop.upkeep.end_silent() == 0
    works.stage.clock.turn(6)
    assert await works.workshop.upkeep.end_silent() == 2
    task = await works.stage.get(worker.task_id)
    assert (task.status, task.error_code) == ("queued", "provision_timeout")
    assert (await works.row(worker.sandbox_id)).state == "failed"
    assert (await works.row(check.id)).error_code == "provision_timeout"
