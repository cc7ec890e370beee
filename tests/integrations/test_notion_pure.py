"""Notion's shapes without a network: Markdown both ways, plain values, conditions, any garbage."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniforge.core.errors import Invalid
from omniforge.integrations.catalog.notion import filters, shapes
from omniforge.integrations.catalog.notion.blocks import batches, blocks_of, markdown
from omniforge.integrations.catalog.notion.client import object_id
from omniforge.integrations.rest import parse_object

TYPES = [*shapes.READ_ONLY, *filters.OPS, "unheard_of"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*TYPES, "name", "text", "type"]), inner, max_size=3)
    ),
    max_leaves=12,
)
WORDS = st.text("abc xyz", min_size=1, max_size=20).map(lambda s: " ".join(s.split())).filter(bool)
LINES = st.one_of(
    WORDS,
    WORDS.map(lambda w: f"# {w}"),
    WORDS.map(lambda w: f"### {w}"),
    WORDS.map(lambda w: f"> {w}"),
    WORDS.map(lambda w: f"some **{w}** there"),
    st.just("---"),
    st.lists(WORDS, min_size=1, max_size=3).map(lambda ws: "\n".join(f"- {w}" for w in ws)),
    st.lists(WORDS, min_size=1, max_size=3).map(lambda ws: "\n".join(f"- [ ] {w}" for w in ws)),
    WORDS.map(lambda w: f"```plain text\n{w}\n```"),
)


def kinds_differ(parts: list[str]) -> bool:
    """Two lists of one kind in a row are one list in Notion."""
    return all(not (a[0] == b[0] and a[:2] in ("- ", "> ")) for a, b in pairwise(parts))


@given(st.lists(LINES, max_size=6).filter(kinds_differ))
def test_markdown_comes_back_as_it_was(parts: list[str]):
    source = "\n\n".join(parts)
    assert markdown(blocks_of(source)) == source


@given(st.text(max_size=300))
def test_any_text_becomes_blocks_that_notion_takes(source: str):
    for block in blocks_of(source):
        for part in block[block["type"]].get("rich_text", []):
            assert 0 < len(part["text"]["content"]) <= shapes.TEXT_CHUNK


@pytest.mark.parametrize("letter", ["a", "é", "語", "😀"])
@pytest.mark.parametrize("source", ["{0}", "# {0}", "```\n{0}\n```", "**b** {0}", "{1}"])
def test_long_texts_become_blocks_and_requests_that_notion_takes(letter: str, source: str):
    long, many = letter * 200_000, f"**{letter}** x " * 150
    blocks = blocks_of(source.format(long, many))
    parts = [block[block["type"]]["rich_text"] for block in blocks]
    assert all(0 < len(part) <= 100 for part in parts)
    words = "".join(one["text"]["content"] for part in parts for one in part)
    assert words.count(letter) == source.format(long, many).count(letter)
    cut = batches(blocks * 3)
    assert [block for batch in cut for block in batch] == blocks * 3
    assert all(len(batch) <= 100 and len(json.dumps(batch)) <= 400_000 for batch in cut)


def test_many_short_blocks_go_in_hundreds_and_none_in_one_request():
    assert [len(batch) for batch in batches(blocks_of("x\n\n" * 250))] == [100, 100, 50]
    assert batches([]) == [[]]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("title", "x" * 200_001),
        ("select", "with, comma"),
        ("select", "x" * 101),
        ("multi_select", ["fine", "not, fine"]),
        ("multi_select", ["x"] * 101),
        ("url", "https://example.com/" + "x" * 2000),
        ("email", "x" * 201),
        ("phone_number", "1" * 201),
    ],
)
def test_what_notion_would_not_take_is_said_before_it_is_sent(kind: str, value: Any):
    with pytest.raises(Invalid) as refusal:
        shapes.property_values({"Field": value}, {"Field": {"type": kind}}, {})
    assert refusal.value.details["fields"][0]["field"] == "Field"


@given(st.sampled_from(TYPES), JSON)
def test_no_property_value_breaks_us(kind: str, value: Any):
    shapes.plain_value({"type": kind, kind: value})


@given(JSON)
def test_no_page_or_block_breaks_us(value: Any):
    shapes.plain_fields(value)
    shapes.described_fields(value)
    shapes.title_of({"properties": value})
    markdown(
        [
            {"type": kind, kind: value, "children": value}
            for kind in ("paragraph", "table_row", "image", "code")
        ]
    )


@pytest.mark.parametrize(
    ("prop", "plain"),
    [
        ({"type": "title", "title": [{"plain_text": "A"}, {"plain_text": "B"}]}, "AB"),
        ({"type": "select", "select": None}, None),
        ({"type": "status", "status": {"name": "Done"}}, "Done"),
        ({"type": "multi_select", "multi_select": [{"name": "a"}, {"name": "b"}]}, ["a", "b"]),
        ({"type": "people", "people": [{"name": "Ana"}, {"id": "u2"}]}, ["Ana", "u2"]),
        ({"type": "date", "date": {"start": "2026-11-02", "end": "2026-11-03"}}, "2026-11-02"),
        ({"type": "date", "date": None}, None),
        ({"type": "checkbox", "checkbox": True}, True),
        ({"type": "number", "number": 2.5}, 2.5),
        ({"type": "url", "url": "https://example.com"}, "https://example.com"),
        ({"type": "relation", "relation": [{"id": "p1"}]}, ["p1"]),
        ({"type": "formula", "formula": {"type": "string", "string": "x"}}, "x"),
        ({"type": "formula", "formula": {"type": "date", "date": {"start": "2026-01-01"}}}, "2026-01-01"),
        (
            {"type": "rollup", "rollup": {"type": "array", "array": [{"type": "number", "number": 3}]}},
            [3],
        ),
        ({"type": "unique_id", "unique_id": {"prefix": "OPS", "number": 7}}, "OPS-7"),
        ({"type": "created_by", "created_by": {"name": "Maya"}}, "Maya"),
    ],
)
def test_values_are_plain(prop: dict[str, Any], plain: Any):
    assert shapes.plain_value(prop) == plain


def test_nested_lists_tables_and_links_are_written():
    def rich(words: str, **more: Any) -> list[dict[str, Any]]:
        return [{"plain_text": words, **more}]

    blocks: list[dict[str, Any]] = [
        {
            "type": "bulleted_list_item",
            "bulleted_list_item": {"rich_text": rich("outer")},
            "children": [{"type": "to_do", "to_do": {"rich_text": rich("inner"), "checked": True}}],
        },
        {
            "type": "table",
            "table": {},
            "children": [{"type": "table_row", "table_row": {"cells": [rich("a"), rich("b")]}}],
        },
        {"type": "paragraph", "paragraph": {"rich_text": rich("site ", href="https://example.com")}},
        {"type": "image", "image": {"type": "external", "external": {"url": "https://example.com/a.png"}}},
    ]
    assert markdown(blocks) == (
        "- outer\n  - [x] inner\n\n| a | b |\n\n[site](https://example.com) \n\n"
        "[https://example.com/a.png](https://example.com/a.png)"
    )


@pytest.mark.parametrize(
    "given_id",
    [
        "25f0a1b2c3d44e5f8a9b0c1d2e3f4a5b",
        "25f0a1b2-c3d4-4e5f-8a9b-0c1d2e3f4a5b",
        "https://www.notion.so/acme/Client-Projects-25f0a1b2c3d44e5f8a9b0c1d2e3f4a5b?v=99f0a1b2c3d44e5f8a9b0c1d2e3f4a5b",
    ],
)
def test_ids_are_taken_from_addresses(given_id: str):
    assert object_id(given_id) == "25f0a1b2-c3d4-4e5f-8a9b-0c1d2e3f4a5b"


@pytest.mark.parametrize("given_id", ["", "x", "../../v1/users", "25f0a1b2", "%00", "a" * 5000])
def test_what_is_no_id_never_reaches_an_address(given_id: str):
    with pytest.raises(Invalid):
        object_id(given_id)


def test_conditions_are_joined_and_take_the_fields_own_type():
    schema = {"Status": {"type": "status"}, "Tags": {"type": "multi_select"}, "Owner": {"type": "people"}}
    people = {"Maya": "u1"}
    made = [
        filters.condition("Status", "does_not_equal", "Done", schema, people),
        filters.condition("Tags", "equals", "data", schema, people),
        filters.condition("Owner", "contains", "maya", schema, people),
        filters.condition("edited_at", "after", "2026-01-01", schema, people),
    ]
    assert filters.joined(made) == {
        "and": [
            {"property": "Status", "status": {"does_not_equal": "Done"}},
            {"property": "Tags", "multi_select": {"contains": "data"}},
            {"property": "Owner", "people": {"contains": "u1"}},
            {"timestamp": "last_edited_time", "last_edited_time": {"after": "2026-01-01"}},
        ]
    }
    assert filters.joined([]) is None
    assert filters.joined(made[:1]) == made[0]


def test_half_a_surrogate_pair_in_an_answer_becomes_text_that_can_be_stored() -> None:
    body = b'{"name": "x\\ud800y", "smile": "\\ud83d\\ude00", "written": "\\\\ud800"}'
    parsed = parse_object(body, "Notion")
    assert parsed == {"name": "x?y", "smile": "\U0001f600", "written": "\\ud800"}
