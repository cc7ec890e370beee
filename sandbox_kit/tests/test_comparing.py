"""Two values, the record that fits, and decisions."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox_kit.comparing import compared, decided, matched, records_for
from sandbox_kit.skill import Refused

BY = {"po_number": "PO number"}


def compare(left: Any, right: Any) -> dict[str, Any]:
    return compared({"left_from": {"a": left}, "right_from": {"b": right}}, "a", "b", ("Ordered", "Invoiced"))


def test_numbers_differ_by_a_difference_and_percent_of_the_left_one() -> None:
    result = compare(85, "90")
    output = result["output"]
    assert (output["left"], output["right"], output["difference"], output["equal"]) == (85, 90, 5, False)
    assert output["variance_percent"] == pytest.approx(500 / 85)
    assert output["comparison"] == "Ordered: 85. Invoiced: 90. 5 more (5.9 %)."
    assert result["status"] == "ok"


@pytest.mark.parametrize(
    ("left", "right", "difference", "percent"),
    [
        ("$100.00", "102 USD", 2, 2),
        (100, 98, -2, 2),
        ("0.1", 0.3, 0.2, 200),
        (-50, -25, 25, 50),
        (0, 0, 0, 0),
        ("1,000.00", "1000", 0, 0),
    ],
)
def test_thresholds_are_met_exactly(left: Any, right: Any, difference: float, percent: float) -> None:
    output = compare(left, right)["output"]
    assert (output["difference"], output["variance_percent"]) == (difference, percent)
    assert output["equal"] is (difference == 0)


def test_no_percentage_of_nothing_is_made_up() -> None:
    result = compare(0, 90)
    assert (result["output"]["variance_percent"], result["status"]) == (None, "flag")
    assert "because the first value is 0" in result["message"]


def test_dates_differ_by_days_and_texts_are_equal_or_not() -> None:
    assert compare("2 Nov 2026", "2026-11-05")["output"]["difference"] == 3
    assert compare("2 Nov 2026", "2026-11-05")["output"]["comparison"].endswith("3 days later.")
    assert compare("Keyboard", "key board")["output"]["equal"] is True
    assert compare("Keyboard", "Mouse")["output"]["difference"] is None


@pytest.mark.parametrize(
    ("left", "right", "words"),
    [
        (None, 90, "Ordered was not found"),
        (85, "n/a", "Invoiced was not found"),
        ("85 USD", "85 EUR", "USD and EUR cannot be compared"),
    ],
)
def test_what_cannot_be_compared_is_refused_by_name(left: Any, right: Any, words: str) -> None:
    with pytest.raises(Refused, match=words):
        compare(left, right)


def test_units_beside_the_values_count_and_fields_are_found_by_other_names() -> None:
    given = {"total": 85, "price": 90, "units": {"total": "USD", "price": "USD"}}
    assert compared(given, "amount", "unit price")["output"]["unit"] == "USD"
    with pytest.raises(Refused, match="USD and EUR"):
        compared({**given, "units": {"total": "USD", "price": "EUR"}}, "amount", "unit price")
    with pytest.raises(Refused, match="was not found"):
        compared({"left_from": None, "right_from": {"b": 1}}, "a", "b")


@given(st.integers(-(10**6), 10**6), st.integers(-(10**6), 10**6))
def test_the_difference_leads_from_the_left_to_the_right(left: int, right: int) -> None:
    output = compare(left, right)["output"]
    assert left + output["difference"] == right
    assert left == 0 or output["variance_percent"] == pytest.approx(abs(right - left) / abs(left) * 100)


# --- matching -----------------------------------------------------------------------------------------------

RECORDS: list[dict[str, Any]] = [
    {"PO number": "PO-1041", "Amount": 310},
    {"PO number": "po 1042", "Amount": 85, "Item": "Keyboard"},
]


@pytest.mark.parametrize(
    "records",
    [
        RECORDS,
        {"rows": RECORDS},
        {"entries": [{"id": "1", "fields": record} for record in RECORDS]},
        "PO number,Amount,Item\nPO-1041,310,Monitor\nPO-1042,85,Keyboard\n",
        "| Order number | Amount |\n| --- | --- |\n| PO-1042 | 85 |\n",
        {"po_number": "PO-1042", "amount": 85, "rows": [{"Item": "Keyboard"}], "report": "x"},
        "Purchase order: PO-1042\nAmount: 85",
    ],
)
def test_the_one_record_is_found_in_any_form(records: Any) -> None:
    result = matched({"po_number": "PO-1042"}, records, BY, "No PO found")
    output = result["output"]
    assert (output["found"], output["matches"], output["by"]) == (True, 1, {"po_number": "PO-1042"})
    assert str(output["record"].get("Amount", output["record"].get("amount"))) == "85"
    assert "status" not in result


def test_no_record_ends_the_run_with_the_words_for_it() -> None:
    result = matched({"po_number": "PO-7"}, RECORDS, BY, "No PO found")
    assert (result["status"], result["output"]["found"], result["output"]["record"]) == ("stop", False, None)
    assert result["message"] == "No PO found. Looked for PO number PO-7 in 2 records."
    unknown = matched({"invoice": 1}, RECORDS, BY, "")
    assert unknown["status"] == "stop"
    assert unknown["message"].startswith("No matching record found. PO number was not found")


def test_several_records_are_listed_and_none_is_taken() -> None:
    result = matched({"po_number": "PO-1"}, [{"po": "PO-1", "n": 1}, {"po": "PO 1", "n": 2}], BY, "none")
    assert (result["status"], result["output"]["record"], result["output"]["found"]) == ("flag", None, False)
    assert [one["n"] for one in result["output"]["candidates"]] == [1, 2]


def test_records_are_looked_for_where_they_may_stand() -> None:
    invoice = {"po_number": "PO-1042"}
    assert records_for({"records": RECORDS, **invoice}, "records") == (RECORDS, invoice)
    assert records_for({"results": [invoice], "records": RECORDS}, "records") == (
        RECORDS,
        {"results": [invoice]},
    )
    assert records_for({"results": [invoice], "run": {"orders": RECORDS}}, "orders")[0] == RECORDS
    assert records_for({"results": [RECORDS[0], invoice]}, "records") == (RECORDS[0], {"results": [invoice]})
    nested = records_for({"records": RECORDS, "invoice": invoice}, "records")
    assert matched(nested[1], nested[0], BY, "")["output"]["found"]
    with pytest.raises(Refused, match="give a list of records as `orders`"):
        records_for({"results": [invoice]}, "orders")


# --- deciding -----------------------------------------------------------------------------------------------


def test_a_decision_tells_what_it_rests_on() -> None:
    compared_ = compare(85, 90)["output"]
    found = matched({"po_number": "PO-1042"}, RECORDS, BY, "")["output"]
    result = decided({"results": [compared_], "earlier": [found]}, "reject", "", "2 % or more")
    output = result["output"]
    assert (output["verdict"], output["variance_percent"]) == ("reject", compared_["variance_percent"])
    assert output["text"] == (
        "Reject: PO number PO-1042: Ordered: 85. Invoiced: 90. 5 more (5.9 %). Rule: 2 % or more."
    )
    assert output["report"].startswith("**Reject**: ")


def test_the_reason_somebody_gave_stands_as_it_is() -> None:
    result = decided({"comparison": "1 more."}, "approve", "Small enough", "small enough")
    assert result["output"]["text"] == "Approve: Small enough. 1 more."
    assert decided({}, "approve", "", "")["output"]["text"] == "Approve"
    assert decided({"problems": ["A is missing."]}, "ask", "", "")["output"]["reason"] == "A is missing."
