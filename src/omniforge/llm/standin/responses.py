"""OpenAI's Responses, whole and as a stream of numbered events."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import count

from omniforge.llm.scripts import Asked, words
from omniforge.llm.standin.speech import (
    Json,
    Refusal,
    Said,
    arguments,
    called,
    listed,
    part,
    pieces,
    texts_of,
)

SORRY = "I'm sorry, I can't help with that."


def asked(body: Json) -> Asked:
    items = listed(body, "input")
    tools = tuple(str(tool["name"]) for tool in listed(body, "tools") if tool.get("type") == "function")
    kind = part(body, "text", "format").get("type")
    return Asked(
        model=body["model"],
        text="\n".join(texts_of([body.get("instructions"), body.get("input")])),
        turn=sum(item.get("role") == "assistant" or item.get("type") == "function_call" for item in items),
        tools=tools,
        forced=called(body.get("tool_choice"), tools),
        wants_json=kind in ("json_schema", "json_object"),
        stream=bool(body.get("stream")),
    )


def whole(said: Said) -> Json:
    return _response(said, _items(said), _status(said))


def events(said: Said) -> Iterator[tuple[str, Json]]:
    numbers = count()
    for name, data in _events(said):
        yield name, {"type": name, "sequence_number": next(numbers), **data}


def refused(refusal: Refusal) -> Json:
    error = {"message": refusal.message, "type": refusal.openai, "param": None, "code": refusal.code}
    return {"error": error}


def failed(refusal: Refusal) -> tuple[str, Json]:
    error = {"code": refusal.code or "server_error", "message": refusal.message, "param": None}
    return "error", {"type": "error", "sequence_number": 99, **error}


def _events(said: Said) -> Iterator[tuple[str, Json]]:
    begun = _response(said, [], "in_progress")
    yield "response.created", {"response": begun}
    yield "response.in_progress", {"response": begun}
    items = _items(said)
    for index, item in enumerate(items):
        match item["type"]:
            case "message":
                inner = _message_events(item)
            case "reasoning":
                inner = _reasoning_events(item)
            case _:
                inner = _call_events(item)
        yield "response.output_item.added", {"output_index": index, "item": _opened(item)}
        for name, data in inner:
            yield name, {"output_index": index, "item_id": item["id"], **data}
        yield "response.output_item.done", {"output_index": index, "item": item}
    status = _status(said)
    yield f"response.{status}", {"response": _response(said, items, status)}


def _opened(item: Json) -> Json:
    unfilled: dict[str, Json] = {"message": {"content": []}, "reasoning": {"summary": []}}
    return {**item, "status": "in_progress", **unfilled.get(item["type"], {"arguments": ""})}


def _message_events(item: Json) -> Iterator[tuple[str, Json]]:
    for index, piece in enumerate(item["content"]):
        kind = "output_text" if piece["type"] == "output_text" else "refusal"
        field = "text" if kind == "output_text" else "refusal"
        extra: Json = {"logprobs": []} if kind == "output_text" else {}
        yield "response.content_part.added", {"content_index": index, "part": {**piece, field: ""}}
        for word in words(piece[field]):
            yield f"response.{kind}.delta", {"content_index": index, "delta": word, **extra}
        yield f"response.{kind}.done", {"content_index": index, field: piece[field], **extra}
        yield "response.content_part.done", {"content_index": index, "part": piece}


def _reasoning_events(item: Json) -> Iterator[tuple[str, Json]]:
    for index, piece in enumerate(item["summary"]):
        at = {"summary_index": index}
        yield "response.reasoning_summary_part.added", {**at, "part": {**piece, "text": ""}}
        for word in words(piece["text"]):
            yield "response.reasoning_summary_text.delta", {**at, "delta": word}
        yield "response.reasoning_summary_text.done", {**at, "text": piece["text"]}
        yield "response.reasoning_summary_part.done", {**at, "part": piece}


def _call_events(item: Json) -> Iterator[tuple[str, Json]]:
    for piece in pieces(item["arguments"]):
        yield "response.function_call_arguments.delta", {"delta": piece}
    done = {"arguments": item["arguments"], "name": item["name"]}
    yield "response.function_call_arguments.done", done


def _items(said: Said) -> list[Json]:
    answer = said.ids[0].removeprefix("resp_")
    items: list[Json] = []
    if said.turn.thinking:
        summary = [{"type": "summary_text", "text": said.turn.thinking}]
        items.append({"id": f"rs_{answer}", "type": "reasoning", "summary": summary})
    parts: list[Json] = []
    if said.text:
        parts.append({"type": "output_text", "text": said.text, "annotations": [], "logprobs": []})
    if said.is_refused:
        parts.append({"type": "refusal", "refusal": SORRY})
    if parts:
        message = {"type": "message", "role": "assistant", "status": "completed", "content": parts}
        items.append({"id": f"msg_{answer}", **message})
    for tool, call_id in zip(said.tools, said.ids[1:], strict=True):
        call = {"type": "function_call", "call_id": call_id, "name": tool.name, "status": "completed"}
        items.append({"id": f"fc_{call_id}", **call, "arguments": arguments(tool)})
    return items


def _status(said: Said) -> str:
    return "incomplete" if said.turn.is_cut_short else "completed"


def _response(said: Said, items: list[Json], status: str) -> Json:
    is_over = status != "in_progress"
    return {
        "id": said.ids[0],
        "object": "response",
        "created_at": int(time.time()),
        "status": status,
        "model": said.model,
        "output": items,
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if status == "incomplete" else None,
        "instructions": None,
        "metadata": {},
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "top_p": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "usage": _usage(said) if is_over else None,
    }


def _usage(said: Said) -> Json:
    return {
        "input_tokens": said.tokens_in,
        "input_tokens_details": {"cached_tokens": said.tokens_cached, "cache_write_tokens": 0},
        "output_tokens": said.tokens_out,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": said.tokens_in + said.tokens_out,
    }
