"""Dry runs in whole installations: no socket, the same report every time, every branch, every fault."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.path.rehearsing import (
    CONFIG,
    LOG,
    LOGBOOK,
    MARKING,
    MAYA,
    SURFER,
    dry_run,
    installation,
    make,
    without_id,
)

from omniforge.agents.cases import name_for
from omniforge.agents.content import CaseRule, Suite, TestMode, Verdict
from omniforge.agents.schemas import CaseGiven
from omniforge.bootstrap import Installation
from omniforge.core.errors import Invalid

HERE = Path(__file__).parent
ROOT = HERE.parent.parent


async def child(home: Path, suite: str, seed: str) -> dict[str, Any]:
    environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(HERE / "dry_run_child.py"),
        str(home),
        suite,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()[-4000:]
    return json.loads(out.splitlines()[-1])


async def test_dry_runs_with_every_fault_point_no_socket_anywhere(tmp_path: Path) -> None:
    told = await child(tmp_path, "full", "1")
    assert told["sockets"] == []
    assert told["seen"], "the watch did not notice a connection that was made on purpose"
    verdicts = {name: report["verdict"] for name, report in told["reports"].items()}
    assert verdicts == {"logbook": "passed", "marking": "passed", "surfer": "not_simulated"}
    assert len(told["reports"]["logbook"]["faults"]) == 17
    problems = told["reports"]["surfer"]["problems"]
    assert [problem["code"] for problem in problems] == ["network_disabled"]


async def test_a_report_is_the_same_in_another_process_after_a_restart(tmp_path: Path) -> None:
    first, second = await child(tmp_path, "quick", "1"), await child(tmp_path, "quick", "2")
    assert json.dumps(first["reports"]) == json.dumps(second["reports"])


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Installation]:
    async with installation(tmp_path / "home") as made:
        yield made


async def test_two_reports_of_one_content_differ_in_id_and_time_only(house: Installation) -> None:
    agent = await make(house)
    one, two = await dry_run(house, agent.id, Suite.FULL), await dry_run(house, agent.id, Suite.FULL)
    assert one.test_id != two.test_id
    assert without_id(one) == without_id(two)
    assert (one.deterministic, one.sample_data, one.duration_ms) == (True, True, 0)


async def test_the_manifest_tells_every_write_with_its_place_fields_and_cap(house: Installation) -> None:
    report = await dry_run(house, (await make(house)).id)
    write = report.manifest[0]
    assert (write["step"], write["tool"], write["access"]) == ("write-log", "notion.create_page", "write")
    assert write["destination"]["resource"] == LOG
    assert (write["cardinality"], write["cap"], write["fields"]) == ("one", 1, ["Project"])
    assert write["words"] == f"adds a page to a Notion database, filling Project ({LOG}), once" or (
        write["words"] == "adds a page to a Notion database, filling Project, once"
    )


async def test_a_step_whose_condition_is_false_is_tried_as_well(house: Installation) -> None:
    reads, writes = LOGBOOK["skills"]
    given = {
        **LOGBOOK,
        "skills": [reads, {**writes, "when": "steps['read-projects'].output.count > 1000"}],
    }
    report = await dry_run(house, (await make(house, given)).id)
    assert (report.verdict, report.effects) == (Verdict.NO_EFFECT, [])
    assert report.text == "Ran, nothing to do: Looked at 1 database: 11 entries."
    conditional = report.manifest[0]
    assert conditional["tool"] == "notion.create_page"
    assert "is more than 1000" in conditional["only_if"]
    assert conditional["words"].endswith(f"only if {conditional['only_if']}")


async def test_what_follows_from_rows_that_were_read_is_bounded_by_their_database(
    house: Installation,
) -> None:
    report = await dry_run(house, (await make(house, MARKING)).id)
    write = report.manifest[0]
    assert write["destination"]["within"] == CONFIG["database_id"].replace("-", "")
    assert (write["cardinality"], write["cap"]) == ("each", 200)
    assert "what lies in" in write["words"]


async def test_a_place_that_the_data_decide_has_to_be_bounded_before_it_goes_live(
    house: Installation,
) -> None:
    script = """
