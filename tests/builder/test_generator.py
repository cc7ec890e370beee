"""What is generated: valid, stable, minimal, unbreakable by hostile names, and really running."""

# ruff: noqa: E501 - what people say stands on one line

from __future__ import annotations

import ast
import json
import os
import re
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from omniforge.builder.generator import build_draft
from omniforge.builder.understanding.mentions import Format
from omniforge.builder.understanding.schedule import Schedule
from omniforge.builder.understanding.shaping import Only, OrderRule
from omniforge.builder.understanding.slots import Slots, Source
from omniforge.builder.vocabulary import forbidden_words
from omniforge.core.errors import Invalid

KIT = Path(__file__).resolve().parents[2] / "sandbox_kit" / "src"
SLOTS = Slots(
    goal="weekly report", service="notion",
    sources=(Source(id="d1", name="Client Projects"), Source(id="d2", name="Internal Initiatives")),
    fields=("Latest Update", "Status", "Blockers", "Owner"), window="last_week", group="Client",
    order=(OrderRule(field="Status", first=("At Risk",)),), format=Format.BULLETS, destination="inbox",
    schedule=Schedule(cron="30 8 * * MON"),
)  # fmt: skip
ROWS: dict[str, list[dict[str, Any]]] = {
    "d1": [
        {"id": "1", "title": "Website *new*", "url": "https://n.so/1", "edited_at": "2026-11-12T10:00:00Z",
         "fields": {"Status": "On Track", "Client": "Acme", "Owner": ["Ana", "Bo"], "Latest Update": "Line\n# two"}},
        {"id": "2", "title": "App", "url": "javascript:alert(1)", "edited_at": "2026-11-13T10:00:00Z",
         "fields": {"Status": "At Risk", "Client": "Globex", "Blockers": "API | keys"}},
        {"id": "3", "title": "Shop", "url": None, "edited_at": "2026-11-13T10:00:00Z",
         "fields": {"Status": "At Risk", "Client": "Acme", "Due": "2026-11-20"}},
    ],
    "d2": [{"id": "4", "title": "", "url": "https://n.so/4", "edited_at": "2026-11-13T10:00:00Z", "fields": {}}],
}  # fmt: skip


def files_of(slots: Slots) -> dict[str, bytes]:
    draft = build_draft(slots, timezone="Europe/Berlin")
    return draft.skill_files[draft.skills[0]["name"]]


def run_script(tmp_path: Path, slots: Slots, *, now: str = "2026-11-16T07:30:00Z", timezone: str = "Europe/Berlin",
               rows: dict[str, list[dict[str, Any]]] | None = None, truncated: bool = False) -> tuple[dict[str, Any], list[dict[str, Any]]]:  # fmt: skip
    """The generated script in a process of its own, with a bridge as the host has one."""
    draft = build_draft(slots, timezone=timezone)
    script = tmp_path / "main.py"
    script.write_bytes(files_of(slots)["scripts/main.py"])
    ours, theirs = socket.socketpair()
    calls: list[dict[str, Any]] = []

    def serve() -> None:
        with ours.makefile("rwb") as stream:
            for line in stream:
                request = json.loads(line)
                calls.append(request)
                found = (rows if rows is not None else ROWS).get(request["args"]["database_id"], [])
                answer = {"id": request["id"], "ok": True, "result": {"rows": found, "truncated": truncated}}
                stream.write(json.dumps(answer).encode() + b"\n")
                stream.flush()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    request: dict[str, Any] = {
        "protocol": 1, "run_id": "r", "step": "s", "skill": {"name": "x", "version": "1"}, "input": {},
        "config": draft.skills[0]["config"], "tools": [],
        "context": {"now": now, "date": now[:10], "timezone": timezone, "locale": "en", "user": {"id": "u", "name": "U"}},
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, str(script)], input=json.dumps(request).encode(), capture_output=True, cwd=tmp_path, timeout=30,
        pass_fds=(theirs.fileno(),), check=False,
        env={"OMNIFORGE_BRIDGE_FD": str(theirs.fileno()), "PYTHONPATH": str(KIT), "PATH": os.environ["PATH"]},
    )  # fmt: skip
    theirs.close()
    thread.join(5)
    ours.close()
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout.strip().splitlines()[-1]), calls


