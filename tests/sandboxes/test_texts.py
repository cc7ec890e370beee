"""Text of workers: nothing in it that steers a terminal, gives a secret away, or leads out of a folder."""

from __future__ import annotations

import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniforge.sandboxes.texts import cleaned, is_relative, plain, shortened, size_of
from omniforge.sandboxes.tokens import new_token

TEXT = st.text(st.characters(codec="utf-8"))
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | TEXT,
    lambda part: st.lists(part, max_size=4) | st.dictionaries(TEXT, part, max_size=4),
    max_leaves=12,
)


@given(TEXT)
def test_only_line_ends_and_tabs_are_left_of_control_characters(text: str) -> None:
    left = plain(text)
    assert all(char in "\n\t" or unicodedata.category(char) != "Cc" for char in left)
    assert plain(left) == left
    kept = [char for char in text if char in "\n\t" or unicodedata.category(char) != "Cc"]
    assert "".join(kept) == left


@given(JSON, st.integers(0, 3))
def test_a_secret_is_nowhere_in_what_is_kept(value: Any, place: int) -> None:
    token, secret = new_token(), "correct-horse"
    said = f"x{token}y{secret}z"
    value = {"value": value, "said": [said, {said: said}], "split": f"corr\x00ect-{chr(place)}horse"}
    kept = repr(cleaned(value, (secret,)))
    assert token not in kept
    assert secret not in kept


@given(st.dictionaries(TEXT, JSON | st.integers(0, 9_000).map("ü".__mul__), max_size=5))
def test_shortened_fits_and_says_so(data: dict[str, Any]) -> None:
    made = shortened(data, 2_000)
    assert size_of(made) < 2_000
    assert made["shortened"] is True


@pytest.mark.parametrize("path", ["a", "src/main.py", "a..b/c", ".github/x", "a b/ü.py", "x" * 1000])
def test_relative_paths(path: str) -> None:
    assert is_relative(path)


@pytest.mark.parametrize(
    "path", ["", "/etc/passwd", "..", "a/../../b", "a\\..\\b", "a\nb", "a\0", "x" * 1001]
)
def test_paths_that_lead_elsewhere(path: str) -> None:
    assert not is_relative(path)


def test_any_number_has_a_size() -> None:
    assert size_of({"a": 2**80}) == len('{"a":1208925819614629174706176}')
