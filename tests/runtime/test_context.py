"""What a model is told at first: within budgets, in a stable order, large things as digests with handles."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniforge.core.errors import NotFound
from omniforge.engine.recovery.history import Context
from omniforge.runtime.context import MAX_TASK, Budgets, Level, Material, Piece, prepare, tokens_of
from omniforge.runtime.guards import Source
from omniforge.runtime.handles import OPENED, Handles, digest_of, lines_of

ROWS = [{"id": f"row-{number}", "title": f"Project {number}", "text": "words " * 40} for number in range(300)]


def test_a_long_request_is_a_line_and_the_rest_is_data() -> None:
    long = "Please compare the offers. " + "More words follow here. " * 100
    prepared = prepare(Material(long), Handles())
    task = prepared.prompt.split("# Task\n\n")[1].split("\n\n")[0]
    line = task.split(" … (the rest")[0]
    assert len(line) <= MAX_TASK
    assert long.startswith(line)
    assert "rest of the request:\n<data" in prepared.prompt


def test_small_values_are_whole_and_large_ones_a_digest_with_a_handle() -> None:
    handles = Handles()
    pieces = [Piece("input n", 3, Source.USER), Piece("output of read", {"rows": ROWS}, Source.STEP)]
    prepared = prepare(Material("Do it.", pieces), handles)
    assert "row-0" in prepared.prompt
    assert "row-299" not in prepared.prompt
    assert "list of 300 with id, title, text" in prepared.prompt
    assert tokens_of(prepared.prompt) < 1_000
    found = handles.open("output of read", find="row-299")
    assert "Project 299" in found["text"]
    told = prepared.told()
    assert told["digest"] == ["execution:output of read"]
    assert "execution:input n" in told["whole"]


def test_every_level_keeps_within_its_budget() -> None:
    pieces = [Piece(f"input {number}", ROWS[:20], Source.USER) for number in range(12)]
    files = [f"docs/page-{number}.md" for number in range(500)]
    facts = {f"fact {number}": "x" * 300 for number in range(50)}
    for level in Context:
        budgets = Budgets.of(level)
        prepared = prepare(
            Material("Do it. " * 500, pieces, files=files, environment=facts), Handles(), budgets
        )
        tokens = prepared.told()["tokens"]
        assert tokens[Level.TASK.value] <= budgets.task
        assert tokens[Level.EXECUTION.value] <= budgets.execution + 13 * 400  # marks and digests
        assert tokens[Level.PROJECT.value] <= budgets.project
        assert tokens[Level.ENVIRONMENT.value] <= budgets.environment
        left_out = [one for one in prepared.loaded if not one.tokens]
        assert left_out


def test_the_same_material_gives_the_same_text_and_changing_facts_stand_last() -> None:
    def made(date: str) -> str:
        pieces = [Piece("input a", {"x": 1}, Source.USER)]
        return prepare(Material("Do it.", pieces, environment={"date": date}), Handles()).prompt

    assert made("Monday") == made("Monday")
    one, other = made("Monday"), made("Friday")
    same = next(at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)
    assert one[same:] == "Monday\n" or one[same:] == "Monday"


def test_a_part_is_opened_by_lines_or_by_what_it_holds() -> None:
    handles = Handles()
    handles.put("rows", {"rows": ROWS, "count": 300})
    first = handles.open("rows")
    assert len(first["text"]) <= OPENED
    assert first["next_line"] > 2
    following = handles.open("rows", first=first["next_line"], lines=2)
    assert len(following["text"].splitlines()) == 2
    assert handles.open("rows", find="no such words") == {
        "handle": "rows",
        "text": "",
        "lines_in_all": 303,
        "lines_found": 0,
    }
    with pytest.raises(NotFound, match="there are: rows"):
        handles.open("others")


def test_going_on_from_line_to_line_shows_everything_once() -> None:
    handles = Handles()
    handles.put("rows", ROWS)
    seen: list[str] = []
    first: int | None = 1
    while first is not None:
        part = handles.open("rows", first=first)
        seen += part["text"].splitlines()
        first = part.get("next_line")
    assert seen == lines_of(ROWS)


def test_two_values_of_one_name_have_two_handles() -> None:
    handles = Handles()
    handles.put("result", ROWS)
    shown, whole = handles.put("result", ROWS[1:])
    assert not whole
    assert "'result-2'" in shown
    assert handles.open("result-2")["lines_in_all"] == 299


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=200),
    lambda inner: st.lists(inner, max_size=30) | st.dictionaries(st.text(max_size=20), inner, max_size=10),
    max_leaves=50,
)


@given(JSON)
def test_any_value_has_lines_and_a_short_digest(value: Any) -> None:
    assert lines_of(value)
    assert len(digest_of(value)) < 20_000
    shown, whole = Handles().put("x", value, whole=200)
    assert len(shown) <= 200 or not whole