from sandbox_kit.skill import call, run

def main(request):
    rows = call("notion.query_database", database_id=request.config["database_id"])["rows"]
    other = rows[0]["id"][::-1].replace("-", "")
    where = other[:8] + "-" + other[8:12] + "-" + other[12:16] + "-" + other[16:20] + "-" + other[20:]
    call("notion.create_page", database_id=where, fields={"Project": "x"})
    return {"output": {}, "message": "Wrote somewhere."}

run(main)
"""
    agent = await make(house, MARKING, {"mark-all": script})
    report = await dry_run(house, agent.id)
    write = report.manifest[0]
    assert (write["destination"]["any_of"], write["destination"]["bound"]) == ([], "needed")
    assert "say where it may go" in write["words"]


async def test_a_skill_that_breaks_on_nothing_is_told(house: Installation) -> None:
    script = """
from sandbox_kit.skill import call, run

def main(request):
    rows = call("notion.query_database", database_id=request.config["database_id"])["rows"]
    return {"output": {"first": rows[0]["id"]}, "message": "Fine."}

run(main)
"""
    report = await dry_run(house, (await make(house, MARKING, {"mark-all": script})).id)
    assert report.verdict is Verdict.PASSED
    assert [problem["code"] for problem in report.problems] == ["fails_when_empty"]


async def test_every_way_of_failing_is_tried_at_every_call_and_told_in_sentences(
    house: Installation,
) -> None:
    report = await dry_run(house, (await make(house)).id, Suite.FULL)
    cells = {(row["step"], row["fault"]): row for row in report.faults}
    assert len(cells) == 17
    assert all(row["passed"] for row in report.faults), report.faults
    assert cells["read-projects", "unauthorized"]["status"] == "waiting"
    assert cells["read-projects", "not_found"]["code"] == "resource_not_found"
    assert cells["read-projects", "rate_limited"]["status"] == "completed"
    assert cells["read-projects", "empty"]["status"] == "no_effect"
    assert cells["write-log", "timeout"]["status"] == "completed"
    assert cells["write-log", "server_error"]["effects"] == cells["write-log", "rate_limited"]["effects"]
    assert cells["read-projects", "unavailable"]["retries"] > 0
    assert cells["read-projects", "unavailable"]["effects"] == []
    said = "\n".join(report.fault_words)
    assert "If Notion is down (503), it tries again" in said
    assert "Notion signed us out. Please reconnect" in said
    assert "WRONG" not in said


async def test_a_fault_is_tried_from_its_step_on_and_what_comes_before_is_not_done_again(
    house: Installation,
) -> None:
    report = await dry_run(house, (await make(house)).id, Suite.FULL)
    runs, _ = await house.runs.list_runs(MAYA, subject=f"test:{report.test_id}", limit=100)
    cells = {str(json.loads(view.run.facts)["sample"]["name"]): view for view in runs}
    done_again = {
        name: {step.key for step in view.steps if not str(step.reason).startswith("shared with")}
        for name, view in cells.items()
        if name.startswith("fault:")
    }
    assert done_again["fault:write-log:1:conflict"] == {"write-log"}
    assert done_again["fault:read-projects:1:rate_limited"] == {"read-projects", "write-log"}
    rows = {(row["step"], row["fault"]): row for row in report.faults}
    assert rows["write-log", "conflict"]["effects"] == []


async def test_a_whole_matrix_comes_to_its_end_though_nobody_waits_for_it(house: Installation) -> None:
    agent = await make(house)
    test_id = await house.agents.start_test(MAYA, agent.id, TestMode.DRY, suite=Suite.FULL)
    async with asyncio.timeout(120):
        while (await house.agents.trials.get(MAYA, test_id)).report is None:
            await asyncio.sleep(0.05)
    report = await house.agents.await_test(MAYA, test_id, 0)
    assert len(report.faults) == 17
    assert {row["status"] for row in report.faults} >= {"waiting", "failed", "completed"}


async def test_what_was_done_before_a_fault_is_told(house: Installation) -> None:
    reads, writes = LOGBOOK["skills"]
    again = {**writes, "key": "write-again", "order": 3, "when": None}
    given = {**LOGBOOK, "skills": [reads, writes, again]}
    report = await dry_run(house, (await make(house, given)).id, Suite.FULL)
    rows = {(row["step"], row["fault"]): row for row in report.faults}
    assert len(rows["write-again", "forbidden"]["effects"]) == 1
    assert "Done before that: adds a page" in rows["write-again", "forbidden"]["message"]
    assert len(rows["write-again", "timeout"]["effects"]) == 2
    assert all(row["passed"] for row in report.faults)


async def test_a_skill_that_does_something_twice_under_a_fault_is_caught_and_not_switched_on(
    house: Installation,
) -> None:
    script = """
