"""The dispatcher: every free place is filled, nothing is done twice, nothing that dies is lost."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select, update
from tests.board.chain_stage import House, Json, done, open_house
from tests.board.test_chain import building, external, works
from tests.board.worker_stage import Worker
from tests.sandboxes.plain_workspaces import PlainWorkspaces

from omniforge.board.dispatch import Chore, Dispatch
from omniforge.board.planner import plan_for_attempt
from omniforge.board.store.tasks import AttemptRow, TaskRow
from omniforge.engine.records import StoredRun
from omniforge.engine.state import RunStatus
from omniforge.sandboxes.store import SandboxRow


async def queued(house: House, count: int, **fields: Any) -> tuple[str, list[str]]:
    """A ticket in building with so many tasks that may be taken as soon as the project is autonomous."""
    project, ticket = await building(house, max_concurrent_sandboxes=50)
    return project, [await house.task(ticket, **fields) for _ in range(count)]


async def start(house: House, project: str) -> None:
    await house.ask("PATCH", f"/projects/{project}", json={"autonomous": True})


async def attempts(house: House) -> list[AttemptRow]:
    async with house.db.read() as session:
        return list(await session.scalars(select(AttemptRow).order_by(AttemptRow.claimed_at)))


async def test_free_places_are_filled_at_once_and_slow_ones_delay_nobody(tmp_path: Path) -> None:
    provider = PlainWorkspaces(tmp_path / "plain", gate=asyncio.Event())
    async with open_house(tmp_path, provider=provider) as house:
        project, tasks = await queued(house, 4)
        await start(house, project)
        for task in tasks:  # none of their sandboxes is there yet
            await house.until("tasks", task, "running")
        assert provider.places == {}
        assert provider.gate is not None
        provider.gate.set()
        workers = [await house.worker() for _ in tasks]
        assert {worker.task_id for worker in workers} == set(tasks)


async def test_a_project_that_takes_nothing_by_itself_goes_on_after_work_that_was_asked_for(
    tmp_path: Path,
) -> None:
    async with open_house(tmp_path) as house:
        _, ticket = await building(house)
        first = await house.task(ticket)
        second = await house.task(ticket)
        worker = await external(house, first)
        await worker.ask("POST", f"/sandbox/task/{first}/results", json=done())
        assert await house.rooms.chain.dispatch.fill() == 0
        assert (await house.shown("tasks", second))["status"] == "queued"
        capacity = await house.ask("GET", "/sandboxes/capacity")
        assert capacity["waiting"] == [{"task_id": second, "reason": "project_not_autonomous"}]
        worker = await external(house, second)
        await worker.ask("POST", f"/sandbox/task/{second}/results", json=done())
        assert (await house.shown("tickets", ticket))["status"] == "testing"


async def test_work_for_an_agent_waits_for_a_model(tmp_path: Path) -> None:
    async with open_house(tmp_path, dispatches=False) as house:
        project, tasks = await queued(house, 1, work=None)
        await start(house, project)
        assert await house.rooms.chain.dispatch.fill() == 0
        capacity = await house.ask("GET", "/sandboxes/capacity", params={"project_id": project})
        assert capacity["waiting"] == [{"task_id": tasks[0], "reason": "no_model"}]


async def test_tasks_that_own_the_same_files_are_not_done_at_the_same_time(tmp_path: Path) -> None:
    async with open_house(tmp_path, dispatches=False) as house:
        project, _ = await queued(house, 2, owned_files=["src/**"])
        await start(house, project)
        assert await house.rooms.chain.dispatch.fill() == 1


async def test_two_dispatchers_share_the_work(tmp_path: Path) -> None:
    """Each attempt is started once, and every task is completed by its first."""
    async with open_house(tmp_path, dispatches=False) as house:
        project, tasks = await queued(house, 8)
        chain = house.rooms.chain
        claims = house.rooms.work.claims
        assert claims is not None
        other = Dispatch(claims, chain.runs)
        await start(house, project)
        loops = [asyncio.create_task(one.run()) for one in (chain.dispatch, other)]
        serving = [asyncio.create_task(house.serve(works)) for _ in range(4)]
        for task in tasks:
            await house.until("tasks", task, "completed")
        for loop in (*loops, *serving):
            loop.cancel()
        await asyncio.gather(*loops, *serving, return_exceptions=True)
        taken = Counter(row.task_id for row in await attempts(house))
        assert taken == dict.fromkeys(tasks, 1)


async def test_a_worker_that_is_gone_is_seen_and_its_task_tried_again(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        project, (task,) = await queued(house, 1)
        await start(house, project)
        worker = await house.worker(task)
        await worker.ask("GET", "/sandbox/task")
        async with house.db.transaction() as session:  # as if a minute had gone by without a word
            late = house.engine.clock.now() - timedelta(seconds=1)
            await session.execute(update(TaskRow).values(lease_expires_at=late))
        shown = await house.until("tasks", task, "queued")
        assert (shown["retry_count"], shown["feedback"][0]["error_code"]) == (1, "heartbeat_lost")
        answer = await worker.http.post(f"/api/v1/sandbox/task/{task}/results", json=done())
        assert (answer.status_code, answer.json()["error"]) == (409, "late_result")
        (attempt,) = await attempts(house)
        run = await over(house, attempt.run_id)
        assert run.status is RunStatus.COMPLETED, "its run has nothing more to do"


async def at_work(house: House) -> tuple[str, Worker]:
    """The ticket of a task that a worker has begun with."""
    project, (task,) = await queued(house, 1)
    await start(house, project)
    worker = await house.worker(task)
    await worker.ask("GET", "/sandbox/task")
    return (await house.shown("tasks", task))["ticket_id"], worker


async def until_gone(house: House, worker: Worker) -> None:
    """Its sandbox is taken down, and its token opens nothing any more."""
    assert (await worker.beat(401))["error"] == "token_revoked"
    async with asyncio.timeout(20):
        while (await house.shown("sandboxes", worker.sandbox_id))["state"] != "terminated":
            await asyncio.sleep(0.05)
    assert [ref for ref in house.provider.destroyed if worker.sandbox_id in ref]


async def test_what_takes_longer_than_it_may_is_ended_and_tried_again(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        _, worker = await at_work(house)
        async with house.db.transaction() as session:
            before = house.engine.clock.now() - timedelta(days=1)
            await session.execute(update(TaskRow).values(started_at=before))
        shown = await house.until("tasks", worker.task_id, "queued")
        assert (shown["retry_count"], shown["feedback"][0]["error_code"]) == (1, "timed_out")
        await until_gone(house, worker)


async def test_a_running_task_that_is_cancelled_leaves_nothing(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        _, worker = await at_work(house)
        await house.ask("POST", f"/tasks/{worker.task_id}/cancel", json={})
        shown = await house.shown("tasks", worker.task_id)
        assert (shown["status"], shown["retry_count"]) == ("cancelled", 0)
        await until_gone(house, worker)
        (attempt,) = await attempts(house)
        assert attempt.outcome == "cancelled"
        assert (await over(house, attempt.run_id)).status is RunStatus.COMPLETED


async def test_an_idle_attempt_is_ended_and_what_it_did_is_kept(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        ticket, worker = await at_work(house)
        await worker.tell("agent.replied", event_data={"text": "Let me see."})
        async with house.db.transaction() as session:
            before = house.engine.clock.now() - timedelta(minutes=10)
            await session.execute(update(SandboxRow).values(started_at=before, last_work_at=before))
        assert await house.rooms.workshop.upkeep.end_silent() == 1
        shown = await house.until("tasks", worker.task_id, "queued")
        assert (shown["retry_count"], shown["feedback"][0]["error_code"]) == (1, "idle")
        await until_gone(house, worker)
        (kept,) = (await house.ask("GET", f"/tickets/{ticket}/artifacts"))["artifacts"]
        assert (kept["artifact_type"], kept["task_id"]) == ("transcript", worker.task_id)
        assert kept["content"]["events"][-1]["payload"]["text"] == "Let me see."


async def test_secrets_of_a_sandbox_are_masked_in_what_its_worker_says(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        _, ticket = await building(house)
        secret, told = "correct-horse", list[Worker]()
        for _ in range(2):
            task = await house.task(ticket)
            given = {"task_id": task, "worker": "external", "env": {"PASSWORD": secret}}
            spawned = await house.ask("POST", "/sandboxes", 201, json=given)
            async with asyncio.timeout(20):
                while (await house.shown("sandboxes", spawned["id"]))["state"] != "creating":
                    await asyncio.sleep(0.01)
            told.append(house.speak(spawned["id"], task, spawned["token"]))
        one, other = told
        said = done(f"Used {secret}.", notes=f"It is {secret}")
        await one.ask("POST", f"/sandbox/task/{one.task_id}/results", json=said)
        (result,) = (await house.ask("GET", "/results", params={"task_id": one.task_id}))["results"]
        assert (result["summary"], result["notes"]) == ("Used [secret removed].", "It is [secret removed]")
        asked = {"reason": f"Is {secret} right?", "description": secret}
        await other.ask("POST", f"/sandbox/task/{other.task_id}/review", json=asked)
        inbox = await house.ask("GET", "/approvals")
        assert "[secret removed]" in str(inbox)
        assert secret not in str(inbox)
        assert secret not in str(
            [row.payload for row in await house.engine.events.read("default", limit=9_000)]
        )


async def over(house: House, run_id: str) -> StoredRun:
    async with asyncio.timeout(20):
        while True:
            run = await house.engine.store.run(run_id)
            if run is not None and run.status.is_over:
                return run
            await asyncio.sleep(0.01)


async def test_a_sandbox_that_cannot_be_made_is_tried_again(tmp_path: Path) -> None:
    provider = PlainWorkspaces(tmp_path / "plain", broken={"create"})
    async with open_house(tmp_path, provider=provider) as house:
        project, (task,) = await queued(house, 1)
        await start(house, project)
        async with asyncio.timeout(20):
            while not (shown := await house.shown("tasks", task))["feedback"]:
                await asyncio.sleep(0.01)
        assert (shown["status"], shown["feedback"][0]["error_code"]) == ("queued", "provider_error")
        assert shown["not_before"] is not None


async def test_a_skill_that_is_not_there_is_not_looked_for_again(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        project, (task,) = await queued(house, 1, work={"kind": "skill", "name": "nowhere", "inputs": {}})
        await start(house, project)
        shown = await house.until("tasks", task, "failed")
        assert shown["error_code"] == "invalid_input"


async def test_a_skill_lies_beside_the_workspace(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        work: Json = {"kind": "skill", "name": "report-formatter", "inputs": {"rows": []}}
        project, (task,) = await queued(house, 1, work=work)
        await start(house, project)
        worker = await house.worker(task)
        assert (await worker.ask("GET", "/sandbox/task"))["work"] == work
        (place,) = house.provider.places.values()
        assert set(place.skills) == {"report-formatter"}


async def test_another_process_goes_on_after_any_row(tmp_path: Path) -> None:
    """The result is in, and everybody dies before it is looked at."""
    provider = PlainWorkspaces(tmp_path / "plain")
    async with open_house(tmp_path, provider=provider) as house:
        project, (task,) = await queued(house, 1)
        await start(house, project)
        worker = await house.worker(task)
        await worker.ask("GET", "/sandbox/task")
        (await house.folder(worker)).joinpath("kept.txt").write_text("kept")
        before = await attempts(house)
        async with house.rooms.chain.settling.alone(task, 1):  # nobody looks at it before the end
            await worker.ask("POST", f"/sandbox/task/{task}/results", 202, json=done())
            await house.crash()
    async with open_house(tmp_path, provider=provider) as house:
        shown = await house.until("tasks", task, "completed")
        assert (shown["attempt"], shown["result"]["summary"]) == (1, "It is done.")
        assert [row.run_id for row in await attempts(house)] == [row.run_id for row in before]
        told = Counter(await house.told())
        assert (told["task.completed"], told["commit.linked"], told["result.submitted"]) == (1, 1, 1)


async def test_a_run_that_its_claimer_could_not_start_is_started(tmp_path: Path) -> None:
    async with open_house(tmp_path, dispatches=False) as house:
        project, (task,) = await queued(house, 1)
        await start(house, project)
        claims = house.rooms.work.claims
        assert claims is not None
        async with house.db.transaction() as session:
            claimed = await claims.claim_in(session, "system:dispatch")
            assert claimed is not None
            session.info["after_commit"].clear()  # the process ends here
        assert await house.engine.store.run(claimed.attempt.run_id) is None
        assert await house.rooms.chain.runs.start_missing() == 1
        assert (await house.worker(task)).task_id == task
        assert await house.rooms.chain.runs.start_missing() == 0


async def test_a_chore_that_fails_or_takes_long_stops_nothing(tmp_path: Path) -> None:
    provider = PlainWorkspaces(tmp_path / "plain")
    async with open_house(tmp_path, provider=provider, dispatches=False) as house:
        project, tasks = await queued(house, 1)
        claims, made = house.rooms.work.claims, list[str]()
        assert claims is not None
        answered = asyncio.Event()

        async def fails() -> None:
            raise OSError("no disk")

        async def breaks() -> None:
            raise ValueError("nobody thought of this")

        async def hangs() -> None:
            made.append("begun")
            await answered.wait()
            made.append("ended")

        chores = (Chore("fail", 0.0, fails), Chore("break", 0.0, breaks), Chore("hang", 0.0, hangs))
        dispatch = Dispatch(claims, house.rooms.chain.runs, chores=chores)
        dispatch.begin()
        await start(house, project)
        dispatch.follow(house.engine.events)
        await house.until("tasks", tasks[0], "running")
        await dispatch.pass_once()
        assert made == ["begun"], "it is under way, so it is not begun again"
        answered.set()
        await dispatch.close()
        assert made[:2] == ["begun", "ended"]


def test_the_plan_of_an_attempt_waits_for_its_worker() -> None:
    plan = plan_for_attempt()
    assert [step.key for step in plan.steps] == ["spawn", "work", "verify", "settle", "advance"]
    assert plan.by_key["work"].retry.attempts == 1, "a try of the work is an attempt of its own"
    assert plan_for_attempt().hash == plan.hash
