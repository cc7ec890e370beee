"""Three agents of a business as outlines, the documents they are given, and how they are made and run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from living_server import Server
from omniforge.builder.generation import build_draft
from omniforge.builder.outline import (
    Check,
    Compare,
    Condition,
    Content,
    Decide,
    Extract,
    Fill,
    Match,
    Outline,
    Part,
    Place,
    Post,
)
from omniforge.cli.demo import allow

Json = dict[str, Any]
DOCUMENTS = Path(__file__).parent / "documents"

PROVIDERS = {"united": "UnitedHealthcare", "aetna": "Aetna", "blue-cross": "Blue Cross"}
CLAIM = ("Patient name", "Date of birth", "Policy number", "Diagnosis")
TEAM = Place(name="#team-updates", kind="channel")


def document(name: str, **values: str) -> str:
    text = (DOCUMENTS / name).read_text(encoding="utf-8")
    for mark, value in values.items():
        text = text.replace(f"@@{mark}@@", value)
    return text


def _filler(short: str, provider: str) -> Part:
    said = Condition(words=f"the insurance is {provider}", expression=f"insurance_provider == '{provider}'")
    does = Fill(form=f"{provider} claim form", fields=CLAIM)
    return Part(key=f"fill-{short}", does=does, needs=("extract-claim",), condition=said)


INSURANCE = Outline(
    parts=(
        Part(key="extract-claim", does=Extract(fields=(*CLAIM, "Insurance provider"))),
        *(_filler(short, provider) for short, provider in PROVIDERS.items()),
        Part(
            key="check-forms",
            does=Check(known={"Insurance provider": tuple(PROVIDERS.values())}),
            needs=("extract-claim", *(f"fill-{short}" for short in PROVIDERS)),
        ),
    )
)


def _decision(verdict: str, words: str, expression: str) -> Part:
    said = Condition(words=words, expression=expression)
    return Part(key=verdict, does=Decide(verdict=verdict), needs=("compare-amounts",), condition=said)


PURCHASING = Outline(
    parts=(
        Part(
            key="extract-purchase-order",
            does=Extract(source="purchase_order", fields=("PO number", "Item", "Amount")),
        ),
        Part(
            key="extract-invoice",
            does=Extract(source="invoice", fields=("PO number", "Invoice number", "Item", "Amount")),
        ),
        Part(
            key="find-purchase-order",
            does=Match(by=("PO number",), missing="No PO found"),
            needs=("extract-purchase-order", "extract-invoice"),
        ),
        Part(
            key="compare-amounts",
            does=Compare(left="extract-purchase-order.amount", right="extract-invoice.amount"),
            needs=("find-purchase-order",),
        ),
        _decision("approve", "there is no variance", "variance_percent == 0"),
        _decision("review", "the variance is below 2 %", "variance_percent > 0 && variance_percent < 2"),
        _decision("reject", "the variance is 2 % or more", "variance_percent >= 2"),
        Part(key="slack-post-review", service="slack", does=Post(place=TEAM), needs=("review",)),
        Part(key="slack-post-reject", service="slack", does=Post(place=TEAM, urgent=True), needs=("reject",)),
    )
)

ONBOARDING = Outline(
    parts=(
        Part(
            key="extract-signup",
            does=Extract(source="signup", fields=("Customer", "Contact name", "Email", "Plan", "Start date")),
        ),
        Part(
            key="fill-account",
            does=Fill(form="Account", fields=("Customer", "Contact name", "Email")),
            needs=("extract-signup",),
        ),
        Part(
            key="fill-contract",
            does=Fill(form="Contract", fields=("Customer", "Plan", "Start date")),
            needs=("extract-signup",),
        ),
        Part(
            key="slack-post-welcome",
            service="slack",
            does=Post(place=TEAM, content=Content.TEXT, text="{customer} starts on {start_date}."),
            needs=("extract-signup",),
        ),
        Part(
            key="check-onboarding",
            does=Check(required=("Customer",)),
            needs=("fill-account", "fill-contract", "slack-post-welcome"),
        ),
    )
)


def given_of(outline: Outline, name: str) -> Json:
    """What an agent of this outline is made of, as the interface takes it."""
    draft = build_draft(outline, name=name, timezone="UTC")
    return {
        "name": draft.name,
        "description": draft.description,
        "timezone": draft.timezone,
        "integrations": list(draft.integrations),
        "skills": [dict(reference) for reference in draft.skills],
        "skill_files": {
            skill: {path: data.decode() for path, data in files.items()}
            for skill, files in draft.skill_files.items()
        },
    }


async def make(server: Server, outline: Outline, name: str) -> str:
    """An active agent: made, tried with the samples that its skills bring, and switched on; its id."""
    given = given_of(outline, name)
    for service in given["integrations"]:
        begun = await server.ask("POST", "/oauth/init", json={"integration": service})
        await allow(begun["auth_url"])
    agent = await server.ask("POST", "/agents", json=given)
    path = f"/agents/{agent['id']}"
    report = await server.ask("POST", f"{path}/test", json={"mode": "dry"}, headers={"Prefer": "wait=60"})
    assert (report["verdict"], report["problems"]) == ("passed", []), report
    approved = {"test_id": report["test_id"], "manifest_hash": report["manifest_hash"]}
    active = await server.ask("POST", f"{path}/activate", json=approved)
    assert active["status"] == "active"
    return str(agent["id"])


async def run(server: Server, agent_id: str, **input_data: Any) -> Json:
    """The execution, over."""
    started = await server.ask("POST", f"/agents/{agent_id}/run", json={"input_data": input_data})
    execution = await server.finished(started["execution_id"])
    assert (await server.event_types(execution["id"]))[-1] == "run.finished"
    return execution


def statuses(execution: Json) -> dict[str, str]:
    return {skill["key"]: skill["status"] for skill in execution["skill_results"]}
