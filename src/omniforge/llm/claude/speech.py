"""What a model says in Anthropic's Messages, read from the events of its stream as they come (no I/O)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from pydantic_ai import exceptions as vendor

from omniforge.llm.calling import Spoken
from omniforge.llm.mending import mended, strictly
from omniforge.llm.protocol import AskEventKind
from omniforge.llm.translation import BadAnswer

Json = dict[str, Any]
_KINDS: dict[str, Any] = {
    "rate_limit_error": vendor.ModelRateLimitError,
    "overloaded_error": vendor.ModelOverloadedError,
    "api_error": vendor.ModelServerError,
    "authentication_error": vendor.ModelAuthenticationError,
    "permission_error": vendor.ModelAuthenticationError,
    "billing_error": vendor.ModelQuotaExceededError,
    "not_found_error": vendor.ModelNotFoundError,
    "request_too_large": vendor.ModelContextWindowExceededError,
    "invalid_request_error": vendor.ModelRequestRejectedError,
}
_STATUSES = {429: "rate_limit_error", 529: "overloaded_error", 503: "overloaded_error"}
_TOO_LONG = "prompt is too long"


@dataclass(slots=True)
class Call:
    """A tool the model calls. `args` as they were written."""

    name: str
    args: str = ""


@dataclass(slots=True)
class Said:
    """One answer of a model. `stop` is why it ended; None while it has not."""

    events: list[Json] = field(default_factory=list[Json])
    texts: dict[int, str] = field(default_factory=dict[int, str])
    calls: dict[int, Call] = field(default_factory=dict[int, Call])
    stop: str | None = None
    is_whole: bool = False
    spoken: Spoken = field(default_factory=Spoken)
    thought: str = ""

    @property
    def text(self) -> str:
        return "".join(self.texts.values())

    @property
    def written(self) -> list[str]:
        """Everything that was paid for."""
        return [self.text, self.thought, *(f"{call.name} {call.args}" for call in self.calls.values())]

    def take(self, event: Json) -> tuple[AskEventKind, str]:
        """Add one event; the new words in it."""
        self.events.append(event)
        at = int(event.get("index") or 0)
        match event.get("type"):
            case "message_start":
                self.spoken = _spoken(_object(_object(event.get("message")).get("usage")), self.spoken)
            case "content_block_start":
                self._begin(at, _object(event.get("content_block")))
            case "content_block_delta":
                return self._go_on(at, _object(event.get("delta")))
            case "message_delta":
                self.stop = _object(event.get("delta")).get("stop_reason") or self.stop
                self.spoken = _spoken(_object(event.get("usage")), self.spoken)
            case "message_stop":
                self.is_whole = True
            case _:
                pass
        return AskEventKind.MESSAGE, ""

    def mend(self, schemas: Mapping[str, Json]) -> bool:
        """Make objects of the arguments that are none; whether there were any."""
        mended_calls: dict[int, str] = {}
        for at, call in self.calls.items():
            if call.name in schemas and call.args.strip() and not isinstance(strictly(call.args), dict):
                value = mended(call.args, schemas[call.name])
                if value is not None:
                    call.args = mended_calls[at] = json.dumps(value, ensure_ascii=False)
        if mended_calls:
            self.events = list(_rewritten(self.events, mended_calls))
        return bool(mended_calls)

    def as_stream(self) -> str:
        """The events as a service sends them."""
        return "".join(
            f"event: {event.get('type')}\ndata: {json.dumps(event, ensure_ascii=False)}\n\n"
            for event in self.events
        )

    def _begin(self, at: int, block: Json) -> None:
        if block.get("type") == "tool_use":
            self.calls[at] = Call(str(block.get("name")))
        elif block.get("type") == "text":
            self.texts[at] = str(block.get("text", ""))

    def _go_on(self, at: int, delta: Json) -> tuple[AskEventKind, str]:
        match delta.get("type"):
            case "text_delta":
                text = str(delta.get("text", ""))
                self.texts[at] = self.texts.get(at, "") + text
                return AskEventKind.MESSAGE, text
            case "thinking_delta":
                text = str(delta.get("thinking", ""))
                self.thought += text
                return AskEventKind.THINKING, text
            case "input_json_delta" if at in self.calls:
                self.calls[at].args += str(delta.get("partial_json", ""))
            case _:
                pass
        return AskEventKind.MESSAGE, ""


def _rewritten(events: list[Json], args: dict[int, str]) -> Iterator[Json]:
    """The events with these arguments in place of the pieces that came, by index of the block."""
    left = dict(args)
    for event in events:
        at = event.get("index", -1)
        if at not in args or _object(event.get("delta")).get("type") != "input_json_delta":
            yield event
        elif at in left:
            yield {**event, "delta": {"type": "input_json_delta", "partial_json": left.pop(at)}}


def _object(value: Any) -> Json:
    return cast("Json", value) if isinstance(value, dict) else {}


def parsed(line: str, model: str) -> Json | None:
    """The event in a line of the stream; None for a line without one. Raises what the event complains of."""
    if not line.startswith("data:"):
        return None
    try:
        event: Any = json.loads(line[5:])
    except ValueError:
        raise BadAnswer(model, "an event that is no JSON") from None
    if not isinstance(event, dict):
        raise BadAnswer(model, "an event that is no object")
    found = cast("Json", event)
    if found.get("type") == "error":
        raise failure(500, found, {}, model, in_stream=True)
    return found


def failure(
    status: int, body: Any, headers: dict[str, str], model: str, *, in_stream: bool = False
) -> vendor.ModelAPIError:
    """The error a service answers with, by its kind. What it wrote is not kept: it may hold the key."""
    told = _object(_object(body).get("error"))
    kind = str(told.get("type") or _STATUSES.get(status, ""))
    default = vendor.ModelServerError if status >= 500 else vendor.ModelRequestRejectedError
    category = _KINDS.get(kind, default)
    if _TOO_LONG in str(told.get("message", "")):
        category = vendor.ModelContextWindowExceededError
    return vendor.ModelHTTPError.for_category(
        category, status_code=status, model_name=model, headers=headers, in_stream=in_stream
    )


def _spoken(usage: Json, before: Spoken) -> Spoken:
    """Figures come in two events, and each may leave out what the other tells."""
    fresh = [int(usage.get(name) or 0) for name in ("input_tokens", "cache_creation_input_tokens")]
    cached = int(usage.get("cache_read_input_tokens") or 0)
    return Spoken(
        max(before.tokens_in, sum(fresh) + cached),
        max(before.tokens_out, int(usage.get("output_tokens") or 0)),
        max(before.tokens_cached, cached),
    )
