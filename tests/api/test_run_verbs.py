"""The verbs of runs over HTTP: what they answer, to whom, and what the event stream tells of them."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from engine_house import person
from omniforge.core.actor import Role
from omniforge.engine.plan import SUBPLAN, Plan, Step, plan_json
from omniforge.runs.service import StartRequest

ASK = Step("ask", "approval", {"question": "Go on?"})
FAILS = Step("fails", "wait", {"until": "no time at all"})


async def start(application: Any, *steps: Step, **request: Any) -> str:
    """The path of a run of these steps, once it is over or parked."""
    runs = application.house.runs
    run_id = await runs.start_run(person(), StartRequest(Plan(steps), "test:1", **request))
    await asyncio.wait_for(runs.wait_for(person(), run_id), 20)
    return f"/api/v1/runs/{run_id}"


async def post(client: httpx.AsyncClient, path: str, body: Any = None, status: int = 200) -> dict[str, Any]:
    answer = await client.post(path, json=body)
    assert answer.status_code == status, answer.text
    return answer.json()


async def settled(application: Any, path: str, status: str) -> dict[str, Any]:
    async with asyncio.timeout(20):
        while (run := (await application.local.get(path)).json())["status"] != status:
            await asyncio.sleep(0.01)
    return run


async def event_types(client: httpx.AsyncClient, path: str) -> list[str]:
    """The stream of a run that is over ends by itself."""
    async with asyncio.timeout(20):
        text = (await client.get(f"{path}/events")).text
    return [line.removeprefix("event: ") for line in text.splitlines() if line.startswith("event: ")]


async def test_an_approval_is_answered_and_the_stream_ends_with_the_run(application: Any) -> None:
    local = application.local
    path = await start(application, ASK, Step("rest", "wait", {"seconds": 0.05}, needs=("ask",)))
    assert (await local.get(path)).json()["status"] == "waiting"
    await post(local, f"{path}/steps/ask/answer", {"output": {"approved": True}})
    run = await settled(application, path, "completed")
    assert run["steps"][0]["result"]["output"] == {"approved": True}
    types = await event_types(local, path)
    assert [name for name in types if name.startswith("step.answ")] == ["step.answered"]
    assert types[-1] == "run.finished"
    refused = await post(local, f"{path}/steps/ask/answer", {"output": {}}, 409)
    assert refused["error"] == "not_waiting"


async def test_a_live_stream_tells_what_people_do_until_the_end(application: Any) -> None:
    path = await start(application, ASK)
    stream = asyncio.create_task(event_types(application.local, path))
    await post(application.local, f"{path}/pause")
    await post(application.local, f"{path}/resume")
    await post(application.local, f"{path}/steps/ask/reject", {"why": "no"})
    types = await stream
    wanted = ["run.paused", "run.resumed", "step.rejected", "run.finished"]
    assert [name for name in types if name in wanted] == wanted


async def test_a_step_inside_others_is_answered_by_its_whole_key(application: Any) -> None:
    sub = Step("sub", SUBPLAN, {"plan": plan_json(Plan((ASK,)))}, for_each="input.rows")
    path = await start(application, sub, input={"rows": [1, 2]})
    await post(application.local, f"{path}/steps/sub[1]/ask/answer", {"output": {"n": 1}})
    await settled(application, path, "waiting")
    await post(application.local, f"{path}/steps/sub%5B0%5D%2Fask/answer", {"output": {"n": 0}})
    run = await settled(application, path, "completed")
    assert run["steps"][0]["result"]["output"] == [{"n": 0}, {"n": 1}]
    output = (await application.local.get(f"{path}/steps/sub[1]/ask/output")).json()
    assert output == {"output": {"n": 1}}


async def test_cancel_pause_and_resume_are_harmless_twice_and_clear_when_too_late(application: Any) -> None:
    local = application.local
    path = await start(application, ASK)
    for verb, status in [
        ("pause", "paused"),
        ("pause", "paused"),
        ("cancel", "cancelled"),
        ("cancel", "cancelled"),
    ]:
        assert (await post(local, f"{path}/{verb}"))["status"] == status
    for verb in ("pause", "resume"):
        assert (await post(local, f"{path}/{verb}", status=409))["error"] == "run_over"
    assert (await event_types(local, path)).count("run.finished") == 1


async def test_a_failed_run_is_retried_and_forked(application: Any) -> None:
    local = application.local
    path = await start(
        application, Step("ok", "wait", {"seconds": 0.01}), Step("late", "wait", FAILS.args, needs=("ok",))
    )
    run = await settled(application, path, "failed")
    assert run["error"]["code"] == "bad_time"
    assert (await post(local, f"{path}/retry", {"step": "ok"}, 409))["error"] == "nothing_to_retry"
    assert (await post(local, f"{path}/retry", {"step": "late"}))["id"] == run["id"]
    again = await settled(application, path, "failed")
    assert [step["attempt"] for step in again["steps"]] == [run["steps"][0]["attempt"], 2]
    assert (await event_types(local, path)).count("run.finished") == 2
    body = {"from_step": "late", "input": {"x": 1}, "idempotency_key": "k"}
    fork = await post(local, f"{path}/fork", body, 201)
    assert (fork["forked_from"], fork["input"], fork["trigger_type"]) == (run["id"], {"x": 1}, "fork")
    assert (await post(local, f"{path}/fork", body, 201))["id"] == fork["id"]
    assert (await post(local, f"{path}/fork", {"from_step": "zzz"}, 404))["error"] == "not_found"


async def test_a_finished_run_has_nothing_to_retry(application: Any) -> None:
    path = await start(application, Step("ok", "wait", {"seconds": 0.01}))
    await settled(application, path, "completed")
    assert (await post(application.local, f"{path}/retry", {}, 409))["error"] == "nothing_to_retry"


@pytest.mark.parametrize(
    ("rest", "body"),
    [
        ("retry", {"steps": "x"}),
        ("fork", {"input": [1]}),
        ("fork", {"from_step": 7}),
        ("steps/ask/answer", {"output": "text"}),
        ("steps/ask/reject", {"why": "x" * 2001}),
    ],
)
async def test_a_body_of_the_wrong_shape_is_refused_and_nothing_happens(
    application: Any, rest: str, body: dict[str, Any]
) -> None:
    path = await start(application, ASK)
    refused = await post(application.local, f"{path}/{rest}", body, 422)
    assert refused["details"]["fields"]
    assert (await application.local.get(path)).json()["status"] == "waiting"


async def test_runs_are_listed_by_status_and_by_what_they_are_of(application: Any) -> None:
    waiting = await start(application, ASK)
    await start(application, FAILS)
    local = application.local
    found = (await local.get("/api/v1/runs", params={"status": ["waiting", "paused"]})).json()
    assert [f"/api/v1/runs/{run['id']}" for run in found["runs"]] == [waiting]
    assert (await local.get("/api/v1/runs", params={"subject": "test:"})).json()["total"] == 2
    assert (await local.get("/api/v1/runs", params={"subject": "agent:"})).json()["total"] == 0
    assert (await local.get("/api/v1/runs", params={"status": "lost"})).status_code == 422


VERBS = ["cancel", "pause", "resume", "retry", "fork", "steps/ask/answer", "steps/ask/reject"]


@pytest.mark.parametrize("verb", VERBS)
async def test_whoever_may_only_look_changes_nothing(application: Any, verb: str) -> None:
    path = await start(application, ASK)
    viewer = await application.member(Role.VIEWER)
    assert (await viewer.get(path)).status_code == 200
    refused = await post(viewer, f"{path}/{verb}", {}, 403)
    assert refused["details"]["permission"] == "agent:execute"
    run = (await application.local.get(path)).json()
    assert (run["status"], run["steps"][0]["status"]) == ("waiting", "waiting")


@pytest.mark.parametrize("verb", VERBS)
async def test_a_foreign_run_is_as_unknown_as_one_that_never_was(application: Any, verb: str) -> None:
    path = await start(application, ASK)
    stranger = await application.member(Role.OWNER, "other", "stranger")
    refused = await post(stranger, f"{path}/{verb}", {}, 404)
    unknown = await post(stranger, f"/api/v1/runs/run_unknown/{verb}", {}, 404)
    assert (refused["error"], refused["message"]) == (unknown["error"], unknown["message"])
    for rest in ("", "/events", "/steps/ask/output"):
        assert (await stranger.get(f"{path}{rest}")).status_code == 404
    assert (await application.local.get(path)).json()["status"] == "waiting"


async def test_everything_that_people_did_is_told_with_who_it_was(application: Any) -> None:
    path = await start(application, ASK)
    member = await application.member(Role.OWNER, name="jo")
    await post(member, f"{path}/pause")
    await post(member, f"{path}/resume")
    await post(member, f"{path}/cancel")
    rows = await application.house.engine.events.read("default", run_id=path.rpartition("/")[2])
    did = {row.type: row.actor for row in rows if row.actor.startswith("user:") and row.type != "run.queued"}
    assert set(did) == {"run.paused", "run.resumed", "run.cancel_requested", "run.finished"}
    assert len(set(did.values())) == 1
