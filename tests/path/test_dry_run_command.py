"""`omniforge test`: what a person sees in the terminal, and what a machine gets."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from rich.console import Console
from tests.path.rehearsing import LOGBOOK, SKILLS

from living_server import Server
from omniforge.cli.test import mode_of, test_agent
from omniforge.core.config import Settings
from omniforge.core.errors import Invalid

test_agent.__test__ = False  # pyright: ignore[reportFunctionMemberAccess] - a command, whatever its name says


async def made(server: Server) -> str:
    files = {
        name: {path: data.decode() for path, data in SKILLS[name].items()}
        for name in ("read-projects", "write-log")
    }
    agent = await server.ask("POST", "/agents", json={**LOGBOOK, "skill_files": files})
    return str(agent["id"])


async def tried(server: Server, **how: Any) -> tuple[int, str]:
    out = Console(file=io.StringIO(), width=300)
    given: dict[str, Any] = {"mode": "dry", "suite": "quick", "input_json": "{}", **how}
    settings = Settings(port=server.port, home=server.home)
    code = await test_agent(settings, out, "Logbook", confirm=False, as_json=False, **given)
    return code, str(out.file.getvalue())  # pyright: ignore[reportAttributeAccessIssue]


async def test_the_command_shows_what_would_happen_and_what_breaks_it(server: Server) -> None:
    await made(server)
    code, said = await tried(server, suite="full")
    assert code == 0
    assert "What it will do outside" in said
    assert "adds a page to a Notion database, filling Project" in said
    assert "If Notion is down (503)" in said
    assert said.rstrip().endswith("passed")


async def test_the_api_tells_the_same_and_lists_it(server: Server) -> None:
    agent_id = await made(server)
    report = await server.ask(
        "POST",
        f"/agents/{agent_id}/test",
        json={"mode": "dry", "suite": "quick"},
        headers={"Prefer": "wait=60"},
    )
    assert (report["verdict"], report["mode"], report["suite"]) == ("passed", "dry", "quick")
    listed = await server.ask("GET", f"/agents/{agent_id}/tests")
    assert json.dumps(listed["tests"][0]) == json.dumps(report)
    refused = await server.client.post(f"/api/v1/agents/{agent_id}/test", json={"mode": "live"})
    assert (refused.status_code, refused.json()["error"]) == (422, "effects_not_confirmed")
    assert "adds a page" in refused.json()["message"]
    missing = await server.client.post(f"/api/v1/agents/{agent_id}/test", json={"mode": "preview"})
    assert (missing.status_code, missing.json()["error"]) == (409, "connection_missing")
    unknown = await server.client.post(f"/api/v1/agents/{agent_id}/test", json={"suite": "everything"})
    assert unknown.status_code == 422


def test_only_one_mode_at_a_time() -> None:
    assert mode_of(dry_run=False, preview=False, live=False) == "dry"
    assert mode_of(dry_run=False, preview=True, live=False) == "preview"
    with pytest.raises(Invalid):
        mode_of(dry_run=True, preview=True, live=False)
