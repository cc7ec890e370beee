"""The commands about agents, against a server of their own."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from living_server import Server

SKILL = "---\nname: hello\ndescription: Says hello.\n---\n\n# Hello\n\n1. Say hello.\n"
SCRIPT = 'from sandbox_kit.skill import run\nrun(lambda request: {"output": {"report": "hello"}})\n'


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    started = Server(tmp_path / "home")
    await started.start()
    given = {
        "name": "Hello",
        "skills": [{"name": "hello", "order": 1}],
        "skill_files": {"hello": {"SKILL.md": SKILL, "scripts/main.py": SCRIPT}},
    }
    await started.ask("POST", "/agents", json=given)
    await started.ask("POST", "/agents/hello/test", json={"mode": "dry"}, headers={"Prefer": "wait=60"})
    yield started
    await started.close()


async def test_an_agent_is_switched_on_run_changed_back_shared_and_deleted(server: Server) -> None:
    code, _, err = await server.command("agent", "activate", "hello")
    assert code == 2
    assert "--yes" in err
    assert (await server.command("agent", "activate", "hello", "--yes"))[0] == 0
    code, out, _ = await server.command("agent", "run", "hello", "--json")
    assert (code, json.loads(out)["status"]) == (0, "completed")
    _, out, _ = await server.command("agent", "status", "hello", "--json")
    assert [one["status"] for one in json.loads(out)["executions"]] == ["completed"]

    await server.ask("PATCH", "/agents/hello", json={"timezone": "Europe/Berlin"})
    await server.ask("POST", "/agents/hello/test", json={"mode": "dry"}, headers={"Prefer": "wait=60"})
    assert (await server.command("agent", "activate", "hello", "--yes"))[0] == 0
    _, out, _ = await server.command("agent", "diff", "hello", "1", "2")
    assert "timezone: UTC → Europe/Berlin" in out
    _, out, _ = await server.command("agent", "rollback", "hello", "1", "--yes", "--json")
    assert json.loads(out)["version"] == 3
    _, out, _ = await server.command("agent", "versions", "hello")
    assert "Back to version 1" in out

    _, out, _ = await server.command("user", "invite", "ana@example.com", "--role", "operator")
    assert "/login?link=" in out
    _, out, _ = await server.command(
        "agent", "share", "hello", "--template", "--with", "Ana", "--yes", "--json"
    )
    assert [copy["agent_id"] for copy in json.loads(out)["copies"]] == ["hello-2"]
    assert (await server.command("agent", "share", "hello", "--team", "--with", "tenant", "--yes"))[0] == 0
    assert (await server.command("agent", "unshare", "hello", "--yes"))[0] == 0
    assert (await server.command("agent", "pause", "hello"))[0] == 0
    assert (await server.command("agent", "archive", "hello", "--yes"))[0] == 0
    _, out, _ = await server.command("agent", "list", "--json")
    assert [one["id"] for one in json.loads(out)["agents"]] == ["hello-2"]
    _, out, _ = await server.command("agent", "rollback", "hello", "3", "--yes", "--json")
    assert json.loads(out)["status"] == "paused"
