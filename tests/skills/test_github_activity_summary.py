"""The GitHub summary that is shipped: as an agent over sample data, and as a script in the real sandbox."""

from __future__ import annotations

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
from omniforge.integrations.catalog.github.tools import TOOLS
from omniforge.sandboxes import SandboxRequest, open_provider
from omniforge.sandboxes.skill_protocol import SkillResult, entry_argv, parse_result, render_request

Json = dict[str, Any]
DryTest = Callable[..., Awaitable[TestReport]]
FOLDER = shipped("skills") / "github-activity-summary"
HOSTILE = "x](javascript:alert(1)) | <script>alert(1)</script> **bold**\n# Heading\n- item `code`"


# --- as an agent -----------------------------------------------------------------------------------------


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Installation]:
    async with Installation.open(Settings(home=tmp_path / "home")) as opened:
        yield opened


@pytest.fixture
def dry_test(house: Installation, actor: Actor) -> DryTest:
    async def make_and_test(config: Json, **input_data: Any) -> TestReport:
        skills = [{"name": "github-activity-summary", "config": config, "order": 1}]
        given = {"name": "Activity", "skills": skills, "integrations": ["github"]}
        agent = await house.agents.create(actor, given)
        test_id = await house.agents.start_test(actor, agent.id, input_data=input_data)
        return await house.agents.await_test(actor, test_id, 60)

    return make_and_test


async def test_an_agent_of_the_summary_reports_the_sample_data(dry_test: DryTest) -> None:
    report = await dry_test(
        {
            "repositories": ["Storefront", "acme-operations/warehouse-api"],
            "window": "last_7_days",
            "highlight": ["blocked"],
        }
    )
    assert report.verdict == "passed", report.problems
    assert report.output["repositories"] == ["acme-operations/storefront", "acme-operations/warehouse-api"]
    assert report.output["truncated"] is False
    lines = report.text.splitlines()
    assert lines[0] == "# GitHub activity in acme-operations/storefront, acme-operations/warehouse-api"
    assert re.sub(r"^.*? 20\d\d to .*? 20\d\d · ", "", lines[2]) == (
        "Releases: 2 · Merged pull requests: 2 · Opened pull requests: 1 · "
        "Pull requests closed without merging: 1 · Closed issues: 3 · Opened issues: 4"
    )
    assert report.output["items"] == 13
    opened = report.text[report.text.index("### Opened issues") :]
    titles = re.findall(r"^- \*\*\[(.*?)\]\(https://github\.com/.*?\)\*\* #\d+", opened, re.M)
    assert titles[:3] == [
        "Payment provider withdraws the old interface",
        "Checkout fails with an expired voucher",
        "Search should find words with accents",
    ]


async def test_nothing_happened_is_said_and_counts_as_nothing_to_do(dry_test: DryTest) -> None:
    report = await dry_test({"repositories": ["handbook"]}, timeframe="1 days")
    assert report.verdict == "no_effect"
    assert "acme-operations/handbook" in report.text


# --- as a script -----------------------------------------------------------------------------------------


@dataclass
class Host:
    """Answers the script the way the house does; arguments are checked like there."""

    issues: list[Json] = field(default_factory=list[Json])
    pulls: list[Json] = field(default_factory=list[Json])
    releases: list[Json] = field(default_factory=list[Json])
    names: tuple[str, ...] = ("acme/app", "acme/web", "other/web")
    fits: int = 100_000
    asked: list[tuple[str, Json]] = field(default_factory=list[tuple[str, Json]])

    async def answer(self, request: Json) -> Json:
        if request["op"] == "log":
            return {"ok": True, "result": None}
        name, args = request["tool"], request["args"]
        next(tool for tool in TOOLS if tool.name == name).check(args)
        self.asked.append((name, args))
        if args.get("limit", 0) > self.fits:
            return {"ok": False, "error": {"code": "result_too_large", "message": "too large"}}
        match name:
            case "github.list_repositories":
                return {"ok": True, "result": {"repositories": [{"name": one} for one in self.names]}}
            case "github.list_issues":
                return self._cut("issues", self.issues, args)
            case "github.list_pull_requests":
                return self._cut("pull_requests", self.pulls, args)
            case _:
                return self._cut("releases", self.releases, args)

    @staticmethod
    def _cut(key: str, found: list[Json], args: Json) -> Json:
        kept = found[: args["limit"]]
        return {"ok": True, "result": {key: kept, "truncated": len(kept) < len(found)}}


def issue(number: int, title: str = "A thing", **more: Any) -> Json:
    return {
        "number": number,
        "title": title,
        "url": f"https://github.com/acme/app/issues/{number}",
        "author": "maya",
        "labels": [],
        "created_at": "2026-01-01T10:00:00.000Z",
        "closed_at": None,
        "merged_at": None,
        **more,
    }


