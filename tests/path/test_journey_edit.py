"""An agent that exists is changed by conversation, while the old one goes on until the change is saved."""

from __future__ import annotations

from pathlib import Path

from tests.path.journeys import Person, town

BUILD = (
    "Our weekly reports from Notion boards take hours every Monday",
    "Yes",
    "Done!",
    "the first two",
    "status and owner, bullets by client, Mondays at 9",
    "Yes",
    "Yes please",
    "Looks good",
    "Yes",
)


async def build(person: Person) -> None:
    await person.talk(*BUILD)
    await person.begin()


async def test_also_posting_a_summary_becomes_version_two(tmp_path: Path) -> None:
    async with town(tmp_path / "home", "notion", "slack") as derek:
        await build(derek)
        now = await derek.talk("Also post a summary to Slack")
        assert "does this now" in now["text"]
        assert "Slack must be connected" in now["text"]
        await derek.talk("yes", "Done!")
        assert "#team-updates" in derek.replies[-1]["text"]
        content = await derek.say("#team-updates")
        assert [option["text"] for option in content["data"]["cards"][-1]["options"]] == [
            "Everything",
            "A summary",
            "A summary with a link to the whole",
        ]
        changed = await derek.say("B")
        diff = next(card for card in changed["data"]["cards"] if card["type"] == "diff")
        assert any(row["changed"] for row in diff["rows"])
        assert any(not row["changed"] for row in diff["rows"])
        await derek.talk("yes, test it")
        assert derek.sent("slack") == []
        ask = await derek.say("looks good")
        assert "Save it?" in ask["text"]
        before = await derek.ask("GET", "/agents/weekly-project-report")
        assert (before["version"], len(before["skills"]), before["pending_version"]) == (1, 1, 2)
        started = await derek.ask("POST", "/agents/weekly-project-report/run", json={"input_data": {}})
        await derek.finished(started["execution_id"])
        assert derek.sent("slack") == []  # the old one runs until the change is saved
        saved = await derek.say("save it")
        assert "version 2" in saved["text"]
        versions = (await derek.ask("GET", "/agents/weekly-project-report/versions"))["versions"]
        assert {version["version"] for version in versions} == {1, 2}
        started = await derek.ask("POST", "/agents/weekly-project-report/run", json={"input_data": {}})
        assert (await derek.finished(started["execution_id"]))["status"] == "completed"
        assert [request.path for request in derek.sent("slack")] == ["/api/chat.postMessage"]


async def test_a_connection_that_exists_is_named_with_its_date_and_reused(tmp_path: Path) -> None:
    async with town(tmp_path / "home", "notion", "slack") as derek:
        await build(derek)
        await derek.talk("Also post a summary to Slack", "yes", "Done!", "cancel")
        await derek.begin()
        again = await derek.say("Also post a summary to Slack")
        assert "connected already: workspace **Acme Operations**, since" in again["text"]
