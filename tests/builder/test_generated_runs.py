"""What is generated really runs: every pair of operation and service in the sandbox, on sample data."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.builder.generating import (
    EVENTS,
    PLACES,
    dry,
    groups,
    happening,
    part,
    report_part,
)
from tests.path.rehearsing import installation

from omniforge.agents.content import Verdict
from omniforge.agents.schemas import TestReport
from omniforge.bootstrap import Installation
from omniforge.builder.generation import build_draft
from omniforge.builder.outline import (
    Brief,
    Condition,
    Content,
    Create,
    Follow,
    Happening,
    Keep,
    Only,
    OrderRule,
    Outline,
    Part,
    Place,
    Post,
    Report,
    Summarise,
    Update,
)
from omniforge.builder.understanding.mentions import Format

TEAM, URGENT = Place(name="#team-updates"), Place(name="#general")


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Installation]:
    async with installation(tmp_path / "home") as made:
        yield made


async def run(house: Installation, *parts: Part, starts: Happening | None = None) -> TestReport:
    return await dry(house, build_draft(Outline(parts=parts, starts=starts), name="Weekly", timezone="UTC"))


def sent(report: TestReport, step: str) -> str:
    """What a step would have sent."""
    [content] = [effect["content"] for effect in report.effects if effect["step"] == step]
    return str(content["text"])


def told_by(report: TestReport) -> set[str]:
    """The steps that would have sent something."""
    return {str(effect["step"]) for effect in report.effects if effect["access"] == "send"}


# --- every pair ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("group", groups())
async def test_everything_that_can_be_generated_passes_its_dry_run(house: Installation, group: str) -> None:
    parts = groups()[group]
    report = await run(house, *parts)
    assert report.verdict is Verdict.PASSED, report.problems
    assert {one["status"] for one in report.skill_results} == {"succeeded"}
    assert len(report.skill_results) == len(parts)
    assert [entry["words"] for entry in report.manifest if "the data decide" in entry["words"]] == []
    if group == "writing":
        [change] = [entry for entry in report.manifest if entry["tool"] == "notion.update_page"]
        assert (change["cap"], change["cardinality"]) == (200, "each")


@pytest.mark.parametrize("service", EVENTS)
async def test_a_briefing_about_whatever_happens_passes_its_dry_run(
    house: Installation, service: str
) -> None:
    for event in EVENTS[service]:
        draft = build_draft(happening(service, event), name="Briefing", timezone="UTC")
        report = await dry(house, draft)
        assert (report.verdict, report.problems) == (Verdict.PASSED, []), event
        assert report.text.startswith("# ")
        assert sent(report, "slack-post").startswith("# ")


async def test_a_delivery_of_another_program_is_written_up(house: Installation) -> None:
    starts = Happening(service="webhook", event="*")
    outline = Outline(parts=(part("webhook-briefing", "webhook", Brief()),), starts=starts)
    event = {
        "id": "e1", "type": "order.placed", "at": "2026-11-20T08:00:00Z", "resource": None,
        "item": {"type": "order.placed", "data": {"customer": "Aurora *Health*", "total": 119.5}},
    }  # fmt: skip
    draft = build_draft(outline, name="Orders", timezone="UTC")
    report = await dry(house, draft, input_data={"event": event})
    assert report.verdict is Verdict.PASSED
    assert "**Customer:** Aurora \\*Health\\*" in report.text
    assert "**Total:** 119.5" in report.text


# --- what a report says -------------------------------------------------------------------------------------


async def test_a_report_keeps_orders_groups_and_lays_out(house: Installation) -> None:
    does = Report(
        places=(PLACES["notion"],), fields=("Status", "Owner"), window="last_30_days", group="Client",
        order=(OrderRule(field="Status", first=("At Risk",)),),
        only=(Only(field="Status", values=("Done",), keep=False),), format=Format.TABLE,
    )  # fmt: skip
    report = await run(house, part("notion-report", "notion", does))
    lines = report.text.splitlines()
    assert lines[0] == "# Weekly"
    assert lines[3] == ""
    assert "entries from Client Projects" in lines[2]
    assert lines[4].startswith("## ")
    assert lines[6] == "| Entry | Status | Owner |"
    assert "At Risk" in lines[8]
    assert "Done" not in report.text
    assert report.output is not None
    assert report.output["read"] == ["Client Projects"]
    assert {entry["fields"]["Status"] for entry in report.output["entries"]} >= {"At Risk"}


async def test_a_report_marks_what_a_later_step_depends_on_and_reports_everything(
    house: Installation,
) -> None:
    late = Condition(words="something is at risk", only=(Only(field="Status", values=("At Risk",)),))
    never = Condition(words="something is purple", only=(Only(field="Status", values=("Purple",)),))
    parts = (
        part("notion-report", "notion", Report(places=(PLACES["notion"],), fields=("Status",))),
        part("slack-late", "slack", Post(place=TEAM), "notion-report").model_copy(update={"condition": late}),
        part("slack-fine", "slack", Post(place=URGENT), "notion-report").model_copy(
            update={"condition": Condition(words="", otherwise=True)}
        ),
    )
    report = await run(house, *parts)
    assert report.output is not None
    assert told_by(report) == {"slack-late"}
    other = (parts[0], parts[1].model_copy(update={"condition": never}), parts[2])
    report = await run(house, *other)
    assert told_by(report) == {"slack-fine"}
    assert "On Track" in report.text


async def test_a_report_without_anything_says_so_and_sends_nothing(house: Installation) -> None:
    does = Report(
        places=(PLACES["notion"],), window="last_30_days", only=(Only(field="Status", values=("Nope",)),)
    )
    post = part("slack-post", "slack", Post(place=TEAM), "notion-report")
    report = await run(house, part("notion-report", "notion", does), post)
    assert (report.verdict, report.effects) == (Verdict.NO_EFFECT, [])
    always = post.model_copy(update={"does": Post(place=TEAM, always=True)})
    asked = await run(house, part("notion-report", "notion", does), always)
    assert [effect["step"] for effect in asked.effects if effect["tool"] != "Inbox"] == ["slack-post"]


# --- several steps ------------------------------------------------------------------------------------------


async def test_two_reports_become_one_summary_that_is_posted(house: Installation) -> None:
    report = await run(
        house,
        report_part("notion", window="last_30_days", fields=("Status",)),
        report_part("linear", window="last_30_days", fields=("state",)),
        part("summarise-results", None, Summarise(), "notion-report", "linear-report"),
        part("slack-post", "slack", Post(place=TEAM), "summarise-results"),
    )
    assert report.verdict is Verdict.PASSED, report.problems
    assert sent(report, "slack-post")


async def test_a_message_about_two_reports_holds_both(house: Installation) -> None:
    report = await run(
        house,
        report_part("notion", window="last_30_days"),
        report_part("rss", window="last_30_days"),
        part("slack-post", "slack", Post(place=TEAM), "notion-report", "rss-report"),
    )
    message = sent(report, "slack-post")
    assert "Weekly: Notion" in message
    assert "Weekly: News feed" in message


@pytest.mark.parametrize(
    ("expression", "posted"), [("items > 3", "slack-urgent"), ("items > 300", "slack-team")]
)
async def test_one_branch_is_taken_and_the_other_is_shown_as_conditional(
    house: Installation, expression: str, posted: str
) -> None:
    urgent = Post(place=URGENT, content=Content.TEXT, text="{items} things in {title}", urgent=True)
    report = await run(
        house,
        report_part("notion", window="last_30_days"),
        part(
            "slack-urgent",
            "slack",
            urgent,
            "notion-report",
            condition=Condition(words="many", expression=expression),
        ),
        part(
            "slack-team",
            "slack",
            Post(place=TEAM),
            "notion-report",
            condition=Condition(words="else", otherwise=True),
        ),
    )
    assert report.verdict is Verdict.PASSED
    assert [effect["step"] for effect in report.effects if effect["tool"] != "Inbox"] == [posted]
    told = [str(entry["only_if"]) for entry in report.manifest if entry["tool"] == "slack.post_message"]
    assert len(told) == 2
    assert any("items of 'notion-report' is more than" in one for one in told)
    if posted == "slack-urgent":
        assert sent(report, "slack-urgent") == "🔴 **Urgent**\n\n11 things in Weekly"


@pytest.mark.parametrize(("status", "posts"), [("At Risk", True), ("Nowhere", False)])
async def test_a_condition_over_a_field_of_what_was_found(
    house: Installation, status: str, *, posts: bool
) -> None:
    condition = Condition(words=f"something is {status}", expression=f"status == '{status}'")
    told = part("slack-post", "slack", Post(place=TEAM), "notion-report", condition=condition)
    report = await run(house, report_part("notion", window="last_30_days"), told)
    steps = {one["key"]: one["status"] for one in report.skill_results}
    assert steps == {"notion-report": "succeeded", "slack-post": "succeeded" if posts else "skipped"}


@pytest.mark.parametrize("service", ["notion", "linear"])
async def test_a_condition_over_a_field_of_what_happened(house: Installation, service: str) -> None:
    event = EVENTS[service][0]
    condition = Condition(words="it is important", expression="priority == 'High'")
    post = Part(key="slack-post", service="slack", does=Post(place=TEAM), condition=condition)
    report = await run(house, post, starts=Happening(service=service, event=event, place=PLACES[service]))
    assert [one["status"] for one in report.skill_results] == ["succeeded"]
    assert "High" in sent(report, "slack-post")


async def test_the_entry_that_started_the_run_is_changed_and_told_of(house: Installation) -> None:
    starts = Happening(service="notion", event="row.created", place=PLACES["notion"])
    text = Post(place=TEAM, content=Content.TEXT, text="New for {Client}: {title} ({status})")
    report = await run(
        house,
        Part(key="slack-post", service="slack", does=text),
        Part(key="notion-update", service="notion", does=Update(values={"Status": "At Risk"})),
        part(
            "linear-create",
            "linear",
            Create(place=PLACES["linear"], title="Prepare {title}"),
            "notion-update",
        ),
        starts=starts,
    )
    assert report.verdict is Verdict.PASSED, report.problems
    message = sent(report, "slack-post")
    assert message.startswith("New for ")
    assert "{" not in message
    [change] = [entry for entry in report.manifest if entry["tool"] == "notion.update_page"]
    assert change["destination"]["within"]
    title = next(e["content"]["title"] for e in report.effects if e["tool"] == "linear.create_issue")
    assert title == f"Prepare {message.removeprefix('New for ').partition(': ')[2].rpartition(' (')[0]}"


async def test_a_name_that_nothing_gives_stops_the_run_before_anything_is_sent(house: Installation) -> None:
    post = Post(place=TEAM, content=Content.TEXT, text="Hello {nobody}")
    report = await run(
        house,
        report_part("notion", window="last_30_days"),
        part("slack-post", "slack", post, "notion-report"),
    )
    assert report.verdict is Verdict.FAILED
    assert [effect for effect in report.effects if effect["tool"] != "Inbox"] == []
    assert "'nobody'" in report.problems[0]["message"]


async def test_the_public_poster_takes_what_a_report_gives(house: Installation) -> None:
    keep = Keep(skill="slack-poster", config={"channel": "#team-updates", "content": "summary"})
    report = await run(
        house,
        report_part("notion", window="last_30_days"),
        part("slack-poster", "slack", keep, "notion-report"),
    )
    assert report.verdict is Verdict.PASSED, report.problems
    assert sent(report, "slack-poster").startswith("# Weekly")


async def test_judgement_without_a_model_is_told_and_not_passed(house: Installation) -> None:
    follow = part("judge-tone", None, Follow(instructions="Judge the tone."), "slack-report")
    report = await run(house, report_part("slack", window="last_30_days"), follow)
    assert report.verdict is Verdict.NOT_SIMULATED
    assert {problem["step"] for problem in report.problems} == {"judge-tone"}
