"""Summaries in the words of their sources, and records with other fields."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sandbox_kit.digest import summarised, transformed
from sandbox_kit.sentences import entries_of, sentences_of, telling

LETTER = """Thank you for your patience. The launch of the portal is planned for 12 January 2026. We had
lunch. The portal still has one blocker: the certificate of the portal is missing. Dr. Lopez decided to order
300 tokens. It rained.
"""
REPORT = """# Weekly

## Acme

- **[Portal](https://x.example/1)** — Status: Blocked · Due: 2026-12-01
- **Nothing new** — Status: Done

## Globex

| Title | Status |
| --- | --- |
| Warehouse | At Risk |
"""


def test_sentences_end_where_people_end_them() -> None:
    assert sentences_of("Dr. Lopez came at 9 a.m. on 2.5.2026. She left! Why? e.g. this one.") == [
        "Dr. Lopez came at 9 a.m. on 2.5.2026.",
        "She left!",
        "Why? e.g. this one.",
    ]


def test_the_telling_sentences_are_kept_word_for_word_and_in_order() -> None:
    result = summarised({"document": LETTER}, 3)
    lines = [line.removeprefix("- ") for line in result["output"]["report"].splitlines() if line]
    assert lines == [
        "The launch of the portal is planned for 12 January 2026.",
        "The portal still has one blocker: the certificate of the portal is missing.",
        "Dr. Lopez decided to order 300 tokens.",
    ]
    assert result["message"] == "Kept 3 of 6 sentences and entries."


def test_each_of_several_sources_has_its_heading_and_entries_keep_theirs() -> None:
    given_ = {"results": [{"report": REPORT}, None, {"text": "It is late."}]}
    result = summarised(given_, 1, ["Notion report", "Left out", "Letter"])
    assert result["output"]["sources"] == ["Notion report", "Letter"]
    assert result["output"]["report"].splitlines() == [
        "## Notion report",
        "",
        "### Acme",
        "",
        "- **[Portal](https://x.example/1)** — Status: Blocked · Due: 2026-12-01",
        "",
        "## Letter",
        "",
        "- It is late.",
    ]


def test_rows_and_fields_are_sources_too() -> None:
    rows = {"results": [{"rows": [{"title": "Portal", "Status": "Blocked"}]}, {"amount": 85, "name": "Ann"}]}
    report = summarised(rows, 5, ["Rows", "Fields"])["output"]["report"]
    assert "- Portal — Status: Blocked" in report
    assert "- Amount: 85" in report


def test_marks_in_other_peoples_texts_stay_marks() -> None:
    report = summarised({"document": "See [this](javascript:alert(1)) <script>. And # that now."}, 5)[
        "output"
    ]["report"]
    assert "](" not in report.replace("\\](", "")
    assert "\\<script\\>" in report


def test_nothing_to_sum_up_is_said() -> None:
    result = summarised({"document": "  "}, 5)
    assert (result["status"], result["output"]["items"]) == ("empty", 0)


@given(st.text(max_size=400), st.integers(1, 5))
def test_no_word_of_a_summary_is_made_up(text: str, most: int) -> None:
    entries = entries_of(text)
    chosen = telling(entries, most)
    assert len(chosen) <= most
    assert all(entry in entries for entry in chosen)
    assert [entries.index(entry) for entry in chosen] == sorted(entries.index(entry) for entry in chosen)


ROWS: list[dict[str, Any]] = [
    {"Item": "A", "Qty": "2", "Price": "$10.00"},
    {"Item": "B", "Qty": 1, "Price": "free"},
]


def transform(given_: Any, **how: Any) -> dict[str, Any]:
    return transformed(given_, how.get("rename", {}), how.get("keep", ()), how.get("compute", {}))


def test_fields_are_worked_out_renamed_and_kept() -> None:
    result = transform(
        {"rows": ROWS},
        compute={"total": "qty * price"},
        rename={"item": "Product"},
        keep=("Product", "total"),
    )
    assert result["output"]["rows"] == [{"Product": "A", "total": 20}, {"Product": "B", "total": None}]
    assert (result["output"]["items"], result["output"]["missing"]) == (2, ["total"])
    assert "| A | 20 |" in result["output"]["report"]


def test_one_record_alone_has_its_fields_at_the_top() -> None:
    result = transform(
        {"quantity": 3, "unit_price": 2, "confidence": {"quantity": 1}},
        compute={"Total sum": "quantity*unit_price"},
    )
    assert result["output"]["total_sum"] == 6
    assert result["output"]["rows"] == [{"quantity": 3, "unit_price": 2, "Total sum": 6}]


def test_records_of_several_steps_come_together_and_none_is_nothing_to_do() -> None:
    assert (
        transform({"results": [{"rows": ROWS[:1]}, {"entries": [{"id": "1", "fields": ROWS[1]}]}]})["output"][
            "items"
        ]
        == 2
    )
    assert transform({"entries": [], "items": 0})["status"] == "empty"
    assert (
        transform({"text": "Item,Qty\nA,2\nB,3\n"}, compute={"n": "qty * 2"})["output"]["rows"][1]["n"] == 6
    )


@given(
    st.recursive(
        st.text(max_size=9) | st.integers() | st.none(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.text(max_size=9) | st.sampled_from(["rows", "results", "report", "fields"]),
                inner,
                max_size=4,
            )
        ),
    )
)
def test_whatever_steps_gave_can_be_summed_up_and_worked_out(given_: Any) -> None:
    held = given_ if isinstance(given_, dict) else {"results": [given_]}
    json.dumps([summarised(held, 3), transform(held, rename={"a": "b"}, keep=("b",), compute={"c": "a + 1"})])
