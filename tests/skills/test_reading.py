"""Reading a SKILL.md: strict where it matters, lenient where people slip, never an exception."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omniforge.skills.document import MAX_BYTES, Profile, Reason, Value, load, validate
from omniforge.skills.document.front_matter import MAX_DEPTH, MAX_NODES, BadYaml, read_fields

VALID = (
    b"---\nname: weekly\ndescription: Reports the week\nallowed-tools:\n  - Read\ntags: [a, b]\n---\n"
    b"\n# W\n\nDo it.\n"
)


def test_fields_lines_and_body() -> None:
    document = load(VALID, folder="weekly")
    assert document.loadable
    assert document.fields == {
        "name": "weekly",
        "description": "Reports the week",
        "allowed-tools": ["Read"],
        "tags": ["a", "b"],
    }
    assert document.lines == {"name": 2, "description": 3, "allowed-tools": 4, "tags": 6}
    assert (document.body, document.body_line) == ("# W\n\nDo it.\n", 9)
    assert document.data == VALID
    assert document.notes == ()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\xff\xfe---", Reason.NOT_TEXT),
        (b"---\nname: a\x00\n---\n", Reason.NOT_TEXT),
        (b"---\ndescription: x\n---\n" + b"a" * MAX_BYTES, Reason.TOO_LARGE),
        (b"---\nname: [a\n---\nText\n", Reason.BAD_YAML),
        (b"---\n- a\n- b\n---\nText\n", Reason.BAD_YAML),
        (b"---\na: &x [1]\nb: *x\n---\nText\n", Reason.BAD_YAML),
        (b"---\na: &x y\n---\nText\n", Reason.BAD_YAML),
        (b"---\na: !!python/object:os.system x\n---\nText\n", Reason.BAD_YAML),
        (b"---\nname: a\nname: b\n---\nText\n", Reason.BAD_YAML),
        (b"---\nm:\n  k: a\n  k: b\n---\nText\n", Reason.BAD_YAML),
        (b"---\n? [a]\n: b\n---\nText\n", Reason.BAD_YAML),
        (b"---\na: " + b"[" * 30 + b"]" * 30 + b"\n---\nText\n", Reason.BAD_YAML),
        (b"---\na: [" + b"1, " * 3000 + b"]\n---\nText\n", Reason.BAD_YAML),
        (b"---\na: " + b"x" * 40_000 + b"\n---\nText\n", Reason.BAD_YAML),
        (b"---\nname: a\n---\n", Reason.NO_DESCRIPTION),
        (b"", Reason.NO_DESCRIPTION),
        (b"# Only a heading\n", Reason.NO_DESCRIPTION),
    ],
)
def test_unreadable_files_say_why(data: bytes, reason: Reason) -> None:
    document = load(data)
    assert (document.loadable, document.reason) == (False, reason)
    assert document.data == data
    assert any(item.code == reason for item in document.notes)
    for profile in Profile:
        assert any(item.severity == "error" for item in validate(document, profile))


def test_the_line_of_broken_yaml_is_the_files_line() -> None:
    document = load(b"---\nname: a\ndescription: b\ntags: [a\n---\nText\n")
    assert document.notes[0].line in {4, 5}
    assert load(b"---\nname: a\nx: 1\nname: b\n---\nT\n").notes[0].line == 4


@pytest.mark.parametrize(
    ("data", "code", "fields"),
    [
        (b"\xef\xbb\xbf---\nname: a\n---\nText\n", "byte_order_mark", {"name": "a"}),
        (b"---\r\nname: a\r\n---\r\nText\r\n", "carriage_returns", {"name": "a"}),
        (b"---\rname: a\r---\rText\r", "carriage_returns", {"name": "a"}),
        (b"# Title\n\nText here\n", "no_front_matter", {}),
        (
            b"---\nname: a\ndescription: d\n\n# T\nText\n",
            "unclosed_front_matter",
            {"name": "a", "description": "d"},
        ),
        (b"---\nname: a\n# T\nText\n", "unclosed_front_matter", {"name": "a"}),
        (b"\n\n---\nname: a\n---\nText\n", "late_front_matter", {"name": "a"}),
        (b"---\ndescription: Use when: a thing\n---\n", "mended_yaml", {"description": "Use when: a thing"}),
        (b"---\nargument-hint: [a] [b]\n---\nText\n", "mended_yaml", {"argument-hint": "[a] [b]"}),
        (b"---\ndescription: `x` it's\n---\n", "mended_yaml", {"description": "`x` it's"}),
        (b"---\ndescription: a\n  Use when: b\n---\n", "mended_yaml", {"description": "a Use when: b"}),
        (b"---\nmetadata:\n\ta: b\n---\nText\n", "mended_yaml", {"metadata": {"a": "b"}}),
        (b"---\nmetadata:\n  a: b: c\n---\nText\n", "mended_yaml", {"metadata": {"a": "b: c"}}),
    ],
)
def test_slips_are_forgiven_and_said(data: bytes, code: str, fields: dict[str, object]) -> None:
    document = load(data)
    assert document.loadable
    assert document.fields == fields
    assert code in {note.code for note in document.notes}


def test_mending_does_not_move_the_lines_of_later_fields() -> None:
    document = load(b"---\ndescription: a: b\n  c: d\nname: x\n---\nText\n")
    assert document.lines == {"description": 2, "name": 4}


def test_values_stay_what_they_look_like() -> None:
    text = "a: 1.10\nb: 2026-01-01\nc: yes\nd: true\ne: 12\nf: ~\ng: '12'\nh: 0x1f\ni: 1:30\nj: 099"
    assert read_fields(text).values == {
        **{"a": "1.10", "b": "2026-01-01", "c": "yes", "d": True, "e": 12, "f": None, "g": "12"},
        **{"h": "0x1f", "i": "1:30", "j": "099"},
    }


def test_without_a_description_the_first_paragraph_says_it() -> None:
    document = load(b"---\nname: a\n---\n# T\n\nFirst\nparagraph.\n\nSecond.\n")
    assert (document.loadable, document.description) == (True, "First paragraph.")


def test_an_allow_list_that_is_there_but_empty_or_broken_allows_nothing() -> None:
    assert load(b"---\ndescription: a\n---\n").allowed_tools is None
    for value in (b"", b" []", b" 7", b" {a: b}"):
        allowed = load(b"---\ndescription: a\nallowed-tools:" + value + b"\n---\n").allowed_tools
        assert allowed is not None
        assert len(allowed) == 0


@given(st.binary(max_size=400) | st.text(max_size=300).map(lambda text: text.encode("utf-8", "replace")))
def test_any_bytes_load_and_validate_without_an_exception(data: bytes) -> None:
    for document in (load(data), load(b"---\n" + data), load(b"---\n" + data + b"\n---\n", folder="x")):
        assert document.loadable is (document.reason is None)
        for profile in Profile:
            for item in validate(document, profile, files=[]):
                assert item.field
                assert item.line >= 1


YAMLISH = st.text(st.sampled_from("ab:-# \n\t\"'[]{}&*!|>?%@`,0~\u2028é\r\\"), max_size=60)


@settings(max_examples=200)
@given(YAMLISH)
def test_text_close_to_yaml_is_read_or_refused_with_our_error(text: str) -> None:
    try:
        fields = read_fields(text)
    except BadYaml as error:
        assert error.line >= 1  # noqa: PT017 - either outcome is fine, this is what holds for one of them
    else:
        assert set(fields.lines) == set(fields.values)
    load(f"---\n{text}\n---\nBody\n".encode())


@given(st.integers(0, len(VALID) - 1), st.binary(min_size=0, max_size=3), st.integers(0, 3))
def test_a_damaged_valid_file_never_raises(at: int, inserted: bytes, removed: int) -> None:
    document = load(VALID[:at] + inserted + VALID[at + removed :])
    for profile in Profile:
        validate(document, profile)


def extent(value: Value) -> tuple[int, int]:
    """How many values there are, and how deep they lie."""
    inner = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    parts = [extent(item) for item in inner]
    return 1 + sum(count for count, _ in parts), 1 + max((depth for _, depth in parts), default=0)


@pytest.mark.parametrize(
    "unit",
    [
        b"[",
        b"{",
        b"? ",
        b"- ",
        b"a: ",
        b"a:\n",
        b"&a ",
        b'"',
        b"'",
        b"|\n",
        b"[a, ",
        b"\n",
        b"\t",
        b"a: b: c\n",
        b"k: 'a\n",
    ],
)
def test_what_hostile_input_builds_is_bounded(unit: bytes) -> None:
    for size in (30_000, MAX_BYTES - 100):
        document = load(b"---\na: " + (unit * (size // len(unit)))[:size] + b"\n---\nBody\n")
        count, depth = extent(dict(document.fields))
        assert count <= MAX_NODES
        assert depth <= MAX_DEPTH
