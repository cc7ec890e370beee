"""The port to language models: a question with tools and a typed answer; one loop behind it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from omniforge.core.errors import Conflict, Fatal, OmniForgeError, ProviderError

Json = dict[str, Any]


class ModelNotConfigured(Conflict):
    """A language model is needed, and none is set up for this tenant."""

    code = "model_not_configured"


class ModelUnavailable(ProviderError):
    """The model's service does not answer, or refuses for now."""

    code = "model_unavailable"


class AnswerInvalid(Fatal):
    """The model gave no answer of the wanted shape, also after it was told what was wrong."""

    code = "answer_invalid"


class AnswerRefused(AnswerInvalid):
    """The model, or its service's filter, declined to answer."""

    code = "answer_refused"


class ContextTooLong(Fatal):
    """What was asked is longer than the model takes; a shorter question may be answered."""

    code = "context_too_long"


class BudgetExceeded(Fatal):
    """The next call would exceed what was granted; it was not made.

    `details`: `limit` (a field of AskLimits), `granted`, `usage` (as a dict of Usage), `text` (the model's
    last words) and `tools` (names of those that were called).
    """

    code = "budget_exceeded"


class ToolRefused(OmniForgeError):
    """A tool call that was not done. The message goes to the model, and the conversation with it goes on."""

    code = "tool_refused"


@dataclass(frozen=True, slots=True)
class ToolOffer:
    """A tool a model may call. `parameters` is a JSON schema (type object); `call` gets validated arguments
    and gives JSON or text. What it raises but ToolRefused ends the question."""

    name: str
    description: str
    parameters: Json
    call: Callable[[Json], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class AskLimits:
    """None means no limit of its own. `cost_usd` binds only where the price is known."""

    iterations: int = 15
    tool_calls: int | None = 100
    tokens: int | None = 200_000
    cost_usd: float | None = None
    seconds: float | None = None
    output: int | None = None
    """Tokens of each answer; what is longer is cut short."""


class AskEventKind(StrEnum):
    THINKING = "thinking"
    MESSAGE = "message"
    TOOL_USED = "tool_used"
    TOOL_RESULT = "tool_result"
    STARTED_OVER = "started_over"
    """The answer broke off and is asked for again: the words since the last tool result do not count."""


@dataclass(frozen=True, slots=True)
class AskEvent:
    """A step of an answer that is coming. `text` are the new words only, or the (shortened) result of a tool.

    `data` of TOOL_USED: `{"tool", "call", "args"}`; of TOOL_RESULT: `{"tool", "call", "ok"}`.
    """

    kind: AskEventKind
    text: str = ""
    data: Json = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Ask:
    """One question. `instructions` are ours, `prompt` holds what people and services wrote.

    `schema`: JSON schema of the answer (type object); None means plain text. `check` gives what is wrong
    with an answer of the right shape; it is told to the model at most `retries` times. `model` names an
    alias or `provider:model`; None is the tenant's default.
    """

    instructions: str
    prompt: str
    tenant_id: str = "default"
    model: str | None = None
    schema: Json | None = None
    check: Callable[[Json], Sequence[str]] | None = None
    retries: int = 3
    tools: Sequence[ToolOffer] = ()
    limits: AskLimits = AskLimits()
    on_event: Callable[[AskEvent], Awaitable[None]] | None = None
    temperature: float | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """Every try counts, also those that failed. `tokens_in` includes `tokens_cached`. `cost_usd` is None when
    a price is not known, never a guess of zero; `estimated`: the service told no figures, so we counted.
    """

    requests: int = 0
    tool_calls: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    tokens_cached: int = 0
    cost_usd: float | None = None
    estimated: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """`value` is set when a schema was asked for, else `text`. `model` is the one that answered, as
    `provider:model`; `simulated` when a scripted one did. `repaired`: broken JSON was mended.
    `cut_short`: the text ends where the longest answer ends."""

    value: Json | None
    text: str
    usage: Usage
    model: str
    simulated: bool = False
    repaired: bool = False
    cut_short: bool = False


class ModelClient(Protocol):
    """Raises ModelNotConfigured, ModelUnavailable, AnswerInvalid, ContextTooLong, BudgetExceeded; `Invalid`
    for a name or a schema that cannot be used. `details["usage"]` of an error tells what was spent.
    """

    def is_configured(self, tenant_id: str = "default", model: str | None = None) -> bool: ...

    def check_model(self, name: str, tenant_id: str = "default") -> None:
        """Raise `Invalid` for a model this tenant may not name, ModelNotConfigured for one without a key."""
        ...

    async def ask(self, ask: Ask) -> Answer: ...
