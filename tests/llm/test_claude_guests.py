"""What the host makes of an agent's program, whatever that does: played by the tests, without a process."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from claude_stage import (
    MESSAGES,
    MODEL,
    QUESTION,
    SCHEMA,
    Playing,
    Staged,
    asks_once,
    call,
    looking,
)
from model_server import RunningModels
from model_stage import settings_for
from omniforge.core.config import ModelSettings
from omniforge.llm.choice import ModelName
from omniforge.llm.claude.guest import Bridge, Ended, bundled
from omniforge.llm.client import Models
from omniforge.llm.prices import Prices
from omniforge.llm.protocol import AskLimits, BudgetExceeded, Json, ModelNotConfigured, ModelUnavailable
from omniforge.sandboxes.guests import SandboxEnclosure
from omniforge.sandboxes.providers.local import LocalSandbox

pytestmark = pytest.mark.skipif(
    bundled() is None, reason="the extra `claude` is not installed: uv sync --all-extras"
)


@dataclass
class Crowd:
    """Guests that start, ask and end. They wait for each other, so that as many are there as may be."""

    pair: asyncio.Event = field(default_factory=asyncio.Event)
    full: asyncio.Event = field(default_factory=asyncio.Event)
    starting: int = 0
    live: int = 0
    most_starting: int = 0
    most_live: int = 0

    async def play(self, bridge: Bridge) -> Ended:
        self.live, self.starting = self.live + 1, self.starting + 1
        self.most_live = max(self.most_live, self.live)
        self.most_starting = max(self.most_starting, self.starting)
        if self.starting == 2:
            self.pair.set()
        if self.live == 8:
            self.full.set()
        try:
            greeting = json.loads((await bridge({"op": "input"}))["result"]["text"])
            await self.pair.wait()
            self.starting -= 1
            answer: Json = {"subtype": "success", "request_id": greeting["request_id"], "response": {}}
            said = json.dumps({"type": "control_response", "response": answer}) + "\n"
            await bridge({"op": "output", "text": said})
            text = (await bridge({"op": "input"}))["result"]["text"]
            asked = json.dumps({**QUESTION, "messages": [json.loads(text)["message"]]})
            await self.full.wait()
            await bridge({"op": "ask", "exchange": 1, "path": MESSAGES, "text": asked})
            return Ended(0)
        finally:
            self.live -= 1


async def test_twenty_at_once_take_turns(models: RunningModels, staged: Staged) -> None:
    models.say({"text": "Here.", "times": 0})
    crowd = Crowd()
    stage = staged(Playing(crowd.play))
    answers = await asyncio.gather(*(stage.ask(str(number)) for number in range(20)))
    assert [answer.text for answer in answers] == ["Here."] * 20
    assert sorted(str(body["messages"][0]["content"]) for body in stage.requests()) == sorted(
        map(str, range(20))
    )
    assert (crowd.most_live, crowd.most_starting) == (8, 2)
    assert (crowd.live, crowd.starting) == (0, 0)


@pytest.mark.parametrize(
    ("limits", "limit", "requests"),
    [(AskLimits(tool_calls=1), "tool_calls", 1), (AskLimits(tokens=50), "tokens", 0)],
)
async def test_a_call_that_would_be_too_much_is_not_made(
    models: RunningModels, staged: Staged, limits: AskLimits, limit: str, requests: int
) -> None:
    models.say({"tools": call({})["tools"] * 2})
    seen: list[Json] = []
    with pytest.raises(BudgetExceeded) as failed:
        await staged(asks_once()).ask(tools=[looking(seen)], limits=limits)
    assert failed.value.details["limit"] == limit
    assert len(models.state.requests) == requests
    assert seen == []


async def test_a_question_has_its_time_and_the_guest_ends_with_it(staged: Staged) -> None:
    ended = asyncio.Event()

    async def play(_: Bridge) -> Ended:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return Ended(0)

    with pytest.raises(BudgetExceeded) as failed:
        await staged(Playing(play)).ask(limits=AskLimits(seconds=0.05))
    assert failed.value.details["limit"] == "seconds"
    assert ended.is_set()


async def test_a_fault_of_our_own_is_raised_as_it_is(models: RunningModels, staged: Staged) -> None:
    models.say({"value": {"n": 1}})

    def check(_: Json) -> list[str]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await staged(asks_once()).ask(schema=SCHEMA, check=check)


BASH: Json = {"name": "Bash", "input_schema": {}}
SEARCH: Json = {"name": "StructuredOutput", "type": "web_search_20250305"}
STRANGE = {
    "a tool that was not offered": (MESSAGES, json.dumps({**QUESTION, "tools": [BASH]})),
    "a tool of the service": (MESSAGES, json.dumps({**QUESTION, "tools": [SEARCH]})),
    "no stream": (MESSAGES, json.dumps({**QUESTION, "stream": False})),
    "no JSON": (MESSAGES, "no JSON"),
    "another address": ("/v1/files", json.dumps(QUESTION)),
}


@pytest.mark.parametrize(("path", "text"), STRANGE.values(), ids=STRANGE)
async def test_a_guest_that_asks_for_something_else_is_not_passed_on(
    models: RunningModels, staged: Staged, path: str, text: str
) -> None:
    stage = staged(asks_once(text, path))
    with pytest.raises(ModelUnavailable) as failed:
        await stage.ask(schema=SCHEMA)
    assert failed.value.code == "model_request_rejected"
    assert models.state.requests == []


@pytest.mark.parametrize(
    ("ended", "says"),
    [(Ended(1, None, "unknown option"), "ended by itself"), (Ended(137, "memory"), "used more memory")],
)
async def test_a_program_that_ends_is_an_error_that_says_how(
    models: RunningModels, staged: Staged, ended: Ended, says: str
) -> None:
    async def play(_: Bridge) -> Ended:
        return ended

    with pytest.raises(ModelUnavailable, match=says) as failed:
        await staged(Playing(play)).ask()
    assert failed.value.details["said"] == ended.said


async def test_without_a_sandbox_nothing_is_asked(
    models: RunningModels, staged: Staged, tmp_path: Path
) -> None:
    stage = staged(SandboxEnclosure(LocalSandbox(bwrap=tmp_path / "bwrap")))
    with pytest.raises(ModelUnavailable, match="apt-get install bubblewrap") as failed:
        await stage.ask()
    assert (failed.value.code, failed.value.retryable) == ("sandbox_unavailable", False)
    assert models.state.requests == []


def test_what_is_missing_is_named(models: RunningModels, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelNotConfigured, match="sandbox"):
        Models(settings_for(models)).check_model(MODEL)
    with pytest.raises(ModelNotConfigured, match="ANTHROPIC_API_KEY"):
        Models(ModelSettings(), enclosure=SandboxEnclosure(LocalSandbox())).check_model(MODEL)
    monkeypatch.setitem(sys.modules, "claude_agent_sdk", None)
    client = Models(settings_for(models), enclosure=SandboxEnclosure(LocalSandbox()))
    with pytest.raises(ModelNotConfigured, match=r"pip install 'omniforge\[claude\]'"):
        client.check_model(MODEL)
    assert not client.is_configured(model=MODEL)


def test_it_costs_what_the_models_of_anthropic_cost() -> None:
    name = "claude-sonnet-4-5"
    price = Prices().of(ModelName("claude-agent", name))
    assert price is not None
    assert price == Prices().of(ModelName("anthropic", name))
