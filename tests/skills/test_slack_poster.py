"""The bundled Slack poster, in the real sandbox: what it posts, where, and what it refuses."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from omniforge.bootstrap import Installation
from omniforge.core.actor import Actor
from omniforge.core.config import Settings, shipped
from omniforge.core.errors import Fatal
from omniforge.integrations.manifest import CATALOG, load_integration
from omniforge.integrations.samples import sample_client
from omniforge.sandboxes import SandboxRequest, open_provider
from omniforge.sandboxes.skill_protocol import SkillResult, entry_argv, parse_result, render_request

Json = dict[str, Any]
SLACK = load_integration(CATALOG / "slack")
NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
REPORT = """# What changed in Client Projects

9 November 2026 to 15 November 2026 · 6 entries

## Blocked

- **[Fraud signals](https://notion.example/1)** — Owner: Jonas
- **Meter readings** — Owner: Ana

## On Track

- **A** — x
- **B** — x
- **C** — x
- **D** — x
"""


@dataclass
class Host:
    """Answers a script the way the house does, with Slack's sample data behind its tools."""

    called: list[tuple[str, Json]] = field(default_factory=list[tuple[str, Json]])
    log: list[str] = field(default_factory=list[str])

    async def answer(self, request: Json) -> Json:
        if request["op"] == "log":
            self.log.append(request["text"])
            return {"ok": True, "result": None}
        self.called.append((request["tool"], request["args"]))
        async with sample_client(SLACK, NOW) as client:
            result = await SLACK.tool(request["tool"]).call(client, request["args"])
        return {"ok": True, "result": result}


async def post(given: Json, host: Host | None = None, **config: Any) -> tuple[SkillResult, Host]:
    host = host or Host()
    request = SandboxRequest(
        argv=entry_argv("main.py"),
        stdin=render_request(
            run_id="run",
            step="step",
            skill_name="slack-poster",
            skill_version=None,
            input=given,
            config={"channel": "#team-updates", **config},
            context={"now": NOW.isoformat(), "timezone": "UTC"},
            tools=[],
        ),
        folders={"/skill": shipped("skills") / "slack-poster"},
    )
    done = await open_provider("local").run(request, host.answer)
    return parse_result(done.stdout, done.exit_code, done.stderr), host


async def test_in_full_the_report_is_posted_as_it_is() -> None:
    result, host = await post({"report": REPORT, "items": 6, "message": "6 entries changed."})
    assert host.called == [("slack.post_message", {"channel": "#team-updates", "text": REPORT.strip()})]
    assert result.message == "Posted to #team-updates."
    assert result.output["posted"] is True
    assert result.output["channel"] == "#team-updates"
    assert result.output["report"] == REPORT.strip()
    assert result.output["message"]


async def test_a_summary_has_the_beginning_and_of_each_section_the_number_and_the_first_entries() -> None:
    result, _ = await post({"report": REPORT, "items": 6}, content="summary")
    assert result.output["text"].splitlines() == [
        "# What changed in Client Projects",
        "9 November 2026 to 15 November 2026 · 6 entries",
        "",
        "**Blocked** (2)",
        "- **[Fraud signals](https://notion.example/1)** — Owner: Jonas",
        "- **Meter readings** — Owner: Ana",
        "",
        "**On Track** (4)",
        "- **A** — x",
        "- **B** — x",
        "- **C** — x",
        "… and 1 more",
    ]


async def test_a_summary_that_was_given_counts_more_than_one_made_here() -> None:
    result, _ = await post({"report": REPORT, "summary": "All calm."}, content="B")
    assert result.output["text"] == "All calm."


async def test_a_table_is_shortened_to_its_head_and_first_rows() -> None:
    rows = "\n".join(f"| {number} | x |" for number in range(5))
    result, _ = await post({"report": f"| N | V |\n| --- | --- |\n{rows}"}, content="summary")
    assert result.output["text"].splitlines() == [
        "| N | V |",
        "| --- | --- |",
        "| 0 | x |",
        "| 1 | x |",
        "| 2 | x |",
        "… and 2 more",
    ]


@pytest.mark.parametrize("content", ["summary_and_link", "summary + link", "Summary and link", "C"])
async def test_a_summary_with_a_link_ends_with_the_address(content: str) -> None:
    given = {"summary": "Short.", "report": REPORT, "url": "https://a.example/report?x=1"}
    result, _ = await post(given, content=content, link="https://b.example", title="Week 46")
    assert result.output["text"] == "# Week 46\n\nShort.\n\n[Whole report](https://a.example/report?x=1)"
    assert result.output["link"] == "https://a.example/report?x=1"


@pytest.mark.parametrize("link", [None, "javascript:alert(1)", "https://a.example/)x(", 7])
async def test_without_an_address_the_message_says_where_the_whole_is(link: Any) -> None:
    result, host = await post({"summary": "Short.", "link": link}, content="summary_and_link")
    assert result.output["text"] == "Short.\n\nThe whole report is in the agent's inbox in OmniForge."
    assert result.output["link"] is None
    assert len(host.log) == 1


async def test_nothing_is_posted_when_there_was_nothing_unless_it_is_wanted() -> None:
    empty = {"report": "Nothing changed in this time.", "items": 0}
    result, host = await post(empty)
    assert (result.status, result.output["posted"], host.called) == ("empty", False, [])
    result, host = await post(empty, post_empty=True)
    assert (result.status, len(host.called)) == ("ok", 1)


@pytest.mark.parametrize("sign", ["x", "&", "<"])
async def test_a_text_longer_than_slack_takes_is_cut_at_a_line_and_says_so(sign: str) -> None:
    line = f"- {sign * 70}"
    result, _ = await post({"report": "\n".join([line] * 1000)}, title="Long")
    lines = result.output["text"].splitlines()
    assert lines[0] == "# Long"
    assert lines[-1].startswith("*Shortened: there is no more room in one message.")
    assert set(lines[2:-2]) == {line}
    one = await post({"text": sign * 90_000})
    assert one[0].output["text"].endswith("in OmniForge.*")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"text": "A", "message": "B"}, "A"),
        ({"message": "B", "report": " "}, "B"),
        ({"summary": "C", "rows": []}, "C"),
    ],
)
async def test_the_fullest_text_that_says_something_is_taken(given: Json, expected: str) -> None:
    assert (await post(given))[0].output["text"] == expected


