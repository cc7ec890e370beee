"""OpenAI's Chat Completions, whole and as a stream of chunks; OpenRouter's variant of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class Chat:
    """`router`: with what OpenRouter adds (provider, native reasons, reasoning, cost)."""

    router: bool = False

    def asked(self, body: Json) -> Asked:
        messages = listed(body, "messages")
        tools = tuple(str(tool["function"]["name"]) for tool in listed(body, "tools"))
        kind = part(body, "response_format").get("type")
        return Asked(
            model=body["model"],
            text="\n".join(texts_of(messages)),
            turn=sum(message["role"] == "assistant" for message in messages),
            tools=tools,
            forced=called(body.get("tool_choice"), tools),
            wants_json=kind in ("json_schema", "json_object"),
            stream=bool(body.get("stream")),
        )

    def whole(self, said: Said) -> Json:
        message: Json = {"role": "assistant", "content": said.text, "refusal": None}
        if said.is_refused:
            message["refusal"] = "I'm sorry, I can't help with that."
        if said.turn.thinking and self.router:
            message["reasoning"] = said.turn.thinking
        if said.tools:
            message["tool_calls"] = [
                {
                    "id": call_id,
                    "type": "function",
                    "function": {"name": tool.name, "arguments": arguments(tool)},
                }
                for tool, call_id in zip(said.tools, said.ids[1:], strict=True)
            ]
        choice = {
            "index": 0,
            "message": message,
            "finish_reason": self._finish(said),
            "logprobs": None,
            **({"native_finish_reason": self._finish(said)} if self.router else {}),
        }
        return self._base(said, "chat.completion", choices=[choice], usage=self._usage(said))

    def events(self, said: Said) -> Iterator[tuple[None, Json | str]]:
        yield None, self._chunk(said, {"role": "assistant", "content": ""})
        if said.turn.thinking:
            name = "reasoning" if self.router else "reasoning_content"
            for word in words(said.turn.thinking):
                yield None, self._chunk(said, {name: word})
        for word in words(said.text or ""):
            yield None, self._chunk(said, {"content": word})
        if said.is_refused:
            yield None, self._chunk(said, {"refusal": "I'm sorry, I can't help with that."})
        for index, (tool, call_id) in enumerate(zip(said.tools, said.ids[1:], strict=True)):
            function: Json = {"name": tool.name, "arguments": ""}
            begun = {"index": index, "id": call_id, "type": "function", "function": function}
            yield None, self._chunk(said, {"tool_calls": [begun]})
            for piece in pieces(arguments(tool)):
                more = {"index": index, "function": {"arguments": piece}}
                yield None, self._chunk(said, {"tool_calls": [more]})
        yield None, self._chunk(said, {}, self._finish(said))
        yield None, self._base(said, "chat.completion.chunk", choices=[], usage=self._usage(said))
        yield None, "[DONE]"

    def refused(self, refusal: Refusal) -> Json:
        if self.router:
            return {"error": {"code": refusal.status, "message": refusal.message, "metadata": {}}}
        error = {"message": refusal.message, "type": refusal.openai, "param": None, "code": refusal.code}
        return {"error": error}

    def failed(self, refusal: Refusal) -> tuple[None, Json]:
        return None, self.refused(refusal)

    def _finish(self, said: Said) -> str:
        if said.turn.is_cut_short:
            return "length"
        if said.is_refused:
            return "content_filter"
        return "tool_calls" if said.tools else "stop"

    def _chunk(self, said: Said, delta: Json, finish: str | None = None) -> Json:
        choice: Json = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        if self.router:
            choice["native_finish_reason"] = finish
        return self._base(said, "chat.completion.chunk", choices=[choice])

    def _base(self, said: Said, kind: str, **rest: object) -> Json:
        base: Json = {"id": said.ids[0], "object": kind, "created": int(time.time()), "model": said.model}
        return {**base, **({"provider": "Standin"} if self.router else {}), **rest}

    def _usage(self, said: Said) -> Json:
        return {
            "prompt_tokens": said.tokens_in,
            "completion_tokens": said.tokens_out,
            "total_tokens": said.tokens_in + said.tokens_out,
            "prompt_tokens_details": {"cached_tokens": said.tokens_cached},
            **({"cost": 0.0, "is_byok": False} if self.router else {}),
        }
