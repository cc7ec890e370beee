"""How runs of agents read: statuses, errors, effects, events, files."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.agents.conftest import House, failing, posting, saying

from omniforge.core.actor import Actor
from omniforge.core.errors import Fatal, NeedsHuman, NotFound, Retryable
from omniforge.core.paging import Paging
from omniforge.engine.active import StepCall
from omniforge.engine.plan import Plan, Step
from omniforge.engine.state import Signal, StepResult, Waiting
from omniforge.runs.service import StartRequest


def refs(*skills: tuple[str, dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"name": name, "order": order, **more} for order, (name, more) in enumerate(skills, start=1)]


async def test_an_execution_tells_what_happened(house: House, actor: Actor) -> None:
    made = await house.active(actor)
    execution = await house.finish(actor, made.id, input_data={"timeframe": "7 days"})
    assert (execution.status, execution.agent_id, execution.agent_version) == ("completed", made.id, 1)
    assert (execution.mode, execution.trigger_type, execution.triggered_by) == (
        "live",
        "on_demand",
        "user:local",
    )
    assert execution.result == {"text": "# Weekly", "output": {"report": "# Weekly"}, "artifacts": []}
    assert execution.error is None
    assert execution.started_at
    assert execution.completed_at
    assert house.calls[-1].run.input == {"timeframe": "7 days"}
    (skill,) = execution.skill_results
    assert (skill["key"], skill["status"], skill["attempt"], skill["message"]) == (
        "weekly-report",
        "succeeded",
        1,
        "Done.",
    )
    assert skill["started_at"]


@pytest.mark.parametrize(
    ("result", "status"),
    [
        (StepResult(output={"report": "r"}), "completed"),
        (StepResult(output={}, signal=Signal.EMPTY), "no_effect"),
        (StepResult(output={"report": "r"}, signal=Signal.FLAG), "partial"),
        (Waiting("approval"), "waiting"),
    ],
)
async def test_the_status_follows_what_the_skills_said(
    house: House, actor: Actor, result: StepResult | Waiting, status: str
) -> None:
    made = await house.active(actor)
    house.script["weekly-report"] = saying(result)
    execution = await house.finish(actor, made.id)
    assert execution.status == status
    waits = [{"key": "weekly-report", "skill": "weekly-report", "reason": "approval"}]
    assert execution.waiting_for == (waits if status == "waiting" else None)


async def test_a_step_left_out_by_its_condition_is_no_shortcoming_but_one_left_out_by_error_is(
    house: House, actor: Actor
) -> None:
    await house.shelve(actor, "a", "b", "c")
    skills = refs(("a", {"needs": []}), ("b", {"needs": ["a"], "when": "false"}), ("c", {"needs": ["a"]}))
    made = await house.active(actor, "a", skills=skills)
    execution = await house.finish(actor, made.id)
    assert execution.status == "completed"
    assert [(r["status"], r["reason"]) for r in execution.skill_results] == [
        ("succeeded", None),
        ("skipped", "when_false"),
        ("succeeded", None),
    ]
    skills = refs(("a", {"error_strategy": "skip"}), ("c", {"needs": []}))
    made = await house.active(actor, "a", skills=skills)
    house.script["a"] = failing(Fatal("broken", code="script_failed"))
    execution = await house.finish(actor, made.id)
    assert execution.status == "partial"
    assert execution.skill_results[0]["error"]["code"] == "script_failed"


async def test_outputs_of_several_needs_are_merged_by_order_and_conditions_see_them(
    house: House, actor: Actor
) -> None:
    house.script["x"] = saying(StepResult(output={"n": 5}))
    await house.shelve(actor, "x", "y", "sum")
    skills = refs(
        ("x", {"needs": []}),
        ("y", {"needs": []}),
        ("sum", {"needs": ["y", "x"], "when": "steps.x.output.n > 2", "inputs": {"n": "${x.output.n}"}}),
    )
    made = await house.active(actor, "x", skills=skills)
    await house.finish(actor, made.id)
    call = house.calls[-1]
    assert call.step.needs == ("x", "y")
    assert call.inputs == {"n": 5}


async def test_effects_that_were_approved_and_did_not_happen_make_no_effect(
    house: House, actor: Actor
) -> None:
    house.script["post"] = posting("#team")
    made = await house.active(actor, "post")
    assert [entry["destination"]["name"] for entry in house.calls[-1].step.args["manifest"]] == []
    done = await house.finish(actor, made.id)
    assert (done.status, [effect["destination"]["name"] for effect in done.effects]) == (
        "completed",
        ["#team"],
    )
    assert "content" not in done.effects[0]
    assert [entry["destination"]["name"] for entry in house.calls[-1].step.args["manifest"]] == ["#team"]
    house.script["post"] = posting()
    assert (await house.finish(actor, made.id)).status == "no_effect"


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (Fatal("column x is missing", code="script_failed"), "script_failed", "stopped unexpectedly"),
        (Fatal("I stopped before posting.", code="effect_not_approved"), "effect_not_approved", "I stopped"),
        (NeedsHuman("Who is it?", code="unclear"), "unclear", "Who is it?"),
    ],
)
async def test_a_failure_says_what_happened_what_was_not_done_and_what_to_do(
    house: House, actor: Actor, error: Exception, code: str, said: str
) -> None:
    made = await house.active(actor)
    house.script["weekly-report"] = failing(error)
    execution = await house.finish(actor, made.id)
    assert execution.status == "failed"
    assert execution.error["code"] == code
    assert said in execution.error["message"]
    assert execution.error["message"].endswith("Nothing was changed or sent.")
    assert execution.error["next_step"]


async def test_a_failure_after_an_effect_lists_what_was_done(house: House, actor: Actor) -> None:
    house.script["post"] = posting("#team")
    made = await house.active(actor, "post")
    effect = posting("#team")

    async def post_then_fail(call: StepCall) -> StepResult:
        await effect(call)
        raise Fatal("then it broke", code="script_failed")

    house.script["post"] = post_then_fail
    execution = await house.finish(actor, made.id)
    assert execution.error["message"].endswith("Done before that: posts to #team.")


async def test_an_effect_whose_outcome_nobody_saw_is_told_as_such(house: House, actor: Actor) -> None:
    made = await house.active(actor)

    async def lose_the_answer(call: StepCall) -> StepResult:
        effect = {"key": f"{call.idempotency_key}/1", "attempt": 1, "summary": "posts to #team"}
        await call.emit("effect.intended", effect)
        await call.emit("effect.failed", {**effect, "outcome_unknown": True})
        raise Fatal("The service isn't answering.", code="service_down")

    house.script["weekly-report"] = lose_the_answer
    execution = await house.finish(actor, made.id)
    assert [(effect["summary"], effect["outcome"]) for effect in execution.effects] == [
        ("posts to #team", "unknown")
    ]
    assert execution.error is not None
    assert execution.error["message"].endswith("Nobody saw whether this happened: posts to #team.")


async def test_a_repeated_attempt_does_not_count_its_effect_twice(house: House, actor: Actor) -> None:
    await house.shelve(actor, "post")
    skills = refs(("post", {"error_strategy": "retry", "max_retries": 1}))
    house.script["post"] = posting("#team")
    made = await house.active(actor, "post", skills=skills)
    effect = posting("#team")

    async def fail_once(call: StepCall) -> StepResult:
        done = await effect(call)
        if call.attempt == 1:
            raise Retryable("busy", retry_after=0)
        assert isinstance(done, StepResult)
        return done

    house.script["post"] = fail_once
    execution_id = await house.agents.start_run(actor, made.id)
    async with asyncio.timeout(20):
        while (await house.agents.executions.get(actor, execution_id)).status != "completed":
            house.clock.turn(seconds=5)
            await asyncio.sleep(0.005)
    execution = await house.agents.executions.get(actor, execution_id)
    assert len(execution.effects) == 1
    names = [event.type for event in await house.agents.executions.list_events(actor, execution_id)]
    assert names.count("skill_retrying") == 1


async def test_events_have_public_names_and_end_with_the_end(house: House, actor: Actor) -> None:
    async def work(call: StepCall) -> StepResult:
        await call.emit("step.progressed", {"done": 1, "total": 2, "text": "half"})
        await call.emit("tool.called", {"tool": "notion.query_database", "summary": "reads Client Projects"})
        await call.emit("log.written", {"level": "info", "text": "hello"})
        await call.emit("effect.intended", {"summary": "is going to"})
        return StepResult(output={"report": "r"}, signal=Signal.FLAG)

    made = await house.active(actor)
    house.script["weekly-report"] = work
    execution_id = await house.agents.start_run(actor, made.id)
    async with asyncio.timeout(20):
        live = [event async for event in house.agents.executions.follow(actor, execution_id)]
    assert [event.type for event in live] == [
        "execution_started",
        "skill_started",
        "skill_progress",
        "log",
        "log",
        "skill_completed",
        "execution_finished",
    ]
    assert live[2].skill_name == live[2].key == "weekly-report"
    assert live[3].data["text"] == "reads Client Projects"
    assert live[-1].data["status"] == "partial"
    assert [event.seq for event in live] == sorted({event.seq for event in live})
    async with asyncio.timeout(20):
        again = [event async for event in house.agents.executions.follow(actor, execution_id)]
        rest = [e async for e in house.agents.executions.follow(actor, execution_id, live[3].seq)]
        none = [e async for e in house.agents.executions.follow(actor, execution_id, live[-1].seq)]
    assert (again, rest, none) == (live, live[4:], [])
    assert await house.agents.executions.list_events(actor, execution_id) == live


async def test_a_waiting_execution_says_so_and_its_stream_goes_on_after_the_answer(
    house: House, actor: Actor
) -> None:
    made = await house.active(actor)
    house.script["weekly-report"] = saying(Waiting("approval", {"question": "Send?"}))
    execution_id = await house.agents.start_run(actor, made.id)
    seen: list[str] = []
    async with asyncio.timeout(20):
        async for event in house.agents.executions.follow(actor, execution_id):
            seen.append(event.type)
            if event.type == "execution_waiting":
                await house.runs.answer_step(actor, execution_id, "weekly-report", {"report": "yes"})
    assert seen[:4] == ["execution_started", "skill_started", "skill_waiting", "execution_waiting"]
    assert seen[-1] == "execution_finished"


async def test_cancelling_ends_it_and_is_harmless_twice(house: House, actor: Actor) -> None:
    made = await house.active(actor, "a", "b")
    house.script["a"] = saying(Waiting("approval"))
    execution = await house.finish(actor, made.id)
    cancelled = await house.agents.executions.cancel_execution(actor, execution.id)
    assert cancelled.status == "cancelled"
    assert await house.agents.executions.cancel_execution(actor, execution.id) == cancelled
    assert [result["status"] for result in cancelled.skill_results] == ["cancelled", "cancelled"]


async def test_only_files_of_an_execution_are_given_out_with_it(house: House, actor: Actor) -> None:
    sha = await house.engine.artifacts.put("default", b"# Report")
    other = await house.engine.artifacts.put("default", b"another run's")
    made = await house.active(actor)
    house.script["weekly-report"] = saying(
        StepResult(output={"report": "r"}, artifacts=({"sha256": sha, "path": "report.md", "title": "R"},))
    )
    execution = await house.finish(actor, made.id)
    found = await house.agents.executions.get_artifact(actor, execution.id, sha)
    assert (found[0]["path"], found[1]) == ("report.md", b"# Report")
    with pytest.raises(NotFound):
        await house.agents.executions.get_artifact(actor, execution.id, other)


async def test_executions_are_listed_newest_first_by_agent_and_mode(house: House, actor: Actor) -> None:
    one, two = await house.active(actor), await house.active(actor)
    ids: list[str] = []
    for agent in (one, two, one):
        house.clock.turn(minutes=1)
        ids.append((await house.finish(actor, agent.id)).id)
    live, total = await house.agents.executions.list_executions(actor, Paging(), mode="live")
    assert ([execution.id for execution in live], total) == (ids[::-1], 3)
    first, total = await house.agents.executions.list_executions(
        actor, Paging(limit=1), agent_id=one.id, mode="live"
    )
    assert ([execution.id for execution in first], total) == ([ids[2]], 2)
    _, with_tests = await house.agents.executions.list_executions(actor, Paging(), agent_id=one.id)
    assert with_tests == 3


async def test_a_run_of_anything_else_is_no_execution(house: House, actor: Actor) -> None:
    plan = Plan((Step(key="a", kind="skill", args={"skill": "x"}),))
    run_id = await house.runs.start_run(actor, StartRequest(plan=plan, subject="ticket:1"))
    for work in (house.agents.executions.get, house.agents.executions.cancel_execution):
        with pytest.raises(NotFound):
            await work(actor, run_id)
