"""What was approved in a dry run is all that ever reaches a service: real HTTP against a local Notion."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from tests.path.rehearsing import LOG, LOGBOOK, MARKING, MAYA, PROJECTS, dry_run, installation, make, skill

from living_server import LocalService
from omniforge.agents.content import ExecutionStatus, TestMode, Verdict
from omniforge.agents.schemas import Agent, Execution, TestReport
from omniforge.bootstrap import Installation
from omniforge.core.config import ServiceSettings
from omniforge.integrations.catalog.notion import standin
from omniforge.integrations.catalog.notion.standin import Fault, FaultKind

WRITES = ("POST", "PATCH", "DELETE")


@pytest.fixture
async def house(tmp_path: Path, notion: LocalService) -> AsyncIterator[Installation]:
    service = ServiceSettings(
        client_id=standin.CLIENT_ID, client_secret=SecretStr(standin.CLIENT_SECRET), base_url=notion.url
    )
    async with installation(tmp_path / "home", services={"notion": service}) as made:
        await made.integrations.add_key_connection(MAYA, "notion", notion.state.new_key())
        yield made


async def activate(house: Installation, agent: Agent, report: TestReport) -> Agent:
    return await house.agents.activate(
        MAYA, agent.id, test_id=report.test_id, manifest_hash=report.manifest_hash
    )


async def approved(
    house: Installation,
    given: Mapping[str, Any] = LOGBOOK,
    scripts: Mapping[str, str] | None = None,
) -> tuple[Agent, TestReport]:
    agent = await make(house, given, scripts)
    report = await dry_run(house, agent.id)
    return await activate(house, agent, report), report


async def run(house: Installation, agent: Agent, **more: Any) -> Execution:
    execution_id = await house.agents.start_run(MAYA, agent.id, more)
    async with asyncio.timeout(60):
        await house.runs.wait_for(MAYA, execution_id)
    return await house.agents.executions.get(MAYA, execution_id)


def writes(notion: LocalService) -> list[tuple[str, str, Any]]:
    """What changed something there; questions are POSTs as well."""
    return [
        (request.method, request.path, request.body)
        for request in notion.state.requests
        if request.method in WRITES and not request.path.endswith(("/query", "/search"))
    ]


@pytest.mark.parametrize("given", [LOGBOOK, MARKING], ids=["one write", "a write per row"])
async def test_every_live_write_was_in_the_manifest(
    house: Installation, notion: LocalService, given: Mapping[str, Any]
) -> None:
    agent, report = await approved(house, given)
    execution = await run(house, agent)
    assert execution.status == ExecutionStatus.COMPLETED, execution.error
    listed = [entry for entry in report.manifest if entry["access"] != "read"]
    done = [effect for effect in execution.effects if effect["outcome"] == "done"]
    assert len(done) == len(writes(notion)) > 0
    rows = {
        row.id.replace("-", "") for row in notion.state.workspace.rows.values() if row.table_id == PROJECTS
    }
    for effect in done:
        entry = next(e for e in listed if (e["step"], e["tool"]) == (effect["step"], effect["tool"]))
        place = entry["destination"]
        if "within" in place:
            assert effect["destination"]["resource"].replace("-", "") in rows
        else:
            assert effect["destination"]["resource"] == place["resource"]


async def test_a_skill_that_is_changed_after_the_approval_does_not_run_until_it_is_approved(
    house: Installation, notion: LocalService
) -> None:
    agent, _ = await approved(house)
    elsewhere = skill("write-log", OBEDIENT)
    await house.agents.write_skill(MAYA, agent.id, "write-log", elsewhere)
    before = len(writes(notion))
    execution = await run(house, agent, where=PROJECTS)
    assert execution.status == ExecutionStatus.COMPLETED
    assert len(writes(notion)) == before + 1
    assert [effect["destination"]["resource"] for effect in execution.effects] == [LOG]


OBEDIENT = """
from sandbox_kit.skill import call, run

