"""JSON from outside: what is JSON and can be kept comes through unchanged, the rest is refused in a line."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniforge.core.plainjson import NotPlain, parse

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)


@given(value=VALUES, escaped=st.booleans())
def test_plain_values_come_through_unchanged(value: Any, escaped: bool) -> None:
    assert parse(json.dumps(value, ensure_ascii=escaped).encode()) == value


@given(raw=st.binary(max_size=50) | st.text('[]{}",:\\u0d8eE19-+.', max_size=50).map(str.encode))
def test_any_bytes_are_a_value_that_can_be_told_again_or_refused(raw: bytes) -> None:
    try:
        value = parse(raw)
    except ValueError:
        return
    json.dumps(value, allow_nan=False, ensure_ascii=False).encode()


@pytest.mark.parametrize(
    ("text", "location"),
    [
        (r'{"a": [1, {"b": "\u0000"}]}', ("a", 1, "b")),
        (r'{"a": {"x\ud800": 1}}', ("a", "x\ufffd")),
        ("[0, [1e999]]", (1, 0)),
        (r'"\udfff"', ()),
        ('{"b": {"a": 1, "a": 2}}', ("a",)),
    ],
)
def test_the_place_is_told(text: str, location: tuple[str | int, ...]) -> None:
    with pytest.raises(NotPlain) as refused:
        parse(text.encode())
    assert refused.value.location == location


def test_a_pair_of_surrogates_is_one_character() -> None:
    assert parse(rb'"\ud83d\ude00"') == "\U0001f600"
