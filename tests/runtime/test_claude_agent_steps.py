"""A skill that an agent of the Claude Agent SDK follows: the same tools, policy, effects and events."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.runtime.following import House, open_house

from model_server import RunningModels
from model_stage import settings_for
from omniforge.core.actor import Actor
from omniforge.db import Database
from omniforge.llm.claude.guest import bundled
from omniforge.llm.client import Models
from omniforge.sandboxes.guests import SandboxEnclosure
from omniforge.sandboxes.providers.local import LocalSandbox

pytestmark = pytest.mark.skipif(
    bundled() is None, reason="the extra `claude` is not installed: uv sync --all-extras"
)
Json = dict[str, Any]


@pytest.fixture(scope="module")
def models() -> Iterator[RunningModels]:
    server = RunningModels.start()
    yield server
    server.stop()


@pytest.fixture
async def house(
    database: Database, tmp_path: Path, actor: Actor, models: RunningModels
) -> AsyncIterator[House]:
    settings = settings_for(models, default="claude-agent:claude-test-1")
    client = Models(settings, enclosure=SandboxEnclosure(LocalSandbox()))
    async with open_house(database, tmp_path, actor) as made:
        made.handlers["skill"] = replace(made.handlers["skill"], models=client)
        yield made
    await client.close()


def call(name: str, **args: Any) -> Json:
    return {"tools": [{"name": f"mcp__own__{name}", "args": args}]}


async def test_it_works_with_the_tools_of_the_step(house: House, models: RunningModels) -> None:
    house.notes.rows = [{"id": "1", "title": "Launch"}]
    models.say(
        {"text": "I look first.", **call("notes__read", where="plans")},
        call("notes__post", where="#team", text="One plan: Launch"),
        {"value": {"output": {"count": 1}, "message": "Posted one plan.", "status": "ok"}},
    )
    run = await house.follow("tell-plans", "Read the plans, post them to #team.")
    assert run["status"] == "completed", run["error"]
    result = run["steps"][0]["result"]
    assert (result["output"], result["message"]) == ({"count": 1}, "Posted one plan.")
    assert (result["effects"], result["usage"]["requests"]) == (1, 3)
    assert [note["text"] for note in house.notes.posted] == ["One plan: Launch"]
    told = await house.told(
        run["id"], "agent.message", "agent.tool_used", "agent.tool_result", "model.called"
    )
    assert [entry["type"] for entry in told] == [
        *("agent.message", "agent.tool_used", "agent.tool_result"),
        *("agent.tool_used", "agent.tool_result", "model.called"),
    ]
    assert (told[-1]["provider"], told[-1]["model"]) == ("claude-agent", "claude-test-1")
    assert "Launch" in json.dumps(models.state.requests[1].body["messages"])


async def test_what_nobody_approved_is_not_done(house: House, models: RunningModels) -> None:
    models.say(
        call("Bash", command="ls"),
        call("notes__post", where="#public", text="everything"),
        {"value": {"output": {}, "message": "Posted it."}},
    )
    run = await house.follow("tell-plans", "Read the plans, post them to #team.")
    assert run["status"] == "failed"
    assert run["error"]["code"] == "effect_not_approved"
    assert house.notes.posted == []
    assert len(models.state.requests) == 2
    (refused,) = models.state.requests[1].body["messages"][-1]["content"]
    assert refused["is_error"]
