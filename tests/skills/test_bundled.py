"""The skills that are shipped: valid, exportable, and doing what they say in the real sandbox."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from omniforge.agents.schemas import TestReport
from omniforge.bootstrap import Installation
from omniforge.core.actor import Actor
from omniforge.core.config import Settings, shipped
from omniforge.core.errors import Fatal
from omniforge.integrations.catalog.notion.tools import TOOLS
from omniforge.sandboxes import SandboxRequest, open_provider
from omniforge.sandboxes.skill_protocol import SkillResult, entry_argv, parse_result, render_request
from omniforge.skills.document import ExportForm, Profile, Severity, export, load, validate

Json = dict[str, Any]
DryTest = Callable[..., Awaitable[TestReport]]
BUNDLED = shipped("skills")
NAMES = sorted(path.name for path in BUNDLED.iterdir() if path.is_dir())
CHECK = (sys.executable, "-m", "omniforge.cli.main", "skill", "check")
HOSTILE = "x](javascript:alert(1)) | <script>alert(1)</script> **bold**\n# Heading\n- item `code`"


def files_of(name: str) -> dict[str, bytes]:
    folder = BUNDLED / name
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


# --- form --------------------------------------------------------------------------------------------------


def test_the_library_is_there() -> None:
    assert {"notion-weekly-summary", "report-formatter"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_each_is_valid_as_it_is_and_exported_for_others(name: str) -> None:
    files = files_of(name)
    document = load(files["SKILL.md"], folder=name)
    assert validate(document, Profile.OMNIFORGE, folder=name, files=files.keys()) == []
    exported = export(document, ExportForm.PORTABLE, files)
    assert exported.name == name
    again = load(exported.content, folder=name)
    problems = validate(again, Profile.PORTABLE, folder=name, files=exported.files.keys())
    assert [problem for problem in problems if problem.severity is Severity.ERROR] == []
    assert "Use when" in again.description


BY_HAND = {"spec-to-tickets": {"Read", "Write", "Edit", "Glob", "Grep", "Bash"}}
"""What whoever follows the instructions needs, beside the script."""


@pytest.mark.parametrize("name", NAMES)
def test_each_may_use_exactly_the_tools_that_its_script_calls(name: str) -> None:
    files = files_of(name)
    called = set(re.findall(r'call\(\s*"([^"]+)"', files["scripts/main.py"].decode()))
    allowed = load(files["SKILL.md"], folder=name).allowed_tools
    assert allowed is not None
    assert {str(rule) for rule in allowed} == called | BY_HAND.get(name, set())


def test_the_check_command_passes_the_library_and_names_what_is_broken_in_a_copy(tmp_path: Path) -> None:
    good = subprocess.run([*CHECK, str(BUNDLED)], capture_output=True, text=True, check=False)
    assert (good.returncode, good.stdout) == (0, ""), good.stderr
    copy = tmp_path / "skills"
    shutil.copytree(BUNDLED, copy)
    file = copy / "report-formatter" / "SKILL.md"
    file.write_text(file.read_text().replace("tags:\n", "schedule: daily\ntags:\n", 1))
    bad = subprocess.run([*CHECK, str(copy)], capture_output=True, text=True, check=False)
    assert bad.returncode == 1
    assert bad.stdout == f"{file}:5: forbidden_field: Forbidden field in SKILL.md: schedule\n"


# --- as an agent -------------------------------------------------------------------------------------------


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Installation]:
    async with Installation.open(Settings(home=tmp_path / "home")) as opened:
        yield opened


@pytest.fixture
def dry_test(house: Installation, actor: Actor) -> DryTest:
    """Makes an agent of these skills in a row, and tests it with sample data."""

    async def make_and_test(*skills: Json, **input_data: Any) -> TestReport:
        numbered = [{**skill, "order": number} for number, skill in enumerate(skills, 1)]
        given = {"name": "Bundled", "skills": numbered, "integrations": ["notion"]}
        agent = await house.agents.create(actor, given)
        test_id = await house.agents.start_test(actor, agent.id, input_data=input_data)
        return await house.agents.await_test(actor, test_id, 60)

    return make_and_test


def summary(**config: Any) -> Json:
    return {"name": "notion-weekly-summary", "config": config}


def formatter(**config: Any) -> Json:
    return {"name": "report-formatter", "config": config}


async def test_an_agent_of_the_summary_reports_the_sample_data(dry_test: DryTest) -> None:
    report = await dry_test(
        summary(
            databases=["client projects", "Internal Initiatives"],
            window="last_7_days",
            fields=["Status", "Owner"],
            highlight=["Blocked", "At Risk"],
        ),
    )
    assert report.verdict == "passed", report.problems
    assert report.output["items"] == 8
    assert report.output["databases"] == ["Client Projects", "Internal Initiatives"]
    assert report.output["truncated"] is False
    lines = report.text.splitlines()
    assert lines[0] == "# What changed in Client Projects, Internal Initiatives"
    assert lines[2].endswith(" · 8 entries")
    assert [line for line in lines if line.startswith("##")] == [
        "## Client Projects",
        "## Internal Initiatives",
    ]
    titles = re.findall(r"^- \*\*\[(.*?)\]\(https://.*?\)\*\* — Status: (.*?) · Owner: ", report.text, re.M)
    assert titles == [
        ("Fraud signals dashboard", "Blocked"),
        ("Warehouse tracking app", "At Risk"),
        ("Claims inbox", "At Risk"),
        ("Patient portal redesign", "On Track"),
        ("Store locator", "Done"),
        ("Meter readings import", "On Track"),
        ("Laptop renewal", "At Risk"),
        ("Hiring playbook", "On Track"),
    ]


async def test_the_timeframe_of_a_run_counts_more_than_the_setting(dry_test: DryTest) -> None:
    chosen = summary(databases=["Internal Initiatives"], window="last_week")
    report = await dry_test(chosen, timeframe="3 days")
    assert [row["title"] for row in report.output["rows"]] == ["Hiring playbook"]


async def test_nothing_changed_is_said_and_counts_as_nothing_to_do(dry_test: DryTest) -> None:
    report = await dry_test(summary(databases=["Archived"], window="last_7_days"), formatter())
    assert report.verdict == "no_effect"
    assert report.text.startswith("Ran, nothing to do: 0 entries changed in Archived")
    assert [skill["status"] for skill in report.skill_results] == ["succeeded", "succeeded"]


async def test_the_formatter_writes_the_rows_of_the_summary_before_it(dry_test: DryTest) -> None:
    chosen = summary(databases=["Internal Initiatives"], window="last_7_days", fields=["Status", "Priority"])
    report = await dry_test(chosen, formatter(columns=["title", "Status"], title="This week"))
    assert report.verdict == "passed", report.problems
    assert report.output["items"] == 2
    assert re.fullmatch(
        r"# This week\n\n\| Title \| Status \|\n\| --- \| --- \|\n"
        r"\| \[Hiring playbook\]\(https://\S+\) \| On Track \|\n"
        r"\| \[Laptop renewal\]\(https://\S+\) \| At Risk \|\n",
        report.text,
    )


async def test_a_name_that_no_database_has_fails_the_test_and_names_the_near_one(dry_test: DryTest) -> None:
    report = await dry_test(summary(databases=["Client Project"]))
    assert report.verdict == "failed"
    told = "There is no database called 'Client Project' in this Notion. Did you mean 'Client Projects'?"
    assert report.problems[0]["code"] == "refused"
    assert report.problems[0]["message"].startswith(told)


# --- as scripts --------------------------------------------------------------------------------------------


@dataclass
class Host:
    """Answers a script the way the house does, from these databases; arguments are checked like there."""

    databases: list[Json] = field(default_factory=list[Json])
    rows: list[Json] = field(default_factory=list[Json])
    truncated: bool = False
    asked: list[tuple[str, Json]] = field(default_factory=list[tuple[str, Json]])
    log: list[str] = field(default_factory=list[str])

    async def answer(self, request: Json) -> Json:
        if request["op"] == "log":
            self.log.append(request["text"])
            return {"ok": True, "result": None}
        name, args = request["tool"], request["args"]
        next(tool for tool in TOOLS if tool.name == name).check(args)
        self.asked.append((name, args))
        return {"ok": True, "result": self._result(name, args)}

    def _result(self, name: str, args: Json) -> Json:
        match name:
            case "notion.list_databases":
                search = (args.get("search") or "").lower()
                return {"databases": [d for d in self.databases if search in d["name"].lower()]}
            case "notion.describe_database":
                return next(d for d in self.databases if d["id"] == args["database_id"])
            case _:
                rows = self.rows[: args["limit"]]
                return {"rows": rows, "truncated": self.truncated or len(rows) < len(self.rows)}


def database(number: int, name: str) -> Json:
    return {"id": f"{number:032x}", "name": name, "url": "", "items": 1}


def row(title: str, **fields: Any) -> Json:
    return {
        "id": title,
        "url": f"https://notion.example/{title}",
        "title": title,
        "created_at": "2026-01-01T10:00:00Z",
        "edited_at": "2026-11-18T10:00:00Z",
        "fields": fields,
    }


async def run_script(
    name: str,
    host: Host,
    config: Mapping[str, Any],
    given: Mapping[str, Any] | None = None,
    now: str = "2026-11-21T10:00:00+01:00",
) -> tuple[SkillResult, Mapping[str, bytes]]:
    request = SandboxRequest(
        argv=entry_argv("main.py"),
        stdin=render_request(
            run_id="run",
            step="step",
            skill_name=name,
            skill_version=None,
            input=given or {},
            config=config,
            context={"now": now, "timezone": "Europe/Berlin"},
            tools=[],
        ),
        folders={"/skill": BUNDLED / name},
    )
    done = await open_provider("local").run(request, host.answer)
    return parse_result(done.stdout, done.exit_code, done.stderr), done.files


async def summarise(host: Host, **config: Any) -> SkillResult:
    return (await run_script("notion-weekly-summary", host, {"databases": ["A"], **config}))[0]


async def refused(name: str, host: Host, config: Json, given: Json | None = None) -> str:
    """What the script says when it cannot do what it is asked."""
    with pytest.raises(Fatal) as raised:
        await run_script(name, host, config, given)
    assert raised.value.code == "refused"
    return raised.value.message


@pytest.mark.parametrize(
    ("window", "after", "before"),
    [
        (None, "2026-11-09T00:00:00+01:00", "2026-11-16T00:00:00+01:00"),
        ("", "2026-11-09T00:00:00+01:00", "2026-11-16T00:00:00+01:00"),
        ("this_week", "2026-11-16T00:00:00+01:00", "2026-11-21T10:00:00+01:00"),
        ("Last 7 days", "2026-11-14T00:00:00+01:00", "2026-11-21T10:00:00+01:00"),
        ("4 weeks", "2026-10-24T00:00:00+02:00", "2026-11-21T10:00:00+01:00"),
    ],
)
async def test_windows_are_whole_days_of_the_agents_zone(window: str | None, after: str, before: str) -> None:
    host = Host([database(1, "A")])
    result = await summarise(host, window=window)
    assert (host.asked[-1][1]["edited_after"], host.asked[-1][1]["edited_before"]) == (after, before)
    assert result.status == "empty"
    assert "Nothing changed in this time." in result.output["report"]


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"databases": ["Clint Projcts"]}, "Did you mean 'Client Projects'?"),
        ({"databases": ["Zzz"]}, "It has 'Client Projects', 'Twice'."),
        ({"databases": ["Twice"]}, f"Give the id of the one you mean: {2:032x}, {3:032x}."),
        ({"databases": []}, "the setting `databases` must be a list of names or ids"),
        ({}, "the setting `databases` must be a list of names or ids"),
        ({"databases": ["Client Projects"], "window": "0 days"}, "The time window '0 days' is not known."),
        ({"databases": ["Client Projects"], "window": "last_99999_days"}, "It can be last_week, this_week"),
        ({"databases": ["Client Projects"], "fields": [{"a": 1}]}, "`fields` must be a list of texts"),
        ({"databases": ["Client Projects"], "group_by": ["Status"]}, "`group_by` must be a text"),
    ],
)
async def test_settings_that_cannot_be_meant_are_refused_with_the_reason(config: Json, words: str) -> None:
    host = Host([database(1, "Client Projects"), database(2, "Twice"), database(3, "Twice")])
    assert words in await refused("notion-weekly-summary", host, config)
    assert not any(name == "notion.query_database" for name, _ in host.asked)


async def test_a_notion_that_shares_nothing_is_said_to_share_nothing() -> None:
    said = await refused("notion-weekly-summary", Host(), {"databases": ["A"]})
    assert said.endswith("No database of it is shared with us.")


async def test_databases_are_found_by_name_by_id_or_as_chosen_and_read_once() -> None:
    host = Host([database(1, "A"), database(2, "a"), database(3, "B")], [row("One")])
    wanted = ["A", f"{1:032x}", {"id": f"{3:032x}", "name": "B"}]
    result = await summarise(host, databases=wanted)
    assert result.output["databases"] == ["A", "B"]
    assert [name for name, _ in host.asked] == [
        "notion.list_databases",
        "notion.describe_database",
        "notion.query_database",
        "notion.query_database",
    ]


async def test_hostile_text_stays_text_in_the_summary() -> None:
    hostile = {**row(HOSTILE, Note=HOSTILE), "url": "javascript:alert(1)"}
    result = await summarise(Host([database(1, "A")], [hostile]), group_by="Note", fields=["Note"])
    lines = result.output["report"].splitlines()
    assert [line for line in lines if line.startswith(("#", "-"))] == [lines[0], lines[4], lines[6]]
    assert "<script>" not in re.sub(r"\\<", "", result.output["report"])
    assert "](" not in result.output["report"].replace("\\](", "")


async def test_groups_begin_with_what_is_highlighted_and_end_with_what_has_no_value() -> None:
    rows = [row("1", S="Zeta"), row("2", S=None), row("3", S="alpha"), row("4", S="Blocked"), row("5", S=[])]
    result = await summarise(Host([database(1, "A")], rows), group_by="S", highlight=["blocked"])
    headings = re.findall(r"^## (.*)$", result.output["report"], re.M)
    assert headings == ["Blocked", "alpha", "Zeta", "No S"]


async def test_what_is_missing_is_said_in_the_report() -> None:
    host = Host([database(1, "A")], [row("One", Status="Open")], truncated=True)
    result = await summarise(host, fields=["Status", "Colour"])
    assert "*No entry has a field called Colour.*" in result.output["report"]
    assert "*Not everything could be read from A: this report is incomplete.*" in result.output["report"]
    assert result.output["truncated"] is True


async def test_long_pages_are_read_in_smaller_parts_and_the_report_says_so() -> None:
    rows = [row(f"Row {number}", Text="long words " * 4000) for number in range(900)]
    host = Host([database(1, "A")], rows)
    result = await summarise(host)
    limits = [args["limit"] for name, args in host.asked if name == "notion.query_database"]
    assert limits == [10_000, 2_000, 500, 100]
    assert result.output["items"] == 100
    assert "*Not everything could be read from A: this report is incomplete.*" in result.output["report"]


async def test_many_entries_stay_in_bounds_and_the_report_says_how_many_are_shown() -> None:
    rows = [row(f"Row {number}", Text="words_ " * 100) for number in range(900)]
    config = {"databases": ["A"]}
    result, files = await run_script("notion-weekly-summary", Host([database(1, "A")], rows), config)
    shown = len(result.output["rows"])
    assert 0 < shown < result.output["items"] == 900
    assert result.output["truncated"] is True
    assert f"*Only the first {shown} of 900 entries are shown.*" in result.output["report"]
    assert len(json.dumps(result.output)) < 800_000
    assert files["report.md"].decode() == result.output["report"]


ROWS = [{"id": "1", "name": "Ada", "tags": ["a", "b"], "done": True}, {"id": "2", "name": "Ben", "age": 0}]


async def reformat(given: Json, **config: Any) -> tuple[str, Mapping[str, bytes]]:
    result, files = await run_script("report-formatter", Host(), config, given)
    return result.output["report"], files


async def test_rows_become_a_table() -> None:
    report, files = await reformat({"rows": ROWS})
    assert report.splitlines() == [
        "| Name | Tags | Done | Age |",
        "| --- | --- | --- | --- |",
        "| Ada | a, b | yes | — |",
        "| Ben | — | — | 0 |",
    ]
    assert files["report.md"].decode() == report


async def test_rows_become_bullets() -> None:
    report, _ = await reformat({"rows": [*ROWS, "plain", {}]}, format="bullets", title="People")
    assert report.splitlines() == [
        "# People",
        "",
        "- **Ada** — Tags: a, b · Done: yes",
        "- **Ben** — Age: 0",
        "- **plain**",
        "- —",
    ]


async def test_rows_become_csv_that_no_spreadsheet_takes_for_formulas() -> None:
    values = ["=1+1", "+x", "-5", "@x", 'a "b", c', "two\nlines", "é"]
    report, files = await reformat({"rows": [{"value": value} for value in values]}, format="csv")
    read = list(csv.reader(io.StringIO(report, newline="")))
    assert read == [["value"], ["'=1+1"], ["'+x"], ["-5"], ["'@x"], ['a "b", c'], ["two\nlines"], ["é"]]
    assert files["report.csv"].decode() == report


async def test_hostile_text_stays_text_in_a_table() -> None:
    report, _ = await reformat({"rows": [{"title": HOSTILE, "url": "javascript:alert(1)", HOSTILE: 1}]})
    lines = report.splitlines()
    assert len(lines) == 3
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {3}
    assert "](" not in report.replace("\\](", "")
    assert "<script>" not in re.sub(r"\\<", "", report)


async def test_a_report_is_taken_apart_by_lines_and_sections() -> None:
    report = (
        "# Top\n\n- **[A \\| B](https://a.example)** — Status: \\*open\\*\n\n## Rest\n\nsnake_case stays\n"
    )
    shown, _ = await reformat({"report": report})
    assert shown.splitlines()[2:] == [
        "| Top | A \\| B (https://a.example) — Status: \\*open\\* |",
        "| Rest | snake\\_case stays |",
    ]


@pytest.mark.parametrize("piece", ["[", "\\[", "[a](", "[a\\", "|", "*", "`", "# ", "1. "])
async def test_a_report_made_to_be_slow_to_read_is_read(piece: str) -> None:
    shown, _ = await reformat({"report": piece * 60_000}, format="csv")
    assert len(shown) < 400_000


async def test_a_table_of_a_report_keeps_its_columns() -> None:
    table, _ = await reformat({"rows": ROWS}, columns=["name", "age"])
    again, _ = await reformat({"report": table}, format="csv")
    assert again == "Name,Age\nAda,—\nBen,0\n"


@pytest.mark.parametrize(
    ("given", "config", "words"),
    [
        ({}, {}, "must give `rows` (a list) or `report` (text). It gave nothing."),
        ({"rows": "x", "b": 1}, {}, "It gave b, rows."),
        ({"rows": []}, {"format": "pdf"}, "The format 'pdf' is not known. It can be table, bullets, csv."),
        ({"rows": []}, {"columns": [1]}, "`columns` must be a list of texts"),
    ],
)
async def test_the_formatter_says_what_it_cannot_use(given: Json, config: Json, words: str) -> None:
    assert words in await refused("report-formatter", Host(), config, given)


async def test_a_result_too_long_to_show_is_whole_in_its_file() -> None:
    rows = [{"text": "word " * 20} for _ in range(6000)]
    report, files = await reformat({"rows": rows})
    assert files["report.md"].count(b"\n") == 6002
    assert len(report.encode()) < 510_000
    assert re.search(r"\*Only the first \d+ of 6000 rows are shown here; the file holds all\.\*\n$", report)
