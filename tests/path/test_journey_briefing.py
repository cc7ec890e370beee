"""A briefing for each new entry: tried on the latest one, started by new ones only."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from tests.path.journeys import Person, town

from omniforge.integrations.catalog.notion.standin.state import StandinState
from omniforge.integrations.catalog.notion.standin.workspace import Field, Table, stable_id


def meetings(person: Person) -> Table:
    """A database of meetings in the local Notion, with one entry."""
    workspace = cast("StandinState", person.services["notion"]).workspace
    model = workspace.tables[0]
    table = Table(
        stable_id("database", "Executive Meetings"),
        stable_id("source", "Executive Meetings"),
        "Executive Meetings",
        [*model.fields, Field("Profile link", "url")],
        model.created,
    )
    workspace.tables.append(table)
    row = next(iter(workspace.rows.values()))
    row.table_id = table.id
    row.created = row.edited = workspace.now()
    return table


async def test_a_briefing_for_each_new_entry(tmp_path: Path) -> None:
    async with town(tmp_path / "home", "notion") as sandra:
        table = meetings(sandra)
        await sandra.talk("A briefing for each new entry in Executive Meetings", "yes", "Done!")
        assert "I use Executive Meetings." in sandra.replies[-1]["text"]
        summary = await sandra.say("you choose")
        card = next(c for c in summary["data"]["cards"] if c["title"] == "When it happens")
        assert {row["label"] for row in card["rows"]} == {"When", "Does", "Includes"}
        await sandra.say("yes")
        asked = await sandra.say("How will I know it works?")
        assert "**A** a test on the latest entry" in asked["text"]
        tested = await sandra.say("A")
        assert "nothing was changed or sent" in tested["text"]
        also = await sandra.say("Also LinkedIn")
        assert "can't read Linked" in also["text"]
        assert "Profile link" in also["text"]
        await sandra.talk("looks good")
        active = await sandra.say("yes")
        assert "checked every 15 minutes" in active["text"]
        assert "ready within 5 minutes after that" in active["text"]
        agent = await sandra.ask("GET", "/agents/executive-meeting-briefing")
        assert agent["trigger_type"] == "event_driven"
        config = agent["event_config"]
        assert (config["integration"], config["event"], config["resource"]) == (
            "notion",
            "row.created",
            table.id,
        )
        assert (config["mode"], config["interval_minutes"]) == ("poll", 15)
        executions = await sandra.ask(
            "GET", "/agents/executive-meeting-briefing/executions", params={"mode": "live"}
        )
        assert executions["executions"] == []  # what was there before does not start it
