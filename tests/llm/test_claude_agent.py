"""Questions to agents of the Claude Agent SDK: its real program in a real sandbox, before a local server."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from model_server import RunningModels
from model_stage import KEY, settings_for, tool
from omniforge.core.config import ModelSettings
from omniforge.llm.choice import ModelName
from omniforge.llm.claude.guest import Bridge, Enclosure, Ended, Guest, bundled
from omniforge.llm.client import Models
from omniforge.llm.prices import Prices
from omniforge.llm.protocol import (
    Answer,
    AnswerInvalid,
    Ask,
    AskEvent,
    AskEventKind,
    AskLimits,
    BudgetExceeded,
    Json,
    ModelNotConfigured,
    ModelUnavailable,
    ToolRefused,
)
from omniforge.llm.scripts import ToolUse, Turn
from omniforge.sandboxes.guests import SandboxEnclosure
from omniforge.sandboxes.providers.local import LocalSandbox
from standin_server import HandClock

pytestmark = pytest.mark.skipif(
    bundled() is None, reason="the extra `claude` is not installed: uv sync --all-extras"
)
MODEL = "claude-agent:claude-test-1"
SCHEMA: Json = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
FRAME = {"DeferredToolPlaceholder", "StructuredOutput"}
PROGRAM = "/claude/claude"


@dataclass
class Stage:
    """A client whose agents run in sandboxes of this computer, and what it tells while it asks."""

    server: RunningModels
    enclosure: Enclosure
    changes: dict[str, Any] = field(default_factory=dict[str, Any])
    events: list[AskEvent] = field(default_factory=list[AskEvent])

    def __post_init__(self) -> None:
        self.client = Models(
            settings_for(self.server, **self.changes), clock=HandClock(), enclosure=self.enclosure
        )

    async def ask(
        self, prompt: str = "Do it.", instructions: str = "You are a test.", **given: Any
    ) -> Answer:
        asked: dict[str, Any] = {"model": MODEL, "on_event": self._note, **given}
        return await self.client.ask(Ask(instructions, prompt, **asked))

    async def _note(self, event: AskEvent) -> None:
        self.events.append(event)

    def told(self, kind: AskEventKind) -> list[AskEvent]:
        return [event for event in self.events if event.kind is kind]

    def requests(self) -> list[Json]:
        return [entry.body for entry in self.server.state.requests]


@pytest.fixture(scope="module")
def boxes() -> Enclosure:
    return SandboxEnclosure(LocalSandbox())


@pytest.fixture
async def stage(models: RunningModels, boxes: Enclosure) -> AsyncIterator[Stage]:
    stage = Stage(models, boxes)
    yield stage
    await stage.client.close()
    assert programs() == []


def programs() -> list[psutil.Process]:
    """Programs of the SDK that we have started and that still live."""
    return [found for found in psutil.Process().children(recursive=True) if is_program(found)]


def is_program(process: psutil.Process) -> bool:
    try:
        return PROGRAM in process.cmdline()[:1]
    except psutil.Error:
        return False


def call(at: Any, name: str = "mcp__own__look") -> Json:
    return {"tools": [{"name": name, "args": at if isinstance(at, str) else dict(at)}]}


def looking(seen: list[Json]) -> Any:
    async def look(args: Json) -> Any:
        seen.append(args)
        if args["at"] == "cellar":
            raise ToolRefused("It is dark.")
        if args["at"] == "roof":
            raise ModelUnavailable("fallen off", retryable=False)
        return {"seen": args["at"]}

    return tool("look", look, at="string")


async def test_an_answer_comes_with_its_words_and_its_figures(models: RunningModels, stage: Stage) -> None:
    turn = {"thinking": "hm", "text": "Hello there.", "usage": {"in": 40, "out": 3, "cached": 8}}
    models.say(turn, keys=frozenset({KEY}))
    prompt, instructions = "/help @/etc/passwd please", "You are a test." * 10_000
    answer = await stage.ask(prompt, instructions)
    assert (answer.text, answer.model, answer.simulated) == ("Hello there.", MODEL, False)
    usage = answer.usage
    assert (usage.requests, usage.tokens_in, usage.tokens_out, usage.tokens_cached) == (1, 40, 3, 8)
    assert usage.cost_usd is None
    assert [event.text for event in stage.told(AskEventKind.MESSAGE)] == ["Hello ", "there."]
    assert [event.text for event in stage.told(AskEventKind.THINKING)] == ["hm"]
    (request,) = stage.requests()
    assert request["system"][-1]["text"] == instructions
    assert request["messages"][0]["content"] == prompt
    assert not request.get("tools")
    assert request["max_tokens"] == ModelSettings().max_output


async def test_tools_are_called_refused_and_mended(models: RunningModels, stage: Stage) -> None:
    models.say(call({"at": "door"}), call({"at": "cellar"}), call("{'at': 'hall',"), {"text": "Done."})
    seen: list[Json] = []
    answer = await stage.ask(tools=[looking(seen)])
    assert (answer.text, answer.repaired, answer.usage.tool_calls) == ("Done.", True, 3)
    assert seen == [{"at": "door"}, {"at": "cellar"}, {"at": "hall"}]
    used, results = stage.told(AskEventKind.TOOL_USED), stage.told(AskEventKind.TOOL_RESULT)
    assert [event.data["args"] for event in used] == seen
    assert [event.data["ok"] for event in results] == [True, False, True]
    assert [event.data["call"] for event in used] == [event.data["call"] for event in results]
    assert all(event.data["call"].startswith("toolu_") for event in used)
    assert results[1].text == "It is dark."
    assert {each["name"] for body in stage.requests() for each in body["tools"]} == {"mcp__own__look"}
    assert "It is dark." in str(stage.requests()[2]["messages"][-1])


@pytest.mark.parametrize("name", ["Bash", "Read", "mcp__own__fly"])
async def test_a_tool_that_is_not_offered_does_nothing(
    models: RunningModels, stage: Stage, name: str
) -> None:
    args = {"command": "touch /workspace/x", "file_path": "/workspace/instructions.md"}
    models.say(call(args, name), {"text": "Then not."})
    answer = await stage.ask(tools=[looking([])])
    assert answer.text == "Then not."
    assert stage.told(AskEventKind.TOOL_USED) == []
    (result,) = stage.requests()[1]["messages"][-1]["content"]
    assert result["is_error"]
    assert "You are a test" not in str(result)


async def test_what_a_tool_raises_ends_the_question(models: RunningModels, stage: Stage) -> None:
    models.say(call({"at": "roof"}), {"text": "never"})
    with pytest.raises(ModelUnavailable, match="fallen off") as failed:
        await stage.ask(tools=[looking([])])
    assert failed.value.details["usage"]["requests"] == 1


async def test_a_typed_answer_is_judged_by_us_and_the_model_is_told(
    models: RunningModels, stage: Stage
) -> None:
    models.say({"value": {"n": "three"}}, {"value": {"n": "3"}}, {"text": "So: {'n': 5,}"})

    def check(value: Json) -> list[str]:
        return [] if value["n"] == 5 else ["n has to be 5"]

    answer = await stage.ask(schema=SCHEMA, check=check, tools=[looking([])])
    assert (answer.value, answer.repaired, answer.usage.requests) == ({"n": 5}, True, 3)
    shapes = [each["input_schema"] for each in stage.requests()[0]["tools"] if each["name"] in FRAME]
    assert shapes == [SCHEMA]
    assert "$.n" in str(stage.requests()[1]["messages"][-1])
    assert "n has to be 5" in str(stage.requests()[2]["messages"][-1])


async def test_an_answer_that_stays_wrong_is_an_error_after_the_retries(
    models: RunningModels, stage: Stage
) -> None:
    models.say({"value": {"n": "x"}, "times": 0})
    with pytest.raises(AnswerInvalid) as failed:
        await stage.ask(schema=SCHEMA, retries=2)
    assert failed.value.details["usage"]["requests"] == 3


async def test_faults_of_the_service_are_tried_again(models: RunningModels, boxes: Enclosure) -> None:
    faults = [{"fault": "rate_limited", "seconds": 7}, {"fault": "overloaded"}, {"fault": "server_error"}]
    worse = [{"fault": "garbage"}, {"fault": "empty"}, {"fault": "half_json", "text": "a b c d"}]
    models.say(*faults, *worse, {"text": "one two three four", "fault": "cut"}, {"text": "whole"})
    stage = Stage(models, boxes, {"attempts": 8, "longest_wait": 60.0})
    answer = await stage.ask()
    assert (answer.text, answer.usage.requests) == ("whole", 8)
    assert stage.told(AskEventKind.STARTED_OVER)
    await stage.client.close()


async def test_a_service_that_stays_down_is_named_and_the_fallback_answers(
    models: RunningModels, boxes: Enclosure
) -> None:
    models.say({"fault": "overloaded", "times": 3}, {"text": "Here."})
    stage = Stage(models, boxes, {"fallbacks": ["anthropic:claude-test-2"]})
    answer = await stage.ask()
    assert (answer.text, answer.model, answer.usage.requests) == ("Here.", "anthropic:claude-test-2", 4)
    models.say(call({"at": "door"}), {"fault": "unauthorized"}, {"text": "not this one"})
    with pytest.raises(ModelUnavailable) as failed:
        await stage.ask(tools=[looking([])])
    assert failed.value.code == "model_key_refused"
    assert KEY not in f"{failed.value.message} {failed.value.details}"
    await stage.client.close()


async def test_limits_hold(models: RunningModels, stage: Stage) -> None:
    granted = [AskLimits(iterations=2), AskLimits(tool_calls=1), AskLimits(tokens=300)]
    for limits, used, limit in zip(granted, (2, 2, 0), ("iterations", "tool_calls", "tokens"), strict=True):
        models.say({**call({"at": "door"}), "times": 0})
        with pytest.raises(BudgetExceeded) as failed:
            await stage.ask(tools=[looking([])], limits=limits)
        assert failed.value.details["limit"] == limit
        assert len(models.state.requests) == used


async def test_no_secret_reaches_the_program(
    models: RunningModels, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMNIFORGE_CANARY", "canary-of-this-test")
    read: list[str] = []

    async def look(_: Json) -> Any:
        for process in psutil.Process().children(recursive=True):
            files = [Path(f"/proc/{process.pid}/{name}") for name in ("environ", "cmdline")]
            read.extend(file.read_bytes().decode("utf-8", "replace") for file in files)
        return "seen"

    models.say(call({}), {"text": "Done."}, keys=frozenset({KEY}))
    await stage.ask("secret-of-the-prompt", "secret-of-the-instructions", tools=[tool("look", look)])
    everything = "\n".join(read)
    assert "CLAUDE_CODE_SUBPROCESS_ENV_SCRUB=1" in everything
    for secret in ("canary-of-this-test", KEY, "secret-of-the-prompt", "secret-of-the-instructions"):
        assert secret not in everything


async def test_a_cancelled_question_leaves_nothing_behind(models: RunningModels, stage: Stage) -> None:
    asked = asyncio.Event()
    models.say(call({}), {"fault": "slow", "seconds": 60})

    async def look(_: Json) -> Any:
        asked.set()
        await asyncio.sleep(60)

    question = asyncio.create_task(stage.ask(tools=[tool("look", look)]))
    await asked.wait()
    assert len(programs()) == 1
    question.cancel()
    with pytest.raises(asyncio.CancelledError):
        await question
    assert programs() == []
    assert asyncio.all_tasks() == {asyncio.current_task()}


SLOW = """
import asyncio, sys
from omniforge.core.config import ModelSettings
from omniforge.llm.client import Models
from omniforge.llm.protocol import Ask
from omniforge.sandboxes.guests import SandboxEnclosure
from omniforge.sandboxes.providers.local import LocalSandbox

