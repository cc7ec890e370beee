"""Coercion changes form, never meaning, and says of everything else what is wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniforge.core.coercion import coerce


def typed(name: str | list[str]) -> dict[str, Any]:
    return {"type": name}


@pytest.mark.parametrize(
    ("given_value", "schema", "value"),
    [
        ("12", typed("integer"), 12),
        (" -3 ", typed("integer"), -3),
        (3.0, typed("integer"), 3),
        ("3.50", typed("number"), 3.5),
        ("1e3", typed("number"), 1000.0),
        ("7", typed("number"), 7),
        ("True", typed("boolean"), True),
        ("no", typed("boolean"), False),
        (12, typed("string"), "12"),
        (False, typed("string"), "false"),
        ("null", typed("null"), None),
        ("x", typed("array"), ["x"]),
        ('["a", "b"]', typed("array"), ["a", "b"]),
        ('Here:\n```json\n{"a": 1}\n```', typed("object"), {"a": 1}),
        ("12", typed(["integer", "null"]), 12),
        (None, typed(["integer", "null"]), None),
        ("HIGH ", {"enum": ["low", "high"]}, "high"),
        ("2", {"enum": [1, 2]}, 2),
        ("a", {"type": "array", "items": {"enum": ["A"]}}, ["A"]),
        (
            {"n": "1", "rows": [{"ok": "yes"}], "more": "kept"},
            {
                "type": "object",
                "required": ["n"],
                "properties": {
                    "n": typed("integer"),
                    "rows": {"type": "array", "items": {"properties": {"ok": typed("boolean")}}},
                },
            },
            {"n": 1, "rows": [{"ok": True}], "more": "kept"},
        ),
    ],
)
def test_what_has_a_safe_form_gets_it(given_value: Any, schema: dict[str, Any], value: Any) -> None:
    found, problems = coerce(given_value, schema)
    assert (found, problems) == (value, [])
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("given_value", "schema", "problem"),
    [
        ("12 apples", typed("integer"), "$: expected a whole number, got text ('12 apples')"),
        (3.5, typed("integer"), "$: expected a whole number, got a number"),
        (True, typed("integer"), "$: expected a whole number, got true or false"),
        ("9" * 5_000, typed("integer"), "$: expected a whole number, got text"),
        ("nan", typed("number"), "$: expected a number, got text ('nan')"),
        ("1e999", typed("number"), "$: expected a number, got text ('1e999')"),
        ("", typed("number"), "$: expected a number, got text ('')"),
        (float("inf"), typed("number"), "$: expected a number, got float"),
        (1, typed("boolean"), "$: expected true or false, got a whole number"),
        ([], typed("object"), "$: expected an object, got a list"),
        ("[" * 100_000, typed("object"), "$: expected an object, got text"),
        (None, typed("array"), "$: expected a list, got nothing"),
        ({"a": 1}, typed("string"), "$: expected text, got an object"),
        ("x", typed(["integer", "null"]), "$: expected a whole number or nothing, got text ('x')"),
        ("medium", {"enum": ["low", "high"]}, '$: expected one of "low", "high", got text (\'medium\')'),
        ("a", {"enum": ["a ", "A"]}, '$: expected one of "a ", "A", got text (\'a\')'),
        (1, {"enum": [True]}, "$: expected one of true, got a whole number"),
        ({}, {"type": "object", "required": ["name"]}, "$.name: is missing"),
        ([{"n": "x"}], {"items": {"properties": {"n": typed("number")}}}, "$[0].n: expected a number"),
    ],
)
def test_what_has_none_stays_as_it_is_and_is_named(
    given_value: Any, schema: dict[str, Any], problem: str
) -> None:
    found, problems = coerce(given_value, schema)
    assert problems[0].startswith(problem)
    assert found is given_value or found == given_value


def test_every_problem_is_named_up_to_a_bound() -> None:
    many = [str(number) + "x" for number in range(200)]
    found, problems = coerce(many, {"items": typed("integer")})
    assert (found, len(problems)) == (many, 50)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)
names = st.sampled_from(["string", "integer", "number", "boolean", "array", "object", "null", "odd"])
schemas = st.recursive(
    st.fixed_dictionaries({}, optional={"type": names | st.lists(names, min_size=1, max_size=3)}),
    lambda inner: st.fixed_dictionaries(
        {"type": st.sampled_from(["array", "object"])},
        optional={
            "items": inner,
            "properties": st.dictionaries(st.text(max_size=3), inner, max_size=3),
            "required": st.lists(st.text(max_size=3), max_size=2),
        },
    ),
    max_leaves=5,
)


@given(values, schemas)
def test_it_never_raises_and_what_fits_once_fits_again_unchanged(value: Any, schema: dict[str, Any]) -> None:
    before = repr(value)
    found, problems = coerce(value, schema)
    assert repr(value) == before
    if not problems:
        again, none = coerce(found, schema)
        assert (repr(again), none) == (repr(found), [])


@given(st.integers() | st.booleans() | st.text() | st.lists(st.integers()))
def test_json_told_as_text_is_read_as_what_it_says(value: Any) -> None:
    found, problems = coerce(json.dumps({"v": value}), {"type": "object", "required": ["v"]})
    assert (found, problems) == ({"v": value}, [])
