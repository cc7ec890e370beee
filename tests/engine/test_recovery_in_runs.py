"""Recovery as runs show it: retries over restarts, ladders with hints, what is told, and what waits."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from engine_house import Gate, HastyClock, House, error_of, failing, output_of, statuses, step
from omniforge.core.actor import Actor
from omniforge.core.errors import Conflict, Fatal, OmniForgeError, ProviderError, Retryable
from omniforge.db import Database
from omniforge.engine.active import StepCall
from omniforge.engine.plan import WAIT, OnError, Resources, Retry, Step
from omniforge.engine.state import StepResult
from omniforge.runs.shown import RunView, run_json

pytestmark = pytest.mark.both_stores

LADDER = Retry(ladder=True)


def wait(key: str, *needs: str, inputs: dict[str, Any] | None = None, **args: Any) -> Step:
    return Step(key, WAIT, args, inputs or {}, needs=needs)


def failures(*errors: OmniForgeError, hints: list[dict[str, Any]]) -> Any:
    """A step that fails with each of these in turn and remembers the hints of every attempt."""

    async def act(call: StepCall) -> StepResult:
        hints.append(dict(call.hints))
        if len(hints) <= len(errors):
            raise errors[len(hints) - 1]
        return StepResult(output="done")

    return act


def recovery_of(view: RunView, key: str) -> dict[str, Any]:
    (found,) = [item for item in run_json(view)["steps"] if item["key"] == key]
    return found["recovery"]


# --- ladders -----------------------------------------------------------------------------------------------


async def test_no_answer_in_time_is_followed_by_ever_simpler_prompts(
    hasty_house: House, actor: Actor
) -> None:
    house, hints = hasty_house, list[dict[str, Any]]()
    slow = Retryable("no answer", code="model_timeout")
    house.script["a"] = failures(slow, slow, hints=hints)
    view = await house.finish(actor, step("a", retry=LADDER))
    assert view.run.status == "completed"
    assert hints == [{}, {"context": "minimal"}, {"context": "essential"}]
    recovery = recovery_of(view, "a")
    assert recovery["failures"] == {"timeout": 2}
    assert recovery["moves"] == {"simpler": 2}
    told = await house.told(actor, view.run.id, "step.retried")
    assert [(item["decision"], item["move"], item["hints"]) for item in told] == [
        ("again", "simpler", {"context": "minimal"}),
        ("again", "simpler", {"context": "essential"}),
    ]
    assert all(item["reason"] for item in told)


async def test_the_end_of_a_ladder_is_a_person_who_is_told_why(hasty_house: House, actor: Actor) -> None:
    house, hints = hasty_house, list[dict[str, Any]]()
    house.script["a"] = failures(*[Retryable("no answer", code="model_timeout")] * 9, hints=hints)
    view = await house.finish(actor, step("a", retry=LADDER, on_error=OnError.SKIP))
    assert (view.run.status, len(hints)) == ("needs_person", 3)
    (told,) = await house.told(actor, view.run.id, "step.failed")
    assert told["decision"] == "ask_person"
    assert "3 attempts" in told["reason"]


async def test_a_step_s_own_timeout_climbs_the_same_ladder(hasty_house: House, actor: Actor) -> None:
    house, seen = hasty_house, list[str]()

    async def slow(call: StepCall) -> StepResult:
        seen.append(call.hints.get("context", "full"))
        if len(seen) < 3:
            await asyncio.Event().wait()
        return StepResult(output=1)

    house.script["a"] = slow
    view = await house.finish(actor, step("a", timeout=0.05, retry=LADDER))
    assert (view.run.status, seen) == ("completed", ["full", "minimal", "essential"])


async def test_an_answer_that_does_not_fit_is_asked_for_again_with_the_errors(
    hasty_house: House, actor: Actor
) -> None:
    house, hints = hasty_house, list[dict[str, Any]]()
    house.script["a"] = failures(Fatal("bad", code="bad_answer", errors=["title: is missing"]), hints=hints)
    view = await house.finish(actor, step("a", retry=LADDER))
    assert view.run.status == "completed"
    assert hints[1]["reformat"] is True
    assert "feedback" in hints[1]
    (told,) = await house.told(actor, view.run.id, "step.retried")
    assert "feedback" not in told["hints"], "events tell what changes, not long texts"


async def test_a_provider_that_is_down_is_left_for_the_next_one(hasty_house: House, actor: Actor) -> None:
    house, hints = hasty_house, list[dict[str, Any]]()
    down = ProviderError("refused", code="service_down", retryable=True)
    house.script["a"] = failures(down, hints=hints)
    view = await house.finish(
        actor, step("a", retry=LADDER, resources=Resources(provider="first", fallbacks=("second",)))
    )
    assert view.run.status == "completed"
    assert hints[1] == {"provider": 1}


async def test_a_named_wait_is_never_undercut(hasty_house: House, actor: Actor) -> None:
    house, hints = hasty_house, list[dict[str, Any]]()
    house.script["a"] = failures(
        ProviderError("slow down", code="rate_limited_there", retryable=True, retry_after=40), hints=hints
    )
    view = await house.finish(actor, step("a"))
    assert view.run.status == "completed"
    (told,) = await house.told(actor, view.run.id, "step.retried")
    assert told["delay"] >= 40


async def test_hints_reach_the_attempt_after_a_restart(hasty_house: House, actor: Actor) -> None:
    house, seen = hasty_house, list[dict[str, Any]]()
    gate = Gate(held=2)

    async def act(call: StepCall) -> Any:
        seen.append(dict(call.hints))
        if call.attempt == 1:
            raise Retryable("no answer", code="model_timeout")
        return await gate(call)

    house.script["a"] = act
    run_id = await house.start(actor, step("a", retry=LADDER))
    async with asyncio.timeout(30):
        await gate.begun.wait()
    await house.restart()
    view = await house.settled(actor, run_id)
    assert view.run.status == "completed"
    assert seen == [{}, {"context": "minimal"}, {"context": "minimal"}]


# --- retries -----------------------------------------------------------------------------------------------


async def test_a_retry_keeps_its_remaining_delay_and_its_count_over_a_restart(
    database: Database, tmp_path: Path, actor: Actor
) -> None:
    house = House(database, tmp_path, clock=HastyClock(100))
    await house.engine.open()
    house.script["a"] = failing(Retryable("busy"))
    run_id = await house.start(actor, step("a", retry=Retry(attempts=2, delay=60, jitter=0)))
    view = await house.step_reaches(actor, run_id, "a", "ready")
    due = run_json(view)["steps"][0]["wake_at"]
    assert due is not None
    await house.restart()
    done = await house.settled(actor, run_id)
    await house.engine.close()
    assert (done.run.status, house.times("a")) == ("failed", 2)
    second = run_json(done)["steps"][0]["started_at"]
    assert datetime.fromisoformat(second) >= datetime.fromisoformat(due)
    assert run_json(done)["steps"][0]["failures"] == 2


async def test_on_error_retry_is_three_attempts_unless_told_otherwise(
    hasty_house: House, actor: Actor
) -> None:
    house = hasty_house
    house.script |= {"a": failing(Retryable("busy")), "b": failing(Retryable("busy"))}
    view = await house.finish(
        actor,
        step("a", on_error=OnError.RETRY),
        step("b", on_error=OnError.RETRY, retry=Retry(attempts=2)),
    )
    assert view.run.status == "failed"
    assert house.times("b") == 2
    assert house.times("a") <= 3
    alone = await house.finish(actor, step("a", on_error=OnError.RETRY))
    assert (alone.run.status, run_json(alone)["steps"][0]["failures"]) == ("failed", 3)


async def test_a_step_stopped_by_a_crash_has_not_failed(house: House, actor: Actor) -> None:
    gate = Gate()
    house.script["a"] = gate
    run_id = await house.start(actor, step("a", retry=Retry(attempts=1)))
    await gate.begun.wait()
    await house.restart()
    view = await house.settled(actor, run_id)
    shown = run_json(view)["steps"][0]
    assert (view.run.status, shown["attempt"], shown["failures"]) == ("completed", 2, 0)


async def test_without_fail_fast_siblings_finish_and_are_kept(house: House, actor: Actor) -> None:
    gate = Gate()
    house.script |= {"slow": gate, "bad": failing(Fatal("no"))}
    run_id = await house.start(actor, step("slow"), step("bad"), step("after", "slow"))
    await house.step_reaches(actor, run_id, "bad", "failed")
    gate.open.set()
    view = await house.settled(actor, run_id)
    assert view.run.status == "failed"
    assert statuses(view) == {"slow": "completed", "bad": "failed", "after": "cancelled"}
    house.script["bad"] = gate
    await house.runs.retry_run(actor, run_id)
    assert (await house.settled(actor, run_id)).run.status == "completed"
    assert house.times("slow") == 1


# --- waiting -----------------------------------------------------------------------------------------------


async def test_a_wait_ends_in_its_time_and_parks_the_run_meanwhile(house: House, actor: Actor) -> None:
    run_id = await house.start(actor, step("a"), wait("rest", "a", seconds=0.3), step("b", "rest"))
    view = await house.reaches(actor, run_id, "waiting")
    assert view.run.wake_at is not None
    assert house.engine.executor.admission.free == house.slots
    done = await house.reaches(actor, run_id, "completed")
    assert house.calls == [("a", 1), ("b", 1)]
    assert output_of(done, "rest")["at"] >= view.run.wake_at


async def test_a_wait_that_is_over_while_nobody_is_there_ends_at_the_restart(
    house: House, actor: Actor
) -> None:
    run_id = await house.start(actor, wait("rest", seconds=0.2), step("b", "rest"))
    await house.reaches(actor, run_id, "waiting")
    await house.engine.close()
    await asyncio.sleep(0.25)
    await house.restart()
    view = await house.reaches(actor, run_id, "completed")
    assert statuses(view) == {"rest": "completed", "b": "completed"}


async def test_a_wait_beside_a_step_that_runs_ends_in_its_time_also_after_a_restart(
    house: House, actor: Actor
) -> None:
    gate = Gate(held=2)
    house.script["slow"] = gate
    run_id = await house.start(actor, step("slow"), wait("rest", seconds=0.5), step("b", "rest"))
    await house.step_reaches(actor, run_id, "rest", "waiting")
    await gate.begun.wait()
    await house.restart()
    await house.step_reaches(actor, run_id, "b", "completed")
    assert statuses(await house.runs.get_run(actor, run_id))["slow"] == "running"
    gate.open.set()
    await house.reaches(actor, run_id, "completed")


async def test_a_wait_until_a_moment_that_a_step_gives(house: House, actor: Actor) -> None:
    async def soon(call: StepCall) -> StepResult:
        return StepResult(output=(datetime.now(UTC) + timedelta(seconds=0.2)).isoformat())

    house.script["when"] = soon
    run_id = await house.start(
        actor,
        step("when"),
        wait("rest", "when", inputs={"until": "${when.output}"}),
        wait("past", until="2020-01-01T00:00:00+01:00"),
    )
    view = await house.reaches(actor, run_id, "completed")
    assert output_of(view, "rest")["at"] > output_of(view, "past")["at"]


@pytest.mark.parametrize("moment", ["next Tuesday", "2026-11-21T10:00:00", ""])
async def test_a_moment_that_is_none_is_a_clear_failure(house: House, actor: Actor, moment: str) -> None:
    view = await house.finish(actor, wait("rest", until=moment))
    assert (view.run.status, error_of(view)["code"]) == ("failed", "bad_time")


async def test_a_wait_for_input_gives_what_somebody_answers(house: House, actor: Actor) -> None:
    question = Step("ask", WAIT, {"for": "input", "question": "Which client?"})
    view = await house.finish(actor, question, step("b", "ask", when="steps.ask.output.client == 'Acme'"))
    assert view.run.status == "waiting"
    (told,) = await house.told(actor, view.run.id, "step.waiting")
    assert (told["reason"], told["question"]) == ("input", "Which client?")
    await house.restart()
    await house.runs.answer_step(actor, view.run.id, "ask", {"client": "Acme"})
    done = await house.settled(actor, view.run.id)
    assert (done.run.status, statuses(done)["b"]) == ("completed", "completed")
    with pytest.raises(Conflict):
        await house.runs.answer_step(actor, view.run.id, "ask", {"client": "Other"})


async def test_the_earliest_of_two_waits_wakes_the_run_first(house: House, actor: Actor) -> None:
    run_id = await house.start(
        actor, wait("long", seconds=3600), wait("short", seconds=0.2), step("b", "short")
    )
    await house.step_reaches(actor, run_id, "b", "completed")
    view = await house.reaches(actor, run_id, "waiting")
    assert statuses(view)["long"] == "waiting"
    await house.runs.answer_step(actor, run_id, "long", {"enough": True})
    assert (await house.settled(actor, run_id)).run.status == "completed"
