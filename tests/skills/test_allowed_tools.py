"""The parser of allowed-tools: every spelling, and what a pattern lets through."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniforge.skills.allowed_tools import AllowedTools, ToolRule, parse


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (["Read", "Bash(git add:*)"], ["Read", "Bash(git add:*)"]),
        ("Read, Bash(git add:*)", ["Read", "Bash(git add:*)"]),
        ("Read Bash(git add:*)", ["Read", "Bash(git add:*)"]),
        ("Bash(git log, git diff) Read", ["Bash(git log, git diff)", "Read"]),
        (["Bash(git log", "git diff)", "Read"], ["Bash(git log, git diff)", "Read"]),
        ("Bash (git status), Read", ["Bash(git status)", "Read"]),
        ("Bash(echo (a b)) Read", ["Bash(echo (a b))", "Read"]),
        ("read, WRITE, webfetch", ["Read", "Write", "WebFetch"]),
        ("Task, shell, read_file", ["Agent", "Bash", "Read"]),
        ("Notion.Query_Database notion.*", ["notion.query_database", "notion.*"]),
        ("mcp__GitHub__create_issue", ["mcp__github__create_issue"]),
        ("Read, Read Read", ["Read"]),
        ("  ,, \n\t", []),
        ([], []),
        ("", []),
        (None, []),
    ],
)
def test_every_spelling_reads_alike(value: object, expected: list[str]) -> None:
    read = parse(value)
    assert ([str(rule) for rule in read], read.problems) == (expected, ())


@pytest.mark.parametrize("value", ["Bash(git", "(x)", 7, {"a": 1}, [1], ["Read", {"Bash": "x"}], "Re%ad"])
def test_what_cannot_be_read_is_a_problem_and_allows_nothing_itself(value: object) -> None:
    read = parse(value)
    assert read.problems
    assert not read.matches("Bash", "git")


def test_unknown_tools_are_named() -> None:
    assert parse("Read, Frobnicate, notion.query, mcp__a__b").unknown == ("Frobnicate",)


def test_an_empty_list_allows_nothing() -> None:
    assert not AllowedTools().matches("Read", "a.md")


@pytest.mark.parametrize(
    ("rule", "tool", "subject", "allowed"),
    [
        ("Bash", "bash", "rm -rf / ; ls", True),
        ("Bash(git add:*)", "Bash", "git add", True),
        ("Bash(git add:*)", "Bash", "git add .", True),
        ("Bash(git add:*)", "Bash", "git address", False),
        ("Bash(git *)", "Bash", "git push origin", True),
        ("Bash(git *)", "Bash", "gitx", False),
        ("Bash(npm test)", "Bash", "npm test", True),
        ("Bash(npm test)", "Bash", "npm test --all", False),
        *[
            ("Bash(*)", "Bash", f"ls {mark} x", False)
            for mark in (";", "&", "|", "<", ">", "`", "$(", "\n", "\r")
        ],
        *[("Bash", "Bash", f"ls {mark} x", True) for mark in (";", "&&", "\n")],
        ("Read(docs/*)", "Read", "docs/a/b.md", True),
        ("Read(docs/*)", "Read", "docs/../secret", False),
        ("Read(docs/*)", "Write", "docs/a.md", False),
        ("WebFetch(domain:example.com)", "WebFetch", "https://example.com/x", True),
        ("WebFetch(domain:example.com)", "WebFetch", "https://EXAMPLE.com", True),
        ("WebFetch(domain:example.com)", "WebFetch", "https://example.com.evil.org/", False),
        ("WebFetch(domain:example.com)", "WebFetch", "https://example.com@evil.org/", False),
        ("Http(https://*.example.com/*)", "Http", "https://api.example.com/v1?a=b", True),
        ("Http(https://*.example.com/*)", "Http", "https://evil.org/.example.com/", False),
        ("Http(https://*.example.com/*)", "Http", "http://api.example.com/", False),
        ("Http(https://example.com/v1/*)", "Http", "https://example.com/v1/../admin", False),
        ("Http(*)", "Http", "http://[broken", False),
        ("notion.*", "notion.query_database", "", True),
        ("notion.*", "notionx.query", "", False),
        ("notion.*", "notion.", "", False),
        ("slack.post_message(#team-*)", "slack.post_message", "#team-updates", True),
        ("slack.post_message(#team-*)", "slack.post_message", "#general", False),
    ],
)
def test_patterns(rule: str, tool: str, subject: str, allowed: bool) -> None:
    assert parse([rule]).matches(tool, subject) is allowed


@given(st.text(max_size=300) | st.lists(st.text(max_size=40)) | st.integers() | st.none())
def test_parsing_never_raises_and_reading_it_again_gives_the_same(value: object) -> None:
    read = parse(value)
    again = parse([str(rule) for rule in read])
    assert again.rules == read.rules


@given(st.text("ab*", max_size=12), st.text("ab", max_size=12))
def test_a_star_is_any_run_of_characters(pattern: str, subject: str) -> None:
    def fits(p: str, s: str) -> bool:
        if not p:
            return not s
        if p[0] == "*":
            return any(fits(p[1:], s[i:]) for i in range(len(s) + 1))
        return bool(s) and s[0] == p[0] and fits(p[1:], s[1:])

    assert ToolRule("State", pattern).matches("State", subject) is fits(pattern, subject)
