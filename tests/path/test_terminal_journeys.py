"""Every journey at the terminal: `omniforge chat` beside a server, ending in finished runs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.path.terminal import Terminal
from tests.path.test_journey_business import INSURANCE, ONBOARDING, ORDERS, done
from tests.path.test_webhook_entrance import let_the_time_come, until_polled

from living_server import LocalService, Server
from omniforge.cli.demo import allow
from omniforge.integrations.catalog.notion.standin.workspace import Field, Row, Table, stable_id

REPORT = "weekly-project-report"


@pytest.fixture
async def linear() -> AsyncIterator[LocalService]:
    local = LocalService("linear")
    await local.start()
    yield local
    await local.stop()


@pytest.fixture
async def firm(
    tmp_path: Path, notion: LocalService, slack: LocalService, linear: LocalService
) -> AsyncIterator[Server]:
    started = Server(tmp_path / "firm", notion, slack, linear)
    await started.start()
    yield started
    await started.close()


async def executions(server: Server, agent_id: str) -> list[dict[str, Any]]:
    """The live ones, newest first, each finished."""
    found = await server.ask("GET", f"/agents/{agent_id}/executions", params={"mode": "live"})
    return [await server.finished(one["id"]) for one in found["executions"]]


def posted(slack: LocalService) -> int:
    return sum(request.path == "/api/chat.postMessage" for request in slack.state.requests)


async def in_plain_words(server: Server) -> int:
    """How many replies were given; in none of them stood a word that people are not shown. The conversation
    looks at each itself, for only it can tell its own words from those of people and services."""
    assert "technical words" not in server.output.read_text()
    sessions = (await server.ask("GET", "/conversation", params={"limit": 100}))["sessions"]
    details = [await server.ask("GET", f"/conversation/{session['id']}") for session in sessions]
    return sum(message["role"] == "bot" for detail in details for message in detail["messages"])


async def weekly_report(server: Server) -> None:
    """The first agent, in two sittings: the person signs in between them."""
    async with Terminal(server) as maya:
        said = "Our weekly reports from Notion boards take hours every Monday"
        assert "about 2 minutes" in await maya.say(said)
        await maya.pick("Yes")
        address = maya.address
    await allow(address)
    async with Terminal(server, "--resume", maya.session) as maya:
        assert maya.address == address
        assert "Client Projects 42, Internal Initiatives 8, Archived 156" in await maya.pick("Done")
        await maya.pick("The first two")
        summary = await maya.say(
            "last week's updates, status, blockers, bullets by client, Monday morning before my 9:00 meeting"
        )
        assert "every Monday at 8:30 in the morning" in summary
        assert "Latest Update, Status, Blockers, Owner" in await maya.say("Yes, but also the project owner")
        await maya.pick("Yes, create it")
        report = await maya.pick("Yes, test it")
        assert report.index("On Track") < report.index("At Risk")
        report = await maya.say("Put At Risk first")
        assert "Order: nothing → At Risk first" in report
        assert report.index("Status: At Risk") < report.index("Status: On Track")
        assert "reads two Notion databases; writes nothing" in report
        await maya.pick("Looks good")
        assert (await server.ask("GET", f"/agents/{REPORT}"))["status"] == "draft"
        assert "The next run is on Monday" in await maya.pick("Yes, switch it on")


async def shared_with_derek(server: Server) -> None:
    """First as a copy of his own, which he finishes; then as one agent for both."""
    body = {"email": "derek@example.com", "name": "Derek", "role": "operator"}
    invited = await server.ask("POST", "/users", json=body)
    async with httpx.AsyncClient(base_url=server.url, timeout=60) as browser:
        assert (await browser.get(invited["login_link"])).status_code == 303
        me = (await browser.get("/api/v1/me")).json()
        wanted = {"name": "terminal", "permissions": me["permissions"]}
        made = await browser.post("/api/v1/keys", json=wanted)
        key = made.json().get("key") or pytest.fail(made.text)
    own = {"OMNIFORGE_API_KEY": key}
    async with Terminal(server) as maya:
        offer = await maya.say("Share it with my team")
        for fact in ("Notion (Acme Operations)", "Client Projects", "Internal Initiatives", "Derek"):
            assert fact in offer
        await maya.pick("A: A template")
        assert "still to choose there: databases" in await maya.pick("Yes, share it")
    async with Terminal(server, **own) as derek:
        assert "needs your own Notion" in await derek.say("finish Weekly Project Report")
        await derek.pick("Yes")
        assert "Client Projects (42 entries)" in await derek.sign_in()
        await derek.say("the first two")
        assert "Status: On Track" in await derek.pick("Yes, test it")
        await derek.pick("Looks good")
        assert "is switched on" in await derek.pick("Yes, switch it on")
        assert "has run" in await derek.say("run my weekly report agent")
    (copy,) = [
        agent
        for agent in (await server.ask("GET", "/agents"))["agents"]
        if agent["origin"] == {"agent_id": REPORT, "version": 3}
    ]
    (run,) = await executions(server, copy["id"])
    assert (run["status"], run["triggered_by"].partition(":")[0]) == ("completed", "key")

    async with Terminal(server) as maya:
        await maya.say("share my weekly report agent with Derek")
        await maya.pick("B: A team agent")
        assert "is a team agent now" in await maya.pick("Yes, share it")
    agent = await server.ask("GET", f"/agents/{REPORT}")
    assert (agent["sharing_level"], agent["shared_with"]) == ("team", [me["user"]["id"]])
    async with Terminal(server, **own) as derek:
        await derek.say("run my weekly report agent")
        assert "has run" in await derek.pick("Weekly Project Report")
    assert {one["status"] for one in await executions(server, REPORT)} == {"completed"}


async def test_a_report_is_built_run_extended_taken_back_and_shared(
    office: Server, notion: LocalService, slack: LocalService
) -> None:
    await weekly_report(office)
    agent = await office.ask("GET", f"/agents/{REPORT}")
    assert (agent["status"], agent["version"], agent["schedule"]) == ("active", 1, "30 8 * * MON")

    async with Terminal(office) as maya:
        assert "· Running Weekly Project Report" in await maya.say("Run my weekly report agent")
        assert "Weekly Project Report has run." in maya.text
        assert "Status: At Risk" in maya.text
        await maya.say("list my agents")
        assert "has run" in await maya.say("run the first one")
        assert "The nearest: Weekly Project Report" in await maya.say("run my weekly invoices agent")

        assert "Slack must be connected" in await maya.say("Also post a summary to Slack")
        await maya.pick("Yes")
        assert "Slack Poster by OmniForge" in await maya.sign_in()
        await maya.pick("A: use the public skill Slack Poster")
        await maya.pick("#team-updates")
        changed = await maya.pick("B: A summary")
        assert "Unchanged: " in changed
        await maya.pick("Yes, test it")
        assert posted(slack) == 0
        assert "Save it?" in await maya.pick("Looks good")
        assert (await office.ask("GET", f"/agents/{REPORT}"))["version"] == 1
        assert "version 2" in await maya.pick("Yes, save it")
        await maya.pick("Run my weekly report agent")

    agent = await office.ask("GET", f"/agents/{REPORT}")
    second = agent["skills"][1]
    assert (agent["version"], second["name"], second["source"]) == (2, "slack-poster", "public")
    assert second["version"]
    assert posted(slack) == 1

    async with Terminal(office) as maya:
        assert "Version 2 (runs now)" in await maya.say("show me the versions of my weekly report")
        await maya.say("Undo my last change")
        assert "version 3 now, the same as version 1" in await maya.pick("Yes, go back")
        assert "has run" in await maya.say("run it")
    first, third = [await office.ask("GET", f"/agents/{REPORT}/versions/{number}") for number in (1, 3)]
    assert (first["snapshot"], first["skill_hashes"]) == (third["snapshot"], third["skill_hashes"])
    ran = await executions(office, REPORT)
    assert [one["status"] for one in ran] == ["completed"] * 4
    assert {one["triggered_by"] for one in ran} == {"user:local"}
    assert [one["agent_version"] for one in ran] == [3, 2, 1, 1]
    await shared_with_derek(office)
    assert await in_plain_words(office) > 20


MEETINGS = "Executive Meetings"
ENTRY = "5a1c0000-0000-4000-8000-00000000abcd"


def meetings(notion: LocalService) -> Table:
    """A database of meetings with one entry."""
    workspace = notion.state.workspace
    model = workspace.tables[0]
    ids = stable_id("database", MEETINGS), stable_id("source", MEETINGS)
    table = Table(*ids, MEETINGS, [*model.fields, Field("Profile link", "url")], model.created)
    workspace.tables.append(table)
    row = next(iter(workspace.rows.values()))
    row.table_id = table.id
    row.created = row.edited = workspace.now()
    return table


async def test_a_briefing_is_made_for_a_row_that_is_added_afterwards(
    server: Server, notion: LocalService
) -> None:
    table = meetings(notion)
    async with Terminal(server) as sandra:
        await sandra.say("A briefing for each new entry in Executive Meetings")
        await sandra.pick("Yes")
        assert "I use Executive Meetings." in await sandra.sign_in()
        await sandra.pick("You choose")
        await sandra.pick("Yes, create it")
        assert "A a test on the latest entry" in await sandra.say("How will I know it works?")
        assert "nothing was changed or sent" in await sandra.pick("A: a test on the latest entry")
        assert "Profile link" in await sandra.say("Also LinkedIn")
        await sandra.pick("Looks good")
        assert "checked every 15 minutes" in await sandra.pick("Yes, switch it on")
    (agent,) = (await server.ask("GET", "/agents"))["agents"]
    assert await executions(server, agent["id"]) == []

    made = datetime.now(UTC).replace(second=0, microsecond=0)
    workspace = notion.state.workspace
    values = {table.fields[0].name: "Board dinner"}
    workspace.rows[ENTRY] = Row(ENTRY, table.id, made, made, workspace.people[0].id, values, [])
    await server.stop()
    let_the_time_come(server.home / "omniforge.db", agent["id"])
    await server.start()
    await until_polled(server, agent["id"])
    async with asyncio.timeout(30):
        while not (ran := await executions(server, agent["id"])):
            await asyncio.sleep(0.05)
    assert [(one["status"], one["triggered_by"]) for one in ran] == [("completed", "event:notion")]
    assert "Board dinner" in ran[0]["result"]["text"]
    async with asyncio.timeout(30):
        while not (items := (await server.ask("GET", "/inbox"))["items"]):
            await asyncio.sleep(0.05)
    (note,) = items
    assert (note["execution_id"], "Board dinner" in note["text"]) == (ran[0]["id"], True)
    async with Terminal(server) as sandra:
        assert "last run" in await sandra.say("status")
    assert await in_plain_words(server) > 8


async def run_on(server: Server, terminal: Terminal, agent_id: str, **given: str) -> dict[str, Any]:
    """Sample data given in the conversation; the execution that comes of it."""
    await terminal.say(f"run it on this: {json.dumps(given)}")
    return (await executions(server, agent_id))[0]


async def own_skills(terminal: Terminal) -> str:
    """Where a public skill is suggested: one of their own."""
    while "B: make one of your own" in terminal.suggested:
        await terminal.pick("B: make one of your own")
    return terminal.text


async def built(server: Server, terminal: Terminal) -> str:
    """From the summary to an agent that is switched on, by numbers only; its id."""
    await terminal.pick("Yes, create it", "Yes, test it", "Looks good")
    while "Yes, switch it on" not in terminal.suggested:  # everything that can go wrong takes a while to try
        await terminal.pick("Looks good")
    await terminal.pick("Yes, switch it on")
    agents = (await server.ask("GET", "/agents", params={"status": "active"}))["agents"]
    return str(max(agents, key=lambda agent: agent["created_at"])["id"])


async def test_three_flows_of_a_business_take_the_right_branch(
    firm: Server, notion: LocalService, slack: LocalService
) -> None:
    async with Terminal(firm) as person:
        assert "A use the public skill Document Extractor" in await person.say(INSURANCE)
        assert "after 1, 2, 3 and 4" in await own_skills(person)
        agent = await built(firm, person)
        form = "Insurance provider: {}\nPatient name: Ann Lee\nPolicy number: A-5"
        aetna = await run_on(firm, person, agent, document=form.format("Aetna"))
        assert aetna["status"] == "completed"
        assert done(aetna) == {"extract-document", "fill-aetna", "check-quality"}
        unknown = await run_on(firm, person, agent, document=form.format("Cigna"))
        assert (unknown["status"], done(unknown)) == ("partial", {"extract-document", "check-quality"})

    async with Terminal(firm) as person:
        await person.say(ORDERS)
        await person.pick("Yes")
        await person.sign_in()
        assert "(at the same time as 2)" in await own_skills(person)
        agent = await built(firm, person)
        order = "PO number: PO-7\nItem: Keyboard\nTotal: {}"
        assert posted(slack) == 0
        rejected = await run_on(
            firm, person, agent, purchase_order=order.format("85.00"), invoice=order.format("90.00")
        )
        assert {"decide-reject", "slack-post-finance-2"} <= done(rejected)
        assert "5.9 %" in person.text
        approved = await run_on(
            firm, person, agent, purchase_order=order.format("85.00"), invoice=order.format("85.00")
        )
        assert "decide-approve" in done(approved)
        assert posted(slack) == 1

    async with Terminal(firm) as person:
        await person.say(ONBOARDING)
        await person.pick("Yes")
        await person.sign_in()
        assert "Slack is connected already" in person.text
        await person.pick("Yes")
        await person.sign_in()
        await own_skills(person)
        await person.pick("Client Projects")
        assert "after 2, 3 and 4" in await person.say("the first one")
        agent = await built(firm, person)
        steps = {
            step["key"]: step
            for step in (await run_on(firm, person, agent, customer="Globex"))["skill_results"]
        }
        made = (await firm.ask("GET", f"/agents/{agent}"))["skills"]
        needs = {skill["key"]: skill["needs"] for skill in made}
        middle = ["slack-post-general", "linear-create-issue", "slack-post-support"]
        assert [needs[key] for key in middle] == [["notion-create-entry"]] * 3
        assert {step["status"] for step in steps.values()} == {"succeeded"}
        last = steps["slack-post-team-updates"]
        assert all(steps[key]["completed_at"] <= last["started_at"] for key in middle)
        assert posted(slack) == 4
    assert await in_plain_words(firm) > 20