from sandbox_kit.skill import ToolError, call, run

def main(request):
    line = {"database_id": request.config["log_id"], "fields": {"Project": "x"}}
    call("notion.create_page", **line, text="1")
    try:
        call("notion.query_database", database_id=request.config["database_id"])
    except ToolError:
        call("notion.create_page", **line, text="1")
    return {"output": {"report": "x"}, "message": "Wrote one line into the log."}

run(main)
"""
    report = await dry_run(house, (await make(house, MARKING, {"mark-all": script})).id, Suite.FULL)
    wrong = [row for row in report.faults if row["wrong_effects"]]
    assert {row["fault"] for row in wrong} >= {"forbidden", "not_found", "conflict", "unavailable"}
    assert report.verdict is Verdict.FAILED
    assert {problem["code"] for problem in report.problems} >= {"wrong_effect_under_fault"}
    assert any("WRONG: twice" in sentence for sentence in report.fault_words)


async def test_accepted_results_are_compared_with_later_ones(house: Installation) -> None:
    agent = await make(house)
    report = await dry_run(house, agent.id)
    given = CaseGiven(rule=CaseRule.SUBSET, expected={"nothing": "like this"})
    await house.agents.cases.put(MAYA, agent.id, "odd", given)
    fits = CaseGiven(rule=CaseRule.CEL, expected="result.text.startsWith('Wrote')")
    await house.agents.cases.put(MAYA, agent.id, "fits", fits)
    bad = CaseGiven(rule=CaseRule.CEL, expected="steps.x.output > 1")
    with pytest.raises(Invalid):
        await house.agents.cases.put(MAYA, agent.id, "bad", bad)
    tested = await dry_run(house, agent.id, Suite.REGRESSION)
    assert {case["name"]: case["passed"] for case in tested.cases} == {"odd": False, "fits": True}
    assert (report.verdict, tested.verdict) == (Verdict.PASSED, Verdict.FAILED)
    await house.agents.cases.remove(MAYA, agent.id, "odd")
    assert (await dry_run(house, agent.id, Suite.REGRESSION)).verdict is Verdict.PASSED


async def test_nothing_live_happens_without_a_passed_test_and_a_yes(house: Installation) -> None:
    agent = await make(house, SURFER, {"surf": 'print(\'{"output": {}, "message": "ok"}\')'})
    with pytest.raises(Invalid) as untested:
        await house.agents.start_test(MAYA, agent.id, TestMode.LIVE, confirm_effects=True)
    assert untested.value.code == "not_tested"
    assert (await dry_run(house, agent.id)).verdict is Verdict.PASSED
    with pytest.raises(Invalid) as unconfirmed:
        await house.agents.start_test(MAYA, agent.id, TestMode.LIVE)
    assert unconfirmed.value.code == "effects_not_confirmed"
    test_id = await house.agents.start_test(MAYA, agent.id, TestMode.LIVE, confirm_effects=True)
    report = await house.agents.await_test(MAYA, test_id, 60)
    assert (report.mode, report.verdict) == (TestMode.LIVE, Verdict.PASSED)
    assert (await house.agents.get(MAYA, agent.id)).usage_stats.total_runs == 0


async def test_what_was_accepted_is_named_by_its_input() -> None:
    assert name_for({"a": 1}) == name_for({"a": 1}) != name_for({"a": 2})
