"""Running on demand by conversation: found by name or place, followed, and shown with its result."""

from __future__ import annotations

import json

from tests.path.journeys import Person
from tests.path.test_journey_share import BUILD, REPORT, maya

__all__ = ["maya"]


async def test_an_agent_is_run_by_a_sentence_and_its_steps_are_told_while_it_runs(maya: Person) -> None:
    path = f"/api/v1/conversation/{maya.session}/message"
    headers = {"Accept": "text/event-stream"}
    body = {"message": "Run my weekly report agent"}
    async with maya.client.stream("POST", path, json=body, headers=headers) as stream:
        lines = [line async for line in stream.aiter_lines()]
    told = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]
    texts = [str(event.get("text", "")) for event in told]
    assert any("notion-weekly-report: is at work" in text for text in texts), texts
    reply = told[-1]
    assert "# Weekly Project Report" in reply["text"]
    (card,) = [card for card in reply["data"]["cards"] if card["type"] == "execution"]
    execution = await maya.ask("GET", f"/executions/{card['execution_id']}")
    assert (execution["status"], execution["triggered_by"]) == ("completed", "user:local")
    assert card["steps"] == [{"name": "notion-weekly-report", "status": "succeeded"}]


async def test_one_of_a_list_is_run_and_unknown_names_get_the_nearest(maya: Person) -> None:
    listed = await maya.say("list my agents")
    assert "Weekly Project Report" in listed["text"]
    assert "# Weekly Project Report" in (await maya.say("run the first one"))["text"]
    executions = await maya.ask("GET", f"/agents/{REPORT}/executions?mode=live")
    assert [one["status"] for one in executions["executions"]] == ["completed"]
    assert (
        "The nearest: **Weekly Project Report**" in (await maya.say("run my weekly invoices agent"))["text"]
    )
    assert executions["total"] == 1


async def test_a_draft_is_tested_or_finished_instead(maya: Person) -> None:
    await maya.say("I'd like another report from Notion, a daily one")
    await maya.talk("yes", "the first two", BUILD[4], "yes")
    drafts = (await maya.ask("GET", "/agents?status=draft"))["agents"]
    assert len(drafts) == 1
    fresh = Person(maya.client, maya.house, maya.services)
    offer = await fresh.say(f"run my {drafts[0]['name']} agent")
    assert "is a draft" in offer["text"]
    tested = await fresh.say("A")
    assert "sample data" in tested["text"]
    assert (await maya.ask("GET", f"/agents/{drafts[0]['id']}/executions?mode=live"))["total"] == 0
