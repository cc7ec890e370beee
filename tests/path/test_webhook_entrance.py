"""Deliveries and polls over the real interface: what is signed runs once, what is not never runs."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import sqlite3
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from living_server import LocalService, Server
from omniforge.cli.demo import allow
from omniforge.integrations.catalog.notion.standin.workspace import Row
from omniforge.integrations.manifest import load_catalog
from omniforge.integrations.standin import Standin, find_standins, signed_delivery
from standin_server import RunningServer

Json = dict[str, Any]

SKILL = """---
name: pass-on
description: Passes on what started it.
allowed-tools: []
---

# Pass on

1. Pass on what started it.
"""
SCRIPT = """
import json
from sandbox_kit.skill import run

def main(request):
    event = request.input.get("event")
    return {"output": {"report": "# What happened\\n" + json.dumps(event), "event": event}}

run(main)
"""
HAPPENINGS: Mapping[str, tuple[str, Json]] = {
    "github": ("issue.opened", {"event": "issue.opened"}),
    "linear": ("issue.created", {"event": "issue.created"}),
    "slack": ("message.posted", {"event": "message", "channel": "general", "text": "It is on fire"}),
    "notion": ("row.created", {"event": "page.created"}),
}
"""What agents wait for, and how the local server of the service is told to tell of it."""
AGED = ("linear", "slack")


@dataclass(frozen=True)
class Place:
    """An active agent, where it is delivered to, and with which secret."""

    service: str
    agent_id: str
    url: str
    secret: str


class Services:
    """The local servers of all services but Notion, and of Notion the one every test has."""

    def __init__(self, notion: LocalService) -> None:
        self.standins: Mapping[str, Standin] = find_standins()
        self.notion = notion
        self.running = {
            name: RunningServer.start(standin.create_app(standin.StandinState(rate_per_second=None)))
            for name, standin in self.standins.items()
            if name != "notion"
        }
        self.urls = {"notion": notion.url, **{name: one.url for name, one in self.running.items()}}

    def environment(self, server: Server) -> dict[str, str]:
        known: dict[str, str] = {}
        for name, standin in self.standins.items():
            known |= {
                f"{name.upper()}_CLIENT_ID": standin.CLIENT_ID,
                f"{name.upper()}_CLIENT_SECRET": standin.CLIENT_SECRET,
                f"{name.upper()}_REDIRECT_URI": f"{server.url}/oauth/callback/{name}",
                f"OMNIFORGE_{name.upper()}_BASE_URL": self.urls[name],
            }
        return known

    async def deliver(self, place: Place, **more: Any) -> list[tuple[int, Json]]:
        """Have the service deliver; status and body of each answer."""
        about = dict(HAPPENINGS[place.service][1])
        if place.service == "notion":
            workspace = self.notion.state.workspace
            row = next(iter(workspace.rows.values()))
            about |= {"page": row.id, "author": workspace.people[0].id}
        given = {"url": place.url, "secret": place.secret, **about, **more}
        async with httpx.AsyncClient(base_url=self.urls[place.service], timeout=30) as http:
            answer = await http.post("/_control/deliver", json=given)
        assert answer.is_success, answer.text
        return [(int(told["status"]), json.loads(told["body"])) for told in answer.json()["answers"]]

    def stop(self) -> None:
        for one in self.running.values():
            one.stop()


@pytest.fixture
def services(notion: LocalService) -> Iterator[Services]:
    found = Services(notion)
    yield found
    found.stop()


@pytest.fixture
async def server(tmp_path: Path, notion: LocalService, services: Services) -> AsyncIterator[Server]:
    started = Server(tmp_path / "home", notion)
    started.environment |= services.environment(started)
    await started.start()
    yield started
    await started.close()


async def connect(server: Server, service: str) -> None:
    begun = await server.ask("POST", "/oauth/init", json={"integration": service})
    await allow(begun["auth_url"])
    found = await server.ask("GET", "/connections", params={"integration": service})
    assert found["total"] == 1


async def make_agent(server: Server, service: str, **config: Any) -> str:
    """An active agent that passes on what started it; returns its id."""
    given = {
        "name": f"{service} watch",
        "skills": [{"name": "pass-on", "order": 1}],
        "skill_files": {"pass-on": {"SKILL.md": SKILL, "scripts/main.py": SCRIPT}},
        "trigger_type": "event_driven",
        "integrations": [service],
        "event_config": {"integration": service, "include_own": True, **config},
    }
    agent = await server.ask("POST", "/agents", json=given)
    path = f"/agents/{agent['id']}"
    report = await server.ask("POST", f"{path}/test", json={"mode": "dry"}, headers={"Prefer": "wait=60"})
    assert report["verdict"] == "passed", report
    approved = {"test_id": report["test_id"], "manifest_hash": report["manifest_hash"]}
    active = await server.ask("POST", f"{path}/activate", json=approved)
    assert (active["status"], active["event_config"]["integration"]) == ("active", service)
    return str(agent["id"])


async def set_up(server: Server, service: str) -> Place:
    await connect(server, service)
    agent_id = await make_agent(server, service, event=HAPPENINGS[service][0], mode="push")
    hook = await server.ask("POST", f"/agents/{agent_id}/hook/rotate")
    return Place(service, agent_id, hook["url"], hook["secret"])


async def runs_of(server: Server, agent_id: str, count: int) -> list[Json]:
    """The agent's runs, once there are so many and all are over."""
    async with asyncio.timeout(60):
        while True:
            path = f"/agents/{agent_id}/executions"
            found = (await server.ask("GET", path, params={"mode": "live"}))["executions"]
            if len(found) >= count:
                return [await server.finished(run["id"]) for run in found]
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("service", HAPPENINGS)
async def test_a_signed_delivery_ends_in_a_finished_run_with_the_item_in_its_report(
    server: Server, services: Services, service: str
) -> None:
    place = await set_up(server, service)
    forged = await services.deliver(place, secret="guessed")
    assert [status for status, _ in forged] == [401]
    if service in AGED:
        assert await services.deliver(place, age_seconds=400) == forged
    answers = await services.deliver(place, times=3)
    assert [(status, body["duplicate"]) for status, body in answers] == [
        (202, False),
        (202, True),
        (202, True),
    ]
    (run,) = await runs_of(server, place.agent_id, 1)
    event = run["result"]["output"]["event"]
    assert (run["status"], run["triggered_by"]) == ("completed", f"event:{service}")
    assert event["type"] == HAPPENINGS[service][0]
    assert len(event["item"]) > 1
    assert event["id"] in run["result"]["text"]
    assert (await server.event_types(run["id"]))[-1] == "run.finished"
    await asyncio.sleep(0.2)
    assert len(await runs_of(server, place.agent_id, 1)) == 1


