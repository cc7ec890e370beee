"""Anthropic's Messages, whole and as a stream of events."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from omniforge.llm.scripts import Asked, ToolUse, words
from omniforge.llm.standin.speech import Json, Refusal, Said, arguments, listed, part, pieces, texts_of


def asked(body: Json) -> Asked:
    messages = listed(body, "messages")
    choice = part(body, "tool_choice")
    tools = tuple(str(tool["name"]) for tool in listed(body, "tools"))
    must = {"tool": choice.get("name"), "any": tools[-1] if tools else None}
    return Asked(
        model=body["model"],
        text="\n".join(texts_of([body.get("system"), messages])),
        turn=sum(message["role"] == "assistant" for message in messages),
        tools=tools,
        forced=must.get(choice.get("type", "")),
        wants_json=bool(part(body, "output_config", "format") or body.get("output_format")),
        stream=bool(body.get("stream")),
    )


def whole(said: Said) -> Json:
    return _message(said, _content(said), _stop(said), _usage(said))


def events(said: Said) -> Iterator[tuple[str, Json]]:
    start = _message(said, [], None, {**_usage(said), "output_tokens": 1})
    yield "message_start", {"type": "message_start", "message": start}
    yield "ping", {"type": "ping"}
    for index, block in enumerate(_content(said)):
        begun, deltas = _streamed(block)
        yield (
            "content_block_start",
            {"type": "content_block_start", "index": index, "content_block": begun},
        )
        for delta in deltas:
            yield (
                "content_block_delta",
                {"type": "content_block_delta", "index": index, "delta": delta},
            )
        yield "content_block_stop", {"type": "content_block_stop", "index": index}
    ending: Json = {"stop_reason": _stop(said), "stop_sequence": None}
    usage = {"output_tokens": said.tokens_out}
    yield "message_delta", {"type": "message_delta", "delta": ending, "usage": usage}
    yield "message_stop", {"type": "message_stop"}


def refused(refusal: Refusal) -> Json:
    error = {"type": refusal.anthropic, "message": refusal.message}
    return {"type": "error", "error": error, "request_id": "req_standin"}


def failed(refusal: Refusal) -> tuple[str, Json]:
    return "error", refused(refusal)


def _message(said: Said, content: list[Json], stop: str | None, usage: Json) -> Json:
    return {
        "id": said.ids[0],
        "type": "message",
        "role": "assistant",
        "model": said.model,
        "content": content,
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": usage,
    }


def _content(said: Said) -> list[Json]:
    blocks: list[Json] = []
    if said.turn.thinking:
        blocks.append({"type": "thinking", "thinking": said.turn.thinking, "signature": "c2lnbmVk"})
    if said.text:
        blocks.append({"type": "text", "text": said.text})
    for tool, call_id in zip(said.tools, said.ids[1:], strict=True):
        blocks.append({"type": "tool_use", "id": call_id, "name": tool.name, "input": _input(tool)})
    return blocks


def _input(tool: ToolUse) -> Any:
    """Anthropic's own answers hold objects; text stays text and tells of a server that is not Anthropic."""
    try:
        return json.loads(arguments(tool))
    except ValueError:
        return tool.args


def _streamed(block: Json) -> tuple[Json, list[Json]]:
    """A block as it begins, and the deltas that fill it."""
    match block["type"]:
        case "thinking":
            deltas: list[Json] = [
                {"type": "thinking_delta", "thinking": word} for word in words(block["thinking"])
            ]
            deltas.append({"type": "signature_delta", "signature": block["signature"]})
            return {"type": "thinking", "thinking": "", "signature": ""}, deltas
        case "text":
            deltas = [{"type": "text_delta", "text": word} for word in words(block["text"])]
            return {"type": "text", "text": ""}, deltas
        case _:
            given = block["input"]
            text = given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)
            parts = ["", *pieces(text)]
            deltas = [{"type": "input_json_delta", "partial_json": each} for each in parts]
            return {**block, "input": {}}, deltas


def _stop(said: Said) -> str:
    if said.is_refused:
        return "refusal"
    if said.turn.is_cut_short:
        return "max_tokens"
    return "tool_use" if said.tools else "end_turn"


def _usage(said: Said) -> Json:
    return {
        "input_tokens": said.tokens_in - said.tokens_cached,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": said.tokens_cached,
        "output_tokens": said.tokens_out,
    }
