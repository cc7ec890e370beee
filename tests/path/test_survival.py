"""What happens to runs and data when the server is killed, restarted, or has no sandbox."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from living_server import LocalService, Server

SKILL = """---
name: {name}
description: Passes on what it was given, after some seconds.
allowed-tools: []
---

# Pass on

1. Wait as many seconds as `seconds` says for this step.
2. Pass the input on.
"""
SCRIPT = """
import time
from sandbox_kit.skill import run

def main(request):
    time.sleep(request.input.get("seconds", {}).get("NAME", 0))
    trail = [*request.input.get("trail", []), "NAME"]
    seconds = request.input.get("seconds", {})
    return {"output": {"seconds": seconds, "trail": trail, "report": " ".join(trail)}}

run(main)
"""
NAMES = ("first", "second", "third")


async def make_relay(server: Server) -> str:
    """An active agent of three skills in a row; returns its id."""
    files = {
        name: {"SKILL.md": SKILL.format(name=name), "scripts/main.py": SCRIPT.replace("NAME", name)}
        for name in NAMES
    }
    skills = [{"name": name, "order": number} for number, name in enumerate(NAMES, 1)]
    agent = await server.ask(
        "POST", "/agents", json={"name": "Relay", "skills": skills, "skill_files": files}
    )
    path = f"/agents/{agent['id']}"
    report = await server.ask("POST", f"{path}/test", json={"mode": "dry"}, headers={"Prefer": "wait=60"})
    assert report["verdict"] == "passed", report
    approved = {"test_id": report["test_id"], "manifest_hash": report["manifest_hash"]}
    await server.ask("POST", f"{path}/activate", json=approved)
    return str(agent["id"])


async def until_running(server: Server, execution_id: str, key: str) -> None:
    async with asyncio.timeout(30):
        while True:
            run = await server.ask("GET", f"/runs/{execution_id}")
            if any(step["key"] == key and step["status"] == "running" for step in run["steps"]):
                return
            await asyncio.sleep(0.02)


async def test_kill_9_in_the_middle_of_a_run_loses_nothing_and_repeats_no_finished_step(
    server: Server,
) -> None:
    agent_id = await make_relay(server)
    slow = {"seconds": {"second": 3}}
    started = await server.ask("POST", f"/agents/{agent_id}/run", json={"input_data": slow})
    execution_id = started["execution_id"]
    await until_running(server, execution_id, "second")
    await server.stop(signal.SIGKILL)
    await server.start()
    execution = await server.finished(execution_id)
    assert execution["status"] == "completed"
    assert execution["result"]["output"]["trail"] == list(NAMES)
    run = await server.ask("GET", f"/runs/{execution_id}")
    assert [(step["key"], step["attempt"]) for step in run["steps"]] == [
        ("first", 1),
        ("second", 2),
        ("third", 1),
    ]
    types = await server.event_types(execution_id)
    assert types.count("step.completed") == 3
    assert types.count("run.finished") == 1
    with sqlite3.connect(server.home / "omniforge.db") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


async def test_a_second_start_keeps_all_data_and_a_polite_stop_loses_no_run(server: Server) -> None:
    agent_id = await make_relay(server)
    slow = {"seconds": {"first": 2}}
    started = await server.ask("POST", f"/agents/{agent_id}/run", json={"input_data": slow})
    await until_running(server, started["execution_id"], "first")
    talk = await server.ask("POST", "/conversation/start", json={"message": "a weekly report from Notion"})
    await server.stop()
    await server.start()
    assert (await server.finished(started["execution_id"]))["status"] == "completed"
    assert (await server.ask("GET", f"/agents/{agent_id}"))["status"] == "active"
    session = await server.ask("GET", f"/conversation/{talk['session_id']}")
    assert [message["role"] for message in session["messages"]] == ["bot", "user", "bot"]


async def test_a_second_server_on_the_same_data_is_refused_with_the_reason(server: Server) -> None:
    code, _, err = await server.command("up", "--port", "0")
    assert code == 5, err
    assert "Another OmniForge process already works on these data" in err
    assert "Traceback" not in err


async def test_a_taken_port_is_said_to_be_taken(server: Server) -> None:
    code, _, err = await server.command("up")
    assert code == 5
    assert f"Port {server.port}" in err


@pytest.fixture
async def bare(tmp_path: Path, notion: LocalService) -> AsyncIterator[Server]:
    """A server on a computer without bubblewrap."""
    started = Server(tmp_path / "bare", notion, OMNIFORGE_BUBBLEWRAP="/nonexistent/bwrap")
    await started.start()
    yield started
    await started.close()


async def test_without_a_sandbox_code_steps_are_refused_with_what_to_install(bare: Server) -> None:
    files = {"SKILL.md": SKILL.format(name="first"), "scripts/main.py": "open('/tmp/escaped', 'w')"}
    agent: dict[str, Any] = {
        "name": "Relay",
        "skills": [{"name": "first", "order": 1}],
        "skill_files": {"first": files},
    }
    made = await bare.ask("POST", "/agents", json=agent)
    wait = {"Prefer": "wait=60"}
    report = await bare.ask("POST", f"/agents/{made['id']}/test", json={"mode": "dry"}, headers=wait)
    assert report["verdict"] == "failed"
    assert report["problems"][0]["code"] == "sandbox_unavailable"
    assert not Path("/tmp/escaped").exists()
    assert "apt-get install bubblewrap" in bare.output.read_text().replace("\n", " ")
    code, out, _ = await bare.command("doctor")
    assert code == 1
    assert "apt-get install bubblewrap" in out
