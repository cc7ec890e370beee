"""The Linear summary that is shipped: as an agent over sample data, and as a script in the real sandbox."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from omniforge.agents.schemas import TestReport
from omniforge.bootstrap import Installation
from omniforge.core.actor import Actor
from omniforge.core.config import Settings, shipped
from omniforge.core.errors import Fatal
from omniforge.integrations.catalog.linear.tools import TOOLS
from omniforge.sandboxes import SandboxRequest, open_provider
from omniforge.sandboxes.skill_protocol import SkillResult, entry_argv, parse_result, render_request

Json = dict[str, Any]
DryTest = Callable[..., Awaitable[TestReport]]
FOLDER = shipped("skills") / "linear-status-summary"
HOSTILE = "x](javascript:alert(1)) | <script>alert(1)</script> **bold**\n# Heading\n- item `code`"


# --- as an agent -----------------------------------------------------------------------------------------


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Installation]:
    async with Installation.open(Settings(home=tmp_path / "home")) as opened:
        yield opened


@pytest.fixture
def dry_test(house: Installation, actor: Actor) -> DryTest:
    async def make_and_test(config: Json, **input_data: Any) -> TestReport:
        skills = [{"name": "linear-status-summary", "config": config, "order": 1}]
        given = {"name": "Status", "skills": skills, "integrations": ["linear"]}
        agent = await house.agents.create(actor, given)
        test_id = await house.agents.start_test(actor, agent.id, input_data=input_data)
        return await house.agents.await_test(actor, test_id, 60)

    return make_and_test


async def test_an_agent_of_the_summary_reports_the_sample_data(dry_test: DryTest) -> None:
    report = await dry_test({"teams": ["engineering"], "window": "last_7_days", "highlight": ["Urgent"]})
    assert report.verdict == "passed", report.problems
    assert report.output["sources"] == ["Engineering"]
    assert (report.output["items"], report.output["truncated"]) == (7, False)
    lines = report.text.splitlines()
    assert lines[0] == "# Linear: Engineering"
    assert lines[2].endswith(
        " · 7 issues updated · Done: 2 · In Progress: 2 · In Review: 1 · Todo: 1 · Canceled: 1"
    )
    headings = [line for line in lines if line.startswith("##")]
    assert headings == ["## Done", "## In Progress", "## In Review", "## Todo", "## Canceled"]
    found = re.findall(r"^- \*\*\[(ENG-\d+ .*?)\]\(https://linear\.app/.*?\)\*\*(.*)$", report.text, re.M)
    assert len(found) == 7
    first = next(details for title, details in found if title == "ENG-1 Login fails after password reset")
    assert re.fullmatch(r" — Derek Osei · Urgent · Patient portal · due 20\S+ · Bug, customer", first)


async def test_nothing_in_the_window_is_said_and_counts_as_nothing_to_do(dry_test: DryTest) -> None:
    report = await dry_test({"projects": ["Billing 2.0"]}, timeframe="3 days")
    assert report.verdict == "no_effect"
    assert "No issue was updated in this time." in report.output["report"]
    assert report.text


# --- as a script -----------------------------------------------------------------------------------------


@dataclass
class Host:
    """Answers the script the way the house does; arguments are checked like there."""

    issues: dict[str, list[Json]] = field(default_factory=dict[str, list[Json]])
    truncated: bool = False
    fits: int = 100_000
    teams: tuple[tuple[str, str, str], ...] = (("t1", "ENG", "Engineering"), ("t2", "DES", "Design"))
    projects: tuple[tuple[str, str], ...] = (("p1", "Portal"), ("p2", "Twice"), ("p3", "Twice"))
    asked: list[tuple[str, Json]] = field(default_factory=list[tuple[str, Json]])

    async def answer(self, request: Json) -> Json:
        if request["op"] == "log":
            return {"ok": True, "result": None}
        name, args = request["tool"], request["args"]
        next(tool for tool in TOOLS if tool.name == name).check(args)
        self.asked.append((name, args))
        if args.get("limit", 0) > self.fits:
            return {"ok": False, "error": {"code": "result_too_large", "message": "too large"}}
        return {"ok": True, "result": self._result(name, args)}

    def _result(self, name: str, args: Json) -> Json:
        match name:
            case "linear.list_teams":
                return {"teams": [{"id": i, "key": k, "name": n} for i, k, n in self.teams]}
            case "linear.list_projects":
                word = (args.get("search") or "").lower()
                return {"projects": [{"id": i, "name": n} for i, n in self.projects if word in n.lower()]}
            case _:
                found = self.issues.get(args.get("team_id") or args["project_id"], [])
                kept = found[: args["limit"]]
                return {"issues": kept, "truncated": self.truncated or len(kept) < len(found)}

    def reads(self) -> list[Json]:
        return [args for name, args in self.asked if name == "linear.read_issues"]


def issue(number: int, state: str = "Todo:unstarted", **more: Any) -> Json:
    name, _, kind = state.partition(":")
    plain: Json = {
        "id": f"i{number}",
        "identifier": f"ENG-{number}",
        "title": f"Thing {number}",
        "url": f"https://linear.app/acme/issue/ENG-{number}",
        "state": name,
        "state_type": kind,
        "priority": "No priority",
        "assignee": None,
        "team": "Engineering",
        "project": None,
        "labels": [],
        "due": None,
        "updated_at": "2026-11-18T10:00:00.000Z",
    }
    return {**plain, **more}


async def run_script(host: Host, given: Json | None = None, **config: Any) -> SkillResult:
    request = SandboxRequest(
        argv=entry_argv("main.py"),
        stdin=render_request(
            run_id="run",
            step="step",
            skill_name=FOLDER.name,
            skill_version=None,
            input=given or {},
            config=config if {"teams", "projects"} & set(config) else {"teams": ["ENG"], **config},
            context={"now": "2026-11-21T10:00:00+01:00", "timezone": "Europe/Berlin"},
            tools=[],
        ),
        folders={"/skill": FOLDER},
    )
    done = await open_provider("local").run(request, host.answer)
    return parse_result(done.stdout, done.exit_code, done.stderr)


@pytest.mark.parametrize(
    ("given", "config", "window"),
    [
        ({}, {}, ("updated", "2026-11-09T00:00:00+01:00", "2026-11-16T00:00:00+01:00")),
        ({}, {"window": "this_week", "by": "created"}, ("created", "2026-11-16T00:00:00+01:00", None)),
        ({"timeframe": "4 weeks"}, {"by": "completed"}, ("completed", "2026-10-24T00:00:00+02:00", None)),
    ],
)
async def test_issues_are_read_by_the_moment_asked_for_in_days_of_the_agents_zone(
    given: Json, config: Json, window: tuple[str, str, str | None]
) -> None:
    host = Host()
    result = await run_script(host, given, **config)
    by, after, before = window
    [asked] = host.reads()
    assert (asked[f"{by}_after"], asked[f"{by}_before"]) == (after, before or "2026-11-21T10:00:00+01:00")
    assert result.status == "empty"
    assert f"No issue was {by} in this time." in result.output["report"]


async def test_groups_come_in_the_order_of_work_and_the_highlighted_first_in_each() -> None:
    states = ["Todo:unstarted", "Done:completed", "In Review:started", "Backlog:backlog", "Doing:started"]
    issues = [issue(number, state) for number, state in enumerate(states)]
    issues.append(issue(9, "Todo:unstarted", labels=["Bug"]))
    report = (await run_script(Host({"t1": issues}), highlight=["bug"])).output["report"]
    assert re.findall(r"^## (.*)$", report, re.M) == ["Done", "Doing", "In Review", "Todo", "Backlog"]
    assert re.findall(r"\[(ENG-[09]) ", report) == ["ENG-9", "ENG-0"]
    assert "6 issues updated · Done: 1 · Doing: 1 · In Review: 1 · Todo: 2 · Backlog: 1" in report


@pytest.mark.parametrize(
    ("group", "headings"),
    [
        ("assignee", ["Ana", "Ben", "Nobody"]),
        ("priority", ["Urgent", "Low", "No priority"]),
        ("project", ["Portal", "No project"]),
        ("label", ["Bug", "customer", "No label"]),
        ("team", ["Engineering"]),
    ],
)
async def test_issues_are_grouped_by_what_is_asked_for_with_the_empty_group_last(
    group: str, headings: list[str]
) -> None:
    issues = [
        issue(1, assignee=None, priority="Low"),
        issue(2, assignee="Ben", priority="Urgent", labels=["customer", "Bug"]),
        issue(3, assignee="Ana", project="Portal"),
    ]
    report = (await run_script(Host({"t1": issues}), group_by=group)).output["report"]
    assert re.findall(r"^## (.*)$", report, re.M) == headings


async def test_teams_and_projects_are_found_by_name_key_id_or_as_chosen_and_an_issue_counts_once() -> None:
    host = Host({"t1": [issue(1), issue(2)], "p1": [issue(2), issue(3)], "p9": [issue(3)]})
    chosen = [{"id": "p9", "name": "Chosen"}, "portal", "p1"]
    result = await run_script(host, teams=["eng", "Engineering", "t1"], projects=chosen, states=["open"])
    assert result.output["sources"] == ["Engineering", "Chosen", "Portal"]
    assert [row["identifier"] for row in result.output["rows"]] == ["ENG-1", "ENG-2", "ENG-3"]
    assert [args["states"] for args in host.reads()] == [["open"]] * 3


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"teams": []}, "the setting `teams` or `projects` must be a list of names or ids"),
        (
            {"teams": ["Enginering"]},
            "There is no team called 'Enginering' in this Linear. Did you mean 'Engineering'?",
        ),
        ({"teams": ["zzz"]}, "It has 'Engineering', 'Design'."),
        ({"projects": ["Twice"]}, "2 projects are called 'Twice'. Give the id of the one you mean: p2, p3."),
        ({"projects": ["Portale"]}, "Did you mean 'Portal'?"),
        ({"window": "0 days"}, "The time window '0 days' is not known. It can be last_week"),
        ({"by": "deleted"}, "`by` cannot be 'deleted'. It can be updated, created, completed."),
        ({"group_by": ["state"]}, "`group_by` cannot be"),
        ({"highlight": [1]}, "`highlight` must be a list of texts"),
        ({"states": {"a": 1}}, "`states` must be a list of texts"),
    ],
)
async def test_settings_that_cannot_be_meant_are_refused_with_the_reason(config: Json, words: str) -> None:
    host = Host()
    with pytest.raises(Fatal) as raised:
        await run_script(host, **config)
    assert raised.value.code == "refused"
    assert words in raised.value.message
    assert host.reads() == []


async def test_a_linear_that_shows_nothing_is_said_to_show_nothing() -> None:
    with pytest.raises(Fatal, match="No team of it can be seen by us"):
        await run_script(Host(teams=()))


async def test_hostile_text_stays_text() -> None:
    hostile = issue(1, title=HOSTILE, url="javascript:alert(1)", assignee=HOSTILE, labels=[HOSTILE])
    for group in ("state", "assignee", "label"):
        report = (await run_script(Host({"t1": [hostile]}), group_by=group)).output["report"]
        lines = report.splitlines()
        assert [line for line in lines if line.startswith(("#", "-"))] == [lines[0], lines[4], lines[6]]
        assert "<script>" not in re.sub(r"\\<", "", report)
        assert "](" not in report.replace("\\](", "")


async def test_what_is_too_long_is_read_in_part_and_the_report_says_so() -> None:
    host = Host({"t1": [issue(number) for number in range(150)]}, fits=100)
    result = await run_script(host)
    assert [args["limit"] for args in host.reads()] == [10_000, 2_000, 500, 100]
    assert (result.output["items"], result.output["truncated"]) == (100, True)
    told = "*Not everything could be read from Engineering: this report is incomplete.*"
    assert told in result.output["report"]


async def test_many_issues_stay_in_bounds_and_the_report_says_how_many_are_shown() -> None:
    many = [issue(number, title="word " * 100, labels=["a long label"] * 30) for number in range(900)]
    result = await run_script(Host({"t1": many}))
    shown = len(result.output["rows"])
    assert 0 < shown < result.output["items"] == 900
    assert result.output["truncated"] is True
    assert f"*Only the first {shown} of 900 issues are shown.*" in result.output["report"]
    assert len(json.dumps(result.output)) < 1_000_000
