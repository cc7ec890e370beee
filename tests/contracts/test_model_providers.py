"""What every provider of models promises, shown against local servers that speak as the vendors do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from model_server import RunningModels
from model_stage import KEY, NAMES, ModelStage, tool
from omniforge.core.errors import OmniForgeError
from omniforge.core.network import NetworkDisabled, no_network
from omniforge.llm.protocol import (
    AnswerRefused,
    AskEventKind,
    AskLimits,
    BudgetExceeded,
    ContextTooLong,
    Json,
    ModelUnavailable,
    ToolRefused,
)

ANSWER: Json = {
    "type": "object",
    "properties": {"total": {"type": "integer"}, "note": {"type": "string"}},
    "required": ["total"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def server() -> Iterator[RunningModels]:
    running = RunningModels.start()
    yield running
    running.stop()


@pytest.fixture(params=sorted(NAMES))
async def stage(request: pytest.FixtureRequest, server: RunningModels) -> AsyncIterator[ModelStage]:
    server.say()
    made = ModelStage.over(server, NAMES[request.param])
    yield made
    await made.client.close()


@pytest.fixture
def say(server: RunningModels) -> Any:
    return server.say


async def test_text_comes_with_model_and_usage(stage: ModelStage, say: Any) -> None:
    say({"text": "Hello there.", "usage": {"in": 40, "out": 7, "cached": 30}}, keys=frozenset({KEY}))
    answer = await stage.ask()
    assert (answer.text, answer.value, answer.model) == ("Hello there.", None, stage.model)
    assert not answer.simulated
    usage = answer.usage
    figures = (usage.requests, usage.tokens_in, usage.tokens_out, usage.tokens_cached, usage.estimated)
    assert figures == (1, 40, 7, 30, False)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_typed_answer_comes_through_tools_and_text_alike(
    stage: ModelStage, say: Any, stream: bool
) -> None:
    say({"value": {"total": 3}}, {"text": 'Here it is:\n```json\n{"total": 4,}\n```'})
    assert (await stage.ask(schema=ANSWER, stream=stream)).value == {"total": 3}
    again = await stage.ask(schema=ANSWER, stream=stream)
    assert (again.value, again.repaired) == ({"total": 4}, True)


async def test_what_is_wrong_with_an_answer_is_told_to_the_model(stage: ModelStage, say: Any) -> None:
    def check(value: Json) -> list[str]:
        return ["total is too small"] if value["total"] < 5 else []

    state = say({"value": {"total": "many"}}, {"value": {"total": 2}}, {"value": {"total": 5}})
    answer = await stage.ask(schema=ANSWER, check=check)
    assert answer.value == {"total": 5}
    assert answer.usage.requests == 3
    told = str(state.requests[2].body)
    assert "$.total: expected a whole number" in told
    assert "total is too small" in told


@pytest.mark.parametrize("stream", [False, True])
async def test_several_tools_at_once_and_then_an_answer(stage: ModelStage, say: Any, stream: bool) -> None:
    async def look(args: Json) -> Json:
        return {"found": f"{args['room']} is empty"}

    both = [{"name": "look", "args": {"room": "kitchen"}}, {"name": "look", "args": {"room": "hall"}}]
    state = say({"thinking": "Two rooms.", "text": "I look.", "tools": both}, {"value": {"total": 2}})
    answer = await stage.ask(schema=ANSWER, tools=[tool("look", look, room="string")], stream=stream)
    assert answer.value == {"total": 2}
    assert (answer.usage.requests, answer.usage.tool_calls) == (2, 2)
    assert "kitchen is empty" in str(state.requests[1].body)
    assert "hall is empty" in str(state.requests[1].body)
    if stream:
        used = [event.data["args"] for event in stage.events if event.kind is AskEventKind.TOOL_USED]
        assert used == [{"room": "kitchen"}, {"room": "hall"}]
        results = [event.data["ok"] for event in stage.events if event.kind is AskEventKind.TOOL_RESULT]
        assert results == [True, True]


async def test_a_refused_tool_is_shown_to_the_model_and_the_talk_goes_on(stage: ModelStage, say: Any) -> None:
    async def send(args: Json) -> Json:
        raise ToolRefused("Sending is for people only.")

    state = say({"tools": [{"name": "send", "args": {"to": "x"}}]}, {"text": "I could not send it."})
    answer = await stage.ask(tools=[tool("send", send, to="string")])
    assert answer.text == "I could not send it."
    assert "Sending is for people only." in str(state.requests[1].body)


async def test_a_stream_is_told_word_by_word(stage: ModelStage, say: Any) -> None:
    say({"thinking": "Let me see.", "text": "One two three."})
    answer = await stage.ask(stream=True)
    words = [event.text for event in stage.events if event.kind is AskEventKind.MESSAGE]
    assert len(words) >= 3
    assert "".join(words) == answer.text == "One two three."
    thoughts = [event.text for event in stage.events if event.kind is AskEventKind.THINKING]
    assert "".join(thoughts) == "Let me see."


PASSING = [
    {"fault": "rate_limited", "seconds": 3},
    {"fault": "overloaded"},
    {"fault": "server_error"},
    {"fault": "garbage"},
    {"text": "A long answer of many words.", "fault": "half_json"},
    {"text": "A long answer of many words.", "fault": "cut"},
    {"text": "A long answer of many words.", "fault": "failing"},
    {"fault": "empty"},
]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("turn", PASSING, ids=[turn["fault"] for turn in PASSING])
async def test_what_may_pass_is_tried_again(
    stage: ModelStage, say: Any, turn: dict[str, Any], stream: bool
) -> None:
    say(turn, {"text": "Here I am."})
    answer = await stage.ask(stream=stream)
    assert answer.text == "Here I am."
    assert answer.usage.requests == 2
    assert len(stage.clock.waits) == 1
    if turn["fault"] == "rate_limited":
        assert stage.clock.waits == [3.0]
    kinds = [event.kind for event in stage.events]
    if stream and AskEventKind.STARTED_OVER in kinds:
        rest = stage.events[kinds.index(AskEventKind.STARTED_OVER) + 1 :]
        assert "".join(event.text for event in rest) == "Here I am."
    elif stream:
        assert "".join(event.text for event in stage.events) == "Here I am."


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("turn", PASSING, ids=[turn["fault"] for turn in PASSING])
async def test_what_does_not_pass_ends_after_some_tries(
    stage: ModelStage, say: Any, turn: dict[str, Any], stream: bool
) -> None:
    state = say({**turn, "times": 0})
    with pytest.raises(ModelUnavailable) as failed:
        await stage.ask(stream=stream)
    assert failed.value.retryable
    assert len(state.requests) == 3
    assert failed.value.details["usage"]["requests"] == 3


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("unauthorized", (ModelUnavailable, "model_key_refused")),
        ("not_found", (ModelUnavailable, "model_not_found")),
        ("bad_request", (ModelUnavailable, "model_request_rejected")),
        ("context_too_long", (ContextTooLong, "context_too_long")),
        ("refused", (AnswerRefused, "answer_refused")),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_what_does_not_pass_by_itself_is_not_tried_again(
    stage: ModelStage, say: Any, fault: str, error: tuple[type[OmniForgeError], str], stream: bool
) -> None:
    state = say({"fault": fault, "times": 0})
    kind, code = error
    with pytest.raises(kind) as failed:
        await stage.ask(stream=stream)
    assert failed.value.code == code
    assert len(state.requests) == 1
    assert KEY not in f"{failed.value} {failed.value.details}"


async def test_a_service_that_wants_a_long_rest_is_not_waited_for(stage: ModelStage, say: Any) -> None:
    say({"fault": "rate_limited", "seconds": 600})
    with pytest.raises(ModelUnavailable) as failed:
        await stage.ask()
    assert failed.value.retry_after == 600
    assert stage.clock.waits == []


async def test_a_key_that_does_not_hold_is_a_plain_error(stage: ModelStage, say: Any, caplog: Any) -> None:
    say({"text": "secret"}, keys=frozenset({"another"}))
    caplog.set_level("DEBUG")
    with pytest.raises(ModelUnavailable, match="does not accept the key") as failed:
        await stage.ask()
    chain = f"{failed.value!r} {failed.value.details} {failed.value.__cause__!r} {caplog.text}"
    assert KEY not in chain


async def test_who_stops_waiting_closes_the_connection(
    stage: ModelStage, say: Any, server: RunningModels
) -> None:
    state = say({"text": "late", "fault": "slow", "seconds": 30})
    asked = asyncio.create_task(stage.ask())
    while not state.requests:
        await asyncio.sleep(0.01)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    while not state.left:
        await asyncio.sleep(0.01)


async def test_a_stream_nobody_waits_for_ends_at_the_service(stage: ModelStage, say: Any) -> None:
    state = say({"text": "word " * 400, "pause": 0.02})
    asked = asyncio.create_task(stage.ask(stream=True))
    while not stage.events:
        await asyncio.sleep(0.01)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    while not state.left:
        await asyncio.sleep(0.01)


async def test_a_deadline_ends_the_wait(stage: ModelStage, say: Any) -> None:
    state = say({"text": "late", "fault": "slow", "seconds": 30})
    with pytest.raises(BudgetExceeded, match=r"limit of 0\.2 seconds") as failed:
        await stage.ask(limits=AskLimits(seconds=0.2))
    assert failed.value.details["limit"] == "seconds"
    while not state.left:
        await asyncio.sleep(0.01)


async def test_a_server_that_is_not_there_is_said_plainly(stage: ModelStage) -> None:
    provider = stage.model.partition(":")[0]
    stage.client.settings.servers[provider] = "http://127.0.0.1:9/v1"
    with pytest.raises(ModelUnavailable) as failed:
        await stage.ask()
    assert (failed.value.code, failed.value.retryable) == ("model_unreachable", True)


async def test_a_service_that_stays_silent_is_given_up(server: RunningModels, stage: ModelStage) -> None:
    server.say({"text": "late", "fault": "slow", "seconds": 30, "times": 0})
    silent = ModelStage.over(server, stage.model, timeout=0.1, attempts=1)
    with pytest.raises(ModelUnavailable) as failed:
        await silent.ask()
    assert failed.value.code == "model_timeout"
    await silent.client.close()


async def test_where_the_network_is_closed_nothing_is_sent(stage: ModelStage, say: Any) -> None:
    state = say({"text": "Hello"})
    with no_network(), pytest.raises(NetworkDisabled):
        await stage.ask()
    assert state.requests == []
