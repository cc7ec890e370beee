"""Which entries are wanted."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox_kit.choosing import chosen, days_of
from sandbox_kit.entries import entry_of
from sandbox_kit.skill import Refused, Request


def asked(now: str = "2026-11-18T09:00:00+00:00", **config: Any) -> Request:
    """A Wednesday."""
    context = {"now": now, "timezone": "Europe/Berlin"}
    return Request(input={}, config=config, context=context, tools=[], run_id="r", step="s", skill={})


ROWS: list[dict[str, Any]] = [
    {
        "id": "1",
        "title": "Shop",
        "due": "2026-11-17",
        "owner": None,
        "tags": [],
        "paid": False,
        "n": "1,200",
    },
    {
        "id": "2",
        "title": "App",
        "due": "2026-11-22",
        "owner": "Anna Berg",
        "tags": ["x"],
        "paid": True,
        "n": 90,
    },
    {
        "id": "3",
        "title": "Site",
        "due": "2026-11-23T23:30:00Z",
        "owner": "Joanna",
        "tags": ["y"],
        "paid": True,
    },
]
ENTRIES = [entry_of(row) for row in ROWS]


def titles(request: Request | None = None, **rule: Any) -> list[str]:
    return [str(one["title"]) for one in chosen(ENTRIES, [rule], request or asked())]


def test_words_are_looked_for_at_the_beginning_of_words() -> None:
    assert titles(field="owner", values=["anna"], how="holds") == ["App"]
    assert titles(field="owner", values=["anna"], how="holds", keep=False) == ["Shop", "Site"]
    assert titles(field="*", values=["SITE", "berg"], how="holds") == ["App", "Site"]


def test_nothing_in_a_field() -> None:
    assert titles(field="owner", how="empty") == ["Shop"]
    assert titles(field="tags", how="empty", keep=False) == ["App", "Site"]
    assert titles(field="Missing", how="empty") == ["Shop", "App", "Site"]


def test_values_that_are_ticked_or_not() -> None:
    assert titles(field="paid", values=["false"]) == ["Shop"]


def test_numbers_however_they_are_written() -> None:
    assert titles(field="n", values=["1000"], how="above") == ["Shop"]
    assert titles(field="n", values=["$100"], how="below") == ["App"]


@pytest.mark.parametrize(
    ("values", "found"),
    [
        (["this_week"], ["Shop", "App"]),
        (["next_week"], ["Site"]),
        (["this_week", "next_week"], ["Shop", "App", "Site"]),
        (["next_7_days"], ["App", "Site"]),
        (["yesterday"], ["Shop"]),
        (["today"], []),
        (["report"], ["Shop"]),
        (["last_7_days"], ["Shop"]),
    ],
)
def test_dates_in_a_stretch_of_time_count_in_the_zone(values: list[str], found: list[str]) -> None:
    assert titles(asked(window="yesterday"), field="due", values=values, how="within") == found


def test_dates_before_a_day() -> None:
    assert titles(field="due", values=["today"], how="before") == ["Shop"]
    assert titles(field="owner", values=["today"], how="before") == []


def test_a_stretch_of_time_that_nobody_knows_is_refused() -> None:
    with pytest.raises(Refused, match="next_blue_moon"):
        days_of("next_blue_moon", asked())
    first, last = days_of("next_month", asked())
    assert (str(first), str(last)) == ("2026-12-01", "2026-12-31")


def test_a_rule_about_one_kind_of_entries_leaves_the_others() -> None:
    kinds = [
        entry_of({"id": "1", "title": "PR", "state": "open"}, {"kind": "Pull request"}),
        entry_of({"id": "2", "title": "R"}, {"kind": "Release"}),
    ]
    rule = {"field": "state", "values": ["merged"]}
    assert [one["title"] for one in chosen(kinds, [rule], asked())] == ["R"]
