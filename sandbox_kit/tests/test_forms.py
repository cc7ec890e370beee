"""Forms filled, gaps named, and checks at the end."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sandbox_kit.fields import find_fields
from sandbox_kit.forms import checked, extraction, filled_form

FIELDS = {"patient_name": "Patient name", "policy_number": "Policy number"}


def test_what_was_read_is_told_field_by_field() -> None:
    fields = {**FIELDS, "amount": "Amount", "missing": "Missing"}
    read = find_fields("Patient: Ann *B*\nAmount: $85\nMissing: a shoe", fields)
    result = extraction(read, fields, "Claim")
    output = result["output"]
    assert (output["patient_name"], output["policy_number"], output["amount"]) == ("Ann *B*", None, 85)
    assert "- **Patient name**: Ann \\*B\\*" in output["report"]
    assert output["missing_field"] == "a shoe"
    assert output["missing"] == ["Policy number"]
    assert "- **Amount**: 85.00 USD" in output["report"]
    assert result["message"] == "Found 3 of 4 fields. Not found: Policy number."


def test_a_form_is_filled_from_names_that_mean_the_same() -> None:
    given_ = {"results": [{"patient": "Ann"}, {"record": {"Policy no.": "P-1"}}, None]}
    result = filled_form(given_, "Claim", FIELDS)
    output = result["output"]
    assert output["filled"] == {"patient_name": "Ann", "policy_number": "P-1"}
    assert (output["missing"], output["complete"], result["status"]) == ([], True, "ok")
    assert output["text"] == "Claim\n\nPatient name: Ann\nPolicy number: P-1\n"


def test_gaps_of_a_form_are_named_and_pointed_out_where_nobody_else_looks() -> None:
    result = filled_form({"patient_name": "Ann", "policy_number": None}, "Claim", FIELDS, is_last=True)
    assert (result["output"]["missing"], result["status"]) == (["Policy number"], "flag")
    assert "Policy number: ________" in result["output"]["text"]
    assert filled_form({}, "Claim", FIELDS)["status"] == "ok"


def check(*results: Any, **how: Any) -> dict[str, Any]:
    known = {"insurance_provider": ["UnitedHealthcare", "Aetna"]}
    return checked({"results": list(results)}, FIELDS, known, **how)


READ = {"patient_name": "Ann", "policy_number": "P-1", "insurance_provider": "aetna"}


def test_everything_there_is_said_and_the_form_shown() -> None:
    form = filled_form(READ, "Aetna form", FIELDS)["output"]
    result = check(READ, None, form, parts=("Read", "United", "Aetna"), forms=("United", "Aetna"))
    assert (result["status"], result["output"]["complete"]) == ("ok", True)
    assert "## Aetna form" in result["output"]["report"]


def test_every_problem_is_listed_once() -> None:
    form = filled_form({"patient_name": "Ann"}, "Aetna form", {**FIELDS, "age": "Age"})["output"]
    result = check({**READ, "policy_number": None, "insurance_provider": "Cigna"}, form)
    assert result["status"] == "flag"
    assert result["output"]["problems"] == [
        "Policy number is missing.",
        "Insurance provider 'Cigna' is not known here: it can be UnitedHealthcare, Aetna.",
        "Aetna form: Age is missing.",
    ]
    assert result["output"]["missing"] == ["Policy number", "Age"]
    assert result["output"]["unknown"] == {"insurance_provider": "Cigna"}


def test_a_case_without_its_form_is_a_problem() -> None:
    result = check(READ, None, None, forms=("United", "Aetna"))
    assert result["output"]["problems"] == ["No form was filled: there is none for this case."]


@given(
    st.recursive(
        st.text(max_size=9) | st.integers() | st.none() | st.booleans(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.text(max_size=9)
                | st.sampled_from(["results", "missing", "form", "units", "record", "run"]),
                inner,
                max_size=4,
            )
        ),
    )
)
def test_whatever_steps_gave_can_be_filled_in_and_checked(given_: Any) -> None:
    held = given_ if isinstance(given_, dict) else {"results": [given_]}
    form = filled_form(held, "Form", FIELDS)
    json.dumps([form, checked(held, FIELDS, {"patient_name": ["Ann"]}, forms=("A",))])
    assert len(form["output"]["filled"]) + len(form["output"]["missing"]) == len(FIELDS)
