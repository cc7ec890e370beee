"""Which tickets a commit speaks of."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniforge.board.conversation import mentioned
from omniforge.board.links import chosen, names_in

ID = "ticket_01a2007249198fbf05333f856cdd"
KNOWN = {"TKT-001": "one", "TKT-PAY-012": "pay", "TKT-1000": "thousand", ID: "by-id"}


@pytest.mark.parametrize(
    ("text", "tickets"),
    [
        ("TKT-001: search", ["one"]),
        ("Fixes TKT-PAY-012, and TKT-001.", ["pay", "one"]),
        ("TKT-001 TKT-001", ["one"]),
        ("feature/TKT-001-search-for-words", ["one"]),
        ("bug/TKT-PAY-012-2024-invoices", ["pay"]),
        ("feature/TKT-001-2024-plan", ["one"]),
        ("feature/TKT-1000-x", ["thousand"]),
        ("see TKT-0012", []),
        ("XTKT-001 tkt-001 TKT-01 TKT-", []),
        ("TKT-001x", []),
        (f"closes {ID}", ["by-id"]),
        (f"feature/{ID}-search", ["by-id"]),
        (f"{ID}0", []),
        ("", []),
    ],
)
def test_tickets_are_named_by_ref_or_full_id(text: str, tickets: list[str]) -> None:
    assert chosen(names_in(text), KNOWN) == tickets


def test_a_longer_ref_is_meant_where_there_is_one() -> None:
    known = KNOWN | {"TKT-001-2024": "longer"}
    assert chosen(names_in("feature/TKT-001-2024-plan"), known) == ["longer"]


def test_message_and_branch_count_together() -> None:
    assert chosen(names_in("TKT-PAY-012", "feature/TKT-001-x", None), KNOWN) == ["pay", "one"]


@given(st.text(alphabet="TK-01AZ x\n", max_size=60))
def test_every_ref_in_a_text_is_among_the_names(text: str) -> None:
    names = {name for readings in names_in(text) for name in readings}
    assert set(re.findall(r"\bTKT-(?:[A-Z0-9]+-)?\d{3,}\b", text)) <= names


@pytest.mark.parametrize(
    ("text", "called"),
    [
        ("@ada, please look; @bob.b too.", ["ada", "bob.b"]),
        ("mail ada@example.com", []),
        ("@ada @ada", ["ada"]),
        ("(@ada) @-x @ ", ["ada"]),
    ],
)
def test_whom_a_comment_calls(text: str, called: list[str]) -> None:
    assert mentioned(text) == called
