"""Broken JSON is mended, what holds no answer stays without one, and nothing is invented."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broken_answers import GARBAGE, HOPELESS, SCHEMA
from omniforge.core.errors import Invalid
from omniforge.llm.mending import check_schema, fitted, mended


def read(text: str) -> dict[str, Any] | None:
    """What a question would take as its answer; None when the model would be asked again."""
    value = mended(text, SCHEMA)
    if value is None:
        return None
    fitting, problems = fitted(value, SCHEMA)
    return None if problems else fitting


def test_nearly_all_broken_answers_are_understood(record_property: Any) -> None:
    right = [read(said) == meant for meant, said in GARBAGE]
    share = sum(right) / len(right)
    record_property("repaired", share)
    print(json.dumps({"answers": len(right), "understood": sum(right), "share": round(share, 3)}))  # noqa: T201
    wrong = [said for (_, said), fine in zip(GARBAGE, right, strict=True) if not fine]
    assert len(GARBAGE) >= 60
    assert share >= 0.95, wrong


@pytest.mark.parametrize("said", HOPELESS, ids=range(len(HOPELESS)))
def test_what_holds_no_answer_is_not_made_one(said: str) -> None:
    assert read(said) is None


@given(st.text(max_size=300))
def test_any_text_is_read_without_a_fall(said: str) -> None:
    value = mended(said, SCHEMA)
    assert value is None or isinstance(value, dict)


PLAIN_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**6), 10**6) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(min_size=1, max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.text(min_size=1, max_size=8), PLAIN_JSON, max_size=4))
def test_good_json_is_left_alone(value: dict[str, Any]) -> None:
    assert mended(json.dumps(value), {"type": "object"}) == value


def test_a_bare_list_fills_the_one_list_that_is_wanted() -> None:
    schema = {"type": "object", "properties": {"rows": {"type": "array"}}, "required": ["rows"]}
    assert mended('[{"a": 1}, {"a": 2}]', schema) == {"rows": [{"a": 1}, {"a": 2}]}
    assert mended('[{"rows": [1]}]', schema) == {"rows": [1]}


def test_all_of_a_schema_counts() -> None:
    schema = {
        "type": "object",
        "properties": {
            "at": {"type": "string", "pattern": "^[0-9]{4}$"},
            "n": {"type": "integer", "minimum": 1},
        },
        "additionalProperties": False,
    }
    assert fitted({"at": "2024", "n": 1}, schema)[1] == []
    problems = fitted({"at": "now", "n": 0, "more": 1}, schema)[1]
    assert len(problems) == 3
    assert any(problem.startswith("$.at:") for problem in problems)


@pytest.mark.parametrize(
    "schema", [{}, {"type": "array"}, {"type": "object", "properties": {"a": {"type": "txt"}}}]
)
def test_a_shape_that_is_none_is_refused(schema: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        check_schema(schema)
