"""Sharing by conversation: a copy for a colleague, who finishes it, and one agent for the whole team."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.path.journeys import Person, town

BUILD = (
    "Our weekly reports from Notion boards take hours every Monday",
    "Yes",
    "Done!",
    "the first two",
    "last week's updates, status, blockers, bullets by client, Monday morning before my 9:00 meeting",
    "Yes",
    "Yes please",
    "Looks good",
    "Yes",
)
REPORT = "weekly-project-report"


@pytest.fixture
async def maya(tmp_path: Path) -> AsyncIterator[Person]:
    """The owner, with an agent that is switched on."""
    async with town(tmp_path / "home", "notion") as person:
        reply = await person.talk(*BUILD)
        assert reply["phase"] == "complete", reply["text"]
        yield person


@pytest.fixture
async def derek(maya: Person) -> AsyncIterator[Person]:
    """A colleague who was asked in, signed in by the link they were sent."""
    body = {"email": "derek@example.com", "name": "Derek", "role": "operator"}
    invited = await maya.ask("POST", "/users", json=body)
    async with httpx.AsyncClient(base_url=maya.client.base_url, timeout=150) as client:
        assert (await client.get(invited["login_link"])).status_code == 303
        assert (await client.get("/api/v1/me")).json()["user"]["name"] == "Derek"
        yield Person(client, maya.house, maya.services)


async def refused(person: Person, method: str, path: str, **options: Any) -> tuple[int, str]:
    answer = await person.client.request(method, f"/api/v1{path}", **options)
    return answer.status_code, str(answer.json().get("details", {}).get("permission", ""))


async def test_a_template_gives_each_an_own_draft_which_they_finish_with_own_accounts(
    maya: Person, derek: Person
) -> None:
    offer = await maya.say("Share it with my team")
    for fact in ("Notion (Acme Operations)", "Client Projects", "Internal Initiatives", "**Derek**"):
        assert fact in offer["text"]
    assert "give **Derek** a copy" in (await maya.say("A"))["text"]
    assert (await derek.ask("GET", "/agents"))["agents"] == []
    done = await maya.say("Yes")
    assert "still to choose there: databases" in done["text"]

    (copy,) = (await derek.ask("GET", "/agents"))["agents"]
    assert (copy["status"], copy["origin"]) == ("draft", {"agent_id": REPORT, "version": 1})
    assert (copy["connections"], copy["usage_stats"]["total_runs"]) == ({}, 0)
    assert copy["skills"][0]["config"]["places"] == []
    (note,) = (await derek.ask("GET", "/inbox"))["items"]
    assert "gave you a copy of Weekly Project Report" in note["title"]
    assert await refused(derek, "GET", f"/agents/{REPORT}") == (404, "")
    assert (await derek.ask("GET", "/connections"))["connections"] == []

    assert "needs your own Notion" in (await derek.say("finish Weekly Project Report"))["text"]
    asked = await derek.talk("Yes", "done")
    assert "Client Projects (42 entries)" in asked["text"]
    assert "Shall I test" in (await derek.say("the first two"))["text"]
    tested = await derek.say("Yes, test it")
    assert "# Weekly Project Report" in tested["text"]
    assert "Shall I switch it on?" in (await derek.say("Looks good"))["text"]
    assert (await derek.ask("GET", f"/agents/{copy['id']}"))["status"] == "draft"
    assert "is switched on" in (await derek.say("Yes, switch it on"))["text"]
    await derek.say("run my weekly report agent")
    (execution,) = (await derek.ask("GET", f"/agents/{copy['id']}/executions?mode=live"))["executions"]
    assert execution["status"] == "completed"
    assert execution["triggered_by"] == f"user:{copy['created_by']}"
    assert (await maya.ask("GET", f"/agents/{REPORT}/executions?mode=live"))["total"] == 0


async def test_a_team_agent_is_run_by_a_member_with_the_owners_connection_until_it_is_taken_back(
    maya: Person, derek: Person
) -> None:
    await maya.talk("share my weekly report agent with Derek", "B")
    assert "is a team agent now" in (await maya.say("yes, share it"))["text"]
    agent = await derek.ask("GET", f"/agents/{REPORT}")
    me = (await derek.ask("GET", "/me"))["user"]["id"]
    assert (agent["sharing_level"], agent["shared_with"]) == ("team", [me])

    result = await derek.say("run my weekly report agent")
    assert "# Weekly Project Report" in result["text"]
    (execution,) = (await derek.ask("GET", f"/agents/{REPORT}/executions?mode=live"))["executions"]
    assert (execution["status"], execution["triggered_by"]) == ("completed", f"user:{me}")
    assert await refused(derek, "PATCH", f"/agents/{REPORT}", json={"name": "Mine"}) == (403, "agent:edit")
    assert await refused(derek, "POST", f"/agents/{REPORT}/rollback", json={"version": 1}) == (
        403,
        "agent:edit",
    )
    await derek.say("pause my weekly report agent")
    assert "but not change it" in (await derek.say("yes"))["text"]
    assert (await maya.ask("GET", f"/agents/{REPORT}"))["status"] == "active"

    await maya.say("stop sharing my weekly report agent")
    assert "private again" in (await maya.say("yes"))["text"]
    assert await refused(derek, "POST", f"/agents/{REPORT}/run") == (404, "")
    assert (await derek.ask("GET", f"/executions/{execution['id']}"))["result"] is not None


async def test_others_who_have_it_are_counted_before_a_change_and_told_after_it_on_a_yes(
    maya: Person, derek: Person
) -> None:
    await maya.talk("share it with Derek", "B", "yes")
    await maya.talk("Put At Risk first")
    asked = await maya.say("Looks good")
    assert "One other person uses this agent; from then on they get the changed one." in asked["text"]
    saved = await maya.say("Yes, save it")
    assert "is now version 2" in saved["text"]
    assert "Shall I tell the other person who has it?" in saved["text"]
    before = (await derek.ask("GET", "/inbox"))["total"]
    assert "I left a note for **Derek**" in (await maya.say("Yes, tell them"))["text"]
    notes = (await derek.ask("GET", "/inbox"))["items"]
    assert len(notes) == before + 1
    assert notes[0]["title"] == "Weekly Project Report is version 2 now"
    assert "At Risk" in notes[0]["text"]
    await maya.talk("Put Blocked first", "Looks good", "Yes, save it")
    assert "nobody is told" in (await maya.say("No"))["text"]
    assert len((await derek.ask("GET", "/inbox"))["items"]) == before + 1


async def test_agents_of_one_name_are_told_apart(maya: Person, derek: Person) -> None:
    await maya.talk("share it with Derek", "A", "yes")
    await maya.talk("share my weekly report agent with Derek", "B", "yes")
    asked = await derek.say("what does my weekly report do?")
    assert "Weekly Project Report (your own)" in asked["text"]
    assert "Weekly Project Report (shared with you)" in asked["actions"]
    shown = await derek.say("Weekly Project Report (shared with you)")
    assert "is switched on (version 1)" in shown["text"]
