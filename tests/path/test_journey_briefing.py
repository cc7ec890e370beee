"""A briefing for each new entry: tried on the latest one, started by new ones only."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

from sqlalchemy import update
from tests.path.journeys import Person, town

from omniforge.agents.hook_store import CursorRow
from omniforge.agents.polls import Poller
from omniforge.integrations.catalog.notion.standin.state import StandinState
from omniforge.integrations.catalog.notion.standin.workspace import Field, Row, Table, stable_id

ENTRY = "5a1c0000-0000-4000-8000-00000000abcd"


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
        await added_later(sandra, table)


async def added_later(sandra: Person, table: Table) -> None:
    """A row that comes afterwards leads to a finished run, with the briefing in the inbox."""
    workspace = cast("StandinState", sandra.services["notion"]).workspace
    made = datetime.now(UTC).replace(second=0, microsecond=0)
    values = {table.fields[0].name: "Board dinner"}
    workspace.rows[ENTRY] = Row(ENTRY, table.id, made, made, workspace.people[0].id, values, [])
    poller = Poller(sandra.house.agents, sandra.house.agents.clock)
    for _ in range(2):  # the second look finds nothing more
        async with sandra.house.db.transaction() as session:
            await session.execute(update(CursorRow).values(next_poll_at=made - timedelta(days=1)))
        await poller.poll_due()
    found = await sandra.ask("GET", "/agents/executive-meeting-briefing/executions", params={"mode": "live"})
    (started,) = found["executions"]
    run = await sandra.finished(started["id"])
    assert (run["status"], run["triggered_by"]) == ("completed", "event:notion")
    assert "Board dinner" in run["result"]["text"]
    async with asyncio.timeout(20):
        while not (items := (await sandra.ask("GET", "/inbox"))["items"]):
            await asyncio.sleep(0.05)
    (note,) = items
    assert (note["execution_id"], "Board dinner" in note["text"]) == (run["id"], True)


async def test_a_real_test_comes_only_after_one_without_effects(tmp_path: Path) -> None:
    async with town(tmp_path / "home", "notion", "slack") as sandra:
        meetings(sandra)
        await sandra.talk(
            "A briefing for each new entry in Executive Meetings, and post it to #team-updates in Slack",
            "yes",
            "Done!",
            "yes",
            "Done!",
            "you choose",
            "A",
            "yes",
        )
        assert "**B** a real test" in sandra.replies[-1]["text"]
        first = await sandra.say("B")
        assert "first A" in first["text"]
        assert "nothing was changed or sent" in first["text"]
        asked = await sandra.say("B")
        assert "once and for real" in asked["text"]
        assert "#team-updates" in asked["text"]
        assert sandra.sent("slack") == []
        done = await sandra.say("B")
        assert "This was done for real." in done["text"]
        assert [request.path for request in sandra.sent("slack")] == ["/api/chat.postMessage"]
        assert (await sandra.ask("GET", "/agents"))["agents"][0]["status"] == "draft"


async def test_a_place_that_is_not_there_is_said_to_be_missing(tmp_path: Path) -> None:
    async with town(tmp_path / "home", "notion") as sandra:
        await sandra.talk("A briefing for each new entry in Board Dinners", "yes", "Done!")
        reply = sandra.replies[-1]
        assert "Board Dinners" in reply["text"]
        assert "can't find" in reply["text"]
        assert "Client Projects" in reply["text"]
