"""Skills for operations on data: valid everywhere, composed from what the outline says, stable, and tried."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.builder.generating import PLACES, part, report_part
from tests.builder.test_generation import HOSTILE, check_agent, check_files, texts
from tests.path.business import INSURANCE, ONBOARDING, PURCHASING

from omniforge.builder.generation import build_draft
from omniforge.builder.generation.records import EXAMPLE, sample_input, write_skill
from omniforge.builder.generation.records_fields import fields_of, known_values, names_in, sides_of
from omniforge.builder.generation.records_formulas import is_formula, names_of
from omniforge.builder.outline import (
    Check,
    Compare,
    Condition,
    Decide,
    Doing,
    Extract,
    Fill,
    Happening,
    Match,
    Outline,
    Part,
    Post,
    Summarise,
    Transform,
)
from omniforge.core.errors import Invalid
from sandbox_kit.arithmetic import BadFormula, check_formula

Json = dict[str, Any]


def only(does: Doing, *needs: Part, **more: Any) -> Outline:
    return Outline(parts=(*needs, part("the-part", None, does, *(one.key for one in needs), **more)))


def ran(outline: Outline, key: str, given_: Mapping[str, Any]) -> Json:
    """What the script of a part answers, in a Python of its own."""
    wanted = outline.part(key)
    assert wanted is not None
    script = write_skill(wanted, outline, "Agent").files["scripts/main.py"]
    request = {"protocol": 1, "input": dict(given_), "context": {"date": "2026-11-21"}}
    done = subprocess.run(
        [sys.executable, "-c", script], input=json.dumps(request).encode(), capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout.splitlines()[-1])


# --- written -----------------------------------------------------------------------------------------------

EVERY: tuple[Doing, ...] = (
    Summarise(),
    Transform(rename={"a": "b"}, keep=("b", "c"), compute={"c": "a * 2"}),
    Compare(left="amount", right="price"),
    Extract(fields=("Name", "Amount")),
    Fill(form="Form", fields=("Name",)),
    Match(by=("Name",), missing="No such person"),
    Check(required=("Name",), known={"Plan": ("A", "B")}),
    Decide(verdict="approve", reason="Everything fits"),
)


@pytest.mark.parametrize("does", EVERY, ids=lambda does: str(does.operation))
@pytest.mark.parametrize("needs", [0, 1, 2])
def test_every_operation_is_valid_everywhere_with_any_number_of_needs(does: Doing, needs: int) -> None:
    before = [report_part(service) for service in ("notion", "linear")[:needs]]
    draft = build_draft(only(does, *before), name="Data", timezone="UTC")
    check_files(draft)
    check_agent(draft)
    assert "the-part" in draft.skill_files
    assert draft.integrations == ("notion", "linear")[:needs]


@pytest.mark.parametrize("outline", [INSURANCE, PURCHASING, ONBOARDING])
def test_business_agents_are_valid_and_equal_outlines_give_equal_bytes(outline: Outline) -> None:
    draft = build_draft(outline, name="Business", timezone="UTC")
    check_files(draft)
    check_agent(draft)
    again = build_draft(
        Outline.model_validate_json(outline.model_dump_json()), name="Business", timezone="UTC"
    )
    assert draft == again


def test_a_change_of_one_part_leaves_the_files_of_the_others_alone() -> None:
    before = build_draft(PURCHASING, name="A", timezone="UTC")
    changed = PURCHASING.part("reject")
    assert changed is not None
    other = changed.model_copy(update={"does": Decide(verdict="send back")})
    after = build_draft(PURCHASING.having(other), name="A", timezone="UTC")
    different = {name for name, files in after.skill_files.items() if files != before.skill_files[name]}
    assert different == {"reject"}


def test_a_skill_that_keeps_another_name_does_the_same() -> None:
    kept = {"extract-claim": "claims-reader", "check-forms": "old-check"}
    draft = build_draft(INSURANCE, name="A", timezone="UTC", keep_names=kept)
    plain = build_draft(INSURANCE, name="A", timezone="UTC")
    for key, name in kept.items():
        scripts = draft.skill_files[name]["scripts/main.py"], plain.skill_files[key]["scripts/main.py"]
        assert scripts[0] == scripts[1]


def hostile_parts(said: list[str]) -> tuple[Doing, ...]:
    a, b, c = said
    return (
        Summarise(),
        Transform(rename={a: b}, keep=(b, c)),
        Compare(left=a, right=b),
        Extract(source=a, fields=(b, c, a)),
        Fill(form=a, fields=(b, c)),
        Match(records=a, by=(b, "Name"), missing=c),
        Check(required=(a,), known={b: (c, a)}),
        Decide(verdict=a, reason=b),
    )


@settings(max_examples=15, deadline=None)
@given(st.lists(texts, min_size=3, max_size=3), texts)
def test_nothing_that_people_say_breaks_a_file(said: list[str], title: str) -> None:
    first = report_part("notion")
    said_when = Condition(words=said[0], expression="items > 0")
    after = [
        part(f"after-{n}", None, does, first.key, condition=said_when)
        for n, does in enumerate(hostile_parts(said))
    ]
    alone = [part(f"alone-{n}", None, does) for n, does in enumerate(hostile_parts(said))]
    outline = Outline(parts=(first, *after, *alone))
    draft = build_draft(outline, name=title[:200] or "x", timezone="UTC")
    check_files(draft)
    check_agent(draft)
    examples = [files[EXAMPLE] for files in draft.skill_files.values() if EXAMPLE in files]
    merged = {name: value for data in reversed(examples) for name, value in json.loads(data).items()}
    assert merged == sample_input(outline)
    json.dumps(merged, ensure_ascii=False).encode()


@pytest.mark.parametrize("hostile", HOSTILE)
def test_scripts_of_hostile_words_run(hostile: str) -> None:
    extract, match = hostile_parts([hostile, "Name", hostile])[3:6:2]
    beside = hostile[:99].replace("name:", "").encode("ascii", "replace").decode()
    answer = ran(only(extract), "the-part", {"document": f"Name: Ann\n{beside}"})
    assert answer["output"]["name"] == "Ann"
    found = ran(only(match), "the-part", {"results": [{"Name": "Ann"}, {"name": "ann"}]})
    assert found["output"]["found"] is True


def test_formulas_are_checked_before_anything_is_written() -> None:
    with pytest.raises(Invalid) as refused:
        build_draft(only(Transform(compute={"x": "a ** 2", "y": "a + 1"})), name="x", timezone="UTC")
    assert [field["field"] for field in refused.value.details["fields"]] == ["the-part.x"]


def test_a_record_cannot_be_found_by_nothing() -> None:
    with pytest.raises(Invalid) as refused:
        build_draft(only(Match(missing="No PO found")), name="x", timezone="UTC")
    assert refused.value.code == "match_field_missing"


@example(text="0/0_")
@given(st.text(alphabet="0123456789.+-*/()% ab\"'_", max_size=30))
def test_a_formula_is_accepted_here_exactly_when_it_can_be_worked_out_there(text: str) -> None:
    try:
        names = check_formula(text)
    except BadFormula:
        assert not is_formula(text)
    else:
        assert is_formula(text)
        assert names_of(text) == list(dict.fromkeys(name for name in names if name))


# --- what the outline says besides --------------------------------------------------------------------------


def test_a_document_is_read_for_everything_that_later_parts_need() -> None:
    read = part("extract-form", None, Extract())
    outline = Outline(
        parts=(
            read,
            part("fill-form", None, Fill(fields=("Name",)), "extract-form"),
            part("match-it", None, Match(by=("Number",)), "extract-form"),
            part(
                "decide-it",
                None,
                Decide(verdict="x"),
                "match-it",
                condition=Condition(
                    words="x", expression="size(plan) > 0 && steps['extract-form'].output.age > 1"
                ),
            ),
            part("check-it", None, Check(required=("City",), known={"Plan": ("A",)}), "fill-form"),
        )
    )
    assert [*fields_of(read, outline)] == ["plan", "age", "name", "city", "number"]
    said = Extract(fields=("Name",))
    assert [
        *fields_of(part("extract-form", None, said), outline.having(part("extract-form", None, said)))
    ] == [
        "name",
        "plan",
        "age",
        "city",
        "number",
    ]


def test_conditions_tell_which_values_are_known() -> None:
    def when(expression: str) -> Part:
        return part(
            f"p{len(expression)}", None, Summarise(), condition=Condition(words="", expression=expression)
        )

    outline = Outline(
        parts=(
            when("provider == 'Aetna' && prev.plan in ['A', \"B\"]"),
            when('steps[\'p-q\'].output.provider == "Blue \\"Cross\\""'),
            when("variance_percent == 0 || verdict == 'approve'"),
        )
    )
    assert known_values(outline) == {"provider": ("Aetna", 'Blue "Cross"'), "plan": ("A", "B")}
    assert names_in("steps['p-q'].output.provider == 'x' && age > 3 && size(items) > 0 && true") == [
        "provider",
        "age",
        "items",
    ]


def sides(left: str, right: str) -> list[tuple[str, str]]:
    compare = Compare(left=left, right=right)
    compared = part("compare", None, compare, "find-purchase-order")
    kept = [one for one in PURCHASING.parts if not one.key.startswith("compare")][:3]
    found = sides_of(compared, compare, Outline(parts=(*kept, compared)))
    return [(side.part, side.field) for side in found]


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("extract-purchase-order.amount", "extract-invoice.amount"),
        ("purchase_order.amount", "invoice.amount"),
        ("purchase order amount", "amount of the invoice"),
        ("amount", "amount"),
        ("", ""),
    ],
)
def test_sides_of_a_comparison_are_understood_however_they_are_named(left: str, right: str) -> None:
    assert sides(left, right) == [("extract-purchase-order", "amount"), ("extract-invoice", "amount")]


def test_a_record_that_was_found_is_the_left_side_of_its_document() -> None:
    compare = Compare(left="amount", right="amount")
    parts = (
        part("extract-invoice", None, Extract(source="invoice", fields=("PO number", "Amount"))),
        part("find-order", None, Match(records="orders", by=("PO number",)), "extract-invoice"),
        part("compare", None, compare, "find-order"),
    )
    left, right = sides_of(parts[2], compare, Outline(parts=parts))
    assert (left.part, left.source) == ("find-order", "${find-order.output.record}")
    assert (right.part, right.source) == ("extract-invoice", "${extract-invoice.output}")
    given_ = sample_input(Outline(parts=parts))
    assert [order["amount"] for order in given_["orders"]] == ["85.00", "85.00"]
    assert "Amount: 90.00" in given_["invoice"]


def test_two_parts_that_read_one_document_are_given_the_same_one() -> None:
    parts = (
        part("read-names", None, Extract(fields=("Name",))),
        part("read-sums", None, Extract(fields=("Amount",))),
    )
    draft = build_draft(Outline(parts=parts), name="x", timezone="UTC")
    one, other = (json.loads(draft.skill_files[each.key][EXAMPLE]) for each in parts)
    assert one == other == {"document": "Document\n\nName: Maria Lopez\nAmount: 85.00\n"}


def test_samples_are_there_for_what_reads_the_input_only_and_take_the_first_branch() -> None:
    assert [*sample_input(PURCHASING)] == ["purchase_order", "invoice"]
    assert "Insurance provider: UnitedHealthcare" in sample_input(INSURANCE)["document"]
    starts = Happening(service="notion", event="row.created", place=PLACES["notion"])
    begun = INSURANCE.model_copy(update={"starts": starts})
    assert sample_input(begun) == {}
    post = part("slack-post", "slack", Post(place=PLACES["slack"]))
    assert sample_input(Outline(parts=(post,))) == {}


# --- run ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("does", EVERY, ids=lambda does: str(does.operation))
def test_every_operation_runs_on_its_own_sample(does: Doing) -> None:
    outline = only(does)
    answer = ran(outline, "the-part", sample_input(outline))
    assert answer.get("status", "ok") == "ok", answer
    assert answer["output"]["report"].strip()
    assert answer["message"]


def test_a_check_looks_at_all_results_also_when_some_were_left_out() -> None:
    results = [{"patient_name": "Ann", "insurance_provider": "Cigna"}, None, None, None]
    answer = ran(INSURANCE, "check-forms", {"results": results, "run": {}})
    assert answer["status"] == "flag"
    assert len(answer["output"]["problems"]) == 2
    form = {"form": "Aetna claim form", "missing": ["Diagnosis"], "report": "## Aetna claim form"}
    answer = ran(
        INSURANCE, "check-forms", {"results": [{"insurance_provider": "Aetna"}, None, form, None], "run": {}}
    )
    assert answer["output"]["problems"] == ["Aetna claim form: Diagnosis is missing."]


def test_a_decision_may_name_what_was_found() -> None:
    outline = only(Decide(verdict="reject", reason="{variance_percent} % is too much for {item}"))
    answer = ran(outline, "the-part", {"variance_percent": 5.882352941, "item": "a keyboard"})
    assert answer["output"]["text"] == "Reject: 5.88 % is too much for a keyboard."
    refused = ran(outline, "the-part", {"variance_percent": 1})
    assert refused["status"] == "refused"
    assert "item" in refused["message"]


def test_a_document_that_starts_the_run_is_read_from_what_happened() -> None:
    outline = only(Extract(fields=("Customer", "Plan")))
    event = {"event": {"id": "1", "item": {"id": "2", "fields": {"Customer": "Acme", "Plan": None}}}}
    assert ran(outline, "the-part", event)["output"]["customer"] == "Acme"


def test_a_page_that_was_fetched_is_a_document_too() -> None:
    first = report_part("notion")
    outline = only(Extract(source="page", fields=("Price",)), first)
    fetched = {"results": [{"text": "Price: $12.00", "title": "A page"}], "run": {}}
    assert ran(outline, "the-part", fetched)["output"]["price"] == 12
    assert ran(outline, "the-part", {**fetched, "run": {"page": "Price: 13"}})["output"]["price"] == 13
