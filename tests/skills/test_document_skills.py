"""The bundled skills for documents and records, in the real sandbox and with their own examples."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from omniforge.agents.content import TestMode
from omniforge.bootstrap import Installation
from omniforge.core.actor import Actor
from omniforge.core.config import Settings, shipped
from omniforge.core.errors import Fatal
from omniforge.sandboxes import SandboxRequest, open_provider
from omniforge.sandboxes.skill_protocol import SkillResult, entry_argv, parse_result, render_request

Json = dict[str, Any]
INVOICE = "Invoice no: INV-7\nP.O. #: PO-1042\n\nItem   Price\nKeyboard   90.00\n\nTotal: USD 90.00\n"
ORDERS = [{"PO number": "PO-1041", "Amount": 3}, {"PO number": "po 1042", "Amount": 85}]


async def run(name: str, given: Mapping[str, Any], **config: Any) -> SkillResult:
    request = SandboxRequest(
        argv=entry_argv("main.py"),
        stdin=render_request(
            run_id="run",
            step="step",
            skill_name=name,
            skill_version=None,
            input=given,
            config=config,
            context={"now": "2026-11-21T10:00:00Z", "timezone": "UTC"},
            tools=[],
        ),
        folders={"/skill": shipped("skills") / name},
    )
    done = await open_provider("local").run(request)
    return parse_result(done.stdout, done.exit_code, done.stderr)


async def test_the_wanted_fields_are_read_under_their_names() -> None:
    result = await run(
        "document-extractor",
        {"invoice": INVOICE},
        source="invoice",
        fields=["Invoice number", "PO number", "Item", "invoice amount", "Due date"],
    )
    found = {name: result.output[name] for name in ("invoice_number", "po_number", "item", "invoice_amount")}
    assert found == {
        "invoice_number": "INV-7",
        "po_number": "PO-1042",
        "item": "Keyboard",
        "invoice_amount": 90,
    }
    assert (result.output["due_date"], result.output["missing"]) == (None, ["Due date"])
    assert result.message == "Found 4 of 5 fields. Not found: Due date."


async def test_fields_may_be_given_other_names_and_known_values() -> None:
    config = {"fields": {"payer": "Insurance provider"}, "known": {"Payer": ["UnitedHealthcare"]}}
    result = await run("document-extractor", {"text": "Carrier: united healthcare, Inc."}, **config)
    assert result.output["payer"] == "UnitedHealthcare"


async def test_without_fields_every_label_is_one() -> None:
    result = await run("document-extractor", {"document": "Customer: Acme\nPlan: Standard\n"})
    assert (result.output["customer"], result.output["plan"]) == ("Acme", "Standard")


@pytest.mark.parametrize(
    ("name", "given", "config", "words"),
    [
        ("document-extractor", {}, {}, "give its text, or its fields, as `document`"),
        ("document-extractor", {"document": "x"}, {"fields": [1]}, "`fields` must be a list of texts"),
        ("document-extractor", {"document": "x"}, {"known": 1}, "`known` must be an object"),
        ("document-extractor", {"document": "x"}, {"source": 1}, "`source` must be the name of an input"),
        ("record-matcher", {"records": ORDERS}, {}, "the setting `by` must be a field"),
        (
            "record-matcher",
            {"po": "1"},
            {"by": "po", "records": "orders"},
            "give a list of records as `orders`",
        ),
    ],
)
async def test_what_cannot_be_meant_is_refused_with_the_reason(
    name: str, given: Json, config: Json, words: str
) -> None:
    with pytest.raises(Fatal) as raised:
        await run(name, given, **config)
    assert raised.value.code == "refused"
    assert words in raised.value.message


async def test_the_record_is_found_or_the_run_ends_with_the_words_for_it() -> None:
    found = await run("record-matcher", {"records": ORDERS, "po_number": "PO-1042"}, by="PO number")
    assert (found.status, found.output["record"]) == ("ok", ORDERS[1])
    none = await run(
        "record-matcher",
        {"orders": [], "po": "PO-7"},
        by=["PO number"],
        missing="No PO found",
        records="orders",
    )
    assert (none.status, none.output["found"]) == ("stop", False)
    assert none.message == "No PO found. Looked for PO number PO-7 in 0 records."
    twice = await run("record-matcher", {"records": [*ORDERS, ORDERS[1]], "po": "PO-1042"}, by="PO number")
    assert (twice.status, len(twice.output["candidates"])) == ("flag", 2)


async def test_both_together_pass_a_dry_run_with_the_examples_they_bring(
    tmp_path: Path, actor: Actor
) -> None:
    given = {
        "name": "Orders of invoices",
        "skills": [
            {"name": "document-extractor", "order": 1, "config": {"fields": ["PO number", "Total amount"]}},
            {
                "name": "record-matcher",
                "order": 2,
                "config": {"by": "PO number"},
                "inputs": {"results": ["${document-extractor.output}"], "records": "${input.records}"},
            },
        ],
    }
    async with Installation.open(Settings(home=tmp_path / "home")) as house:
        agent = await house.agents.create(actor, given)
        test_id = await house.agents.start_test(actor, agent.id)
        report = await house.agents.await_test(actor, test_id, 60)
        preview_id = await house.agents.start_test(actor, agent.id, TestMode.PREVIEW)
        preview = await house.agents.await_test(actor, preview_id, 60)
        own = await house.agents.start_test(actor, agent.id, TestMode.PREVIEW, input_data={"document": "x"})
        missed = await house.agents.await_test(actor, own, 60)
    assert (report.verdict, report.problems, report.sample_data) == ("passed", [], True)
    assert (preview.verdict, preview.output, preview.sample_data) == ("passed", report.output, True)
    assert (missed.verdict, missed.sample_data) == ("failed", False)
    assert report.output["record"] == {"PO number": "PO-1042", "Item": "Keyboard", "Amount": 85}
