"""What a worker asks the model through the host, and what it is answered."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, StringConstraints

from omniforge.board.shapes.words import Given, Json

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_-]{0,63}$")]
CallId = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Text = Annotated[str, StringConstraints(max_length=1_000_000)]


class CallMade(Given):
    """A call of a tool, as the model made it."""

    id: CallId
    name: Annotated[str, StringConstraints(max_length=200)]
    input: Json = Field(default_factory=dict[str, Any])


class Said(Given):
    """`calls` only of the assistant; `call_id`, `name` and `ok` only of a tool."""

    role: Literal["user", "assistant", "tool"]
    text: Text = ""
    calls: list[CallMade] = Field(default_factory=list[CallMade], max_length=200)
    call_id: CallId | None = None
    name: Annotated[str, StringConstraints(max_length=200)] | None = None
    ok: bool = True


class ToolGiven(Given):
    """A tool the worker does itself. `input_schema` is a JSON schema of an object."""

    name: Name
    description: Annotated[str, StringConstraints(max_length=4_000)]
    input_schema: Json


class TurnGiven(Given):
    messages: list[Said] = Field(min_length=1, max_length=2_000)
    tools: list[ToolGiven] = Field(default_factory=list[ToolGiven], max_length=64)
    max_tokens: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """Of the answer."""


class TurnUsage(BaseModel):
    tokens_in: int
    tokens_out: int
    tokens_cached: int


class Turn(BaseModel):
    """One turn of the model. `stop`: it called tools, came to its end, or was cut short. `cost_usd` is None
    where no price is known; `turns_left` and `cost_left_usd` are what this attempt may still use."""

    text: str
    thinking: str
    calls: list[CallMade]
    stop: Literal["tool_calls", "end", "length"]
    usage: TurnUsage
    cost_usd: float | None
    turns_left: int
    cost_left_usd: float
