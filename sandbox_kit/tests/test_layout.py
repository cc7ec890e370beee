"""Entries as Markdown: formats, groups, and texts from elsewhere that have no Markdown of their own."""

# ruff: noqa: E501 - data is best read on one line

from __future__ import annotations

import re
from datetime import datetime, timezone
from typing import Any

from sandbox_kit.entries import entry_of
from sandbox_kit.layout import detail_lines, escaped, linked, report_text, shown
from sandbox_kit.windows import Span

WEEK = Span(datetime(2026, 11, 9, tzinfo=timezone.utc), datetime(2026, 11, 16, tzinfo=timezone.utc))  # noqa: UP017
ENTRIES = [
    entry_of(row)
    for row in (
        {"id": "1", "title": "Website *new*", "url": "https://n.example/1", "fields": {"Status": "On Track", "Client": "Acme", "Owner": ["Ana", "Bo"], "Update": "Line\n# two"}},
        {"id": "2", "title": "App", "url": "javascript:alert(1)", "fields": {"Status": "At Risk", "Client": "Globex", "Blockers": "API | keys"}},
        {"id": "3", "title": "", "url": "https://n.example/3 (x)", "fields": {"Status": "At Risk", "Due": "2026-11-20", "Done": False}},
    )
]  # fmt: skip


def text_of(**layout: Any) -> str:
    return report_text("Weekly", ENTRIES, layout, WEEK, places=["Projects"])


def test_bullets_in_groups_by_name_and_the_rest_last() -> None:
    text = text_of(fields=["Status", "Owner", "Update"], group="Client")
    assert text.splitlines()[:4] == [
        "# Weekly",
        "",
        "Changed 9 November 2026 to 15 November 2026 · 3 entries from Projects",
        "",
    ]
    assert re.findall("^## .*", text, re.M) == ["## Acme", "## Globex", "## No Client"]
    assert (
        "- **[Website \\*new\\*](https://n.example/1)** — Status: On Track · Owner: Ana, Bo · Update: Line \\# two"
        in text
    )
    assert "- **App** — Status: At Risk" in text
    assert "javascript" not in text


def test_groups_follow_the_entries_when_these_were_put_in_order() -> None:
    text = text_of(fields=[], group="Status", ordered=True)
    assert re.findall("^## .*", text, re.M) == ["## On Track", "## At Risk"]


def test_a_table_has_as_many_cells_in_every_row() -> None:
    lines = [
        line for line in text_of(fields=["Blockers", "Done"], format="table").splitlines() if "|" in line
    ]
    assert lines[0] == "| Entry | Blockers | Done |"
    assert all(len(re.findall(r"(?<!\\)\|", line)) == 4 for line in lines)
    assert "API \\| keys" in lines[3]
    assert lines[4].endswith("| \u2013 | no |")


def test_sentences() -> None:
    text = text_of(fields=["Due"], format="plain")
    assert "[Untitled](https://n.example/3%20(x)). Due: 20 Nov 2026." not in text
    assert "Due: 20 Nov 2026." in text
    assert "App." in text


def test_nothing_and_not_everything_are_said() -> None:
    assert "Nothing changed in this time." in report_text("Weekly", [], {}, WEEK)
    assert "There is nothing." in report_text("Weekly", [], {}, Span())
    cut = report_text("Weekly", ENTRIES, {}, Span(note="Days are odd."), cut=["Projects"])
    assert "*Not everything could be read from Projects: this report is incomplete.*" in cut
    assert "*Days are odd.*" in cut


def test_a_report_is_never_longer_than_an_answer_may_be() -> None:
    many = [entry_of({"id": str(n), "title": "x" * 190, "fields": {"a": "y" * 500}}) for n in range(2_000)]
    text = report_text("Long", many, {"fields": ["a"], "group": "b"}, Span())
    assert len(text) < 410_000
    assert re.search(r"\*\d+ more entries are not shown here\.\*", text)


def test_texts_from_elsewhere_have_no_markdown_of_their_own() -> None:
    assert escaped("# a\n**b** [c](d) <e> `f`") == "\\# a \\*\\*b\\*\\* \\[c\\](d) \\<e\\> \\`f\\`"
    assert escaped("1. one") == "\\1. one"
    assert escaped("- one") == "\\- one"
    assert linked({"title": "A", "url": "https://x.example/a b)"}) == "[A](https://x.example/a%20b%29)"
    assert shown([True, "2026-11-20T10:00:00Z", 3]) == "yes, 20 Nov 2026, 3"
    assert shown("https://x.example/profile") == "https://x.example/profile"
    assert detail_lines({"updated_at": "2026-11-20", "Latest Update": "fine", "empty": []}) == [
        "- **Updated at:** 20 Nov 2026",
        "- **Latest Update:** fine",
    ]
