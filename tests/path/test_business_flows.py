"""Agents of a business, from outline to finished runs on real documents: each takes the right branch."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from tests.path.business import (
    INSURANCE,
    ONBOARDING,
    PROVIDERS,
    PURCHASING,
    document,
    given_of,
    make,
    run,
    statuses,
)
from tests.path.rehearsing import MAYA, installation

from living_server import LocalService, Server
from omniforge.agents.content import Suite, TestMode
from omniforge.builder.outline import Outline

Json = dict[str, Any]


def posted(slack: LocalService) -> list[str]:
    """What the agent wrote into the team's channel, oldest first."""
    workspace = slack.state.workspace
    (channel,) = [one for one in workspace.channels if one.name == "team-updates"]
    return [message.text for message in channel.messages if message.content.get("metadata")]


async def delivered(server: Server, execution_id: str) -> list[Json]:
    """What the inbox got of an execution, once it got something."""
    async with asyncio.timeout(30):
        while True:
            items = (await server.ask("GET", "/inbox?limit=100"))["items"]
            if found := [item for item in items if item["execution_id"] == execution_id]:
                return found
            await asyncio.sleep(0.05)


async def test_a_claim_goes_to_the_form_of_its_insurance_and_what_is_wrong_is_flagged(server: Server) -> None:
    agent_id = await make(server, INSURANCE, "Insurance forms")
    for short, provider in PROVIDERS.items():
        said = provider.lower().replace("unitedhealthcare", "United Healthcare, Inc.")
        execution = await run(server, agent_id, document=document("claim.md", PROVIDER=said))
        taken = {key for key, status in statuses(execution).items() if status == "succeeded"}
        assert taken == {"extract-claim", f"fill-{short}", "check-forms"}
        assert execution["status"] == "completed"
        text = execution["result"]["text"]
        assert f"{provider} claim form" in text
        assert "**Patient name**: Maria Lopez" in text
        assert "**Date of birth**: 1984-03-12" in text
        assert "**Policy number**: UH-99-812" in text
        assert "**Diagnosis**: Sprained ankle" in text

    execution = await run(server, agent_id, document=document("claim_incomplete.md"))
    assert execution["status"] == "partial"
    assert statuses(execution)["fill-blue-cross"] == "succeeded"
    assert execution["result"]["output"]["missing"] == ["Date of birth", "Diagnosis"]
    assert "Blue Cross claim form: Diagnosis is missing." in execution["result"]["text"]

    execution = await run(server, agent_id, document=document("claim.md", PROVIDER="Cigna"))
    assert execution["status"] == "partial"
    taken = {key for key, status in statuses(execution).items() if status == "succeeded"}
    assert taken == {"extract-claim", "check-forms"}
    assert "'Cigna' is not known here" in execution["result"]["text"]
    assert "No form was filled" in execution["result"]["text"]


async def test_an_invoice_is_approved_reviewed_or_rejected_or_has_no_order_at_all(
    office: Server, slack: LocalService
) -> None:
    agent_id = await make(office, PURCHASING, "Invoices")
    order = document("purchase_order.txt")
    decided: dict[str, Json] = {}
    for amount in ("85.00", "86.69", "86.70", "90.00"):
        invoice = document("invoice.html", AMOUNT=amount)
        execution = await run(office, agent_id, purchase_order=order, invoice=invoice)
        results = {skill["key"]: skill for skill in execution["skill_results"]}
        assert results["compare-amounts"]["status"] == "succeeded"
        verdicts = {"approve", "review", "reject"}
        (verdict,) = [key for key in verdicts if results[key]["status"] == "succeeded"]
        notes = {f"slack-post-{one}" for one in ("review", "reject")}
        sent = {key for key in notes if results[key]["status"] == "succeeded"}
        assert sent == ({f"slack-post-{verdict}"} if verdict != "approve" else set())
        assert execution["status"] == "completed", execution
        assert execution["result"]["output"]["posted"] if sent else execution["result"]["output"]["verdict"]
        decided[amount] = {"verdict": verdict, "text": execution["result"]["text"]}
        (item,) = await delivered(office, execution["id"])
        assert (item["kind"], item["text"]) == ("result", execution["result"]["text"])
    assert {amount: one["verdict"] for amount, one in decided.items()} == {
        "85.00": "approve",
        "86.69": "review",
        "86.70": "reject",
        "90.00": "reject",
    }
    assert "85.00 USD" in decided["90.00"]["text"]
    assert "90.00 USD" in decided["90.00"]["text"]
    assert "5.9 %" in decided["90.00"]["text"]
    notes = posted(slack)
    assert [("Urgent" in note, "5.9 %" in note) for note in notes] == [
        (False, False),
        (True, False),
        (True, True),
    ]
    assert "2.0 %" in notes[1]

    unknown = order.replace("PO-1042", "PO-9999")
    execution = await run(office, agent_id, purchase_order=unknown, invoice=invoice)
    done = {key for key, status in statuses(execution).items() if status == "succeeded"}
    assert done == {"extract-purchase-order", "extract-invoice", "find-purchase-order"}
    assert (execution["status"], execution["error"]) == ("no_effect", None)
    assert execution["result"]["text"].startswith("No PO found")
    (item,) = await delivered(office, execution["id"])
    assert (item["kind"], item["text"]) == ("result", execution["result"]["text"])
    assert posted(slack) == notes


async def test_after_the_first_step_three_run_at_once_and_the_last_waits_for_all_of_them(
    office: Server, slack: LocalService
) -> None:
    agent_id = await make(office, ONBOARDING, "Onboarding")
    execution = await run(office, agent_id, signup=document("signup.csv"))
    assert execution["status"] == "completed", execution
    times = {
        skill["key"]: (
            datetime.fromisoformat(skill["started_at"]),
            datetime.fromisoformat(skill["completed_at"]),
        )
        for skill in execution["skill_results"]
    }
    first, last = times.pop("extract-signup"), times.pop("check-onboarding")
    begun, ended = zip(*times.values(), strict=True)
    assert len(times) == 3
    assert first[1] <= min(begun)
    assert max(begun) < min(ended), "they did not all run at the same time"
    assert max(ended) <= last[0]
    assert posted(slack) == ["Acme Ltd starts on 2026-12-01."]


@pytest.mark.parametrize(("name", "outline"), [("Claims", INSURANCE), ("Invoices", PURCHASING)])
async def test_a_dry_run_without_any_input_passes_and_tries_every_branch(
    tmp_path: Path, name: str, outline: Outline
) -> None:
    given = given_of(outline, name)
    files = given.pop("skill_files")
    async with installation(tmp_path / "home") as house:
        encoded = {
            skill: {path: text.encode() for path, text in texts.items()} for skill, texts in files.items()
        }
        agent = await house.agents.create(MAYA, given, encoded)
        test_id = await house.agents.start_test(MAYA, agent.id, TestMode.DRY, suite=Suite.QUICK)
        report = await house.agents.await_test(MAYA, test_id, 60)
        assert (report.verdict, report.problems) == ("passed", [])
        runs, _ = await house.runs.list_runs(MAYA, subject=f"test:{test_id}", limit=50)
    (tried,) = [view for view in runs if '"every_branch"' in view.run.facts]
    assert {step.key: step.status for step in tried.steps} == dict.fromkeys(
        (one["key"] for one in given["skills"]), "completed"
    )
