"""Variables in a skill's text: one pass, a fixed list, unknown ones stay; what was put in is never read."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniforge.runtime.substitution import Arguments, Filled, substitute

VALUES = {
    "SESSION_ID": "run_1",
    "SKILL_DIR": "/skill",
    "WORKSPACE": "/workspace",
    "USER": "Maya",
    "DATE": "2026-11-21",
}
NONE = Arguments({})


def fill(text: str, arguments: Arguments = NONE) -> Filled:
    return substitute([(text, True)], VALUES, arguments)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$DATE and ${DATE}", "2026-11-21 and 2026-11-21"),
        ("${CLAUDE_SESSION_ID} ${SESSION_ID}", "run_1 run_1"),
        ("${CLAUDE_SKILL_DIR}/a $SKILL_DIR/b", "/skill/a /skill/b"),
        ("$WORKSPACE for $USER", "/workspace for Maya"),
        (r"\$DATE costs \$5", "$DATE costs $5"),
        ("$date ${date} $Date $", "$date ${date} $Date $"),
        ("$1 $ARGUMENTS[0] $name costs $5", "$1 $ARGUMENTS[0] $name costs $5"),
        ("${DATE", "${DATE"),
    ],
)
def test_names_on_the_list_are_filled_in(text: str, expected: str) -> None:
    assert fill(text) == Filled(expected)


def test_unknown_names_stay_as_they_are_with_one_warning() -> None:
    filled = fill("$HOME ${PATH} $HOME $DATE")
    assert filled.text == "$HOME ${PATH} $HOME 2026-11-21"
    assert filled.warnings == ("Not known, and left as written: $HOME, $PATH.",)


@pytest.mark.parametrize(
    ("given_input", "config", "shown"),
    [
        ({"a": 1, "b": 2}, {"b": 3}, '{"a": 1, "b": 3}'),
        ({"text": "just this"}, {}, "just this"),
        ({"n": 5}, {}, '{"n": 5}'),
        ({"text": "Grüße"}, {"more": True}, '{"text": "Grüße", "more": true}'),
    ],
)
def test_arguments_are_input_and_config_and_a_lone_text_stays_one(
    given_input: dict[str, Any], config: dict[str, Any], shown: str
) -> None:
    assert fill("Do: $ARGUMENTS", Arguments.of(given_input, config)).text == f"Do: {shown}"


def test_arguments_that_are_not_used_stand_at_the_end() -> None:
    assert fill("Do it.\n", Arguments("now")).text == "Do it.\n\nARGUMENTS: now\n"
    assert fill("Do it.", NONE).text == "Do it."
    assert "ARGUMENTS:" not in fill("Do ${ARGUMENTS}", Arguments("now")).text


def test_places_and_names_count_only_in_files_for_claude_code() -> None:
    arguments = Arguments("main fast", positional=True, names=["branch", "speed"])
    text = "$0 $1 $ARGUMENTS[1] $branch $speed $2 $other"
    assert fill(text, arguments).text == "main fast fast main fast $2 $other"
    assert fill("$0", Arguments("main")).text.startswith("$0\n\nARGUMENTS: main")


def test_what_is_put_in_is_never_looked_at_again() -> None:
    hostile = "$DATE ${USER} $ARGUMENTS \\$ $HOME"
    assert fill("<$ARGUMENTS>", Arguments(hostile)) == Filled(f"<{hostile}>")
    pieces = [("a $DATE ", True), ("$DATE $ARGUMENTS $FOO", False), (" $USER", True)]
    filled = substitute(pieces, VALUES, NONE)
    assert filled == Filled("a 2026-11-21 $DATE $ARGUMENTS $FOO Maya")


@given(st.text(max_size=300), st.text(max_size=100))
def test_any_text_is_filled_in_and_stays_whole_around_it(text: str, argument: str) -> None:
    plain = text.replace("$", "").replace("\\", "")
    filled = fill(f"{plain}$ARGUMENTS{plain}", Arguments(argument)).text
    # letters after the name would be another name
    if not plain[:1].isalnum() and plain[:1] not in ("_", "["):
        assert filled.startswith(plain + argument)