def test_the_draft_of_the_journey() -> None:
    draft = build_draft(SLOTS, timezone="Europe/Berlin")
    assert (draft.name, draft.trigger_type, draft.schedule, draft.timezone) == (
        "Weekly Project Report",
        "scheduled",
        "30 8 * * MON",
        "Europe/Berlin",
    )
    assert draft.integrations == ("notion",)
    assert [(s["name"], s["source"], s["order"]) for s in draft.skills] == [
        ("notion-weekly-report", "custom", 1)
    ]
    assert draft.skills[0]["config"] == {
        "databases": [{"id": "d1", "name": "Client Projects"}, {"id": "d2", "name": "Internal Initiatives"}],
        "window": "last_week",
    }


def test_names_follow_from_how_often_and_what() -> None:
    daily = SLOTS.having("said", goal="daily summary", subject="Sales")
    assert build_draft(daily, timezone="UTC").name == "Daily Sales Summary"
    assert list(build_draft(daily, timezone="UTC").skill_files) == ["notion-daily-report"]
    asked = SLOTS.having("said", goal="report", window="all", schedule=Schedule(event="on_demand"))
    assert build_draft(asked, timezone="UTC").name == "Project Report"
    assert build_draft(asked, timezone="UTC").schedule is None


def test_a_missing_slot_is_named() -> None:
    with pytest.raises(Invalid) as caught:
        build_draft(Slots(service="notion"), timezone="UTC")
    assert {f["field"] for f in caught.value.details["fields"]} == {"sources", "fields", "format"}


def test_edits_change_only_what_they_touch() -> None:
    first = files_of(SLOTS)
    assert first == files_of(SLOTS)
    later = files_of(SLOTS.having("said", window="last_30_days", schedule=Schedule(cron="0 9 * * TUE")))
    assert later == first
    ordered = files_of(SLOTS.having("said", order=(OrderRule(field="Due Date"),)))
    before = first["scripts/main.py"].decode().splitlines()
    after = ordered["scripts/main.py"].decode().splitlines()
    assert [line for line in after if line not in before] == ["ORDER = [{'field': 'Due Date'}]"]


hostile = st.one_of(
    st.text(min_size=1, max_size=60),
    st.sampled_from(
        [
            "'''\"\"\"",
            "a: b\n- c",
            "@@NAME@@",
            "\\",
            "---\nname: x",
            "\ud800",
            "!`id`",
            "$ARGUMENTS",
            "x" * 100_000,
            "\u202e",
            "日本語",
        ]
    ),
)


@settings(max_examples=80, deadline=None)
@given(hostile, hostile, hostile, st.sampled_from(list(Format)))
def test_hostile_names_never_break_a_file(field: str, value: str, title: str, kind: Format) -> None:
    slots = SLOTS.having(
        "said", fields=(field, "Status"), group=field, format=kind, name=title,
        order=(OrderRule(field=field, first=(value,)),), only=(Only(field=field, values=(value,), keep=False),),
        sources=(Source(id=value, name=title),),
    )  # fmt: skip
    files = files_of(slots)
    tree = ast.parse(files["scripts/main.py"])
    constants = {n.targets[0].id: ast.literal_eval(n.value) for n in tree.body if isinstance(n, ast.Assign) and isinstance(n.targets[0], ast.Name) and n.targets[0].id in ("FIELDS", "GROUP", "TITLE")}  # fmt: skip
    assert constants == {"FIELDS": [field, "Status"], "GROUP": field, "TITLE": title}
    text = files["SKILL.md"].decode()
    assert len(text) <= 5_000
    _, front, body = text.split("---\n", 2)
    meta = yaml.safe_load(front)
    assert set(meta) == {"name", "description", "allowed-tools"}
    assert re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", meta["name"])
    assert 1 <= len(meta["description"]) <= 80
    assert meta["allowed-tools"] == ["notion.query_database"]
    assert all(
        heading in body
        for heading in ("# ", "## Prerequisites", "## When to use", "1. ", "## Error handling")
    )
    assert "$ARGUMENTS" not in body
    assert "!`" not in body


