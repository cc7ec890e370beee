"""A model at work on one step: asked with its tools, it ends with a typed result or says what is missing."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from omniforge.core.errors import OmniForgeError
from omniforge.core.network import models_only
from omniforge.core.redaction import redact, redacted
from omniforge.engine.active import StepCall
from omniforge.engine.state import Signal
from omniforge.llm.protocol import Answer, Ask, AskLimits, BudgetExceeded, ModelClient, Usage
from omniforge.runtime.guards import clean, shorten
from omniforge.runtime.offers import Offers
from omniforge.runtime.telling import Telling
from omniforge.runtime.tools.protocol import Json

ITERATIONS = 15
MOST_ITERATIONS = 100
MAX_TOKENS = 200_000
MAX_COST = 1.0
"""US dollars; both for one step, unless its run's budget says less."""
MAX_CALLS = 1_000
MAX_MESSAGE = 4_000
PARTIAL = frozenset({"iterations", "tool_calls", "seconds"})
"""Limits at which a result is partial. Where money or tokens run out, the step fails."""
_STATUSES = [signal.value for signal in Signal]


def answer_schema(output: Json | None = None) -> Json:
    """What a model answers with. output: the schema of the output, where the skill's settings have one."""
    return {
        "type": "object",
        "properties": {
            "output": output or {"type": "object", "additionalProperties": True},
            "message": {"type": "string"},
            "status": {"type": "string", "enum": _STATUSES},
            "missing": {"type": "array", "items": {"type": "string"}},
            "artifacts": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {"path": {"type": "string"}, "title": {"type": "string"}},
                    "required": ["path"],
                },
            },
        },
        "required": ["output", "message"],
    }


@dataclass(frozen=True, slots=True)
class Task:
    """One ask: what is to be followed, with what, how long."""

    instructions: str
    prompt: str
    offers: Offers
    iterations: int = ITERATIONS
    model: str | None = None
    output: Json | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """What a model gave. missing: what it could not do; more than none of it makes the result partial."""

    output: Json
    message: str
    signal: Signal
    missing: tuple[str, ...] = ()
    artifacts: tuple[Json, ...] = ()
    model: str = ""

    def as_json(self) -> Json:
        told: Json = {"output": self.output, "message": self.message}
        return told | ({"missing": list(self.missing)} if self.missing else {})


@dataclass(slots=True)
class Spent:
    """What all asks of one attempt have used together. `cost` is None once a price was not known."""

    requests: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    tokens_cached: int = 0
    cost: float | None = 0.0
    simulated: bool = False

    @property
    def tokens(self) -> int:
        return self.tokens_in + self.tokens_out

    def add(self, usage: Usage) -> None:
        self.requests += usage.requests
        self.tokens_in += usage.tokens_in
        self.tokens_out += usage.tokens_out
        self.tokens_cached += usage.tokens_cached
        known = self.cost is not None and usage.cost_usd is not None
        self.cost = self.cost + usage.cost_usd if known else None  # pyright: ignore[reportOperatorIssue]

    def as_usage(self) -> dict[str, float]:
        """For the step's result: `tokens` and `money` are what budgets count; no `money`, no known price."""
        usage: dict[str, float] = {
            "tokens": self.tokens,
            "tokens_in": self.tokens_in,
            "tokens_out": self.tokens_out,
            "tokens_cached": self.tokens_cached,
            "requests": self.requests,
        }
        return usage if self.cost is None else {**usage, "money": self.cost}


