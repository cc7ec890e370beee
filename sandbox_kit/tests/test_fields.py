"""Fields out of documents: labels, tables, other words for the same, and what stays open."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox_kit.documents import plain_text, read_document
from sandbox_kit.fields import Found, find_fields, kind_of, labels_in
from sandbox_kit.values import key_of


def found(document: Any, *names: str, **how: Any) -> Found:
    return find_fields(document, {key_of(name): name for name in names}, **how)


ORDER = """PURCHASE ORDER
PO Number: PO-1042          Date: 2026-11-02
Supplier: Northwind Traders
Bill to: Acme Corp

| Item | Qty | Unit price | Amount |
| --- | --- | --- | --- |
| Keyboard | 1 | $85.00 | $85.00 |

Total: $85.00
"""


def test_labels_tables_and_other_words_for_the_same_are_found() -> None:
    read = found(ORDER, "po_number", "item", "quantity", "unit price", "total", "vendor", "customer", "date")
    assert read.values == {
        "po_number": "PO-1042",
        "item": "Keyboard",
        "quantity": 1,
        "unit_price": 85,
        "total": 85,
        "vendor": "Northwind Traders",
        "customer": "Acme Corp",
        "date": "2026-11-02",
    }
    assert read.units == {"unit_price": "USD", "total": "USD"}
    assert read.missing == []
    assert read.rows == [{"Item": "Keyboard", "Qty": "1", "Unit price": "$85.00", "Amount": "$85.00"}]
    assert read.confidence["po_number"] == 1.0
    assert 0.5 < read.confidence["vendor"] < 1.0


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Invoice No. INV-77", "INV-77"),
        ("Invoice #INV-77", "INV-77"),
        ("Invoice number = INV-77", "INV-77"),
        ("**Invoice number:** INV-77", "INV-77"),
        ("- Invoice no: INV-77,", "INV-77"),
        ("Invoice number\nINV-77\n", "INV-77"),
        ("## Invoice number\n\nINV-77\n", "INV-77"),
        ("Invoice number .......... INV-77", "INV-77"),
        ("Invoice number:\tINV-77", "INV-77"),
        ("Customer: A  Invoice number: INV-77  Date: x", "INV-77"),
        ("Customer: Bo Invoice no: INV-77 Due date: 2 May 2026", "INV-77"),
        ("| Invoice number | INV-77 |", "INV-77"),
        ("invoice_number,amount\nINV-77,3\n", "INV-77"),
        ("Invoice number;Amount\r\nINV-77;3,50\r\n", "INV-77"),
        ("<p>Invoice&nbsp;number: <b>INV-77</b></p>", "INV-77"),
        ("<table><tr><td>Invoice No</td><td>INV-77</td></tr></table>", "INV-77"),
        ("<dl><dt>Invoice number</dt><dd>INV-77</dd></dl>", "INV-77"),
        ({"invoiceNumber": "INV-77"}, "INV-77"),
        ({"head": {"Invoice number": "INV-77"}, "text": "nothing"}, "INV-77"),
        ({"text": "Invoice number: INV-77"}, "INV-77"),
        ([{"Invoice number": "INV-77", "x": 1}], "INV-77"),
        ("Please pay soon.", None),
        ("Invoice number: ____", None),
        ("Invoice number: n/a", None),
        ("Invoice number:\nDate: 2 May 2026", None),
        ("Invoice number: A-1\nInvoice number: A-2", None),
        ("", None),
        (None, None),
    ],
)
def test_a_value_is_found_wherever_it_stands_and_never_guessed(text: Any, value: str | None) -> None:
    read = found(text, "Invoice number")
    assert read.values == {"invoice_number": value}
    assert read.missing == ([] if value else ["Invoice number"])


def test_different_values_of_one_field_are_told_and_none_is_taken() -> None:
    read = found("Invoice number: A-1\nInvoice number: A-2\nInvoice No: a-1", "Invoice number")
    assert read.unclear == {"invoice_number": ["A-1", "A-2"]}


def test_a_value_of_the_wrong_kind_is_not_taken() -> None:
    text = "Amount: see below\nEmail: ask Bo\nPhone: none\nDue date: soon\nPolicy number: pending\n"
    read = found(text, "Amount", "Email", "Phone", "Due date", "Policy number")
    assert set(read.values.values()) == {None}
    assert len(read.missing) == 5


def test_amounts_and_dates_become_plain_and_keep_their_unit() -> None:
    text = "Total: USD 1,250.00 (incl. tax)\nDue date: 4 March 2027\nFee: 12,50 €\nPaid on date: 03/04/2026"
    read = found(text, "Total", "Due date", "Fee", "Paid on date")
    assert read.values == {
        "total": 1250,
        "due_date": "2027-03-04",
        "fee": 12.5,
        "paid_on_date": "03/04/2026",
    }
    assert read.units == {"total": "USD", "fee": "EUR"}
    assert read.confidence["paid_on_date"] < read.confidence["due_date"]


def test_an_address_without_a_label_is_found_when_it_is_the_only_one() -> None:
    assert found("Write to maria@acme.example soon", "email").values == {"email": "maria@acme.example"}
    assert found("a@b.example or c@d.example", "email").values == {"email": None}
    assert found("Call +1 555 010 2030.", "phone").values == {"phone": "+1 555 010 2030"}


def test_known_values_are_written_as_they_are_known() -> None:
    known = {"insurance_provider": ["UnitedHealthcare", "Aetna"]}
    for said, value in (
        ("united healthcare", "UnitedHealthcare"),
        ("AETNA Inc.", "Aetna"),
        ("Aetna Life", "Aetna Life"),
    ):
        read = found(f"Carrier: {said}", "insurance provider", known=known)
        assert read.values == {"insurance_provider": value}


def test_what_the_document_is_need_not_be_said_in_its_labels() -> None:
    assert found("Amount: 90", "invoice amount", about="invoice").values == {"invoice_amount": 90}
    assert found("Colour: red", "invoice colour").values == {"invoice_colour": "red"}
    assert found("Name: red", "invoice amount").values == {"invoice_amount": None}


def test_rows_that_sum_up_are_no_rows_of_their_own() -> None:
    text = "Item   Price\nKeyboard   90.00\nTotal   90.00\n"
    assert found(text, "item", "price").values == {"item": "Keyboard", "price": 90}


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("Invoice number", "id"),
        ("Number of guests", "number"),
        ("Total amount", "amount"),
        ("Phone number", "phone"),
        ("E-mail address", "email"),
        ("DOB", "date"),
        ("Qty", "number"),
        ("Customer id", "id"),
        ("Name", "text"),
    ],
)
def test_the_name_of_a_field_says_what_its_values_are(name: str, kind: str) -> None:
    assert kind_of(name) == kind


def test_without_any_wish_every_label_is_a_field() -> None:
    assert labels_in("Customer: A\nDue date: 2 May 2026\nhello there\n") == {
        "customer": "Customer",
        "due_date": "Due date",
    }


def test_scripts_and_styles_of_a_page_are_no_text_of_it() -> None:
    page = (
        "<html><head><title>T</title></head><body><script>Total: 1</script><p>Total: 2 &amp; more</p></body>"
    )
    assert plain_text(page).strip() == "Total: 2 & more"


@settings(max_examples=60, deadline=None)
@given(
    st.text(max_size=300)
    | st.recursive(
        st.text(max_size=20) | st.integers() | st.none(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    )
)
def test_any_document_is_read_and_the_result_can_be_written_down(document: Any) -> None:
    read = found(document, "Name", "Total amount", "Due date", "Email")
    assert set(read.values) == {"name", "total_amount", "due_date", "email"}
    assert len(read.missing) == sum(value is None for value in read.values.values())
    json.dumps(read.values)


def test_a_hostile_document_takes_no_time() -> None:
    for text in (
        "a: " * 30_000,
        "x  " * 50_000,
        "|" * 50_000,
        ("Date: 1 " * 20_000),
        "<td>" * 20_000,
        "." * 100_000,
    ):
        read_document(text, {"date"})


@given(
    st.dictionaries(
        st.sampled_from(["Customer", "Item", "Plan", "City"]),
        st.from_regex(r"[A-Z][a-z]{2,9}", fullmatch=True),
        min_size=1,
    )
)
def test_what_was_written_with_labels_is_read_back(values: dict[str, str]) -> None:
    shapes = [
        "\n".join(f"{name}: {value}" for name, value in values.items()),
        "\n".join(f"| {name} | {value} |" for name, value in values.items()),
        "<dl>" + "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in values.items()) + "</dl>",
    ]
    for text in shapes:
        assert found(text, *values).values == {key_of(name): value for name, value in values.items()}