def test_the_script_reports_last_week_in_the_wanted_order(tmp_path: Path) -> None:
    result, calls = run_script(tmp_path, SLOTS)
    assert [c["tool"] for c in calls] == ["notion.query_database"] * 2
    assert calls[0]["args"] == {
        "database_id": "d1", "edited_after": "2026-11-09T00:00:00+01:00", "edited_before": "2026-11-16T00:00:00+01:00",
    }  # fmt: skip
    report = result["output"]["report"]
    assert (tmp_path / "report.md").read_text("utf-8") == report
    assert result["artifacts"] == [{"path": "report.md", "title": "Weekly Project Report"}]
    assert (result["status"], result["output"]["items"], result["output"]["databases"]) == (
        "ok",
        4,
        ["Client Projects", "Internal Initiatives"],
    )
    assert [line for line in report.splitlines() if line.startswith("#")] == [
        "# Weekly Project Report",
        "## Globex",
        "## Acme",
        "## No Client",
    ]
    acme = report.split("## Acme")[1]
    assert acme.index("Shop") < acme.index("Website")
    assert "9 November 2026 to 15 November 2026" in report
    assert "[Website \\*new\\*](https://n.so/1)" in report
    assert "Line \\# two" in report
    assert "javascript" not in report
    assert "Owner: Ana, Bo" in report


def test_formats_filters_and_orders(tmp_path: Path) -> None:
    table, _ = run_script(tmp_path, SLOTS.having("said", format=Format.TABLE, group=None, order=()))
    lines = [line for line in table["output"]["report"].splitlines() if line.startswith("|")]
    assert lines[0] == "| Entry | Latest Update | Status | Blockers | Owner |"
    assert len(lines) == 6
    assert all(len(re.findall(r"(?<!\\)\|", line)) == 6 for line in lines)
    plain, _ = run_script(
        tmp_path, SLOTS.having("said", format=Format.PLAIN, only=(Only(field="Status", values=("at risk",)),))
    )
    assert plain["output"]["items"] == 2
    newest, _ = run_script(
        tmp_path,
        SLOTS.having(
            "said",
            group=None,
            order=(OrderRule(field="Blockers", filled=True), OrderRule(field="Due", descending=True)),
        ),
    )
    bullets = [line for line in newest["output"]["report"].splitlines() if line.startswith("- ")]
    assert ["App" in bullets[0], "Shop" in bullets[1]] == [True, True]


@pytest.mark.parametrize(
    ("window", "after", "before"),
    [
        ("yesterday", "2026-10-25T00:00:00+02:00", "2026-10-26T00:00:00+01:00"),
        ("last_7_days", "2026-10-19T00:00:00+02:00", "2026-10-26T08:30:00+01:00"),
        ("since_friday", "2026-10-23T00:00:00+02:00", "2026-10-26T08:30:00+01:00"),
        ("last_month", "2026-09-01T00:00:00+02:00", "2026-10-01T00:00:00+02:00"),
        ("this_week", "2026-10-26T00:00:00+01:00", "2026-10-26T08:30:00+01:00"),
        ("all", None, None),
    ],
)
def test_time_spans_over_a_clock_change(
    tmp_path: Path, window: str, after: str | None, before: str | None
) -> None:
    _, calls = run_script(tmp_path, SLOTS.having("said", window=window), now="2026-10-26T07:30:00+00:00")
    assert (calls[0]["args"].get("edited_after"), calls[0]["args"].get("edited_before")) == (after, before)


def test_nothing_found_incomplete_and_unknown_zone_are_said(tmp_path: Path) -> None:
    empty, _ = run_script(tmp_path, SLOTS, rows={})
    assert (empty["status"], "Nothing changed" in empty["output"]["report"]) == ("empty", True)
    cut, _ = run_script(tmp_path, SLOTS, truncated=True)
    assert "incomplete" in cut["output"]["report"]
    elsewhere, calls = run_script(tmp_path, SLOTS, timezone="Nowhere/Land", now="2026-11-16T08:30:00+01:00")
    assert calls[0]["args"]["edited_after"] == "2026-11-09T00:00:00+01:00"
    assert "UTC+01:00" in elsewhere["output"]["report"]


def test_forbidden_words_are_found_as_words_only() -> None:
    bad = "Web-hook, APIs, end point, OAuth2, tokens, JSON, yaml, crontab, regexes, payload, schemas, orchestrates, in parallel, unconditional, DAG, SKILL.md, front matter, stack traces"
    assert len(forbidden_words(bad)) == len(bad.split(", "))
    assert (
        forbidden_words("A rapid therapist in Copenhagen synchronises acronyms, chronically capital.") == []
    )
    assert forbidden_words("Database 'API tokens' shown", ["API tokens"]) == []
