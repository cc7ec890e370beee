"""The table of fields per profile: every row, with its field and line."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from omniforge.skills.document import Diagnostic, Profile, load, validate
from omniforge.skills.document.profiles import FORBIDDEN_FIELDS, RESERVED_NAMES

OURS, PORTABLE, CLAUDE = Profile.OMNIFORGE, Profile.PORTABLE, Profile.CLAUDE_CODE
BASE = {"name": "weekly-report", "description": "Reports the week"}


def problems(
    profile: Profile, fields: Mapping[str, str | None], body: str = "Do it.\n", **options: object
) -> list[Diagnostic]:
    merged = {**BASE, **fields}
    text = "\n".join(f"{name}: {value}" for name, value in merged.items() if value is not None)
    return validate(load(f"---\n{text}\n---\n\n{body}".encode()), profile, **options)  # pyright: ignore[reportArgumentType]


def levels(found: list[Diagnostic], field: str) -> list[str]:
    return [item.severity.value for item in found if item.field == field]


@pytest.mark.parametrize("profile", Profile)
def test_a_plain_skill_is_valid_everywhere(profile: Profile) -> None:
    assert problems(profile, {}, folder="weekly-report", files=["SKILL.md"]) == []


@pytest.mark.parametrize(
    ("profile", "field", "value", "expected"),
    [
        (OURS, "name", "a" * 64, []),
        (OURS, "name", "a" * 65, ["error"]),
        (OURS, "name", "a-1-b", []),
        *[(OURS, "name", bad, ["error"]) for bad in ("1a", "-a", "Aa", "a_b", "'a b'", "é", "12", "true")],
        *[(OURS, "name", word, ["error"]) for word in sorted(RESERVED_NAMES)],
        (PORTABLE, "name", "1-a", []),
        *[(PORTABLE, "name", bad, ["error"]) for bad in ("a--b", "-a", "a-", "Aa", "a_b", "12", "a" * 65)],
        (PORTABLE, "name", "café", ["warning"]),
        (CLAUDE, "name", "Any Name", ["warning"]),
        (CLAUDE, "name", "12", ["error"]),
        (OURS, "description", "x" * 80, []),
        (OURS, "description", "x" * 81, ["error"]),
        (OURS, "description", '"a\\nb"', ["error"]),
        (OURS, "description", "12", ["error"]),
        (OURS, "description", '"a\\u0007"', ["error"]),
        (PORTABLE, "description", "x" * 1024, []),
        (PORTABLE, "description", "x" * 1025, ["error"]),
        (PORTABLE, "description", "a <b>", ["warning"]),
        (CLAUDE, "description", "x" * 1025, ["warning"]),
        (OURS, "allowed-tools", "[Read]", []),
        (OURS, "allowed-tools", "[]", []),
        (OURS, "allowed-tools", "Read", ["error"]),
        (OURS, "allowed-tools", "[Frob]", ["warning"]),
        (OURS, "allowed-tools", "['Bash(git']", ["error"]),
        (PORTABLE, "allowed-tools", "Read Bash(git add, x)", []),
        (PORTABLE, "allowed-tools", "Read, Write", ["error"]),
        (PORTABLE, "allowed-tools", "[Read]", ["error"]),
        (CLAUDE, "allowed-tools", "[Read]", []),
        (CLAUDE, "allowed-tools", "Read, Write", []),
        (CLAUDE, "allowed-tools", "Read Write", []),
        (CLAUDE, "allowed-tools", "7", ["error"]),
        (OURS, "model", "sonnet", []),
        (OURS, "model", "vendor/model-1.5:free", []),
        (OURS, "model", "inherit", ["error"]),
        (OURS, "model", "'a b'", ["error"]),
        (CLAUDE, "model", "inherit", []),
        (OURS, "context", "inherit", []),
        (OURS, "context", "fork", []),
        (OURS, "context", "other", ["error"]),
        (CLAUDE, "context", "fork", []),
        (CLAUDE, "context", "inherit", ["error"]),
        (OURS, "user-invocable", "true", []),
        (OURS, "user-invocable", "'true'", ["error"]),
        (CLAUDE, "user-invocable", "1", ["error"]),
        (OURS, "priority", "5", []),
        (OURS, "priority", "-5", []),
        (OURS, "priority", "true", ["error"]),
        (OURS, "priority", "1.5", ["error"]),
        (OURS, "tags", "[a, b]", []),
        (OURS, "tags", "a", ["error"]),
        (OURS, "tags", "[1]", ["error"]),
        *[
            (PORTABLE, field, value, ["error"])
            for field, value in (("model", "x"), ("context", "fork"), ("user-invocable", "true"))
        ],
        (PORTABLE, "priority", "1", ["error"]),
        (PORTABLE, "tags", "[a]", ["error"]),
        (CLAUDE, "priority", "1", ["note"]),
        (CLAUDE, "tags", "[a]", ["note"]),
        (OURS, "license", "MIT", ["error"]),
        (PORTABLE, "license", "MIT", []),
        (PORTABLE, "compatibility", "x" * 500, []),
        (PORTABLE, "compatibility", "x" * 501, ["error"]),
        (PORTABLE, "metadata", "{a: b}", []),
        (PORTABLE, "metadata", "{a: 1}", ["error"]),
        (PORTABLE, "metadata", "x", ["error"]),
        (CLAUDE, "metadata", "{a: b}", []),
        (CLAUDE, "license", "MIT", []),
        *[
            row
            for field in (
                "when_to_use",
                "argument-hint",
                "arguments",
                "agent",
                "effort",
                "hooks",
                "paths",
                "shell",
            )
            for row in (
                (OURS, field, "x", ["error"]),
                (PORTABLE, field, "x", ["error"]),
                (CLAUDE, field, "x", []),
            )
        ],
        (CLAUDE, "disallowed-tools", "Read", []),
        (CLAUDE, "disable-model-invocation", "true", []),
        *[
            row
            for field in sorted(FORBIDDEN_FIELDS)
            for row in (
                (OURS, field, "x", ["error"]),
                (PORTABLE, field, "x", ["error"]),
                (CLAUDE, field, "x", ["note"]),
            )
        ],
        (OURS, "anything", "x", ["error"]),
        (PORTABLE, "anything", "x", ["error"]),
        (CLAUDE, "anything", "x", ["note"]),
    ],
)
def test_the_table(profile: Profile, field: str, value: str, expected: list[str]) -> None:
    assert levels(problems(profile, {field: value}), field) == expected


@pytest.mark.parametrize("field", ["name", "description"])
@pytest.mark.parametrize("value", [None, "", "'  '"])
def test_missing_fields_are_said_once(field: str, value: str | None) -> None:
    for profile in (OURS, PORTABLE):
        found = [item for item in problems(profile, {field: value}) if item.field == field]
        assert [item.message for item in found] == [f"Missing required field: {field}"]
    assert problems(CLAUDE, {field: None}) == []


def test_all_problems_come_with_field_and_line() -> None:
    fields = {"name": "Bad", "schedule": "daily", "author": "me", "extra": "1", "priority": "high"}
    found = problems(OURS, fields)
    assert [(item.field, item.line) for item in found] == [
        ("name", 2),
        ("schedule", 4),
        ("author", 5),
        ("extra", 6),
        ("priority", 7),
    ]
    messages = [item.message for item in found]
    assert "Forbidden field in SKILL.md: schedule" in messages
    assert "Forbidden field in SKILL.md: author" in messages
    assert "Unknown field: extra" in messages


@pytest.mark.parametrize(("profile", "level"), [(OURS, "error"), (PORTABLE, "warning"), (CLAUDE, "warning")])
def test_the_body_has_at_most_500_lines(profile: Profile, level: str) -> None:
    assert problems(profile, {}, "line\n" * 500) == []
    assert problems(profile, {}, "line\n" * 499 + "line") == []
    found = problems(profile, {}, "line\n" * 501)
    assert [(item.code, item.severity) for item in found] == [("long_body", level)]


@pytest.mark.parametrize("profile", Profile)
def test_an_empty_body_is_a_warning(profile: Profile) -> None:
    assert [(item.code, item.severity) for item in problems(profile, {}, "")] == [("empty_body", "warning")]


@pytest.mark.parametrize(
    ("link", "code"),
    [
        ("docs/a.md", None),
        ("./docs/a.md#part", None),
        ("docs/", None),
        ("https://example.com/a/b/c", None),
        ("#part", None),
        ("mailto:a@b.c", None),
        ("docs/missing.md", "reference_missing"),
        ("../other/SKILL.md", "reference_outside"),
        ("docs/%2e%2e/%2e%2e/x", "reference_outside"),
        ("/etc/passwd", "reference_outside"),
        ("C:\\x", "reference_outside"),
        ("a/b/c.md", "reference_deep"),
    ],
)
def test_references_stay_inside_and_exist(link: str, code: str | None) -> None:
    found = problems(OURS, {}, f"See [it]({link}).\n", files=["SKILL.md", "docs/a.md"])
    assert [item.code for item in found] == ([code] if code else [])
    assert [item.line for item in found] == ([6] if code else [])
    assert not any(
        item.severity == "error" for item in problems(PORTABLE, {}, f"[it]({link})\n", files=["docs/a.md"])
    )


def test_links_inside_code_are_no_references() -> None:
    assert problems(OURS, {}, "`[a](../b)`\n\n```\n[a](../b)\n```\n", files=["SKILL.md"]) == []


@pytest.mark.parametrize(("profile", "level"), [(OURS, "warning"), (PORTABLE, "error"), (CLAUDE, "warning")])
def test_the_name_should_be_the_folders(profile: Profile, level: str) -> None:
    found = problems(profile, {}, folder="other")
    assert [(item.code, item.severity) for item in found] == [("name_differs", level)]


@pytest.mark.parametrize(
    "data",
    [b"\xef\xbb\xbf---\nname: a\ndescription: b\n---\n\nX\n", b"---\nname: a\ndescription: b: c\n---\n\nX\n"],
)
def test_what_reading_forgives_strict_profiles_do_not(data: bytes) -> None:
    assert [item.severity for item in validate(load(data), OURS)] == ["error"]
    assert [item.severity for item in validate(load(data), PORTABLE)] == ["error"]
    assert [item.severity for item in validate(load(data), CLAUDE)] == ["warning"]
