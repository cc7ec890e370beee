"""What a test of an agent reports."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.agents.conftest import House, TurnableClock, failing, posting, saying

from omniforge.agents.content import TestMode, Verdict
from omniforge.agents.trials import TestUnderWay
from omniforge.core.actor import Actor
from omniforge.core.errors import Fatal
from omniforge.core.paging import Paging
from omniforge.engine.active import StepCall
from omniforge.engine.state import Signal, StepResult, Waiting


async def test_a_report_shows_the_result_and_its_delivery(house: House, actor: Actor) -> None:
    made = await house.make(actor)
    report = await house.tested(actor, made.id, TestMode.PREVIEW)
    assert (report.verdict, report.mode, report.agent_id) == (Verdict.PASSED, TestMode.PREVIEW, made.id)
    assert report.text == "# Weekly"
    assert report.output == {"report": "# Weekly"}
    assert (report.deterministic, report.sample_data) == (False, False)
    assert [effect["summary"] for effect in report.effects] == ["puts the report in your inbox here"]
    assert report.effects[0]["content"] == "# Weekly"
    assert [(result["key"], result["status"]) for result in report.skill_results] == [
        ("weekly-report", "succeeded")
    ]
    assert report.problems == []


async def test_dry_reports_of_one_content_are_equal_but_for_id_and_time(
    house: House, actor: Actor, clock: TurnableClock
) -> None:
    async def look(call: StepCall) -> StepResult:
        return StepResult(output={"report": f"as of {call.run.logical_time}"})

    house.script["weekly-report"] = look
    made = await house.make(actor)
    first = (await house.tested(actor, made.id)).model_dump()
    clock.turn(days=9)
    second = (await house.tested(actor, made.id)).model_dump()
    for report in (first, second):
        assert report.pop("test_id")
        assert report.pop("created_at")
    assert first == second
    assert (first["deterministic"], first["sample_data"]) == (True, True)


async def test_a_preview_takes_place_now(house: House, actor: Actor, clock: TurnableClock) -> None:
    made = await house.make(actor)
    clock.turn(days=9)
    await house.tested(actor, made.id, TestMode.PREVIEW)
    assert house.calls[-1].run.logical_time == "2026-11-30T10:00:00.000Z"


async def test_effects_come_in_order_with_content_and_the_manifest_holds_each_kind_once(
    house: House, actor: Actor
) -> None:
    house.script["post"] = posting("#team", "#boss", "#team")
    made = await house.make(actor, "post")
    report = await house.tested(actor, made.id)
    shown = [(effect["n"], effect["step"], effect["destination"]["name"]) for effect in report.effects]
    assert shown == [
        (1, "post", "#team"),
        (2, "post", "#boss"),
        (3, "post", "#team"),
        (4, None, "your inbox here"),
    ]
    assert report.effects[0]["content"] == {"text": "hello"}
    assert report.effects[0]["held"]
    approved = [(e["destination"]["name"], e["cardinality"], e["cap"]) for e in report.manifest]
    assert approved == [("#team", "each", 200), ("#boss", "one", 1), ("your inbox here", "one", 1)]
    assert all("content" not in entry for entry in report.manifest)


async def test_the_manifest_hash_follows_the_manifest_alone(house: House, actor: Actor) -> None:
    house.script["post"] = posting("#team")
    made = await house.make(actor, "post")
    one = await house.tested(actor, made.id)
    house.script["post"] = posting("#team", report="other words")
    two = await house.tested(actor, made.id)
    house.script["post"] = posting("#other")
    three = await house.tested(actor, made.id)
    assert one.manifest_hash == two.manifest_hash != three.manifest_hash


async def test_nothing_to_do_is_no_effect_and_delivers_nothing(house: House, actor: Actor) -> None:
    house.script["weekly-report"] = saying(
        StepResult(output={}, message="0 new rows since Monday", signal=Signal.EMPTY)
    )
    report = await house.tested(actor, (await house.make(actor)).id)
    assert (report.verdict, report.text) == (
        Verdict.NO_EFFECT,
        "Ran, nothing to do: 0 new rows since Monday",
    )
    assert report.effects == []


@pytest.mark.parametrize(
    ("strategy", "status"), [("stop", "failed"), ("skip", "skipped")], ids=["stopped", "left out"]
)
async def test_a_step_that_fails_makes_the_test_fail_and_is_named(
    house: House, actor: Actor, strategy: str, status: str
) -> None:
    house.script["read"] = failing(Fatal("no such column", code="script_failed"))
    skills: list[dict[str, Any]] = [
        {"name": "read", "order": 1, "error_strategy": strategy},
        {"name": "write", "order": 2, "needs": []},
    ]
    await house.shelve(actor, "read", "write")
    made = await house.make(actor, skills=skills)
    report = await house.tested(actor, made.id)
    assert report.verdict is Verdict.FAILED
    assert [(p["step"], p["code"]) for p in report.problems] == [("read", "script_failed")]
    assert report.skill_results[0]["status"] == status


async def test_a_flagged_result_passes_with_its_remark(house: House, actor: Actor) -> None:
    house.script["weekly-report"] = saying(
        StepResult(output={"report": "r"}, message="2 forms are incomplete", signal=Signal.FLAG)
    )
    report = await house.tested(actor, (await house.make(actor)).id)
    assert report.verdict is Verdict.PASSED
    assert [(p["code"], p["message"]) for p in report.problems] == [("flagged", "2 forms are incomplete")]


async def test_a_test_does_not_wait_for_people(house: House, actor: Actor) -> None:
    house.script["weekly-report"] = saying(Waiting("connection"))
    made = await house.make(actor)
    report = await house.tested(actor, made.id)
    assert report.verdict is Verdict.FAILED
    assert [problem["code"] for problem in report.problems] == ["waits_for_connection"]
    runs, _ = await house.runs.list_runs(actor, subject=f"agent:{made.id}")
    assert [view.run.status for view in runs] == ["cancelled"]


async def test_a_test_under_way_has_no_report_yet(house: House, actor: Actor) -> None:
    go = asyncio.Event()

    async def slow(call: StepCall) -> StepResult:
        await go.wait()
        return StepResult(output={"report": "r"})

    house.script["weekly-report"] = slow
    made = await house.make(actor)
    test_id = await house.agents.start_test(actor, made.id)
    with pytest.raises(TestUnderWay):
        await house.agents.await_test(actor, test_id, 0.01)
    assert (await house.agents.trials.list_reports(actor, made.id, None, Paging()))[1] == 0
    go.set()
    assert (await house.agents.await_test(actor, test_id, 20)).verdict is Verdict.PASSED
    assert (await house.agents.trials.list_reports(actor, made.id, None, Paging()))[1] == 1


async def test_the_report_of_a_test_nobody_waits_for_is_kept_by_the_event_log(
    house: House, actor: Actor
) -> None:
    house.engine.events.subscribe("agents", ["run.finished"], house.agents.on_run_finished)
    made = await house.make(actor)
    test_id = await house.agents.start_test(actor, made.id)
    row = await house.agents.trials.get(actor, test_id)
    await house.runs.wait_for(actor, str(row.run_id))
    await house.settle(str(row.run_id), times=2)
    reports, total = await house.agents.trials.list_reports(actor, made.id, TestMode.DRY, Paging())
    assert (total, reports[0].test_id) == (1, test_id)
    assert (await house.agents.get(actor, made.id)).usage_stats.total_runs == 0
    assert await house.agents.inbox.list_items(actor, Paging()) == ([], 0)


async def test_resources_known_from_a_connection_reach_the_sample_data(house: House, actor: Actor) -> None:
    made = await house.make(actor)
    resources: list[dict[str, Any]] = [{"id": "db1", "name": "Client Projects", "fields": []}]
    test_id = await house.agents.start_test(actor, made.id, resources=resources)
    await house.agents.await_test(actor, test_id)
    assert house.calls[-1].run.facts["resources"] == resources


async def test_the_last_skill_speaks_for_the_agent(house: House, actor: Actor) -> None:
    house.script["read"] = saying(StepResult(output={"report": "raw"}, artifacts=({"sha256": "a" * 64},)))
    house.script["say"] = saying(
        StepResult(output={"count": 3}, message="Three posted.", artifacts=({"sha256": "b" * 64},))
    )
    made = await house.active(actor, "read", "say")
    execution = await house.finish(actor, made.id)
    assert execution.result["text"] == "Three posted."
    assert [artifact["sha256"][0] for artifact in execution.result["artifacts"]] == ["b", "a"]
