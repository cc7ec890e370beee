"""Questions to agents of the Claude Agent SDK: its real program in a real sandbox, before a local server."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from claude_stage import MODEL, SCHEMA, Stage, Staged, call, is_program, looking, programs
from model_server import RunningModels
from model_stage import KEY, tool
from omniforge.core.config import ModelSettings
from omniforge.llm.claude.guest import Enclosure, bundled
from omniforge.llm.protocol import (
    AnswerInvalid,
    AskEventKind,
    AskLimits,
    BudgetExceeded,
    Json,
    ModelUnavailable,
)
from omniforge.llm.scripts import ToolUse, Turn
from omniforge.sandboxes.guests import SandboxEnclosure
from omniforge.sandboxes.providers.local import LocalSandbox

pytestmark = pytest.mark.skipif(
    bundled() is None, reason="the extra `claude` is not installed: uv sync --all-extras"
)


@pytest.fixture(scope="module")
def boxes() -> Enclosure:
    return SandboxEnclosure(LocalSandbox())


@pytest.fixture
def stage(staged: Staged, boxes: Enclosure) -> Stage:
    return staged(boxes)


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


async def test_a_tool_that_is_not_offered_does_nothing(models: RunningModels, stage: Stage) -> None:
    args = {"command": "touch /workspace/x", "file_path": "/workspace/instructions.md"}
    names = ["Bash", "Read", "WebFetch", "mcp__own__fly"]
    models.say(*(call(args, name) for name in names), {"text": "Then not."})
    answer = await stage.ask(tools=[looking([])])
    assert answer.text == "Then not."
    assert stage.told(AskEventKind.TOOL_USED) == []
    for body in stage.requests()[1:]:
        (result,) = body["messages"][-1]["content"]
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
    tools = {each["name"]: each["input_schema"] for each in stage.requests()[0]["tools"]}
    assert tools["StructuredOutput"] == SCHEMA
    assert "$.n" in str(stage.requests()[1]["messages"][-1])
    assert "n has to be 5" in str(stage.requests()[2]["messages"][-1])


async def test_an_answer_that_stays_wrong_is_an_error_after_the_retries(
    models: RunningModels, stage: Stage
) -> None:
    models.say({"value": {"n": "x"}, "times": 0})
    with pytest.raises(AnswerInvalid) as failed:
        await stage.ask(schema=SCHEMA, retries=2)
    assert failed.value.details["usage"]["requests"] == 3


async def test_faults_of_the_service_are_tried_again(
    models: RunningModels, boxes: Enclosure, staged: Staged
) -> None:
    faults = [{"fault": "rate_limited", "seconds": 7}, {"fault": "overloaded"}, {"fault": "server_error"}]
    worse = [{"fault": "garbage"}, {"fault": "empty"}, {"fault": "half_json", "text": "a b c d"}]
    models.say(*faults, *worse, {"text": "one two three four", "fault": "cut"}, {"text": "whole"})
    stage = staged(boxes, attempts=8, longest_wait=60.0)
    answer = await stage.ask()
    assert (answer.text, answer.usage.requests) == ("whole", 8)
    assert stage.told(AskEventKind.STARTED_OVER)


async def test_a_service_that_stays_down_is_named_and_the_fallback_answers(
    models: RunningModels, boxes: Enclosure, staged: Staged
) -> None:
    models.say({"fault": "overloaded", "times": 3}, {"text": "Here."})
    stage = staged(boxes, fallbacks=["anthropic:claude-test-2"])
    answer = await stage.ask()
    assert (answer.text, answer.model, answer.usage.requests) == ("Here.", "anthropic:claude-test-2", 4)
    models.say(call({"at": "door"}), {"fault": "unauthorized"}, {"text": "not this one"})
    with pytest.raises(ModelUnavailable) as failed:
        await stage.ask(tools=[looking([])])
    assert failed.value.code == "model_key_refused"
    assert KEY not in f"{failed.value.message} {failed.value.details}"


async def test_limits_hold(models: RunningModels, stage: Stage) -> None:
    models.say({**call({"at": "door"}), "times": 0})
    with pytest.raises(BudgetExceeded) as failed:
        await stage.ask(tools=[looking([])], limits=AskLimits(iterations=2))
    assert failed.value.details["limit"] == "iterations"
    assert failed.value.details["tools"] == ["look", "look"]
    assert len(models.state.requests) == 2


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


async def test_several_at_once_share_the_seats_and_leave_nothing(
    models: RunningModels, boxes: Enclosure, staged: Staged
) -> None:
    seen: list[int] = []

    async def look(_: Json) -> Any:
        seen.append(len(programs()))

    stage = staged(boxes, claude_agents=2, claude_agents_starting=1)
    models.write(lambda asked: Turn(text="Here.") if asked.turn else Turn(tools=(ToolUse("mcp__own__look"),)))
    asked = [stage.ask(tools=[tool("look", look)]) for _ in range(5)]
    answers = await asyncio.gather(*asked)
    assert [answer.text for answer in answers] == ["Here."] * 5
    assert len(seen) == 5
    assert max(seen) <= 2
    assert programs() == []
