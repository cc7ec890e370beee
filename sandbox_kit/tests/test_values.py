"""Numbers, dates and names as people write them."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox_kit.values import Amount, amount_of, date_of, is_same, key_of, normal, shown


@pytest.mark.parametrize(
    ("text", "number", "unit"),
    [
        ("85", "85", ""),
        (85.5, "85.5", ""),
        ("$1,234.50", "1234.50", "USD"),
        ("1.234,50 €", "1234.50", "EUR"),
        ("1 234,5", "1234.5", ""),
        ("1'234.00 CHF", "1234.00", "CHF"),
        ("1,234", "1234", ""),
        ("12,5", "12.5", ""),
        ("(85.00)", "-85.00", ""),
        ("-$85", "-85", "USD"),
        ("USD -85", "-85", "USD"),
        ("5.9 %", "5.9", "%"),
        ("3 pcs", "3", "pcs"),
        ("85.00 each", "85.00", ""),
        (".5", "0.5", ""),
    ],
)
def test_amounts_are_read_however_they_are_written(text: Any, number: str, unit: str) -> None:
    assert amount_of(text) == Amount(Decimal(number), unit)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "abc",
        "PO-1042",
        "12 Main Street",
        "1.2.3.4.x",
        "+1 555 010 2030",
        True,
        None,
        [],
        "(85",
        float("nan"),
        "9" * 99,
    ],
)
def test_what_is_no_amount_is_none(text: Any) -> None:
    assert amount_of(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-02",
        "2026-11-02T09:30:00Z",
        "2 November 2026",
        "2nd of Nov 2026",
        "November 2, 2026",
        "Mon, 2 Nov 2026",
        "02.11.2026",
        "2026/11/02",
    ],
)
def test_dates_are_read_however_they_are_written(text: str) -> None:
    assert date_of(text) == date(2026, 11, 2)


def test_a_date_that_can_be_two_days_is_none() -> None:
    assert date_of("03/04/2026") is None
    assert date_of("13/04/2026") == date(2026, 4, 13)
    assert date_of("04/13/2026") == date(2026, 4, 13)
    assert date_of("05/05/2026") == date(2026, 5, 5)
    assert date_of("31.02.2026") is None
    assert date_of("85.00") is None


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        ("PO-1042", "po 1042", True),
        ("Müller GmbH", "mueller gmbh", False),
        ("Café", "cafe", True),
        (85, "85.00", True),
        (85.0, 85, True),
        ("0042", "42", False),
        ("2 Nov 2026", "2026-11-02", True),
        (None, "", True),
        (True, "true", True),
        (85, "PO-85", False),
    ],
)
def test_values_are_the_same_when_people_would_say_so(left: Any, right: Any, same: bool) -> None:
    assert is_same(left, right) is same


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("Date of birth", "date_of_birth"),
        ("patientName", "patient_name"),
        ("P.O. #", "p_o"),
        ("Größe", "große"),
        ("2nd name", "field_2nd_name"),
        ("!!!", "field"),
    ],
)
def test_names_become_keys(name: str, key: str) -> None:
    assert key_of(name) == key_of(key) == key.replace("ß", "ss").replace("ö", "o")


def test_values_are_shown_as_people_write_them() -> None:
    assert shown(85, "USD") == "85.00 USD"
    assert shown(1234.567) == "1,234.57"
    assert shown(85) == "85"
    assert shown(None) == "—"
    assert shown(["a", True]) == "a, yes"


@given(st.text() | st.floats() | st.integers() | st.none() | st.lists(st.text()))
def test_nothing_is_too_strange_to_be_read(value: Any) -> None:
    amount_of(value)
    date_of(value)
    shown(value)
    assert is_same(value, value)
    assert isinstance(value, list) or normal(normal(value)) == normal(value)


@given(st.decimals(min_value=-(10**9), max_value=10**9, places=2), st.sampled_from(["USD", "EUR", "kg", ""]))
def test_amounts_come_back_as_they_were_written(number: Decimal, unit: str) -> None:
    found = amount_of(f"{number} {unit}".strip())
    assert found is not None
    assert (found.number, found.unit) == (number, unit)
