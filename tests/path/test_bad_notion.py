"""A Notion that is down, slow, rude or forgets us: clear words, nothing lost, nothing invented."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from living_server import BUILD, LocalService, Server
from omniforge.cli.demo import CONNECT, allow
from omniforge.integrations.catalog.notion.standin import Fault, FaultKind

INSIDES = ("Traceback", "Error:", "httpx", "JSON", "500", "token")


async def connected(server: Server) -> tuple[str, dict[str, Any]]:
    """A conversation up to the moment after signing in; its id and the last reply."""
    session = await server.ask("POST", "/conversation/start", json={})
    path = f"/conversation/{session['session_id']}/message"
    reply: dict[str, Any] = {}
    for said in BUILD[: BUILD.index(CONNECT)]:
        reply = await server.ask("POST", path, json={"message": said})
    await allow(reply["oauth_url"])
    return path, reply


@pytest.mark.parametrize(
    "kind", [FaultKind.SERVER_ERROR, FaultKind.WRONG_SHAPE, FaultKind.GARBAGE, FaultKind.HALF_JSON]
)
async def test_trouble_while_looking_is_told_plainly_and_the_next_try_goes_on(
    server: Server, notion: LocalService, kind: FaultKind
) -> None:
    path, _ = await connected(server)
    notion.state.faults.append(Fault(kind, times=50))
    reply = await server.ask("POST", path, json={"message": "Done!"})
    assert not any(word in reply["text"] for word in INSIDES), reply["text"]
    assert "Client Projects" not in reply["text"]
    notion.state.faults.clear()
    reply = await server.ask("POST", path, json={"message": "try again"})
    assert "Client Projects 42" in reply["text"]


async def test_a_run_waits_when_notion_signed_us_out_and_goes_on_after_reconnecting(
    server: Server, notion: LocalService
) -> None:
    await server.talk()
    await server.client.post(f"{notion.url}/_control", json={"tokens": "revoke"})
    started = await server.ask("POST", "/agents/weekly-project-report/run", json={})
    execution = await _until(server, started["execution_id"], "waiting")
    assert execution["waiting_for"]
    again = await server.ask("POST", "/oauth/init", json={"integration": "notion"})
    await allow(again["auth_url"])
    execution = await _until(server, started["execution_id"], "completed")
    assert execution["result"]["text"].startswith("# Weekly Project Report")


async def test_a_run_that_notion_answers_with_errors_is_retried_and_then_fails_in_plain_words(
    server: Server, notion: LocalService
) -> None:
    await server.talk()
    notion.state.faults.append(Fault(FaultKind.SERVER_ERROR, times=3))
    started = await server.ask("POST", "/agents/weekly-project-report/run", json={})
    assert (await _until(server, started["execution_id"], "completed"))["status"] == "completed"


async def _until(server: Server, execution_id: str, status: str) -> dict[str, Any]:
    async with asyncio.timeout(60):
        while True:
            execution = await server.ask("GET", f"/executions/{execution_id}")
            if execution["status"] == status:
                return execution
            assert execution["completed_at"] is None, execution
            await asyncio.sleep(0.05)
