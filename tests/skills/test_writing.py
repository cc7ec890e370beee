"""Writing a SKILL.md: no text breaks out of its field, and every export is what its reader takes."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from omniforge.core.errors import Invalid
from omniforge.skills.document import ExportForm, Profile, Value, export, is_valid, load, render, validate

HOSTILE = [
    'it\'s "quoted": yes',
    "a: b",
    "--- \nname: evil",
    "x\n---\nschedule: daily",
    "# not a comment",
    "- item",
    "*alias &anchor !tag",
    "{a: b}",
    "[x]",
    "null",
    "Yes",
    "12",
    "1:30",
    "2026-01-01",
    " leading and trailing ",
    "Отчёт 週報 تقرير 🎉",
    "\u2028line\u2029sep\x85nel\ufeffbom",
    "\x07bell\x1besc\x7f",
    "back\\slash \\n",
    "%directive",
    "`x`",
    "@x",
    "=",
    "<<",
    "~",
    "",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_inside_its_field(text: str) -> None:
    fields: dict[str, Value] = {
        "name": "weekly",
        "description": text,
        "tags": [text, "b"],
        "metadata": {text or "k": text},
    }
    data = render(fields, "Body\n")
    document = load(data)
    assert dict(document.fields) == fields
    assert document.notes == ()
    assert document.body == "Body\n"
    front = data.decode().split("---")
    assert len(front) == 3, "readers that cut at three dashes get the same front matter"
    assert yaml.safe_load(front[1]) == fields


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
SCALAR = st.none() | st.booleans() | st.integers(-(10**17), 10**17) | TEXT | st.sampled_from(HOSTILE)
VALUES = st.dictionaries(
    TEXT,
    SCALAR
    | st.lists(SCALAR, max_size=3)
    | st.dictionaries(TEXT, SCALAR | st.lists(TEXT, max_size=2), max_size=3),
    max_size=5,
)


@given(VALUES, TEXT.filter(lambda text: "\0" not in text))
def test_what_is_rendered_reads_back_the_same(fields: dict[str, Value], body: str) -> None:
    document = load(render(fields, body))
    assert document.body == body
    assert document.fields == {name: value for name, value in fields.items() if value is not None}


def test_a_written_file_is_in_block_style() -> None:
    fields: dict[str, Value] = {
        **{"tags": ["a", "b c"], "priority": 5, "description": "Reports: the week", "name": "weekly"},
        **{"allowed-tools": [], "user-invocable": False, "model": None},
    }
    assert render(fields, "# W\n").decode() == (
        '---\nname: weekly\ndescription: "Reports: the week"\nallowed-tools: []\nuser-invocable: false\n'
        "priority: 5\ntags:\n  - a\n  - b c\n---\n\n# W\n"
    )


@pytest.mark.parametrize(("description", "body"), [("\ud800", "x"), ("x", "\ud800"), ("x", "a\0b")])
def test_what_no_text_file_can_hold_is_refused(description: str, body: str) -> None:
    with pytest.raises(Invalid):
        render({"description": description}, body)


FOREIGN = b"\r\n".join(
    [
        b"\xef\xbb\xbf---",
        b"name: Weekly Report",
        b"description: Reports <the> week: all of it. And a lot more text, too long for a summary, really.",
        b"allowed-tools: Read, Bash(git log:*)",
        b"author: me",
        b"schedule: daily",
        b"hooks: {Stop: [x]}",
        b"priority: 3",
        b"tags: [a, b]",
        b"model: opus",
        b"context: fork",
        b"user-invocable: false",
        b"---",
        b"# Weekly\r\n\r\n## When to use\r\n\r\nUse this when the week is over.\r\n",
    ]
)


def test_original_keeps_every_byte() -> None:
    files = {"SKILL.md": FOREIGN, "docs/a.bin": b"\xff\x00"}
    exported = export(load(FOREIGN, folder="weekly"), "original", files)
    assert exported.files == files
    assert export(load(b"\xff\x00"), ExportForm.ORIGINAL).content == b"\xff\x00"


def test_what_cannot_be_read_is_only_exported_as_it_is() -> None:
    with pytest.raises(Invalid):
        export(load(b"\xff\x00"), ExportForm.PORTABLE)


@pytest.mark.parametrize("form", [ExportForm.OMNIFORGE, ExportForm.PORTABLE, ExportForm.CLAUDE_CODE])
@pytest.mark.parametrize("folder", [None, "weekly", "Bad--Name-", "éà", "agent", "7up", "-"])
def test_exports_are_valid_in_their_profile(form: ExportForm, folder: str | None) -> None:
    exported = export(load(FOREIGN, folder=folder), form, {"SKILL.md": FOREIGN, "docs/a.md": b"x"})
    document = load(exported.content, folder=exported.name)
    found = validate(document, Profile(form.value), files=exported.files.keys())
    assert is_valid(found)
    assert exported.files["docs/a.md"] == b"x"
    assert document.name == document.fields["name"] == exported.name


def test_portable_puts_the_occasion_into_the_description_and_our_fields_under_metadata() -> None:
    fields = load(export(load(FOREIGN, folder="weekly"), "portable").content).fields
    assert str(fields["description"]).endswith("really. Use when the week is over.")
    assert "<" not in str(fields["description"])
    assert fields["allowed-tools"] == "Read Bash(git log:*)"
    assert fields["metadata"] == {
        "author": "me",
        "omniforge-priority": "3",
        "omniforge-tags": "a, b",
        "omniforge-model": "opus",
        "omniforge-context": "fork",
        "omniforge-user-invocable": "false",
    }


def test_omniforge_shortens_between_words_and_keeps_the_whole_text_in_the_body() -> None:
    exported = export(load(FOREIGN, folder="weekly"), "omniforge")
    document = load(exported.content)
    assert document.fields["description"] == "Reports <the> week: all of it."
    assert "too long for a summary, really." in document.body
    assert not {"author", "schedule", "hooks"} & set(document.fields)
    assert {"author", "schedule", "hooks", "description"} <= {note.field for note in exported.notes}


def test_claude_code_gets_a_deny_list_and_is_told_why() -> None:
    exported = export(load(FOREIGN, folder="weekly"), "claude-code")
    fields = load(exported.content).fields
    assert fields["allowed-tools"] == ["Read", "Bash(git log:*)"]
    denied = fields["disallowed-tools"]
    assert isinstance(denied, list)
    assert "Write" in denied
    assert "Bash" not in denied
    assert any("pre-approves" in note.message for note in exported.notes)


def test_an_empty_allow_list_stays_empty_in_every_form() -> None:
    document = load(b"---\nname: a\ndescription: b\nallowed-tools: []\n---\n\nX\n")
    for form in ("omniforge", "portable", "claude-code"):
        allowed = load(export(document, form).content).allowed_tools
        assert allowed is not None
        assert len(allowed) == 0


@given(
    TEXT,
    TEXT.filter(lambda text: "\0" not in text),
    st.sampled_from(["omniforge", "portable", "claude-code"]),
)
def test_exports_of_anything_loadable_are_valid(description: str, body: str, form: str) -> None:
    document = load(render({"name": "x", "description": description, "tags": ["t"]}, body), folder="x")
    if document.loadable:
        exported = export(document, form)
        found = validate(load(exported.content, folder=exported.name), form)
        problems = [item for item in found if item.severity == "error" and item.field != "body"]
        assert problems == []
