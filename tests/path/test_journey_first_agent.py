"""The first agent by conversation, with one service and with two, over HTTP against local services."""

# ruff: noqa: E501 - what people say stands on one line

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from tests.path.journeys import town

FIRST = (
    "Our weekly reports from Notion boards take hours every Monday",
    "Yes",
    "Done!",
    "the first two",
    "last week's updates, status, blockers, bullets by client, Monday morning before my 9:00 meeting",
    "Yes, but also the project owner",
    "Yes",
    "Yes please",
    "Put At Risk first",
    "Looks good",
    "Yes",
)


async def test_a_weekly_report_from_the_first_sentence_to_a_finished_run(tmp_path: Path) -> None:
    async with town(tmp_path / "home", "notion") as maya:
        await maya.talk(*FIRST)
        texts = [reply["text"] for reply in maya.replies]
        assert "about 2 minutes" in texts[0]
        assert "Client Projects 42, Internal Initiatives 8, Archived 156" in texts[2]
        assert "every Monday at 8:30 in the morning (Europe/Berlin)" in texts[4]
        assert "next three times" in texts[4]
        assert "Owner" in texts[5]
        assert "reads two Notion databases; writes nothing; puts the report in your inbox here" in texts[7]
        assert [card["type"] for card in maya.replies[8]["data"]["cards"]] == ["diff", "test_result"]
        assert maya.replies[9]["phase"] == "activation"
        agent = await maya.ask("GET", "/agents/weekly-project-report")
        assert (agent["status"], agent["version"], agent["schedule"]) == ("active", 1, "30 8 * * MON")
        assert [skill["name"] for skill in agent["skills"]] == ["notion-weekly-report"]
        assert datetime.fromisoformat(agent["next_fire_at"]) > datetime.now(UTC)
        assert maya.sent("notion", "PATCH", "PUT", "DELETE") == []
        tests = await maya.ask("GET", "/agents/weekly-project-report/tests")
        assert {test["suite"] for test in tests["tests"]} == {"quick", "full"}
        ran = await maya.say("Run my weekly report agent")
        assert "# Weekly Project Report" in ran["text"]
        found = await maya.ask("GET", "/agents/weekly-project-report/executions")
        assert found["executions"][0]["status"] == "completed"


async def test_a_report_that_is_also_posted_connects_one_service_after_the_other(tmp_path: Path) -> None:
    async with town(tmp_path / "home", "notion", "slack") as maya:
        await maya.talk(
            "A weekly report from our Notion projects every Monday at 9, and post a summary to #team-updates in Slack",
            "yes",
            "Done!",
            "yes",
            "Done!",
            "the first two",
            "status and owner, bullets by client",
        )
        summary = maya.replies[-1]["text"]
        assert "1. Read Client Projects and Internal Initiatives in Notion" in summary
        assert "2. Post a message to #team-updates in Slack" in summary
        await maya.talk("yes", "yes")
        assert maya.sent("slack") == []  # a test posts nothing
        await maya.talk("looks good", "yes", "run my weekly report agent")
        posted = maya.sent("slack")
        assert [request.path for request in posted] == ["/api/chat.postMessage"]
        agent = await maya.ask("GET", "/agents/weekly-project-report")
        assert agent["integrations"] == ["notion", "slack"]
        assert [skill["key"] for skill in agent["skills"]] == [
            "notion-weekly-report",
            "slack-post-team-updates",
        ]
        assert agent["skills"][1]["needs"] == ["notion-weekly-report"]