async def test_deliveries_end_well_through_exchanges_pauses_and_kill_9(
    server: Server, services: Services
) -> None:
    first = await set_up(server, "slack")
    path = f"/agents/{first.agent_id}"
    rotated = await server.ask(
        "POST", f"{path}/hook/rotate", json={"secret": "8f742231b10e8888abcd99yyyzzz85a5"}
    )
    assert rotated["secret"] == "8f742231b10e8888abcd99yyyzzz85a5"
    until = datetime.fromisoformat(rotated["previous_valid_until"])
    assert timedelta(hours=23) < until - datetime.now(UTC) <= timedelta(hours=24)
    second = Place("slack", first.agent_id, rotated["url"], rotated["secret"])
    for place in (first, second):
        assert [status for status, _ in await services.deliver(place)] == [202]
    assert len(await runs_of(server, first.agent_id, 2)) == 2

    await server.ask("POST", f"{path}/pause")
    assert await services.deliver(second) == [(202, {"received": True, "duplicate": False})]
    await server.ask("POST", f"{path}/activate", json={})
    unknown = Place("slack", first.agent_id, second.url.replace(first.agent_id, "nobody"), second.secret)
    third = Place("slack", first.agent_id, second.url, "somebody else's")
    assert await services.deliver(unknown) == await services.deliver(third)
    assert len(await runs_of(server, first.agent_id, 2)) == 2

    answers = await asyncio.gather(*[services.deliver(second, text=f"number {n}") for n in range(2)])
    assert [status for told in answers for status, _ in told] == [202] * 2
    await server.stop(signal.SIGKILL)
    await server.start()
    runs = await runs_of(server, first.agent_id, 4)
    assert [run["status"] for run in runs] == ["completed"] * 4


