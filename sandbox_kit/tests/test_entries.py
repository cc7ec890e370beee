"""Entries of services in one form: what becomes of a row, what is kept, and in which order."""

from __future__ import annotations

from typing import Any

from sandbox_kit.choosing import is_wanted
from sandbox_kit.entries import entry_of, in_order, rows_of, told, value_of

ROWS: list[dict[str, Any]] = [
    {"id": "1", "title": "Website", "fields": {"Status": "On Track", "Client": "Acme", "Due": "2026-11-20"}},
    {"id": "2", "title": "app", "fields": {"Status": "At Risk", "Client": ["Globex"], "Seats": 3}},
    {"id": "3", "title": "Shop", "fields": {"Status": "At Risk", "Due": "2026-12-01", "Seats": 12}},
]
ENTRIES = [entry_of(row) for row in ROWS]


def ordered(*rules: dict[str, Any]) -> list[str]:
    return [entry["title"] for entry in in_order(ENTRIES, rules)]


def test_rows_with_and_without_fields_of_their_own_are_alike() -> None:
    issue = entry_of(
        {
            "id": "i1",
            "title": "Login fails",
            "url": "https://x.example/1",
            "state": "Todo",
            "updated_at": "2026-11-20",
        },
        place={"id": "ENG", "name": "Engineering"},
    )
    assert issue == {
        "id": "i1",
        "title": "Login fails",
        "url": "https://x.example/1",
        "at": "2026-11-20",
        "place": "ENG",
        "fields": {"title": "Login fails", "state": "Todo", "updated_at": "2026-11-20"},
    }
    assert value_of(ENTRIES[0], "status") == "On Track"
    assert value_of(ENTRIES[0], "title") == "Website"


def test_people_and_things_are_called_by_their_names() -> None:
    row = {
        "id": "m",
        "author": {"id": "U1", "name": "Maya"},
        "text": "First line\nsecond",
        "reactions": {"+1": 2},
    }
    entry = entry_of(row, {"title": "text", "kind": "Message"})
    assert entry["title"] == "First line"
    assert entry["fields"] == {
        "kind": "Message",
        "author": "Maya",
        "text": "First line\nsecond",
        "reactions": "+1: 2",
    }


def test_entries_are_ordered_by_rules_the_first_weighing_most() -> None:
    assert ordered() == ["app", "Shop", "Website"]
    assert ordered({"field": "Status", "first": ["at risk"]}) == ["app", "Shop", "Website"]
    assert ordered({"field": "Status", "last": ["At Risk"]}) == ["Website", "app", "Shop"]
    assert ordered({"field": "Due", "filled": True}) == ["Shop", "Website", "app"]
    assert ordered({"field": "Due", "descending": True}) == ["Shop", "Website", "app"]
    assert ordered({"field": "Seats"}) == ["app", "Shop", "Website"]
    assert ordered({"field": "Status", "first": ["At Risk"]}, {"field": "title", "descending": True}) == [
        "Shop",
        "app",
        "Website",
    ]


def test_entries_are_kept_or_left_out_by_a_value_whatever_its_case() -> None:
    def titles(**rule: Any) -> list[str]:
        return [one["title"] for one in ENTRIES if is_wanted(one, [rule])]

    assert titles(field="Status", values=["at risk"], keep=True) == ["app", "Shop"]
    assert titles(field="Status", values=["at risk"], keep=False) == ["Website"]
    assert titles(field="Client", values=["globex", "acme"], keep=True) == ["Website", "app"]
    assert titles(field="Nothing", values=["x"], keep=False) == ["Website", "app", "Shop"]


def test_free_data_give_the_list_in_them_else_themselves() -> None:
    assert rows_of({"json": {"items": [{"a": 1}], "sample": True}}, "json") == [{"a": 1}]
    assert rows_of({"json": [{"a": 1}, "x"]}, "json") == [{"a": 1}]
    assert rows_of({"json": {"a": 1}}, "json") == [{"a": 1}]
    assert rows_of({"json": {"items": []}}, "json") == []
    assert rows_of({"text": "a page"}, "json") == [{"text": "a page"}]
    assert rows_of("nothing", "json") == []


def test_what_is_told_on_is_bounded() -> None:
    long = [entry_of({"id": str(n), "title": "x", "text": "y" * 5_000, "empty": ""}) for n in range(2_000)]
    kept = told(long)
    assert 50 < len(kept) < 2_000
    assert len(kept[0]["fields"]["text"]) == 600
    assert "empty" not in kept[0]["fields"]
    assert kept[0]["values"] == {"title": "x"}
    [plain] = told(
        [
            entry_of(
                {"id": "1", "title": "x", "fields": {"Due Date": "2026-11-20", "Tags": ["a", "b"], "N": 3}}
            )
        ]
    )
    assert plain["values"] == {"due_date": "2026-11-20", "tags": "a, b", "n": 3}