@dataclass(slots=True)
class Loop:
    """Asks a model for one attempt of one step, sub-agents included: they share its budget."""

    call: StepCall
    models: ModelClient
    telling: Telling
    spent: Spent = field(default_factory=Spent)

    async def run(self, task: Task) -> Result:
        """The typed result. `BudgetExceeded` when tokens or money end before it."""
        ask = Ask(
            instructions=task.instructions,
            prompt=task.prompt,
            tenant_id=self.call.run.tenant_id,
            model=task.model,
            schema=answer_schema(task.output),
            check=mistakes,
            tools=task.offers.offered(),
            limits=self._limits(task.iterations),
            on_event=self.telling.hear,
        )
        try:
            answer = await self._asked(ask, task.model)
        except BudgetExceeded as error:
            if error.details.get("limit") not in PARTIAL:
                raise
            return _broken_off(task.offers, error)
        return read_answer(answer)

    async def _asked(self, ask: Ask, model: str | None) -> Answer:
        begun = asyncio.get_running_loop().time()
        try:
            with models_only():
                answer = await self.models.ask(ask)
        except OmniForgeError as error:
            await self.telling.flush()
            told = error.details.get("usage")
            usage = _usage_of(cast("Json", told)) if isinstance(told, dict) else Usage()
            self.spent.add(usage)
            await self._tell(model or "default", usage, begun, code=error.code)
            raise
        await self.telling.flush()
        self.spent.add(answer.usage)
        self.spent.simulated |= answer.simulated
        more = {name: True for name in ("simulated", "repaired") if getattr(answer, name)}
        await self._tell(answer.model, answer.usage, begun, **more)
        return answer

    async def _tell(self, model: str, usage: Usage, begun: float, **more: Any) -> None:
        provider, _, name = model.partition(":")
        seconds = round(asyncio.get_running_loop().time() - begun, 3)
        told: Json = {
            "model": name or provider,
            "provider": provider if name else None,
            "requests": usage.requests,
            "input_tokens": usage.tokens_in,
            "output_tokens": usage.tokens_out,
            "cached_tokens": usage.tokens_cached,
            "cost_usd": usage.cost_usd,
            "seconds": seconds,
        }
        await self.call.emit("model.called", {**told, **more})

    def _limits(self, iterations: int) -> AskLimits:
        budget = self.call.budget
        tokens = MAX_TOKENS if budget.tokens is None else min(MAX_TOKENS, budget.tokens)
        money = MAX_COST if budget.money is None else budget.money
        return AskLimits(
            iterations=max(1, min(iterations, MOST_ITERATIONS)),
            tool_calls=MAX_CALLS,
            tokens=max(0, tokens - self.spent.tokens),
            cost_usd=max(0.0, money - (self.spent.cost or 0.0)),
        )


def mistakes(value: Json) -> Sequence[str]:
    """What is wrong with an answer of the right shape, in words for the model."""
    found: list[str] = []
    message = value.get("message")
    if not isinstance(message, str) or not message.strip():
        found.append("message: say in one to three sentences what was found and done")
    if not isinstance(value.get("output"), dict):
        found.append("output: must be an object")
    return found


def read_answer(answer: Answer) -> Result:
    """A checked answer as a result: without secrets, within bounds."""
    value: Json = redact(answer.value or {})
    missing = tuple(
        redacted(clean(str(item)))[:500] for item in value.get("missing") or () if str(item).strip()
    )
    signal = Signal(value.get("status") or Signal.OK.value)
    message, _ = shorten(clean(str(value.get("message", ""))).strip(), MAX_MESSAGE)
    if missing:
        signal = Signal.FLAG if signal is not Signal.STOP else signal
        message = f"{message} Missing: {'; '.join(missing)}"[:MAX_MESSAGE]
    kept = tuple(cast("Sequence[Json]", value.get("artifacts") or ()))
    return Result(value["output"], message, signal, missing, kept, answer.model)


def _broken_off(offers: Offers, error: BudgetExceeded) -> Result:
    """A partial result: what was done is known, what would have come next is not."""
    done = [entry["tool"] for entry in offers.desk.transcript if entry["ok"]]
    words = str(error.details.get("text") or "").strip()
    missing = f"It was not finished. {error.message}"
    message = f"Stopped before the end; {len(done)} calls were made. Missing: {missing}"
    output: Json = {"finished": False, "calls": done[-50:]} | (
        {"last_words": redacted(words)} if words else {}
    )
    return Result(output, message, Signal.FLAG, (missing,))


def _usage_of(told: Json) -> Usage:
    known = {name: told[name] for name in Usage.__dataclass_fields__ if name in told}
    return Usage(**known)