def main(request):
    where = request.input.get("where") or request.config["log_id"]
    made = call("notion.create_page", database_id=where, fields={"Project": "as told"})
    return {"output": {"page": made["id"]}, "message": "Did as it was told."}

run(main)
"""
TELLER = """
from sandbox_kit.skill import call, run

def main(request):
    call("notion.query_database", database_id=request.config["database_id"])
    return {"output": {"count": 1, "where": request.input.get("where")}, "message": "Read what is there."}

run(main)
"""


async def test_an_output_that_says_to_write_elsewhere_is_stopped_and_nothing_is_sent(
    house: Installation, notion: LocalService
) -> None:
    agent, _ = await approved(house, LOGBOOK, {"read-projects": TELLER, "write-log": OBEDIENT})
    harmless = await run(house, agent)
    assert harmless.status == ExecutionStatus.COMPLETED
    before = len(writes(notion))
    execution = await run(house, agent, where=PROJECTS)
    assert execution.status == ExecutionStatus.FAILED
    assert execution.error is not None
    assert execution.error["code"] == "effect_not_approved"
    assert PROJECTS in execution.error["message"]
    assert LOG in execution.error["message"]
    assert execution.error["details"]["tool"] == "notion.create_page"
    assert len(writes(notion)) == before


async def test_asked_about_an_unlisted_write_a_person_sees_it_and_allows_it_once(
    house: Installation, notion: LocalService
) -> None:
    given = {**LOGBOOK, "settings": {"on_unlisted_effect": "ask"}}
    agent, _ = await approved(house, given, {"read-projects": TELLER, "write-log": OBEDIENT})
    execution = await run(house, agent, where=PROJECTS)
    assert execution.status == ExecutionStatus.WAITING
    assert execution.waiting_for is not None
    asked = execution.waiting_for[0]
    assert (asked["reason"], asked["tool"]) == ("effect", "notion.create_page")
    assert asked["content"] == {"database_id": PROJECTS, "fields": {"Project": "as told"}}
    assert writes(notion) == []
    await house.runs.answer_step(MAYA, execution.id, "write-log", {"approved": True})
    await house.runs.wait_for(MAYA, execution.id)
    done = await house.agents.executions.get(MAYA, execution.id)
    assert (done.status, len(writes(notion))) == (ExecutionStatus.COMPLETED, 1)
    again = await run(house, agent, where=PROJECTS)
    assert (again.status, len(writes(notion))) == (ExecutionStatus.WAITING, 1)


async def test_a_lost_answer_is_looked_up_and_written_once(house: Installation, notion: LocalService) -> None:
    agent, _ = await approved(house)
    notion.state.faults.append(Fault(FaultKind.LOST, path="/v1/pages", method="POST"))
    execution = await run(house, agent)
    assert execution.status == ExecutionStatus.COMPLETED, execution.error
    made = [w for w in writes(notion) if w[:2] == ("POST", "/v1/pages")]
    assert len(made) == 1
    assert [effect["outcome"] for effect in execution.effects] == ["done"]


async def test_a_preview_reads_what_is_there_and_changes_nothing(
    house: Installation, notion: LocalService
) -> None:
    agent = await make(house)
    test_id = await house.agents.start_test(MAYA, agent.id, TestMode.PREVIEW)
    report = await house.agents.await_test(MAYA, test_id, 60)
    assert (report.verdict, report.sample_data) == (Verdict.PASSED, False)
    assert report.effects[0]["content"]["fields"] == {"Project": "42 entries"}
    assert writes(notion) == []
    assert report.manifest[0]["destination"]["connection"] is not None


async def test_a_live_test_does_what_its_dry_run_showed_and_counts_nowhere(
    house: Installation, notion: LocalService
) -> None:
    agent = await make(house)
    await dry_run(house, agent.id)
    test_id = await house.agents.start_test(MAYA, agent.id, TestMode.LIVE, confirm_effects=True)
    report = await house.agents.await_test(MAYA, test_id, 60)
    assert report.verdict is Verdict.PASSED
    assert len(writes(notion)) == 1
    assert (await house.agents.get(MAYA, agent.id)).usage_stats.total_runs == 0
