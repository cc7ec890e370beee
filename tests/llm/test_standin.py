"""The local model server against the vendors' own clients and their types."""

from __future__ import annotations

import json
from typing import Any

import anthropic
import httpx
import openai
import pytest
from anthropic import AsyncAnthropic
from anthropic.types import Message, RawMessageStreamEvent
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from model_server import RunningModels

TURN: dict[str, Any] = {
    "thinking": "Two rooms to look at.",
    "text": "I look at both.",
    "tools": [
        {"name": "look", "args": {"room": "kitchen", "deep": True}},
        {"name": "look", "args": {"room": "hall"}},
    ],
    "usage": {"in": 40, "out": 9, "cached": 8},
}
ASKED = [{"role": "user", "content": "Look."}]


def strictly(kind: Any, data: Any) -> Any:
    """The vendors' clients build their types without checking; here every field is checked."""
    return TypeAdapter(kind).validate_python(data)


async def events_of(models: RunningModels, path: str, body: dict[str, Any]) -> list[tuple[str | None, Any]]:
    async with httpx.AsyncClient() as client:
        answer = await client.post(models.url + path, json={"model": "m", "stream": True, **body})
    assert answer.headers["content-type"].startswith("text/event-stream")
    events: list[tuple[str | None, Any]] = []
    for block in answer.text.split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
        if "data" in lines:
            events.append((lines.get("event"), lines["data"]))
    return events


async def whole_of(models: RunningModels, path: str, body: dict[str, Any]) -> Any:
    async with httpx.AsyncClient() as client:
        return (await client.post(models.url + path, json={"model": "m", **body})).json()


async def test_whole_answers_fit_the_vendors_types(models: RunningModels) -> None:
    models.say({**TURN, "times": 0})
    message = strictly(Message, await whole_of(models, "/v1/messages", {"messages": ASKED}))
    assert [block.type for block in message.content] == ["thinking", "text", "tool_use", "tool_use"]
    completion = strictly(ChatCompletion, await whole_of(models, "/v1/chat/completions", {"messages": ASKED}))
    assert completion.choices[0].finish_reason == "tool_calls"
    assert len(completion.choices[0].message.tool_calls) == 2
    response = strictly(Response, await whole_of(models, "/v1/responses", {"input": ASKED}))
    assert [item.type for item in response.output] == [
        "reasoning",
        "message",
        "function_call",
        "function_call",
    ]
    routed = await whole_of(models, "/api/v1/chat/completions", {"messages": ASKED})
    assert strictly(ChatCompletion, routed).usage.prompt_tokens == 40
    assert routed["provider"]
    assert routed["choices"][0]["native_finish_reason"] == "tool_calls"


@pytest.mark.parametrize(
    ("path", "kind", "body"),
    [
        ("/v1/messages", RawMessageStreamEvent, {"messages": ASKED}),
        ("/v1/chat/completions", ChatCompletionChunk, {"messages": ASKED}),
        ("/api/v1/chat/completions", ChatCompletionChunk, {"messages": ASKED}),
        ("/v1/responses", ResponseStreamEvent, {"input": ASKED}),
    ],
)
async def test_every_event_of_a_stream_fits_the_vendors_types(
    models: RunningModels, path: str, kind: Any, body: dict[str, Any]
) -> None:
    models.say(TURN)
    for name, data in await events_of(models, path, body):
        if data == "[DONE]" or name == "ping":
            continue
        event = strictly(kind, json.loads(data))
        assert name is None or event.type == name


async def test_anthropics_client_puts_a_stream_together(models: RunningModels) -> None:
    models.say(TURN)
    client = AsyncAnthropic(api_key="k", base_url=models.url, max_retries=0)
    async with client.messages.stream(
        model="m", max_tokens=9, messages=[{"role": "user", "content": "x"}]
    ) as stream:
        message = await stream.get_final_message()
    await client.close()
    assert [block.input for block in message.content if block.type == "tool_use"] == [
        {"room": "kitchen", "deep": True},
        {"room": "hall"},
    ]
    assert message.stop_reason == "tool_use"
    assert (message.usage.input_tokens, message.usage.output_tokens) == (32, 9)


async def test_openais_client_puts_a_stream_together(models: RunningModels) -> None:
    models.say({**TURN, "times": 0})
    client = AsyncOpenAI(api_key="k", base_url=f"{models.url}/v1", max_retries=0)
    async with client.responses.stream(model="m", input="x") as stream:
        response = await stream.get_final_response()
    async with client.chat.completions.stream(model="m", messages=[{"role": "user", "content": "x"}]) as chat:
        completion = await chat.get_final_completion()
    await client.close()
    calls = [json.loads(item.arguments) for item in response.output if item.type == "function_call"]
    assert calls == [{"room": "kitchen", "deep": True}, {"room": "hall"}]
    assert response.output_text == "I look at both."
    assert completion.choices[0].message.content == "I look at both."
    assert completion.usage
    assert completion.usage.total_tokens == 49


async def test_errors_are_what_the_vendors_clients_know(models: RunningModels) -> None:
    models.say(
        {"fault": "rate_limited", "seconds": 7},
        {"fault": "overloaded"},
        {"text": "ok"},
        keys=frozenset({"k"}),
    )
    claude = AsyncAnthropic(api_key="k", base_url=models.url, max_retries=0)
    with pytest.raises(anthropic.RateLimitError) as limited:
        await claude.messages.create(model="m", max_tokens=9, messages=[{"role": "user", "content": "x"}])
    assert limited.value.response.headers["retry-after"] == "7"
    with pytest.raises(anthropic.APIStatusError) as overloaded:
        await claude.messages.create(model="m", max_tokens=9, messages=[{"role": "user", "content": "x"}])
    assert overloaded.value.status_code == 529
    await claude.close()
    stranger = AsyncOpenAI(api_key="other", base_url=f"{models.url}/v1", max_retries=0)
    with pytest.raises(openai.AuthenticationError):
        await stranger.responses.create(model="m", input="x")
    await stranger.close()


async def test_the_control_side_brings_turns_and_faults(models: RunningModels) -> None:
    async with httpx.AsyncClient(base_url=models.url) as client:
        change = {"turns": [{"text": "hello"}], "faults": [{"fault": "server_error", "times": 2}]}
        assert (await client.post("/_control", json=change)).json() == {"faults": 2}
        body = {"model": "m", "messages": ASKED}
        answers = [(await client.post("/v1/messages", json=body)).status_code for _ in range(4)]
        assert answers == [500, 500, 200, 400]
        told = (await client.get("/_control/requests")).json()
        assert [entry["status"] for entry in told["requests"]] == answers
        refused = await client.post("/_control", json={"turns": [{"words": "x"}]})
        assert refused.status_code == 422
        assert "words" in refused.json()["error"]


async def test_no_header_value_is_kept(models: RunningModels) -> None:
    models.say({"text": "ok"})
    async with httpx.AsyncClient(base_url=models.url) as client:
        body = {"model": "m", "messages": ASKED}
        await client.post("/v1/messages", json=body, headers={"x-api-key": "very-secret"})
        told = (await client.get("/_control/requests")).text
    assert "x-api-key" in told
    assert "very-secret" not in told
