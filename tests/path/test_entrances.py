"""One test per entrance, each over its real interface, each ending in `run.finished`."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from living_server import LocalService, Server

JOURNEY = ["run.queued", "run.started", "step.started"]


async def test_the_conversation_makes_an_agent_that_runs_and_delivers(
    server: Server, notion: LocalService
) -> None:
    replies = await server.talk()
    asks, shown = replies[1], replies[2]
    assert asks["oauth_url"].startswith(notion.url)
    assert "Client Projects 42, Internal Initiatives 8, Archived 156" in shown["text"]
    assert "Monday at 8:30" in replies[4]["text"]
    assert "Owner" in replies[5]["text"]
    assert (replies[-1]["phase"], replies[-1]["data"]["draft_agent_id"]) == (
        "complete",
        "weekly-project-report",
    )
    agent = await server.ask("GET", "/agents/weekly-project-report")
    assert (agent["status"], agent["version"], agent["trigger_type"]) == ("active", 1, "scheduled")
    assert (agent["schedule"], agent["timezone"]) == ("30 8 * * MON", "Europe/Berlin")
    assert agent["integrations"] == ["notion"]
    assert [skill["name"] for skill in agent["skills"]] == ["notion-weekly-report"]
    assert datetime.fromisoformat(agent["next_fire_at"]) > datetime.now(UTC)
    writes = [request for request in notion.state.requests if request.method in ("PATCH", "DELETE")]
    assert writes == []

    session = (await server.ask("GET", "/conversation"))["sessions"][0]
    path = f"/conversation/{session['id']}/message"
    run = await server.ask("POST", path, json={"message": "Run my weekly report agent"})
    assert "# Weekly Project Report" in run["text"]
    executions = await server.ask("GET", "/agents/weekly-project-report/executions", params={"limit": 1})
    execution = executions["executions"][0]
    assert (execution["status"], execution["triggered_by"]) == ("completed", "user:local")
    types = await server.event_types(execution["id"])
    assert types[:3] == JOURNEY
    assert types[-2:] == ["step.completed", "run.finished"]
    async with asyncio.timeout(20):
        while not (items := (await server.ask("GET", "/inbox"))["items"]):
            await asyncio.sleep(0.05)
    assert items[0]["execution_id"] == execution["id"]
    assert items[0]["text"].startswith("# Weekly Project Report")


async def test_the_command_line_runs_an_agent_and_shows_it_step_by_step(server: Server) -> None:
    await server.talk()
    code, out, err = await server.command("run", "Weekly Project Report")
    assert (code, err) == (0, "")
    assert "▸ notion-weekly-report" in out
    assert "✓ notion-weekly-report" in out
    assert "completed" in out
    code, out, _ = await server.command("run", "weekly-project-report", "--json")
    execution = json.loads(out)
    assert (code, execution["status"]) == (0, "completed")
    assert (await server.event_types(execution["id"]))[-1] == "run.finished"


async def test_the_command_line_says_what_is_wrong(server: Server) -> None:
    assert (await server.command("run", "nobody"))[0] == 3
    code, _, err = await server.command("run", "nobody", "--input", "{oops")
    assert code == 2
    assert "--input is not JSON" in err
    assert "Traceback" not in err


async def test_the_terminal_conversation_answers_numbers_and_can_be_resumed(server: Server) -> None:
    code, out, _ = await server.command("chat", said="Our weekly reports from Notion take hours\n1\nexit\n")
    assert code == 0
    assert "/v1/oauth/authorize" in out.replace("\n", "")
    session = out.split("--resume ")[1].split()[0]
    code, out, _ = await server.command("chat", "--resume", session, said="done\n")
    assert code == 0
    assert "hours" in out


async def test_the_api_runs_an_agent_and_the_same_request_over_http_is_followed_live(server: Server) -> None:
    await server.talk()
    started = await server.ask("POST", "/agents/weekly-project-report/run", json={"input_data": {"x": 1}})
    assert started["status"] == "pending"
    assert (await server.event_types(started["execution_id"]))[-1] == "run.finished"
    execution = await server.finished(started["execution_id"])
    artifact = execution["result"]["artifacts"][0]
    path = f"/api/v1/executions/{execution['id']}/artifacts/{artifact['sha256']}"
    assert (await server.client.get(path)).text.startswith("# Weekly Project Report")
    events = await server.ask("GET", f"/executions/{execution['id']}/events")
    types = [event["type"] for event in events["events"]]
    assert (types[0], types[-1]) == ("execution_started", "execution_finished")
    assert "skill_completed" in types


async def test_a_schedule_fires_by_itself_also_one_missed_while_the_server_was_down(server: Server) -> None:
    await server.talk()
    await server.stop()
    _set_next_fire(server.home / "omniforge.db", last_monday() - timedelta(weeks=2))
    await server.start()
    async with asyncio.timeout(60):
        while True:
            found = await server.ask("GET", "/agents/weekly-project-report/executions")
            fired = [item for item in found["executions"] if item["trigger_type"] == "scheduled"]
            if fired:
                break
            await asyncio.sleep(0.05)
    assert len(fired) == 1
    assert fired[0]["triggered_by"] == "scheduler"
    assert datetime.fromisoformat(fired[0]["logical_time"]) == last_monday()
    assert (await server.event_types(fired[0]["id"]))[-1] == "run.finished"
    agent = await server.ask("GET", "/agents/weekly-project-report")
    assert datetime.fromisoformat(agent["next_fire_at"]) > datetime.now(UTC)


def last_monday() -> datetime:
    """The latest Monday 8:30 in Berlin that is over."""
    now = datetime.now(ZoneInfo("Europe/Berlin"))
    monday = (now - timedelta(days=now.weekday())).replace(hour=8, minute=30, second=0, microsecond=0)
    return monday if monday <= now else monday - timedelta(weeks=1)


def _set_next_fire(path: Path, moment: datetime) -> None:
    """As if the time had come: what a clock would do, done to the row."""
    with sqlite3.connect(path) as connection:
        stored = moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
        connection.execute("UPDATE agent_configs SET next_fire_at = ?", (stored,))
    connection.close()