async def test_a_channel_as_it_was_chosen_will_do() -> None:
    _, host = await post({"text": "x"}, channel={"id": "C024BE91L", "name": "#leads"})
    assert host.called[0][1]["channel"] == "#leads"


@pytest.mark.parametrize(
    ("given", "config", "words"),
    [
        ({}, {}, "It gave nothing."),
        ({"rows": [], "items": 3}, {}, "It gave items, rows."),
        ({"text": "x"}, {"channel": ""}, "Say where to post"),
        ({"text": "x"}, {"channel": ["#a"]}, "Say where to post"),
        ({"text": "x"}, {"content": "poem"}, "The content 'poem' is not known. It can be full"),
        ({"text": "x"}, {"title": 3}, "`title` must be a text"),
    ],
)
async def test_what_cannot_be_meant_is_refused_before_anything_is_posted(
    given: Json, config: Json, words: str
) -> None:
    host = Host()
    with pytest.raises(Fatal) as raised:
        await post(given, host, **config)
    assert raised.value.code == "refused"
    assert words in raised.value.message
    assert host.called == []


# --- as an agent


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Installation]:
    async with Installation.open(Settings(home=tmp_path / "home")) as opened:
        yield opened


async def test_an_agent_posts_the_summary_of_the_step_before_to_one_channel(
    house: Installation, actor: Actor
) -> None:
    skills = [
        {
            "name": "notion-weekly-summary",
            "order": 1,
            "config": {"databases": ["Client Projects"], "window": "last_7_days"},
        },
        {"name": "slack-poster", "order": 2, "config": {"channel": "#team-updates", "content": "summary"}},
    ]
    agent = await house.agents.create(
        actor, {"name": "Weekly", "skills": skills, "integrations": ["notion", "slack"]}
    )
    test_id = await house.agents.start_test(actor, agent.id, input_data={})
    report = await house.agents.await_test(actor, test_id, 60)
    assert report.verdict == "passed", report.problems
    effect = next(effect for effect in report.effects if effect["tool"] == "slack.post_message")
    assert [one["tool"] for one in report.effects] == ["slack.post_message", "Inbox"]
    assert effect["destination"]["resource"] == "#team-updates"
    assert effect["summary"] == "posts to #team-updates"
    assert effect["content"]["text"] == report.output["text"]
    assert report.text == report.output["report"]
    assert len(report.text) > len(report.output["text"])
