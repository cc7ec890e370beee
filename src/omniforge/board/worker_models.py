"""The model as workers reach it: one turn a call, within what an attempt may spend, counted."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast
from weakref import WeakValueDictionary

from sqlalchemy import update

from omniforge.board.shapes.worker_model import CallMade, Said, ToolGiven, Turn, TurnGiven, TurnUsage
from omniforge.core.errors import OmniForgeError, PayloadTooLarge, ProviderError
from omniforge.db import Database
from omniforge.llm.mending import check_schema
from omniforge.llm.prompts import load_prompt, spotlight
from omniforge.llm.protocol import (
    AnswerInvalid,
    Ask,
    AskEvent,
    AskEventKind,
    AskLimits,
    BudgetExceeded,
    ContextTooLong,
    ModelClient,
    ToolOffer,
    Usage,
)
from omniforge.sandboxes.store import SandboxRow
from omniforge.sandboxes.tokens import WorkerCall

Json = dict[str, Any]
ModelOf = Callable[[WorkerCall], Awaitable[str | None]]
"""The model an attempt asks, None for the tenant's default."""
MOST_TOKENS = 400_000
"""Of one turn, question and answer: also a model without a known price has an end."""
LONGEST = 240.0
"""Seconds one turn may take."""
Ending = Literal["end", "length"]
NOTED = "The worker does this."


class BudgetSpent(OmniForgeError):
    """What this attempt may spend on the model is spent. Trying again is of no use."""

    status = 429
    code = "budget_exceeded"


class TurnTooLong(PayloadTooLarge):
    """The conversation is longer than the model takes; a shorter one may be answered."""

    code = "context_too_long"


@dataclass(frozen=True, slots=True)
class Budget:
    """Of one attempt."""

    turns: int = 50
    cost_usd: float = 10.0


@dataclass(slots=True)
class Heard:
    """What the model says in one turn. Its calls are noted, not done."""

    text: str = ""
    thinking: str = ""
    calls: list[CallMade] = field(default_factory=list[CallMade])

    async def hear(self, event: AskEvent) -> None:
        match event.kind:
            case AskEventKind.MESSAGE:
                self.text += event.text
            case AskEventKind.THINKING:
                self.thinking += event.text
            case AskEventKind.TOOL_USED:
                call_id = str(event.data["call"]) or f"call-{len(self.calls) + 1}"
                self.calls.append(CallMade(id=call_id, name=event.data["tool"], input=event.data["args"]))
            case AskEventKind.STARTED_OVER:
                self.text = self.thinking = ""
            case AskEventKind.TOOL_RESULT:
                pass


class WorkerModels:
    """One turn of an attempt at a time: the next one waits until it is known what the last one cost."""

    def __init__(
        self,
        db: Database,
        models: ModelClient,
        *,
        budget: Budget = Budget(),
        model_of: ModelOf | None = None,
    ) -> None:
        self.db, self.models, self.budget, self._model_of = db, models, budget, model_of
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def turn(self, call: WorkerCall, given: TurnGiven) -> Turn:
        """Raises BudgetSpent, TurnTooLong, ModelNotConfigured, `Invalid` for a tool that cannot be offered;
        ProviderError, whose details say whether it is `retryable`."""
        for tool in given.tools:
            check_schema(tool.input_schema)
        sandbox_id = call.sandbox.id
        lock = self._turns.setdefault(sandbox_id, asyncio.Lock())
        async with lock:
            turns, cost = await self._begin(sandbox_id)
            heard = Heard()
            ask = await self._ask(call, given, heard, self.budget.cost_usd - cost)
            try:
                usage, stop = await self._answered(ask, heard)
            except OmniForgeError as error:
                await self._count(sandbox_id, usage_in(error))
                raise _told(error) from None
            await self._count(sandbox_id, usage)
        return Turn(
            text=heard.text,
            thinking=heard.thinking,
            calls=heard.calls,
            stop="tool_calls" if heard.calls else stop,
            usage=TurnUsage(
                tokens_in=usage.tokens_in, tokens_out=usage.tokens_out, tokens_cached=usage.tokens_cached
            ),
            cost_usd=usage.cost_usd,
            turns_left=self.budget.turns - turns,
            cost_left_usd=max(0.0, round(self.budget.cost_usd - cost - (usage.cost_usd or 0.0), 6)),
        )

    async def _begin(self, sandbox_id: str) -> tuple[int, float]:
        """Count one more turn: how many there are now, and what those before it cost."""
        row, budget = SandboxRow, self.budget
        statement = (
            update(row)
            .where(row.id == sandbox_id, row.model_turns < budget.turns, row.cost_usd < budget.cost_usd)
            .values(model_turns=row.model_turns + 1)
            .returning(row.model_turns, row.cost_usd)
            .execution_options(synchronize_session=False)
        )
        async with self.db.transaction() as session:
            found = (await session.execute(statement)).one_or_none()
        if found is None:
            raise _spent(budget)
        return found[0], found[1]

    async def _count(self, sandbox_id: str, usage: Usage) -> None:
        row = SandboxRow
        statement = (
            update(row)
            .where(row.id == sandbox_id)
            .values(
                tokens_in=row.tokens_in + usage.tokens_in,
                tokens_out=row.tokens_out + usage.tokens_out,
                cost_usd=row.cost_usd + (usage.cost_usd or 0.0),
            )
            .execution_options(synchronize_session=False)
        )
        async with self.db.transaction() as session:
            await session.execute(statement)

    async def _ask(self, call: WorkerCall, given: TurnGiven, heard: Heard, left: float) -> Ask:
        return Ask(
            instructions=load_prompt("omniforge.board", "worker_turn").text,
            prompt=conversation(given.messages),
            tenant_id=call.tenant_id,
            model=None if self._model_of is None else await self._model_of(call),
            tools=[_offer(tool) for tool in given.tools],
            limits=AskLimits(
                iterations=1,
                tool_calls=None,
                tokens=MOST_TOKENS,
                cost_usd=left,
                seconds=LONGEST,
                output=given.max_tokens,
            ),
            on_event=heard.hear,
        )

    async def _answered(self, ask: Ask, heard: Heard) -> tuple[Usage, Ending]:
        """What it cost and how it ended. A turn with calls ends where the next one would begin."""
        try:
            answer = await self.models.ask(ask)
        except BudgetExceeded as over:
            if over.details.get("limit") != "iterations":
                raise
            return usage_in(over), "end"
        heard.text = answer.text
        return answer.usage, "length" if answer.cut_short else "end"


