"""What the protocols share: a turn cut into the pieces of a stream, its usage, and errors by kind."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, cast

from omniforge.llm.scripts import Asked, FaultKind, ToolUse, Turn

Json = dict[str, Any]
PIECE = 12
"""Characters of a tool's arguments in one piece of a stream."""


class Refusal(NamedTuple):
    """An error as HTTP has it; each protocol writes it in its own shape."""

    status: int
    anthropic: str
    openai: str
    code: str | None
    message: str


REFUSALS: Mapping[FaultKind, Refusal] = {
    FaultKind.RATE_LIMITED: Refusal(
        429, "rate_limit_error", "requests", "rate_limit_exceeded", "Rate limit reached for requests."
    ),
    FaultKind.OVERLOADED: Refusal(529, "overloaded_error", "server_error", "overloaded", "Overloaded"),
    FaultKind.SERVER_ERROR: Refusal(
        500, "api_error", "server_error", None, "The server had an error while processing your request."
    ),
    FaultKind.FAILING: Refusal(500, "api_error", "server_error", None, "Internal server error"),
    FaultKind.UNAUTHORIZED: Refusal(
        401, "authentication_error", "invalid_request_error", "invalid_api_key", "Incorrect API key."
    ),
    FaultKind.NO_CREDIT: Refusal(
        429,
        "rate_limit_error",
        "insufficient_quota",
        "insufficient_quota",
        "You exceeded your current quota.",
    ),
    FaultKind.NOT_FOUND: Refusal(
        404, "not_found_error", "invalid_request_error", "model_not_found", "The model does not exist."
    ),
    FaultKind.BAD_REQUEST: Refusal(
        400, "invalid_request_error", "invalid_request_error", None, "Something in the request is invalid."
    ),
    FaultKind.CONTEXT_TOO_LONG: Refusal(
        400,
        "invalid_request_error",
        "invalid_request_error",
        "context_length_exceeded",
        "prompt is too long: 250000 tokens > 200000 maximum context length",
    ),
}


@dataclass(frozen=True, slots=True)
class Said:
    """A turn on its way out. `tokens_*` are what the script says, or a rough count."""

    turn: Turn
    model: str
    tokens_in: int
    tokens_out: int
    tokens_cached: int
    ids: tuple[str, ...]
    """One of the answer, then one of each tool call."""

    @property
    def text(self) -> str | None:
        silent = self.turn.fault in (FaultKind.EMPTY, FaultKind.REFUSED)
        return None if silent else self.turn.text

    @property
    def tools(self) -> tuple[ToolUse, ...]:
        silent = self.turn.fault in (FaultKind.EMPTY, FaultKind.REFUSED)
        return () if silent else self.turn.tools

    @property
    def is_refused(self) -> bool:
        return self.turn.fault is FaultKind.REFUSED


class Protocolled(Protocol):
    """One vendor's way to say things (a module of this package)."""

    def asked(self, body: Json) -> Asked: ...

    def whole(self, said: Said) -> Json: ...

    def events(self, said: Said) -> Iterator[tuple[str | None, Json | str]]:
        """Name of the event (where the protocol has names) and its data."""
        ...

    def refused(self, refusal: Refusal) -> Json: ...

    def failed(self, refusal: Refusal) -> tuple[str | None, Json]:
        """The same error inside a stream that has begun."""
        ...


def arguments(tool: ToolUse) -> str:
    return tool.args if isinstance(tool.args, str) else json.dumps(tool.args, ensure_ascii=False)


def pieces(text: str) -> list[str]:
    return [text[at : at + PIECE] for at in range(0, len(text), PIECE)]


def texts_of(value: Any) -> Iterator[str]:
    """Every text in a part of a request, in order."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        held = cast("Any", value)
        for each in held.values() if isinstance(value, dict) else held:
            yield from texts_of(each)


def part(body: Any, *names: str) -> Json:
    """The object at that place of a request; empty when there is none."""
    found = body
    for name in names:
        found = cast("Json", found).get(name) if isinstance(found, dict) else None
    return cast("Json", found) if isinstance(found, dict) else {}


def listed(body: Json, name: str) -> list[Json]:
    """The objects of a list in a request; none where there is no list."""
    found = body.get(name)
    entries = cast("list[Any]", found) if isinstance(found, list) else []
    return [entry for entry in entries if isinstance(entry, dict)]


def called(choice: Any, tools: tuple[str, ...]) -> str | None:
    """The tool that has to be called: OpenAI's `tool_choice`."""
    if choice == "required" and tools:
        return tools[-1]
    return part(choice, "function").get("name") or part(choice).get("name")