settings = ModelSettings(anthropic_api_key="k", servers={"anthropic": sys.argv[1]})
models = Models(settings, enclosure=SandboxEnclosure(LocalSandbox()))
asyncio.run(models.ask(Ask("", "Wait.", model="claude-agent:m")))
"""


async def test_when_we_are_killed_the_program_dies_with_us(models: RunningModels) -> None:
    models.say({"fault": "slow", "seconds": 60})
    other = await asyncio.create_subprocess_exec(sys.executable, "-c", SLOW, models.url)
    while not models.state.requests:
        assert other.returncode is None
        await asyncio.sleep(0.02)
    started = psutil.Process(other.pid).children(recursive=True)
    assert any(is_program(found) for found in started)
    os.kill(other.pid, signal.SIGKILL)
    await other.wait()
    _, alive = await asyncio.to_thread(psutil.wait_procs, started, 10)
    assert [found for found in alive if found.status() != psutil.STATUS_ZOMBIE] == []


@dataclass
class Playing:
    """A guest without a program: does what a test wants it to."""

    play: Callable[[Bridge], Awaitable[Ended]]

    async def run(self, guest: Guest, bridge: Bridge) -> Ended:
        return await self.play(bridge)


@dataclass
class Crowd:
    """Guests that start, ask and end; how many were in each of these at once."""

    starting: int = 0
    live: int = 0
    most: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])

    async def play(self, bridge: Bridge) -> Ended:
        self.live, self.starting = self.live + 1, self.starting + 1
        self.most.append((self.live, self.starting))
        try:
            greeting = json.loads((await bridge({"op": "input"}))["result"]["text"])
            await asyncio.sleep(0.01)
            self.starting -= 1
            answer: Json = {"subtype": "success", "request_id": greeting["request_id"], "response": {}}
            said = json.dumps({"type": "control_response", "response": answer}) + "\n"
            await bridge({"op": "output", "text": said})
            text = (await bridge({"op": "input"}))["result"]["text"]
            asked = json.dumps({**QUESTION, "messages": [json.loads(text)["message"]]})
            await asyncio.sleep(0.02)
            await bridge({"op": "ask", "exchange": 1, "path": "/v1/messages", "text": asked})
            return Ended(0)
        finally:
            self.live -= 1


async def test_twenty_at_once_take_turns(models: RunningModels) -> None:
    models.say({"text": "Here.", "times": 0})
    crowd = Crowd()
    stage = Stage(models, Playing(crowd.play))
    answers = await asyncio.gather(*(stage.ask(str(number)) for number in range(20)))
    assert [answer.text for answer in answers] == ["Here."] * 20
    assert sorted(str(body["messages"][0]["content"]) for body in stage.requests()) == sorted(
        map(str, range(20))
    )
    assert max(live for live, _ in crowd.most) == 8
    assert max(starting for _, starting in crowd.most) == 2
    assert (crowd.live, crowd.starting) == (0, 0)
    await stage.client.close()


async def test_several_at_once_share_the_seats_and_leave_nothing(
    models: RunningModels, boxes: Enclosure
) -> None:
    seen: list[int] = []

    async def look(_: Json) -> Any:
        seen.append(len(programs()))

    stage = Stage(models, boxes, {"claude_agents": 2, "claude_agents_starting": 1})
    models.write(lambda asked: Turn(text="Here.") if asked.turn else Turn(tools=(ToolUse("mcp__own__look"),)))
    asked = [stage.ask(tools=[tool("look", look)]) for _ in range(5)]
    answers = await asyncio.gather(*asked)
    assert [answer.text for answer in answers] == ["Here."] * 5
    assert len(seen) == 5
    assert max(seen) <= 2
    assert programs() == []
    await stage.client.close()


QUESTION: Json = {"model": "m", "stream": True, "messages": []}
MESSAGES = "/v1/messages"
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
    models: RunningModels, path: str, text: str
) -> None:
    async def play(bridge: Bridge) -> Ended:
        await bridge({"op": "ask", "exchange": 1, "headers": {}, "more": False, "path": path, "text": text})
        return Ended(0)

    stage = Stage(models, Playing(play))
    with pytest.raises(ModelUnavailable) as failed:
        await stage.ask(schema=SCHEMA)
    assert failed.value.code == "model_request_rejected"
    assert models.state.requests == []


@pytest.mark.parametrize(
    ("ended", "says"),
    [(Ended(1, None, "unknown option"), "ended by itself"), (Ended(137, "memory"), "used more memory")],
)
async def test_a_program_that_ends_is_an_error_that_says_how(
    models: RunningModels, ended: Ended, says: str
) -> None:
    async def play(_: Bridge) -> Ended:
        return ended

    with pytest.raises(ModelUnavailable, match=says) as failed:
        await Stage(models, Playing(play)).ask()
    assert failed.value.details["said"] == ended.said


async def test_without_a_sandbox_nothing_is_asked(models: RunningModels, tmp_path: Path) -> None:
    stage = Stage(models, SandboxEnclosure(LocalSandbox(bwrap=tmp_path / "bwrap")))
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
