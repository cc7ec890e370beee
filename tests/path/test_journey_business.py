"""Three flows over documents and records, each built by conversation and run with data."""

# ruff: noqa: E501 - what people say stands on one line

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.path.journeys import Person, town

from omniforge.integrations.standin import Fault, FaultKind

INSURANCE = (
    "Extract insurance_provider, patient_name and policy_number from the form. If the insurance_provider is "
    "UnitedHealthcare fill the UnitedHealthcare form, if it is Aetna fill the Aetna form, if it is Blue Cross fill the "
    "Blue Cross form. Then check the quality: flag incomplete forms and unknown providers."
)
ORDERS = (
    "Read po_number, item and total from the purchase order and from the invoice at the same time, find the matching "
    'purchase order by po_number (no match: stop with "No PO found"), then compare the totals. If the variance is 0 '
    "approve it, if it is above 0 and below 2 % review it and post a note to #finance in Slack, if it is 2 % or more "
    "reject it and post an urgent note to #finance."
)


async def run_on(person: Person, **given: str) -> dict[str, Any]:
    reply = await person.say(f"run it on this: {json.dumps(given)}")
    card = next(card for card in reply["data"]["cards"] if card["type"] == "execution")
    return await person.finished(card["execution_id"])


def done(execution: dict[str, Any]) -> set[str]:
    return {step["key"] for step in execution["skill_results"] if step["status"] == "succeeded"}


async def test_insurance_forms_are_filled_for_the_right_provider_and_checked(tmp_path: Path) -> None:
    async with town(tmp_path / "home") as person:
        summary = await person.talk(INSURANCE)
        assert "after 1, 2, 3 and 4" in summary["text"]
        await person.talk("yes", "yes", "looks good", "yes")
        aetna = await run_on(
            person, document="Insurance provider: Aetna\nPatient name: Ann Lee\nPolicy number: A-5"
        )
        assert aetna["status"] == "completed"
        assert done(aetna) == {"extract-document", "fill-aetna", "check-quality"}
        unknown = await run_on(
            person, document="Insurance provider: Cigna\nPatient name: Tom Reed\nPolicy number: P-12"
        )
        assert unknown["status"] == "partial"
        assert done(unknown) == {"extract-document", "check-quality"}


async def test_an_invoice_is_held_against_its_purchase_order(tmp_path: Path) -> None:
    async with town(tmp_path / "home", "slack") as person:
        await person.talk(ORDERS, "yes", "Done!")
        assert "(at the same time as 2)" in person.replies[-1]["text"]
        await person.talk("yes", "yes", "looks good", "yes")
        assert person.sent("slack") == []
        order = "PO number: PO-7\nItem: Keyboard\nTotal: {}"
        rejected = await run_on(person, purchase_order=order.format("85.00"), invoice=order.format("90.00"))
        assert {"decide-reject", "slack-post-finance-2"} <= done(rejected)
        assert "5.9 %" in rejected["result"]["text"]
        assert len(person.sent("slack")) == 1
        approved = await run_on(person, purchase_order=order.format("85.00"), invoice=order.format("85.00"))
        assert "decide-approve" in done(approved)
        review = await run_on(person, purchase_order=order.format("100.00"), invoice=order.format("101.00"))
        assert {"decide-review", "slack-post-finance"} <= done(review)
        assert len(person.sent("slack")) == 2
        other = "PO number: PO-9\nItem: Keyboard\nTotal: 85.00"
        missing = await run_on(person, purchase_order=order.format("85.00"), invoice=other)
        assert "No PO found" in json.dumps(missing)
        assert not {"compare-values", "decide-approve", "decide-review", "decide-reject"} & done(missing)


ONBOARDING = (
    'Onboard a customer: create an entry in Notion called "{customer}", then at the same time post "Welcome {customer}!" to '
    '#general in Slack, create a Linear issue called "Kick-off for {customer}" and post "New customer: {customer}" to '
    '#support. After all three post "Onboarding of {customer} is complete" to #team-updates.'
)


async def test_a_customer_is_onboarded_by_one_three_at_once_and_one_after_all(tmp_path: Path) -> None:
    async with town(tmp_path / "home", "notion", "slack", "linear") as person:
        await person.talk(
            ONBOARDING,
            "yes",
            "Done!",
            "yes",
            "Done!",
            "yes",
            "Done!",
            "Client Projects",
            "the first one",
        )
        assert "after 2, 3 and 4" in person.replies[-1]["text"]
        await person.talk("yes", "yes", "looks good")
        while person.replies[-1]["phase"] == "testing":  # everything that can go wrong takes a while to try
            await person.say("looks good")
        assert person.sent("slack") == []
        await person.say("yes")
        for name, path, times, body in (
            ("slack", "/api/chat.postMessage", 2, ""),
            ("linear", "", 1, "issueCreate"),
        ):
            slow = Fault(FaultKind.SLOW, path=path, times=times, seconds=3.0, body=body)
            person.services[name].faults.append(slow)  # so that only what runs at the same time overlaps
        execution = await run_on(person, customer="Globex")
        assert execution["status"] == "completed"
        steps = {step["key"]: step for step in execution["skill_results"]}
        first, last = steps["notion-create-entry"], steps["slack-post-team-updates"]
        middle = [steps[key] for key in ("slack-post-general", "linear-create-issue", "slack-post-support")]
        assert all(first["completed_at"] <= step["started_at"] for step in middle)
        left = [fault.times for name in ("slack", "linear") for fault in person.services[name].faults]
        assert left == [0, 0], "each of the three was slow"
        assert max(step["started_at"] for step in middle) < min(step["completed_at"] for step in middle)
        assert all(step["completed_at"] <= last["started_at"] for step in middle)
        assert len(person.sent("slack")) == 3
        assert [request.path for request in person.sent("notion") if request.path == "/v1/pages"] == [
            "/v1/pages"
        ]