async def run_script(host: Host, **config: Any) -> SkillResult:
    request = SandboxRequest(
        argv=entry_argv("main.py"),
        stdin=render_request(
            run_id="run",
            step="step",
            skill_name=FOLDER.name,
            skill_version=None,
            input={},
            config={"repositories": ["acme/app"], **config},
            context={"now": "2026-11-21T10:00:00+01:00", "timezone": "Europe/Berlin"},
            tools=[],
        ),
        folders={"/skill": FOLDER},
    )
    done = await open_provider("local").run(request, host.answer)
    return parse_result(done.stdout, done.exit_code, done.stderr)


async def test_a_thing_counts_once_under_the_last_that_happened_in_the_window() -> None:
    inside, later = "2026-11-15T22:59:59Z", "2026-11-15T23:00:00Z"  # the week ends at midnight in Berlin
    host = Host(
        issues=[
            issue(1, created_at="2026-11-10T10:00:00Z", closed_at=inside),
            issue(2, created_at=inside, closed_at=later),
            issue(3, created_at=later),
            issue(4, created_at="2026-11-08T22:59:59Z"),
        ],
        pulls=[
            issue(5, created_at="2026-11-10T10:00:00Z", closed_at=later, merged_at=later),
            issue(6, created_at="2026-11-01T10:00:00Z", closed_at=inside, merged_at=inside),
            issue(7, created_at="2026-11-09T10:00:00Z", closed_at=inside),
        ],
    )
    result = await run_script(host)
    assert {row["number"]: row["kind"] for row in result.output["rows"]} == {
        1: "closed_issues",
        2: "opened_issues",
        5: "opened_pulls",
        6: "merged_pulls",
        7: "closed_pulls",
    }
    assert {args["updated_after"] for _, args in host.asked if "updated_after" in args} == {
        "2026-11-09T00:00:00+01:00"
    }


async def test_only_what_is_to_be_shown_is_read_and_in_that_order() -> None:
    times = {"created_at": "2026-11-11T10:00:00Z", "closed_at": "2026-11-12T10:00:00Z"}
    host = Host(issues=[issue(1, **times), issue(2, created_at="2026-11-11T10:00:00Z")])
    result = await run_script(host, show=["opened_issues"])
    assert [row["kind"] for row in result.output["rows"]] == ["opened_issues", "opened_issues"]
    assert [name for name, _ in host.asked] == ["github.list_issues"]
    result = await run_script(host, show=["opened_issues", "closed_issues"])
    assert re.findall(r"^## (.*)$", result.output["report"], re.M) == ["Opened issues", "Closed issues"]


async def test_repositories_are_found_by_name_by_address_or_as_chosen_and_read_once() -> None:
    host = Host()
    wanted = ["App", "https://github.com/acme/app/issues", {"id": "ACME/app", "name": "x"}, "octo/other.git"]
    result = await run_script(host, repositories=wanted)
    assert result.output["repositories"] == ["acme/app", "octo/other"]
    assert result.status == "empty"


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"repositories": []}, "the setting `repositories` must be a list of names"),
        ({"repositories": ["ap"]}, "Did you mean acme/app?"),
        ({"repositories": ["zzz"]}, "It has acme/app, acme/web, other/web."),
        ({"repositories": ["web"]}, "Say which one: acme/web, other/web."),
        ({"window": "0 days"}, "The time window '0 days' is not known."),
        ({"show": ["stars"]}, "The setting `show` cannot hold 'stars'. It can hold releases,"),
        ({"highlight": [1]}, "`highlight` must be a list of texts"),
    ],
)
async def test_settings_that_cannot_be_meant_are_refused_with_the_reason(config: Json, words: str) -> None:
    with pytest.raises(Fatal) as raised:
        await run_script(Host(), **config)
    assert raised.value.code == "refused"
    assert words in raised.value.message


async def test_hostile_text_stays_text() -> None:
    times = {"created_at": "2026-11-11T10:00:00Z", "labels": [HOSTILE], "url": "javascript:alert(1)"}
    report = (await run_script(Host(issues=[issue(1, HOSTILE, **times)]))).output["report"]
    lines = report.splitlines()
    assert [line for line in lines if line.startswith(("#", "-"))] == [lines[0], lines[4], lines[6]]
    assert "<script>" not in re.sub(r"\\<", "", report)
    assert "](" not in report.replace("\\](", "")


async def test_what_is_too_long_is_read_in_part_and_the_report_says_so() -> None:
    many = [issue(number, created_at="2026-11-11T10:00:00Z") for number in range(1, 150)]
    result = await run_script(Host(issues=many, fits=100), show=["opened_issues"])
    assert result.output["items"] == 100
    assert result.output["truncated"] is True
    assert (
        "*Not everything could be read from acme/app: this report is incomplete.*" in result.output["report"]
    )