def conversation(messages: Sequence[Said]) -> str:
    """All that was said, oldest first. What tools gave is marked as data; what stands before stays as it is
    when something is added, so that a service may know it again."""
    return "\n\n".join(_written(message) for message in messages)


def _written(said: Said) -> str:
    match said.role:
        case "user":
            return f"# Told to you\n\n{said.text}"
        case "assistant":
            calls = [f"Called {call.name} [{call.id}] with {_json(call.input)}" for call in said.calls]
            return "\n\n".join(part for part in ("# Your turn", said.text, *calls) if part)
        case "tool":
            ending = "" if said.ok else ", which failed"
            origin = f"tool {said.name or ''}"
            return f"# What {said.name} gave [{said.call_id}]{ending}\n\n{spotlight(said.text, origin)}"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _offer(tool: ToolGiven) -> ToolOffer:
    async def note(_given: Json) -> str:
        return NOTED

    return ToolOffer(tool.name, tool.description, tool.input_schema, note)


def usage_in(error: OmniForgeError) -> Usage:
    """What was spent before the error."""
    told = error.details.get("usage")
    if not isinstance(told, dict):
        return Usage()
    found = cast("Json", told)
    return Usage(**{name: found[name] for name in Usage.__dataclass_fields__ if name in found})


def _spent(budget: Budget) -> BudgetSpent:
    return BudgetSpent(
        f"This attempt may ask the model {budget.turns} times and for {budget.cost_usd:g} US dollars; "
        "that is used up.",
        retryable=False,
        turns=budget.turns,
        cost_usd=budget.cost_usd,
    )


def _told(error: OmniForgeError) -> OmniForgeError:
    """The error as a worker is told it: without the conversation, and saying whether to try again."""
    match error:
        case BudgetExceeded():
            return _of_limit(error)
        case ContextTooLong():
            return TurnTooLong(error.message, retryable=False)
        case AnswerInvalid():
            return _trouble(error.message, error.code, retryable=False)
        case ProviderError():
            return _trouble(error.message, error.code, error.retry_after, retryable=error.retryable)
        case _:
            error.details.pop("usage", None)
            return error


def _of_limit(error: BudgetExceeded) -> OmniForgeError:
    match error.details.get("limit"):
        case "tokens":
            return TurnTooLong(error.message, retryable=False)
        case "seconds":
            return _trouble("The model took too long.", "model_timeout", retryable=True)
        case _:
            message = "What this attempt may spend on the model does not pay for another turn."
            return BudgetSpent(message, retryable=False)


def _trouble(message: str, code: str, wait: float | None = None, *, retryable: bool) -> ProviderError:
    """With what a worker has to know in the details, as it sees nothing else."""
    told = ProviderError(message, code=code, retryable=retryable, retry_after=wait)
    told.details |= {"retryable": retryable} | ({} if wait is None else {"retry_after": wait})
    return told
