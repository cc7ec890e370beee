"""The two programs that say what the SDK is, word for word."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import httpx
import pytest

from omniforge import Agent, SkillRef
from omniforge.cli.server import Running

EXPENSES = Path(__file__).parents[2] / "examples" / "skills" / "expense-check"

MAKES_AN_AGENT = """
from omniforge import Agent, SkillRef

# Create agent programmatically
agent = Agent(
    name="weekly-reporter",
    description="Generate weekly reports from Notion and post to Slack",
    skills=[
        SkillRef(
            name="notion-weekly-summary",
            source="public",  # From public library
            order=1,
            config={"databases": ["Client Projects"]},
        ),
        SkillRef(
            name="slack-poster",
            source="custom",  # Custom skill
            order=2,
            config={"channel": "#team-updates"},
        ),
    ],
    trigger_type="scheduled",
    schedule="0 8 * * MON",  # Every Monday 8am
)

# Test locally
result = await agent.test(dry_run=True)
print(result)

# Deploy to platform (optional)
deployment = await agent.deploy(platform_url="https://api.omniforge.ai")
print(f"Deployed: {deployment.agent_id}")
"""

USES_A_SERVER = """
from omniforge.client import OmniForgeClient

client = OmniForgeClient(
    api_key="of_sk_...",
    base_url="https://api.omniforge.ai",
)

# List agents created via conversational builder
agents = await client.agents.list()

# Run agent
result = await client.agents.run(
    agent_id="weekly-reporter-123",
    input_data={"timeframe": "7 days"},
)

# Get execution logs
logs = await client.agents.get_executions(agent_id="weekly-reporter-123")
"""


async def played(program: str) -> dict[str, Any]:
    """What the names of a program stand for after it ran; it may `await` at its top."""
    names: dict[str, Any] = {}
    await eval(compile(program, "program", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), names)
    return names


@pytest.fixture
def address(server: Running, monkeypatch: pytest.MonkeyPatch) -> str:
    """The server, standing in for the one the programs name."""
    url = server.house.settings.url
    monkeypatch.setenv("OMNIFORGE_URL_MAP", f"https://api.omniforge.ai={url}")
    return url


async def test_the_program_that_makes_an_agent(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    names = await played(MAKES_AN_AGENT)
    assert names["result"].verdict == "passed"
    assert names["result"].manifest[0]["words"] == "posts to #team-updates, once"
    assert names["deployment"].status == "draft"
    assert {problem["code"] for problem in names["deployment"].problems} == {"connection_missing"}
    said = capsys.readouterr().out
    assert "What changed in Client Projects" in said
    assert "Deployed: weekly-reporter\n" in said


async def test_the_program_that_uses_a_server(address: str) -> None:
    skill = SkillRef(path=EXPENSES, config={"limit": 100})
    agent = Agent("weekly-reporter", skills=[skill], id="weekly-reporter-123")
    await agent.deploy(address, activate=True)
    async with httpx.AsyncClient(base_url=address) as person:
        body = {"name": "sdk", "permissions": ["agent:view", "agent:execute"]}
        key = (await person.post("/api/v1/keys", json=body)).json()["key"]
    names = await played(USES_A_SERVER.replace("of_sk_...", key))
    assert [one.id for one in names["agents"]] == ["weekly-reporter-123"]
    assert names["result"].status in ("pending", "running", "no_effect", "completed")
    assert names["result"].id in [one.id for one in names["logs"]]
    await names["client"].executions.wait(names["result"].id)
    await names["client"].aclose()