async def test_garbage_is_refused_alike_and_never_runs(server: Server, services: Services) -> None:
    place = await set_up(server, "github")
    chance = random.Random(20261121)
    webhooks = {name: found.manifest.webhook for name, found in load_catalog().items()}
    signing = [found.signature.header for found in webhooks.values() if found is not None]
    names = [*signing, "X-Slack-Request-Timestamp", "webhook-id", "webhook-timestamp", "Content-Type"]
    values = ["", "sha256=", "v0=0", "v1,x", "0", "-1", "9" * 400, "application/json", "nan", "\xff\xfe"]
    webhook = webhooks["github"]
    assert webhook is not None
    delivery = signed_delivery(webhook, place.secret, {"action": "opened"}, datetime.now(UTC))
    bodies = [b"", b"{", b"[]", b"null", b"\x00", b'{"a": "\\u0000"}', b"\xff", b"[" * 5000, b'{"a":1,"a":2}']
    bodies += [delivery.body, b'{"verification_token": "secret_planted_by_a_stranger"}', b"x" * 100_000]
    paths = [*(f"/webhooks/{name}" for name in webhooks), "/webhooks/fax", "/webhooks/github/nobody"]
    paths += [*(f"/webhooks/{name}/{place.agent_id}" for name in webhooks), "/webhooks/github/app:github"]
    paths += ["/webhooks/github/%00", "/webhooks/%F0%9F%92%A5", "/webhooks/github/" + "a" * 300]
    for _ in range(300):
        headers = httpx.Headers(
            [(name.encode(), chance.choice(values).encode("latin-1")) for name in chance.sample(names, 4)]
        )
        body = chance.choice([*bodies, chance.randbytes(chance.randrange(200))])
        answer = await server.client.post(chance.choice(paths), content=body, headers=headers)
        if answer.status_code == 200 and b"verification_token" in body:
            continue  # a token for the installation is offered to whoever runs it, and verifies nothing
        assert answer.status_code == 401, (answer.status_code, answer.text)
        assert answer.json() == {
            "error": "unauthenticated",
            "message": "This delivery could not be verified.",
            "details": {},
        }
    changed = await server.client.post(place.url, content=delivery.body + b" ", headers=delivery.headers)
    unsigned = await server.client.post(place.url, content=delivery.body)
    assert (changed.status_code, unsigned.status_code) == (401, 401)
    large = await server.client.post(place.url, content=b"x" * 1_100_000, headers=delivery.headers)
    assert large.status_code == 413
    fires = await server.ask("GET", f"/agents/{place.agent_id}/fires")
    assert fires["fires"] == []
    assert await runs_of(server, place.agent_id, 0) == []


async def test_a_row_added_in_notion_fires_the_polled_agent_once_and_those_before_do_not(
    server: Server, notion: LocalService
) -> None:
    await connect(server, "notion")
    workspace = notion.state.workspace
    table = workspace.tables[0]
    agent_id = await make_agent(
        server,
        "notion",
        event="row.created",
        resource=table.id,
        mode="poll",
        interval_minutes=15,
        include_own=False,
    )
    hook = await server.ask("GET", f"/agents/{agent_id}/hook")
    assert (hook["delivery"], hook["message"]) == ("poll", "Notion is checked every 15 minutes.")
    made = datetime.now(UTC).replace(second=0, microsecond=0)
    row_id = "5a1c0000-0000-4000-8000-00000000abcd"
    values = {table.fields[0].name: "Board dinner"}
    workspace.rows[row_id] = Row(row_id, table.id, made, made, workspace.people[0].id, values, [])
    for _ in range(2):
        await server.stop(signal.SIGKILL)
        let_the_time_come(server.home / "omniforge.db", agent_id)
        await server.start()
        await until_polled(server, agent_id)
    (run,) = await runs_of(server, agent_id, 1)
    event = run["result"]["output"]["event"]
    assert (run["status"], run["triggered_by"]) == ("completed", "event:notion")
    assert (event["type"], event["id"], event["resource"]) == ("row.created", row_id, table.id)
    assert "Board dinner" in json.dumps(event["item"])
    assert (await server.event_types(run["id"]))[-1] == "run.finished"
    assert len(await runs_of(server, agent_id, 1)) == 1


def let_the_time_come(database: Path, agent_id: str) -> None:
    """Fifteen minutes are too long for a test: the next poll is due now."""
    with closing(sqlite3.connect(database)) as connection:
        query = "UPDATE agent_cursors SET next_poll_at = '2026-01-01 00:00:00' WHERE agent_id = ?"
        assert connection.execute(query, (agent_id,)).rowcount == 1
        connection.commit()


async def until_polled(server: Server, agent_id: str) -> None:
    async with asyncio.timeout(30):
        while True:
            hook = await server.ask("GET", f"/agents/{agent_id}/hook")
            if datetime.fromisoformat(hook["next_poll_at"]) > datetime.now(UTC) + timedelta(minutes=10):
                return
            await asyncio.sleep(0.05)
